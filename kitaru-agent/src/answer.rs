//! Which responses count as answers, for every model alike: every provider, streamed and whole, and models that users write.
//!
//! - An answer counts only if it stopped for a reason that means "complete".
//! - A tool call counts only if its arguments arrived whole.
//! - Unknown content next to the answer never costs the answer.
//! - What a provider wants back is sent back byte for byte.
//!
//! Owns the first rule, which also prevents a truncated tool call from being made. Must not know how a provider sends an
//! answer: its readers own the other rules.

use std::sync::Arc;

use async_trait::async_trait;

use crate::delta::Deltas;
use crate::error::{ModelError, ModelErrorKind};
use crate::message::{ModelResponse, Stop};
use crate::model::{AnswerForm, Model, ModelProfile, ModelRequest, OnLength};

/// Returns `response` if it counts as an answer of `model` to `request`. `reason` is the provider's own word for why it
/// stopped.
///
/// # Errors
///
/// A [`ModelError`] that says why the response does not count, and what to do.
pub(crate) fn counted(
    response: ModelResponse,
    reason: Option<&str>,
    model: &str,
    request: &ModelRequest,
) -> Result<ModelResponse, ModelError> {
    let is_cut = match response.stop {
        // A model that gives no reason sends whole answers.
        None | Some(Stop::End | Stop::ToolCalls) => return Ok(response),
        Some(Stop::Length | Stop::ContextFull) => true,
        Some(_) => false,
    };
    let called = response.tool_calls().next().is_some();
    let is_text = request.answer == AnswerForm::Text && !called && !response.output().trim().is_empty();
    if is_cut && is_text && request.settings.on_length == Some(OnLength::Accept) {
        return Ok(response);
    }
    let cut = if called { "in the middle of a tool call, which is not made" } else { "before it was complete" };
    let said = reason.map(|reason| format!(" (`{reason}`)")).unwrap_or_default();
    let (kind, why) = match response.stop {
        Some(Stop::Length) => {
            let bound = request.settings.max_tokens.map(|bound| format!(" of {bound}")).unwrap_or_default();
            let why = format!(
                "it reached its bound{bound} on tokens{said} {cut}; raise `max_tokens` in the `ModelSettings`, or ask for less"
            );
            (ModelErrorKind::Incomplete, why)
        }
        Some(Stop::ContextFull) => {
            let why = format!("the context window was full{said} {cut}; shorten the conversation, or ask for less");
            (ModelErrorKind::Incomplete, why)
        }
        Some(Stop::Refused) => {
            let why = format!("the provider withheld it, or a part of it{said}; ask for something else");
            (ModelErrorKind::Refused, why)
        }
        Some(Stop::Failed) => {
            let why = format!("the provider failed{said} {cut}; ask again");
            (ModelErrorKind::Unavailable, why)
        }
        Some(Stop::Paused) => {
            let why = format!(
                "the provider paused its turn{said}, and this client does not continue one; ask for less in one turn, or \
                 leave out the provider's own tools"
            );
            (ModelErrorKind::Incomplete, why)
        }
        _ => {
            let why = format!("it stopped for a reason that does not mean that it is complete{said}; ask the provider");
            (ModelErrorKind::Incomplete, why)
        }
    };
    Err(ModelError::new(kind, format!("cannot use the answer of `{model}`: {why}")))
}

/// Wraps a model, and passes on only answers that count.
pub(crate) struct Counted(Arc<dyn Model>);

impl Counted {
    pub(crate) fn new(model: Arc<dyn Model>) -> Self {
        Self(model)
    }
}

#[async_trait]
impl Model for Counted {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        counted(self.0.request(request).await?, None, self.name(), request)
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        counted(self.0.request_streaming(request, deltas).await?, None, self.name(), request)
    }

    fn profile(&self) -> ModelProfile {
        self.0.profile()
    }
}
