//! How a recorded result becomes the flow's result.

use std::sync::Arc;

use crate::error::Error;
use crate::id::ExecutionId;
use crate::journal::OwnedPayload;

/// Decodes a recorded result into the flow's.
pub(crate) struct Decode<R> {
    /// The error means that the record cannot be read back.
    pub(crate) unpack: fn(&ExecutionId, &OwnedPayload) -> Result<R, Error>,
    pub(crate) fail: fn(Error) -> R,
}

impl<R> Clone for Decode<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Decode<R> {}

impl<R> Decode<R> {
    pub(crate) fn outcome(&self, execution: &ExecutionId, came: Result<Arc<OwnedPayload>, Error>) -> R {
        came.and_then(|payload| (self.unpack)(execution, &payload)).unwrap_or_else(self.fail)
    }
}
