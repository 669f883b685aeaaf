//! The records of a journal, to bytes and back. Owns the layout of a frame; must not know which records answer which
//! calls.

mod call;
mod kind;
mod open;
mod outcome;
mod tries;

use crate::id::Seq;
use crate::journal::FORMAT;
use crate::journal::wire::{Malformed, Put, Take};
use crate::value::Key;
use kind::{END, FORGOT, INTENT, NOW, OPEN, OUTCOME, PATCHED, SETTLED, UNWIND, kind};

pub(crate) use call::{Arg, CallFrame, SIGNAL_CHECKPOINT, shown_checkpoint, visible_name};
pub(crate) use open::{OpenFrame, Opening};
pub(crate) use outcome::{Class, EndFrame, OutcomeFrame, OwnedPayload, Payload};
use outcome::{FLAG_ERROR, FLAG_MESSAGE, FLAG_SETTLED};
pub(crate) use tries::FailedTryFrame;

/// One record of a journal, borrowed from its bytes.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame<'a> {
    /// The outcome of a checkpoint.
    Outcome(OutcomeFrame<'a>),
    /// An `at_most_once` body is about to run.
    Intent(CallFrame<'a>),
    /// A wait has begun.
    Open(OpenFrame<'a>),
    /// Errors that the flow went past: they are settled from here on.
    Settled(SettledFrame),
    /// The time of a `kitaru::now()`.
    Now(NowFrame),
    /// The end of an attempt.
    End(EndFrame<'a>),
    /// The flow ends early. This is the result of the generation once the work of the flow is undone.
    Unwind(EndFrame<'a>),
    /// The execution passed a change of the flow's code with the new code.
    Patched(&'a str),
    /// A person had records before it forgotten.
    Forgot(Forgotten),
}

/// Records that no longer count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgotten {
    This(Seq),
    /// All between this one and the record that says so.
    After(Seq),
}

#[derive(Debug, PartialEq)]
pub(crate) struct SettledFrame {
    pub(crate) errors: Vec<Seq>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct NowFrame {
    /// How many times the flow called `now` before.
    pub(crate) occurrence: u32,
    pub(crate) unix_ms: u64,
}

/// As much of a record as an index needs, read without the rest.
#[derive(Debug, PartialEq)]
pub(crate) enum Heading<'a> {
    Call(CallHeading<'a>),
    Settled(SettledFrame),
    Now(NowFrame),
    End,
    Unwind,
    Patched(&'a str),
    Forgot(Forgotten),
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
    /// The number of the signal that it took.
    pub(crate) message: Option<u64>,
}

/// How the record of a call affects a later call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// A value, or an error that was settled when it was recorded.
    Answer,
    /// An error that a later attempt tries again, unless it was settled since.
    Unsettled,
    /// As `Unsettled`, for an outcome over its bound. Only a higher bound makes it be tried again.
    Outgrown,
    /// An intent.
    Intent,
    /// A wait that has begun.
    Open,
}

impl CallKind {
    /// Whether the record answers its call.
    pub(crate) fn answers(self) -> bool {
        matches!(self, CallKind::Answer | CallKind::Outgrown)
    }
}

impl<'a> Heading<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (OUTCOME | INTENT | OPEN, mut take) = kind(bytes)? else {
            return Ok(match Frame::read(bytes)? {
                Frame::Settled(settled) => Heading::Settled(settled),
                Frame::Now(now) => Heading::Now(now),
                Frame::Patched(name) => Heading::Patched(name),
                Frame::Forgot(forgotten) => Heading::Forgot(forgotten),
                Frame::Unwind(_) => Heading::Unwind,
                Frame::Outcome(_) | Frame::Intent(_) | Frame::Open(_) | Frame::End(_) => Heading::End,
            });
        };
        let key = Key(take.array()?);
        let (occurrence, place, number) = (take.varint_u32()?, take.varint_u32()?, take.varint_u32()?);
        let (_attempt, _source) = (take.varint_u32()?, take.u64()?);
        let (checkpoint, label, _args) = (take.bytes()?, take.bytes()?, take.bytes()?);
        let mut message = None;
        let kind = match bytes[1] {
            INTENT => CallKind::Intent,
            OPEN => CallKind::Open,
            _ => {
                let flags = take.u8()?;
                if flags & FLAG_MESSAGE != 0 {
                    message = Some(take.varint()?);
                }
                match flags & (FLAG_ERROR | FLAG_SETTLED) {
                    FLAG_ERROR => CallKind::Unsettled,
                    _ => CallKind::Answer,
                }
            }
        };
        Ok(Heading::Call(CallHeading { kind, key, occurrence, place, number, checkpoint, label, message }))
    }
}

impl<'a> Frame<'a> {
    /// Whether a record is the result of an attempt, by its first bytes.
    pub(crate) fn is_end(bytes: &[u8]) -> bool {
        matches!(kind(bytes), Ok((END, _)))
    }

    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, mut take) = kind(bytes)?;
        Ok(match kind {
            OUTCOME => Frame::Outcome(OutcomeFrame::read(&mut take)?),
            INTENT => {
                let call = CallFrame::read(&mut take)?;
                take.end()?;
                Frame::Intent(call)
            }
            SETTLED => Frame::Settled(SettledFrame::read(take)?),
            PATCHED => {
                let name = take.text()?;
                take.end()?;
                Frame::Patched(name)
            }
            FORGOT => {
                let forgotten = match take.u8()? {
                    0 => Forgotten::This(Seq(take.varint()?)),
                    1 => Forgotten::After(Seq(take.varint()?)),
                    _ => return Err(Malformed("records forgotten in an unknown way")),
                };
                take.end()?;
                Frame::Forgot(forgotten)
            }
            NOW => {
                let now = NowFrame { occurrence: take.varint_u32()?, unix_ms: take.u64()? };
                take.end()?;
                Frame::Now(now)
            }
            END => Frame::End(EndFrame::read(&mut take)?),
            UNWIND => Frame::Unwind(EndFrame::read(&mut take)?),
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
                settled.write(&mut out);
            }
            Frame::Patched(name) => {
                out.push(PATCHED);
                out.put_text(name);
            }
            Frame::Forgot(forgotten) => {
                let (way, seq) = match forgotten {
                    Forgotten::This(seq) => (0, seq),
                    Forgotten::After(seq) => (1, seq),
                };
                out.push(FORGOT);
                out.push(way);
                out.put_varint(seq.0);
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
            Frame::Unwind(end) => {
                out.push(UNWIND);
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
            Frame::Outcome(outcome) => CALL + REST + outcome.texts(),
            Frame::Intent(call) => CALL + call.texts(),
            Frame::Open(open) => CALL + REST + open.call.texts() + open.opening.texts(),
            Frame::Patched(name) => 16 + name.len(),
            Frame::Settled(settled) => 16 + 10 * settled.errors.len(),
            Frame::Now(_) | Frame::Forgot(_) => 24,
            Frame::End(end) | Frame::Unwind(end) => REST + end.preview.len() + end.payload.bytes.len(),
        }
    }
}

impl SettledFrame {
    fn read(mut take: Take<'_>) -> Result<Self, Malformed> {
        let count = take.varint()?;
        let errors = (0..count).map(|_| take.varint().map(Seq)).collect::<Result<_, _>>()?;
        take.end()?;
        Ok(SettledFrame { errors })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.put_varint(self.errors.len() as u64);
        self.errors.iter().for_each(|seq| out.put_varint(seq.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ExecutionId;
    use crate::journal::Status;
    use crate::value::Codec;

    fn pause(failed: Vec<u8>, awaited: &str) -> Opening {
        Opening::Pause { due_ms: 17, begun_ms: 3, failures: 2, failed, awaited: awaited.to_owned() }
    }

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
        let end = || EndFrame { status: Status::Failed, attempt: 2, ended_ms: 1, duration_us: 2, preview: "", payload };
        vec![
            Frame::Outcome(OutcomeFrame {
                call: call(),
                settled: true,
                from_memo: false,
                sensitive: true,
                message: Some(300),
                tries: 4,
                failed: args,
                metadata: "{}",
                started_ms: 1_767_225_600_000,
                duration_us: 15,
                preview: "\"x\"",
                payload,
            }),
            Frame::Intent(call()),
            Frame::Open(OpenFrame { call: call(), opening: Opening::Timer { due_ms: 1_767_225_600_000 } }),
            Frame::Open(OpenFrame { call: call(), opening: Opening::Answer { due_ms: 17 } }),
            Frame::Open(OpenFrame { call: call(), opening: Opening::Signal }),
            Frame::Open(OpenFrame { call: call(), opening: pause(args.to_vec(), "") }),
            Frame::Open(OpenFrame { call: call(), opening: pause(args.to_vec(), "model `m`") }),
            Frame::Open(OpenFrame {
                call: call(),
                opening: Opening::Execution(ExecutionId::new("report", "job-42").unwrap()),
            }),
            Frame::Patched("greeting"),
            Frame::Forgot(Forgotten::This(Seq(300))),
            Frame::Forgot(Forgotten::After(Seq(0))),
            Frame::Settled(SettledFrame { errors: vec![Seq(1), Seq(900)] }),
            Frame::Now(NowFrame { occurrence: 0, unix_ms: 5 }),
            Frame::End(end()),
            Frame::Unwind(end()),
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
                    assert_eq!((heading.kind, heading.message), (CallKind::Answer, Some(300)), "it is settled");
                }
                Frame::Intent(_) => assert!(matches!(heading, Heading::Call(call) if call.kind == CallKind::Intent)),
                Frame::Open(_) => assert!(matches!(heading, Heading::Call(call) if call.kind == CallKind::Open)),
                Frame::Settled(_) => assert!(matches!(heading, Heading::Settled(_))),
                Frame::Now(_) => assert!(matches!(heading, Heading::Now(_))),
                Frame::End(_) => assert_eq!(heading, Heading::End),
                Frame::Unwind(_) => assert_eq!(heading, Heading::Unwind),
                Frame::Patched(name) => assert_eq!(heading, Heading::Patched(name)),
                Frame::Forgot(forgotten) => assert_eq!(heading, Heading::Forgot(*forgotten)),
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
                // The value is the rest of the frame. The row's checksum says whether it is whole.
                if let Ok(cut) = Frame::read(&bytes[..length]) {
                    assert!(
                        matches!(cut, Frame::Outcome(_) | Frame::End(_) | Frame::Unwind(_)),
                        "{length} of {frame:?}"
                    );
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
