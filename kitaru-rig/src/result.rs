//! What a run came to.

use rig_agent::agent::PromptResponse;
use rig_core::completion::Message;
use serde::{Deserialize, Serialize};

use crate::usage::RigUsage;

/// What a run of a [`KitaruRig`](crate::KitaruRig) came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RigResult {
    /// The answer.
    pub output: String,
    /// What the run cost, whoever paid.
    pub usage: RigUsage,
    /// What rig gives: the messages that the run added, the prompt included, the content of the answer, each request.
    pub response: PromptResponse,
    #[serde(skip)]
    paid: RigUsage,
}

impl RigResult {
    pub(crate) fn new(response: PromptResponse, usage: RigUsage) -> Self {
        RigResult { output: response.output(), usage, response, paid: RigUsage::default() }
    }

    pub(crate) fn with_paid(self, paid: RigUsage) -> Self {
        RigResult { paid, ..self }
    }

    /// What the run added to the conversation, the prompt included.
    pub fn new_messages(&self) -> &[Message] {
        &self.response.messages
    }

    /// What of its [`usage`](Self::usage) this run has paid for itself. The rest was paid for by an earlier attempt, and
    /// comes from its record. What was stored and read back has paid for nothing.
    pub fn paid(&self) -> RigUsage {
        self.paid
    }

    /// What of its [`usage`](Self::usage) comes from records.
    pub fn replayed(&self) -> RigUsage {
        self.usage.less(self.paid)
    }
}
