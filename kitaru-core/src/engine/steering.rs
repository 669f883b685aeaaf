//! What is sent to an execution while its flow is in memory, on its way out of it, or out of it: cancellations and mail. Owns
//! that whatever is sent is found by one of two sides, who sends it or who parks the flow; must not know what an attempt makes
//! of it.
//!
//! Whoever parks says so first and looks for what was sent behind that. Whoever sends leaves it first and looks behind that
//! whether the flow is parked. `tests/concurrency` runs this module in the orders in which threads may.

use std::mem;
use std::sync::{Arc, Weak};

use tokio::sync::watch;

use crate::context::Mail;
use crate::id::JournalId;
use crate::sync::{Mutex, lock};

/// An attempt, as far as it can be steered.
pub(crate) trait Steered {
    fn journal(&self) -> JournalId;

    /// Takes something in, or gives it back where it is on its way out of memory.
    fn post(&self, mail: Mail) -> Result<(), Mail>;

    /// Has the flow dropped, what it has done undone, and the execution end as cancelled.
    fn cancel(self: &Arc<Self>);

    /// Has nothing of it start any more.
    fn drain(self: &Arc<Self>);
}

/// How an execution is reached, whatever becomes of its attempts.
pub(crate) struct Steering<A> {
    attempt: Mutex<Driven<A>>,
    /// The flow is not in memory.
    parked: watch::Sender<bool>,
}

struct Driven<A> {
    attempt: Weak<A>,
    cancelled: bool,
    draining: bool,
    /// No attempt comes any more.
    over: bool,
    /// What was sent while no attempt could take it in.
    mail: Vec<(Posted, JournalId, Mail)>,
    posted: u64,
}

/// Mail that no attempt could take in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Posted(u64);

/// What was sent while a flow was on its way out of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missed {
    Nothing,
    Cancel,
    Mail,
}

impl<A: Steered> Steering<A> {
    pub(crate) fn new() -> Self {
        let (cancelled, draining, over) = (false, false, false);
        let driven = Driven { attempt: Weak::new(), cancelled, draining, over, mail: Vec::new(), posted: 0 };
        Steering { attempt: Mutex::new(driven), parked: watch::Sender::new(false) }
    }

    /// An attempt begins: it is given what has been sent so far.
    pub(crate) fn driven_by(&self, attempt: &Arc<A>) {
        let (cancelled, draining) = {
            let mut driven = lock(&self.attempt);
            driven.attempt = Arc::downgrade(attempt);
            // Under the lock, so that nothing that is sent meanwhile comes before it.
            for (_, journal, mail) in mem::take(&mut driven.mail) {
                // What was sent to an older generation is nothing to this one, which has only just begun and takes the rest.
                if journal == attempt.journal() {
                    let _ = attempt.post(mail);
                }
            }
            (driven.cancelled, driven.draining)
        };
        if cancelled {
            attempt.cancel();
        }
        if draining {
            attempt.drain();
        }
    }

    /// The attempt that runs.
    pub(crate) fn attempt(&self) -> Option<Arc<A>> {
        lock(&self.attempt).attempt.upgrade()
    }

    /// Has the attempt end as cancelled, the one that runs or the next. False if the flow is out of memory, so that it has
    /// to be called for that.
    pub(crate) fn cancel(&self) -> bool {
        let attempt = {
            let mut driven = lock(&self.attempt);
            driven.cancelled = true;
            driven.attempt.upgrade()
        };
        if let Some(attempt) = attempt {
            attempt.cancel();
        }
        !self.missed_cancel()
    }

    /// Hands on what was sent to it.
    ///
    /// # Errors
    ///
    /// That the flow is out of memory, so that it has to be woken for it; the mail is there for the next attempt until it is
    /// [taken back](Self::take_back). Or that no attempt comes here any more: where the flow waits all the same, it has to be
    /// woken, too.
    pub(crate) fn post(&self, journal: JournalId, mail: Mail) -> Result<(), Posted> {
        let mut driven = lock(&self.attempt);
        let left = match driven.attempt.upgrade() {
            Some(attempt) if attempt.journal() == journal => attempt.post(mail).err(),
            Some(_) | None => Some(mail),
        };
        let Some(mail) = left else { return Ok(()) };
        driven.posted += 1;
        let posted = Posted(driven.posted);
        if driven.over {
            // The store has it.
            return Err(posted);
        }
        driven.mail.push((posted, journal, mail));
        if self.is_parked() { Err(posted) } else { Ok(()) }
    }

    /// Nobody drives it: this mail, and none that came since, is left to the store for whoever does.
    pub(crate) fn take_back(&self, posted: Posted) {
        lock(&self.attempt).mail.retain(|(known, ..)| *known != posted);
    }

    /// The attempt has ended where it was, and another one is to come: what is sent meanwhile is for that one.
    pub(crate) fn lose(&self) {
        lock(&self.attempt).attempt = Weak::new();
        self.set_parked(true);
    }

    /// No attempt comes any more: what was sent is left to the store, and whoever waits to hear of it is told so, whoever may
    /// still hold this. Gives the generation that something was sent to which no attempt has taken in.
    pub(crate) fn end(&self) -> Option<JournalId> {
        let left = {
            let mut driven = lock(&self.attempt);
            driven.over = true;
            mem::take(&mut driven.mail)
        };
        left.last().map(|(_, journal, _)| *journal)
    }

    /// Has nothing of it start any more, in this attempt or the next. What runs comes to its end.
    pub(crate) fn drain(&self) {
        let attempt = {
            let mut driven = lock(&self.attempt);
            driven.draining = true;
            driven.attempt.upgrade()
        };
        if let Some(attempt) = attempt {
            attempt.drain();
        }
    }

    /// What came while the flow was on its way out of memory. A cancellation is told to one of those who ask only; mail stays
    /// for the next attempt.
    pub(crate) fn missed(&self) -> Missed {
        if self.missed_cancel() {
            return Missed::Cancel;
        }
        if lock(&self.attempt).mail.is_empty() { Missed::Nothing } else { Missed::Mail }
    }

    fn missed_cancel(&self) -> bool {
        self.is_parked() && mem::take(&mut lock(&self.attempt).cancelled)
    }

    pub(crate) fn is_parked(&self) -> bool {
        *self.parked.borrow()
    }

    pub(crate) fn set_parked(&self, parked: bool) {
        self.parked.send_replace(parked);
    }

    /// Tells when the flow goes out of memory, and when it comes back.
    pub(crate) fn parks(&self) -> watch::Receiver<bool> {
        self.parked.subscribe()
    }
}
