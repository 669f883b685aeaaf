//! An open store.

use std::fmt;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Error;

/// An open store, and the executions that this process drives on it.
///
/// A cheap handle: clones share one store. [`close`](Kitaru::close) closes the store. Dropping the last handle closes it too,
/// in the background, so another process may find it held a moment longer.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// use kitaru::Kitaru;
///
/// let kitaru = Kitaru::builder().in_memory().open().await?;
/// assert!(kitaru.execution(("write_report", "job-42")).await?.is_none());
/// kitaru.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct Kitaru {
    pub(crate) inner: Arc<Engine>,
}

impl fmt::Debug for Kitaru {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kitaru").field("is_open", &self.check_open().is_ok()).finish_non_exhaustive()
    }
}

impl Kitaru {
    pub(super) fn check_open(&self) -> Result<(), Error> {
        self.inner.check_open()
    }
}
