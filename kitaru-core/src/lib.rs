//! The execution model of kitaru.

pub mod error;

pub use error::Error;
