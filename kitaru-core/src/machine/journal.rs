//! A journal in memory, as it was read. Owns the bytes of the records; must not know which of them still count.

use crate::id::Seq;
use crate::journal::{CallFrame, Class, EndFrame, Frame, Heading, Malformed, Opening, OutcomeFrame, Payload, Status};

/// The records of one generation in the order of their numbers, in one allocation.
#[derive(Default)]
pub(crate) struct Journal {
    bytes: Vec<u8>,
    records: Vec<StoredFrame>,
}

struct StoredFrame {
    seq: Seq,
    start: usize,
}

/// The place of a record in a [`Journal`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct RecordIx(u32);

impl Journal {
    /// Adds the next record. Numbers ascend.
    pub(crate) fn push(&mut self, seq: Seq, frame: &[u8]) {
        debug_assert!(self.records.last().is_none_or(|last| last.seq < seq));
        self.records.push(StoredFrame { seq, start: self.bytes.len() });
        self.bytes.extend_from_slice(frame);
    }

    /// The number that the next record gets.
    pub(crate) fn next(&self) -> Seq {
        Seq(self.records.last().map_or(1, |last| last.seq.0 + 1))
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn indices(&self) -> impl DoubleEndedIterator<Item = RecordIx> + use<> {
        (0..self.records.len() as u32).map(RecordIx)
    }

    /// The place of a record, if it is there.
    pub(crate) fn find(&self, seq: Seq) -> Option<RecordIx> {
        self.records.binary_search_by_key(&seq, |stored| stored.seq).ok().map(|nth| RecordIx(nth as u32))
    }

    /// The place of the first record after this number, or the place after the last record.
    pub(crate) fn behind(&self, seq: Seq) -> RecordIx {
        RecordIx(self.records.partition_point(|stored| stored.seq <= seq) as u32)
    }

    pub(crate) fn seq(&self, at: RecordIx) -> Seq {
        self.records[at.0 as usize].seq
    }

    pub(crate) fn frame(&self, at: RecordIx) -> Result<Frame<'_>, Malformed> {
        Frame::read(self.bytes(at))
    }

    pub(crate) fn heading(&self, at: RecordIx) -> Result<Heading<'_>, Malformed> {
        Heading::read(self.bytes(at))
    }

    /// The last attempt that left a lasting record with its number. An error that is not settled is not a lasting
    /// record: the next attempt tries it again.
    pub(crate) fn last_attempt(&self) -> Option<u32> {
        let mut is_settled = false;
        self.indices().rev().find_map(|at| match self.frame(at) {
            Ok(Frame::Outcome(outcome)) => {
                let lasts = is_settled || outcome.settled || !outcome.payload.is_error();
                lasts.then_some(outcome.call.attempt)
            }
            Ok(Frame::Intent(call)) => Some(call.attempt),
            Ok(Frame::Open(open)) => Some(open.call.attempt),
            Ok(Frame::End(end)) => Some(end.attempt),
            Ok(Frame::Settled(_)) => {
                is_settled = true;
                None
            }
            Ok(Frame::Now(_) | Frame::Patched(_) | Frame::Forgot(_) | Frame::Unwind(_)) | Err(_) => None,
        })
    }

    /// The last attempt that may have been cut off, of those up to this one; 0 if all of them ended.
    pub(crate) fn last_cut_off(&self, up_to: u32) -> u32 {
        let mut attempt = up_to;
        let mut ends = self.indices().rev().filter(|at| Frame::is_end(self.bytes(*at))).filter_map(|at| self.end(at));
        while attempt > 0
            && let Some(end) = ends.next()
        {
            // An execution whose attempts crashed too often is stuck, without another attempt.
            let is_given_up = end.status == Status::Stuck && end.duration_us == 0;
            if end.attempt < attempt || (end.attempt == attempt && is_given_up) {
                break;
            }
            if end.attempt == attempt {
                attempt -= 1;
            }
        }
        attempt
    }

    /// The number of the first record that an attempt behind this one left, as far as records say whose they are.
    pub(crate) fn first_behind(&self, attempt: u32) -> Seq {
        let mut first = self.next();
        for at in self.indices().rev() {
            match self.call(at).map(|call| call.attempt).or_else(|| self.end(at).map(|end| end.attempt)) {
                Some(by) if by > attempt => first = self.seq(at),
                Some(_) => break,
                None => {}
            }
        }
        first
    }

    /// The payload of the record, if it is a checkpoint's outcome.
    pub(crate) fn payload(&self, at: RecordIx) -> Result<Payload<'_>, Malformed> {
        Payload::of_outcome(self.bytes(at))
    }

    /// The size of the outcome, if the record is the error for an outcome over its bound.
    pub(crate) fn outgrown(&self, at: RecordIx) -> Option<u64> {
        let Payload { class, shape, .. } = self.payload(at).ok()?;
        (class == Class::Kitaru && shape > 0).then_some(shape)
    }

    /// The bytes of a record.
    pub(crate) fn bytes(&self, at: RecordIx) -> &[u8] {
        let nth = at.0 as usize;
        let end = self.records.get(nth + 1).map_or(self.bytes.len(), |next| next.start);
        &self.bytes[self.records[nth].start..end]
    }

    /// The record, if it is a checkpoint's outcome.
    pub(crate) fn outcome(&self, at: RecordIx) -> Option<OutcomeFrame<'_>> {
        match self.frame(at) {
            Ok(Frame::Outcome(outcome)) => Some(outcome),
            _ => None,
        }
    }

    /// What a wait waits for, if the record says that one has begun.
    pub(crate) fn opening(&self, at: RecordIx) -> Option<Opening> {
        match self.frame(at) {
            Ok(Frame::Open(open)) => Some(open.opening),
            _ => None,
        }
    }

    /// The result of the generation, if the record says that the flow ends early.
    pub(crate) fn unwind(&self, at: RecordIx) -> Option<EndFrame<'_>> {
        match self.frame(at) {
            Ok(Frame::Unwind(end)) => Some(end),
            _ => None,
        }
    }

    /// The end of an attempt, if the record is one.
    pub(crate) fn end(&self, at: RecordIx) -> Option<EndFrame<'_>> {
        match self.frame(at) {
            Ok(Frame::End(end)) => Some(end),
            _ => None,
        }
    }

    /// The status of the last attempt that ended.
    pub(crate) fn ended_with(&self) -> Option<Status> {
        let at = self.indices().rev().find(|at| Frame::is_end(self.bytes(*at)))?;
        self.end(at).map(|end| end.status)
    }

    /// The call that a record belongs to, if there is one.
    pub(crate) fn call(&self, at: RecordIx) -> Option<CallFrame<'_>> {
        match self.frame(at) {
            Ok(Frame::Outcome(outcome)) => Some(outcome.call),
            Ok(Frame::Intent(call)) => Some(call),
            Ok(Frame::Open(open)) => Some(open.call),
            _ => None,
        }
    }
}
