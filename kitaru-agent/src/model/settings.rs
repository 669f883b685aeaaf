//! The settings of a request.
//!
//! Owns which settings there are, their stored form, and which of two applies. Must not know a provider's name for any of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings of a request. A setting that is not set is left to the provider.
///
/// All of them are a part of the question: a durable run with a changed setting asks again. Settings after
/// [`parallel_tool_calls`](Self::parallel_tool_calls) are left out of the stored form if they are not set, so that requests
/// without them keep their earlier keys.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Effort, ModelSettings};
///
/// let base = ModelSettings::default().temperature(0.2).max_tokens(500);
/// let strict = base.clone().overridden_by(&ModelSettings::default().temperature(0.0).effort(Effort::Low));
/// assert_eq!((strict.temperature, strict.max_tokens, strict.effort), (Some(0.0), Some(500), Some(Effort::Low)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModelSettings {
    /// The randomness of the answer.
    pub temperature: Option<f64>,
    /// The share of the likeliest words to consider.
    pub top_p: Option<f64>,
    /// The most tokens of an answer, reasoning included. An answer that reaches it is an error: see
    /// [`on_length`](Self::on_length).
    pub max_tokens: Option<u32>,
    /// Asks a provider that supports it for the same answer each time.
    pub seed: Option<u64>,
    /// Whether the model may call several tools in one response.
    pub parallel_tool_calls: Option<bool>,
    /// What happens to a text that reached the bound on its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_length: Option<OnLength>,
    /// Texts at which the model stops.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Which tools the model must call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// How much the model reasons before it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// The most tokens that the model may reason with. It replaces [`effort`](Self::effort).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u32>,
    /// The provider's name for the tier that serves the request, such as `flex` or `priority`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// How many of the likeliest words to consider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Makes words that have occurred less likely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Makes words less likely each time they occur.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Further fields for the body of the request, in the provider's own terms.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub body: BTreeMap<String, Value>,
}

/// What happens to a text answer that stopped at the bound on its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnLength {
    /// It is an error that says to raise the bound.
    #[default]
    Fail,
    /// It is the answer, as far as it goes. Its response has [`Stop::Length`](crate::Stop). A typed answer and an answer with
    /// tool calls are still errors.
    Accept,
}

/// Which tools the model must call.
///
/// A forced call applies until the model has called a tool since the newest prompt: otherwise a run could not end. A typed
/// answer that the model gives by a tool is always forced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool.
    None,
    /// At least one tool.
    Required,
    /// The tool of this name.
    Tool(String),
}

/// How much a model reasons before it answers. A provider that has fewer levels uses the nearest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// Much.
    High,
    /// As much as possible.
    Max,
}

impl ModelSettings {
    /// Sets the temperature.
    pub fn temperature(self, value: f64) -> Self {
        Self { temperature: Some(value), ..self }
    }

    /// Sets the share of the likeliest words.
    pub fn top_p(self, value: f64) -> Self {
        Self { top_p: Some(value), ..self }
    }

    /// Bounds the answer.
    pub fn max_tokens(self, value: u32) -> Self {
        Self { max_tokens: Some(value), ..self }
    }

    /// Sets the seed.
    pub fn seed(self, value: u64) -> Self {
        Self { seed: Some(value), ..self }
    }

    /// Allows or forbids several tool calls in one answer.
    pub fn parallel_tool_calls(self, value: bool) -> Self {
        Self { parallel_tool_calls: Some(value), ..self }
    }

    /// Sets what happens to a text that reached the bound on its tokens; an error unless set.
    pub fn on_length(self, value: OnLength) -> Self {
        Self { on_length: Some(value), ..self }
    }

