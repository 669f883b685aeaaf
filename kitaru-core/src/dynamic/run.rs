//! Runs: what users of a library await, in a flow or outside flows. This module decides when a run begins, where its
//! work is done, and with which options a flow is opened for it.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use crate::client::{FlowCall, Kitaru};
use crate::dynamic::scope::{Scope, scope};

/// The work of a library. Its users await it as a [`DurableRun`].
pub trait Work: Sized {
    /// The result.
    type Output;

    /// Does the work as part of the flow, or of the body, in which the run is awaited.
    fn run(self, options: FlowOptions) -> impl Future<Output = Self::Output> + Send + 'static;

    /// Does the work as a flow of its own, because the run is awaited outside flows: makes the call of that flow, and
    /// awaits it with [`FlowOptions::apply`].
    fn open_flow(self, options: FlowOptions) -> impl Future<Output = Self::Output> + Send + 'static;
}

/// The store, the id and the freshness of a flow that a run opens.
///
/// By default it is the implicit store and a digest of the input, and an unfinished execution is continued.
#[derive(Clone, Default)]
pub struct FlowOptions {
    on: Option<Kitaru>,
    id: Option<String>,
    start: Start,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Start {
    #[default]
    Continue,
    Fresh,
}

impl FlowOptions {
    /// Whether the run starts over.
    pub fn is_fresh(&self) -> bool {
        self.start == Start::Fresh
    }

    /// The call of the flow, with these options.
    pub fn apply<R>(self, call: FlowCall<R>) -> FlowCall<R> {
        let call = match &self.on {
            Some(kitaru) => call.on(kitaru),
            None => call,
        };
        let call = match self.id {
            Some(id) => call.id(id),
            None => call,
        };
        match self.start {
            Start::Continue => call,
            Start::Fresh => call.fresh(),
        }
    }
}

impl fmt::Debug for FlowOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowOptions").field("id", &self.id).field("start", &self.start).finish_non_exhaustive()
    }
}

/// A run of a library's work: a future of its result.
///
/// Nothing happens before it is polled, and its options are fixed from then on. In a flow, and in a checkpoint's body,
/// it is part of that. Elsewhere it opens a flow of its own.
///
/// # Panics
///
/// If it is polled after it has given its result.
///
/// # Cancel safety
///
/// In a flow, dropping it drops the work. A flow that it opened continues.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
/// use kitaru::Error;
/// use kitaru::dynamic::{self, DurableRun, FlowOptions, Work};
///
/// /// Greets a person, once.
/// struct Greet {
///     whom: String,
/// }
///
/// impl Work for Greet {
///     type Output = Result<String, Error>;
///
///     async fn run(self, _: FlowOptions) -> Result<String, Error> {
///         dynamic::checkpoint("greet").arg("whom", &self.whom).run(|| async { Ok(format!("Hello, {}!", self.whom)) }).await
///     }
///
///     async fn open_flow(self, options: FlowOptions) -> Result<String, Error> {
///         let flow = dynamic::flow("greeting").input("whom", &self.whom);
///         options.apply(flow.run(|| self.run(FlowOptions::default()))).await
///     }
/// }
///
/// let greeting = DurableRun::new(Greet { whom: "Ada".to_owned() }).on(&kitaru).id("first");
/// assert_eq!(greeting.await?, "Hello, Ada!");
/// assert!(kitaru.execution(("greeting", "first")).await?.is_some());
/// # Ok(()) }
/// ```
#[must_use = "nothing happens until a run is awaited"]
pub struct DurableRun<W, O> {
    state: State<W, O>,
}

enum State<W, O> {
    Ready(Box<(W, FlowOptions)>),
    Running(Pin<Box<dyn Future<Output = O> + Send>>),
    Over,
}

impl<W, O> DurableRun<W, O> {
    /// A run of this work.
    pub fn new(work: W) -> Self {
        DurableRun { state: State::Ready(Box::new((work, FlowOptions::default()))) }
    }

    /// Changes the work. A run that has begun does not change.
    pub fn change(self, change: impl FnOnce(&mut W)) -> Self {
        self.with(|work, _| change(work))
    }

    /// Outside flows: the store on which it opens its flow, in place of the implicit one.
    pub fn on(self, kitaru: &Kitaru) -> Self {
        let kitaru = kitaru.clone();
        self.with(|_, options| options.on = Some(kitaru))
    }

    /// Outside flows: the id of the execution, in place of a digest of its input.
    pub fn id(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.with(|_, options| options.id = Some(id))
    }

    /// Starts over: it reads nothing of an unfinished execution. The work decides what this means in a flow.
    pub fn fresh(self) -> Self {
        self.with(|_, options| options.start = Start::Fresh)
    }

    fn with(mut self, change: impl FnOnce(&mut W, &mut FlowOptions)) -> Self {
        if let State::Ready(ready) = &mut self.state {
            let (work, options) = &mut **ready;
            change(work, options);
        }
        self
    }
}

// The work is boxed, and is never pinned before it has begun.
impl<W, O> Unpin for DurableRun<W, O> {}

impl<W: Work> Future for DurableRun<W, W::Output> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<W::Output> {
        let mut running = match mem::replace(&mut self.state, State::Over) {
            State::Ready(ready) => {
                let (work, options) = *ready;
                match scope() {
                    Scope::Outside => Box::pin(work.open_flow(options)),
                    Scope::Flow | Scope::Body => Box::pin(work.run(options)) as Pin<Box<dyn Future<Output = _> + Send>>,
                }
            }
            State::Running(running) => running,
            State::Over => panic!("cannot poll the run: it has given its result; await it once"),
        };
        let polled = running.as_mut().poll(cx);
        if polled.is_pending() {
            self.state = State::Running(running);
        }
        polled
    }
}

impl<W, O> fmt::Debug for DurableRun<W, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Ready(_) => "not begun",
            State::Running(_) | State::Over => "begun",
        })
    }
}
