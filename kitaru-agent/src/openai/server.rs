//! Which servers of chat completions are known, and what each has of its own.
//!
//! Owns the differences, as data. Must not know how a request is written or an answer read: those ask for one difference each.

use serde_json::{Value, json};

use crate::model::Effort;

/// A server of chat completions whose differences from OpenAI's are known: names of fields, missing features, the forms of its
/// answers.
///
/// [`OpenAi::at`](crate::OpenAi::at) begins with it. Without it, the address decides: a known host is that server, and any other
/// address is [`Other`](Self::Other).
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{ChatServer, OpenAi};
///
/// let local = OpenAi::at(ChatServer::Ollama, "").model("qwen3:8b").build()?;
/// let routed = OpenAi::at(ChatServer::OpenRouter, "sk-or-…").model("moonshotai/kimi-k2").header("X-Title", "My agent").build()?;
/// # drop((local, routed));
/// # Ok::<(), kitaru::agent::ModelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChatServer {
    /// OpenAI's own.
    OpenAi,
    /// Azure OpenAI. Its address has the resource and the deployment: see [`OpenAi::azure`](crate::OpenAi::azure).
    Azure,
    /// The OpenAI-compatible endpoint of Amazon Bedrock: see [`OpenAi::bedrock`](crate::OpenAi::bedrock).
    Bedrock,
    /// DeepSeek.
    DeepSeek,
    /// The OpenAI-compatible endpoint of Gemini.
    Gemini,
    /// The server of llama.cpp, on this machine unless another address is set.
    LlamaCpp,
    /// Mistral.
    Mistral,
    /// Ollama, on this machine unless another address is set.
    Ollama,
    /// OpenRouter.
    OpenRouter,
    /// vLLM, on this machine unless another address is set.
    Vllm,
    /// Any other: everything that OpenAI's had first.
    Other,
}

/// Which content is sent back to a server, in addition to text and tool calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GiveBack {
    /// All that it may want back, byte for byte.
    #[default]
    Everything,
    /// Only texts and tool calls, for servers that refuse their own content.
    Nothing,
}

/// What a server has of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    pub(super) base_url: Option<&'static str>,
    pub(super) key_variable: &'static str,
    /// The header of the key; `None` for a bearer token.
    pub(super) key_header: Option<&'static str>,
    /// The name of the bound on an answer.
    pub(super) max_tokens: &'static str,
    pub(super) seed: Option<&'static str>,
    pub(super) has_penalties: bool,
    pub(super) has_top_k: bool,
    pub(super) has_parallel_tool_calls: bool,
    pub(super) has_service_tier: bool,
    /// It enforces a JSON schema on an answer.
    pub(super) has_json_schema: bool,
    /// It must be asked for the usage of a streamed answer.
    pub(super) has_stream_options: bool,
    /// It fetches content from an address.
    pub(super) fetches: bool,
    /// Where a document goes that is not a text.
    pub(super) documents: DocumentField,
    pub(super) effort: EffortField,
    /// What goes back unless a user says otherwise.
    pub(super) give_back: GiveBack,
    /// A message with calls must carry its reasoning, even an empty one.
    pub(super) needs_reasoning: bool,
    /// It reports the cost of an answer, in dollars.
    pub(super) reports_cost: bool,
    /// The tags around the reasoning at the beginning of a text.
    pub(super) reasoning_tags: Option<(&'static str, &'static str)>,
    /// What the assistant says between the outputs of tools and a prompt, where none may follow the other.
    pub(super) says_after_tools: Option<&'static str>,
    /// It accepts only ids of calls with nine letters and digits.
    pub(super) has_short_ids: bool,
}

/// How a server is asked for an effort, and for a bound on reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EffortField {
    /// `reasoning_effort`.
    Named,
    /// The same, with only `none` and `high`.
    NoneOrHigh,
    /// The same, and Google's own field for a bound.
    Google,
    /// An object `reasoning`, with an effort or a bound.
    Object,
    /// `thinking`, on or off, and `reasoning_effort`.
    Switch,
    /// The arguments of the model's template.
    Template,
}

/// How a server takes a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentField {
    /// `file`, with its content.
    File,
    /// `document_url`, an address or its content in the form of one.
    Address,
}

/// What most servers have.
const USUAL: Traits = Traits {
    base_url: None,
    key_variable: "OPENAI_API_KEY",
    key_header: None,
    max_tokens: "max_tokens",
    seed: Some("seed"),
    has_penalties: true,
    has_top_k: false,
    has_parallel_tool_calls: true,
    has_service_tier: true,
    has_json_schema: true,
    has_stream_options: true,
    fetches: true,
    documents: DocumentField::File,
    effort: EffortField::Named,
    give_back: GiveBack::Everything,
    needs_reasoning: false,
    reports_cost: false,
    reasoning_tags: None,
    says_after_tools: None,
    has_short_ids: false,
};

impl ChatServer {
    /// The server at a host.
    pub(super) fn of_host(host: &str) -> Self {
        let is = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.'));
        if is("api.openai.com") {
            Self::OpenAi
        } else if is("openai.azure.com") || is("services.ai.azure.com") {
            Self::Azure
        } else if host.starts_with("bedrock-") && is("amazonaws.com") {
            Self::Bedrock
        } else if is("api.deepseek.com") {
            Self::DeepSeek
        } else if is("generativelanguage.googleapis.com") {
            Self::Gemini
        } else if is("api.mistral.ai") {
            Self::Mistral
        } else if is("openrouter.ai") {
            Self::OpenRouter
        } else {
            Self::Other
        }
    }

