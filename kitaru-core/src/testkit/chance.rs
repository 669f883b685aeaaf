//! Randomness that repeats: SplitMix64. Must not know what it decides.

/// The default seed, unless the environment sets another one.
const SEED: u64 = 0;
/// The variable that sets it.
pub(super) const VARIABLE: &str = "KITARU_SEED";

#[derive(Clone, Debug, Default)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Chance(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        // A bound is the length of a list, so the bias of the remainder is negligible.
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.below(last + 1);
            list.swap(last, other);
        }
    }
}

/// The seed from the environment, or the default one.
///
/// # Panics
///
/// When the variable is not a number.
pub(super) fn seed() -> u64 {
    let Ok(named) = std::env::var(VARIABLE) else { return SEED };
    named
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("{VARIABLE} is {named:?}, which is not a seed; set it to a whole number"))
}
