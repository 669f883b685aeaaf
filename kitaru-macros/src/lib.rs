//! The `#[flow]` and `#[checkpoint]` attributes.
