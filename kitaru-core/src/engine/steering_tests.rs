//! Steering, by hand: what becomes of mail that no attempt takes in.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::context::Mail;
use crate::engine::steering::{Steered, Steering};
use crate::error::Error;
use crate::id::JournalId;
use crate::ledger::Addressee;

/// An attempt that is on its way out of memory.
struct Leaving;

impl Steered for Leaving {
    fn journal(&self) -> JournalId {
        JournalId(1)
    }

    fn post(&self, mail: Mail) -> Result<(), Mail> {
        Err(mail)
    }

    fn cancel(self: &Arc<Self>) {}

    fn drain(self: &Arc<Self>) {}
}

fn answer() -> (Mail, oneshot::Receiver<Result<(), Error>>) {
    let (verdict, told) = oneshot::channel();
    (Mail::Answer { wait: Addressee::Named("approval".into()), json: "true".into(), verdict: Some(verdict) }, told)
}

#[test]
fn who_answers_a_flow_that_meets_a_fault_on_its_way_out_of_memory_does_not_wait_for_ever() {
    let (steering, leaving) = (Steering::new(), Arc::new(Leaving));
    steering.driven_by(&leaving);
    let (before, mut told) = answer();
    assert_eq!(steering.post(JournalId(1), before), Ok(()));
    assert_eq!(told.try_recv().unwrap_err(), TryRecvError::Empty, "the next attempt is to judge it");
    // The row that it is out of memory was refused. A handle may still hold the steering.
    steering.end();
    assert_eq!(told.try_recv().unwrap_err(), TryRecvError::Closed);
    let (behind, mut told) = answer();
    assert!(steering.post(JournalId(1), behind).is_err(), "the flow may wait all the same");
    assert_eq!(told.try_recv().unwrap_err(), TryRecvError::Closed);
}
