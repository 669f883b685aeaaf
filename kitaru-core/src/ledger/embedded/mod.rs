//! The ledger of one process, over a store of keys and values. Owns every table, key and row.

mod addressee;
mod appending;
mod archive;
mod audit;
mod backup;
mod candidates;
mod carry_over;
mod census;
mod checkup;
mod claiming;
mod claims;
mod facts;
#[cfg(test)]
mod fixture;
mod forking;
mod inbox;
mod indexing;
#[cfg(feature = "testkit")]
mod laying;
mod list;
mod locks;
mod named;
mod opening;
mod rows;
mod search;
mod senders;
mod sending;
mod sleepers;
mod stream;
mod sweep;
mod tally;
mod waits;
mod waking;
mod writing;

pub(crate) use archive::Archive;
pub(crate) use backup::restore;
pub(crate) use carry_over::CarryOver;
pub(crate) use opening::{LedgerOptions, open};
pub(crate) use waking::Waking;
pub(crate) use writing::Ledger;

#[cfg(test)]
pub(crate) use candidates::MOST_PASSED;
#[cfg(test)]
pub(crate) use inbox::most_loaded_bytes;
#[cfg(test)]
pub(crate) use named::MOST_NAMED;
#[cfg(test)]
pub(crate) use opening::MOST_JOURNALS;
#[cfg(feature = "testkit")]
pub(crate) use opening::first_rows;
#[cfg(test)]
pub(crate) use tally::{MOST_MAIL_BYTES, MOST_SIGNALS, MailTotal};
#[cfg(test)]
pub(crate) use waits::MOST_EARLY_ANSWERS;
