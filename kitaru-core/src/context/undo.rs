//! What undoes what a flow has done. Owns the steps that are registered, and whether the flow is being dropped for them to
//! run; must not know when they run.

use std::fmt;
use std::future::Future;

use crate::context::flags::Flag;
use crate::context::{Ambient, Context, UndoStep};
use crate::error::Error;
use crate::runtime::lock;

/// Registers a step that undoes what the flow is about to do, for the case that the flow fails or is cancelled.
///
/// Then the steps registered by then run, the last one first, as code of the flow: what a step does belongs into
/// checkpoints, which are recorded, so that after a crash in the midst of it only what is left is undone. A step that
/// fails ends the undoing: the execution is [`Failed`](crate::Status::Failed) with that error, and goes on with this very
/// step when its flow is called, or it is cancelled, once more.
///
/// Register a step *before* the call that it undoes, and let it be fit for a call that has had no effect: a body that is
/// cut off may or may not have done its work.
///
/// A step outlives the place where it is registered, so it owns what it uses. One that passes a borrow on takes it from an
/// `async` closure, which keeps what it owns until its body is over: `undo(async move || release(&seat).await)`.
///
/// A flow fails when it returns an error or panics, when an outcome cannot be given to it, or when its
/// [deadline](crate::FlowCall::deadline) is over. An execution that was undone stays what it has come to, and only
/// [`fresh`](crate::FlowCall::fresh) begins it anew. A call that is refused because the code is wrong (two checkpoints of
/// one name, a divergence) undoes nothing: the execution goes on when that is mended.
///
/// # Panics
///
/// Outside a flow's own code, and within a step that undoes.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() {
/// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await.unwrap();
/// # use kitaru::{Error, dynamic::checkpoint};
/// # let order = kitaru::dynamic::flow("order").run(|| async {
/// kitaru::undo(|| checkpoint("release").run(|| async { Ok::<_, Error>(()) }));
/// checkpoint("reserve").run(|| async { Ok::<_, Error>(7) }).await?;
/// Err::<(), _>(Error::msg("sold out")) // `release` runs, and is recorded
/// # });
/// # assert_eq!(order.on(&kitaru).await.unwrap_err().to_string(), "sold out");
/// # }
/// ```
pub fn undo<F, Fut, T, E>(step: F)
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    E: fmt::Display,
{
    let Ambient::Flow(context) = Ambient::current() else {
        panic!(
            "kitaru::undo() was called outside a flow's own code; a step that undoes belongs to a flow: register it there, \
             before the call that it undoes"
        )
    };
    context.add_undo(Box::new(move || {
        let step = step();
        Box::pin(async move { step.await.map(drop).map_err(|error| Error::msg(format!("{error:#}"))) })
    }));
}

impl Context {
    /// Drops the flow, which goes no further: what is dropped meanwhile is left by it for good.
    pub(crate) fn abandon(&self, drop_flow: impl FnOnce()) {
        self.flags.raise(Flag::Abandoning);
        drop_flow();
        self.flags.lower(Flag::Abandoning);
    }

    /// Whether the flow is being dropped because it goes no further. That is the same on every attempt, whereas whether it
    /// is known already that it will be is not.
    pub(crate) fn is_abandoning(&self) -> bool {
        self.flags.has(Flag::Abandoning)
    }

    fn add_undo(&self, step: UndoStep) {
        assert!(
            !self.replay().is_undoing(),
            "kitaru::undo() was called by a step that undoes; what it does is not undone in turn"
        );
        self.push_undo(step);
    }

    /// Adds a step, which runs before those that are there.
    pub(crate) fn push_undo(&self, step: UndoStep) {
        lock(&self.undo_steps).push(step);
    }

    /// Whether something is to be undone if the flow fails.
    pub(crate) fn has_undo(&self) -> bool {
        !lock(&self.undo_steps).is_empty()
    }

    /// What is to be undone, the first step last.
    pub(crate) fn take_undo(&self) -> Vec<UndoStep> {
        std::mem::take(&mut *lock(&self.undo_steps))
    }
}
