//! What a body may ask about its own call. Owns the questions; must not know how the answers are found.

use crate::context::Ambient;

/// A stable key for this call. It is the same on every attempt and every try, and differs for every other call and
/// after `.fresh()`.
///
/// Give it to a service that recognises repeated requests. Then an effect that ran without a record is not repeated
/// there. The key has 32 hexadecimal digits, and is derived from the execution, its generation, the checkpoint, its
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
            "cannot call kitaru::idempotency_key(): no checkpoint's body runs here; call it in a body, before \
             anything is spawned"
        ),
    })
}

/// Whether this body may have run before: the last attempt was interrupted, and may have begun this body without
/// recording its outcome.
///
/// `true` applies to the bodies at which the journal ends, one for each branch of the flow: the interrupted attempt was
/// about to run them, or ran them. `false` applies to all others: no body begins before it is durable that its attempt
/// may run it. Earlier tries of the same attempt do not count.
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
            "cannot call kitaru::may_have_run(): no checkpoint's body runs here; call it in a body, before anything \
             is spawned"
        ),
    })
}
