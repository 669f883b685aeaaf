//! The result of a run.

use rig_agent::agent::PromptResponse;
use rig_core::completion::Message;
use serde::{Deserialize, Serialize};

use crate::usage::RigUsage;

/// The result of a run of a [`KitaruRig`](crate::KitaruRig).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RigResult {
    /// The answer.
    pub output: String,
    /// The cost of the run, including what earlier attempts paid.
    pub usage: RigUsage,
    /// rig's own result: the messages that the run added, the prompt included, the content of the answer, each request.
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

    /// The part of its [`usage`](Self::usage) that this run paid for itself. An earlier attempt paid for the rest, which comes
    /// from its record. A result that was stored and read back has paid for nothing.
    pub fn paid(&self) -> RigUsage {
        self.paid
    }

    /// The part of its [`usage`](Self::usage) that comes from records.
    pub fn replayed(&self) -> RigUsage {
        self.usage.less(self.paid)
    }
}
