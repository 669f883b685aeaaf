//! The seam through which a test steers executions: it observes them, may play a body's part, and may stop anything, as
//! a crash would. Owns the words for that; must not know what directs, nor why.
//!
//! Only a build with the feature `testkit` has directors, and few of its programs use one: then each place costs one
//! look at an `Option`. In a build without the feature a [`Direction`] has no size, and each place costs nothing.

#[cfg(feature = "testkit")]
mod direction;
#[cfg(not(feature = "testkit"))]
#[path = "director/nobody.rs"]
mod direction;
#[cfg(feature = "testkit")]
mod part;

#[cfg(feature = "testkit")]
use std::sync::Arc;
#[cfg(feature = "testkit")]
use std::task::Waker;

use crate::id::ExecutionId;
use crate::journal::Arg;
use crate::value::Key;

pub(crate) use direction::Direction;
#[cfg(feature = "testkit")]
pub(crate) use part::{Outside, Part};

/// Directs the executions of one store.
#[cfg(feature = "testkit")]
pub(crate) trait Director: Send + Sync + 'static {
    /// A call that no record answers is about to start.
    fn starts(&self, cue: &Cue<'_>) -> Clearance;

    /// A body reaches this moment.
    fn moment(&self, checkpoint: &str, moment: Moment) -> Clearance;

    /// An attempt reaches this moment.
    fn turn(&self, execution: &ExecutionId, turn: Turn) -> Clearance;

    /// Decides what plays the next try of a body. `args` gives the arguments.
    fn cast(&self, checkpoint: &str, args: &mut dyn FnMut() -> serde_json::Value) -> Part;

    /// Observes something that it does not steer.
    fn observe(&self, observation: &Observation<'_>);

    /// Orders the calls that may continue in the same step.
    fn order(&self, wake: &mut [Waker]);

    /// A replacement for randomness that is not recorded.
    fn chance(&self) -> u64;
}

/// Whether something may continue.
#[cfg(feature = "testkit")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a part without clearance must stop"]
pub(crate) enum Clearance {
    Given,
    /// Its process is dead.
    Refused,
}

/// A moment of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A try is about to be polled for the first time.
    Begins,
    /// It is about to be polled again.
    Continues,
    /// A poll of it has ended, but the body has not.
    Suspends,
    /// It has ended, and nothing is recorded yet.
    Ends,
}

/// A moment of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is counted, and nothing else of it has been read.
    Counted,
    /// Its flow is about to begin from its records.
    Begins,
    /// Its flow was dropped to park it, and that is about to be recorded.
    Parks,
}

/// A call that is about to start.
#[cfg_attr(not(feature = "testkit"), expect(dead_code, reason = "only a testkit reads it"))]
pub(crate) struct Cue<'a> {
    pub(crate) execution: &'a ExecutionId,
    pub(crate) generation: u32,
    pub(crate) attempt: u32,
    pub(crate) checkpoint: &'a str,
    /// The visible name.
    pub(crate) name: String,
    /// The place of its checkpoint in the code.
    pub(crate) location: String,
    /// How many calls of the checkpoint were made before, in this attempt.
    pub(crate) place: u32,
    /// The same on every attempt.
    pub(crate) identity: Key,
    pub(crate) args: Vec<Arg>,
    pub(crate) stage: CueStage,
}

/// The stage of a call that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CueStage {
    /// Its body runs immediately.
    Body,
    /// Its body may run once, and its intent is recorded first.
    Intent,
    /// Its body may run once, and its intent is recorded.
    Once,
    /// As `Once`, and a person decided that it runs, whether or not it ran before.
    OnceMore,
    /// It waits.
    Wait,
}

/// What a director only observes.
#[cfg_attr(not(feature = "testkit"), expect(dead_code, reason = "only a testkit reads it"))]
pub(crate) enum Observation<'a> {
    /// The flow receives the outcome of a call that had no record when it was made.
    Given { execution: &'a ExecutionId, checkpoint: &'a str, identity: Key },
    /// A record answered a call of this checkpoint.
    Replayed { checkpoint: &'a str, identity: Key },
    /// An `at_most_once` body of this checkpoint, begun by an earlier attempt, does not run again unless a person
    /// decides so.
    Interrupted { checkpoint: &'a str },
    /// A call contradicts a record.
    Diverged(Divergence<'a>),
    /// The value that was recorded for this checkpoint has another digest when it is read back.
    Unsteady { checkpoint: &'a str },
    /// A body begins that may wait for something outside.
    #[cfg(feature = "testkit")]
    Watched { outside: &'a Arc<Outside> },
    /// A stub of a test is wrong, so that its body never ends.
    #[cfg(feature = "testkit")]
    Mistaken { what: &'a str },
}

/// A call that contradicts a record.
#[cfg_attr(not(feature = "testkit"), expect(dead_code, reason = "only a testkit reads it"))]
pub(crate) struct Divergence<'a> {
    /// The place of its checkpoint in the code.
    pub(crate) location: String,
    /// The visible name of the record.
    pub(crate) record: String,
    /// Each argument that differs, as text.
    pub(crate) differing: &'a [String],
}
