//! The options that a tool declares for its calls.
//!
//! Owns the options and which of two declarations applies. Must not know who applies them: the plain agent does not.

use std::time::Duration;

/// How a [`KitaruAgent`](crate::KitaruAgent) makes the calls of a tool. The plain agent ignores these options.
///
/// A tool declares them with `#[tool(…)]` or [`ToolDefinition::options`](crate::ToolDefinition::options).
/// [`KitaruAgent::tool_options`](crate::KitaruAgent::tool_options) overrides them one by one.
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

/// The effect of a call on the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Effect {
    /// An effect, and a second call may do harm.
    #[default]
    AtLeastOnce,
    /// None.
    ReadOnly,
    /// Two calls have the same effect as one.
    Idempotent,
    /// An effect that only a person may allow a second time.
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
    /// A call changes nothing, so it may run again.
    #[must_use]
    pub fn read_only(self) -> Self {
        self.with_effect(Effect::ReadOnly)
    }

    /// A second run of a call has no further effect: the call sets something to a value, or sends its
    /// [`idempotency_key`](crate::RunContext::idempotency_key) to a service that recognises it.
    #[must_use]
    pub fn idempotent(self) -> Self {
        self.with_effect(Effect::Idempotent)
    }

    /// Never runs a call a second time by itself. Its intent is recorded first. If a crash leaves it without an outcome, the
    /// execution waits for a person, under the name of the call's record (`pay_tool`). The person answers with a
    /// `kitaru::Resolution`: the call happened and gave [this output](crate::ToolOutput::happened), run it again, or fail. Does
    /// not allow retries, and needs an agent whose every call is a checkpoint.
    #[must_use]
    pub fn once(self) -> Self {
        self.with_effect(Effect::Once)
    }

    /// The default of a tool that declares nothing, to override one that does: a call runs at least once. A warning is logged
    /// when a call may run again after a crash.
    #[must_use]
    pub fn at_least_once(self) -> Self {
        self.with_effect(Effect::AtLeastOnce)
    }

    fn with_effect(self, effect: Effect) -> Self {
        Self { effect: Some(effect), ..self }
    }

    /// How many times to retry a failed call before its error ends the run; none unless set. A message to the model is not a
    /// failure.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        Self { retries: Some(retries), ..self }
    }

    /// Ends a try that takes longer than this; no bound unless set.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Runs the tool as part of the flow's own code, on every attempt, without a record. Its output must be the same each time.
    /// Retries and a timeout have no effect.
    #[must_use]
    pub fn not_durable(self) -> Self {
        Self { recording: Some(Recording::Off), ..self }
    }

    /// Asks a person before each call, in a wait `<tool>_approval` that shows the arguments. The answer is an
    /// [`Approval`](crate::Approval). If a JSON value cannot express what the model wrote, the wait shows the model's own
    /// `text` too. Needs an agent whose every call is a checkpoint.
    ///
    /// The flow is parked until the answer. Outside a flow, the run's own flow is not parked while it waits, and after a
    /// restart it resumes when the same question is asked again. If another call of the same response has failed, the question
    /// is not asked: the run ends, and the question is asked when that call is tried again.
    ///
    /// A tool that needs approval only for some calls ends those in
    /// [`ToolError::approval_required`](crate::ToolError::approval_required) instead.
    #[must_use]
    pub fn requires_approval(self) -> Self {
        Self { approval: Some(NeedsApproval::Yes), ..self }
    }

    /// Asks for no approval, to override a tool that declares it.
    #[must_use]
    pub fn without_approval(self) -> Self {
        Self { approval: Some(NeedsApproval::No), ..self }
    }

    /// These options, overridden by those that `others` sets.
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
    fn options_override_what_the_tool_declares_one_by_one() {
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
