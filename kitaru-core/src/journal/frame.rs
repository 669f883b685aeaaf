//! The records of a journal, to bytes and back. Owns the layout of a frame; must not know which records answer what.

use crate::error::Error;
use crate::id::Seq;
use crate::journal::FORMAT;
use crate::journal::status::Status;
use crate::journal::wire::{Malformed, Put, Take};
use crate::value::{Codec, Key};

/// One record of a journal, borrowed from its bytes.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame<'a> {
    /// What a checkpoint came to.
    Outcome(OutcomeFrame<'a>),
    /// An `at_most_once` body is about to run.
    Intent(CallFrame<'a>),
    /// A wait has begun.
    Open(OpenFrame<'a>),
    /// Errors that the flow went past: from here on they stay as they are.
    Settled(SettledFrame),
    /// What `kitaru::now()` gave.
    Now(NowFrame),
    /// What an attempt came to.
    End(EndFrame<'a>),
}

/// Which call a record belongs to.
#[derive(Debug, PartialEq)]
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
    /// What `.named("…")` asked for, or nothing.
    pub(crate) label: &'a str,
    /// The arguments that count, encoded by [`Arg`].
    pub(crate) args: &'a [u8],
}

/// One argument of a call, as far as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arg {
    pub(crate) name: String,
    pub(crate) digest: u64,
    pub(crate) preview: String,
}

#[derive(Debug, PartialEq)]
pub(crate) struct OutcomeFrame<'a> {
    pub(crate) call: CallFrame<'a>,
    pub(crate) settled: bool,
    pub(crate) from_memo: bool,
    pub(crate) tries: u32,
    pub(crate) started_ms: u64,
    pub(crate) duration_us: u64,
    pub(crate) preview: &'a str,
    pub(crate) payload: Payload<'a>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct OpenFrame<'a> {
    pub(crate) call: CallFrame<'a>,
    pub(crate) opening: Opening,
}

/// What a wait waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Opening {
    /// A time.
    Timer { due_ms: u64 },
}

#[derive(Debug, PartialEq)]
pub(crate) struct EndFrame<'a> {
    /// Where the generation stands from here on, unless a further attempt begins.
    pub(crate) status: Status,
    pub(crate) attempt: u32,
    pub(crate) ended_ms: u64,
    pub(crate) duration_us: u64,
    pub(crate) preview: &'a str,
    pub(crate) payload: Payload<'a>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct SettledFrame {
    pub(crate) errors: Vec<Seq>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct NowFrame {
    /// How many times the flow asked before.
    pub(crate) occurrence: u32,
    pub(crate) unix_ms: u64,
}

/// An encoded outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Payload<'a> {
    pub(crate) class: Class,
    pub(crate) codec: Codec,
    /// The fingerprint of the value's shape; 0 for JSON, which is read by name.
    pub(crate) shape: u64,
    pub(crate) bytes: &'a [u8],
}

/// What an outcome is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    /// A value: the whole of a plain type, or what is in `Ok`.
    Value = 0,
    /// What is in `Err`, by the error type's own serde.
    Error = 1,
    /// A `kitaru::Error`, from which the error type is rebuilt.
    Kitaru = 2,
}

const OUTCOME: u8 = 1;
const INTENT: u8 = 2;
const SETTLED: u8 = 3;
const NOW: u8 = 4;
const END: u8 = 5;
const OPEN: u8 = 6;

const TIMER: u8 = 0;

const FLAG_SETTLED: u8 = 1;
const FLAG_FROM_MEMO: u8 = 2;
const FLAG_ERROR: u8 = 4;

/// As much of a record as an index needs, read without looking at the rest.
#[derive(Debug, PartialEq)]
pub(crate) enum Heading<'a> {
    Call(CallHeading<'a>),
    Settled(SettledFrame),
    Now(NowFrame),
    End,
}

#[derive(Debug, PartialEq)]
pub(crate) struct CallHeading<'a> {
    pub(crate) kind: CallKind,
    pub(crate) key: Key,
    pub(crate) occurrence: u32,
    pub(crate) place: u32,
    pub(crate) number: u32,
    pub(crate) checkpoint: &'a [u8],
    pub(crate) label: &'a [u8],
}

