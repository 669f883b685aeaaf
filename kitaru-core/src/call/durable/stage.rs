//! The stages of a call between its polls. Owns what each stage holds; must not know what leads from one to the next.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use tracing::Span;

use crate::call::memo::Recall;
use crate::call::options::Options;
use crate::call::question::Asking;
use crate::call::resolution;
use crate::call::tries::Tries;
use crate::context::{BodyScope, Context};
use crate::error::Error;
use crate::journal::Asks;
use crate::ledger::Question;
use crate::machine::SlotId;
use crate::value::{Key, Sensitivity};

pub(super) enum CallStage<R> {
    Made,
    /// Polled. It waits until its record is released or until it may run.
    Entered(SlotId),
    /// Its intent is on its way to the store.
    Intending(SlotId),
    /// It looks for a result of another execution.
    Recalling(Box<Running>, Recall),
    Running(Box<Running>, Tries),
    /// It is unknown whether its body ran. The call waits until a person decides.
    Asking(Box<Running>, AskedQuestion),
    /// Its outcome is on its way to the store.
    Landing(Box<Running>, Result<R, Error>, How),
    /// It is not polled again: the driver drops the flow.
    Over,
}

/// A body at work.
pub(super) struct Running {
    pub(super) slot: SlotId,
    pub(super) waker: Waker,
    pub(super) scope: Arc<BodyScope>,
    pub(super) started_ms: u64,
    pub(super) started: Instant,
    /// The visible name, if log lines are enabled.
    pub(super) name: Option<String>,
    pub(super) span: Span,
}

/// How a call got an outcome that was not in its own journal.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum How {
    /// Its body ran for this long.
    Ran(Duration),
    /// Another execution recorded it.
    Recalled,
    /// It did not run, because an earlier attempt may have run it.
    Interrupted,
    /// A person gave it.
    Resolved,
}

/// A question that a person is asked.
pub(super) struct AskedQuestion {
    pub(super) name: String,
    pub(super) asks: Asks,
    /// The arguments, if they may be shown, and the idempotency key, as a JSON object.
    pub(super) metadata: String,
    pub(super) sensitivity: Sensitivity,
}

impl AskedQuestion {
    /// What identifies the wait.
    pub(super) fn wait(&self) -> Key {
        self.asks.wait
    }

    pub(super) fn asking<'a>(&'a self, context: &'a Arc<Context>) -> Asking<'a> {
        Asking { context, name: &self.name, asks: self.asks, sensitivity: self.sensitivity }
    }

    pub(super) fn question<R>(&self, options: &Options<R>) -> Question {
        resolution::question(&self.name, self.metadata.clone(), &options.happened)
    }
}
