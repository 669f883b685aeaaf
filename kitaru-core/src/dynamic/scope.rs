//! Where a library's code runs. Owns what it can learn of that, and what it keeps there. Must not know what it makes there.

use std::sync::Arc;

use crate::context::{Ambient, Parking};

/// Where code runs, as far as kitaru is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// In no flow.
    Outside,
    /// In a flow's own code.
    Flow,
    /// In a checkpoint's body, or where checkpoints are plain functions.
    Body,
}

/// Where this code runs.
pub fn scope() -> Scope {
    Ambient::with(|ambient| match ambient {
        Ambient::Outside => Scope::Outside,
        Ambient::Flow(_) => Scope::Flow,
        Ambient::Body(_) => Scope::Body,
    })
}

/// Whether the flow in which this code runs, in its own code or in a body, resumes by itself: it is a `#[flow]`, which is
/// parked while it waits and which another process takes up. Other flows stay in memory, and only their caller begins them
/// again.
pub fn resumes_by_itself() -> bool {
    let context = match Ambient::current() {
        Ambient::Outside => None,
        Ambient::Flow(context) => Some(context),
        Ambient::Body(body) => body.context(),
    };
    context.is_some_and(|context| context.attempt.parking == Parking::Possible)
}

/// What a library keeps beside the flow whose own code this is: one value of each type, which begins as the default. It lasts
/// as long as this attempt. Code that a replay repeats finds in it what the first run found, as long as it is changed by
/// such code alone. Nothing in a body, and outside flows.
pub fn beside_the_flow<T: Default + Send + Sync + 'static>() -> Option<Arc<T>> {
    match Ambient::current() {
        Ambient::Flow(context) => Some(context.beside.get()),
        Ambient::Body(_) | Ambient::Outside => None,
    }
}