/// What the record of a call is to a later call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// A value, or an error that was settled when it was recorded.
    Answer,
    /// An error that a later attempt tries again, unless it was settled since.
    Unsettled,
    /// An intent.
    Intent,
    /// A wait that has begun.
    Open,
}

impl<'a> Heading<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (OUTCOME | INTENT | OPEN, mut take) = kind(bytes)? else {
            return Ok(match Frame::read(bytes)? {
                Frame::Settled(settled) => Heading::Settled(settled),
                Frame::Now(now) => Heading::Now(now),
                Frame::Outcome(_) | Frame::Intent(_) | Frame::Open(_) | Frame::End(_) => Heading::End,
            });
        };
        let key = Key(take.array()?);
        let (occurrence, place, number) = (take.varint_u32()?, take.varint_u32()?, take.varint_u32()?);
        let (_attempt, _source) = (take.varint_u32()?, take.u64()?);
        let (checkpoint, label, _args) = (take.bytes()?, take.bytes()?, take.bytes()?);
        let kind = match bytes[1] {
            INTENT => CallKind::Intent,
            OPEN => CallKind::Open,
            _ => match take.u8()? & (FLAG_ERROR | FLAG_SETTLED) {
                FLAG_ERROR => CallKind::Unsettled,
                _ => CallKind::Answer,
            },
        };
        Ok(Heading::Call(CallHeading { kind, key, occurrence, place, number, checkpoint, label }))
    }
}

/// The kind of a frame, and what is behind it.
fn kind(bytes: &[u8]) -> Result<(u8, Take<'_>), Malformed> {
    let mut take = Take(bytes);
    if take.u8()? > FORMAT {
        return Err(Malformed("a record of a newer format"));
    }
    Ok((take.u8()?, take))
}

impl<'a> Frame<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, mut take) = kind(bytes)?;
        Ok(match kind {
            OUTCOME => Frame::Outcome(OutcomeFrame::read(&mut take)?),
            INTENT => {
                let call = CallFrame::read(&mut take)?;
                take.end()?;
                Frame::Intent(call)
            }
            SETTLED => {
                let count = take.varint()?;
                let errors = (0..count).map(|_| take.varint().map(Seq)).collect::<Result<_, _>>()?;
                take.end()?;
                Frame::Settled(SettledFrame { errors })
            }
            NOW => {
                let now = NowFrame { occurrence: take.varint_u32()?, unix_ms: take.u64()? };
                take.end()?;
                Frame::Now(now)
            }
            END => Frame::End(EndFrame::read(&mut take)?),
            OPEN => {
                let open = OpenFrame { call: CallFrame::read(&mut take)?, opening: Opening::read(&mut take)? };
                take.end()?;
                Frame::Open(open)
            }
            _ => return Err(Malformed("a record of an unknown kind")),
        })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.capacity());
        out.push(FORMAT);
        match self {
            Frame::Outcome(outcome) => {
                out.push(OUTCOME);
                outcome.write(&mut out);
            }
            Frame::Intent(call) => {
                out.push(INTENT);
                call.write(&mut out);
            }
            Frame::Open(open) => {
                out.push(OPEN);
                open.call.write(&mut out);
                open.opening.write(&mut out);
            }
            Frame::Settled(settled) => {
                out.push(SETTLED);
                out.put_varint(settled.errors.len() as u64);
                settled.errors.iter().for_each(|seq| out.put_varint(seq.0));
            }
            Frame::Now(now) => {
                out.push(NOW);
                out.put_varint(now.occurrence.into());
                out.put_u64(now.unix_ms);
            }
            Frame::End(end) => {
                out.push(END);
                end.write(&mut out);
            }
        }
        out
    }

    /// Enough for one allocation, the row's checksum included.
    fn capacity(&self) -> usize {
        const CALL: usize = 64;
        const REST: usize = 48;
        match self {
            Frame::Outcome(outcome) => {
                CALL + REST + outcome.call.texts() + outcome.preview.len() + outcome.payload.bytes.len()
            }
            Frame::Intent(call) => CALL + call.texts(),
            Frame::Open(open) => CALL + REST + open.call.texts(),
            Frame::Settled(settled) => 16 + 10 * settled.errors.len(),
            Frame::Now(_) => 24,
            Frame::End(end) => REST + end.preview.len() + end.payload.bytes.len(),
        }
    }
}

