//! What a run of an agent comes to.
//!
//! Owns its stored form, and who paid for it. Must not know how it was come to.

use serde::{Deserialize, Serialize};

use crate::message::History;
use crate::usage::{Bill, Usage};

/// What a run came to.
///
/// Stored, it holds only what the run added. Whoever reads it back has the history that the run began with, and gives
/// it by [`with_history`](Self::with_history); so a stored conversation costs each message once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunResult<T = String> {
    /// What the run added to the conversation, the prompt included.
    pub new_messages: History,
    /// What the run cost.
    pub usage: Usage,
    /// The answer.
    pub output: T,
    #[serde(skip)]
    history: History,
    #[serde(skip)]
    paid: Usage,
}

impl<T> RunResult<T> {
    /// The result `output` of a run that added `new_messages`.
    pub fn new(output: T, new_messages: impl Into<History>, usage: Usage) -> Self {
        Self { new_messages: new_messages.into(), usage, output, history: History::default(), paid: usage }
    }

    /// The same result, of a run that began with `history`.
    #[must_use]
    pub fn with_history(self, history: impl Into<History>) -> Self {
        Self { history: history.into(), ..self }
    }

    /// What of its [`usage`](Self::usage) this run has paid for itself. The rest was paid for by an earlier attempt, and
    /// comes from its record. A run without durability pays for all; what was stored and read back, for nothing.
    pub fn paid(&self) -> Usage {
        self.paid
    }

    /// What of its [`usage`](Self::usage) comes from records.
    pub fn replayed(&self) -> Usage {
        self.usage.less(self.paid)
    }

    /// Both, as a bill.
    pub fn bill(&self) -> Bill {
        Bill { paid: self.paid(), replayed: self.replayed() }
    }

    /// The same result, of which this much comes from records.
    #[must_use]
    pub(crate) fn with_replayed(self, replayed: Usage) -> Self {
        Self { paid: self.usage.less(replayed), ..self }
    }

    /// The whole conversation, for the next run.
    pub fn all_messages(&self) -> History {
        self.history.messages().iter().chain(self.new_messages.messages()).cloned().collect()
    }
}
