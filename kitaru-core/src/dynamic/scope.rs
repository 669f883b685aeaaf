//! Where a library's code runs, and values that it keeps there.

use std::sync::Arc;

use crate::context::{Ambient, Parking};

/// Where code runs, in terms of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Outside a flow.
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

/// Whether the flow around this code, in its own code or in a body, resumes automatically: it is a `#[flow]`, which is
/// parked while it waits and which another process can resume. Other flows stay in memory, and only their caller can
/// begin them again.
pub fn resumes_by_itself() -> bool {
    let context = match Ambient::current() {
        Ambient::Outside => None,
        Ambient::Flow(context) => Some(context),
        Ambient::Body(body) => body.context(),
    };
    context.is_some_and(|context| context.attempt.parking == Parking::Possible)
}

/// A value that a library keeps with the flow whose own code this is: one value of each type, which starts as the
/// default. It lasts as long as this attempt. A replay finds in it what the first run found, as long as only code that
/// a replay repeats changes it. `None` in a body and outside flows.
pub fn beside_the_flow<T: Default + Send + Sync + 'static>() -> Option<Arc<T>> {
    match Ambient::current() {
        Ambient::Flow(context) => Some(context.beside.get()),
        Ambient::Body(_) | Ambient::Outside => None,
    }
}
