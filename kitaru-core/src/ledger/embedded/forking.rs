//! What the store has of an execution that is forked, next to its records. Must not know who forks.

use std::ops::ControlFlow;

use crate::error::Error;
use crate::id::JournalId;
use crate::journal::{About, Aside, Lineage, MailRow, Malformed, WaitRow, asked_text, journal_key};
use crate::ledger::embedded::{Archive, rows};
use crate::ledger::{Addressee, Change, ForkMail, ForkStart, Sent, Stored, malformed};
use crate::machine::Journal;
use crate::store::{Row, RowKey, Table};
use crate::value::Key;

impl Archive {
    /// What a generation has of the execution that it was forked from. Blocks.
    pub(crate) fn fork(&self, stored: &Stored) -> Result<Option<Lineage>, Error> {
        self.one_beside(stored, Aside::Fork, "", "fork", Lineage::read)
    }

    /// What was sent to a generation and is there for a fork of it: signals that none of its records took, and answers to waits
    /// that it begins again. `takes` says which signals, by their numbers, a record has taken, `call` which call of the fork is in
    /// the place of a wait of this generation. Blocks.
    pub(crate) fn mail_for_fork(
        &self,
        stored: &Stored,
        takes: impl Fn(u64) -> bool,
        call: impl Fn(Key) -> Option<(Key, u32)>,
    ) -> Result<Vec<ForkMail>, Error> {
        let mut mail = Vec::new();
        for answer in self.read_beside(stored, Aside::Answer, "answer", |_, row| MailRow::read(row))? {
            let asked = self.one_beside(stored, Aside::Wait, &answer.name, "wait", WaitRow::read)?;
            let (call, question) = match &asked {
                // It came before its wait.
                None => (None, answer.question),
                Some(asked) if !asked.is_answered_by(&answer) => continue,
                Some(WaitRow { asks: Some(asks), question, metadata, .. }) if asks.about == About::Anything => {
                    let Some(call) = call(asks.wait) else { continue };
                    (Some(call), Some(asked_text(question, metadata)))
                }
                Some(_) => continue,
            };
            let MailRow { sent_ms, name, json, .. } = answer;
            // A wait of the fork is addressed when its generation is known.
            let sent = Sent::Answer { wait: Addressee::Named(name.clone()), json, question };
            mail.push(ForkMail { sent, call, name, sent_ms });
        }
        let mut unread: Option<Malformed> = None;
        self.beside(stored.journal, Aside::Signal, &mut |number, row| {
            match (number.first_chunk().map(|number| u64::from_be_bytes(*number)), MailRow::read(row)) {
                (Some(number), _) if takes(number) => {}
                (Some(number), Ok(MailRow { sent_ms, name, json, .. })) => {
                    let sent = Sent::Signal { number, name: name.clone(), json };
                    mail.push(ForkMail { sent, call: None, name, sent_ms });
                }
                (None, _) => unread = Some(Malformed("the number of a signal is none")),
                (_, Err(why)) => unread = Some(why),
            }
            if unread.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        match unread {
            Some(why) => Err(malformed(&stored.header.execution, "mail", why)),
            None => Ok(mail),
        }
    }
}

/// The rows of records.
pub(super) fn kept(journal: JournalId, records: &Journal) -> impl Iterator<Item = Row> {
    records.indices().map(move |at| Row {
        table: Table::Journal,
        key: RowKey::from(journal_key(journal, records.seq(at))),
        value: Some(records.bytes(at).to_vec()),
    })
}

impl ForkStart {
    /// The rows next to the header of the fork.
    pub(super) fn rows(self, journal: JournalId) -> Vec<Row> {
        let ForkStart { row, journal: records, audit, mail } = self;
        let mut rows = vec![rows::aside(journal, Aside::Fork, &[], Some(row.write()))];
        rows.extend(kept(journal, &records));
        rows.extend(audit.map(|entry| Change::Audit(entry).row(journal)));
        rows.extend(mail.into_iter().map(|mail| mail.change().row(journal)));
        rows
    }
}

impl ForkMail {
    fn change(self) -> Change {
        let ForkMail { sent, name, sent_ms, .. } = self;
        match sent {
            Sent::Signal { number, json, .. } => Change::Signal { number, name, json, sent_ms },
            Sent::Answer { wait, json, question } => {
                let wait = match wait {
                    Addressee::Wait(wait) => Some(wait),
                    Addressee::Named(_) => None,
                };
                Change::Answered { name, json, sent_ms, wait, question }
            }
        }
    }
}
