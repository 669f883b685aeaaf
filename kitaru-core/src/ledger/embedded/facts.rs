//! What a store says of itself when it is opened. Must not know how that is read.

/// What a store says of itself.
pub(super) struct StoreFacts {
    pub(super) secret: [u8; 32],
    /// The highest journal that there is, or was.
    pub(super) newest: u64,
    pub(super) deleted_generation: u32,
    pub(super) deleted_journal: u64,
}
