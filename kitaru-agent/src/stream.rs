//! What happens in a run, as it happens.
//!
//! Owns the events and their way from the loop to whoever listens. Must not know what causes them.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{
    FutureExt as _, Stream, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;

use crate::{AgentError, Delta, Deltas, RequestPart, RunResult, ToolCall, Usage, turn::Turn};

/// Something that happens in a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEvent<T = String> {
    /// The model says more.
    Text(String),
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// The model's response broke off and is asked for again: the text and the tool calls since the last
    /// [`Usage`](Self::Usage) are void.
    Void,
    /// The model's response is complete. What the run has cost so far.
    Usage(Usage),
    /// The model will be told this: what a tool gave, or what was wrong.
    Told(RequestPart),
    /// The run is over. There is no event after this one.
    Finished(RunResult<T>),
}

type Listener<T> = dyn Fn(RunEvent<T>) -> BoxFuture<'static, ()> + Send + Sync;

/// Where the loop sends events.
pub(crate) struct Events<T>(Option<Arc<Listener<T>>>);

impl<T: 'static> Events<T> {
    pub(crate) fn new(listener: impl Fn(RunEvent<T>) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    pub(crate) fn unheard() -> Self {
        Self(None)
    }

    pub(crate) async fn send(&self, event: RunEvent<T>) {
        if let Some(listener) = &self.0 {
            listener(event).await;
        }
    }

    /// Where a model sends its pieces, if anybody listens.
    pub(crate) fn deltas(&self) -> Option<Deltas> {
        let listener = self.0.clone()?;
        Some(Deltas::new(move |delta| {
            listener(match delta {
                Delta::Text(text) => RunEvent::Text(text),
                Delta::ToolCall(call) => RunEvent::ToolCall(call),
                Delta::Void => RunEvent::Void,
            })
        }))
    }
}

/// A run as a stream of what happens in it, the last of which is its result or its error. Made by
/// [`Run::stream`](crate::Run::stream).
///
/// The run goes on only while the stream is polled, and waits for whoever polls it too slowly.
///
/// # Cancel safety
///
/// Dropping it drops the request or the tool calls that are under way. Dropping a future of [`next`](Self::next) loses
/// no event.
///
/// # Examples
///
/// ```
/// use kitaru_agent::{Agent, FunctionModel, ModelResponse, RunEvent};
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
    /// The stream of a run that waits for whoever polls it too slowly.
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
    /// The stream of what `run` comes to, and of the events that polling it makes.
    pub(crate) fn new(
        events: impl Stream<Item = RunEvent<T>> + Send + 'static,
        run: impl Future<Output = Result<RunResult<T>, E>> + Send + 'static,
    ) -> Self {
        Self { events: events.boxed(), run: Some(run.boxed()) }
    }

    /// The next event; nothing once the run is over.
    ///
    /// # Errors
    ///
    /// What ends the run. There is no event after it.
    pub async fn next(&mut self) -> Option<Result<RunEvent<T>, E>> {
        StreamExt::next(self).await
    }
}

impl<T: Send + 'static, E: Send + 'static> Stream for RunStream<T, E> {
    type Item = Result<RunEvent<T>, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The run is polled after the events, and then they again: polling it is what makes them.
        if let Poll::Ready(Some(event)) = self.events.poll_next_unpin(cx) {
            return Poll::Ready(Some(Ok(event)));
        }
        let Some(run) = &mut self.run else { return Poll::Ready(None) };
        let polled = run.poll_unpin(cx);
        if let Poll::Ready(Some(event)) = self.events.poll_next_unpin(cx) {
            if let Poll::Ready(result) = polled {
                // What came last comes last.
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
