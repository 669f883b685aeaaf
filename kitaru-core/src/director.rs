//! The seam through which a test has a hand in executions: it hears of what happens, may play a body's part, and may let
//! nothing go further, as a dead process would. Owns the words for that; must not know who directs, nor why.
//!
//! Only a build with the feature `testkit` has directors, and few of its programs use one: then each place costs one look at
//! an `Option`. In a build without the feature a [`Direction`] has no size, and each place costs nothing.

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

/// Who directs the executions of one store.
#[cfg(feature = "testkit")]
pub(crate) trait Director: Send + Sync + 'static {
    /// A call that no record answers is about to start.
    fn starts(&self, cue: &Cue<'_>) -> Goes;

    /// A body comes to this moment.
    fn moment(&self, checkpoint: &str, moment: Moment) -> Goes;

    /// An attempt comes to this moment.
    fn turn(&self, execution: &ExecutionId, turn: Turn) -> Goes;

    /// Who plays the next try of a body. The arguments are there for the asking.
    fn cast(&self, checkpoint: &str, args: &mut dyn FnMut() -> serde_json::Value) -> Part;

    /// Hears of something that it has no hand in.
    fn observe(&self, observation: &Observation<'_>);

    /// Puts those who may go on at once in an order.
    fn order(&self, wake: &mut [Waker]);

    /// What stands for chance that is not recorded.
    fn chance(&self) -> u64;

    /// A body begins that may wait for something outside.
    fn watches(&self, outside: &Arc<Outside>);

    /// A test's stub is wrong, so that its body never ends.
    fn mistaken(&self, what: String);
}

/// Whether something goes on.
#[cfg(feature = "testkit")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what goes no further has to stop"]
pub(crate) enum Goes {
    On,
    /// Its process is dead.
    NoFurther,
}

/// A moment of a body's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A try is about to be polled for the first time.
    Begins,
    /// It is about to be polled again.
    GoesOn,
    /// A poll of it has ended, and it has not.
    Suspends,
    /// It has come to its end, and nothing is recorded yet.
    Ends,
}

/// A moment of an attempt's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is counted, and nothing else of it has been touched.
    Counted,
    /// Its flow is about to be begun, from what is recorded.
    Begins,
    /// Its flow is out of memory, and that is about to be recorded.
    Parks,
}

/// A call that is about to start.
#[cfg_attr(not(feature = "testkit"), expect(dead_code, reason = "nobody reads it without a testkit"))]
pub(crate) struct Cue<'a> {
    pub(crate) execution: &'a ExecutionId,
    pub(crate) generation: u32,
    pub(crate) attempt: u32,
    pub(crate) checkpoint: &'a str,
    /// The visible name.
    pub(crate) name: String,
    /// Where its checkpoint stands in the code.
    pub(crate) location: String,
    /// How many calls of the checkpoint were made before, in this attempt.
    pub(crate) place: u32,
    /// The same on every attempt.
    pub(crate) identity: Key,
    pub(crate) args: Vec<Arg>,
    pub(crate) stage: CueStage,
}

/// How far a call that starts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CueStage {
    /// Its body runs at once.
    Body,
    /// Its body may run once, and its intent is recorded first.
    Intent,
    /// Its body may run once, and its intent is recorded.
    Once,
    /// As `Once`, and a person has said that it runs, whether or not it has run before.
    OnceMore,
    /// It waits.
    Wait,
}

/// What a director only hears of.
#[cfg_attr(not(feature = "testkit"), expect(dead_code, reason = "nobody reads it without a testkit"))]
pub(crate) enum Observation<'a> {
    /// The flow is given the outcome of a call that had none recorded when it was made.
    Given { execution: &'a ExecutionId, checkpoint: &'a str, identity: Key },
    /// A record has answered a call of this checkpoint.
    Replayed { checkpoint: &'a str, identity: Key },
    /// An `at_most_once` body of this checkpoint that an earlier attempt had begun is not run again, unless a person says so.
    Interrupted { checkpoint: &'a str },
    /// A call contradicts a record.
    Diverged(Divergence<'a>),
    /// The value that was recorded for this checkpoint is not digested alike when it is read back.
    Unsteady { checkpoint: &'a str },
}

/// A call that contradicts a record.
#[cfg_attr(not(feature = "testkit"), expect(dead_code, reason = "nobody reads it without a testkit"))]
pub(crate) struct Divergence<'a> {
    /// Where its checkpoint stands in the code.
    pub(crate) location: String,
    /// The visible name of the record.
    pub(crate) record: String,
    /// Each argument that differs, in words.
    pub(crate) differing: &'a [String],
}
