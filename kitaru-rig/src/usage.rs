//! The cost of a run, and who paid for it.
//!
//! Owns counting. Must not know what was recorded.

use std::ops::AddAssign;
use std::sync::{Arc, Mutex, PoisonError};

use rig_core::completion::Usage;
use serde::{Deserialize, Serialize};

/// The cost of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RigUsage {
    /// Requests that a model answered.
    pub requests: u64,
    /// Tool calls that reached a tool.
    pub tool_calls: u64,
    /// The tokens of all answers, and their cost, if the provider reports it.
    pub tokens: Usage,
}

impl RigUsage {
    pub(crate) fn request(tokens: Usage) -> Self {
        RigUsage { requests: 1, tool_calls: 0, tokens }
    }

    pub(crate) fn tool_call() -> Self {
        RigUsage { tool_calls: 1, ..RigUsage::default() }
    }

    /// This usage without `part` of it.
    pub(crate) fn less(self, part: Self) -> Self {
        let count = |whole: Option<u64>, part: Option<u64>| whole.map(|whole| whole.saturating_sub(part.unwrap_or(0)));
        let (whole, paid) = (self.tokens, part.tokens);
        let mut tokens = Usage::new()
            .input_tokens(count(whole.input_tokens, paid.input_tokens))
            .output_tokens(count(whole.output_tokens, paid.output_tokens))
            .total_tokens(count(whole.total_tokens, paid.total_tokens))
            .cached_input_tokens(count(whole.cached_input_tokens, paid.cached_input_tokens))
            .cache_creation_input_tokens(count(whole.cache_creation_input_tokens, paid.cache_creation_input_tokens))
            .tool_use_prompt_tokens(count(whole.tool_use_prompt_tokens, paid.tool_use_prompt_tokens))
            .reasoning_tokens(count(whole.reasoning_tokens, paid.reasoning_tokens));
        tokens.cost = whole.cost.map(|mut cost| {
            // The parts of a difference are unknown.
            (cost.input, cost.output, cost.cache_read, cost.cache_write) = (None, None, None, None);
            cost.total = (cost.total - paid.cost.map_or(0.0, |paid| paid.total)).max(0.0);
            cost
        });
        RigUsage {
            requests: self.requests.saturating_sub(part.requests),
            tool_calls: self.tool_calls.saturating_sub(part.tool_calls),
            tokens,
        }
    }
}

impl AddAssign for RigUsage {
    fn add_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.tool_calls = self.tool_calls.saturating_add(other.tool_calls);
        self.tokens += other.tokens;
    }
}

/// A count that runs share. Clones share it, too.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<Mutex<RigUsage>>);

impl Counter {
    pub(crate) fn add(&self, usage: RigUsage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += usage;
    }

    pub(crate) fn usage(&self) -> RigUsage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
