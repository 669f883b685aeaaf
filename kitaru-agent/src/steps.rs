//! A run, one step at a time.
//!
//! Owns when a step is taken. Must not know what happens in a step: that is `turn`.

use std::fmt;

use crate::error::AgentError;
use crate::event::Events;
use crate::turn::{Step, Turn};

/// A run that continues only when the next step is requested. Made by [`Run::steps`](crate::Run::steps).
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, FunctionModel, ModelResponse, Step};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("42")));
/// let mut steps = Agent::builder(model).build()?.run("What is the answer?").steps();
/// while let Some(step) = steps.next().await? {
///     match step {
///         Step::Response(response) => println!("it said {}", response.output()),
///         Step::Told(message) => println!("it receives {} parts", message.parts.len()),
///         Step::Finished(result) => assert_eq!(result.output, "42"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until a step is asked for"]
pub struct Steps<T = String> {
    turn: Turn<T>,
}

impl<T: Send + 'static> Steps<T> {
    pub(crate) fn new(turn: Turn<T>) -> Self {
        Self { turn }
    }

    /// Takes the next step. `None` once the run has ended.
    ///
    /// # Errors
    ///
    /// The error that ends the run. No step follows it.
    ///
    /// # Cancel safety
    ///
    /// The next call repeats a step that was dropped: its request is sent again, its tools are called again.
    pub async fn next(&mut self) -> Result<Option<Step<T>>, AgentError> {
        self.turn.step(&Events::unheard()).await
    }
}

impl<T> fmt::Debug for Steps<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps").finish_non_exhaustive()
    }
}
