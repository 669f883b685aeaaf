//! A checkup of a store. Owns that it ends with its store; must not know what is looked at.

use std::sync::Arc;

use crate::engine::state::Engine;
use crate::error::Error;
use crate::ledger::{Checkup, blocking};

impl Engine {
    /// Looks at every row.
    pub(crate) async fn check_up(self: Arc<Self>) -> Result<Checkup, Error> {
        self.check_open()?;
        blocking(move || self.runtime.archive.check_up(|stored| self.status(stored), || self.check_open())).await?
    }
}
