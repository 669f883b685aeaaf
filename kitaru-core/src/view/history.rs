//! The history of an execution as JSON. Owns that format, which `docs/format.md` describes; must not know what replays it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, cannot};
use crate::journal::{EndFrame, Frame, Header, Lineage, Malformed, OutcomeFrame, Payload};
use crate::ledger::Generation;
use crate::shown::short;
use crate::value::{Codec, shallow};
use crate::view::reference::ExecutionRef;

/// The version of the format.
const VERSION: u32 = 1;

/// A longer text is not read.
pub(crate) const MOST_HISTORY_BYTES: usize = 1 << 30;

/// The input and all records of one generation of an execution. Made by [`Kitaru::export`](crate::Kitaru::export). Its
/// `Display` is JSON, which [`FromStr`] reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    kitaru_history: u32,
    flow: String,
    /// For people: a preview.
    input: String,
    /// For people.
    status: String,
    header: Hex,
    /// From which execution it was forked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fork: Option<Hex>,
    records: Vec<Entry>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    /// For people: the kind of the record.
    is: String,
    /// For people: the outcome of the call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    outcome: String,
    /// The value was sensitive.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    left_out: bool,
    frame: Hex,
}

/// Bytes, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hex(Vec<u8>);

impl History {
    pub(crate) fn of(generation: &Generation) -> Result<Self, Malformed> {
        let Generation { header, status, journal, fork, .. } = generation;
        let entries = journal.indices().map(|at| Ok(Entry::of(&journal.frame(at)?)));
        Ok(History {
            kitaru_history: VERSION,
            flow: header.execution.flow.to_string(),
            input: header.input_preview.clone(),
            status: status.to_string(),
            header: Hex(header.write()),
            fork: fork.as_ref().map(|row| Hex(row.write())),
            records: entries.collect::<Result<_, Malformed>>()?,
        })
    }

    /// The flow's name.
    pub fn flow(&self) -> &str {
        &self.flow
    }

    /// The execution that it is of. `None` if its header is not one.
    pub fn execution(&self) -> Option<ExecutionRef> {
        self.header().ok().map(|header| ExecutionRef::of(&header.execution))
    }

    /// Where the execution stood, for people.
    pub fn status(&self) -> &str {
        &self.status
    }

    /// Sets the value of the records of a `sensitive` checkpoint, whose values were left out.
    ///
    /// # Errors
    ///
    /// [Unreadable](Error::is_unreadable) when the value cannot be serialized as JSON.
    pub fn with_value<T: Serialize + ?Sized>(mut self, checkpoint: &str, value: &T) -> Result<Self, Error> {
        let json = serde_json::to_vec(&shallow(value)).map_err(|why| {
            let checkpoint = short(checkpoint);
            cannot!(
                Kind::Unreadable,
                "set the value of checkpoint `{checkpoint}`",
                "it cannot be serialized: {why}",
                "serialize it as another type"
            )
        })?;
        for entry in self.records.iter_mut().filter(|entry| entry.left_out) {
            let frame = match Frame::read(&entry.frame.0) {
                Ok(Frame::Outcome(outcome)) if outcome.call.checkpoint == checkpoint => {
                    let payload = Payload { codec: Codec::Json, shape: 0, bytes: &json, ..outcome.payload };
                    Frame::Outcome(OutcomeFrame { payload, ..outcome }).write()
                }
                _ => continue,
            };
            *entry = Entry { left_out: false, frame: Hex(frame), ..entry.clone() };
        }
        Ok(self)
    }

    pub(crate) fn header(&self) -> Result<Header, Error> {
        Header::read(&self.header.0).map_err(|why| unreadable(why.0))
    }

    /// What it has of the execution that it was forked from.
    pub(crate) fn fork(&self) -> Result<Option<Lineage>, Error> {
        let row = self.fork.as_ref().map(|row| Lineage::read(&row.0));
        row.transpose().map_err(|why| unreadable(why.0))
    }

    /// The frames of its records, in order.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.records.iter().map(|entry| &*entry.frame.0)
    }

    /// A record whose value was left out.
    #[cfg(feature = "testkit")]
    pub(crate) fn left_out(&self) -> Option<&str> {
        self.records.iter().find(|entry| entry.left_out).map(|entry| &*entry.is)
    }
}

impl Entry {
    fn of(frame: &Frame<'_>) -> Self {
        let (is, outcome) = match frame {
            Frame::Outcome(outcome) => (outcome.call.name(), outcome.preview),
            Frame::Intent(call) => (format!("{} is about to run", call.name()), ""),
            Frame::Open(open) => (format!("{} waits", open.call.name()), ""),
            Frame::End(end) => (format!("the flow is {}", end.status), end.preview),
            Frame::Unwind(EndFrame { status, .. }) => (format!("the flow is unwound, and is {status}"), ""),
            Frame::Settled(_) => ("errors are settled".to_owned(), ""),
            Frame::Forgot(_) => ("records are forgotten".to_owned(), ""),
            Frame::Now(_) => ("a time".to_owned(), ""),
            Frame::Patched(name) => (format!("patched {name}"), ""),
        };
        let outcome = outcome.to_owned();
        match frame {
            Frame::Outcome(hidden) if hidden.is_sensitive() => {
                let payload = Payload { bytes: &[], ..hidden.payload };
                let frame = Frame::Outcome(OutcomeFrame { payload, ..*hidden }).write();
                Entry { is, outcome, left_out: true, frame: Hex(frame) }
            }
            _ => Entry { is, outcome, left_out: false, frame: Hex(frame.write()) },
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?;
        writeln!(f, "{text}")
    }
}

impl FromStr for History {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > MOST_HISTORY_BYTES {
            return Err(unreadable(format!("it has {} bytes, the bound is {MOST_HISTORY_BYTES}", text.len())));
        }
        let history: History = serde_json::from_str(text).map_err(unreadable)?;
        if history.kitaru_history > VERSION {
            return Err(unreadable(format!(
                "its format has version {}, this program reads version {VERSION}",
                history.kitaru_history
            )));
        }
        for frame in history.frames() {
            Frame::read(frame).map_err(|why| unreadable(why.0))?;
        }
        history.header()?;
        history.fork()?;
        Ok(history)
    }
}

fn unreadable(why: impl fmt::Display) -> Error {
    cannot!(Kind::Unreadable, "read the history", "{why}", "use a history from Kitaru::export")
}

impl From<Hex> for String {
    fn from(hex: Hex) -> String {
        hex.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const NO_HEX: &str = "it contains a field that is not bytes in hexadecimal digits";
        let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
        let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or(NO_HEX)?;
        Ok(Hex(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
    }
}
