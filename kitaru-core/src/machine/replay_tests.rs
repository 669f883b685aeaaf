//! The machine, fed by hand: which record answers, what is released, what may start.

use std::sync::Arc;
use std::task::Waker;

use crate::error::{Error, Kind};
use crate::id::Seq;
use crate::journal::{CallFrame, Class, Frame, NowFrame, OutcomeFrame, Payload, SettledFrame};
use crate::machine::{Asked, Claim, Due, Exit, Journal, Quiet, RecordState, Replay, SlotId, Step};
use crate::value::{Codec, Key};

/// A journal, written as its records are named: `a` is a value, `a!` an error, `a?` an intent, `settled 1` settles.
fn journal(records: &[&str]) -> Arc<Journal> {
    let mut journal = Journal::default();
    for (nth, record) in records.iter().enumerate() {
        let name = record.trim_end_matches(['!', '?']);
        let outcomes = records[..nth].iter().filter(|before| before.trim_end_matches('!') == name);
        let occurrence = outcomes.count() as u32;
        let call = CallFrame {
            key: key(name),
            occurrence,
            place: 0,
            number: occurrence + 1,
            attempt: 1,
            source: 0,
            checkpoint: name,
            label: "",
            args: &[],
        };
        let class = if record.ends_with('!') { Class::Kitaru } else { Class::Value };
        let payload = Payload { class, codec: Codec::Json, shape: 0, bytes: b"[\"failed\",[\"no\"]]" };
        let frame = if let Some(seq) = record.strip_prefix("settled ") {
            Frame::Settled(SettledFrame { errors: vec![Seq(seq.parse().expect("a number"))] })
        } else if let Some(unix_ms) = record.strip_prefix("now ") {
            Frame::Now(NowFrame { occurrence: 0, unix_ms: unix_ms.parse().expect("a time") })
        } else if record.ends_with('?') {
            Frame::Intent(call)
        } else {
            Frame::Outcome(OutcomeFrame {
                call,
                settled: false,
                from_memo: false,
                sensitive: false,
                message: None,
                tries: 1,
                failed: &[],
                metadata: "",
                started_ms: 0,
                duration_us: 0,
                preview: "",
                payload,
            })
        };
        journal.push(Seq(nth as u64 + 1), &frame.write());
    }
    Arc::new(journal)
}

fn key(name: &str) -> Key {
    let mut key = [0; 16];
    key[..name.len()].copy_from_slice(name.as_bytes());
    Key(key)
}

fn replay(records: &[&str]) -> Replay {
    Replay::new(journal(records)).expect("a journal that can be read")
}

fn make(replay: &mut Replay, name: &str) -> Claim {
    replay
        .make(&Asked { checkpoint: name, item: None, key: key(name), only_source: None, most_bytes: 0 })
        .expect("a call")
}

/// A call is made and polled.
fn enter(replay: &mut Replay, name: &str) -> (SlotId, Step) {
    let claim = make(replay, name);
    replay.enter(claim.standing, Waker::noop())
}

/// Which of the calls answer now.
fn answers<const N: usize>(replay: &mut Replay, slots: [SlotId; N]) -> [bool; N] {
    slots.map(|slot| replay.poll(slot, Waker::noop()) == Step::Answer)
}

fn quiet(replay: &mut Replay) -> Quiet {
    replay.quiet(&mut Vec::new())
}

/// A new call runs, and its outcome lands under this number.
fn run(replay: &mut Replay, slot: SlotId, seq: u64, unsettled: bool) {
    replay.begin(slot);
    assert_eq!(replay.poll(slot, Waker::noop()), Step::Poll);
    replay.land(slot, unsettled);
    replay.landed(slot, Seq(seq));
}

#[test]
fn a_call_is_answered_by_the_record_of_the_same_question_and_occurrence() {
    let mut replay = replay(&["a", "b", "a", "c!", "d?"]);
    let standings = ["b", "a", "a", "a", "c", "d"].map(|name| make(&mut replay, name).standing);
    let recorded = |standing: &RecordState| matches!(standing, RecordState::Recorded(_));
    assert_eq!(standings.each_ref().map(recorded), [true, true, true, false, false, false]);
    assert!(matches!(standings[3], RecordState::New), "there are two records of `a`");
    assert!(matches!(standings[4], RecordState::Again(_)), "the error is not settled");
    assert!(matches!(standings[5], RecordState::Interrupted(_)), "an intent without an outcome");
}

#[test]
fn settled_error_answers_like_a_value_and_an_outcome_replaces_its_intent() {
    let mut replay = replay(&["c!", "settled 1", "d?", "d"]);
    assert!(matches!(make(&mut replay, "c").standing, RecordState::Recorded(_)));
    assert!(matches!(make(&mut replay, "d").standing, RecordState::Recorded(_)));
}

