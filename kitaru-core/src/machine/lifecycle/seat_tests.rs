//! The table of a seat: what each event does in each state.

use std::fmt::Debug;

use super::seat::{
    AttemptStart, CallEffect, CancelEffect, Cause, LossEffect, Occupant, ParkEffect, Seat, SeatCall, SendEffect,
    TaskId, Wakes,
};
use crate::id::JournalId;

const OLD: JournalId = JournalId(1);
const NEW: JournalId = JournalId(2);

type Words = &'static str;

/// A seat in each state, with the task that has it or had it last.
fn seats() -> [(Words, Seat<Words>, TaskId); 6] {
    let looking = || Seat::woken(OLD, Cause::Time);
    let planning = Seat::called;
    let driving = || {
        let (mut seat, task) = Seat::called();
        seat.plan(task, OLD);
        (seat, task)
    };
    let running = || {
        let (mut seat, task) = Seat::called();
        seat.begin(task, OLD).unwrap();
        (seat, task)
    };
    let parked = || {
        let (mut seat, task) = running();
        seat.park(task).unwrap();
        (seat, task)
    };
    let over = || {
        let (mut seat, task) = running();
        seat.end(task, false);
        (seat, task)
    };
    let named = |name, (seat, task)| (name, seat, task);
    [
        named("looking", looking()),
        named("planning", planning()),
        named("driving", driving()),
        named("running", running()),
        named("parked", parked()),
        named("over", over()),
    ]
}

/// The state by its name, or `same` if it equals `before`.
fn name(state: Occupant, before: Occupant) -> &'static str {
    match state {
        _ if state == before => "same",
        Occupant::Looking { .. } => "looking",
        Occupant::Planning { generation: None, .. } => "planning",
        Occupant::Planning { generation: Some(_), .. } => "driving",
        Occupant::Running { .. } => "running",
        Occupant::Parked => "parked",
        Occupant::Over => "over",
    }
}

/// The effect of an event in each of the states: the state that follows, and the action.
fn table<T: Debug>(event: impl Fn(&mut Seat<Words>, TaskId) -> T) -> Vec<String> {
    let row = |(from, mut seat, task): (Words, Seat<Words>, TaskId)| {
        let before = seat.state();
        let action = event(&mut seat, task);
        format!("{from}: {}, {action:?}", name(seat.state(), before))
    };
    seats().into_iter().map(row).collect()
}

fn task(number: u64) -> TaskId {
    let mut seat = Seat::<Words>::parked();
    let mut task = None;
    for _ in 0..number {
        let CallEffect::Drive(next) = seat.call(SeatCall::Join) else { unreachable!("a parked seat is free") };
        seat.park(next);
        task = Some(next);
    }
    task.expect("tasks are counted from one")
}

#[test]
fn call_that_joins_takes_a_free_seat() {
    let drive = format!("{:?}", CallEffect::Drive(task(2)));
    assert_eq!(
        table(|seat, _| seat.call(SeatCall::Join)),
        [
            &format!("looking: planning, {drive}"),
            "planning: same, Join",
            "driving: same, Join",
            "running: same, Join",
            &format!("parked: planning, {drive}"),
            "over: same, Join",
        ]
    );
}

#[test]
fn call_that_begins_over_replaces_a_free_seat() {
    assert_eq!(
        table(|seat, _| seat.call(SeatCall::BeginOver)),
        [
            "looking: over, Replace",
            "planning: same, Refuse",
            "driving: same, Refuse",
            "running: same, Refuse",
            "parked: over, Replace",
            "over: same, Refuse",
        ]
    );
}

#[test]
fn call_that_abandons_takes_a_free_seat() {
    let drive = format!("{:?}", CallEffect::Drive(task(2)));
    assert_eq!(
        table(|seat, _| seat.call(SeatCall::Abandon)),
        [
            &format!("looking: planning, {drive}"),
            "planning: same, Refuse",
            "driving: same, Refuse",
            "running: same, Refuse",
            &format!("parked: planning, {drive}"),
            "over: same, Refuse",
        ]
    );
}

#[test]
fn resume_request_is_refused_while_there_is_a_seat() {
    assert!(table(|seat, _| seat.call(SeatCall::Resume)).iter().all(|row| row.ends_with("same, Refuse")));
}

#[test]
fn wake_up_takes_a_parked_seat_only() {
    let some = format!("{:?}", Some(task(2)));
    assert_eq!(
        table(|seat, _| seat.wake(OLD, Cause::Mail)),
        [
            "looking: same, None",
            "planning: same, None",
            "driving: same, None",
            "running: same, None",
            &format!("parked: looking, {some}"),
            "over: same, None",
        ]
    );
}

