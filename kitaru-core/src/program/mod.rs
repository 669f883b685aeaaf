//! The flows of this program, as their attributes describe them. Owns how one is found by its name, and how it begins;
//! must not know what a flow does.

mod input;
mod meta;
mod reading;
mod registry;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::error::Error;
use crate::journal::Packed;
use crate::value::Codec;

pub(crate) use input::RequestInput;
pub use input::{GivenInput, ReadInput};
pub use meta::FlowMeta;
pub(crate) use meta::OnDivergence;
pub use registry::Registered;
pub(crate) use registry::{check_names, find, has_function};

/// A running flow function, up to its packed result.
pub(crate) type FlowFuture = Pin<Box<dyn Future<Output = Packed> + Send>>;

/// A flow's recorded input, for the function that the macro writes.
#[doc(hidden)]
pub struct FlowInput<'a> {
    pub(crate) flow: &'static str,
    pub(crate) codec: Codec,
    pub(crate) shape: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) limit: usize,
}

impl fmt::Debug for FlowInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowInput").field("flow", &self.flow).field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// The result of beginning a flow.
#[doc(hidden)]
pub struct Begun(pub(crate) Result<FlowFuture, Error>);

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Begun").field(&self.0.as_ref().map(|_| "flow")).finish()
    }
}
