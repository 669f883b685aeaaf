//! The rows next to a journal: messages to an execution, and its published values. Owns their keys and layout; must not
//! know when they are written.

use crate::id::{ExecutionId, JournalId};
use crate::journal::FORMAT;
use crate::journal::rows::versioned;
use crate::journal::wire::{Malformed, Put, Take};
use crate::value::Key;

/// A signal or an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MailRow {
    pub(crate) sent_ms: u64,
    /// The name of the signal or of the wait.
    pub(crate) name: String,
    pub(crate) json: String,
    /// The identity of the wait that an answer is for. `None` for an answer that came before its wait, and for a
    /// signal.
    pub(crate) wait: Option<Key>,
    /// For an answer that a fork took over, the digest of the question that it was given to.
    pub(crate) question: Option<Key>,
}

/// A wait for an answer, as people see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WaitRow {
    /// It can no longer be answered.
    pub(crate) over: bool,
    pub(crate) opened_ms: u64,
    /// When it ends by itself; 0 is never.
    pub(crate) due_ms: u64,
    pub(crate) question: String,
    /// The JSON schema of an answer, or an empty text.
    pub(crate) schema: String,
    /// A JSON object.
    pub(crate) metadata: String,
    /// Why the last answer did not fit, or an empty text.
    pub(crate) refused: String,
    /// Which wait it is. `None` in a row of an earlier version, which identified waits by their names.
    pub(crate) asks: Option<Asks>,
}

/// Which wait a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asks {
    /// What identifies the call.
    pub(crate) wait: Key,
    pub(crate) about: About,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Something that the flow asks. An answer may come before the question.
    Anything,
    /// The fate of a body that was interrupted. It cannot be known before the question is asked.
    Body,
}

/// The call of a flow that waits for an execution: its parent's, or another one's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ParentCall {
    pub(crate) journal: JournalId,
    pub(crate) generation: u32,
    pub(crate) execution: ExecutionId,
    /// What identifies the call.
    pub(crate) call: Key,
}

/// A value that a flow or a body shows under a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Note {
    /// How often the flow had shown a value under the name by then, in one attempt.
    pub(crate) nth: u64,
    pub(crate) updated_ms: u64,
    pub(crate) json: String,
}

/// The kind of a row next to a journal, in the order of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Aside {
    /// A signal that was sent, under its number.
    Signal = b'e',
    /// The idempotency key of a signal that was sent.
    Sent = b'k',
    /// The answer to a wait.
    Answer = b'a',
    /// A wait for an answer.
    Wait = b'w',
    /// The deadline of the generation.
    Deadline = b'd',
    /// A tag of the generation. The name is the tag.
    Tag = b't',
    /// The parent of the generation.
    Parent = b'u',
    /// Another parent that waits for it while parked, under the number of that parent's journal.
    Waiter = b'q',
    /// A published value, by its name.
    Published = b'p',
    /// Metadata of the execution, by its key.
    Logged = b'l',
    /// The first generation in a chain of continuations. Rows that all of them share are next to to its journal.
    First = b'f',
    /// Why the generation's work is not undone.
    Undo = b'o',
    /// Who did what to the generation, in the order of time. Next to the journal 0, which no generation has: to the store.
    Audit = b'h',
    /// From which execution the generation was forked.
    Fork = b'b',
}

/// The kind of a shown value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum NoteKind {
    /// It is published.
    Published,
    /// It is metadata of the execution.
    Logged,
}

/// Why the work of a generation that is stuck or was cancelled is not undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotUndone {
    /// It is stuck: its attempts crashed before they reached a body, so that an undo would crash too.
    DiesInReplay,
    /// It is stuck: its attempts crashed in bodies.
    DiesInBodies,
    /// It was cancelled, and its undo steps did not run.
    Skipped,
}

impl NotUndone {
    pub(crate) fn write(self) -> Vec<u8> {
        let code = match self {
            NotUndone::DiesInReplay => 1,
            NotUndone::DiesInBodies => 2,
            NotUndone::Skipped => 3,
        };
        vec![FORMAT, code]
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        match bytes {
            [version, ..] if *version > FORMAT => Err(Malformed("a row of a newer format")),
            [_, 1] => Ok(NotUndone::DiesInReplay),
            [_, 2] => Ok(NotUndone::DiesInBodies),
            [_, 3] => Ok(NotUndone::Skipped),
            _ => Err(Malformed("an unknown kind of undoing")),
        }
    }
}