    /// Sets the texts at which the model stops. The answer does not contain them.
    pub fn stop<S: Into<String>>(self, texts: impl IntoIterator<Item = S>) -> Self {
        Self { stop: texts.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets which tools the model must call.
    pub fn tool_choice(self, value: ToolChoice) -> Self {
        Self { tool_choice: Some(value), ..self }
    }

    /// Sets how much the model reasons.
    pub fn effort(self, value: Effort) -> Self {
        Self { effort: Some(value), ..self }
    }

    /// Bounds the tokens that the model reasons with. A server without such a bound refuses it.
    pub fn reasoning_tokens(self, value: u32) -> Self {
        Self { reasoning_tokens: Some(value), ..self }
    }

    /// Sets the tier that serves the request.
    pub fn service_tier(self, value: impl Into<String>) -> Self {
        Self { service_tier: Some(value.into()), ..self }
    }

    /// Sets how many of the likeliest words to consider.
    pub fn top_k(self, value: u32) -> Self {
        Self { top_k: Some(value), ..self }
    }

    /// Sets the penalty for words that have occurred.
    pub fn presence_penalty(self, value: f64) -> Self {
        Self { presence_penalty: Some(value), ..self }
    }

    /// Sets the penalty for each time that a word has occurred.
    pub fn frequency_penalty(self, value: f64) -> Self {
        Self { frequency_penalty: Some(value), ..self }
    }

    /// Adds a field to the body of the request, in the provider's own terms. A field that the request itself has, or that
    /// another setting sets, is refused when the model is asked.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::ModelSettings;
    /// use serde_json::json;
    ///
    /// let settings = ModelSettings::default().body("provider", json!({ "order": ["groq"], "allow_fallbacks": false }));
    /// assert_eq!(settings.body["provider"]["order"][0], "groq");
    /// ```
    pub fn body(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.body.insert(name.into(), value.into());
        self
    }

    /// These settings, overridden by those that `other` sets. Fields of the body are overridden one by one.
    pub fn overridden_by(self, other: &Self) -> Self {
        let mut body = self.body;
        body.extend(other.body.clone());
        Self {
            temperature: other.temperature.or(self.temperature),
            top_p: other.top_p.or(self.top_p),
            max_tokens: other.max_tokens.or(self.max_tokens),
            seed: other.seed.or(self.seed),
            parallel_tool_calls: other.parallel_tool_calls.or(self.parallel_tool_calls),
            on_length: other.on_length.or(self.on_length),
            stop: if other.stop.is_empty() { self.stop } else { other.stop.clone() },
            tool_choice: other.tool_choice.clone().or(self.tool_choice),
            effort: other.effort.or(self.effort),
            reasoning_tokens: other.reasoning_tokens.or(self.reasoning_tokens),
            service_tier: other.service_tier.clone().or(self.service_tier),
            top_k: other.top_k.or(self.top_k),
            presence_penalty: other.presence_penalty.or(self.presence_penalty),
            frequency_penalty: other.frequency_penalty.or(self.frequency_penalty),
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every setting, told apart by `n`.
    fn all(n: u32, on_length: OnLength, effort: Effort) -> ModelSettings {
        let float = f64::from(n) / 10.0;
        let settings = ModelSettings::default().temperature(float).top_p(float).max_tokens(n);
        let settings = settings.seed(n.into()).parallel_tool_calls(n == 1).on_length(on_length);
        let settings = settings.stop([n.to_string()]).tool_choice(ToolChoice::Tool(n.to_string())).effort(effort);
        let settings = settings.reasoning_tokens(n).service_tier(n.to_string()).top_k(n).presence_penalty(float);
        settings.frequency_penalty(float).body("n", n)
    }

    #[test]
    fn settings_override_others_one_by_one() {
        let (one, two) = (all(1, OnLength::Accept, Effort::Low), all(2, OnLength::Fail, Effort::High));
        assert_eq!(one.clone().overridden_by(&two), two);
        assert_eq!(one.clone().overridden_by(&ModelSettings::default()), one);
        assert_eq!(ModelSettings::default().overridden_by(&one), one);
        let both = one.overridden_by(&ModelSettings::default().body("m", 3));
        assert_eq!((&both.body["n"], &both.body["m"]), (&1.into(), &3.into()));
    }

    #[test]
    fn every_setting_is_stored_and_one_that_is_not_set_is_left_out() {
        let one = all(1, OnLength::Accept, Effort::Low);
        let stored = serde_json::to_value(&one).unwrap();
        assert_eq!(serde_json::from_value::<ModelSettings>(stored.clone()).unwrap(), one);
        let none = serde_json::to_value(ModelSettings::default()).unwrap();
        assert_eq!((stored.as_object().unwrap().len(), none.as_object().unwrap().len()), (15, 5));
    }
}
