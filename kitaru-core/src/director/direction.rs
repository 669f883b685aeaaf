//! What directs executions in a build with the feature `testkit`.

use std::sync::Arc;
use std::task::Waker;

use crate::director::{Clearance, Cue, Director, Observation, Turn};
use crate::id::ExecutionId;

/// The director of the executions of one store, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Direction(Option<Arc<dyn Director>>);

impl Direction {
    pub(crate) fn by(director: Arc<dyn Director>) -> Self {
        Direction(Some(director))
    }

    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn director(&self) -> Option<&dyn Director> {
        self.0.as_deref()
    }

    /// Whether the director stops a call that no record answers and that is about to start.
    pub(crate) fn stops_call<'a>(&self, cue: impl FnOnce() -> Cue<'a>) -> bool {
        self.director().is_some_and(|director| director.starts(&cue()) == Clearance::Refused)
    }

    /// Whether the director stops an attempt at this moment.
    pub(crate) fn stops_attempt(&self, execution: &ExecutionId, turn: Turn) -> bool {
        self.director().is_some_and(|director| director.turn(execution, turn) == Clearance::Refused)
    }

    /// Notifies the director.
    pub(crate) fn observe<'a>(&self, observation: impl FnOnce() -> Observation<'a>) {
        if let Some(director) = self.director() {
            director.observe(&observation());
        }
    }

    /// Orders the calls that may continue in the same step.
    pub(crate) fn order(&self, wake: &mut [Waker]) {
        if let Some(director) = self.director() {
            director.order(wake);
        }
    }

    /// A replacement for randomness that is not recorded.
    pub(crate) fn chance(&self) -> Option<u64> {
        self.director().map(Director::chance)
    }
}