/// The key of a row next to a journal: the journal's number, its kind, its name.
pub(crate) fn aside_key(journal: JournalId, aside: Aside, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + name.len());
    key.extend_from_slice(&journal.0.to_be_bytes());
    key.push(aside as u8);
    key.extend_from_slice(name);
    key
}

/// The first key of rows of this kind, and the first key after them.
pub(crate) fn aside_range(journal: JournalId, aside: Aside) -> (Vec<u8>, Vec<u8>) {
    let first = aside_key(journal, aside, &[]);
    let mut end = first.clone();
    end[8] += 1;
    (first, end)
}

/// The name in a key.
pub(crate) fn aside_name(key: &[u8]) -> &[u8] {
    key.get(9..).unwrap_or_default()
}

/// The name of the row that remembers an idempotency key.
pub(crate) fn sent_name(signal: &str, key: &str) -> Key {
    crate::value::digest_parts(&[signal.as_bytes(), key.as_bytes()])
}

/// The digest of what a question says. Another question needs another answer.
pub(crate) fn asked_text(question: &str, metadata: &str) -> Key {
    crate::value::digest_parts(&[question.as_bytes(), metadata.as_bytes()])
}

/// The row of a tag, whose key contains everything.
pub(crate) fn write_tag() -> Vec<u8> {
    vec![FORMAT]
}

pub(crate) fn read_tag(bytes: &[u8]) -> Result<(), Malformed> {
    versioned(bytes)?.end()
}

impl MailRow {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40 + self.name.len() + self.json.len());
        out.push(FORMAT);
        out.put_varint(self.sent_ms);
        out.put_text(&self.name);
        out.put_text(&self.json);
        self.wait.iter().chain(&self.question).for_each(|key| out.extend_from_slice(&key.0));
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut take = versioned(bytes)?;
        let (sent_ms, name, json) = (take.varint()?, take.text()?.to_owned(), take.text()?.to_owned());
        let mut key = || if take.0.is_empty() { Ok(None) } else { take.array().map(|key| Some(Key(key))) };
        let row = MailRow { sent_ms, name, json, wait: key()?, question: key()? };
        take.end()?;
        Ok(row)
    }
}

impl WaitRow {
    pub(crate) fn write(&self) -> Vec<u8> {
        let texts = [&self.question, &self.schema, &self.metadata, &self.refused];
        let mut out = Vec::with_capacity(57 + texts.iter().map(|text| text.len()).sum::<usize>());
        out.push(FORMAT);
        out.push(u8::from(self.over));
        out.put_varint(self.opened_ms);
        out.put_varint(self.due_ms);
        texts.iter().for_each(|text| out.put_text(text));
        if let Some(Asks { wait, about }) = &self.asks {
            out.extend_from_slice(&wait.0);
            out.push(u8::from(*about == About::Body));
        }
        out
    }

    /// Whether this answer, found under the same name, is for this question.
    pub(crate) fn is_answered_by(&self, answer: &MailRow) -> bool {
        if answer.question.is_some_and(|asked| asked != asked_text(&self.question, &self.metadata)) {
            return false;
        }
        match (self.asks, answer.wait) {
            (Some(asks), Some(wait)) => asks.wait == wait,
            (Some(asks), None) => asks.about == About::Anything,
            (None, _) => true,
        }
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut take = versioned(bytes)?;
        let row = WaitRow {
            over: take.u8()? != 0,
            opened_ms: take.varint()?,
            due_ms: take.varint()?,
            question: take.text()?.to_owned(),
            schema: take.text()?.to_owned(),
            metadata: take.text()?.to_owned(),
            refused: take.text()?.to_owned(),
            asks: if take.0.is_empty() { None } else { Some(Asks::read(&mut take)?) },
        };
        take.end()?;
        Ok(row)
    }
}

impl Asks {
    fn read(take: &mut Take<'_>) -> Result<Self, Malformed> {
        let wait = Key(take.array()?);
        Ok(Asks { wait, about: if take.u8()? == 0 { About::Anything } else { About::Body } })
    }
}

