//! One execution, as it is looked at.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use crate::client::kitaru::Kitaru;
use crate::engine::Engine;
use crate::error::Error;
use crate::view::{Execution, ExecutionRef};

impl Kitaru {
    /// Looks up an execution: its newest generation, or the one set by [`generation`](ExecutionRequest::generation).
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or the id exceeds its bound.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// if let Some(execution) = kitaru.execution(("write_report", "job-42")).await? {
    ///     for record in execution.records() {
    ///         println!("{} {:?} {}", record.name(), record.status(), record.preview());
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn execution(&self, execution: impl Into<ExecutionRef>) -> ExecutionRequest {
        ExecutionRequest { inner: self.inner.clone(), execution: execution.into(), generation: None }
    }
}

/// A request to look up an execution. Awaited, it gives `Result<Option<Execution>, Error>`. See [`Kitaru::execution`].
#[must_use = "a search does nothing unless awaited"]
pub struct ExecutionRequest {
    inner: Arc<Engine>,
    execution: ExecutionRef,
    generation: Option<u32>,
}

impl ExecutionRequest {
    /// Asks for this generation instead of the newest. The first one is 1.
    pub fn generation(mut self, generation: u32) -> Self {
        self.generation = Some(generation);
        self
    }
}

impl IntoFuture for ExecutionRequest {
    type Output = Result<Option<Execution>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let ExecutionRequest { inner, execution, generation } = self;
            inner.execution(execution.checked()?, generation).await
        })
    }
}

impl fmt::Debug for ExecutionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { execution, generation, .. } = self;
        f.debug_struct("ExecutionRequest")
            .field("execution", execution)
            .field("generation", generation)
            .finish_non_exhaustive()
    }
}
