//! The seam to a tool.
//!
//! Owns the input and the output of a tool, and tools made of functions. Must not know the loop that calls it, nor which
//! decorators wrap the tool: a decorator is a [`Tool`] too.

mod options;
mod set;

use std::{any, future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use futures::{FutureExt as _, future::BoxFuture};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned, ser::SerializeStruct as _};

pub use options::ToolOptions;
pub(crate) use options::{Effect, NeedsApproval, Recording};
pub use set::ToolSet;

use crate::context::RunContext;
use crate::error::ToolError;
use crate::message::{CallRef, Media, ToolCall};
use crate::nesting;

/// A tool that a model may call. Implementations need the attribute of the crate `async-trait`.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Invocation, Tool, ToolDefinition, ToolError, ToolOutput};
///
/// struct Dice(ToolDefinition);
///
/// #[async_trait::async_trait]
/// impl Tool for Dice {
///     fn definition(&self) -> &ToolDefinition {
///         &self.0
///     }
///
///     async fn call(&self, call: Invocation) -> Result<ToolOutput, ToolError> {
///         #[derive(serde::Deserialize)]
///         struct Arguments {
///             sides: u32,
///         }
///         match call.arguments.parse()? {
///             Arguments { sides: 0 } => Err(ToolError::retry("a dice has at least one side")),
///             Arguments { sides } => Ok(ToolOutput::text(sides.to_string())),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Tool<D = ()>: Send + Sync
where
    D: Send + Sync + 'static,
{
    /// The definition of the tool. It must stay the same for as long as the tool lives.
    fn definition(&self) -> &ToolDefinition;

    /// Does the work. The arguments fit the schema of the definition. The agent makes the futures of all calls of one response
    /// in order before it polls the first, then polls them all concurrently.
    ///
    /// # Errors
    ///
    /// [`ToolError::Retry`] goes back to the model, within a bound. [`ToolError::Approval`] makes a durable run ask a person.
    /// Any other error ends the run.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped with the run. A tool that must not leave work behind cleans up on drop.
    async fn call(&self, call: Invocation<D>) -> Result<ToolOutput, ToolError>;
}

/// The description of a tool for the model, and the options that the tool declares for its calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolDefinition {
    /// 1 to 64 letters, digits, `_` and `-`; unique within an agent.
    pub name: String,
    /// When and how to use it.
    pub description: String,
    /// The JSON schema of the arguments, which are an object.
    pub parameters: serde_json::Value,
    /// How its durable calls are made. The model does not see it, and it is not a part of any key: a later declaration applies
    /// to unfinished executions, too.
    #[serde(skip)]
    pub options: ToolOptions,
}

impl ToolDefinition {
    /// A tool without arguments.
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        let none = serde_json::json!({ "type": "object", "properties": {} });
        Self { name: name.into(), description: description.into(), parameters: none, options: ToolOptions::default() }
    }

    /// Sets the JSON schema of the arguments.
    pub fn parameters(self, schema: serde_json::Value) -> Self {
        Self { parameters: schema, ..self }
    }

    /// Sets the options that the tool declares for its calls.
    pub fn options(self, options: ToolOptions) -> Self {
        Self { options, ..self }
    }

    /// The part that the model receives.
    pub(crate) fn for_model(&self) -> Self {
        self.clone().options(ToolOptions::default())
    }
}

/// One call of a tool.
#[derive(Debug)]
#[non_exhaustive]
pub struct Invocation<D = ()> {
    /// The call in the conversation. The model chooses its id, which says nothing of the arguments.
    pub call: CallRef,
    /// The arguments, a JSON object.
    pub arguments: Arguments,
    /// The context of the calling run.
    pub context: RunContext<D>,
}

impl<D> Invocation<D> {
    /// The call `call` with these arguments.
    pub fn new(call: CallRef, arguments: Arguments, context: RunContext<D>) -> Self {
        Self { call, arguments, context }
    }
}

// Not derived: dependencies need not be `Clone` to be shared.
impl<D> Clone for Invocation<D> {
    fn clone(&self) -> Self {
        Self::new(self.call.clone(), self.arguments.clone(), self.context.clone())
    }
}

/// The arguments of a tool call: the text of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Arguments(String);

impl Arguments {
    /// The arguments that the model wrote. An empty text counts as `{}`.
    ///
    /// # Errors
    ///
    /// [`ToolError::Retry`], addressed to the model, when they are not a JSON object.
    pub fn of(call: &ToolCall) -> Result<Self, ToolError> {
        let text = if call.arguments.trim().is_empty() { "{}" } else { call.arguments.as_str() };
        match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(ToolError::retry(format!(
                "the arguments of `{}` are not a JSON object ({error}); call it again with arguments that are",
                call.tool
            ))),
        }
    }

    /// The text, as the model wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// [`ToolError::Retry`], addressed to the model, when they do not fit `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        serde_json::from_str(&self.0).map_err(|error| ToolError::retry(format!("wrong arguments: {error}")))
    }
}