#[test]
fn outcomes_are_released_singly_in_the_order_of_their_records() {
    let mut replay = replay(&["a", "b", "c"]);
    let (c, step) = enter(&mut replay, "c");
    assert_eq!(step, Step::Pending, "not even the next record answers a first poll");
    let (a, _) = enter(&mut replay, "a");
    let (b, _) = enter(&mut replay, "b");
    assert_eq!(answers(&mut replay, [a, b, c]), [false; 3]);
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(answers(&mut replay, [b, c, a]), [false, false, true]);
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(answers(&mut replay, [c, b]), [false, true]);
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(answers(&mut replay, [c]), [true]);
    assert!(matches!(quiet(&mut replay), Quiet::Still));
}

#[test]
fn a_call_without_a_record_starts_when_no_awaited_record_is_left() {
    let mut replay = replay(&["a", "b"]);
    let (new, step) = enter(&mut replay, "new");
    assert_eq!(step, Step::Pending);
    let (a, _) = enter(&mut replay, "a");
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(answers(&mut replay, [a]), [true]);
    assert_eq!(replay.poll(new, Waker::noop()), Step::Pending, "`a` was released, and may lead to `b`");
    // No call asks for `b`: the code has changed.
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(replay.poll(new, Waker::noop()), Step::Begin);
}

#[test]
fn call_after_the_journal_starts_at_its_first_poll() {
    let mut replay = replay(&["a"]);
    let (a, _) = enter(&mut replay, "a");
    let (early, step) = enter(&mut replay, "early");
    assert_eq!(step, Step::Pending, "`a` is claimed and not released yet");
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(answers(&mut replay, [a]), [true]);
    let _ = quiet(&mut replay);
    assert_eq!(replay.poll(early, Waker::noop()), Step::Begin);
    run(&mut replay, early, 2, true);
    // The error of `early` has landed, and the flow has not seen it.
    assert_eq!(enter(&mut replay, "late").1, Step::Begin);
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(answers(&mut replay, [early]), [true]);
    assert_eq!(enter(&mut replay, "later").1, Step::Pending, "it has seen it now");
}

#[test]
fn call_without_a_record_does_not_start_before_one_with_a_record() {
    let mut replay = replay(&["winner"]);
    // As the arms of a biased select!: both are made, and then polled in turn.
    let (loser, winner) = (make(&mut replay, "loser"), make(&mut replay, "winner"));
    let (loser, step) = replay.enter(loser.standing, Waker::noop());
    assert_eq!(step, Step::Pending, "`winner` has a record, and is about to be polled");
    let (winner, _) = replay.enter(winner.standing, Waker::noop());
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(answers(&mut replay, [winner]), [true]);
    // A call that is made and not polled does not hold others up when the flow is quiescent.
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(replay.poll(loser, Waker::noop()), Step::Begin);
}

#[test]
fn call_whose_intent_landed_is_woken_only_when_the_flow_is_quiescent() {
    let mut replay = replay(&[]);
    let (wait, step) = enter(&mut replay, "wait");
    assert_eq!(step, Step::Begin);
    replay.intend(wait);
    assert!(!replay.has_work());
    replay.intended(wait);
    assert!(replay.has_work(), "the driver learns of it");
    let mut wake = Vec::new();
    assert!(matches!(replay.quiet(&mut wake), Quiet::Go));
    assert_eq!(wake.len(), 1);
    assert_eq!(replay.poll(wait, Waker::noop()), Step::Begin);
}

#[test]
fn call_whose_intent_landed_waits_while_the_flow_receives_an_error() {
    let mut replay = replay(&[]);
    let (failing, _) = enter(&mut replay, "a");
    let (once, _) = enter(&mut replay, "b");
    replay.intend(once);
    replay.intended(once);
    run(&mut replay, failing, 2, true);
    // Both are woken in the same step.
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(replay.poll(failing, Waker::noop()), Step::Answer);
    assert_eq!(replay.poll(once, Waker::noop()), Step::Pending);
    assert!(matches!(quiet(&mut replay), Quiet::Flush(unflushed) if unflushed.errors == [Seq(2)]));
    replay.flushed();
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(replay.poll(once, Waker::noop()), Step::Begin);
}

#[test]
fn error_is_flushed_before_anything_starts_and_a_value_is_not() {
    let mut replay = replay(&[]);
    let (value, _) = enter(&mut replay, "value");
    run(&mut replay, value, 1, false);
    let (error, _) = enter(&mut replay, "error");
    run(&mut replay, error, 2, true);
    for slot in [value, error] {
        assert!(matches!(quiet(&mut replay), Quiet::Go));
        assert_eq!(answers(&mut replay, [slot]), [true]);
    }
    assert!(matches!(quiet(&mut replay), Quiet::Still), "nothing starts, so the error may be tried again");
    let (next, step) = enter(&mut replay, "next");
    assert_eq!(step, Step::Pending);
    let Quiet::Flush(unflushed) = quiet(&mut replay) else { panic!("the error is not flushed") };
    assert_eq!((unflushed.errors, unflushed.nows.len()), (vec![Seq(2)], 0));
    assert!(matches!(quiet(&mut replay), Quiet::Idle), "the flush is under way");
    assert_eq!(replay.poll(next, Waker::noop()), Step::Pending);
    replay.flushed();
    let _ = quiet(&mut replay);
    assert_eq!(replay.poll(next, Waker::noop()), Step::Begin);
}

