//! What a tool declares of its calls.
//!
//! Owns the words and which of two declarations counts. Must not know who heeds them: the plain agent does not.

use std::time::Duration;

/// How the calls of a tool are to be made by a [`KitaruAgent`](crate::KitaruAgent). The plain agent calls a tool as it is.
///
/// A tool declares it itself, by `#[tool(…)]` or [`ToolDefinition::options`](crate::ToolDefinition::options), and
/// [`KitaruAgent::tool_options`](crate::KitaruAgent::tool_options) overrides what it sets, one by one.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use std::time::Duration;
/// use kitaru::agent::{Agent, FunctionTool, KitaruAgent, TestModel, ToolDefinition, ToolOptions, ToolOutput};
///
/// let search = ToolDefinition::new("search", "Searches.").options(ToolOptions::default().read_only());
/// let search = FunctionTool::new(search, |_| async { Ok(ToolOutput::text("nothing")) });
/// let agent = Agent::builder(TestModel::new()).tool(search).build()?;
/// // It is read-only still.
/// let agent = KitaruAgent::new(agent)
///     .tool_options("search", ToolOptions::default().retries(2).timeout(Duration::from_secs(10)));
/// # drop(agent);
/// # Ok::<(), kitaru::agent::AgentError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolOptions {
    effect: Option<Effect>,
    retries: Option<u32>,
    timeout: Option<Duration>,
    recording: Option<Recording>,
    approval: Option<NeedsApproval>,
}

/// What a call does to the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Something, and nothing is known of doing it twice.
    #[default]
    AtLeastOnce,
    /// Nothing.
    ReadOnly,
    /// As much when it is done twice as when it is done once.
    Idempotent,
    /// Something that nobody but a person may have done twice.
    Once,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NeedsApproval {
    Yes,
    #[default]
    No,
}

/// Whether a call leaves a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Recording {
    #[default]
    On,
    Off,
}

impl ToolOptions {
    /// A call changes nothing, so that it may run again.
    #[must_use]
    pub fn read_only(self) -> Self {
        self.with_effect(Effect::ReadOnly)
    }

    /// A call that runs again does no more than one that ran once: it sets something to a value, or sends the call's
    /// [`idempotency_key`](crate::RunContext::idempotency_key) to a service that knows what it has done.
    #[must_use]
    pub fn idempotent(self) -> Self {
        self.with_effect(Effect::Idempotent)
    }

    /// Never runs a call a second time by itself. Its intent is recorded first; after a crash that leaves it without an
    /// outcome the execution waits for a person, by the name of the call's record (`pay_tool`), who answers with a
    /// `kitaru::Resolution`: it happened, and gave [this](crate::ToolOutput::happened), run it again, or fail. Takes no
    /// retries, and needs an agent each of whose calls is a checkpoint.
    #[must_use]
    pub fn once(self) -> Self {
        self.with_effect(Effect::Once)
    }

    /// What holds of a tool that declares nothing, to override one that does: a call runs at least once. Where one may run
    /// again after a crash, a warning says so.
    #[must_use]
    pub fn at_least_once(self) -> Self {
        self.with_effect(Effect::AtLeastOnce)
    }

    fn with_effect(self, effect: Effect) -> Self {
        Self { effect: Some(effect), ..self }
    }

    /// Tries a call that fails so many times more before its error ends the run; none unless set. What is sent back to
    /// the model is no failure.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        Self { retries: Some(retries), ..self }
    }

    /// Ends a try that takes longer than this; there is no bound unless set.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Runs the tool as part of the flow's own code, on every attempt, without a record. It has to come to the same each
    /// time; retries and a timeout do not count.
    #[must_use]
    pub fn not_durable(self) -> Self {
        Self { recording: Some(Recording::Off), ..self }
    }

    /// Asks somebody before each call, by a wait `<tool>_approval` that shows the arguments and is answered with an
    /// [`Approval`](crate::Approval). If a JSON value cannot say what the model wrote, it shows the model's own `text` too.
    /// Needs an agent each of whose calls is a checkpoint.
    ///
    /// The flow is out of memory meanwhile. Outside a flow, the run's own flow stays in memory while it waits, and after a
    /// restart goes on when the same question is asked again. Beside a call of the same response that has failed nobody is
    /// asked: the run ends, and the question is put when that call is tried again.
    ///
    /// A tool that wants approval of some calls only ends those in
    /// [`ToolError::approval_required`](crate::ToolError::approval_required) instead.
    #[must_use]
    pub fn requires_approval(self) -> Self {
        Self { approval: Some(NeedsApproval::Yes), ..self }
    }

    /// Asks nobody, to override a tool that says otherwise.
    #[must_use]
    pub fn without_approval(self) -> Self {
        Self { approval: Some(NeedsApproval::No), ..self }
    }

    /// These, but for what `others` set.
    pub(crate) fn overridden_by(self, others: Self) -> Self {
        Self {
            effect: others.effect.or(self.effect),
            retries: others.retries.or(self.retries),
            timeout: others.timeout.or(self.timeout),
            recording: others.recording.or(self.recording),
            approval: others.approval.or(self.approval),
        }
    }

    pub(crate) fn effect(&self) -> Effect {
        self.effect.unwrap_or_default()
    }

    pub(crate) fn tries_again(&self) -> u32 {
        self.retries.unwrap_or_default()
    }

    pub(crate) fn longest(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn recording(&self) -> Recording {
        self.recording.unwrap_or_default()
    }

    pub(crate) fn approval(&self) -> NeedsApproval {
        self.approval.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_counts_over_what_the_tool_declares_and_the_rest_stays() {
        let declared = ToolOptions::default().once().requires_approval().timeout(Duration::from_secs(1));
        let given = declared.overridden_by(ToolOptions::default().retries(2).without_approval());
        assert_eq!((given.effect(), given.approval()), (Effect::Once, NeedsApproval::No));
        assert_eq!((given.tries_again(), given.longest()), (2, Some(Duration::from_secs(1))));
        let given = declared.overridden_by(ToolOptions::default().at_least_once().not_durable());
        assert_eq!((given.effect(), given.approval()), (Effect::AtLeastOnce, NeedsApproval::Yes));
        assert_eq!(given.recording(), Recording::Off);
        assert_eq!(declared.overridden_by(ToolOptions::default()), declared);
    }
}