#[test]
fn task_that_looked_keeps_its_seat_unless_a_caller_took_it() {
    assert_eq!(
        table(Seat::confirm),
        [
            "looking: driving, true",
            "planning: same, true",
            "driving: same, true",
            "running: same, true",
            "parked: same, false",
            "over: same, false",
        ]
    );
    let (mut seat, looks) = Seat::<Words>::woken(OLD, Cause::Time);
    assert_eq!(seat.call(SeatCall::Join), CallEffect::Drive(task(2)));
    assert!(!seat.confirm(looks), "a caller took it over");
    assert!(seat.confirm(task(2)));
}

#[test]
fn attempt_begins_in_the_seat_of_its_task() {
    let begun = "Some(AttemptStart { messages: [], cancelled: false, draining: false })";
    assert_eq!(
        table(|seat, task| seat.begin(task, NEW)),
        [
            &format!("looking: running, {begun}"),
            &format!("planning: running, {begun}"),
            &format!("driving: running, {begun}"),
            &format!("running: running, {begun}"),
            "parked: same, None",
            "over: same, None",
        ]
    );
    assert!(table(|seat, _| seat.begin(task(9), NEW)).iter().all(|row| row.ends_with("same, None")));
}

#[test]
fn task_says_which_generation_it_drives() {
    assert_eq!(
        table(|seat, task| seat.plan(task, NEW)),
        [
            "looking: driving, ()",
            "planning: driving, ()",
            "driving: driving, ()",
            "running: driving, ()",
            "parked: same, ()",
            "over: same, ()",
        ]
    );
}

#[test]
fn task_parks_its_own_seat_only() {
    assert_eq!(
        table(Seat::park),
        [
            "looking: parked, Some(Rest)",
            "planning: parked, Some(Rest)",
            "driving: parked, Some(Rest)",
            "running: parked, Some(Rest)",
            "parked: same, None",
            "over: same, None",
        ]
    );
    assert!(table(|seat, _| seat.park(task(9))).iter().all(|row| row.ends_with("same, None")));
}

#[test]
fn wake_ups_that_met_a_task_are_due_again_if_it_drove_nothing_or_failed() {
    let ends = |failed| {
        move |seat: &mut Seat<Words>, task| {
            seat.wake(NEW, Cause::Mail);
            seat.end(task, failed).len()
        }
    };
    assert_eq!(
        table(ends(false)),
        [
            "looking: over, 0",
            "planning: over, 1",
            "driving: over, 0",
            "running: over, 0",
            "parked: looking, 0",
            "over: same, 0"
        ]
    );
    // The wake-up that it was created for is one of them.
    assert_eq!(
        table(ends(true)),
        [
            "looking: over, 2",
            "planning: over, 1",
            "driving: over, 1",
            "running: over, 1",
            "parked: looking, 0",
            "over: same, 0"
        ]
    );
}

#[test]
fn message_that_no_attempt_took_in_is_a_wake_up_too() {
    let (mut seat, task) = Seat::called();
    assert_eq!(seat.send(NEW, "paid"), SendEffect::Keep);
    assert_eq!(seat.end(task, false), Wakes::from([(NEW, Cause::Mail)]));
}

#[test]
fn task_that_is_dropped_resumes_elsewhere_or_is_over() {
    let resume = format!("{:?}", LossEffect::Resume { generation: OLD, cancelled: false });
    assert_eq!(
        table(|seat, task| seat.lose(task, true)),
        [
            &format!("looking: parked, {resume}"),
            "planning: over, Over({})",
            &format!("driving: parked, {resume}"),
            &format!("running: parked, {resume}"),
            "parked: same, Nothing",
            "over: same, Nothing",
        ]
    );
    assert_eq!(
        table(|seat, task| seat.lose(task, false)),
        [
            "looking: over, Over({})",
            "planning: over, Over({})",
            "driving: over, Over({})",
            "running: over, Over({})",
            "parked: same, Nothing",
            "over: same, Nothing",
        ]
    );
    let (mut seat, task) = Seat::<Words>::called();
    seat.wake(NEW, Cause::Time);
    assert_eq!(seat.lose(task, true), LossEffect::Over(Wakes::from([(NEW, Cause::Time)])), "it has driven nothing");
}

