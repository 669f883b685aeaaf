//! The registry alone: what happens to mail that no attempt takes in.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::context::Message;
use crate::engine::registry::{Registry, SeatEntry, Seating, Steered};
use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::ledger::Addressee;
use crate::machine::{Cause, LossEffect, SeatCall, TaskId};

const JOURNAL: JournalId = JournalId(1);

/// An attempt whose flow is being parked.
struct Leaving;

impl Steered for Leaving {
    fn journal(&self) -> JournalId {
        JOURNAL
    }

    fn post(&self, mail: Message) -> Result<(), Message> {
        Err(mail)
    }

    fn cancel(self: &Arc<Self>) {}

    fn drain(self: &Arc<Self>) {}
}

type Seats = Registry<Leaving, ()>;

fn execution() -> ExecutionId {
    ExecutionId::new("order", "job").unwrap()
}

fn called(seats: &Seats) -> (Arc<SeatEntry<Leaving, ()>>, TaskId) {
    let found = seats.call::<Infallible>(&execution(), SeatCall::Join, |()| Ok(()), || ());
    let Ok(Seating::Seat { seated, task, .. }) = found else { panic!("no task drives it") };
    (seated, task)
}

fn answer() -> (Message, oneshot::Receiver<Result<(), Error>>) {
    let (verdict, told) = oneshot::channel();
    (
        Message::Answer {
            wait: Addressee::Named("approval".into()),
            json: "true".into(),
            question: None,
            verdict: Some(verdict),
        },
        told,
    )
}

#[test]
fn answer_to_a_flow_that_meets_a_fault_while_it_parks_does_not_wait_for_ever() {
    let (seats, leaving) = (Arc::new(Seats::default()), Arc::new(Leaving));
    let (seated, task) = called(&seats);
    seated.begin(task, &leaving);
    let (before, mut told) = answer();
    assert!(!seats.send(&execution(), (JOURNAL, before), || ()));
    assert_eq!(told.try_recv().unwrap_err(), TryRecvError::Empty, "the next attempt judges it");
    // The row that parks it was refused. A handle may still wait.
    let _handle = seats.joins(&execution(), &seated);
    assert_eq!(seats.end(&execution(), (&seated, task), true).len(), 1);
    assert_eq!(told.try_recv().unwrap_err(), TryRecvError::Closed);
    let (behind, mut told) = answer();
    assert!(seats.send(&execution(), (JOURNAL, behind), || ()), "the flow may still wait");
    seats.rest(&execution());
    assert_eq!(told.try_recv().unwrap_err(), TryRecvError::Closed);
    assert!(!seats.has(&execution()));
}

#[test]
fn answer_to_a_parked_flow_is_kept_for_the_attempt_that_it_wakes() {
    let seats = Arc::new(Seats::default());
    let (mail, mut told) = answer();
    assert!(seats.send(&execution(), (JOURNAL, mail), || ()));
    let (seated, task) = seats.wake(&execution(), (JOURNAL, Cause::Mail), || ()).unwrap();
    seats.rest(&execution());
    assert!(seated.confirm(task));
    seated.begin(task, &Arc::new(Leaving));
    assert_eq!(told.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn seat_is_kept_while_it_is_driven_or_awaited() {
    let seats = Arc::new(Seats::default());
    let (seated, task) = called(&seats);
    let waiting = seats.join(&execution()).unwrap();
    seats.park(&execution(), (&seated, task), || ()).unwrap();
    assert!(seats.has(&execution()) && seats.driven(&execution()).is_none());
    drop(waiting);
    assert!(!seats.has(&execution()));
    drop(seats.join_parked(&execution(), || ()));
    assert!(!seats.has(&execution()));
}

#[test]
fn task_whose_seat_was_replaced_takes_nothing_away() {
    let seats = Arc::new(Seats::default());
    let (older, looks) = seats.wake(&execution(), (JOURNAL, Cause::Time), || ()).unwrap();
    let found = seats.call::<Infallible>(&execution(), SeatCall::BeginOver, |()| Ok(()), || ());
    assert!(matches!(found, Ok(Seating::Seat { replaces: Some(_), .. })));
    assert!(!older.confirm(looks));
    assert_eq!(seats.lose(&execution(), (&older, looks), |_| unreachable!("it has no seat")), LossEffect::Nothing);
    assert!(seats.driven(&execution()).is_some());
}
