//! kitaru.
