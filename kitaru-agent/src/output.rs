//! The type of an agent's answers.
//!
//! Owns its schema, how it is requested, how it is read and what validates it. Must not know a provider, nor how many mistakes
//! a model may make.

use std::{future::Future, sync::Arc};

use futures::{FutureExt as _, future::BoxFuture};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::context::RunContext;
use crate::error::ToolError;
use crate::message::ModelResponse;
use crate::model::{AnswerForm, ModelProfile};
use crate::schema::{self, Schema, WRAPPED, Wrapped};
use crate::tool::ToolDefinition;

/// The tool by which a model gives a typed answer.
pub(crate) const ANSWER_TOOL: &str = "final_result";
const ANSWER_DESCRIPTION: &str = "Gives the final answer and ends the conversation.";

/// How a typed answer is requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutputMode {
    /// By a tool if the model can call tools, otherwise by a schema.
    #[default]
    Auto,
    /// The model calls a tool `final_result` whose arguments are the answer.
    Tool,
    /// The model answers in JSON of a schema that the provider enforces.
    Schema,
}

/// A type that an agent can answer with: serde reads it, and its JSON schema goes to the model.
///
/// Every type that has serde's `DeserializeOwned` and `schemars::JsonSchema` is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer of an agent",
    label = "has no `serde::Deserialize` and `schemars::JsonSchema`",
    note = "a model sends a typed answer as JSON, and receives its schema",
    note = "write `#[derive(serde::Deserialize, schemars::JsonSchema)]` on `{Self}`, and `serde::Serialize` for a \
            `KitaruAgent`; schemars needs `schemars = \"1\"` in `Cargo.toml`"
)]
pub trait Structured: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> Structured for T {}

/// Everything about the answers of an agent whose type is `T`.
pub(crate) struct Output<D, T> {
    structure: Option<Structure<T>>,
    pub(crate) mode: OutputMode,
    /// Makes an answer of a text. Only `String` has it.
    from_text: Option<fn(String) -> T>,
    validators: Vec<Validator<D, T>>,
}

type Validator<D, T> = Arc<dyn Fn(RunContext<D>, T) -> BoxFuture<'static, Result<T, ToolError>> + Send + Sync>;

/// How a typed answer is read.
struct Structure<T> {
    definition: Arc<ToolDefinition>,
    check: Arc<Schema>,
    read: fn(Value) -> Result<T, serde_json::Error>,
}

// Not derived: neither the dependencies nor the answer need be `Clone`.
impl<D, T> Clone for Output<D, T> {
    fn clone(&self) -> Self {
        let structure = self.structure.as_ref().map(|structure| Structure {
            definition: structure.definition.clone(),
            check: structure.check.clone(),
            read: structure.read,
        });
        Self { structure, mode: self.mode, from_text: self.from_text, validators: self.validators.clone() }
    }
}

impl<D> Output<D, String> {
    pub(crate) fn text() -> Self {
        Self { structure: None, mode: OutputMode::Auto, from_text: Some(|text| text), validators: Vec::new() }
    }
}

impl<D, T> Output<D, T> {
    /// Fails with what is wrong with the type's schema.
    pub(crate) fn of() -> Result<Self, String>
    where
        T: Structured,
    {
        let (schema, wrapped) = schema::as_object(schema::of::<T>());
        let check = Arc::new(Schema::compile(&schema)?);
        let description = schema["description"].as_str().map(|of_type| format!("{ANSWER_DESCRIPTION} {of_type}"));
        let description = description.unwrap_or_else(|| ANSWER_DESCRIPTION.to_owned());
        let definition = Arc::new(ToolDefinition::new(ANSWER_TOOL, description).parameters(schema));
        let read = match wrapped {
            Wrapped::No => |value| serde_json::from_value(value),
            Wrapped::Yes => |mut value: Value| serde_json::from_value(value[WRAPPED].take()),
        };
        let structure = Some(Structure { definition, check, read });
        Ok(Self { structure, mode: OutputMode::Auto, from_text: None, validators: Vec::new() })
    }

