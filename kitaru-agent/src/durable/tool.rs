//! A tool whose every call is a checkpoint.
//!
//! Owns the record of a call, and what the tool's effect means for it. Must not know who approves a call.

use std::mem;
use std::sync::Arc;

use futures::FutureExt as _;
use kitaru_core::dynamic::{self, DynamicCheckpoint, Origin, Scope};
use kitaru_core::{Error, Resolution, idempotency_key, may_have_run};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::warn;

use super::bill::{self, Noted};
use super::progress::{Given, Place};
use super::replayed::Replayed;
use super::seams::Seams;
use super::tool_reply::ToolReply;
use crate::error::ToolError;
use crate::message::Media;
use crate::price::Cost;
use crate::tokens::Tokens;
use crate::tool::{Calling, Effect, Invocation, Recording, Tool, ToolDefinition, ToolOptions, ToolOutput};
use crate::usage::Usage;

/// How a person writes the output of an interrupted call.
const GAVE: &str = "What the tool gave: a text as it is, or any other JSON value.";

/// What a tool call adds to the usage of a run.
const ONE_CALL: Usage = Usage {
    requests: 0,
    tool_calls: 1,
    tokens: Tokens { input: 0, output: 0, cached_input: 0 },
    cost: Cost::from_nanos(0),
};

/// A tool whose every call is a checkpoint, or, in the body of a checkpoint, a part of that.
pub(super) struct DurableTool {
    checkpoint: String,
    /// The agent's name is in the key: two agents' tools with the same name are different tools.
    pub(super) seams: Seams,
    inner: Arc<dyn Tool>,
    options: ToolOptions,
}

/// Which of two questions a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The model's call.
    ByTheModel,
    /// The same call again, after the tool asked for approval and a person approved. The first call's record does not answer
    /// it.
    OnApproval,
}

/// The record of a call. It is also read from what a person may write: a `ToolOutput`, or the tool's value.
#[derive(Serialize, Deserialize)]
#[serde(from = "Written")]
struct Made {
    #[serde(flatten)]
    told: ToolReply,
    /// What the runs in its body took from the budget of the calling run.
    #[serde(default, skip_serializing_if = "Noted::is_nothing")]
    spent: Noted,
}

/// The forms of a call, the recorded one first.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Recorded {
        #[serde(flatten)]
        told: ToolReply,
        #[serde(default)]
        spent: Noted,
    },
    Output(OnlyOutput),
    /// By a test's stub, or by a person who says that a call has run.
    Given(serde_json::Value),
}

/// A `ToolOutput` and nothing else: a tool's own value may have a field `content`, too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyOutput {
    content: String,
    #[serde(default)]
    media: Vec<Media>,
}

impl From<Written> for Made {
    fn from(written: Written) -> Self {
        let (told, spent) = match written {
            Written::Recorded { told, spent } => (told, spent),
            Written::Output(OnlyOutput { content, media }) => {
                let output = media.into_iter().fold(ToolOutput::text(content), ToolOutput::with);
                (ToolReply::Output(output), Noted::default())
            }
            Written::Given(serde_json::Value::String(text)) => {
                (ToolReply::Output(ToolOutput::text(text)), Noted::default())
            }
            Written::Given(value) => (ToolReply::Output(ToolOutput::text(value.to_string())), Noted::default()),
        };
        Made { told, spent }
    }
}

impl ToolOutput {
    /// The answer for an interrupted call that may run only [once](crate::ToolOptions::once), if the call did its work: it gave
    /// this output.
    ///
    /// As JSON, the answer is `{"happened": "sent"}` for a tool that gives a text, and `{"happened": {"receipt": 7}}` for a
    /// tool that gives any other value.
    ///
    /// # Errors
    ///
    /// None is known; a text can always be written as JSON.
    pub fn happened(&self) -> Result<Resolution, Error> {
        match self.media.is_empty() {
            true => Resolution::happened(&self.content),
            false => Resolution::happened(self),
        }
    }
}

/// A person's answer about the output of a call: a text as it is, any other JSON as it is written.
fn happened(said: serde_json::Value) -> Result<Made, String> {
    // The recorded form, which earlier versions asked for. A value with other fields, too, is the tool's output.
    let read = Made::deserialize(&said).ok();
    if let Some(made) = read.filter(|made| matches!(made.told, ToolReply::Output(_)) && says_all_of(made, &said)) {
        return Ok(made);
    }
    let output = ToolOutput::json(&said).map_err(|error| error.to_string())?;
    Ok(Made { told: ToolReply::Output(output), spent: Noted::default() })
}

/// Whether all of the person's answer was read.
fn says_all_of(made: &Made, said: &serde_json::Value) -> bool {
    let ToolReply::Output(output) = &made.told else { return false };
    let text = match said {
        serde_json::Value::String(text) => Some(text.as_str()),
        said => said["content"].as_str(),
    };
    text == Some(output.content.as_str()) || serde_json::to_value(made).is_ok_and(|written| written == *said)
}

impl DurableTool {
    pub(super) fn new(seams: Seams, inner: Arc<dyn Tool>, options: ToolOptions) -> Self {
        let checkpoint = format!("{}_tool", inner.definition().name);
        DurableTool { checkpoint, seams, inner, options }
    }

