//! A budget that several runs share.
//!
//! Owns the count that runs share, and its bounds. Must not know where a count is kept beyond the process: counting again on
//! every attempt gives the same sum.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::error::AgentError;
use crate::price::Cost;
use crate::usage::{Bill, Bounds, Usage};

/// A bound on the cost of several runs together, of one agent or of many. Clones share the count.
///
/// A bound on cost needs a [`Price`](crate::Price) of each agent: a run without one is refused before its first request. After
/// an answer without usage, bounds on tokens and cost can no longer be kept, and the next request is refused; the answer itself
/// counts.
///
/// Each bound is checked before the next payment. So an answer may exceed it, and the request after it is not sent. Each
/// concurrent run may exceed it by one answer.
///
/// In a flow, make the budget in the flow's own code. Every attempt counts from zero, and a replayed record counts as much as
/// it cost, so the budget holds across crashes. The cost of a turn that is one checkpoint, or of a run in a tool's body, is in
/// the record of that. Until it is recorded, only the runs in such bodies see it. The cost of a failed tool is unknown. On a
/// later attempt, so is that of a failed turn that runs again. In the body of a checkpoint of your own, give runs a budget of
/// their own.
///
/// Outside flows, replayed records count as well: a question that is asked again because it had no answer counts again from its
/// start.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, AgentError, Budget, Cost, FunctionModel, ModelResponse, Price, Tokens};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("42").with_tokens(Tokens::new(1_000, 100))));
/// let agent = Agent::builder(model).price(Price::per_million(3.0, 15.0)).build()?;
///
/// let budget = Budget::new().cost(Cost::of(0.008));
/// agent.run("one").budget(&budget).await?;
/// agent.run("two").budget(&budget).await?;
/// assert_eq!(budget.usage().cost, Cost::of(0.009));
/// let refused = agent.run("three").budget(&budget).await;
/// assert!(matches!(refused, Err(AgentError::Budget { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "a budget bounds the runs that it is given to"]
pub struct Budget {
    bounds: Bounds,
    count: Arc<Mutex<Count>>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    total: Usage,
    replayed: Usage,
    /// Spent in the bodies of unfinished calls.
    under_way: Usage,
    /// Already counted, and about to be counted again.
    credit: Usage,
    /// An answer did not say what it used.
    is_unsure: bool,
}

thread_local! {
    /// The bodies around the code of this thread, the innermost last: each with its budget, and what it has spent of it.
    static BODIES: RefCell<Vec<(Budget, Arc<Mutex<Usage>>)>> = const { RefCell::new(Vec::new()) };
}

impl Budget {
    /// A budget without bounds, which counts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows at most `n` requests.
    pub fn requests(mut self, n: u64) -> Self {
        self.bounds.requests = Some(n);
        self
    }

    /// Allows at most `n` tool calls.
    pub fn tool_calls(mut self, n: u64) -> Self {
        self.bounds.tool_calls = Some(n);
        self
    }

    /// Allows no request once `n` tokens are used, sent and received.
    pub fn total_tokens(mut self, n: u64) -> Self {
        self.bounds.total_tokens = Some(n);
        self
    }

    /// Allows no request once this much is spent, by the agents' [`Price`](crate::Price)s.
    pub fn cost(mut self, cost: Cost) -> Self {
        self.bounds.cost = Some(cost);
        self
    }

    /// The cost of its runs so far, including what earlier attempts paid. In a flow it is the same on every attempt.
    pub fn usage(&self) -> Usage {
        let Count { mut total, under_way, .. } = *self.count();
        if self.spent_in_body().is_some() {
            total += under_way;
        }
        total
    }

    /// The cost of its runs so far, and which part of it this attempt paid. In a flow it differs from attempt to attempt.
    pub fn bill(&self) -> Bill {
        let Count { total, replayed, .. } = *self.count();
        Bill { paid: total.less(replayed), replayed }
    }

    /// Adds the cost of an answer or a tool call, paid now or before.
    pub(crate) fn add(&self, usage: Usage) {
        let usage = self.count().take_credit(usage);
        match self.spent_in_body() {
            Some(spent) => {
                *lock(&spent) += usage;
                self.count().under_way += usage;
            }
            None => {
                let mut count = self.count();
                count.total += usage;
                count.is_unsure |= usage.is_unsure();
            }
        }
    }

