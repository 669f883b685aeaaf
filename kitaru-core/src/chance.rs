//! Time and randomness that repeat: the recorded forms of what a flow must not take from the system.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::clock::Clock;
use crate::context::flow_or_body;
use crate::entropy;
use crate::id::check_name;

/// The time, the same on every replay.
///
/// In a flow's own code the time is recorded: it is durable before any later body starts. In a checkpoint's body, which
/// is not replayed, it is the time of day. It is precise to the millisecond.
///
/// # Panics
///
/// If no flow is in scope.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// let deadline = kitaru::now() + std::time::Duration::from_secs(3600);
/// assert!(deadline > kitaru::now());
/// # });
/// ```
pub fn now() -> SystemTime {
    let Some(context) = flow_or_body("now") else { return Clock::system().now() };
    let unix_ms = context.replay().now(|| context.runtime.clock.now_ms());
    UNIX_EPOCH + Duration::from_millis(unix_ms)
}

/// A random number, the same on every replay.
///
/// In a flow's own code it derives from a seed that is recorded with the execution. In a checkpoint's body it differs
/// each time.
///
/// # Panics
///
/// If no flow is in scope.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// assert_ne!(kitaru::random(), kitaru::random());
/// # });
/// ```
pub fn random() -> u64 {
    let bytes = chance("random");
    u64::from_le_bytes(bytes[..8].try_into().expect("eight of 32 bytes"))
}

/// A version 4 UUID, the same on every replay.
///
/// As [`random`], from a seed that is recorded with the execution. It is unique, and as unpredictable as that seed.
///
/// # Panics
///
/// If no flow is in scope.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// let order = kitaru::uuid();
/// assert_eq!(order.get_version_num(), 4);
/// # });
/// ```
pub fn uuid() -> Uuid {
    let bytes = chance("uuid");
    let bytes = bytes[..16].try_into().expect("16 of 32 bytes");
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// Whether this execution passes a change of the flow's code with the new code. `true` for an execution that reaches
/// this point for the first time: it takes the new path, and keeps it. `false` for an execution that went past this
/// point with the old code: it must continue with that.
///
/// The answer is recorded by its name, and the first one counts for the whole execution, wherever and however often
/// `patched` is called. When no execution of the old code is left, remove the old path and this call from the flow.
/// Until then every later change needs a name of its own.
///
/// # Panics
///
/// Outside a flow's own code, and if the name is not valid: at most 128 bytes without control characters.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// # async fn send_letter() {} async fn send_mail() {}
/// if kitaru::patched("mail instead of letters") {
///     send_mail().await;
/// } else {
///     send_letter().await;
/// }
/// # });
/// ```
pub fn patched(name: &str) -> bool {
    let Some(context) = flow_or_body("patched") else {
        panic!(
            "cannot call kitaru::patched in a checkpoint's body: a body is not replayed; call it in the flow's \
                own code"
        )
    };
    if let Err(error) = check_name("patch", name) {
        panic!("{error}");
    }
    context.replay().patched(name)
}

fn chance(function: &str) -> [u8; 32] {
    flow_or_body(function).map_or_else(entropy::draw, |context| context.chance())
}
