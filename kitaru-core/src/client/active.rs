//! An execution that this process drives. Owns its result on the way to everybody who waits for it; must not know how
//! it comes about.

use std::sync::{Arc, Mutex, OnceLock, Weak};

use tokio::sync::{SetOnce, watch};
use tokio::task::AbortHandle;

use crate::client::attempt::cancel_running;
use crate::context::{Context, Mail};
use crate::error::{Error, Kind};
use crate::id::JournalId;
use crate::journal::{OwnedPayload, ParentRow};
use crate::machine::Due;
use crate::runtime::lock;
use crate::value::Key;

/// What an attempt came to, as its callers are told.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    /// The flow returned, and that is durable.
    Outcome(Arc<OwnedPayload>),
    /// It did not, and why. Nothing of it is in the journal.
    Fault(Error),
    /// It goes on in a new generation, of this journal. Nobody is told: whoever waits for it goes on waiting.
    Restarted { journal: JournalId, start_at_ms: Option<u64> },
    /// It waits, and is no longer in memory. Nobody is told: whoever waits for it goes on waiting.
    Parked { due: Due, journal: JournalId },
}

impl Ended {
    /// Why the flow did not return.
    pub(crate) fn fault(self) -> Option<Error> {
        match self {
            Ended::Fault(error) => Some(error),
            Ended::Outcome(_) | Ended::Parked { .. } | Ended::Restarted { .. } => None,
        }
    }
}

pub(crate) struct Active {
    /// Nothing while it is being cancelled: then its input is of no interest.
    pub(crate) input: Option<Key>,
    pub(crate) input_preview: String,
    /// It is in the store, or cannot be.
    recorded: SetOnce<Result<(), Error>>,
    ended: SetOnce<Ended>,
    task: Mutex<Option<AbortHandle>>,
    attempt: Mutex<Driven>,
    /// Its flow is not in memory; it is here for those who wait for it.
    parked: watch::Sender<bool>,
    /// Whose child it is, if it is one.
    parent: OnceLock<ParentRow>,
}

/// The attempt at an execution, as far as it can be steered.
#[derive(Default)]
struct Driven {
    context: Weak<Context>,
    cancelled: bool,
    draining: bool,
    /// What was sent while no attempt could take it in.
    mail: Vec<(Posted, JournalId, Mail)>,
    posted: u64,
}

/// Mail that no attempt could take in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Posted(u64);

impl Active {
    pub(crate) fn new(input: Option<Key>, input_preview: String) -> Arc<Self> {
        Arc::new(Active {
            input,
            input_preview,
            recorded: SetOnce::new(),
            ended: SetOnce::new(),
            task: Mutex::new(None),
            attempt: Mutex::default(),
            parked: watch::Sender::new(false),
            parent: OnceLock::new(),
        })
    }

    pub(crate) fn driven_by(&self, task: AbortHandle) {
        *lock(&self.task) = Some(task);
    }

    /// An attempt begins, in this context.
    pub(crate) fn driven_in(&self, context: &Arc<Context>) {
        let (cancelled, draining, mail) = {
            let mut attempt = lock(&self.attempt);
            attempt.context = Arc::downgrade(context);
            (attempt.cancelled, attempt.draining, std::mem::take(&mut attempt.mail))
        };
        for (_, journal, mail) in mail {
            // What was sent to an older generation is nothing to this one, which has only just begun and takes the rest.
            if journal == context.numbers.journal() {
                let _ = context.mailbox.post(mail);
            }
        }
        if cancelled {
            cancel_running(context);
        }
        if draining {
            context.drain(interrupted());
        }
    }

    /// Has its flow dropped, what it has done undone, and the execution end as cancelled.
    pub(crate) fn cancel(&self) {
        let context = {
            let mut attempt = lock(&self.attempt);
            attempt.cancelled = true;
            attempt.context.upgrade()
        };
        if let Some(context) = context {
            cancel_running(&context);
        }
    }

    /// Whether it is parked and was to be cancelled; to one of those who ask only.
    ///
    /// Whoever parks it asks behind that, and whoever cancels it asks behind that: one of them finds both.
    pub(crate) fn missed_cancel(&self) -> bool {
        self.is_parked() && std::mem::take(&mut lock(&self.attempt).cancelled)
    }

    /// Hands on what was sent to it.
    ///
    /// # Errors
    ///
    /// That it is parked, so that it has to be woken for it; the mail is there for the next attempt until it is
    /// [taken back](Self::take_back).
    pub(crate) fn post(&self, journal: JournalId, mail: Mail) -> Result<(), Posted> {
        let mut attempt = lock(&self.attempt);
        let left = match attempt.context.upgrade() {
            Some(context) if context.numbers.journal() == journal => context.mailbox.post(mail).err(),
            Some(_) | None => Some(mail),
        };
        let Some(mail) = left else { return Ok(()) };
        attempt.posted += 1;
        let posted = Posted(attempt.posted);
        attempt.mail.push((posted, journal, mail));
        // Asked behind that: whoever parks it looks for mail behind having said so.
        if self.is_parked() { Err(posted) } else { Ok(()) }
    }

    /// Nobody drives it: this mail, and none that came since, is left to the store for whoever does.
    pub(crate) fn take_back(&self, posted: Posted) {
        lock(&self.attempt).mail.retain(|(known, ..)| *known != posted);
    }

    /// Whether something was sent while it was on its way out of memory; to one of those who ask only. It stays for the
    /// next attempt.
    pub(crate) fn has_mail(&self) -> bool {
        !lock(&self.attempt).mail.is_empty()
    }

    /// Has nothing of it start any more. What runs comes to its end.
    pub(crate) fn drain(&self) {
        let context = {
            let mut attempt = lock(&self.attempt);
            attempt.draining = true;
            attempt.context.upgrade()
        };
        if let Some(context) = context {
            context.drain(interrupted());
        }
    }

    /// Drops its flow where it is. What it has recorded stays.
    pub(crate) fn interrupt(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }

    pub(crate) fn is_parked(&self) -> bool {
        *self.parked.borrow()
    }

    pub(crate) fn set_parked(&self, parked: bool) {
        self.parked.send_replace(parked);
    }

    /// Tells when its flow goes out of memory, and when it comes back.
    pub(crate) fn parks(&self) -> watch::Receiver<bool> {
        self.parked.subscribe()
    }

    /// Says whose child it is. What is said first stays.
    pub(crate) fn set_parent(&self, parent: ParentRow) {
        let _ = self.parent.set(parent);
    }

    pub(crate) fn parent(&self) -> Option<&ParentRow> {
        self.parent.get()
    }

    /// Says that it is in the store, or why it cannot be. What is said first stays.
    pub(crate) fn record(&self, recorded: Result<(), Error>) {
        let _ = self.recorded.set(recorded);
    }

    /// Says what it came to. What is said first stays.
    pub(crate) fn end(&self, ended: Ended) {
        let _ = self.ended.set(ended);
    }

    /// Waits until it is in the store.
    pub(crate) async fn recorded(&self) -> Result<(), Error> {
        let recorded = self.recorded.wait().await.clone();
        if recorded.is_err() {
            // The next call is to begin anew, not to attach to what is ending.
            self.ended.wait().await;
        }
        recorded
    }

    /// What it comes to.
    pub(crate) async fn ended(self: Arc<Self>) -> Ended {
        self.ended.wait().await.clone()
    }
}

/// Its runtime was dropped, or the store was closed.
pub(crate) fn interrupted() -> Error {
    Error::new(
        Kind::Closed,
        "the execution was interrupted: its runtime was shut down or its store was closed. Nothing is lost; call the \
         flow again to go on",
    )
}
