//! Tools that are called only after a person has approved.
//!
//! Owns the question and the effect of its answer. Must not know how the flow waits, nor what the tool does.

use std::future::ready;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kitaru_core::dynamic::{self, Scope};
use kitaru_core::{Wait, wait};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agreement::Approval;
use super::progress::{Given, Place};
use super::tool::{Asked, DurableTool};
use crate::error::ToolError;
use crate::message::ToolCall;
use crate::schema::Schema;
use crate::tool::{Arguments, Calling, Invocation, NeedsApproval, Tool, ToolDefinition, ToolOutput};

/// A tool whose calls a person approves, if the tool or its options require that.
pub(super) struct ApprovedTool {
    inner: DurableTool,
    needs: NeedsApproval,
}

/// Why the question is asked.
#[derive(Clone, Copy)]
enum Because<'a> {
    /// Every call of the tool needs approval.
    Always,
    /// The tool gave this reason.
    Reason(&'a str),
}

impl ApprovedTool {
    pub(super) fn new(inner: DurableTool, needs: NeedsApproval) -> Self {
        ApprovedTool { inner, needs }
    }

    /// The question and the wait for its answer, which claim their names now.
    fn ask(&self, arguments: &Arguments, because: Because<'_>, wrong: Option<&str>) -> Asking {
        let question = dynamic::checkpoint(format!("{}_approval", self.definition().name))
            .arg("arguments", arguments.as_str())
            .arg("agent", &*self.inner.seams.agent);
        let place = self.inner.seams.progress.place(question.question());
        match place.given() {
            Some(Given::Approval(approval)) => Asking::Answered(approval),
            _ => self.ask_again(arguments, because, wrong, place),
        }
    }

    fn ask_again(&self, arguments: &Arguments, because: Because<'_>, wrong: Option<&str>, place: Place) -> Asking {
        let tool = &self.definition().name;
        let mut question = format!("May the tool `{tool}` be called?");
        let shown = arguments.parse::<Value>().unwrap_or_default();
        let asked = self.subject(arguments);
        let asked = self
            .inner
            .seams
            .checkpoint_of_any_version(format!("{tool}_question"))
            .run(move || ready(Ok::<_, ToolError>(asked.clone())));
        let mut answer = wait(format!("{tool}_approval")).metadata("tool", tool).metadata("arguments", &shown);
        if !says_all(&shown, arguments) {
            answer = answer.metadata("text", arguments.as_str());
        }
        if let Because::Reason(reason) = because {
            question += &format!(" It asks because: {reason}.");
            answer = answer.metadata("reason", reason);
        }
        if let Some(wrong) = wrong {
            question += &format!(" The arguments that were given last do not fit: {wrong}.");
        }
        Asking::Asked(Box::new(Question { asked: Box::pin(asked), answer: answer.question(question), place }))
    }

    fn subject(&self, arguments: &Arguments) -> Subject {
        Subject { agent: self.inner.seams.agent.to_string(), arguments: arguments.as_str().to_owned() }
    }

    /// The approved call, or the output that tells the model of a denied one.
    async fn agreed(
        &self,
        mut asking: Asking,
        mut call: Invocation,
        because: Because<'_>,
    ) -> Result<Result<Invocation, ToolOutput>, ToolError> {
        // The call begins only after approval, and not at all if a sibling has failed in the meantime: that ends the run, so
        // that nothing has happened when it is tried again.
        let sibling = call.context.sibling.clone();
        loop {
            let answer = match asking {
                Asking::Answered(approval) => approval,
                Asking::Asked(question) => {
                    let Question { asked, answer, place } = *question;
                    let asked = sibling.wait(asked).await?;
                    let answer = sibling.wait(answer).await?;
                    if asked != self.subject(&call.arguments) {
                        // The approval is for another call, which a model made before something changed.
                        asking = self.ask_again(&call.arguments, because, None, place);
                        continue;
                    }
                    self.inner.seams.progress.gave(&place, Given::Approval(answer.clone()));
                    answer
                }
            };
            let arguments = match answer {
                Approval::Approve => break,
                Approval::Deny(reason) => return Ok(Err(ToolOutput::text(format!("the call was denied: {reason}")))),
                Approval::ApproveWith(arguments) => arguments,
            };
            match self.check(&call, &arguments) {
                Ok(arguments) => {
                    call.arguments = arguments;
                    break;
                }
                Err(wrong) => asking = self.ask(&call.arguments, because, Some(&wrong)),
            }
        }
        call.context = call.context.approved();
        Ok(Ok(call))
    }

    /// Makes a call whose tool may ask for approval: `made` is its outcome.
    async fn or_ask(&self, made: Calling<'_>, mut call: Invocation) -> Result<ToolOutput, ToolError> {
        let reason = match made.await {
            Err(ToolError::Approval(reason)) if dynamic::scope() == Scope::Flow => reason,
            given => return given,
        };
        if !call.context.is_approved() {
            let because = Because::Reason(&reason);
            let asking = self.ask(&call.arguments, because, None);
            call = match self.agreed(asking, call, because).await? {
                Ok(call) => call,
                Err(denied) => return Ok(denied),
            };
        }
        match self.inner.make(call, Asked::OnApproval).await {
            Err(ToolError::Approval(reason)) => Err(ToolError::failed(format!(
                "cannot call tool `{}`: it asks to approve an approved call ({reason}); let a call pass that `is_approved()`",
                self.definition().name
            ))),
            given => given,
        }
    }

    /// The arguments of a person, or what is wrong with them.
    fn check(&self, call: &Invocation, arguments: &Value) -> Result<Arguments, String> {
        let definition = self.definition();
        let schema = Schema::compile(&definition.parameters)?;
        if let Some(complaint) = schema.complaint(arguments) {
            return Err(complaint);
        }
        let given = ToolCall::new(&call.call.id, &definition.name, arguments.to_string());
        Arguments::of(&given).map_err(|error| error.to_string())
    }
}

/// Whether a value, written again, contains all that the model wrote, in any order of members. A number may have more digits
/// than a value holds, and a member may appear twice.
fn says_all(value: &Value, arguments: &Arguments) -> bool {
    let sorted = |text: &str| {
        let mut chars: Vec<_> = text.chars().filter(|char| !char.is_whitespace()).collect();
        chars.sort_unstable();
        chars
    };
    sorted(&value.to_string()) == sorted(arguments.as_str())
}

/// The subject of a question, as it is recorded. It is not in the key: the present question must find the earlier one.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Subject {
    agent: String,
    arguments: String,
}

enum Asking {
    /// A person answered in a broken run, which this run continues.
    Answered(Approval),
    Asked(Box<Question>),
}

struct Question {
    /// The subject when the question was asked: only its name identifies a wait.
    asked: BoxFuture<'static, Result<Subject, ToolError>>,
    answer: Wait<Approval>,
    place: Place,
}

impl Tool for ApprovedTool {
    fn definition(&self) -> &ToolDefinition {
        self.inner.definition()
    }

    // Not `async`: the wait, or the call, claims its name when it is made, in the order of the model's calls.
    fn call<'life0, 'async_trait>(&'life0 self, call: Invocation) -> Calling<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        if self.needs == NeedsApproval::No {
            let made = self.inner.make(call.clone(), Asked::ByTheModel);
            return self.or_ask(made, call).boxed();
        }
        let asking = self.ask(&call.arguments, Because::Always, None);
        async move {
            match self.agreed(asking, call, Because::Always).await? {
                Ok(call) => self.or_ask(self.inner.make(call.clone(), Asked::ByTheModel), call).await,
                Err(denied) => Ok(denied),
            }
        }
        .boxed()
    }
}
