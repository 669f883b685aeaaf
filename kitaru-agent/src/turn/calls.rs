//! The tool calls of one response.
//!
//! Owns which of them reach a tool, that they run concurrently, and the order of their outputs. Must not know what happens to
//! the outputs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Turn, wrong::What};
use crate::error::{AgentError, ToolError};
use crate::message::{Attachment, RequestMessage, RequestPart, RetryPrompt, ToolCall, ToolReturn};
use crate::siblings::Siblings;
use crate::tool::{Arguments, Invocation, ToolOutput};
use crate::usage::Usage;

/// One checked tool call.
enum Checked<'a> {
    Fits { call: &'a ToolCall, tool: usize, arguments: Arguments },
    Wrong { call: &'a ToolCall, what: What, message: String },
}

impl<T: Send + 'static> Turn<T> {
    /// Runs the calls of one response concurrently. The answers are in the order of the calls. `no_answers` are the invalid
    /// answers, each with a message.
    pub(super) async fn call_tools(
        &mut self,
        calls: &[&ToolCall],
        mut no_answers: BTreeMap<usize, String>,
    ) -> Result<RequestMessage, AgentError> {
        let mut checked = Vec::with_capacity(calls.len());
        for (nth, call) in calls.iter().enumerate() {
            checked.push(match no_answers.remove(&nth) {
                Some(message) => Checked::Wrong { call, what: What::Answer, message },
                None => self.check(call),
            });
        }
        let fitting = checked.iter().filter(|call| matches!(call, Checked::Fits { .. })).count() as u64;
        self.check_tool_calls(fitting)?;

        // All futures are made before the first is polled: a decorator that numbers calls when they are made numbers them in
        // order.
        let (siblings, mut made) = (Siblings::default(), Vec::new());
        for checked in &checked {
            if let Checked::Fits { call, tool, arguments } = checked {
                let mut context = self.context.clone();
                context.retry = self.wrong.times(&What::Tool(call.tool.clone()));
                context.sibling = siblings.another();
                let sibling = context.sibling.clone();
                let invocation = Invocation::new(call.call_ref(), arguments.clone(), context);
                made.push((sibling, (*self.agent.parts.tools[*tool]).call(invocation)));
            }
        }
        let outcomes = siblings.run(made).await;
        self.count(Usage { tool_calls: fitting, ..Usage::default() });
        let (parts, wrong) = outputs(checked, outcomes)?;
        self.wrong.count(wrong, self.limits.tool_retries)?;
        Ok(RequestMessage::new(parts))
    }

    fn check<'a>(&self, call: &'a ToolCall) -> Checked<'a> {
        let parts = &self.agent.parts;
        let Some(tool) = parts.tools.iter().position(|tool| tool.definition().name == call.tool) else {
            let known: Vec<_> = self.request.tools.iter().map(|tool| format!("`{}`", tool.name)).collect();
            let known =
                if known.is_empty() { "there are none".into() } else { format!("there are {}", known.join(", ")) };
            let message = format!("there is no tool `{}`; {known}", call.tool);
            return Checked::Wrong { call, what: What::UnknownTool, message };
        };
        let fits = Arguments::of(call).and_then(|arguments| {
            let value: Value = arguments.parse()?;
            match parts.schemas[tool].complaint(&value) {
                Some(complaint) => Err(ToolError::retry(format!("wrong arguments: {complaint}"))),
                None => Ok(arguments),
            }
        });
        match fits {
            Ok(arguments) => Checked::Fits { call, tool, arguments },
            Err(error) => Checked::Wrong { call, what: What::Tool(call.tool.clone()), message: error.to_string() },
        }
    }
}

/// The model's mistakes, and the messages about them.
type Complaints = Vec<(What, String)>;

/// The outputs for the model, in the order of its calls; `outcomes` are those of the valid calls. A call without an outcome has
/// a sibling that failed.
fn outputs(
    checked: Vec<Checked<'_>>,
    outcomes: Vec<Option<Result<ToolOutput, ToolError>>>,
) -> Result<(Vec<RequestPart>, Complaints), AgentError> {
    let mut outcomes = outcomes.into_iter();
    let mut parts = Vec::with_capacity(checked.len());
    let mut wrong = Vec::new();
    for checked in checked {
        let (call, what, message) = match checked {
            Checked::Wrong { call, what, message } => (call, what, message),
            Checked::Fits { call, .. } => match outcomes.next().flatten() {
                Some(Ok(output)) => {
                    parts.push(RequestPart::ToolReturn(ToolReturn::new(call.call_ref(), output.content)));
                    let attached = output.media.into_iter().map(|media| Attachment::of(call.call_ref(), media));
                    parts.extend(attached.map(RequestPart::Attachment));
                    continue;
                }
                Some(Err(ToolError::Retry(message))) => (call, What::Tool(call.tool.clone()), message),
                Some(Err(error)) => return Err(AgentError::Tool { tool: call.tool.clone(), error }),
                None => continue,
            },
        };
        parts.push(RequestPart::RetryPrompt(RetryPrompt::call(call.call_ref(), &message)));
        wrong.push((what, message));
    }
    Ok((parts, wrong))
}
