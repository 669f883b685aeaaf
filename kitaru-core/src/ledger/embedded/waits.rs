//! The waits of an execution as a person finds them. Owns which one is meant by a visible name; must not know how an
//! answer is handed on.
//!
//! A visible name is that of one call in a generation, and what a wait is asked and answered says which call that is. In a
//! store of an earlier version two calls may have one name, and what is asked has only the name: there the records say which
//! wait is open. If two are open, the answer is refused.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::{Bound, ControlFlow};

use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Aside, CallFrame, Frame, MailRow, Opening, WaitRow, aside_key, call_identity, journal_range};
use crate::ledger::embedded::archive::{Archive, text};
use crate::ledger::embedded::tally::too_many;
use crate::ledger::{Addressee, OpenQuestion, Question, Sent, Stored, malformed};
use crate::shown::short;
use crate::store::{Order, Table};
use crate::value::Key;

/// So many answers may come before there is a question.
pub(crate) const MOST_EARLY_ANSWERS: u64 = 1_000;

/// Finds whom an answer to a visible name is for: the wait that is `meant`, if one is. `driven` is the generation that is under
/// way in this process.
pub(super) fn addressed(
    archive: &Archive,
    (execution, driven): (&ExecutionId, Option<JournalId>),
    name: &str,
    meant: Option<Key>,
    now_ms: u64,
) -> Result<(Stored, Addressee), Error> {
    let stored = archive.addressee(execution, driven)?;
    let (answer, calls) = (answer(archive, &stored, name)?, Calls::of(archive, &stored));
    let shown_name = short(name);
    let mut found = wait(archive, &stored, name)?;
    if found.is_none() && !calls.named(name)?.is_empty() {
        // It may have begun to wait meanwhile: the row of a wait comes with its record.
        found = wait(archive, &stored, name)?;
    }
    if let Some(wait) = found {
        if let Some(answer) = &answer
            && is_answered(&wait, answer, &calls)?
        {
            return Err(answered_already(name, execution));
        }
        if wait.over || (1..=now_ms).contains(&wait.due_ms) {
            return Err(cannot!(
                Kind::Misuse,
                "answer the wait `{shown_name}` of execution {execution}",
                "its deadline has passed"
            ));
        }
        let open = match wait.asks {
            Some(asks) => asks.wait,
            None => only(calls.named(name)?, name, execution)?,
        };
        if meant.is_some_and(|meant| meant != open) {
            return Err(cannot!(
                Kind::Misuse,
                "answer the wait `{shown_name}` of execution {execution}",
                "it is not the one that was shown",
                "look at it again"
            ));
        }
        return Ok((stored, Addressee::Wait(open)));
    }
    if meant.is_some() {
        return Err(cannot!(
            Kind::Misuse,
            "answer the wait `{shown_name}` of execution {execution}",
            "it is no longer there",
            "look at it again"
        ));
    }
    if let Some(call) = calls.named(name)?.last() {
        return Err(match call.stands {
            LastRecord::Begun => cannot!(
                Kind::Misuse,
                "answer the wait `{shown_name}` of execution {execution}",
                "its body has begun, and no person is asked",
                "see Execution::waits()"
            ),
            LastRecord::Open | LastRecord::Ended => cannot!(
                Kind::Misuse,
                "answer the wait `{shown_name}` of execution {execution}",
                "it is not an open wait but a recorded checkpoint",
                "see Execution::waits()"
            ),
        });
    }
    if answer.is_some() {
        return Err(answered_already(name, execution));
    }
    if early_answers(archive, stored.journal)? >= MOST_EARLY_ANSWERS {
        return Err(too_many(execution, &format!("{MOST_EARLY_ANSWERS} answers to waits that have not begun")));
    }
    Ok((stored, Addressee::Named(name.to_owned())))
}

/// The answers that were given before this attempt, and whom each is for. One of which that cannot be known is left out.
pub(super) fn mail(archive: &Archive, stored: &Stored, answers: Vec<MailRow>) -> Result<Vec<Sent>, Error> {
    let calls = Calls::of(archive, stored);
    let mut mail = Vec::with_capacity(answers.len());
    for MailRow { name, json, wait, question, .. } in answers {
        let wait = match wait {
            Some(wait) => Addressee::Wait(wait),
            None if self::wait(archive, stored, &name)?.is_none_or(|wait| wait.asks.is_some()) => {
                Addressee::Named(name)
            }
            // Of an earlier version.
            None => match calls.named(&name)? {
                [call] if call.stands != LastRecord::Ended => Addressee::Wait(call.identity),
                _ => continue,
            },
        };
        mail.push(Sent::Answer { wait, json, question });
    }
    Ok(mail)
}

/// The waits of a generation that can be answered.
pub(super) fn open(archive: &Archive, stored: &Stored) -> Result<Vec<OpenQuestion>, Error> {
    let calls = Calls::of(archive, stored);
    let mut open = Vec::new();
    for (name, row) in all(archive, stored)? {
        let answer = answer(archive, stored, &name)?;
        let is_answered = answer.map(|answer| is_answered(&row, &answer, &calls)).transpose()?.unwrap_or_default();
        if !row.over && !is_answered {
            let WaitRow { question: text, schema, metadata, due_ms, refused, asks, .. } = row;
            let question = Question { text, schema, metadata, due_ms };
            open.push(OpenQuestion { name, wait: asks.map(|asks| asks.wait), question, refused });
        }
    }
    Ok(open)
}

