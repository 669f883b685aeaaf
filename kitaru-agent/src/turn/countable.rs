//! Whether the bounded quantities of a run can be counted.
//!
//! Owns the refusal of bounds that cannot be enforced: on the cost of a model without a price, and on the tokens of a model
//! that does not report its usage. Must not know the bounds' numbers.

use super::Turn;
use crate::budget::Budget;
use crate::error::AgentError;
use crate::message::ModelResponse;

impl<T> Turn<T> {
    /// Checks whether the usage of the next request will be known.
    pub(super) fn check_countable(&self) -> Result<(), AgentError> {
        let parts = &self.agent.parts;
        let invalid = |reason| Err(AgentError::Invalid { agent: parts.name.clone(), reason });
        let budget = self.budget.as_ref();
        let costs = self.limits.cost.is_some() || budget.is_some_and(Budget::bounds_cost);
        if costs && !parts.price.asks() {
            return invalid(
                "its runs are bounded by cost, and it has no price, so their cost is unknown; set one with \
                 `.price(Price::per_million(…))`, which is 0 for a model that is free or reports the cost of each \
                 answer, or bound the tokens with `total_tokens`"
                    .to_owned(),
            );
        }
        if self.is_bounded_by_usage() && (self.is_unsure || budget.is_some_and(Budget::is_unsure)) {
            return invalid(format!(
                "its runs are bounded by tokens or cost, and an answer came without a usage, so the rest of the budget is \
                 unknown; let the server of model `{}` report the usage, or bound the requests instead",
                parts.model.name()
            ));
        }
        Ok(())
    }

    /// Notes whether a response reports its usage.
    pub(super) fn note_usage(&mut self, response: &ModelResponse) {
        if response.usage().is_unsure() && self.is_bounded_by_usage() && !self.is_unsure {
            self.is_unsure = true;
            tracing::warn!(
                target: "kitaru",
                "Agent `{}` is bounded by tokens or cost, and model `{}` has answered without a usage: the rest of the budget is \
                 unknown, and the next request is refused.",
                self.agent.parts.name,
                self.agent.parts.model.name()
            );
        }
    }

    fn is_bounded_by_usage(&self) -> bool {
        let own = self.limits.cost.is_some() || self.limits.total_tokens.is_some();
        own || self.budget.as_ref().is_some_and(Budget::bounds_usage)
    }
}
