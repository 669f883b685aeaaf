//! The numbers of a store and its process.

use crate::client::kitaru::Kitaru;
use crate::error::Error;
use crate::view::Metrics;

impl Kitaru {
    /// How the store and this process are doing, in numbers: executions by flow and status, rates, durations, failures, what is
    /// due, and what the process has done since it opened the store.
    ///
    /// Executions are counted when this is called. If that took longer than 50 milliseconds the last time, as it does from some
    /// ten thousand executions on, this returns the last count, at most a minute old, and counts again in the background;
    /// [`Metrics::counted`] says when that was. Counts take at most one twentieth of the time.
    ///
    /// # Errors
    ///
    /// When the store is closed, or cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let report = || kitaru::dynamic::flow("report").run(|| async { Ok::<_, kitaru::Error>(7) });
    /// use kitaru::Status;
    ///
    /// report().on(&kitaru).await?;
    /// let metrics = kitaru.metrics().await?;
    /// assert_eq!(metrics.executions(Status::Completed), 1);
    /// for flow in metrics.flows() {
    ///     println!("{}: {} failed, the median is {:?}", flow.flow(), flow.executions(Status::Failed), flow.took(0.5));
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn metrics(&self) -> Result<Metrics, Error> {
        self.inner.clone().metrics().await
    }
}
