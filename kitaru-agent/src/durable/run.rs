//! One turn of a durable agent, as its caller sees it.
//!
//! Owns the run's options and where it goes: into the flow around it, or into a flow of its own. Must not know what is
//! a checkpoint.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kitaru_core::dynamic::{self, Scope};
use kitaru_core::{Kitaru, Reuse};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::paid::Paid;
use super::turn::Turn;
use super::{KitaruAgent, RunError};
use crate::{History, Limits, ModelSettings, RunEvent, RunOptions, RunResult};

/// One turn of a [`KitaruAgent`], which is the future of its result.
///
/// # Cancel safety
///
/// In a flow, dropping it cancels the checkpoint that runs; what was recorded stays. Outside a flow the run goes on by
/// itself once it has been polled.
#[must_use = "nothing happens until a run is awaited"]
pub struct KitaruRun<T = String> {
    state: State<T>,
}

enum State<T> {
    Ready(Box<Ready<T>>),
    Running(BoxFuture<'static, Result<RunResult<T>, RunError>>),
    Over,
}

struct Ready<T> {
    turn: Turn<T>,
    on: Option<Kitaru>,
    id: Option<String>,
    fresh: Fresh,
}

#[derive(PartialEq)]
enum Fresh {
    Yes,
    No,
}

impl<T: Serialize + DeserializeOwned + Send + 'static> KitaruRun<T> {
    pub(super) fn new(agent: KitaruAgent<T>, prompt: String) -> Self {
        let turn = Turn { agent, prompt, options: RunOptions::default(), listener: None, paid: Paid::default() };
        KitaruRun { state: State::Ready(Box::new(Ready { turn, on: None, id: None, fresh: Fresh::No })) }
    }

    /// Goes on from `history`.
    pub fn history(self, history: impl Into<History>) -> Self {
        self.with_options(|options| options.history(history))
    }

    /// Sets what `settings` sets, for this run.
    pub fn settings(self, settings: ModelSettings) -> Self {
        self.with_options(|options| options.settings(settings))
    }

    /// Sets what this run may cost.
    pub fn limits(self, limits: Limits) -> Self {
        self.with_options(|options| options.limits(limits))
    }

    /// Tells `listener` what happens in the run, as it happens: text while the model still says it, tool calls, usage
    /// and the result. It is called in the run, and holds it up for as long as it takes.
    ///
    /// What comes from a record is told as well, a response at a time. What is told of a response before its
    /// [`Usage`](RunEvent::Usage) is not recorded yet: when it breaks off, [`Void`](RunEvent::Void) takes it back, and
    /// after a crash the next process tells its listener all from the beginning. So a listener shows, and decides
    /// nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use kitaru_agent::{Agent, FunctionModel, KitaruAgent, ModelResponse, RunEvent};
    /// use kitaru_core::Kitaru;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let kitaru = Kitaru::builder().in_memory().open().await?;
    /// let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("42")));
    /// let agent = KitaruAgent::new(Agent::builder(model).name("oracle").build()?);
    /// let run = agent.run("What is the answer?").on(&kitaru).on_event(|event| match event {
    ///     RunEvent::Text(text) => print!("{text}"),
    ///     RunEvent::Void => println!(" … no, once more:"),
    ///     _ => {}
    /// });
    /// assert_eq!(run.await?.output, "42");
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_event(self, listener: impl Fn(RunEvent<T>) + Send + Sync + 'static) -> Self {
        self.with(|ready| ready.turn.listener = Some(Arc::new(listener)))
    }

    /// Outside a flow: the store on which the run opens its flow, in place of the implicit one.
    pub fn on(self, kitaru: &Kitaru) -> Self {
        let kitaru = kitaru.clone();
        self.with(|ready| ready.on = Some(kitaru))
    }

    /// Outside a flow: the id of the execution, in place of a digest of the question.
    pub fn id(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.with(|ready| ready.id = Some(id))
    }

    /// Outside a flow: begins anew, and reads nothing of an unfinished run of the same question.
    pub fn fresh(self) -> Self {
        self.with(|ready| ready.fresh = Fresh::Yes)
    }

    fn with_options(self, change: impl FnOnce(RunOptions) -> RunOptions) -> Self {
        self.with(|ready| ready.turn.options = change(std::mem::take(&mut ready.turn.options)))
    }

    /// A run that was polled keeps the options that it began with.
    fn with(mut self, change: impl FnOnce(&mut Ready<T>)) -> Self {
        if let State::Ready(ready) = &mut self.state {
            change(ready);
        }
        self
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Future for KitaruRun<T> {
    type Output = Result<RunResult<T>, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Ready(ready) => {
                    let run = match dynamic::scope() {
                        Scope::Outside => ready.open_flow().boxed(),
                        _ => ready.turn.run().boxed(),
                    };
                    self.state = State::Running(run);
                }
                State::Running(mut run) => {
                    let polled = run.poll_unpin(cx);
                    if polled.is_pending() {
                        self.state = State::Running(run);
                    }
                    return polled;
                }
                State::Over => panic!("a run is polled after it has given its result"),
            }
        }
    }
}

impl<T> fmt::Debug for KitaruRun<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Ready(_) => "KitaruRun(not begun)",
            State::Running(_) | State::Over => "KitaruRun(begun)",
        })
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Ready<T> {
    /// A flow of its own, for a run outside flows.
    async fn open_flow(self) -> Result<RunResult<T>, RunError> {
        let Ready { turn, on, id, fresh } = self;
        let history = turn.options.history.clone();
        let key = turn.key();
        // The flow's result comes from its record, which says nothing of who paid.
        let paid = turn.paid.clone();
        let mut call = dynamic::flow(turn.agent.agent.name().to_owned())
            .version(turn.agent.version.clone())
            .reuse(Reuse::Unfinished)
            .input("agent", &key.agent)
            .input("prompt", &key.prompt)
            .input("history", &key.history)
            .input("settings", &key.settings)
            .run(move || turn.run());
        if let Some(kitaru) = &on {
            call = call.on(kitaru);
        }
        if let Some(id) = id {
            call = call.id(id);
        }
        if fresh == Fresh::Yes {
            call = call.fresh();
        }
        Ok(call.await?.with_history(history).with_paid(paid.usage()))
    }
}
