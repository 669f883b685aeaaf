//! Randomness of the operating system. Must not know what it is for.

/// 32 random bytes, which no record repeats.
pub(crate) fn draw() -> [u8; 32] {
    let mut bytes = [0; 32];
    // It fails only where the operating system has no source of randomness at all.
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