#[test]
fn time_is_flushed_before_anything_starts_and_stays_the_same() {
    let mut replay = replay(&["now 17"]);
    assert_eq!(replay.now(|| 18), 17);
    assert_eq!(replay.now(|| 18), 18);
    assert_eq!(enter(&mut replay, "next").1, Step::Pending);
    let Quiet::Flush(unflushed) = quiet(&mut replay) else { panic!("the time is not flushed") };
    assert_eq!(unflushed.nows, [NowFrame { occurrence: 1, unix_ms: 18 }]);
}

#[test]
fn dropped_call_frees_its_slot_when_its_outcome_lands() {
    let mut replay = replay(&[]);
    let (loser, _) = enter(&mut replay, "loser");
    replay.begin(loser);
    replay.land(loser, false);
    replay.leave(loser);
    let (winner, _) = enter(&mut replay, "winner");
    assert_ne!(winner, loser, "the place is not free while something is on its way to it");
    replay.landed(loser, Seq(1));
    run(&mut replay, winner, 2, false);
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(answers(&mut replay, [winner]), [true]);
    assert_eq!(enter(&mut replay, "next").0, winner, "the last place that became free");
}

#[test]
fn a_record_whose_call_was_dropped_before_it_was_released_holds_nothing_up() {
    let mut replay = replay(&["a", "b"]);
    let (a, _) = enter(&mut replay, "a");
    let (b, _) = enter(&mut replay, "b");
    replay.leave(a);
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(answers(&mut replay, [b]), [true]);
    assert_eq!(enter(&mut replay, "next").1, Step::Begin);
}

#[test]
fn woken_body_is_polled_once_and_the_first_reason_to_leave_stays() {
    let mut replay = replay(&[]);
    let (slot, _) = enter(&mut replay, "body");
    replay.begin(slot);
    assert_eq!(replay.poll(slot, Waker::noop()), Step::Poll);
    assert_eq!(replay.poll(slot, Waker::noop()), Step::Pending);
    assert!(replay.wake_body(slot));
    assert!(!replay.wake_body(slot), "the driver knows already");
    assert!(replay.has_work());
    let mut wake = Vec::new();
    assert!(matches!(replay.quiet(&mut wake), Quiet::Go));
    assert_eq!(wake.len(), 1);
    assert_eq!(replay.poll(slot, Waker::noop()), Step::Poll);

    for message in ["first", "second"] {
        replay.leave_with(Exit::Fail(Error::new(Kind::Misuse, message)));
    }
    assert!(matches!(replay.exit(), Some(Exit::Fail(error)) if error.to_string() == "first"));
}

#[test]
fn names_of_records_are_kept_and_new_ones_take_the_next_free_number() {
    let mut replay = replay(&["a", "a"]);
    let numbers = ["a", "b", "a", "a"].map(|name| make(&mut replay, name).number);
    assert_eq!(numbers, [1, 1, 2, 3]);
}

#[test]
fn counters_agree_with_the_calls_at_every_step() {
    let mut replay = replay(&[]);
    // A body that has an intent, fails, waits for its next try nearby and then far away, and ends.
    let (body, step) = enter(&mut replay, "a");
    assert_eq!(step, Step::Begin);
    replay.intend(body);
    replay.intended(body);
    assert!(matches!(quiet(&mut replay), Quiet::Go | Quiet::Still));
    assert_eq!(replay.poll(body, Waker::noop()), Step::Begin);
    replay.begin(body);
    assert_eq!(replay.poll(body, Waker::noop()), Step::Poll);
    replay.nap(body);
    assert!(matches!(quiet(&mut replay), Quiet::Idle));
    assert!(replay.unpause(body));
    replay.pause(body, Due::At(7));
    assert!(matches!(quiet(&mut replay), Quiet::Asleep));
    assert!(replay.unpause(body));
    replay.land(body, false);
    replay.landed(body, Seq(1));
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(replay.poll(body, Waker::noop()), Step::Answer);
    // Waits, one of which ends and one of which is dropped; a body that is dropped, and one whose outcome is on its way.
    let [ends, left, dropped, late] = ["b", "c", "d", "e"].map(|name| enter(&mut replay, name).0);
    replay.open(ends, Due::Never);
    replay.open(left, Due::At(9));
    replay.land(ends, false);
    replay.landed(ends, Seq(2));
    replay.leave(left);
    replay.begin(dropped);
    replay.leave(dropped);
    replay.begin(late);
    replay.land(late, false);
    replay.leave(late);
    replay.landed(late, Seq(3));
    assert!(matches!(quiet(&mut replay), Quiet::Go));
    assert_eq!(replay.poll(ends, Waker::noop()), Step::Answer);
    assert!(matches!(quiet(&mut replay), Quiet::Still));
    // Every call looks once more at what the one before it has counted.
    enter(&mut replay, "f");
}