    /// Makes the call, which claims its name now. Or returns the outcome of the broken run that this one continues.
    pub(super) fn make(&self, call: Invocation, asked: Asked) -> Calling<'_> {
        let mut checkpoint = self
            .seams
            .checkpoint(self.checkpoint.clone())
            .arg("arguments", call.arguments.as_str())
            .arg("agent", &*self.seams.agent);
        if asked == Asked::OnApproval {
            checkpoint = checkpoint.arg("approved", &true);
        }
        let place = self.seams.progress.place(checkpoint.question());
        let given = place.given();
        if self.options.recording() == Recording::Off {
            return match given {
                Some(given) => self.give_again(given),
                None => self.make_unrecorded(call, place),
            };
        }
        match (given, dynamic::scope()) {
            (None, _) => self.make_recorded(checkpoint, call, place),
            (Some(given), Scope::Body) => {
                // The next equal call of the body is another one, with another idempotency key.
                drop(self.make_recorded(checkpoint, call, place));
                self.give_again(given)
            }
            (Some(given), _) => self.give_again(given),
        }
    }

    /// Returns the outcome of a broken run.
    fn give_again(&self, given: Given) -> Calling<'_> {
        async move {
            match given {
                Given::Tool { told, spent } => {
                    let spent = Usage::from(spent);
                    if told.is_made() {
                        self.seams.repeats(ONE_CALL);
                    }
                    if spent != Usage::default() {
                        self.seams.spends_again(spent);
                    }
                    told.give()
                }
                Given::Failed(error) => Err(error),
                _ => Err(ToolError::failed(
                    "cannot make a tool call: its outcome is of another kind; begin the run again with `.fresh()`",
                )),
            }
        }
        .boxed()
    }

    /// A call that is like code of the flow. A run that continues a broken one may repeat it; the tool must allow for that.
    fn make_unrecorded(&self, call: Invocation, place: Place) -> Calling<'_> {
        async move {
            let told = ToolReply::of(self.inner.call(call).await)?;
            self.seams.progress.gave(&place, Given::Tool { told: told.clone(), spent: Noted::default() });
            told.give()
        }
        .boxed()
    }

    fn make_recorded(&self, mut checkpoint: DynamicCheckpoint, call: Invocation, place: Place) -> Calling<'_> {
        let is_once = self.options.effect() == Effect::Once;
        let mut is_first_try = true;
        let held = Arc::new(self.seams.replayed.as_ref().map(Replayed::hold).unwrap_or_default());
        if is_once {
            checkpoint = checkpoint.at_most_once().ask_on_interrupt();
        }
        let mut made = checkpoint
            .run(move || {
                let is_first_try = mem::replace(&mut is_first_try, false);
                let (mut call, held) = (call.clone(), held.clone());
                async move {
                    if is_first_try {
                        self.look_back();
                    }
                    call.context = call.context.with_idempotency_key(idempotency_key());
                    let (given, spent) = held.around(self.inner.call(call)).await;
                    let told = ToolReply::of(given)?;
                    if told.is_made() && self.seams.replayed.is_some() {
                        bill::note(ONE_CALL);
                    }
                    Ok::<_, ToolError>(Made { told, spent: spent.into() })
                }
            })
            .retries(self.options.tries_again());
        if is_once {
            made = made.happened_as(json!({ "description": GAVE }), |said| happened(said).map(Ok));
        }
        if let Some(timeout) = self.options.longest() {
            made = made.timeout(timeout);
        }
        if let Some(earlier) = place.failed() {
            made = made.in_place_of(earlier);
        }
        let made_as = made.call_identity();
        async move {
            let Seams { progress, replayed, .. } = &self.seams;
            let (made, origin) = made.with_origin().await;
            let Made { told, spent } = made.inspect_err(|error| match is_once {
                true => progress.gave(&place, Given::Failed(error.clone())),
                false => progress.failed(&place, made_as),
            })?;
            progress.gave(&place, Given::Tool { told: told.clone(), spent });
            if let Some(replayed) = replayed {
                replayed.settle(spent.into(), origin);
                if origin == Origin::Replayed && told.is_made() {
                    replayed.add(ONE_CALL);
                }
            }
            told.give()
        }
        .boxed()
    }

    /// Warns if a body with an unknown outcome may run a second time.
    fn look_back(&self) {
        if self.options.effect() == Effect::AtLeastOnce && may_have_run() {
            warn!(
                target: "kitaru",
                "Tool `{}` may have run before the process died, and runs again with the same arguments (idempotency key \
                 {}). Declare it `read_only` or `idempotent` if that does no harm, or `once` to be asked first.",
                self.definition().name,
                idempotency_key()
            );
        }
    }
}

impl Tool for DurableTool {
    fn definition(&self) -> &ToolDefinition {
        self.inner.definition()
    }

    // Not an `async fn`: the checkpoint claims its name when the call is made, in the order of the model's calls.
    fn call<'life0, 'async_trait>(&'life0 self, call: Invocation) -> Calling<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        self.make(call, Asked::ByTheModel)
    }
}
