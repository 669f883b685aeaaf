//! Which call a record belongs to. Owns how a call is written in its records.

use crate::journal::wire::{Malformed, Put, Take};
use crate::value::Key;

/// The checkpoint of a signal, in records and in keys: the first name that signals had.
pub(crate) const SIGNAL_CHECKPOINT: &str = "kitaru::event";

/// The name of a checkpoint as people see it.
pub(crate) fn shown_checkpoint(recorded: &str) -> &str {
    if recorded == SIGNAL_CHECKPOINT { "kitaru::signal" } else { recorded }
}

/// Which call a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CallFrame<'a> {
    pub(crate) key: Key,
    /// How many calls with this key were made before, in this attempt.
    pub(crate) occurrence: u32,
    /// How many calls of this checkpoint were made before, in this attempt.
    pub(crate) place: u32,
    /// The number of the visible name; 1 is not shown.
    pub(crate) number: u32,
    pub(crate) attempt: u32,
    /// The fingerprint of the checkpoint's source when the record was made.
    pub(crate) source: u64,
    pub(crate) checkpoint: &'a str,
    /// The name set by `.named("…")`, or an empty text.
    pub(crate) label: &'a str,
    /// The arguments that count, encoded by [`Arg`].
    pub(crate) args: &'a [u8],
}

/// One argument of a call, as far as it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arg {
    pub(crate) name: String,
    pub(crate) digest: u64,
    pub(crate) preview: String,
}

impl<'a> CallFrame<'a> {
    pub(super) fn texts(&self) -> usize {
        self.checkpoint.len() + self.label.len() + self.args.len()
    }

    pub(super) fn read(take: &mut Take<'a>) -> Result<Self, Malformed> {
        Ok(CallFrame {
            key: Key(take.array()?),
            occurrence: take.varint_u32()?,
            place: take.varint_u32()?,
            number: take.varint_u32()?,
            attempt: take.varint_u32()?,
            source: take.u64()?,
            checkpoint: take.text()?,
            label: take.text()?,
            args: take.bytes()?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.0);
        out.put_varint(self.occurrence.into());
        out.put_varint(self.place.into());
        out.put_varint(self.number.into());
        out.put_varint(self.attempt.into());
        out.put_u64(self.source);
        out.put_text(self.checkpoint);
        out.put_text(self.label);
        out.put_bytes(self.args);
    }

    /// The visible name: the label or the checkpoint, numbered from the second on.
    pub(crate) fn name(&self) -> String {
        visible_name(if self.label.is_empty() { self.checkpoint } else { self.label }, self.number)
    }
}

/// `draft`, `draft_2`, `draft_3`, …
pub(crate) fn visible_name(base: &str, number: u32) -> String {
    if number <= 1 { base.to_owned() } else { format!("{base}_{number}") }
}

impl Arg {
    pub(crate) fn write_all(args: &[Arg]) -> Vec<u8> {
        let mut out = Vec::with_capacity(args.iter().map(|arg| 12 + arg.name.len() + arg.preview.len()).sum());
        for arg in args {
            out.put_text(&arg.name);
            out.put_u64(arg.digest);
            out.put_text(&arg.preview);
        }
        out
    }

    pub(crate) fn read_all(bytes: &[u8]) -> Result<Vec<Arg>, Malformed> {
        let mut take = Take(bytes);
        let mut args = Vec::new();
        while !take.0.is_empty() {
            args.push(Arg { name: take.text()?.to_owned(), digest: take.u64()?, preview: take.text()?.to_owned() });
        }
        Ok(args)
    }
}
