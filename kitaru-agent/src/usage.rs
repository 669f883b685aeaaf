//! The cost of a run, and its limits.
//!
//! Owns counting. Must not know a clock or a provider.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::error::Limit;
use crate::price::Cost;
use crate::tokens::Tokens;

/// The cost of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Requests that a model answered.
    pub requests: u64,
    /// Tool calls that reached a tool.
    pub tool_calls: u64,
    /// The tokens of all answers.
    pub tokens: Tokens,
    /// Their cost, by the agent's [`Price`](crate::Price); zero without one.
    pub cost: Cost,
}

impl Usage {
    /// Whether some answers did not say what they used.
    pub(crate) fn is_unsure(&self) -> bool {
        self.requests > 0 && self.tokens == Tokens::default() && self.cost.is_zero()
    }

    /// This usage without `part` of it.
    pub(crate) fn less(self, part: Self) -> Self {
        let tokens = Tokens {
            input: self.tokens.input.saturating_sub(part.tokens.input),
            output: self.tokens.output.saturating_sub(part.tokens.output),
            cached_input: self.tokens.cached_input.saturating_sub(part.tokens.cached_input),
        };
        Self {
            requests: self.requests.saturating_sub(part.requests),
            tool_calls: self.tool_calls.saturating_sub(part.tool_calls),
            tokens,
            cost: Cost::from_nanos(self.cost.nanos().saturating_sub(part.cost.nanos())),
        }
    }
}

/// What was used, and who paid: in durable runs a part comes from records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Bill {
    /// Paid for by this attempt.
    pub paid: Usage,
    /// Paid for by an earlier attempt. It comes from that one's record.
    pub replayed: Usage,
}

impl Bill {
    /// Both together.
    pub fn total(&self) -> Usage {
        let mut total = self.paid;
        total += self.replayed;
        total
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.tool_calls = self.tool_calls.saturating_add(other.tool_calls);
        self.tokens += other.tokens;
        self.cost += other.cost;
    }
}

/// The limits of one run. Each is checked before the next payment.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::Limits;
///
/// let limits = Limits::default().requests(5).tool_retries(0);
/// assert_eq!((limits.requests, limits.tool_calls), (5, 500));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limits {
    /// Requests in one run; 50 unless set.
    pub requests: u64,
    /// Tool calls in one run; 500 unless set.
    pub tool_calls: u64,
    /// How many times in a row a call of one tool, or the answer, may be wrong before the run fails; 2 unless set.
    pub tool_retries: u32,
    /// Tokens in one run, sent and received; no bound unless set. An answer may exceed it, and the request after it is not
    /// sent. After an answer that does not say what it used, no request is sent either.
    pub total_tokens: Option<u64>,
    /// The cost of one run by the agent's [`Price`](crate::Price). Without a price the run is refused before its first request.
    /// No bound unless set. An answer may exceed it, and the request after it is not sent.
    pub cost: Option<Cost>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 50, tool_calls: 500, tool_retries: 2, total_tokens: None, cost: None }
    }
}

impl Limits {
    /// Allows at most `n` requests in one run.
    pub fn requests(self, n: u64) -> Self {
        Self { requests: n, ..self }
    }

    /// Allows at most `n` tool calls in one run.
    pub fn tool_calls(self, n: u64) -> Self {
        Self { tool_calls: n, ..self }
    }

    /// Allows at most `n` wrong calls of one tool, or wrong answers, in a row after the first.
    pub fn tool_retries(self, n: u32) -> Self {
        Self { tool_retries: n, ..self }
    }

    /// Allows no request once `n` tokens are used.
    pub fn total_tokens(self, n: u64) -> Self {
        Self { total_tokens: Some(n), ..self }
    }

    /// Allows no request once the run has cost `cost`.
    pub fn cost(self, cost: Cost) -> Self {
        Self { cost: Some(cost), ..self }
    }
}

/// The bounds that are checked before a payment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) requests: Option<u64>,
    pub(crate) tool_calls: Option<u64>,
    pub(crate) total_tokens: Option<u64>,
    pub(crate) cost: Option<Cost>,
}

impl From<Limits> for Bounds {
    fn from(limits: Limits) -> Self {
        let Limits { requests, tool_calls, total_tokens, cost, tool_retries: _ } = limits;
        Self { requests: Some(requests), tool_calls: Some(tool_calls), total_tokens, cost }
    }
}

impl Bounds {
    /// The bound that one more request would exceed.
    pub(crate) fn check_request(&self, usage: &Usage) -> Result<(), (Limit, u64)> {
        let tokens = usage.tokens.input.saturating_add(usage.tokens.output);
        for (limit, used, bound) in [
            (Limit::Requests, usage.requests, self.requests),
            (Limit::TotalTokens, tokens, self.total_tokens),
            (Limit::Cost, usage.cost.nanos(), self.cost.map(Cost::nanos)),
        ] {
            match bound {
                Some(bound) if used >= bound => return Err((limit, bound)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The bound that this many more tool calls would exceed.
    pub(crate) fn check_tool_calls(&self, usage: &Usage, more: u64) -> Result<(), (Limit, u64)> {
        match self.tool_calls {
            Some(bound) if usage.tool_calls.saturating_add(more) > bound => Err((Limit::ToolCalls, bound)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(requests: u64, tool_calls: u64, tokens: Tokens) -> Usage {
        Usage { requests, tool_calls, tokens, cost: Cost::default() }
    }

    #[test]
    fn limits_are_50_requests_500_tool_calls_and_two_wrong_answers_in_a_row_unless_set() {
        let Limits { requests, tool_calls, tool_retries, total_tokens, cost } = Limits::default();
        assert_eq!((requests, tool_calls, tool_retries, total_tokens, cost), (50, 500, 2, None, None));
    }

    #[test]
    fn bound_may_be_used_up_and_nothing_begins_beyond_it() {
        let bounds = Bounds::from(Limits::default().requests(3).tool_calls(4));
        let none = Tokens::default();
        assert!(bounds.check_request(&used(2, 9, none)).is_ok());
        assert_eq!(bounds.check_request(&used(3, 0, none)), Err((Limit::Requests, 3)));
        assert!(bounds.check_tool_calls(&used(9, 1, none), 3).is_ok(), "the fourth is the last one");
        assert_eq!(bounds.check_tool_calls(&used(0, 1, none), 4), Err((Limit::ToolCalls, 4)));
    }

    #[test]
    fn bound_on_tokens_counts_input_and_output() {
        let bounds = Bounds::from(Limits::default().total_tokens(10));
        assert!(bounds.check_request(&used(1, 0, Tokens::new(5, 4))).is_ok());
        for tokens in [Tokens::new(5, 5), Tokens::new(10, 0), Tokens::new(0, 10)] {
            assert_eq!(bounds.check_request(&used(1, 0, tokens)), Err((Limit::TotalTokens, 10)));
        }
    }
}
