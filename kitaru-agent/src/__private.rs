//! The target of `#[tool]`'s expansion. Not part of the public interface: it may change in any release.

use std::{error::Error, future::Future, sync::OnceLock};

use futures::FutureExt as _;
pub use schemars;
use schemars::JsonSchema;
pub use serde;
use serde::{Serialize, de::DeserializeOwned};

use crate::context::RunContext;
use crate::error::ToolError;
use crate::schema;
use crate::tool::ToolOutput;
pub use crate::tool::{Calling, Invocation, Tool, ToolDefinition, ToolOptions};

/// The definition of a tool, made on first use.
#[derive(Debug)]
pub struct Definition(OnceLock<ToolDefinition>);

impl Definition {
    #[allow(clippy::new_without_default, reason = "a static is made by it")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub fn of<A: JsonSchema>(&self, name: &str, description: &str, options: ToolOptions) -> &ToolDefinition {
        self.0.get_or_init(|| {
            ToolDefinition::new(name, description.trim()).parameters(schema::of::<A>()).options(options)
        })
    }
}

/// Reads the arguments and runs the function.
pub fn call<'a, D, A, F, Fut>(call: Invocation<D>, run: F) -> Calling<'a>
where
    D: Send + Sync + 'static,
    A: DeserializeOwned + Send + 'a,
    F: FnOnce(RunContext<D>, A) -> Fut + Send + 'a,
    Fut: Future<Output = Result<ToolOutput, ToolError>> + Send + 'a,
{
    async move {
        let arguments = call.arguments.parse()?;
        run(call.context, arguments).await
    }
    .boxed()
}

/// The output of a function that cannot fail.
pub fn infallible<T: Tellable>(given: T) -> Result<ToolOutput, ToolError> {
    ToolOutput::json(&given)
}

/// The output of a function that can fail.
pub fn fallible<T: Tellable, E: Failure>(given: Result<T, E>) -> Result<ToolOutput, ToolError> {
    match given {
        Ok(given) => ToolOutput::json(&given),
        Err(error) => Err(error.into_tool_error()),
    }
}

/// A type that a model can send.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a tool",
    label = "has no `serde::Deserialize` and `schemars::JsonSchema`",
    note = "a model sends an argument as JSON, and receives its schema",
    note = "write `#[derive(serde::Deserialize, schemars::JsonSchema)]` on `{Self}`; the second needs `schemars = \"1\"` in \
            `Cargo.toml`"
)]
pub trait Askable: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> Askable for T {}

/// Checks that a model can send an argument.
pub const fn askable<T: Askable>() {}

/// A type that a model can receive.
#[diagnostic::on_unimplemented(
    message = "a tool cannot return a `{Self}`",
    label = "a model receives the output of a tool as JSON",
    note = "derive or implement `serde::Serialize` for it"
)]
pub trait Tellable: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Tellable for T {}

/// A type that a tool can fail with.
#[diagnostic::on_unimplemented(
    message = "a tool cannot fail with a `{Self}`",
    label = "this is not an error",
    note = "use `kitaru::agent::ToolError`, `anyhow::Error`, a text, or any type that implements `std::error::Error`, \
            `Send` and `Sync`"
)]
pub trait Failure {
    fn into_tool_error(self) -> ToolError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Box<dyn Error + Send + Sync>> + 'static> Failure for E {
    fn into_tool_error(self) -> ToolError {
        ToolError::of(self)
    }
}
