//! The table of an attempt: what each event does in each state.

use super::attempt::{AttemptReport, AttemptState, Event, FLOWS, Flow, Progress, REPORTED, Reported};

const EVENTS: [Event; 9] = [
    Event::BodiesBegin,
    Event::Records(Progress::Made),
    Event::Records(Progress::ToBeTriedAgain),
    Event::Records(Progress::Unwinds),
    Event::Lands,
    Event::Leaves,
    Event::Stays,
    Event::Abandons,
    Event::Dropped,
];

fn states() -> impl Iterator<Item = AttemptState> {
    REPORTED.into_iter().flat_map(|reported| FLOWS.map(|flow| AttemptState { reported, flow }))
}

/// What an attempt has reported after an event, and reports with it, for each of what it had reported.
fn reported(event: Event) -> [(Reported, AttemptReport); 8] {
    REPORTED.map(|reported| {
        let (state, says) = AttemptState::new(reported).after(event);
        (state.reported, says)
    })
}

/// What becomes of the flow, for each of what was to become of it.
fn flows(event: Event) -> [Flow; 3] {
    FLOWS.map(|flow| AttemptState { reported: Reported::Known, flow }.after(event).0.flow)
}

#[test]
fn attempt_is_announced_before_its_first_body_and_once() {
    use AttemptReport::{Announces, Nothing};
    use Reported::{Announced, Known, Proved, Proving};
    let table = [
        (Announced, Announces),
        (Announced, Announces),
        (Announced, Announces),
        (Announced, Announces),
        (Announced, Nothing),
        (Known, Nothing),
        (Proving, Nothing),
        (Proved, Nothing),
    ];
    assert_eq!(reported(Event::BodiesBegin), table);
    assert_eq!(reported(Event::Records(Progress::ToBeTriedAgain)), table, "it does not count as progress");
}

#[test]
fn attempt_proves_itself_with_its_first_lasting_record() {
    use AttemptReport::{AnnouncesAndProves, Nothing, Proves};
    use Reported::{Proved, Proving};
    let table = [
        (Proving, AnnouncesAndProves),
        (Proving, AnnouncesAndProves),
        (Proving, AnnouncesAndProves),
        (Proving, AnnouncesAndProves),
        (Proving, Proves),
        (Proved, Proves),
        (Proving, Nothing),
        (Proved, Nothing),
    ];
    assert_eq!(reported(Event::Records(Progress::Made)), table);
}

#[test]
fn attempt_that_unwinds_is_on_the_list_and_has_not_ended() {
    use AttemptReport::{Announces, Nothing, Runs};
    use Reported::{Announced, Counted, Known, Proved, Proving};
    let table = [
        (Announced, Announces),
        (Announced, Announces),
        (Counted, Nothing),
        (Counted, Runs),
        (Announced, Nothing),
        (Known, Nothing),
        (Proving, Nothing),
        (Proved, Nothing),
    ];
    assert_eq!(reported(Event::Records(Progress::Unwinds)), table);
}

#[test]
fn attempt_is_known_when_what_announces_it_lands() {
    use Reported::{Counted, Known, Listed, Proved, Reopened, Unlisted};
    let known = reported(Event::Lands).map(|(reported, says)| {
        assert_eq!(says, AttemptReport::Nothing);
        reported
    });
    assert_eq!(known, [Unlisted, Listed, Counted, Reopened, Known, Known, Proved, Proved]);
}

#[test]
fn flow_that_is_being_abandoned_is_not_anything_else() {
    use Flow::{Abandoned, Leaves, Stays};
    assert_eq!(flows(Event::Leaves), [Leaves, Leaves, Abandoned]);
    assert_eq!(flows(Event::Stays), [Stays, Stays, Abandoned]);
    assert_eq!(flows(Event::Abandons), [Abandoned, Abandoned, Abandoned]);
    assert_eq!(flows(Event::Dropped), [Stays, Leaves, Stays]);
}

#[test]
fn event_concerns_the_store_or_the_flow() {
    for state in states() {
        for event in EVENTS {
            let (after, says) = state.after(event);
            assert!(after.reported == state.reported || after.flow == state.flow, "{state:?} {event:?}");
            assert!(after != state || says == AttemptReport::Nothing, "{state:?} {event:?}: it reports once");
        }
    }
}

#[test]
fn answers_of_a_state_are_in_the_order_in_which_the_store_learns_them() {
    for state in states() {
        let answers = [state.is_known(), state.is_announced(), state.is_counted(), state.is_listed()];
        assert!(answers.is_sorted(), "{state:?}: {answers:?}");
        assert!(!(state.leaves() && state.is_abandoned()));
        for event in EVENTS {
            let (after, _) = state.after(event);
            let later = [after.is_known(), after.is_announced(), after.is_counted(), after.is_listed()];
            assert!(
                answers.into_iter().zip(later).all(|(was, is)| is || !was),
                "{state:?} {event:?}: it was forgotten"
            );
        }
    }
}

#[test]
fn state_comes_back_from_its_number() {
    for state in states() {
        assert_eq!(AttemptState::from_bits(state.to_bits()), state);
    }
}
