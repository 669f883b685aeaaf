//! Undo steps. Owns the registered steps, and whether the flow is being dropped so that they can run; must not know
//! when they run.

use std::fmt;
use std::future::Future;

use crate::context::{Ambient, Context, UndoStep};
use crate::error::Error;
use crate::machine::Event;
use crate::runtime::lock;

/// Registers an undo step for what the flow is about to do, in case the flow fails or is cancelled.
///
/// Then the registered steps run as code of the flow, the last one first. The work of a step belongs in checkpoints,
/// which are recorded, so that a crash in between undoes only the rest. A step that fails ends the undo: the execution
/// is [`Failed`](crate::Status::Failed) with that error, and continues with this step when its flow is called, or the
/// execution is cancelled, once more.
///
/// Register a step *before* the call that it undoes, and let it tolerate a call without effect: an interrupted body may
/// or may not have done its work.
///
/// A step outlives the place where it is registered, so it owns its values. To pass a borrow on, use an `async`
/// closure, which keeps its values until its body ends: `undo(async move || release(&seat).await)`.
///
/// A flow fails when it returns an error or panics, when an outcome cannot be given to it, or when its
/// [deadline](crate::FlowCall::deadline) is over. An execution that was undone keeps its result, and only
/// [`fresh`](crate::FlowCall::fresh) starts it over. A call that is refused because the code is wrong (two checkpoints
/// of one name, a divergence) undoes nothing: the execution resumes when the code is fixed.
///
/// # Panics
///
/// Outside a flow's own code, and in an undo step.
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
            "cannot call kitaru::undo() outside a flow's own code: an undo step needs a flow; call it before the call \
             that it undoes"
        )
    };
    context.add_undo(Box::new(move || {
        let step = step();
        Box::pin(async move { step.await.map(drop).map_err(|error| Error::msg(format!("{error:#}"))) })
    }));
}

impl Context {
    /// Drops the flow, which ends here. Everything dropped meanwhile is left permanently.
    pub(crate) fn abandon(&self, drop_flow: impl FnOnce()) {
        self.course.see(Event::Abandons);
        drop_flow();
        let mut replay = self.replay();
        self.course.see(Event::Dropped);
        if replay.exit().is_some() {
            self.course.see(Event::Leaves);
        }
    }

    /// Whether the flow is being dropped because it ends here. That is the same on every attempt. Whether the attempt
    /// knows its end in advance is not.
    pub(crate) fn is_abandoning(&self) -> bool {
        self.course.state().is_abandoned()
    }

    fn add_undo(&self, step: UndoStep) {
        assert!(
            !self.replay().is_undoing(),
            "cannot call kitaru::undo() in an undo step: an undo step is not undone; do this work in the flow"
        );
        self.push_undo(step);
    }

    /// Adds a step, which runs before the others.
    pub(crate) fn push_undo(&self, step: UndoStep) {
        lock(&self.undo_steps).push(step);
    }

    /// Whether there are undo steps to run if the flow fails.
    pub(crate) fn has_undo(&self) -> bool {
        !lock(&self.undo_steps).is_empty()
    }

    /// The undo steps, the first one last.
    pub(crate) fn take_undo(&self) -> Vec<UndoStep> {
        std::mem::take(&mut *lock(&self.undo_steps))
    }
}