    /// A placeholder for a type with an invalid schema. It never reads anything.
    pub(crate) fn unreadable() -> Self {
        Self { structure: None, mode: OutputMode::Auto, from_text: None, validators: Vec::new() }
    }

    /// The answer's type in an agent's identity.
    pub(crate) fn schema(&self) -> Option<&Value> {
        self.structure.as_ref().map(|structure| &structure.definition.parameters)
    }

    pub(crate) fn is_validated(&self) -> bool {
        !self.validators.is_empty()
    }

    pub(crate) fn validate<F, Fut>(&mut self, validator: F)
    where
        F: Fn(RunContext<D>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, ToolError>> + Send + 'static,
    {
        self.validators.push(Arc::new(move |context, answer| validator(context, answer).boxed()));
    }

    /// How a model of this profile is asked for an answer, and the tool for it, if there is one. Fails with the reason if the
    /// model cannot send such an answer.
    pub(crate) fn form(&self, profile: ModelProfile) -> Result<(AnswerForm, Option<ToolDefinition>), String> {
        let Some(structure) = &self.structure else { return Ok((AnswerForm::Text, None)) };
        let by_tool = match self.mode {
            OutputMode::Auto if profile.tools || profile.json_schema => profile.tools,
            OutputMode::Tool if profile.tools => true,
            OutputMode::Schema if profile.json_schema => false,
            mode => {
                return Err(format!(
                    "its model cannot send a typed answer in the mode {mode:?}; choose another with `.output_mode()`"
                ));
            }
        };
        if by_tool {
            return Ok((AnswerForm::Tool, Some((*structure.definition).clone())));
        }
        let schema = structure.definition.parameters.clone();
        Ok((AnswerForm::Schema { name: ANSWER_TOOL.to_owned(), schema }, None))
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`ToolError::Retry`], addressed to the model, if the text is not such an answer.
    pub(crate) fn read(&self, text: String) -> Result<T, ToolError> {
        let Some(structure) = &self.structure else {
            return match self.from_text {
                Some(from_text) if !text.trim().is_empty() => Ok(from_text(text)),
                _ => Err(ToolError::retry("the answer was empty; answer in text, or call a tool")),
            };
        };
        let wrong = |what: String| ToolError::retry(format!("the answer does not fit its schema: {what}"));
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| ToolError::retry(format!("the answer is not JSON ({error}); answer in JSON")))?;
        match structure.check.complaint(&value) {
            Some(complaint) => Err(wrong(complaint)),
            None => (structure.read)(value).map_err(|error| wrong(error.to_string())),
        }
    }

    /// The answer in a response, before any validator.
    pub(crate) fn said(&self, response: &ModelResponse) -> Option<T> {
        let mut given = response.tool_calls().filter(|call| call.tool == ANSWER_TOOL);
        let by_tool = given.find_map(|call| self.read(call.arguments.clone()).ok());
        by_tool.or_else(|| self.read(response.output()).ok())
    }

    /// Passes an answer from validator to validator.
    pub(crate) async fn validated(&self, context: &RunContext<D>, mut answer: T) -> Result<T, ToolError> {
        for validator in &self.validators {
            answer = validator(context.clone(), answer).await?;
        }
        Ok(answer)
    }

    /// The same answers, whose validators receive `deps`, in a run whose own context has any others.
    pub(crate) fn bound<Outer>(self, deps: &Arc<D>) -> Output<Outer, T>
    where
        D: Send + Sync + 'static,
        T: 'static,
        Outer: 'static,
    {
        let bind = |validator: Validator<D, T>| -> Validator<Outer, T> {
            let deps = deps.clone();
            Arc::new(move |context, answer| validator(context.with_deps(deps.clone()), answer))
        };
        let validators = self.validators.into_iter().map(bind).collect();
        Output { structure: self.structure, mode: self.mode, from_text: self.from_text, validators }
    }
}
