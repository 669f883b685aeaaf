//! Looking at the whole of a store. Must not know what a sound one is.

use std::future::Future;

use crate::client::kitaru::Kitaru;
use crate::engine::Checkup;
use crate::error::Error;

impl Kitaru {
    /// Looks at every row of the store: whether its checksum fits and it can be read, whether rows are missing, what has not
    /// ended, and what takes the space. The store may be used meanwhile: rows are read in pages.
    ///
    /// # Errors
    ///
    /// When the store cannot be read at all, or is closed meanwhile. A row that is damaged is a finding.
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
    /// # flow("report").run(|| async { Ok::<_, Error>(7) }).id("job-42").on(&kitaru).await?;
    /// let checkup = kitaru.checkup().await?;
    /// for finding in checkup.findings() {
    ///     println!("{} {}: {}", finding.kind, finding.place, finding.kind.advice());
    /// }
    /// assert!(checkup.is_well());
    /// assert_eq!((&*checkup.flows()[0].flow, checkup.flows()[0].generations), ("report", 1));
    /// # Ok(()) }
    /// ```
    pub fn checkup(&self) -> impl Future<Output = Result<Checkup, Error>> + Send {
        self.inner.clone().check_up()
    }
}
