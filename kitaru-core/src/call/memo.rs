//! Results that other executions recorded, for `#[checkpoint(memo)]`. Owns where they are looked up; must not know
//! when.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::call::body::Body;
use crate::call::meta::Spec;
use crate::clock::millis;
use crate::context::Context;
use crate::journal::Packed;
use crate::ledger::MemoEntry;
use crate::machine::Claim;
use crate::pool;
use crate::value::{Key, digest_parts};

pub(super) type Recall = Pin<Box<dyn Future<Output = Option<MemoEntry>> + Send>>;

pub(super) fn memo_key(spec: &Spec, claim: &Claim) -> Key {
    digest_parts(&[&claim.key.0, &spec.meta().source.to_le_bytes()])
}

/// Looks for a memo, outside the runtime's threads.
pub(super) fn recall(context: &Arc<Context>, spec: &Spec, claim: &Claim, max_age: Option<Duration>) -> Recall {
    let key = memo_key(spec, claim);
    let runtime = context.runtime.clone();
    let looked = pool::blocking(move || {
        let memo = runtime.archive.memo(&key)?;
        let age_ms = runtime.clock.now_ms().saturating_sub(memo.recorded_ms);
        max_age.is_none_or(|bound| age_ms <= millis(bound)).then_some(memo)
    });
    // A memo that cannot be read does not count: the body runs.
    Box::pin(async move { looked.await.ok().flatten() })
}

pub(super) fn memoized<B: Body>(memo: MemoEntry) -> Option<(Packed, B::Output)> {
    let value = B::unpack(&memo.payload.borrow()).ok()?;
    Some((memo.payload.into(), value))
}
