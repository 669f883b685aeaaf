//! Cancelling or resuming many executions.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::client::executions::ListRequest;
use crate::engine::BulkAction;
use crate::error::Error;
use crate::view::BulkReport;

impl ListRequest {
    /// Cancels the executions of the page, as [`Kitaru::cancel`](crate::Kitaru::cancel) does: those that match the filters and
    /// are queued, running, waiting, interrupted or stuck. Failed ones have ended; they are cancelled if
    /// [`status`](ListRequest::status) asks for them.
    ///
    /// Some are cancelled concurrently, the newest first. The report says which were, which were left out because cancelling does
    /// not apply to them, and which could not be cancelled. It has the cursor of the next page.
    ///
    /// # Errors
    ///
    /// [Misuse](Error::is_misuse), if a status is asked for whose executions cannot be cancelled; or when the store is closed or
    /// cannot be read. What happens to one execution is in the report.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the executions that were begun with are cancelled nevertheless.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let wait = || kitaru::dynamic::flow("order").run(|| async { kitaru::signal::<bool>("paid").await });
    /// # for id in ["a", "b"] { drop(wait().id(id).tag("trial").on(&kitaru).start().await?) }
    /// let trials = kitaru.executions().tag("trial");
    /// let planned = trials.clone().cancel().dry_run().await?;
    /// assert_eq!(planned.done().len(), 2);
    ///
    /// let report = trials.cancel().without_undo().await?;
    /// for (execution, error) in report.failed() {
    ///     eprintln!("{execution}: {error:#}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn cancel(self) -> BulkRequest {
        BulkRequest { list: self, action: BulkAction::Cancel, is_dry: false }
    }

    /// Resumes the executions of the page, as [`Kitaru::resume`](crate::Kitaru::resume) does: those that match the filters and
    /// failed, are stuck or were interrupted.
    ///
    /// It waits while as many executions are driven as may [resume without a caller](crate::KitaruBuilder::recovery), so that
    /// thousands do not run concurrently. For the rest it is like [`cancel`](ListRequest::cancel).
    ///
    /// # Errors
    ///
    /// [Misuse](Error::is_misuse), if a status is asked for whose executions cannot be resumed; or when the store is closed or
    /// cannot be read. What happens to one execution is in the report.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the executions that were begun with resume nevertheless.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// // The card service was down.
    /// let mut report = kitaru.executions().search("card service").resume().await?;
    /// while let Some(next) = report.next_cursor() {
    ///     report = kitaru.executions().search("card service").after(next).resume().await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn resume(self) -> BulkRequest {
        BulkRequest { list: self, action: BulkAction::Resume, is_dry: false }
    }
}

/// A request to cancel or resume many executions. Awaited, it gives a [`BulkReport`]. See [`ListRequest::cancel`] and
/// [`ListRequest::resume`].
#[must_use = "nothing is cancelled or resumed unless this is awaited"]
pub struct BulkRequest {
    list: ListRequest,
    action: BulkAction,
    is_dry: bool,
}

impl BulkRequest {
    /// Skips the undo steps of executions that are cancelled, as
    /// [`CancelRequest::without_undo`](crate::CancelRequest::without_undo) does. Without effect on those that resume.
    pub fn without_undo(mut self) -> Self {
        if self.action == BulkAction::Cancel {
            self.action = BulkAction::Abandon;
        }
        self
    }

    /// Changes nothing: the report says for which executions it would be tried.
    pub fn dry_run(mut self) -> Self {
        self.is_dry = true;
        self
    }
}

impl IntoFuture for BulkRequest {
    type Output = Result<BulkReport, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let BulkRequest { list, action, is_dry } = self;
        let ListRequest { inner, by, filter, after, limit } = list;
        Box::pin(inner.bulk((filter, after, limit), action, is_dry, by))
    }
}

impl fmt::Debug for BulkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BulkRequest { list, action, is_dry } = self;
        f.debug_struct("BulkRequest")
            .field("list", list)
            .field("action", action)
            .field("is_dry", is_dry)
            .finish_non_exhaustive()
    }
}
