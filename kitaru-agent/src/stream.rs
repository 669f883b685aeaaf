//! A run as a stream of its events.
//!
//! Owns the order in which a run and its events are polled. Must not know how a run goes.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{
    FutureExt as _, Stream, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;

use crate::error::AgentError;
use crate::event::{Events, RunEvent};
use crate::result::RunResult;
use crate::turn::Turn;

/// A run as a stream of its events. The last item is its result or its error. Made by [`Run::stream`](crate::Run::stream).
///
/// The run proceeds only while the stream is polled, and waits for a slow reader.
///
/// # Cancel safety
///
/// Dropping it drops the running request or tool calls. Dropping a future of [`next`](Self::next) loses no event.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, FunctionModel, ModelResponse, RunEvent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("The sea.")));
/// let mut events = Agent::builder(model).build()?.run_stream("What is wet?");
/// while let Some(event) = events.next().await {
///     match event? {
///         RunEvent::Text(text) => print!("{text}"),
///         RunEvent::Void => println!(" … no, once more:"),
///         RunEvent::Finished(result) => assert_eq!(result.output, "The sea."),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until a stream is polled"]
pub struct RunStream<T = String, E = AgentError> {
    events: BoxStream<'static, RunEvent<T>>,
    run: Option<BoxFuture<'static, Result<RunResult<T>, E>>>,
}

impl<T: Send + 'static> RunStream<T> {
    /// The stream of a run that waits for a slow reader.
    pub(crate) fn of(mut turn: Turn<T>) -> Self {
        let (sender, mut events) = mpsc::channel(1);
        let listener = Events::new(move |event| {
            let sender = sender.clone();
            async move {
                // The receiver is gone only if the stream is, and the run with it.
                let _ = sender.send(event).await;
            }
            .boxed()
        });
        Self::new(stream::poll_fn(move |cx| events.poll_recv(cx)), async move { turn.run(&listener).await })
    }
}

impl<T: Send + 'static, E: Send + 'static> RunStream<T, E> {
    /// The stream of `run`'s result, and of the events that polling it makes.
    pub(crate) fn new(
        events: impl Stream<Item = RunEvent<T>> + Send + 'static,
        run: impl Future<Output = Result<RunResult<T>, E>> + Send + 'static,
    ) -> Self {
        Self { events: events.boxed(), run: Some(run.boxed()) }
    }

    /// The next event. `None` once the run has ended.
    ///
    /// # Errors
    ///
    /// The error that ends the run. No event follows it.
    ///
    /// # Cancel safety
    ///
    /// No event is lost. The run pauses until it is called again.
    pub async fn next(&mut self) -> Option<Result<RunEvent<T>, E>> {
        StreamExt::next(self).await
    }
}

impl<T: Send + 'static, E: Send + 'static> Stream for RunStream<T, E> {
    type Item = Result<RunEvent<T>, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The run is polled after the events, and then the events again: polling the run makes them.
        if let Poll::Ready(Some(event)) = self.events.poll_next_unpin(cx) {
            return Poll::Ready(Some(Ok(event)));
        }
        let Some(run) = &mut self.run else { return Poll::Ready(None) };
        let polled = run.poll_unpin(cx);
        if let Poll::Ready(Some(event)) = self.events.poll_next_unpin(cx) {
            if let Poll::Ready(result) = polled {
                // The result comes after the last events.
                self.run = Some(futures::future::ready(result).boxed());
            }
            return Poll::Ready(Some(Ok(event)));
        }
        polled.map(|result| {
            self.run = None;
            Some(result.map(RunEvent::Finished))
        })
    }
}

impl<T, E> fmt::Debug for RunStream<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.run.is_some() { "RunStream(not over)" } else { "RunStream(over)" })
    }
}
