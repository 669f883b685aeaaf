//! What senders of this process share. Owns that one number is given once, that an idempotency key counts once, and how much
//! one generation may be sent; must not know how anything is sent.

use tokio::sync::watch;

use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Aside, aside_key, sent_name};
use crate::ledger::Stored;
use crate::ledger::embedded::Archive;
use crate::ledger::embedded::locks::Locks;
use crate::ledger::embedded::tally::{MailTotal, Tallies};
use crate::store::Table;

/// What senders of this process share: no other process sends to the store.
#[derive(Default)]
pub(super) struct Senders {
    /// Two that look and write at the same time would give one number twice.
    pub(super) locks: Locks,
    pub(super) tallies: Tallies,
}

/// Whether a signal is to be sent.
pub(super) enum Admitted {
    /// One with its key was sent before.
    Known,
    /// One with its key is on its way. This changes when it has landed or is lost.
    OnItsWay(watch::Receiver<()>),
    /// It is, and under this idempotency key.
    New { stored: Box<Stored>, so_far: MailTotal, sent: Option<SentBefore> },
}

/// An idempotency key, in the store and among what is on its way.
pub(super) struct SentBefore {
    pub(super) first: JournalId,
    pub(super) key: String,
    pub(super) row: Vec<u8>,
}

impl Senders {
    /// Looks whether a signal may be sent. Blocks.
    pub(super) fn admit(
        &self,
        archive: &Archive,
        execution: &ExecutionId,
        signal: &str,
        key: Option<String>,
        driven: Option<JournalId>,
    ) -> Result<Admitted, Error> {
        let stored = archive.addressee(execution, driven)?;
        // A key counts for all the generations that follow one another as continuations.
        let first = archive.first_of_chain(stored.journal)?;
        let sent = key.map(|key| {
            let row = aside_key(first, Aside::Sent, &sent_name(signal, &key).0);
            SentBefore { first, key, row }
        });
        if let Some(sent) = &sent {
            // In this order: what lands in between is found behind it.
            if let Some(arrives) = self.tallies.key_arrives(&sent.row) {
                return Ok(Admitted::OnItsWay(arrives));
            }
            if archive.reader.get(Table::Aside, &sent.row)?.is_some() {
                return Ok(Admitted::Known);
            }
        }
        let so_far = self.so_far(archive, stored.journal)?;
        Ok(Admitted::New { stored: Box::new(stored), so_far, sent })
    }

    /// The count of messages to a generation, read from the store at the first message. No other sender can send to it
    /// meanwhile.
    pub(super) fn so_far(&self, archive: &Archive, journal: JournalId) -> Result<MailTotal, Error> {
        match self.tallies.known(journal) {
            Some(tally) => Ok(tally),
            None => archive.sent_so_far(journal),
        }
    }
}
