//! The state that the calls of one response share.
//!
//! Owns that a call which still waits for permission never begins after a sibling has failed. Must not know what the call waits
//! for.

use std::future::{IntoFuture, pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures::future::BoxFuture;

use crate::error::ToolError;

/// The calls of one response: whether one has failed.
#[derive(Clone, Default)]
pub(crate) struct Siblings(Arc<AtomicBool>);

/// One of the calls: whether it waits for permission to begin. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Sibling {
    waits: Arc<AtomicBool>,
    all: Siblings,
}

impl Siblings {
    pub(crate) fn another(&self) -> Sibling {
        Sibling { waits: Arc::default(), all: self.clone() }
    }

    /// Waits for all calls, even after one fails: the effects of the others have happened. Calls that still wait for permission
    /// are dropped, and have no outcome.
    pub(crate) async fn run<T>(
        &self,
        mut calls: Vec<(Sibling, BoxFuture<'_, Result<T, ToolError>>)>,
    ) -> Vec<Option<Result<T, ToolError>>> {
        let mut outcomes: Vec<_> = calls.iter().map(|_| None).collect();
        poll_fn(|cx| {
            for ((_, call), outcome) in calls.iter_mut().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none()) {
                if let Poll::Ready(given) = call.as_mut().poll(cx) {
                    // A message to the model is not a failure.
                    if !matches!(given, Ok(_) | Err(ToolError::Retry(_))) {
                        self.0.store(true, Ordering::Relaxed);
                    }
                    *outcome = Some(given);
                }
            }
            let failed = self.0.load(Ordering::Relaxed);
            let is_over = |sibling: &Sibling| failed && sibling.waits.load(Ordering::Relaxed);
            match calls.iter().zip(&outcomes).all(|((sibling, _), outcome)| outcome.is_some() || is_over(sibling)) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        outcomes
    }
}

impl Sibling {
    /// Waits for permission before the call does anything. It never returns after a sibling has failed.
    pub(crate) async fn wait<F: IntoFuture>(&self, leave: F) -> F::Output {
        self.waits.store(true, Ordering::Relaxed);
        self.stay_if_one_failed().await;
        let leave = leave.await;
        self.stay_if_one_failed().await;
        self.waits.store(false, Ordering::Relaxed);
        leave
    }

    async fn stay_if_one_failed(&self) {
        if self.all.0.load(Ordering::Relaxed) {
            pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::tool::ToolOutput;

    #[tokio::test]
    async fn calls_that_wait_never_begin_after_a_sibling_failed_and_begun_ones_end() {
        // The waiting call is about to ask for permission when the other fails, or about to receive it.
        for is_asking in [false, true] {
            none_begins_beside_a_failure(is_asking).await;
        }
    }

    async fn none_begins_beside_a_failure(is_asking: bool) {
        let (siblings, begun) = (Siblings::default(), AtomicBool::new(false));
        let [fails, waits, asked, works] = [(); 4].map(|()| siblings.another());
        let moment = || async move {
            if is_asking {
                tokio::task::yield_now().await;
            }
        };
        let failing = async {
            moment().await;
            Err(ToolError::failed("down"))
        }
        .boxed();
        let (about_to_begin, still_asked) = (waits.clone(), asked.clone());
        // Its permission arrives together with the failure, which comes first.
        let waiting = async {
            about_to_begin.wait(moment()).await;
            begun.store(true, Ordering::Relaxed);
            Ok(ToolOutput::text("paid"))
        };
        let asking = async {
            still_asked.wait(pending::<()>()).await;
            Ok(ToolOutput::text("paid"))
        };
        let working = async {
            tokio::task::yield_now().await;
            Ok(ToolOutput::text("worked"))
        };
        let calls = vec![(fails, failing), (waits, waiting.boxed()), (asked, asking.boxed()), (works, working.boxed())];
        let outcomes = siblings.run(calls).await;
        let contents =
            outcomes.iter().map(|outcome| outcome.as_ref().map(|given| given.as_ref().ok().map(|out| &*out.content)));
        assert_eq!(contents.collect::<Vec<_>>(), [Some(None), None, None, Some(Some("worked"))]);
        assert!(!begun.into_inner(), "it begins although another one has failed");
    }

    #[tokio::test]
    async fn retry_of_one_call_does_not_stop_a_waiting_sibling() {
        let siblings = Siblings::default();
        let [wrong, waits] = [(); 2].map(|()| siblings.another());
        let waiting = waits.clone();
        let agreed = async move {
            waiting.wait(tokio::task::yield_now()).await;
            Ok(ToolOutput::text("paid"))
        };
        let calls = vec![(wrong, async { Err(ToolError::retry("no")) }.boxed()), (waits, agreed.boxed())];
        assert!(matches!(siblings.run(calls).await[..], [Some(Err(ToolError::Retry(_))), Some(Ok(_))]));
    }
}
