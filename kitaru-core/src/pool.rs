//! Where blocking work runs: on the runtime's blocking pool or, if a test keeps everything on one thread, immediately.
//! Must not know the work.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

thread_local! {
    static INLINE: Cell<bool> = const { Cell::new(false) };
}

/// Why blocking work gave no result.
pub(crate) enum Gone {
    Panicked(Box<dyn Any + Send>),
    /// The runtime shuts down.
    ShutDown,
}

/// Makes blocking work on this thread run immediately from now on.
#[cfg(feature = "testkit")]
pub(crate) fn work_inline() {
    INLINE.set(true);
}

/// Runs blocking work outside the runtime's threads. It begins before this is polled.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Gone>> + Send {
    let begun = match INLINE.get() {
        true => PoolWork::Done(catch_unwind(AssertUnwindSafe(work)).map_err(Gone::Panicked)),
        false => PoolWork::OnThePool(spawn_blocking(work)),
    };
    async move {
        match begun {
            PoolWork::Done(done) => done,
            PoolWork::OnThePool(working) => working.await.map_err(|failed| match failed.is_panic() {
                true => Gone::Panicked(failed.into_panic()),
                false => Gone::ShutDown,
            }),
        }
    }
}

enum PoolWork<T> {
    Done(Result<T, Gone>),
    OnThePool(JoinHandle<T>),
}

/// With more pieces of short work for each thread another thread helps.
const MOST_FOR_ONE: usize = 32;

/// Short work that waits for a thread of the pool. A thread continues with the next piece: to wake one takes longer than the
/// work.
#[derive(Default)]
pub(crate) struct LookupQueue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    work: VecDeque<LookupWork>,
    /// How many threads work it off.
    threads: usize,
}

type LookupWork = Box<dyn FnOnce(&LookupTurn) + Send>;

/// A thread that works off a queue.
pub(crate) struct LookupTurn {
    /// None where work runs immediately.
    queue: Option<Arc<LookupQueue>>,
    /// The queue counts this thread.
    is_counted: Cell<bool>,
}

/// As [`blocking`], for work that is short unless it says otherwise.
pub(crate) fn brief<T: Send + 'static>(
    queue: &Arc<LookupQueue>,
    work: impl FnOnce(&LookupTurn) -> T + Send + 'static,
) -> impl Future<Output = Result<T, Gone>> + Send {
    let (send, receive) = oneshot::channel();
    let work = move |turn: &LookupTurn| {
        // Who waited may be gone.
        let _ = send.send(catch_unwind(AssertUnwindSafe(|| work(turn))).map_err(Gone::Panicked));
    };
    match INLINE.get() {
        true => work(&LookupTurn { queue: None, is_counted: Cell::new(false) }),
        false => queue.submit(Box::new(work)),
    }
    async move { receive.await.unwrap_or(Err(Gone::ShutDown)) }
}

impl LookupQueue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, work: LookupWork) {
        let needs_thread = {
            let mut waiting = self.waiting();
            waiting.work.push_back(work);
            let needs_thread = waiting.work.len() > MOST_FOR_ONE * waiting.threads;
            waiting.threads += usize::from(needs_thread);
            needs_thread
        };
        if needs_thread {
            self.work_off();
        }
    }

    /// Has a thread work off the queue, which counts it already.
    fn work_off(self: &Arc<Self>) {
        let turn = LookupTurn { queue: Some(self.clone()), is_counted: Cell::new(true) };
        // A runtime that shuts down drops it here and now.
        drop(spawn_blocking(move || drop(turn)));
    }
}

impl LookupTurn {
    /// The rest of the work takes long: what waits behind it goes to another thread.
    pub(crate) fn takes_long(&self) {
        let Some(queue) = self.queue.as_ref().filter(|_| self.is_counted.replace(false)) else { return };
        let has_more = {
            let mut waiting = queue.waiting();
            let has_more = !waiting.work.is_empty();
            waiting.threads -= usize::from(!has_more);
            has_more
        };
        if has_more {
            queue.work_off();
        }
    }

    fn next(&self) -> Option<LookupWork> {
        let mut waiting = self.queue.as_ref().filter(|_| self.is_counted.get())?.waiting();
        let next = waiting.work.pop_front();
        if next.is_none() {
            waiting.threads -= 1;
            self.is_counted.set(false);
        }
        next
    }
}

impl Drop for LookupTurn {
    /// Works off the queue, also where the runtime drops it unused: what waits may be another runtime's.
    fn drop(&mut self) {
        while let Some(work) = self.next() {
            work(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn work_of_a_queue_is_done_once_and_a_panic_is_that_of_its_own_caller() {
        let queue = Arc::<LookupQueue>::default();
        let all: Vec<_> =
            (0..1_000u32).map(|n| brief(&queue, move |_| if n == 500 { panic!("{n}") } else { n })).collect();
        for (n, one) in all.into_iter().enumerate() {
            match one.await {
                Ok(done) => assert_eq!(done as usize, n),
                Err(gone) => assert!(n == 500 && matches!(gone, Gone::Panicked(_))),
            }
        }
        let waiting = queue.waiting();
        assert!(waiting.work.is_empty() && waiting.threads <= 1, "{} threads", waiting.threads);
    }

    #[tokio::test]
    async fn work_that_takes_long_holds_up_none_behind_it() {
        let queue = Arc::<LookupQueue>::default();
        let (go, wait) = mpsc::channel();
        let long = brief(&queue, move |turn| {
            turn.takes_long();
            wait.recv_timeout(Duration::from_secs(10))
        });
        for n in 0..100 {
            assert!(matches!(brief(&queue, move |_| n).await, Ok(done) if done == n));
        }
        go.send(7).unwrap();
        assert!(matches!(long.await, Ok(Ok(7))));
    }

    #[test]
    fn work_of_a_runtime_that_shuts_down_is_still_done() {
        let queue = Arc::<LookupQueue>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let done = {
            let _entered = handle.enter();
            brief(&queue, |_| 7)
        };
        assert!(matches!(done.now_or_never(), Some(Ok(7))));
        assert_eq!(queue.waiting().threads, 0);
    }
}
