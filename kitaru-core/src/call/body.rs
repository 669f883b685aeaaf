//! What a call runs: a body, which runs in tries and may be a wait. Must not know when it runs.

use std::fmt;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use crate::call::outcome::{Landing, Packing, Unpack};
use crate::context::Context;
use crate::error::Error;
use crate::journal::{Opening, Payload};
use crate::ledger::Change;
use crate::machine::{Due, SlotId};
use crate::value::{ArgSink, Key};

/// The body of a checkpoint, as a [`Call`](crate::Call) runs it. Written by the macro, implemented only here.
///
/// It has no associated future: whether a call is `Send` leaks through the opaque type of the function's result, and
/// only through that.
#[doc(hidden)]
#[allow(missing_docs, private_interfaces)]
pub trait Body: sealed::Sealed {
    type Output;

    fn describe(&self, sink: &mut ArgSink<'_>);
    /// The body as a wait, if it is one. A wait is opened before it runs.
    fn as_wait(&mut self) -> Option<&mut dyn WaitBody> {
        None
    }
    /// Starts a try. False if the arguments are needed again and cannot be copied.
    fn begin(&mut self, more: MoreTries) -> bool;
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Self::Output>;
    /// Drops what is left of a try.
    fn end(&mut self);

    fn pack(value: Self::Output, packing: &Packing) -> Landing<Self::Output>;
    fn pack_error(error: Error) -> Landing<Self::Output>;
    fn unpack(payload: &Payload<'_>) -> Result<Self::Output, Unpack>;
    fn fail(error: Error) -> Result<Self::Output, Error>;
    fn failure(value: &Self::Output) -> Option<Error>;
}

/// A body that waits for something outside, and has no effect of its own.
#[doc(hidden)]
#[allow(missing_docs, private_interfaces)]
pub trait WaitBody {
    /// What it waits for, decided when it begins for the first time, and what is shown of it outside. `None` if it does
    /// not need to wait.
    fn opening(&mut self, site: &Site<'_>) -> Option<(Opening, Vec<Change>)>;
    /// Begins to wait for what an earlier attempt recorded or this one decided. Gives when the wait ends by itself.
    fn open(&mut self, site: &Site<'_>, recorded: Option<Opening>) -> Due;
    /// The signal that it took.
    fn message(&self) -> Option<u64> {
        None
    }
}

/// Where a wait stands.
#[allow(private_interfaces)]
pub struct Site<'a> {
    pub(crate) context: &'a Arc<Context>,
    /// The visible name.
    pub(crate) name: &'a str,
    /// What identifies the call, the same on every attempt.
    pub(crate) identity: Key,
    pub(crate) slot: SlotId,
}

impl fmt::Debug for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// Whether a try may be followed by another one, which needs the arguments too.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoreTries {
    /// Further tries are possible.
    Possible,
    /// This is the last try.
    None,
}

/// The error as the call's result.
///
/// # Panics
///
/// If the result cannot hold an error. Outside a durable call nothing else can receive it.
pub(super) fn hold<B: Body>(error: Error) -> B::Output {
    B::fail(error).unwrap_or_else(|error| panic!("{error:#}"))
}
