//! What the store has of what was sent to executions. Owns how it is read and how much of it is taken into memory; must not
//! know how it got there.

use std::ops::{Bound, ControlFlow};

use crate::client::rows::{self, Stored};
use crate::client::tally::{MailTotal, most_bytes};
use crate::client::waits;
use crate::context::{Addressee, Mail};
use crate::error::Error;
use crate::id::JournalId;
use crate::journal::{Aside, MailRow, Malformed, aside_key, aside_name, aside_range};
use crate::store::{Order, Reader, Table};

/// What the store has of what was sent to a generation.
pub(super) fn sent_so_far(reader: &Reader, journal: JournalId) -> Result<MailTotal, Error> {
    let (mut last_event, mut bytes) = (0, 0);
    for aside in [Aside::Answer, Aside::Event] {
        let (first, end) = aside_range(journal, aside);
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        reader.scan(Table::Aside, range, Order::Ascending, &mut |key, row| {
            if aside == Aside::Event {
                last_event = event_number(key);
            }
            bytes += row.len() as u64;
            ControlFlow::Continue(())
        })?;
    }
    Ok(MailTotal::new(last_event, bytes))
}

fn event_number(key: &[u8]) -> u64 {
    aside_name(key).first_chunk().map_or(0, |number| u64::from_be_bytes(*number))
}

/// What the store has of one thing that was sent.
pub(super) fn kept(reader: &Reader, journal: JournalId, aside: Aside, name: &[u8]) -> Result<Option<Mail>, Error> {
    let key = aside_key(journal, aside, name);
    let Some(row) = reader.get(Table::Aside, &key)? else { return Ok(None) };
    // One that cannot be read is reported by the next attempt.
    let Ok(MailRow { name, json, wait, .. }) = MailRow::read(&row) else { return Ok(None) };
    Ok(Some(match aside {
        Aside::Event => Mail::Event { number: event_number(&key), name, json },
        _ => Mail::Answer { wait: wait.map_or(Addressee::Named(name), Addressee::Wait), json, verdict: None },
    }))
}

/// What has been sent to a generation.
///
/// # Errors
///
/// When it is far more than may be sent: somebody else has written it, and it is not taken into memory.
pub(crate) fn mail(reader: &Reader, stored: &Stored, most_bytes: u64) -> Result<Vec<Mail>, Error> {
    let (mut answers, mut events, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut refused = None;
    for aside in [Aside::Answer, Aside::Event] {
        let (first, end) = aside_range(stored.journal, aside);
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        reader.scan(Table::Aside, range, Order::Ascending, &mut |key, row| {
            bytes += row.len() as u64;
            match MailRow::read(row) {
                Ok(_) if bytes > most_bytes => {
                    refused = Some(Malformed("it is more than an attempt may have in memory"))
                }
                Ok(MailRow { name, json, .. }) if aside == Aside::Event => {
                    events.push(Mail::Event { number: event_number(key), name, json });
                }
                Ok(answer) => answers.push(answer),
                Err(why) => refused = Some(why),
            }
            if refused.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    if let Some(why) = refused {
        return Err(rows::malformed(&stored.header.execution, "mail", why));
    }
    let mut mail = waits::mail(reader, stored, answers)?;
    mail.append(&mut events);
    Ok(mail)
}

/// So many bytes of mail an attempt takes into memory: more than may be sent, because the bound may have been another one then.
pub(crate) fn most_loaded_bytes(max_outcome_bytes: usize) -> u64 {
    most_bytes(max_outcome_bytes).saturating_mul(4)
}

/// Whether anything was ever sent to a generation.
pub(crate) fn any(reader: &Reader, journal: JournalId) -> Result<bool, Error> {
    let mut any = false;
    for aside in [Aside::Answer, Aside::Event] {
        let (first, end) = aside_range(journal, aside);
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        reader.scan(Table::Aside, range, Order::Ascending, &mut |_, _| {
            any = true;
            ControlFlow::Break(())
        })?;
    }
    Ok(any)
}
