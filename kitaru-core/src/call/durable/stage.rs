//! How far a call is between its polls. Owns what it holds there; must not know how it gets on.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use tracing::Span;

use crate::call::memo::Recall;
use crate::call::options::Options;
use crate::call::question::{Asking, Question};
use crate::call::resolution;
use crate::call::tries::Tries;
use crate::context::{BodyScope, Context};
use crate::error::Error;
use crate::journal::Asks;
use crate::machine::SlotId;
use crate::value::Key;

pub(super) enum Stage<R> {
    Made,
    /// Polled; its record is released, or its turn to run comes.
    Entered(SlotId),
    /// Its intent is on its way to the store.
    Intending(SlotId),
    /// It looks for a result of another execution.
    Recalling(Box<Running>, Recall),
    Running(Box<Running>, Tries),
    /// Nobody knows whether its body ran: it waits for a person to say.
    Asking(Box<Running>, Asked),
    /// Its outcome is on its way to the store.
    Landing(Box<Running>, Result<R, Error>, How),
    /// It is not polled to an end: the driver drops the flow.
    Over,
}

/// A body at work.
pub(super) struct Running {
    pub(super) slot: SlotId,
    pub(super) waker: Waker,
    pub(super) scope: Arc<BodyScope>,
    pub(super) started_ms: u64,
    pub(super) started: Instant,
    /// The visible name, if anybody reads log lines.
    pub(super) name: Option<String>,
    pub(super) span: Span,
}

/// How a call came to an outcome that no record of its own journal had.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum How {
    /// Its body ran, and took this long.
    Ran(Duration),
    /// Another execution had recorded it.
    Recalled,
    /// It did not run: an earlier attempt may have run it.
    Interrupted,
    /// A person said what it came to.
    Resolved,
}

/// A person is asked.
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) asks: Asks,
    /// What becomes of the arguments where they may be shown, and the idempotency key, as a JSON object.
    pub(super) metadata: String,
}

impl Asked {
    /// What identifies the wait.
    pub(super) fn wait(&self) -> Key {
        self.asks.wait
    }

    pub(super) fn asking<'a>(&'a self, context: &'a Arc<Context>) -> Asking<'a> {
        Asking { context, name: &self.name, asks: self.asks }
    }

    pub(super) fn question<R>(&self, options: &Options<R>) -> Question {
        resolution::question(&self.name, self.metadata.clone(), &options.happened)
    }
}
