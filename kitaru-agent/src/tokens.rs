//! Tokens, as providers count them.
//!
//! Owns the count. Must not know what they cost.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Tokens, as the provider counted them; zero if it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Tokens {
    /// Tokens that were sent.
    pub input: u64,
    /// Tokens that were received.
    pub output: u64,
    /// How many of `input` the provider had in its cache.
    pub cached_input: u64,
}

impl Tokens {
    /// This many sent and received, none from a cache.
    pub fn new(input: u64, output: u64) -> Self {
        Self { input, output, cached_input: 0 }
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cached_input = self.cached_input.saturating_add(other.cached_input);
    }
}
