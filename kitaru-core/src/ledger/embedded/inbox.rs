//! What the store has of what was sent to executions. Owns how it is read and how much of it is taken into memory; must not
//! know how it got there.

use std::ops::ControlFlow;

use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Aside, MailRow, Malformed, aside_key};
use crate::ledger::embedded::Archive;
use crate::ledger::embedded::tally::{MailTotal, most_bytes};
use crate::ledger::embedded::waits;
use crate::ledger::{Addressee, OpenQuestion, Sent, SentKey, Stored, malformed};
use crate::store::Table;
use crate::value::Key;

impl Archive {
    /// Finds whom an answer to a visible name is for: the wait that is `meant`, if one is. `driven` is the generation that is
    /// under way in this process. Blocks.
    pub(crate) fn addressed(
        &self,
        (execution, driven): (&ExecutionId, Option<JournalId>),
        name: &str,
        meant: Option<Key>,
        now_ms: u64,
    ) -> Result<(Stored, Addressee), Error> {
        waits::addressed(self, (execution, driven), name, meant, now_ms)
    }

    /// The waits of a generation that can be answered, in the order of their names. Blocks.
    pub(crate) fn open_waits(&self, stored: &Stored) -> Result<Vec<OpenQuestion>, Error> {
        waits::open(self, stored)
    }

    /// How much the store has of what was sent to a generation.
    pub(crate) fn sent_so_far(&self, journal: JournalId) -> Result<MailTotal, Error> {
        let (mut last_signal, mut bytes) = (0, 0);
        for aside in [Aside::Answer, Aside::Signal] {
            self.beside(journal, aside, &mut |name, row| {
                if aside == Aside::Signal {
                    last_signal = signal_number(name);
                }
                bytes += row.len() as u64;
                ControlFlow::Continue(())
            })?;
        }
        Ok(MailTotal::new(last_signal, bytes))
    }

    /// What the store has of one thing that was sent. One that cannot be read is none: the next attempt reports it. Blocks.
    pub(crate) fn sent(&self, journal: JournalId, key: &SentKey) -> Result<Option<Sent>, Error> {
        let key = match key {
            SentKey::Signal(number) => aside_key(journal, Aside::Signal, &number.to_be_bytes()),
            SentKey::Answer(name) => aside_key(journal, Aside::Answer, name.as_bytes()),
        };
        let Some(row) = self.reader.get(Table::Aside, &key)? else { return Ok(None) };
        let Ok(MailRow { name, json, wait, question, .. }) = MailRow::read(&row) else { return Ok(None) };
        Ok(Some(match key.get(8) {
            Some(kind) if *kind == Aside::Signal as u8 => Sent::Signal { number: signal_number(&key[9..]), name, json },
            _ => Sent::Answer { wait: wait.map_or(Addressee::Named(name), Addressee::Wait), json, question },
        }))
    }

    /// What has been sent to a generation. Blocks.
    ///
    /// # Errors
    ///
    /// When it is far more than may be sent: another program has written it, and it is not taken into memory.
    pub(crate) fn inbox(&self, stored: &Stored, most_bytes: u64) -> Result<Vec<Sent>, Error> {
        let (mut answers, mut signals, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut refused = None;
        for aside in [Aside::Answer, Aside::Signal] {
            self.beside(stored.journal, aside, &mut |key, row| {
                bytes += row.len() as u64;
                match MailRow::read(row) {
                    Ok(_) if bytes > most_bytes => {
                        refused = Some(Malformed("it is more than an attempt may have in memory"))
                    }
                    Ok(MailRow { name, json, .. }) if aside == Aside::Signal => {
                        signals.push(Sent::Signal { number: signal_number(key), name, json });
                    }
                    Ok(answer) => answers.push(answer),
                    Err(why) => refused = Some(why),
                }
                if refused.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
        }
        if let Some(why) = refused {
            return Err(malformed(&stored.header.execution, "mail", why));
        }
        let mut sent = waits::mail(self, stored, answers)?;
        sent.append(&mut signals);
        Ok(sent)
    }

    /// Whether anything was ever sent to a generation.
    pub(super) fn has_mail(&self, journal: JournalId) -> Result<bool, Error> {
        let mut any = false;
        for aside in [Aside::Answer, Aside::Signal] {
            self.beside(journal, aside, &mut |_, _| {
                any = true;
                ControlFlow::Break(())
            })?;
        }
        Ok(any)
    }
}

fn signal_number(name: &[u8]) -> u64 {
    name.first_chunk().map_or(0, |number| u64::from_be_bytes(*number))
}

/// So many bytes of mail an attempt takes into memory: more than may be sent, because the bound may have been another one then.
pub(crate) fn most_loaded_bytes(max_outcome_bytes: usize) -> u64 {
    most_bytes(max_outcome_bytes).saturating_mul(4)
}
