//! A model that exercises an agent.
//!
//! Owns arguments that fit a schema. Must not know a provider.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::error::ModelError;
use crate::message::{Message, ModelResponse, RequestPart, ResponsePart, ToolCall};
use crate::model::{AnswerForm, Model, ModelProfile, ModelRequest};
use crate::output::ANSWER_TOOL;

/// A model for tests, without a provider. It calls every tool once, with arguments that fit its schema. Then it answers with
/// the tools' outputs, or with a value that fits the schema of the answer. Equal requests get equal answers.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, FunctionTool, TestModel, ToolDefinition, ToolOutput};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let now = FunctionTool::new(ToolDefinition::new("now", ""), |_| async { Ok(ToolOutput::text("noon")) });
/// let result = Agent::builder(TestModel::new()).tool(now).build()?.run("What time is it?").await?;
/// assert_eq!(result.output, r#"{"now":"noon"}"#);
/// assert_eq!((result.usage.requests, result.usage.tool_calls), (2, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TestModel;

impl TestModel {
    /// The model. Its name is `test`.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Model for TestModel {
    fn name(&self) -> &str {
        "test"
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        let (answers, tools): (Vec<_>, Vec<_>) =
            request.tools.iter().partition(|tool| tool.name == ANSWER_TOOL && request.answer == AnswerForm::Tool);
        // The calls of this run; calls of earlier runs are before the newest prompt.
        let asked = |message: &Message| match message {
            Message::Request(request) => request.parts.iter().any(|part| matches!(part, RequestPart::UserPrompt(_))),
            Message::Response(_) => false,
        };
        let begun = request.messages.iter().rposition(asked).unwrap_or_default();
        let called = request.messages[begun..].iter().any(|message| matches!(message, Message::Response(_)));
        if !called && !tools.is_empty() {
            let call = |(n, tool): (usize, &&crate::tool::ToolDefinition)| {
                let id = format!("call_{}_{n}", request.messages.len());
                let arguments = sample(&tool.parameters, &tool.parameters, 0).to_string();
                ResponsePart::ToolCall(ToolCall::new(id, &tool.name, arguments))
            };
            return Ok(ModelResponse::new(tools.iter().enumerate().map(call).collect()));
        }
        Ok(match (&request.answer, answers.first()) {
            (AnswerForm::Schema { schema, .. }, _) => ModelResponse::text(sample(schema, schema, 0).to_string()),
            (AnswerForm::Tool, Some(tool)) => {
                let id = format!("call_{}", request.messages.len());
                let answer = sample(&tool.parameters, &tool.parameters, 0).to_string();
                ModelResponse::tool_call(id, ANSWER_TOOL, answer)
            }
            _ => {
                let given = request.tool_returns().into_iter();
                let given: Map<_, _> =
                    given.map(|given| (given.call.tool.clone(), given.content.clone().into())).collect();
                let text =
                    if given.is_empty() { "no tool was called".into() } else { Value::Object(given).to_string() };
                ModelResponse::text(text)
            }
        })
    }

    fn profile(&self) -> ModelProfile {
        ModelProfile { json_schema: true, ..ModelProfile::default() }
    }
}

/// A schema that refers to itself is followed only to this depth.
const MAX_DEPTH: usize = 16;

/// The simplest value that fits a schema, for the keywords that people and `schemars` use. `root` is where references start.
fn sample(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    let within = |schema: &Value| sample(schema, root, depth + 1);
    if let Some(value) = schema.get("const").or_else(|| schema.get("default")).or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    if let Some(place) = schema["$ref"].as_str() {
        return root.pointer(place.trim_start_matches('#')).map_or(Value::Null, within);
    }
    if let Some(one) = schema["anyOf"].get(0).or_else(|| schema["oneOf"].get(0)) {
        return within(one);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0).and_then(Value::as_str));
    match kind {
        Some("string") => "a".repeat(schema["minLength"].as_u64().unwrap_or(1).min(1_000) as usize).into(),
        Some("integer") => {
            let above = schema["exclusiveMinimum"].as_i64().map(|least| least.saturating_add(1));
            schema["minimum"].as_f64().map(|least| least.ceil() as i64).or(above).unwrap_or(0).into()
        }
        Some("number") => {
            let above = schema["exclusiveMinimum"].as_f64().map(|least| least + 1.0);
            json!(schema["minimum"].as_f64().or(above).unwrap_or(0.0))
        }
        Some("boolean") => false.into(),
        Some("array") => {
            let first = schema["prefixItems"].as_array().into_iter().flatten().map(within);
            let least = schema["minItems"].as_u64().unwrap_or(0).min(100) as usize;
            let mut items: Vec<_> = first.collect();
            while items.len() < least {
                items.push(within(&schema["items"]));
            }
            items.into()
        }
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            required.map(|name| (name.to_owned(), within(&schema["properties"][name]))).collect::<Map<_, _>>().into()
        }
        _ => Value::Null,
    }
}
