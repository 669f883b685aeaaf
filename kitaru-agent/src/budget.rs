//! What several runs together may cost, and have cost.
//!
//! Owns the count that runs share, and its bounds. Must not know where a count is kept beyond the process: whoever counts
//! again on every attempt comes to the same.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{AgentError, Bill, Cost, Usage, usage::Bounds};

/// What several runs together may cost, of one agent or of many. Clones share the count.
///
/// Each bound is looked at before the next thing is paid for, so an answer may overshoot it and the request after it is
/// not sent; runs that go on at the same time may each overshoot it by one answer. A turn that is one checkpoint counts
/// once it is over.
///
/// In a flow, make the budget in the flow's own code: every attempt counts from zero, and what it takes from records
/// counts as what was paid for it. So the budget holds across crashes.
///
/// # Examples
///
/// ```
/// use kitaru_agent::{Agent, AgentError, Budget, Cost, FunctionModel, ModelResponse, Price, Tokens};
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
        self.count().total
    }

    /// What its runs have cost so far, and who paid. In a flow it tells of this attempt, and differs on the next.
    pub fn bill(&self) -> Bill {
        let Count { total, replayed } = *self.count();
        Bill { paid: total.less(replayed), replayed }
    }

    /// Counts what an answer or a tool call has cost, whoever paid.
    pub(crate) fn add(&self, usage: Usage) {
        self.count().total += usage;
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

    /// A budget with as much left, for a run that counts apart.
    pub(crate) fn apart(&self) -> Self {
        Self { bounds: self.bounds, count: Arc::new(Mutex::new(*self.count())) }
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("bounds", &self.bounds).field("bill", &self.bill()).finish()
    }
}
