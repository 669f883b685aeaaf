//! The options for the calls of one tool.
//!
//! Owns the options and their effect on a checkpoint. Must not know the tool.

use std::collections::BTreeMap;
use std::time::Duration;

use kitaru_core::dynamic::agents::Granularity;
use kitaru_core::dynamic::{self, DynamicCheckpoint, Scope};
use kitaru_core::{Error, Resolution};
use rig_core::tool::{ToolOutput, ToolResult};
use serde::Deserialize as _;
use serde_json::Value;

use crate::tool_reply::ToolReply;

/// How a [`KitaruRig`](crate::KitaruRig) makes the calls of one tool, if each is a checkpoint.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use kitaru_rig::{KitaruRig, ToolOptions};
///
/// # fn example(agent: KitaruRig) -> KitaruRig {
/// agent
///     .tool_options("search", ToolOptions::default().timeout(Duration::from_secs(10)))
///     .tool_options("pay", ToolOptions::default().once())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolOptions {
    timeout: Option<Duration>,
    effect: Effect,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Effect {
    #[default]
    AtLeastOnce,
    Once,
}

impl ToolOptions {
    /// Ends the run if a call takes longer than this; no bound unless set.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Never runs a call a second time by itself. Its intent is recorded first. If a crash leaves it without an outcome, the
    /// execution waits for a person, under the name of the call's record (`pay_tool`). The person answers with a
    /// `kitaru::Resolution`: the call happened and gave [this output](happened), run it again, or fail. Needs an agent whose
    /// every call is a checkpoint.
    #[must_use]
    pub fn once(self) -> Self {
        Self { effect: Effect::Once, ..self }
    }

    pub(crate) fn on(self, checkpoint: DynamicCheckpoint) -> DynamicCheckpoint {
        match self.effect {
            Effect::AtLeastOnce => checkpoint,
            Effect::Once => checkpoint.at_most_once().ask_on_interrupt(),
        }
    }

    /// Whether a person may be asked about an interrupted call.
    pub(crate) fn asks(self) -> bool {
        self.effect == Effect::Once
    }

    pub(crate) fn bound(self) -> Option<Duration> {
        self.timeout
    }
}

/// The answer for an interrupted call that may run only [once](ToolOptions::once), if the call did its work: it gave this
/// output.
///
/// # Errors
///
/// When the result cannot be written as JSON.
///
/// As JSON, the answer is `{"happened": "paid"}` for a tool that gives a text, and `{"happened": {"receipt": 7}}` for a tool
/// that gives any other value.
///
/// # Examples
///
/// ```
/// use rig_core::tool::{ToolOutput, ToolResult};
///
/// let resolution = kitaru_rig::happened(&ToolResult::success(ToolOutput::text("paid")))?;
/// # drop(resolution);
/// # Ok::<(), kitaru::Error>(())
/// ```
pub fn happened(result: &ToolResult) -> Result<Resolution, Error> {
    Resolution::happened(&ToolReply::of(result.clone()))
}

/// A person's answer about the output of a call: a result as it is [recorded](happened), a text as it is, or any other JSON.
pub(crate) fn reply_of(said: Value) -> ToolReply {
    if let Ok(reply) = ToolReply::deserialize(&said) {
        return reply;
    }
    ToolReply::of(ToolResult::success(match said {
        Value::String(text) => ToolOutput::text(text),
        value => ToolOutput::json(value),
    }))
}

/// Why an agent with these options cannot run here.
pub(crate) fn refusal(
    options: &BTreeMap<String, ToolOptions>,
    granularity: Granularity,
    is_known: impl Fn(&str) -> bool,
) -> Option<String> {
    if let Some(name) = options.keys().find(|name| !is_known(name)) {
        return Some(format!("it has options for a tool `{name}` that it does not have"));
    }
    let (name, _) = options.iter().find(|(_, options)| options.effect == Effect::Once)?;
    let records = granularity == Granularity::Call && dynamic::scope() == Scope::Flow;
    (!records).then(|| {
        format!(
            "tool `{name}` may run only once, and a checkpoint around the turn runs again after a crash: keep \
             `Granularity::Call`, and run the agent in the flow's own code"
        )
    })
}