#[test]
fn message_goes_to_the_attempt_at_its_generation_or_waits() {
    assert_eq!(
        table(|seat, _| seat.send(OLD, "paid")),
        [
            "looking: same, Keep",
            "planning: same, Keep",
            "driving: same, Keep",
            r#"running: same, Deliver("paid")"#,
            "parked: same, Wake",
            "over: same, Wake",
        ]
    );
    assert_eq!(table(|seat, _| seat.send(NEW, "paid"))[3], "running: same, Keep");
}

#[test]
fn attempt_gets_the_messages_to_its_generation_in_order() {
    let (mut seat, task) = Seat::called();
    for (generation, message) in [(NEW, "first"), (OLD, "to the generation before"), (NEW, "second")] {
        assert_eq!(seat.send(generation, message), SendEffect::Keep);
    }
    let begun = AttemptStart { messages: vec!["first", "second"], cancelled: false, draining: false };
    assert_eq!(seat.begin(task, NEW), Some(begun));
    assert_eq!(seat.park(task), Some(ParkEffect::Rest), "what was sent to an older generation is dropped");
}

#[test]
fn message_that_an_attempt_gave_back_wakes_a_parked_flow() {
    let (mut seat, task) = Seat::called();
    seat.begin(task, OLD);
    let SendEffect::Deliver(message) = seat.send(OLD, "paid") else { unreachable!("it runs") };
    seat.give_back(OLD, message);
    assert_eq!(seat.park(task), Some(ParkEffect::Wake));
    assert!(!seat.is_idle(), "the message lies in it");
    let next = seat.wake(OLD, Cause::Mail).unwrap();
    assert_eq!(seat.begin(next, OLD).unwrap().messages, ["paid"]);
}

#[test]
fn message_of_a_wake_up_that_found_nothing_to_do_is_left_to_the_store() {
    let mut seat = Seat::parked();
    assert_eq!(seat.send(OLD, "paid"), SendEffect::Wake);
    assert!(!seat.is_idle());
    seat.rest();
    assert!(seat.is_idle());
    // A task that has the seat still takes it.
    assert_eq!(seat.send(OLD, "paid"), SendEffect::Wake);
    let task = seat.wake(OLD, Cause::Mail).unwrap();
    seat.rest();
    assert_eq!(seat.begin(task, OLD).unwrap().messages, ["paid"]);
}

#[test]
fn cancellation_reaches_the_attempt_that_runs_or_the_next_one() {
    assert_eq!(
        table(|seat, _| seat.cancel()),
        [
            "looking: same, Keep",
            "planning: same, Keep",
            "driving: same, Keep",
            "running: same, Unwind",
            "parked: same, Call",
            "over: same, Keep",
        ]
    );
    let (mut seat, task) = Seat::<Words>::called();
    seat.cancel();
    assert!(seat.begin(task, OLD).unwrap().cancelled);
}

#[test]
fn cancellation_that_missed_the_attempt_reaches_the_task_that_parks() {
    let (mut seat, task) = Seat::called();
    seat.begin(task, OLD);
    assert_eq!(seat.cancel(), CancelEffect::Unwind);
    seat.give_back(OLD, "paid");
    assert_eq!(seat.park(task), Some(ParkEffect::Cancel), "that comes before the message");
    assert_eq!(seat.cancel(), CancelEffect::Call);
    let CallEffect::Drive(next) = seat.call(SeatCall::Join) else { unreachable!("it is parked") };
    assert_eq!(seat.begin(next, OLD), Some(AttemptStart { messages: vec!["paid"], cancelled: false, draining: false }));
}

#[test]
fn cancellation_of_a_dropped_task_is_kept() {
    let (mut seat, task) = Seat::<Words>::called();
    seat.begin(task, OLD);
    seat.cancel();
    assert_eq!(seat.lose(task, true), LossEffect::Resume { generation: OLD, cancelled: true });
}

#[test]
fn draining_seat_begins_no_attempt_that_starts_anything() {
    let (mut seat, task) = Seat::<Words>::called();
    seat.drain();
    assert!(seat.begin(task, OLD).unwrap().draining);
}

#[test]
fn parked_seat_is_kept_while_a_caller_waits() {
    let mut seat = Seat::<Words>::parked();
    seat.join();
    seat.join();
    seat.part();
    assert!(!seat.is_idle());
    seat.part();
    assert!(seat.is_idle());
    assert!(table(|seat, _| seat.is_idle()).iter().all(|row| row.ends_with("true") == row.starts_with("parked")));
}