    /// This much is about to be added again: a run repeats the outcomes of a broken one.
    pub(crate) fn credit(&self, usage: Usage) {
        self.count().credit += usage;
    }

    /// Whether it has a bound on cost.
    pub(crate) fn bounds_cost(&self) -> bool {
        self.bounds.cost.is_some()
    }

    /// Whether it has a bound on what answers use.
    pub(crate) fn bounds_usage(&self) -> bool {
        self.bounds.cost.is_some() || self.bounds.total_tokens.is_some()
    }

    /// Whether an answer did not say what it used.
    pub(crate) fn is_unsure(&self) -> bool {
        let Count { is_unsure, under_way, .. } = *self.count();
        is_unsure || self.spent_in_body().is_some() && under_way.is_unsure()
    }

    /// Whether both share one count.
    pub(crate) fn is_same(&self, other: &Budget) -> bool {
        Arc::ptr_eq(&self.count, &other.count)
    }

    /// This much of the count was paid for before.
    pub(crate) fn add_replayed(&self, usage: Usage) {
        self.count().replayed += usage;
    }

    /// Checks whether another request may be sent.
    pub(crate) fn check_request(&self) -> Result<(), AgentError> {
        self.bounds.check_request(&self.usage()).map_err(|(limit, bound)| AgentError::Budget { limit, bound })
    }

    /// Checks whether this many more tools may be called.
    pub(crate) fn check_tool_calls(&self, more: u64) -> Result<(), AgentError> {
        let checked = self.bounds.check_tool_calls(&self.usage(), more);
        checked.map_err(|(limit, bound)| AgentError::Budget { limit, bound })
    }

    /// Begins the call of a checkpoint. The code that releases its record counts what its bodies spend. Until the call has
    /// ended, only other bodies see it.
    pub(crate) fn hold(&self) -> Hold {
        Hold { budget: self.clone(), spent: Arc::default() }
    }

    /// The count of the body around this thread's code, if it belongs to this budget.
    fn spent_in_body(&self) -> Option<Arc<Mutex<Usage>>> {
        BODIES.with_borrow(|bodies| {
            let mut own = bodies.iter().rev().filter(|(budget, _)| self.is_same(budget));
            own.next().map(|(_, spent)| spent.clone())
        })
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        lock(&self.count)
    }
}

impl Count {
    /// The part of a usage that must be counted.
    fn take_credit(&mut self, usage: Usage) -> Usage {
        let counted = usage.less(self.credit);
        self.credit = self.credit.less(usage);
        counted
    }
}

/// What the bodies of one call have spent of a budget.
pub(crate) struct Hold {
    budget: Budget,
    spent: Arc<Mutex<Usage>>,
}

impl Hold {
    /// Runs a body, and returns what it and the bodies before it have spent.
    pub(crate) fn around<F: Future>(&self, body: F) -> Around<F> {
        Around { budget: self.budget.clone(), spent: self.spent.clone(), body: Box::pin(body) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let spent = *lock(&self.spent);
        let mut count = self.budget.count();
        count.under_way = count.under_way.less(spent);
    }
}

/// A body, with what is spent while it is polled.
pub(crate) struct Around<F> {
    budget: Budget,
    spent: Arc<Mutex<Usage>>,
    body: Pin<Box<F>>,
}

impl<F: Future> Future for Around<F> {
    type Output = (F::Output, Usage);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        BODIES.with_borrow_mut(|bodies| bodies.push((self.budget.clone(), self.spent.clone())));
        let _left = Left;
        self.body.as_mut().poll(cx).map(|output| (output, *lock(&self.spent)))
    }
}

/// Removes the body again, even if it panics.
struct Left;

impl Drop for Left {
    fn drop(&mut self) {
        // Dropped outside the borrow.
        let _body = BODIES.with_borrow_mut(Vec::pop);
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("bounds", &self.bounds).field("bill", &self.bill()).finish()
    }
}
