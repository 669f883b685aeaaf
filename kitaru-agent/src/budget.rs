//! What several runs together may cost, and have cost.
//!
//! Owns the count that runs share, and its bounds. Must not know where a count is kept beyond the process: whoever counts
//! again on every attempt comes to the same.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::error::AgentError;
use crate::price::Cost;
use crate::usage::{Bill, Bounds, Usage};

/// What several runs together may cost, of one agent or of many. Clones share the count.
///
/// A bound on cost needs a [`Price`](crate::Price) of each agent: a run without one is refused before it asks anything. After
/// an answer that says nothing of what it used, bounds on tokens and cost cannot be held any more, and the next request is
/// refused; the answer itself counts.
///
/// Each bound is looked at before the next thing is paid for, so an answer may overshoot it and the request after it is
/// not sent; runs that go on at the same time may each overshoot it by one answer.
///
/// In a flow, make the budget in the flow's own code: every attempt counts from zero, and what it takes from records
/// counts as what was paid for it. So the budget holds across crashes. What a turn has spent that is one checkpoint, or
/// a run in the body of a tool, is in the record of that; until it is recorded, only what runs in such bodies sees it. It
/// is not known of a tool that fails, nor, on a later attempt, of a turn that failed and is gone through again; and in the
/// body of a checkpoint of your own, give runs a budget of their own.
///
/// Outside flows it counts what each call takes from records, too: a question that is asked again because it came to no
/// answer counts again from its beginning.
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
    /// Spent in the bodies of calls that are not over.
    under_way: Usage,
    /// What is counted already and is about to be counted once more.
    credit: Usage,
    /// An answer came of which nobody knows what it used.
    is_unsure: bool,
}

thread_local! {
    /// The bodies within which this thread runs, the innermost last: whose budget, and what they have spent of it.
    static BODIES: RefCell<Vec<(Budget, Arc<Mutex<Usage>>)>> = const { RefCell::new(Vec::new()) };
}

impl Budget {
    /// A budget without bounds, which counts.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most `n` requests.
    pub fn requests(mut self, n: u64) -> Self {
        self.bounds.requests = Some(n);
        self
    }

    /// At most `n` tool calls.
    pub fn tool_calls(mut self, n: u64) -> Self {
        self.bounds.tool_calls = Some(n);
        self
    }

    /// No request once `n` tokens are used up, sent and received.
    pub fn total_tokens(mut self, n: u64) -> Self {
        self.bounds.total_tokens = Some(n);
        self
    }

    /// No request once so much is spent, by the agents' [`Price`](crate::Price)s.
    pub fn cost(mut self, cost: Cost) -> Self {
        self.bounds.cost = Some(cost);
        self
    }

    /// What its runs have cost so far, whoever paid. In a flow it is the same on every attempt.
    pub fn usage(&self) -> Usage {
        let Count { mut total, under_way, .. } = *self.count();
        if self.spent_in_body().is_some() {
            total += under_way;
        }
        total
    }

    /// What its runs have cost so far, and who paid. In a flow it tells of this attempt, and differs on the next.
    pub fn bill(&self) -> Bill {
        let Count { total, replayed, .. } = *self.count();
        Bill { paid: total.less(replayed), replayed }
    }

    /// Counts what an answer or a tool call has cost, whoever paid.
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

    /// So much is about to be added that was added before: a run repeats what a broken one was given.
    pub(crate) fn credit(&self, usage: Usage) {
        self.count().credit += usage;
    }

    /// Whether it is bounded by what things cost.
    pub(crate) fn bounds_cost(&self) -> bool {
        self.bounds.cost.is_some()
    }

    /// Whether it is bounded by what answers use.
    pub(crate) fn bounds_usage(&self) -> bool {
        self.bounds.cost.is_some() || self.bounds.total_tokens.is_some()
    }

    /// Whether an answer came of which nobody knows what it used.
    pub(crate) fn is_unsure(&self) -> bool {
        let Count { is_unsure, under_way, .. } = *self.count();
        is_unsure || self.spent_in_body().is_some() && under_way.is_unsure()
    }

    /// Whether both count in one.
    pub(crate) fn is_same(&self, other: &Budget) -> bool {
        Arc::ptr_eq(&self.count, &other.count)
    }

    /// Of what is counted, or about to be, so much was paid for before.
    pub(crate) fn add_replayed(&self, usage: Usage) {
        self.count().replayed += usage;
    }

    /// Looks whether another request may be sent.
    pub(crate) fn check_request(&self) -> Result<(), AgentError> {
        self.bounds.check_request(&self.usage()).map_err(|(limit, bound)| AgentError::Budget { limit, bound })
    }

    /// Looks whether so many more tools may be called.
    pub(crate) fn check_tool_calls(&self, more: u64) -> Result<(), AgentError> {
        let checked = self.bounds.check_tool_calls(&self.usage(), more);
        checked.map_err(|(limit, bound)| AgentError::Budget { limit, bound })
    }

    /// Begins the call of a checkpoint. What its bodies spend is counted by whoever releases its record, and until the call
    /// is over nobody sees it but other bodies.
    pub(crate) fn hold(&self) -> Hold {
        Hold { budget: self.clone(), spent: Arc::default() }
    }

    /// Where the body counts that this thread runs in, if it is one of this budget.
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
    /// What of a usage is to be counted.
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
    /// Runs a body, and says what it and those before it have spent.
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

/// A body, and what is spent while it is polled.
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

/// Takes the body off again, even if it panics.
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
