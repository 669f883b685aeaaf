//! How the calls of one tool are made.

use std::time::Duration;

/// How the calls of one tool are made by a [`KitaruAgent`](crate::KitaruAgent), where each is a checkpoint.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use kitaru_agent::{Agent, KitaruAgent, TestModel, ToolOptions};
///
/// let agent = KitaruAgent::new(Agent::builder(TestModel::new()).build()?)
///     .tool_options("search", ToolOptions::default().retries(2).timeout(Duration::from_secs(10)))
///     .tool_options("now", ToolOptions::default().not_durable());
/// # drop(agent);
/// # Ok::<(), kitaru_agent::AgentError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolOptions {
    pub(super) retries: u32,
    pub(super) timeout: Option<Duration>,
    pub(super) record: Record,
    pub(super) approval: NeedsApproval,
    pub(super) effect: Effect,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Effect {
    #[default]
    AtLeastOnce,
    Once,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NeedsApproval {
    Yes,
    #[default]
    No,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Record {
    #[default]
    Yes,
    No,
}

impl ToolOptions {
    /// Tries a call that fails so many times more before its error ends the run; none unless set. What is sent back to
    /// the model is no failure.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Ends a try that takes longer than this; there is no bound unless set.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Runs the tool as part of the flow's own code, on every attempt, without a record. It has to come to the same each
    /// time, and takes no other option.
    #[must_use]
    pub fn not_durable(self) -> Self {
        Self { record: Record::No, ..self }
    }

    /// Asks somebody before each call, by a wait `<tool>_approval` that shows the arguments and is answered with an
    /// [`Approval`](crate::Approval). The flow is out of memory meanwhile. Needs an agent each of whose calls is a
    /// checkpoint.
    #[must_use]
    pub fn requires_approval(self) -> Self {
        Self { approval: NeedsApproval::Yes, ..self }
    }

    /// Never runs a call a second time by itself. Its intent is recorded first; after a crash that leaves it without an
    /// outcome the execution waits for a person, by the name of the call's record (`pay_tool`), who answers with a
    /// `kitaru::Resolution`: it happened, and gave [this](crate::ToolOutput::happened), run it again, or fail. Takes no
    /// retries, and needs an agent each of whose calls is a checkpoint.
    #[must_use]
    pub fn once(self) -> Self {
        Self { effect: Effect::Once, ..self }
    }
}
