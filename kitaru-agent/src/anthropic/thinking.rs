//! How a model of Anthropic's is asked to think.
//!
//! Owns which models think within a bound, and which adapt. Must not know the rest of a request.

use serde_json::{Value, json};

use crate::error::ModelError;
use crate::http::{Question, configuration};
use crate::model::Effort;

/// The least bound on thinking that the API accepts.
const LEAST: u32 = 1024;
/// What is left for the answer, if only the thinking is bounded.
const ANSWER: u32 = 4096;

/// What a request says about thinking.
#[derive(Default)]
pub(super) struct Thinking {
    pub(super) fields: Vec<(&'static str, Value)>,
    /// The bound on the thinking.
    tokens: Option<u32>,
    pub(super) is_on: bool,
}

impl Thinking {
    /// # Errors
    ///
    /// For a bound that the model does not have, or that is too small.
    pub(super) fn of(question: &Question<'_>) -> Result<Self, ModelError> {
        let settings = &question.request.settings;
        let bounded = is_bounded(question.model);
        match (settings.reasoning_tokens, settings.effort) {
            (Some(tokens), _) if bounded && tokens >= LEAST => Ok(Self::within(tokens)),
            (Some(tokens), _) if bounded => Err(configuration(format!(
                "cannot ask `{}`: {tokens} `reasoning_tokens` are too few; set {LEAST} or more, or `Effort::None`",
                question.model
            ))),
            (Some(_), _) => Err(question.lacks("reasoning_tokens", "set an `effort` instead")),
            (None, None) => Ok(Self::default()),
            (None, Some(Effort::None)) => {
                Ok(Self { fields: vec![("thinking", json!({ "type": "disabled" }))], ..Self::default() })
            }
            (None, Some(effort)) if bounded => Ok(Self::within(tokens(effort))),
            (None, Some(effort)) => {
                let adaptive = ("thinking", json!({ "type": "adaptive" }));
                let effort = ("output_config", json!({ "effort": word(effort) }));
                Ok(Self { fields: vec![adaptive, effort], tokens: None, is_on: true })
            }
        }
    }

    fn within(tokens: u32) -> Self {
        let fields = vec![("thinking", json!({ "type": "enabled", "budget_tokens": tokens }))];
        Self { fields, tokens: Some(tokens), is_on: true }
    }

    /// The bound on a whole answer, of which the thinking is a part. `usual` is the bound if none is set.
    ///
    /// # Errors
    ///
    /// For a bound that leaves nothing for the answer.
    pub(super) fn max_tokens(&self, question: &Question<'_>, usual: u32) -> Result<u32, ModelError> {
        match (question.request.settings.max_tokens, self.tokens) {
            (Some(all), Some(thinking)) if all <= thinking => Err(configuration(format!(
                "cannot ask `{}`: {thinking} tokens for thinking leave nothing of `max_tokens`, which is {all}; raise it",
                question.model
            ))),
            (Some(all), _) => Ok(all),
            (None, Some(thinking)) => Ok(usual.max(thinking.saturating_add(ANSWER))),
            (None, None) => Ok(usual),
        }
    }
}

/// Whether a model thinks within a bound. Newer ones adapt, and refuse a bound. Servers other than
/// Anthropic's have the bound.
fn is_bounded(model: &str) -> bool {
    let old = ["claude-3", "-4-0", "-4-1", "-4-2", "-4-5", "-4@"];
    !model.contains("claude") || old.iter().any(|part| model.contains(part))
}

fn tokens(effort: Effort) -> u32 {
    match effort {
        Effort::None | Effort::Minimal => LEAST,
        Effort::Low => 2048,
        Effort::Medium => 8192,
        Effort::High => 16_384,
        Effort::Max => 32_000,
    }
}

fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Max => "max",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_think_within_a_bound_are_known_by_their_names() {
        for (model, bounded) in [
            ("claude-sonnet-4-5", true),
            ("claude-haiku-4-5-20251001", true),
            ("claude-opus-4-20250514", true),
            ("claude-3-7-sonnet-latest", true),
            ("deepseek-v4-pro", true),
            ("claude-opus-4-6", false),
            ("claude-opus-4-7", false),
            ("claude-sonnet-5", false),
        ] {
            assert_eq!(is_bounded(model), bounded, "{model}");
        }
    }
}