/// Whether an answer that was found under a wait's name is that wait's.
fn is_answered(wait: &WaitRow, answer: &MailRow, calls: &Calls<'_>) -> Result<bool, Error> {
    if wait.asks.is_some() {
        return Ok(wait.is_answered_by(answer));
    }
    let calls = calls.named(&answer.name)?;
    Ok(match answer.wait {
        Some(wait) => calls.iter().all(|call| call.identity == wait || call.stands == LastRecord::Ended),
        // Of two calls it may have been that of the one that has ended.
        None => calls.len() < 2,
    })
}

/// All waits that a generation has shown, by their names.
fn all(archive: &Archive, stored: &Stored) -> Result<Vec<(String, WaitRow)>, Error> {
    archive.read_beside(stored, Aside::Wait, "wait", |name, row| WaitRow::read(row).map(|row| (text(name), row)))
}

fn wait(archive: &Archive, stored: &Stored, name: &str) -> Result<Option<WaitRow>, Error> {
    archive.one_beside(stored, Aside::Wait, name, "wait", WaitRow::read)
}

fn answer(archive: &Archive, stored: &Stored, name: &str) -> Result<Option<MailRow>, Error> {
    archive.one_beside(stored, Aside::Answer, name, "answer", MailRow::read)
}

/// How many answers came before there was a question.
fn early_answers(archive: &Archive, journal: JournalId) -> Result<u64, Error> {
    let mut names = Vec::new();
    archive.beside(journal, Aside::Answer, &mut |name, _| {
        names.push(name.to_vec());
        ControlFlow::Continue(())
    })?;
    let mut early = 0;
    for name in names {
        early += u64::from(archive.reader.get(Table::Aside, &aside_key(journal, Aside::Wait, &name))?.is_none());
    }
    Ok(early)
}

/// A call of which there are records.
struct CallState {
    /// What identifies it.
    identity: Key,
    checkpoint: String,
    stands: LastRecord,
}

/// What the last record of a call says.
#[derive(Clone, Copy, PartialEq)]
enum LastRecord {
    /// Its body has begun.
    Begun,
    /// It waits.
    Open,
    /// It has an outcome.
    Ended,
}

/// The calls of a generation that are recorded, looked for when they are asked for.
struct Calls<'a> {
    archive: &'a Archive,
    stored: &'a Stored,
    known: OnceCell<HashMap<String, Vec<CallState>>>,
}

impl<'a> Calls<'a> {
    fn of(archive: &'a Archive, stored: &'a Stored) -> Self {
        Calls { archive, stored, known: OnceCell::new() }
    }

    /// Those that go by a visible name.
    fn named(&self, name: &str) -> Result<&[CallState], Error> {
        let known = match self.known.get() {
            Some(known) => known,
            None => {
                let called = called(self.archive, self.stored)?;
                self.known.get_or_init(|| called)
            }
        };
        Ok(known.get(name).map(Vec::as_slice).unwrap_or_default())
    }
}

/// The calls that are recorded, by their visible names.
fn called(archive: &Archive, stored: &Stored) -> Result<HashMap<String, Vec<CallState>>, Error> {
    let (first, last) = journal_range(stored.journal);
    let range = (Bound::Included(first.as_slice()), Bound::Included(last.as_slice()));
    let mut called: HashMap<String, Vec<CallState>> = HashMap::new();
    let mut unread = None;
    let mut see = |call: &CallFrame<'_>, stands: LastRecord| {
        let identity = call_identity(&stored.header.execution, stored.header.generation, call.key, call.occurrence);
        let calls = called.entry(call.name()).or_default();
        match calls.iter_mut().find(|known| known.identity == identity) {
            Some(known) => known.stands = stands,
            None => calls.push(CallState { identity, checkpoint: call.checkpoint.to_owned(), stands }),
        }
    };
    archive.reader.scan(Table::Journal, range, Order::Ascending, &mut |_, frame| {
        match Frame::read(frame) {
            Ok(Frame::Outcome(outcome)) => see(&outcome.call, LastRecord::Ended),
            Ok(Frame::Intent(call)) => see(&call, LastRecord::Begun),
            Ok(Frame::Open(open)) => {
                let waits = matches!(open.opening, Opening::Answer { .. });
                see(&open.call, if waits { LastRecord::Open } else { LastRecord::Ended });
            }
            Ok(_) => {}
            Err(why) => unread = Some(why),
        }
        ControlFlow::Continue(())
    })?;
    match unread {
        Some(why) => Err(malformed(&stored.header.execution, "journal", why)),
        None => Ok(called),
    }
}

fn answered_already(name: &str, execution: &ExecutionId) -> Error {
    let name = short(name);
    cannot!(
        Kind::Misuse,
        "answer the wait `{name}` of execution {execution}",
        "it has been answered already, the first answer counts"
    )
}

/// The one call that can be answered, of those that go by one name.
fn only(calls: &[CallState], name: &str, execution: &ExecutionId) -> Result<Key, Error> {
    let mut open = calls.iter().filter(|call| call.stands != LastRecord::Ended);
    let (first, second) = (open.next(), open.next());
    let name = short(name);
    match (first, second) {
        (Some(call), None) => Ok(call.identity),
        (None, _) => Err(cannot!(
            Kind::Misuse,
            "answer the wait `{name}` of execution {execution}",
            "it is not open",
            "see Execution::waits()"
        )),
        (Some(first), Some(second)) => {
            let (first, second) = (short(&first.checkpoint), short(&second.checkpoint));
            Err(cannot!(
                Kind::Misuse,
                "answer the wait `{name}` of execution {execution}",
                "one of `{first}` and one of `{second}` are open",
                "begin it again with .fresh()"
            ))
        }
    }
}
