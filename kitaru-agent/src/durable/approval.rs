//! Tools that are called only once somebody has agreed.
//!
//! Owns the question and what comes of its answer. Must not know how the flow waits, nor what the tool does.

use std::future::ready;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kitaru_core::{Wait, dynamic, wait};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::Schema;
use crate::{Arguments, Calling, Invocation, Tool, ToolCall, ToolDefinition, ToolError, ToolOutput};

/// What somebody says to a tool call that [requires approval](crate::ToolOptions::requires_approval), by
/// `Kitaru::answer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Approval {
    /// Call it as the model asked.
    Approve,
    /// Call it with these arguments in place of the model's. If they do not fit the tool's schema, the question is asked
    /// again, with what is wrong.
    ApproveWith(Value),
    /// Do not call it, and tell the model why.
    Deny(String),
}

/// A tool in front of which a person stands.
pub(super) struct ApprovedTool {
    inner: Arc<dyn Tool>,
}

impl ApprovedTool {
    pub(super) fn new(inner: Arc<dyn Tool>) -> Self {
        ApprovedTool { inner }
    }

    /// The question and the wait for its answer, which claim their names now.
    fn ask(&self, arguments: &Arguments, wrong: Option<&str>) -> Asking {
        let tool = &self.inner.definition().name;
        let wrong = wrong.map(|wrong| format!(" The arguments that were given last do not fit: {wrong}."));
        let asked = arguments.as_str().to_owned();
        let asked = dynamic::checkpoint(format!("{tool}_question"))
            .json()
            .run(move || ready(Ok::<_, ToolError>(asked.clone())));
        let answer = wait(format!("{tool}_approval"))
            .question(format!("May the tool `{tool}` be called?{}", wrong.unwrap_or_default()))
            .metadata("tool", tool)
            .metadata("arguments", &arguments.parse::<Value>().unwrap_or_default());
        Asking { asked: Box::pin(asked), answer }
    }

    async fn asked(&self, mut asking: Asking, mut call: Invocation) -> Result<ToolOutput, ToolError> {
        loop {
            let asked = asking.asked.await?;
            let answer = asking.answer.await?;
            let arguments = match answer {
                // What was agreed to is a call with other arguments, which the model asked for before something changed.
                _ if asked != call.arguments.as_str() => {
                    asking = self.ask(&call.arguments, None);
                    continue;
                }
                Approval::Approve => break,
                Approval::Deny(reason) => return Ok(ToolOutput::text(format!("the call was denied: {reason}"))),
                Approval::ApproveWith(arguments) => arguments,
            };
            match self.check(&call, &arguments) {
                Ok(arguments) => {
                    call.arguments = arguments;
                    break;
                }
                Err(wrong) => asking = self.ask(&call.arguments, Some(&wrong)),
            }
        }
        self.inner.call(call).await
    }

    /// The arguments of a person, or what is wrong with them.
    fn check(&self, call: &Invocation, arguments: &Value) -> Result<Arguments, String> {
        let definition = self.inner.definition();
        let schema = Schema::compile(&definition.parameters)?;
        if let Some(complaint) = schema.complaint(arguments) {
            return Err(complaint);
        }
        let given = ToolCall::new(&call.call.id, &definition.name, arguments.to_string());
        Arguments::of(&given).map_err(|error| error.to_string())
    }
}

struct Asking {
    /// The arguments that the question was about when it was put: a wait is known by its name alone.
    asked: BoxFuture<'static, Result<String, ToolError>>,
    answer: Wait<Approval>,
}

impl Tool for ApprovedTool {
    fn definition(&self) -> &ToolDefinition {
        self.inner.definition()
    }

    // Not `async`: the wait claims its name when the call is made, in the order of the model's calls.
    fn call<'life0, 'async_trait>(&'life0 self, call: Invocation) -> Calling<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let asking = self.ask(&call.arguments, None);
        self.asked(asking, call).boxed()
    }
}
