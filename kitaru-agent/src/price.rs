//! The cost of tokens.
//!
//! Owns prices and sums of money, as whole numbers: equal sums on every run. Must not know a provider's price list; the caller
//! sets a price.

use std::{fmt, ops::AddAssign};

use serde::{Deserialize, Serialize};

use crate::tokens::Tokens;

/// A sum of money in billionths of the caller's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cost {
    nanos: u64,
}

impl Cost {
    /// This many billionths.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { nanos }
    }

    /// The nearest sum to `amount` of the currency; zero for an amount that is negative or not a number.
    pub fn of(amount: f64) -> Self {
        Self::from_nanos((amount * 1e9).round() as u64)
    }

    /// The billionths.
    pub const fn nanos(self) -> u64 {
        self.nanos
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.nanos = self.nanos.saturating_add(other.nanos);
    }
}

/// In units of the currency, without trailing zeros.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{}.{:09}", self.nanos / 1_000_000_000, self.nanos % 1_000_000_000);
        f.pad(digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The price of a model's tokens, in any one currency. The default is an unknown price.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Cost, Price, Tokens};
///
/// let price = Price::per_million(0.40, 1.60);
/// assert_eq!(price.of(Tokens::new(10_000, 500)), Cost::of(0.0048));
/// assert_eq!(price.of(Tokens::new(10_000, 500)).to_string(), "0.0048");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    input: f64,
    output: f64,
    cached_input: f64,
    /// Whether the price is known. It may be zero.
    is_known: bool,
}

impl Price {
    /// The price of a million tokens sent, and of a million received. A price of 0 is known, too: use it for a model that is
    /// free, or that reports its own cost.
    pub const fn per_million(input: f64, output: f64) -> Self {
        Self { input, output, cached_input: input, is_known: true }
    }

    /// The price of a million tokens sent that the provider has in its cache; the same as others unless set.
    pub const fn cached_input(self, cached_input: f64) -> Self {
        Self { cached_input, ..self }
    }

    /// Whether the price is known.
    pub(crate) fn asks(&self) -> bool {
        self.is_known
    }

    /// The cost of these tokens.
    pub fn of(&self, tokens: Tokens) -> Cost {
        let cached = tokens.cached_input.min(tokens.input);
        let millionths = (tokens.input - cached) as f64 * self.input
            + cached as f64 * self.cached_input
            + tokens.output as f64 * self.output;
        Cost::from_nanos((millionths * 1e3).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_have_a_price_of_their_own() {
        let mut tokens = Tokens::new(1_000_000, 0);
        tokens.cached_input = 250_000;
        assert_eq!(Price::per_million(2.0, 8.0).of(tokens), Cost::of(2.0));
        assert_eq!(Price::per_million(2.0, 8.0).cached_input(0.5).of(tokens), Cost::of(1.625));
        tokens.cached_input = 9_000_000;
        assert_eq!(Price::per_million(2.0, 8.0).cached_input(0.5).of(tokens), Cost::of(0.5));
    }

    #[test]
    fn cost_is_shown_without_trailing_zeros_and_an_odd_price_is_zero() {
        let shown = [0, 1, 1_500_000_000, 20_000_000_000].map(|nanos| Cost::from_nanos(nanos).to_string());
        assert_eq!(shown, ["0", "0.000000001", "1.5", "20"]);
        assert_eq!((Cost::of(-1.0), Cost::of(f64::NAN)), (Cost::default(), Cost::default()));
    }
}
