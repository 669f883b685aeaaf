//! The instructions of an agent, which precede every conversation.
//!
//! Owns fixed instructions and those that are computed for a run. Must not know when they are needed, nor which decorators wrap
//! them: a decorator is an [`Instructions`] too.

use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use futures::{FutureExt as _, future::BoxFuture};

use crate::context::RunContext;
use crate::error::ToolError;

/// One paragraph of an agent's instructions, made once at the start of each run.
#[async_trait]
pub trait Instructions<D = ()>: Send + Sync
where
    D: Send + Sync + 'static,
{
    /// The text, if it is the same for every run. It is then part of the agent's identity.
    fn fixed(&self) -> Option<&str> {
        None
    }

    /// The text for this run.
    ///
    /// # Errors
    ///
    /// Any error ends the run before its first request.
    async fn text(&self, context: RunContext<D>) -> Result<String, ToolError>;
}

pub(crate) struct Fixed(pub(crate) String);

#[async_trait]
impl<D: Send + Sync + 'static> Instructions<D> for Fixed {
    fn fixed(&self) -> Option<&str> {
        Some(&self.0)
    }

    async fn text(&self, _: RunContext<D>) -> Result<String, ToolError> {
        Ok(self.0.clone())
    }
}

type Function<D> = dyn Fn(RunContext<D>) -> BoxFuture<'static, Result<String, ToolError>> + Send + Sync;

pub(crate) struct Computed<D>(Box<Function<D>>);

impl<D> Computed<D> {
    pub(crate) fn new<F, Fut>(function: F) -> Self
    where
        F: Fn(RunContext<D>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ToolError>> + Send + 'static,
    {
        Self(Box::new(move |context| function(context).boxed()))
    }
}

#[async_trait]
impl<D: Send + Sync + 'static> Instructions<D> for Computed<D> {
    async fn text(&self, context: RunContext<D>) -> Result<String, ToolError> {
        (self.0)(context).await
    }
}

/// Instructions with their own dependencies, in a run whose own context has any others.
pub(crate) struct Bound<D> {
    pub(crate) inner: Arc<dyn Instructions<D>>,
    pub(crate) deps: Arc<D>,
}

#[async_trait]
impl<D, Outer> Instructions<Outer> for Bound<D>
where
    D: Send + Sync + 'static,
    Outer: Send + Sync + 'static,
{
    fn fixed(&self) -> Option<&str> {
        self.inner.fixed()
    }

    async fn text(&self, context: RunContext<Outer>) -> Result<String, ToolError> {
        self.inner.text(context.with_deps(self.deps.clone())).await
    }
}
