//! What a body may ask about its own call. Owns the words; must not know how the answers come about.

use crate::context::Ambient;

/// A stable key for this call: the same on every attempt and every try of it, another one for every other call and
/// after `.fresh()`.
///
/// Give it to a service that recognises a request it has seen, so that an effect that ran without its record landing
/// is not repeated there. 32 hexadecimal digits, derived from the execution, its generation, the checkpoint, its
/// arguments and the occurrence.
///
/// # Panics
///
/// Outside a checkpoint's body.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// # let body = || async {
/// let key = kitaru::idempotency_key();
/// assert_eq!(key.len(), 32);
/// # Ok::<(), kitaru::Error>(()) };
/// # kitaru::dynamic::checkpoint("charge").run(body).await.unwrap();
/// # });
/// ```
pub fn idempotency_key() -> String {
    Ambient::with(|ambient| match ambient {
        Ambient::Body(scope) => scope.idempotency_key(),
        Ambient::Flow(_) | Ambient::Outside => panic!(
            "kitaru::idempotency_key() was called outside a checkpoint's body; it belongs to one call of a checkpoint: \
             ask for it in the body, before anything is spawned"
        ),
    })
}

/// Whether the body that asks may have run before: the attempt before this one was cut off, by a crash or a kill, and may
/// have begun this body without a record of what it came to.
///
/// `true` is said of the bodies at which the journal ends, one for each branch of the flow: they were about to run, or did,
/// and how far nobody knows. `false` is said of all others: no body begins before it is durable that its attempt may run it.
/// Earlier tries of the same attempt do not count.
///
/// # Panics
///
/// Outside a checkpoint's body.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// # let find = |_: &str| None::<u32>;
/// # let charge = |_: &str| 7;
/// # let body = || async move {
/// let key = kitaru::idempotency_key();
/// // To look costs a request, and is of use only after a crash.
/// let charged = if kitaru::may_have_run() { find(&key) } else { None };
/// let receipt = charged.unwrap_or_else(|| charge(&key));
/// # assert_eq!(receipt, 7);
/// # Ok::<(), kitaru::Error>(()) };
/// # kitaru::dynamic::checkpoint("charge").run(body).await.unwrap();
/// # });
/// ```
pub fn may_have_run() -> bool {
    Ambient::with(|ambient| match ambient {
        Ambient::Body(scope) => scope.may_have_run(),
        Ambient::Flow(_) | Ambient::Outside => panic!(
            "kitaru::may_have_run() was called outside a checkpoint's body; it is said of one call of a checkpoint: ask \
             for it in the body, before anything is spawned"
        ),
    })
}
