//! One future for each of many items, run concurrently up to a limit, with the outcomes in the order of the items.

mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::{Future, poll_fn};
use std::iter;
use std::mem;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::vec;

pub use policy::{All, AtLeast, Fallible, FirstError, Policy};

/// Runs one future for each of many items, with a limit on concurrency. The outcomes are in the order of the items.
///
/// [`limit`](Map::limit) sets how many run concurrently; without it, all do. [`run`](Map::run) sets what is done with
/// an item: usually one call of a checkpoint, with a record of its own. A policy decides about failures:
///
/// | policy | gives | ends early |
/// |---|---|---|
/// | [`FirstError`], unless another one is chosen | `Result<Vec<T>, E>` | at the first error: the others are dropped |
/// | [`.all()`](Map::all) | `Vec<R>`, of any outcome `R` | never |
/// | [`.at_least(k)`](Map::at_least) | `Result<Vec<Result<T, E>>, kitaru::Error>` | when fewer than `k` can still succeed |
///
/// # Replay
///
/// Items begin in their order, the next one when one ends. So the call for the n-th item is the n-th of its kind, with
/// any limit and with bodies of any speed. The limit may therefore be changed while executions run. The first error is
/// the first in the order of the records, the same on every replay.
///
/// It needs no flow. In a checkpoint's body and outside flows it does the same with plain futures.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// use kitaru::{Error, dynamic};
///
/// let fetch = |page: u32| {
///     let call = dynamic::checkpoint("fetch").arg("page", &page);
///     call.run(move || async move { if page < 9 { Ok(page * 10) } else { Err(Error::msg("no such page")) } })
/// };
/// let pages = kitaru::map(0..9).limit(4).run(fetch).await.unwrap();
/// assert_eq!(pages[..3], [0, 10, 20]);
///
/// let error = kitaru::map(8..12).limit(4).run(fetch).await.unwrap_err();
/// assert_eq!(error.to_string(), "no such page");
/// # });
/// ```
pub fn map<I: IntoIterator>(items: I) -> Map<I::Item> {
    Map { items: items.into_iter().collect(), limit: usize::MAX, policy: FirstError }
}

/// Items, and how to run them. Made by [`map()`].
#[must_use = "a map does nothing until it is run and awaited"]
pub struct Map<T, P = FirstError> {
    items: Vec<T>,
    limit: usize,
    policy: P,
}

impl<T, P> fmt::Debug for Map<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("items", &self.items.len()).field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<T, P> Map<T, P> {
    /// Sets how many items run concurrently.
    ///
    /// # Panics
    ///
    /// If it is 0, because nothing could run.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # async fn demo() {
    /// let doubled = kitaru::map([1, 2, 3]).limit(2).all().run(async |n| n * 2).await;
    /// assert_eq!(doubled, [2, 4, 6]);
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(demo());
    /// ```
    pub fn limit(mut self, limit: usize) -> Self {
        assert!(limit > 0, "cannot run a kitaru::map with a limit of 0: nothing could run; set a limit of 1 or more");
        self.limit = limit;
        self
    }

    /// Gives the outcome of every item, and never fails by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # async fn demo() {
    /// let parse = async |text: &str| text.parse::<u32>();
    /// let numbers = kitaru::map(["1", "two", "3"]).all().run(parse).await;
    /// assert_eq!(numbers[0], Ok(1));
    /// assert!(numbers[1].is_err());
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(demo());
    /// ```
    pub fn all(self) -> Map<T, All> {
        Map { items: self.items, limit: self.limit, policy: All }
    }

    /// Accepts failures as long as `count` items can succeed, and gives the outcome of every item. As soon as `count`
    /// items cannot succeed any more, it ends with an error that gives the reason. It runs all items, even if `count`
    /// have already succeeded.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # async fn demo() {
    /// let parse = async |text: &str| text.parse::<u32>();
    /// let numbers = kitaru::map(["1", "two", "3"]).at_least(2).run(parse).await.unwrap();
    /// assert_eq!(numbers.into_iter().flatten().collect::<Vec<_>>(), [1, 3]);
    ///
    /// let error = kitaru::map(["1", "two", "3"]).at_least(3).run(parse).await.unwrap_err();
    /// assert_eq!(
    ///     format!("{error:#}"),
    ///     "cannot have 3 of 3 items succeed: 1 failed: invalid digit found in string"
    /// );
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(demo());
    /// ```
    pub fn at_least(self, count: usize) -> Map<T, AtLeast> {
        Map { items: self.items, limit: self.limit, policy: AtLeast::new(count) }
    }

