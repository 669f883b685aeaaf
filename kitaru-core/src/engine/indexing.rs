//! The indexes of a store that was written before there were any, made while it is open. Must not know what is in them.

use std::sync::Weak;
use std::time::Duration;

use crate::engine::retention::retire;
use crate::engine::state::Engine;
use crate::error::Error;
use crate::ledger::{AFTER_FAULT, blocking};
use crate::log;

/// Makes the indexes that a store lacks, and then deletes what has been finished for so long, again and again: nothing is deleted
/// while its rows are made.
pub(crate) async fn upkeep(engine: Weak<Engine>, retention: Option<Duration>) {
    loop {
        let Some(strong) = engine.upgrade().filter(|engine| !engine.is_closed()) else { return };
        let clock = strong.runtime.clock.clone();
        let indexed = strong.index_some().await;
        drop(strong);
        match indexed {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if error.is_closed() => return,
            Err(error) => {
                log::indexing_failed(&error);
                clock.sleep(AFTER_FAULT).await;
            }
        }
    }
    if let Some(keep) = retention {
        retire(engine, keep).await;
    }
}

impl Engine {
    /// Makes the rows of some generations that lack them. False if none does.
    async fn index_some(&self) -> Result<bool, Error> {
        let archive = self.runtime.archive.clone();
        let unindexed = blocking(move || archive.unindexed()).await??;
        let Some(unindexed) = unindexed else { return Ok(false) };
        // They are listed where nothing is filtered, and the others are still found.
        unindexed.unread.iter().for_each(log::not_indexed);
        self.runtime.ledger.index(unindexed).await?;
        Ok(true)
    }
}
