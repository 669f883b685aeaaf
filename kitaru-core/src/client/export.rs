//! Whole executions on their way out of the store. Owns what is read of them; must not know what the caller does with it.

use std::future::Future;

use crate::client::kitaru::Kitaru;
use crate::error::Error;
use crate::view::{ExecutionRef, History};

impl Kitaru {
    /// The history of an execution's newest generation: its input and all its records, except the values of `sensitive`
    /// checkpoints. Keep it as JSON next to your code as a test of later code; see `testkit::replay`.
    ///
    /// # Errors
    ///
    /// When the execution does not exist, or the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::{Error, dynamic::flow};
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let report = || flow("report").run(|| async { Ok::<_, Error>(7) });
    /// let handle = report().id("job-42").on(&kitaru).start().await?;
    /// let (flow, id) = (handle.flow().to_owned(), handle.id().to_owned());
    /// handle.await?;
    /// let history = kitaru.export(&(&*flow, &*id)).await?;
    /// assert!(history.to_string().contains(r#""flow": "report""#));
    /// # Ok(()) }
    /// ```
    pub fn export(&self, execution: impl Into<ExecutionRef>) -> impl Future<Output = Result<History, Error>> + Send {
        let wanted = execution.into().checked();
        let inner = self.inner.clone();
        async move { inner.history(wanted?).await }
    }
}
