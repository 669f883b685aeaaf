//! Whether an execution has moved. Must not know who asks.

use std::future::Future;

use crate::client::kitaru::Kitaru;
use crate::error::Error;
use crate::journal::Status;
use crate::view::ExecutionRef;

/// How far an execution has come: another one of these means that there is something new to show.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    pub generation: u32,
    pub status: Status,
    /// The number that its next record gets.
    pub next_record: u64,
    /// When its status changed last, in milliseconds since 1970.
    pub updated_ms: u64,
}

impl Kitaru {
    /// How far an execution has come; `None` if there is none. Reads a few rows and no record.
    #[doc(hidden)]
    pub fn pulse(
        &self,
        execution: impl Into<ExecutionRef>,
    ) -> impl Future<Output = Result<Option<Pulse>, Error>> + Send {
        let (inner, wanted) = (self.inner.clone(), execution.into().checked());
        async move {
            let pulse = inner.pulse(wanted?).await?;
            Ok(pulse.map(|(generation, status, next_record, updated_ms)| Pulse {
                generation,
                status,
                next_record,
                updated_ms,
            }))
        }
    }
}
