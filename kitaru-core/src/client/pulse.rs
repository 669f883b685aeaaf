//! Whether an execution has moved. Must not know who asks.

use std::future::Future;

use crate::client::kitaru::Kitaru;
use crate::engine::Pulse;
use crate::error::Error;
use crate::view::ExecutionRef;

impl Kitaru {
    /// How far an execution has come; `None` if there is none. Reads a few rows and no record.
    #[doc(hidden)]
    pub fn pulse(
        &self,
        execution: impl Into<ExecutionRef>,
    ) -> impl Future<Output = Result<Option<Pulse>, Error>> + Send {
        let (engine, wanted) = (self.inner.clone(), execution.into().checked());
        async move { engine.pulse(wanted?).await }
    }
}
