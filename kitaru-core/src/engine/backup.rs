//! Backups of a store. Owns that one ends with its store; must not know what is in it.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::state::Engine;
use crate::error::Error;
use crate::ledger::{self, Backup, blocking};

impl Engine {
    /// Writes all of the store.
    pub(crate) async fn back_up(self: Arc<Self>, writer: impl Write + Send + 'static) -> Result<Backup, Error> {
        self.check_open()?;
        // What was acknowledged is there.
        self.runtime.ledger.flush().await?;
        blocking(move || {
            let now_ms = self.runtime.clock.now_ms();
            self.runtime.archive.back_up(writer, now_ms, || self.check_open())
        })
        .await?
    }
}

/// Makes a store of a backup.
pub(crate) async fn restore(reader: impl Read + Send + 'static, dir: PathBuf) -> Result<Backup, Error> {
    blocking(move || ledger::restore(reader, &dir)).await?
}