/// The output of a tool: a text, and media that go with it.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Media, ToolOutput};
///
/// let output = ToolOutput::text("the harbour at noon").with(Media::new("image/png", [0x89, b'P', b'N', b'G']));
/// assert_eq!(output.media.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ToolOutput {
    /// What the model reads.
    pub content: String,
    /// What the model sees and hears.
    #[serde(default)]
    pub media: Vec<Media>,
}

/// Without media as before there were any.
impl Serialize for ToolOutput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A format without names must always have both fields.
        let has_media = !self.media.is_empty() || !serializer.is_human_readable();
        let mut fields = serializer.serialize_struct("ToolOutput", 1 + usize::from(has_media))?;
        fields.serialize_field("content", &self.content)?;
        if has_media {
            fields.serialize_field("media", &self.media)?;
        }
        fields.end()
    }
}

impl From<Media> for ToolOutput {
    fn from(media: Media) -> Self {
        Self::text("").with(media)
    }
}

impl ToolOutput {
    /// A text, unchanged.
    pub fn text(content: impl Into<String>) -> Self {
        Self { content: content.into(), media: Vec::new() }
    }

    /// Adds media. Media in the JSON of a value is not shown to the model: only what is added here, or what a `#[tool]` returns
    /// as a `ToolOutput` or as [`Media`].
    #[must_use]
    pub fn with(mut self, media: Media) -> Self {
        self.media.push(media);
        self
    }

    /// A value, as JSON; a string, unchanged; a `ToolOutput` as it is, and [`Media`] as media.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] when the value cannot be written as JSON, or is nested deeper than 128 levels.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, ToolError> {
        let json = nesting::to_text(value).map_err(ToolError::failed)?;
        // A type of this crate is known by its name: `T` may borrow, so it has no other identity.
        let is = |name: &str| any::type_name::<T>() == name;
        if is(any::type_name::<Self>()) {
            return serde_json::from_str(&json).map_err(ToolError::failed);
        }
        if is(any::type_name::<Media>()) {
            return serde_json::from_str::<Media>(&json).map(Self::from).map_err(ToolError::failed);
        }
        // Only for a string: the keys of a `Value` may have changed their order.
        let text = json.starts_with('"').then(|| serde_json::from_str(&json));
        text.unwrap_or(Ok(json)).map(Self::text).map_err(ToolError::failed)
    }
}

type Function<D> = dyn Fn(Invocation<D>) -> BoxFuture<'static, Result<ToolOutput, ToolError>> + Send + Sync;

/// A tool made of an async function, defined at run time. For a tool that is known at compile time, use `#[tool]`.
pub struct FunctionTool<D = ()> {
    definition: Arc<ToolDefinition>,
    function: Arc<Function<D>>,
}

impl FunctionTool {
    /// The tool that `definition` describes and `function` runs.
    pub fn new<F, Fut>(definition: ToolDefinition, function: F) -> Self
    where
        F: Fn(Invocation) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ToolOutput, ToolError>> + Send + 'static,
    {
        Self::with_deps(definition, function)
    }
}

impl<D> FunctionTool<D> {
    /// As [`new`](FunctionTool::new), for a tool that receives dependencies.
    pub fn with_deps<F, Fut>(definition: ToolDefinition, function: F) -> Self
    where
        F: Fn(Invocation<D>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ToolOutput, ToolError>> + Send + 'static,
    {
        Self { definition: Arc::new(definition), function: Arc::new(move |call| function(call).boxed()) }
    }
}

impl<D> Clone for FunctionTool<D> {
    fn clone(&self) -> Self {
        Self { definition: self.definition.clone(), function: self.function.clone() }
    }
}

impl<D> std::fmt::Debug for FunctionTool<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FunctionTool").field(&self.definition.name).finish()
    }
}

#[async_trait]
impl<D: Send + Sync + 'static> Tool<D> for FunctionTool<D> {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, call: Invocation<D>) -> Result<ToolOutput, ToolError> {
        (self.function)(call).await
    }
}

/// The future of [`Tool::call`], for implementations that are not `async` because they do something when the future is made.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Result<ToolOutput, ToolError>> + Send + 'a>>;

impl<D: Send + Sync + 'static, T: Tool<D> + ?Sized> Tool<D> for Arc<T> {
    fn definition(&self) -> &ToolDefinition {
        (**self).definition()
    }

    // Written out, not `async`: what the inner tool does when its future is made must not wait for the first poll.
    fn call<'life0, 'async_trait>(&'life0 self, call: Invocation<D>) -> Calling<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        (**self).call(call)
    }
}

/// A tool with its own dependencies, in a run whose own context has any others.
pub(crate) struct Bound<D> {
    pub(crate) inner: Arc<dyn Tool<D>>,
    pub(crate) deps: Arc<D>,
}

impl<D, Outer> Tool<Outer> for Bound<D>
where
    D: Send + Sync + 'static,
    Outer: Send + Sync + 'static,
{
    fn definition(&self) -> &ToolDefinition {
        self.inner.definition()
    }

    // Not `async`, as above.
    fn call<'life0, 'async_trait>(&'life0 self, call: Invocation<Outer>) -> Calling<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        self.inner.call(Invocation::new(call.call, call.arguments, call.context.with_deps(self.deps.clone())))
    }
}
