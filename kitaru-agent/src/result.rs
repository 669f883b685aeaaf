//! The result of an agent's run.
//!
//! Owns its stored form, and who paid for it. Must not know how the run went.

use serde::{Deserialize, Serialize};

use crate::message::History;
use crate::usage::{Bill, Usage};

/// The result of a run.
///
/// Its stored form contains only what the run added. The reader of a stored result has the history with which the run began,
/// and adds it with [`with_history`](Self::with_history). So a stored conversation contains each message once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunResult<T = String> {
    /// What the run added to the conversation, the prompt included.
    pub new_messages: History,
    /// The cost of the run.
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

    /// The part of its [`usage`](Self::usage) that this run paid for itself. An earlier attempt paid for the rest, which comes
    /// from its record. A run without durability pays for everything. A result that was stored and read back has paid for
    /// nothing.
    pub fn paid(&self) -> Usage {
        self.paid
    }

    /// The part of its [`usage`](Self::usage) that comes from records.
    pub fn replayed(&self) -> Usage {
        self.usage.less(self.paid)
    }

    /// Both, as a bill.
    pub fn bill(&self) -> Bill {
        Bill { paid: self.paid(), replayed: self.replayed() }
    }

    /// The same result, with this part of its cost from records.
    #[must_use]
    pub(crate) fn with_replayed(self, replayed: Usage) -> Self {
        Self { paid: self.usage.less(replayed), ..self }
    }

    /// The whole conversation, for the next run.
    pub fn all_messages(&self) -> History {
        self.history.messages().iter().chain(self.new_messages.messages()).cloned().collect()
    }
}
