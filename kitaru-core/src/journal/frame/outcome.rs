//! The outcome of a call and the end of an attempt. Owns the layout of outcomes, ends and their payloads.

use crate::error::Error;
use crate::journal::frame::CallFrame;
use crate::journal::frame::kind::{OUTCOME, kind};
use crate::journal::status::Status;
use crate::journal::wire::{Malformed, Put, Take};
use crate::value::{Codec, HIDDEN};

pub(super) const FLAG_SETTLED: u8 = 1;
const FLAG_FROM_MEMO: u8 = 2;
pub(super) const FLAG_ERROR: u8 = 4;
pub(super) const FLAG_MESSAGE: u8 = 8;
const FLAG_FAILED_TRIES: u8 = 16;
const FLAG_METADATA: u8 = 32;
const FLAG_SENSITIVE: u8 = 64;

#[derive(Debug, PartialEq)]
pub(crate) struct OutcomeFrame<'a> {
    pub(crate) call: CallFrame<'a>,
    pub(crate) settled: bool,
    pub(crate) from_memo: bool,
    /// Its checkpoint was `sensitive`. Earlier versions did not say so here.
    pub(crate) sensitive: bool,
    /// The number of the signal that it took.
    pub(crate) message: Option<u64>,
    pub(crate) tries: u32,
    /// The tries that failed before the last one, encoded by [`FailedTry`](super::FailedTry).
    pub(crate) failed: &'a [u8],
    /// The metadata of the body, a JSON object, or empty.
    pub(crate) metadata: &'a str,
    pub(crate) started_ms: u64,
    pub(crate) duration_us: u64,
    pub(crate) preview: &'a str,
    pub(crate) payload: Payload<'a>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct EndFrame<'a> {
    /// The status of the generation from here on, unless a further attempt begins.
    pub(crate) status: Status,
    pub(crate) attempt: u32,
    pub(crate) ended_ms: u64,
    pub(crate) duration_us: u64,
    pub(crate) preview: &'a str,
    pub(crate) payload: Payload<'a>,
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
    /// A value: all of a plain type, or the value in `Ok`.
    Value = 0,
    /// The error in `Err`, by the error type's own serde.
    Error = 1,
    /// A `kitaru::Error`, from which the error type is rebuilt.
    Kitaru = 2,
}

/// An encoded outcome of its own.
#[derive(Debug)]
pub(crate) struct OwnedPayload {
    pub(in crate::journal) class: Class,
    pub(in crate::journal) codec: Codec,
    pub(in crate::journal) shape: u64,
    pub(in crate::journal) bytes: Vec<u8>,
    /// For people.
    pub(crate) preview: String,
}

impl<'a> OutcomeFrame<'a> {
    pub(super) fn texts(&self) -> usize {
        self.call.texts() + self.failed.len() + self.metadata.len() + self.preview.len() + self.payload.bytes.len()
    }

    /// Whether its value must not be shown. In records of earlier versions a preview that stands for no value says so.
    pub(crate) fn is_sensitive(&self) -> bool {
        self.sensitive || self.preview == HIDDEN
    }

    pub(super) fn read(take: &mut Take<'a>) -> Result<Self, Malformed> {
        let call = CallFrame::read(take)?;
        let flags = take.u8()?;
        let outcome = OutcomeFrame {
            call,
            settled: flags & FLAG_SETTLED != 0,
            from_memo: flags & FLAG_FROM_MEMO != 0,
            sensitive: flags & FLAG_SENSITIVE != 0,
            message: if flags & FLAG_MESSAGE != 0 { Some(take.varint()?) } else { None },
            failed: if flags & FLAG_FAILED_TRIES != 0 { take.bytes()? } else { &[] },
            metadata: if flags & FLAG_METADATA != 0 { take.text()? } else { "" },
            tries: take.varint_u32()?,
            started_ms: take.varint()?,
            duration_us: take.varint()?,
            preview: take.text()?,
            payload: Payload::read(take)?,
        };
        // An index reads the flag alone.
        match outcome.payload.is_error() == (flags & FLAG_ERROR != 0) {
            true => Ok(outcome),
            false => Err(Malformed("an outcome that its flags contradict")),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.call.write(out);
        let settled = if self.settled { FLAG_SETTLED } else { 0 };
        let from_memo = if self.from_memo { FLAG_FROM_MEMO } else { 0 };
        // The flag repeats what the payload says, so that an index need not read the payload.
        let error = if self.payload.is_error() { FLAG_ERROR } else { 0 };
        let sensitive = if self.sensitive { FLAG_SENSITIVE } else { 0 };
        let message = if self.message.is_some() { FLAG_MESSAGE } else { 0 };
        let failed = if self.failed.is_empty() { 0 } else { FLAG_FAILED_TRIES };
        let metadata = if self.metadata.is_empty() { 0 } else { FLAG_METADATA };
        out.push(settled | from_memo | error | sensitive | message | failed | metadata);
        self.message.into_iter().for_each(|number| out.put_varint(number));
        if !self.failed.is_empty() {
            out.put_bytes(self.failed);
        }
        if !self.metadata.is_empty() {
            out.put_text(self.metadata);
        }
        out.put_varint(self.tries.into());
        out.put_varint(self.started_ms);
        out.put_varint(self.duration_us);
        out.put_text(self.preview);
        self.payload.write(out);
    }
}

impl<'a> EndFrame<'a> {
    pub(super) fn read(take: &mut Take<'a>) -> Result<Self, Malformed> {
        Ok(EndFrame {
            status: Status::from_code(take.u8()?).ok_or(Malformed("an unknown status"))?,
            attempt: take.varint_u32()?,
            ended_ms: take.varint()?,
            duration_us: take.varint()?,
            preview: take.text()?,
            payload: Payload::read(take)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.status.code());
        out.put_varint(self.attempt.into());
        out.put_varint(self.ended_ms);
        out.put_varint(self.duration_us);
        out.put_text(self.preview);
        self.payload.write(out);
    }
}

impl<'a> Payload<'a> {
    /// The payload of an outcome's frame, read without the rest.
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
        let flags = take.u8()?;
        if flags & FLAG_MESSAGE != 0 {
            take.varint()?;
        }
        for flag in [FLAG_FAILED_TRIES, FLAG_METADATA] {
            if flags & flag != 0 {
                take.bytes()?;
            }
        }
        for _ in 0..3 {
            take.varint()?;
        }
        take.bytes()?;
        Payload::read(&mut take)
    }

    /// Reads the rest of the bytes.
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

impl OwnedPayload {
    pub(crate) fn new(payload: &Payload<'_>, preview: &str) -> Self {
        let Payload { class, codec, shape, bytes } = *payload;
        OwnedPayload { class, codec, shape, bytes: bytes.to_vec(), preview: preview.to_owned() }
    }

    /// The error that it contains, if it is one, as far as that is known without its type.
    pub(crate) fn error(&self) -> Option<Error> {
        let payload = self.borrow();
        payload.is_error().then(|| payload.kitaru_error().unwrap_or_else(|| Error::msg(&self.preview)))
    }

    pub(crate) fn borrow(&self) -> Payload<'_> {
        Payload { class: self.class, codec: self.codec, shape: self.shape, bytes: &self.bytes }
    }
}
