//! A model that is a function, for tests.
//!
//! Owns the count and the list of requests. Must not know a provider.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures::{FutureExt as _, future::BoxFuture};

use crate::error::ModelError;
use crate::message::ModelResponse;
use crate::model::{Model, ModelRequest};

type Function = dyn Fn(ModelRequest) -> BoxFuture<'static, Result<ModelResponse, ModelError>> + Send + Sync;

/// A model that answers by calling a function. Clones share the function and the count.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, FunctionModel, ModelResponse};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = FunctionModel::new("echo", |request| Ok(ModelResponse::text(request.prompt().unwrap_or_default())));
/// let result = Agent::builder(model.clone()).build()?.run("anyone there?").await?;
/// assert_eq!(result.output, "anyone there?");
/// assert_eq!(model.requests(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FunctionModel {
    name: Arc<str>,
    function: Arc<Function>,
    seen: Arc<Mutex<Vec<ModelRequest>>>,
}

impl FunctionModel {
    /// A model called `name` that answers with what `function` returns.
    pub fn new<F>(name: impl Into<String>, function: F) -> Self
    where
        F: Fn(&ModelRequest) -> Result<ModelResponse, ModelError> + Send + Sync + 'static,
    {
        Self::from_async(name, move |request| futures::future::ready(function(&request)))
    }

    /// A model called `name` that answers with the output of `function`'s future.
    pub fn from_async<F, Fut>(name: impl Into<String>, function: F) -> Self
    where
        F: Fn(ModelRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ModelResponse, ModelError>> + Send + 'static,
    {
        Self {
            name: name.into().into(),
            function: Arc::new(move |request| function(request).boxed()),
            seen: Arc::default(),
        }
    }

    /// How many requests were made, including those that failed.
    pub fn requests(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The requests, in order.
    pub fn seen(&self) -> Vec<ModelRequest> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for FunctionModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionModel").field("name", &self.name).field("requests", &self.requests()).finish()
    }
}

#[async_trait]
impl Model for FunctionModel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        (self.function)(request.clone()).await
    }
}
