//! What redb does to a store, and what a store does about it.