    pub(super) fn traits(self) -> Traits {
        match self {
            Self::Other => USUAL,
            Self::OpenAi => Traits {
                base_url: Some("https://api.openai.com/v1"),
                // Its newer models accept only the new name, most other servers only the old one.
                max_tokens: "max_completion_tokens",
                ..USUAL
            },
            Self::Azure => Traits {
                key_variable: "AZURE_OPENAI_API_KEY",
                key_header: Some("api-key"),
                max_tokens: "max_completion_tokens",
                ..USUAL
            },
            Self::Bedrock => Traits {
                key_variable: "AWS_BEARER_TOKEN_BEDROCK",
                max_tokens: "max_completion_tokens",
                fetches: false,
                // It rejects fields that it does not know, its own reasoning included.
                give_back: GiveBack::Nothing,
                reasoning_tags: Some(("<reasoning>", "</reasoning>")),
                ..USUAL
            },
            Self::DeepSeek => Traits {
                base_url: Some("https://api.deepseek.com"),
                key_variable: "DEEPSEEK_API_KEY",
                seed: None,
                has_parallel_tool_calls: false,
                has_service_tier: false,
                has_json_schema: false,
                effort: EffortField::Switch,
                needs_reasoning: true,
                ..USUAL
            },
            Self::Gemini => Traits {
                base_url: Some("https://generativelanguage.googleapis.com/v1beta/openai"),
                key_variable: "GEMINI_API_KEY",
                has_penalties: false,
                has_parallel_tool_calls: false,
                has_service_tier: false,
                seed: None,
                fetches: false,
                effort: EffortField::Google,
                ..USUAL
            },
            Self::LlamaCpp => Traits {
                base_url: Some("http://localhost:8080/v1"),
                has_top_k: true,
                has_service_tier: false,
                effort: EffortField::Template,
                ..USUAL
            },
            Self::Mistral => Traits {
                base_url: Some("https://api.mistral.ai/v1"),
                key_variable: "MISTRAL_API_KEY",
                seed: Some("random_seed"),
                has_service_tier: false,
                // It sends the usage unasked, and rejects fields that it does not know.
                has_stream_options: false,
                documents: DocumentField::Address,
                effort: EffortField::NoneOrHigh,
                says_after_tools: Some("OK"),
                has_short_ids: true,
                ..USUAL
            },
            Self::Ollama => Traits {
                base_url: Some("http://localhost:11434/v1"),
                key_variable: "OLLAMA_API_KEY",
                has_parallel_tool_calls: false,
                has_service_tier: false,
                fetches: false,
                ..USUAL
            },
            Self::OpenRouter => Traits {
                base_url: Some("https://openrouter.ai/api/v1"),
                key_variable: "OPENROUTER_API_KEY",
                has_top_k: true,
                effort: EffortField::Object,
                reports_cost: true,
                ..USUAL
            },
            Self::Vllm => Traits {
                base_url: Some("http://localhost:8000/v1"),
                has_top_k: true,
                has_service_tier: false,
                effort: EffortField::Template,
                ..USUAL
            },
        }
    }
}

impl EffortField {
    /// The fields of a request with this effort.
    pub(super) fn of_effort(self, effort: Effort) -> Vec<(&'static str, Value)> {
        let word = word(effort);
        let named = |word: &str| ("reasoning_effort", word.into());
        match self {
            Self::Named | Self::Google => vec![named(word)],
            Self::NoneOrHigh => vec![named(if effort == Effort::None { "none" } else { "high" })],
            Self::Object => vec![("reasoning", json!({ "effort": word }))],
            Self::Switch if effort == Effort::None => vec![("thinking", json!({ "type": "disabled" }))],
            Self::Switch => {
                let level = if effort == Effort::Max { "max" } else { "high" };
                vec![("thinking", json!({ "type": "enabled" })), named(level)]
            }
            Self::Template => {
                let thinks = effort != Effort::None;
                let word = if thinks { word } else { "low" };
                vec![("chat_template_kwargs", json!({ "enable_thinking": thinks, "reasoning_effort": word }))]
            }
        }
    }

    /// The field of a request with this bound on reasoning. `None` if the server has no such bound.
    pub(super) fn of_tokens(self, tokens: u32) -> Option<(&'static str, Value)> {
        match self {
            Self::Object => Some(("reasoning", json!({ "max_tokens": tokens }))),
            Self::Google => {
                let config = json!({ "thinking_budget": tokens, "include_thoughts": true });
                Some(("extra_body", json!({ "google": { "thinking_config": config } })))
            }
            Self::Named | Self::NoneOrHigh | Self::Switch | Self::Template => None,
        }
    }
}

/// OpenAI's word for an effort.
pub(crate) fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Max => "xhigh",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_of_an_address_decides_which_server_it_is() {
        for (host, server) in [
            ("api.openai.com", ChatServer::OpenAi),
            ("mine.openai.azure.com", ChatServer::Azure),
            ("bedrock-runtime.eu-west-1.amazonaws.com", ChatServer::Bedrock),
            ("openrouter.ai", ChatServer::OpenRouter),
            ("notopenrouter.ai", ChatServer::Other),
            ("openrouter.ai.example.com", ChatServer::Other),
            ("localhost", ChatServer::Other),
        ] {
            assert_eq!(ChatServer::of_host(host), server, "{host}");
        }
    }
}