impl Note {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + self.json.len());
        out.push(FORMAT);
        out.put_varint(self.nth);
        out.put_varint(self.updated_ms);
        out.put_text(&self.json);
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut take = versioned(bytes)?;
        let row = Note { nth: take.varint()?, updated_ms: take.varint()?, json: take.text()?.to_owned() };
        take.end()?;
        Ok(row)
    }
}

impl ParentCall {
    pub(crate) fn write(&self) -> Vec<u8> {
        let ParentCall { journal, generation, execution, call } = self;
        let mut out = Vec::with_capacity(48 + execution.flow.len() + execution.id.len());
        out.push(FORMAT);
        out.put_varint(journal.0);
        out.put_varint((*generation).into());
        out.put_text(&execution.flow);
        out.put_text(&execution.id);
        out.extend_from_slice(&call.0);
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut take = versioned(bytes)?;
        let row = ParentCall {
            journal: JournalId(take.varint()?),
            generation: take.varint_u32()?,
            execution: ExecutionId { flow: take.text()?.into(), id: take.text()?.into() },
            call: Key(take.array()?),
        };
        take.end()?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_comes_back_as_it_was_written() {
        for (wait, question) in [(None, None), (Some(Key([3; 16])), None), (Some(Key([3; 16])), Some(Key([4; 16])))] {
            let mail = MailRow { sent_ms: 7, name: "paid".into(), json: "{}".into(), wait, question };
            assert_eq!(MailRow::read(&mail.write()), Ok(mail));
        }
        let asks = |about| Some(Asks { wait: Key([3; 16]), about });
        for asks in [None, asks(About::Anything), asks(About::Body)] {
            let wait =
                WaitRow { over: true, opened_ms: 1, due_ms: 2, refused: "no".into(), asks, ..WaitRow::default() };
            assert_eq!(WaitRow::read(&wait.write()), Ok(wait));
        }
        let note = Note { nth: 300, updated_ms: 7, json: "[1]".into() };
        assert_eq!(Note::read(&note.write()), Ok(note));
        assert_eq!(read_tag(&write_tag()), Ok(()));
        assert!(read_tag(&[FORMAT + 1]).is_err() && read_tag(&[FORMAT, 0]).is_err() && read_tag(&[]).is_err());
        let execution = ExecutionId::new("report", "job-42").unwrap();
        let parent = ParentCall { journal: JournalId(300), generation: 2, execution, call: Key([7; 16]) };
        assert_eq!(ParentCall::read(&parent.write()), Ok(parent));
    }

    #[test]
    fn an_answer_is_to_the_question_that_it_was_given_to() {
        let row = |asks| WaitRow { asks, ..WaitRow::default() };
        let answer = |wait| MailRow { sent_ms: 7, name: "pay".into(), json: "1".into(), wait, question: None };
        let (mine, other) = (Key([1; 16]), Key([2; 16]));
        for about in [About::Anything, About::Body] {
            let open = row(Some(Asks { wait: mine, about }));
            assert!(open.is_answered_by(&answer(Some(mine))) && !open.is_answered_by(&answer(Some(other))));
            assert_eq!(open.is_answered_by(&answer(None)), about == About::Anything, "what came early");
        }
        assert!(row(None).is_answered_by(&answer(None)), "a row of an earlier version");
        let open = WaitRow { question: "Pay 7?".into(), metadata: "{}".into(), ..row(None) };
        let given_to = |text| MailRow { question: Some(asked_text(text, "{}")), ..answer(None) };
        assert!(open.is_answered_by(&given_to("Pay 7?")) && !open.is_answered_by(&given_to("Pay 8?")));
    }

    #[test]
    fn the_rows_of_one_kind_are_a_range_of_their_own() {
        let (first, end) = aside_range(JournalId(3), Aside::Signal);
        let key = aside_key(JournalId(3), Aside::Signal, &[0xff; 9]);
        assert!(first <= key && key < end);
        assert!(aside_key(JournalId(3), Aside::Sent, &[]) >= end);
        assert_eq!(aside_name(&key), [0xff; 9]);
    }
}
