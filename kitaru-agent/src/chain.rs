//! What the error of a user's function means to a run.
//!
//! Owns the search through the chain of that error. Must not know which function it was.

use std::any::Any;
use std::error::Error;

use crate::durable::RunError;
use crate::error::{AgentError, Cause, MAX_CAUSES, ToolError};

impl ToolError {
    /// The tool error of a function's error: a [`retry`](Self::retry) or a [request for approval](Self::approval_required) if
    /// its chain contains one, and otherwise a failure.
    ///
    /// It takes any error, including `anyhow`'s, or a text.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::ToolError;
    ///
    /// let full = std::io::Error::other("the disk is full");
    /// assert_eq!(ToolError::of(full), ToolError::failed("the disk is full"));
    /// let wrong: Box<dyn std::error::Error + Send + Sync> = ToolError::retry("the path has to be relative").into();
    /// assert_eq!(ToolError::of(wrong), ToolError::retry("the path has to be relative"));
    /// ```
    pub fn of(error: impl Into<Box<dyn Error + Send + Sync>> + 'static) -> Self {
        // A boxed `anyhow::Error` hides the error from which it was made.
        if let Some(error) = (&error as &dyn Any).downcast_ref::<anyhow::Error>() {
            return said_by(&**error);
        }
        said_by(&*error.into())
    }
}

fn said_by(error: &(dyn Error + 'static)) -> ToolError {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    // The end of a run inside the function concerns that run only: approving this call approves none of its calls.
    let own = chain.take(MAX_CAUSES).take_while(|error| !error.is::<AgentError>() && !error.is::<RunError>());
    match own.filter_map(|error| error.downcast_ref::<ToolError>()).next() {
        Some(said @ (ToolError::Retry(_) | ToolError::Approval(_))) => said.clone(),
        _ => ToolError::Failed(Cause::of(error)),
    }
}