impl<'a> CallFrame<'a> {
    fn texts(&self) -> usize {
        self.checkpoint.len() + self.label.len() + self.args.len()
    }

    fn read(take: &mut Take<'a>) -> Result<Self, Malformed> {
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

    fn write(&self, out: &mut Vec<u8>) {
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

impl<'a> OutcomeFrame<'a> {
    fn read(take: &mut Take<'a>) -> Result<Self, Malformed> {
        let call = CallFrame::read(take)?;
        let flags = take.u8()?;
        Ok(OutcomeFrame {
            call,
            settled: flags & FLAG_SETTLED != 0,
            from_memo: flags & FLAG_FROM_MEMO != 0,
            tries: take.varint_u32()?,
            started_ms: take.varint()?,
            duration_us: take.varint()?,
            preview: take.text()?,
            payload: Payload::read(take)?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.call.write(out);
        let settled = if self.settled { FLAG_SETTLED } else { 0 };
        let from_memo = if self.from_memo { FLAG_FROM_MEMO } else { 0 };
        // Said here as well as by the payload, so that an index need not look for that.
        let error = if self.payload.is_error() { FLAG_ERROR } else { 0 };
        out.push(settled | from_memo | error);
        out.put_varint(self.tries.into());
        out.put_varint(self.started_ms);
        out.put_varint(self.duration_us);
        out.put_text(self.preview);
        self.payload.write(out);
    }
}

impl<'a> EndFrame<'a> {
    fn read(take: &mut Take<'a>) -> Result<Self, Malformed> {
        Ok(EndFrame {
            status: Status::from_code(take.u8()?).ok_or(Malformed("an unknown status"))?,
            attempt: take.varint_u32()?,
            ended_ms: take.varint()?,
            duration_us: take.varint()?,
            preview: take.text()?,
            payload: Payload::read(take)?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.status.code());
        out.put_varint(self.attempt.into());
        out.put_varint(self.ended_ms);
        out.put_varint(self.duration_us);
        out.put_text(self.preview);
        self.payload.write(out);
    }
}

impl Opening {
    fn read(take: &mut Take<'_>) -> Result<Self, Malformed> {
        match take.u8()? {
            TIMER => Ok(Opening::Timer { due_ms: take.varint()? }),
            _ => Err(Malformed("a wait of an unknown kind")),
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        match self {
            Opening::Timer { due_ms } => {
                out.push(TIMER);
                out.put_varint(due_ms);
            }
        }
    }
}

impl<'a> Payload<'a> {
    /// The payload of an outcome's frame, without a look at the rest.
    pub(crate) fn of_outcome(frame: &'a [u8]) -> Result<Self, Malformed> {
        let (OUTCOME, mut take) = kind(frame)? else { return Err(Malformed("no outcome")) };
        take.array::<16>()?;
        for _ in 0..4 {
            take.varint()?;
        }
        take.u64()?;
        for _ in 0..3 {
            take.bytes()?;
        }
        take.u8()?;
        for _ in 0..3 {
            take.varint()?;
        }
        take.bytes()?;
        Payload::read(&mut take)
    }

    /// The rest of the bytes.
    pub(crate) fn read(take: &mut Take<'a>) -> Result<Self, Malformed> {
        let class = match take.u8()? {
            0 => Class::Value,
            1 => Class::Error,
            2 => Class::Kitaru,
            _ => return Err(Malformed("an outcome of an unknown class")),
        };
        let codec = Codec::from_u8(take.u8()?).ok_or(Malformed("an unknown codec"))?;
        Ok(Payload { class, codec, shape: take.u64()?, bytes: take.rest() })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.class as u8);
        out.push(self.codec as u8);
        out.put_u64(self.shape);
        out.extend_from_slice(self.bytes);
    }

    pub(crate) fn is_error(&self) -> bool {
        self.class != Class::Value
    }

    /// The error in an outcome of class [`Class::Kitaru`].
    pub(crate) fn kitaru_error(&self) -> Option<Error> {
        (self.class == Class::Kitaru).then(|| serde_json::from_slice(self.bytes).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(args: &[u8]) -> Vec<Frame<'_>> {
        let call = || CallFrame {
            key: Key(*b"0123456789abcdef"),
            occurrence: 3,
            place: 300,
            number: 2,
            attempt: 1,
            source: u64::MAX,
            checkpoint: "draft",
            label: "intro",
            args,
        };
        let payload = Payload { class: Class::Kitaru, codec: Codec::Json, shape: 7, bytes: b"[]" };
        vec![
            Frame::Outcome(OutcomeFrame {
                call: call(),
                settled: true,
                from_memo: false,
                tries: 4,
                started_ms: 1_767_225_600_000,
                duration_us: 15,
                preview: "\"x\"",
                payload,
            }),
            Frame::Intent(call()),
            Frame::Open(OpenFrame { call: call(), opening: Opening::Timer { due_ms: 1_767_225_600_000 } }),
            Frame::Settled(SettledFrame { errors: vec![Seq(1), Seq(900)] }),
            Frame::Now(NowFrame { occurrence: 0, unix_ms: 5 }),
            Frame::End(EndFrame {
                status: Status::Failed,
                attempt: 2,
                ended_ms: 1,
                duration_us: 2,
                preview: "",
                payload,
            }),
        ]
    }

    #[test]
    fn every_frame_comes_back_as_it_was_written() {
        let args = Arg::write_all(&[Arg { name: "topic".into(), digest: 9, preview: "\"tides\"".into() }]);
        for frame in frames(&args) {
            let bytes = frame.write();
            assert!(bytes.capacity() < bytes.len() + 128);
            let heading = Heading::read(&bytes).unwrap();
            match &frame {
                Frame::Outcome(outcome) => {
                    assert_eq!(Payload::of_outcome(&bytes), Ok(outcome.payload));
                    let Heading::Call(heading) = heading else { panic!("{heading:?}") };
                    assert_eq!(
                        (heading.key, heading.number, heading.checkpoint),
                        (outcome.call.key, 2, b"draft".as_slice())
                    );
                    assert_eq!(heading.kind, CallKind::Answer, "it is settled");
                }
                Frame::Intent(_) => assert!(matches!(heading, Heading::Call(call) if call.kind == CallKind::Intent)),
                Frame::Open(_) => assert!(matches!(heading, Heading::Call(call) if call.kind == CallKind::Open)),
                Frame::Settled(_) => assert!(matches!(heading, Heading::Settled(_))),
                Frame::Now(_) => assert!(matches!(heading, Heading::Now(_))),
                Frame::End(_) => assert_eq!(heading, Heading::End),
            }
            assert_eq!(Frame::read(&bytes), Ok(frame));
        }
        assert_eq!(Arg::read_all(&args).unwrap()[0].preview, "\"tides\"");
    }

    #[test]
    fn a_frame_cut_short_is_refused_or_differs_only_in_its_value() {
        for frame in frames(&[]) {
            let bytes = frame.write();
            for length in 0..bytes.len() {
                // The value is the rest of the frame; that it is whole is for the row's checksum to say.
                if let Ok(cut) = Frame::read(&bytes[..length]) {
                    assert!(matches!(cut, Frame::Outcome(_) | Frame::End(_)), "{length} of {frame:?}");
                }
            }
        }
    }

    #[test]
    fn a_frame_of_a_newer_format_is_refused() {
        let mut bytes = Frame::Now(NowFrame { occurrence: 0, unix_ms: 5 }).write();
        bytes[0] = FORMAT + 1;
        assert_eq!(Frame::read(&bytes), Err(Malformed("a record of a newer format")));
    }
}