    /// Runs the function for each item. The first items begin immediately, up to the limit, and the next one when one
    /// ends: the function is called when its item begins. Its futures are polled when this is polled.
    ///
    /// # Errors
    ///
    /// Those of the policy: see [`map()`].
    ///
    /// # Panics
    ///
    /// If the function or a future panics. In a flow that fails the attempt.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops everything that runs, which cancels the bodies of called checkpoints. No further item begins.
    pub fn run<'a, F, C>(self, function: F) -> Run<'a, P::Output>
    where
        T: Send + 'a,
        F: FnMut(T) -> C + Send + 'a,
        C: Future + Send + 'a,
        P: Policy<C::Output, Kept: Send, Output: Send> + Send + 'a,
    {
        let Map { items, limit, mut policy } = self;
        let mut kept: Vec<Option<P::Kept>> = iter::repeat_with(|| None).take(items.len()).collect();
        let begun = policy.begin(items.len());
        let mut window = Window::new(items, function);
        while begun.is_continue() && window.running.len() < limit && window.begin_next() {}
        Run(Box::pin(async move {
            if let ControlFlow::Break(output) = begun {
                return output;
            }
            while let Some((nth, outcome)) = poll_fn(|cx| window.poll_next(cx)).await {
                match policy.take(outcome) {
                    ControlFlow::Continue(part) => kept[nth] = Some(part),
                    ControlFlow::Break(output) => return output,
                }
                window.begin_next();
            }
            policy.finish(kept.into_iter().flatten().collect())
        }))
    }
}

/// A running map. Made by [`Map::run`].
// What it holds is not part of its type. Otherwise the compiler could not prove that a flow is `Send` across an await
// of it, if its closure borrows.
#[must_use = "futures do nothing unless awaited"]
pub struct Run<'a, O>(Pin<Box<dyn Future<Output = O> + Send + 'a>>);

impl<O> fmt::Debug for Run<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

impl<O> Future for Run<'_, O> {
    type Output = O;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O> {
        self.0.as_mut().poll(cx)
    }
}

/// The running items, and those that have not begun.
struct Window<T, F, C> {
    /// Items that have not begun, with their numbers.
    items: iter::Enumerate<vec::IntoIter<T>>,
    function: F,
    /// By the numbers of the items.
    running: BTreeMap<usize, (Pin<Box<C>>, Waker)>,
    /// Items to poll.
    due: BTreeSet<usize>,
    woken: Arc<Woken>,
}

impl<T, F: FnMut(T) -> C, C: Future> Window<T, F, C> {
    fn new(items: Vec<T>, function: F) -> Self {
        let items = items.into_iter().enumerate();
        Window { items, function, running: BTreeMap::new(), due: BTreeSet::new(), woken: Arc::default() }
    }

    /// Begins the next item, if there is one more.
    fn begin_next(&mut self) -> bool {
        let Some((nth, item)) = self.items.next() else { return false };
        let waker = Waker::from(Arc::new(Nth { nth, woken: self.woken.clone() }));
        self.running.insert(nth, (Box::pin((self.function)(item)), waker));
        self.due.insert(nth)
    }

    /// The next item that ended, and its outcome. The lowest number is polled first, so that a replay does what the
    /// first run did.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, C::Output)>> {
        self.due.append(&mut self.woken.take(cx.waker()));
        while let Some(nth) = self.due.pop_first() {
            // It may have been woken once more after it ended.
            let Some((future, waker)) = self.running.get_mut(&nth) else { continue };
            if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                self.running.remove(&nth);
                return Poll::Ready(Some((nth, outcome)));
            }
        }
        if self.running.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// Which items were woken since they were last polled, and the waker of the poller.
#[derive(Default)]
struct Woken(Mutex<(BTreeSet<usize>, Option<Waker>)>);

impl Woken {
    fn add(&self, nth: usize) -> Option<Waker> {
        let (numbers, poller) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.insert(nth);
        poller.clone()
    }

    /// Takes the woken items, and registers the waker for the next ones.
    fn take(&self, waker: &Waker) -> BTreeSet<usize> {
        let (numbers, poller) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match poller {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        mem::take(numbers)
    }
}

/// The waker of one item.
struct Nth {
    nth: usize,
    woken: Arc<Woken>,
}

impl Wake for Nth {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Outside the lock: the waker is foreign code.
        if let Some(poller) = self.woken.add(self.nth) {
            poller.wake();
        }
    }
}

#[cfg(test)]
mod tests;
