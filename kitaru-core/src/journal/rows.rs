//! The rows about an execution besides its records: keys, header, state. Owns their layout; must not know when they
//! are written.

use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::FORMAT;
use crate::journal::frame::Payload;
use crate::journal::status::Status;
use crate::journal::wire::{Malformed, Put, Take};
use crate::value::{Codec, Key};

/// Everything about a generation that never changes. Written once, before or with its first record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) execution: ExecutionId,
    pub(crate) generation: u32,
    pub(crate) created_ms: u64,
    /// What `random` and `uuid` derive from.
    pub(crate) seed: [u8; 32],
    /// The flow's `version = "…"`, or empty.
    pub(crate) version: String,
    /// The fingerprint of the flow's source.
    pub(crate) source: u64,
    pub(crate) input_digest: Key,
    pub(crate) input_preview: String,
    pub(crate) input_codec: Codec,
    pub(crate) input_shape: u64,
    pub(crate) input: Vec<u8>,
}

/// The state of an unfinished generation. The row exists from its start, or from the first body of a further attempt,
/// to its end. The state of a finished generation is its last record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UnfinishedRow {
    pub(crate) status: Status,
    pub(crate) attempts: u32,
    pub(crate) updated_ms: u64,
    /// When a waiting one resumes automatically; 0 if it waits for something else.
    pub(crate) wake_ms: u64,
    pub(crate) tally: Tally,
}

/// Attempts that crashed one after another without a lasting record. While an attempt runs, this counts those before
/// it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many crashes count.
    pub(crate) deaths: u32,
    /// How many crashes do not count, because other executions began during the attempt.
    pub(crate) together: u32,
    /// The running attempt began alone, and nothing has begun since.
    pub(crate) alone: bool,
    /// The running attempt has reached no body of its own: it is being loaded, or its flow's code is replayed.
    pub(crate) replays: bool,
}

/// A result that other executions may use.
#[derive(Debug, PartialEq)]
pub(crate) struct MemoRow<'a> {
    pub(crate) recorded_ms: u64,
    pub(crate) preview: &'a str,
    pub(crate) payload: Payload<'a>,
}

impl Header {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160 + self.input.len() + self.input_preview.len());
        out.push(FORMAT);
        out.put_text(&self.execution.flow);
        out.put_text(&self.execution.id);
        out.put_varint(self.generation.into());
        out.put_u64(self.created_ms);
        out.extend_from_slice(&self.seed);
        out.put_text(&self.version);
        out.put_u64(self.source);
        out.extend_from_slice(&self.input_digest.0);
        out.put_text(&self.input_preview);
        out.push(self.input_codec as u8);
        out.put_u64(self.input_shape);
        out.extend_from_slice(&self.input);
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut take = versioned(bytes)?;
        Ok(Header {
            execution: ExecutionId { flow: take.text()?.into(), id: take.text()?.into() },
            generation: take.varint_u32()?,
            created_ms: take.u64()?,
            seed: take.array()?,
            version: take.text()?.to_owned(),
            source: take.u64()?,
            input_digest: Key(take.array()?),
            input_preview: take.text()?.to_owned(),
            input_codec: Codec::from_u8(take.u8()?).ok_or(Malformed("an unknown codec"))?,
            input_shape: take.u64()?,
            input: take.rest().to_vec(),
        })
    }
}

impl UnfinishedRow {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        out.push(FORMAT);
        out.push(self.status.code());
        out.put_varint(self.attempts.into());
        out.put_u64(self.updated_ms);
        let Tally { deaths, together, alone, replays } = self.tally;
        let has_tally = self.tally != Tally::default();
        if self.wake_ms > 0 || has_tally {
            out.put_varint(self.wake_ms);
        }
        if has_tally {
            out.put_varint(deaths.into());
            out.put_varint(together.into());
            out.push(u8::from(alone) | u8::from(replays) << 1);
        }
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut take = versioned(bytes)?;
        let row = UnfinishedRow {
            status: Status::from_code(take.u8()?).ok_or(Malformed("an unknown status"))?,
            attempts: take.varint_u32()?,
            updated_ms: take.u64()?,
            wake_ms: if take.0.is_empty() { 0 } else { take.varint()? },
            tally: if take.0.is_empty() { Tally::default() } else { Tally::read(&mut take)? },
        };
        take.end()?;
        Ok(row)
    }
}

impl Tally {
    fn read(take: &mut Take<'_>) -> Result<Self, Malformed> {
        let (deaths, together, marks) = (take.varint_u32()?, take.varint_u32()?, take.u8()?);
        let tally = Tally { deaths, together, alone: marks & 1 != 0, replays: marks & 2 != 0 };
        if marks > 3 || tally == Tally::default() { Err(Malformed("an unknown mark")) } else { Ok(tally) }
    }
}

impl<'a> MemoRow<'a> {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40 + self.preview.len() + self.payload.bytes.len());
        out.push(FORMAT);
        out.put_u64(self.recorded_ms);
        out.put_text(self.preview);
        self.payload.write(&mut out);
        out
    }

    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut take = versioned(bytes)?;
        Ok(MemoRow { recorded_ms: take.u64()?, preview: take.text()?, payload: Payload::read(&mut take)? })
    }
}

/// The bytes after the version of a row's layout.
pub(super) fn versioned(bytes: &[u8]) -> Result<Take<'_>, Malformed> {
    let mut take = Take(bytes);
    if take.u8()? > FORMAT { Err(Malformed("a row of a newer format")) } else { Ok(take) }
}

/// The key of a generation in the tables that have a row for each.
pub(crate) fn generation_key(journal: JournalId) -> [u8; 8] {
    journal.0.to_be_bytes()
}

/// The key of a record. Big endian, so that the order of keys is the order of records.
pub(crate) fn journal_key(journal: JournalId, seq: Seq) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&journal.0.to_be_bytes());
    key[8..].copy_from_slice(&seq.0.to_be_bytes());
    key
}

/// The first and the last key that a journal's records may have.
pub(crate) fn journal_range(journal: JournalId) -> ([u8; 16], [u8; 16]) {
    (journal_key(journal, Seq(0)), journal_key(journal, Seq(u64::MAX)))
}

/// The key under which a generation is found: flow, NUL (which no name contains), length of the id, id, generation.
pub(crate) fn name_key(execution: &ExecutionId, generation: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(execution.flow.len() + execution.id.len() + 7);
    key.extend_from_slice(execution.flow.as_bytes());
    key.push(0);
    // An id has at most `MAX_ID_BYTES`, which fit two bytes.
    key.extend_from_slice(&(execution.id.len() as u16).to_be_bytes());
    key.extend_from_slice(execution.id.as_bytes());
    key.extend_from_slice(&generation.to_be_bytes());
    key
}

/// The execution and the generation of such a key.
pub(crate) fn read_name_key(key: &[u8]) -> Option<(ExecutionId, u32)> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let nul = key.iter().position(|byte| *byte == 0)?;
    let mut take = Take(&key[nul + 1..]);
    let length = u16::from_be_bytes(take.array().ok()?);
    let id = take.raw(length.into()).ok()?;
    let generation = u32::from_be_bytes(take.array().ok()?);
    take.end().ok()?;
    Some((ExecutionId { flow: text(&key[..nul])?.into(), id: text(id)?.into() }, generation))
}

/// The keys of all generations of an execution.
pub(crate) fn name_range(execution: &ExecutionId) -> (Vec<u8>, Vec<u8>) {
    (name_key(execution, 0), name_key(execution, u32::MAX))
}

/// The first key of a flow's generations whose ids have this length and begin with this, and the first behind all of the flow's.
pub(crate) fn id_range(flow: &str, length: usize, prefix: &str) -> (Vec<u8>, Vec<u8>) {
    let mut first = Vec::with_capacity(flow.len() + prefix.len() + 3);
    first.extend_from_slice(flow.as_bytes());
    let end = [&first[..], &[1]].concat();
    first.push(0);
    first.extend_from_slice(&(length as u16).to_be_bytes());
    first.extend_from_slice(prefix.as_bytes());
    (first, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Class;

    #[test]
    fn every_row_comes_back_as_it_was_written() {
        let header = Header {
            execution: ExecutionId::new("report", "job-42").unwrap(),
            generation: 2,
            created_ms: 3,
            seed: [4; 32],
            version: "2".into(),
            source: 5,
            input_digest: Key([6; 16]),
            input_preview: "topic=\"tides\"".into(),
            input_codec: Codec::Bincode,
            input_shape: 7,
            input: vec![8, 9],
        };
        assert_eq!(Header::read(&header.write()), Ok(header));
        let none = Tally::default();
        let tally = Tally { deaths: 3, together: 1, alone: true, replays: true };
        for (wake_ms, tally) in [(0, none), (4, none), (0, tally), (4, tally), (0, Tally { replays: true, ..none })] {
            let unfinished = UnfinishedRow { status: Status::Waiting, attempts: 2, updated_ms: 3, wake_ms, tally };
            assert_eq!(UnfinishedRow::read(&unfinished.write()), Ok(unfinished));
        }
        let payload = Payload { class: Class::Value, codec: Codec::Bincode, shape: 7, bytes: b"x" };
        let memo = MemoRow { recorded_ms: 1, preview: "x", payload };
        assert_eq!(MemoRow::read(&memo.write()), Ok(memo));
    }

    #[test]
    fn unfinished_row_without_a_tally_reads_as_before_tallies() {
        let row = |wake_ms| UnfinishedRow {
            status: Status::Running,
            attempts: 2,
            updated_ms: 3,
            wake_ms,
            tally: Tally::default(),
        };
        let before = [1, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(row(0).write(), before);
        assert_eq!(row(4).write(), [&before[..], &[4]].concat());
        let tally = Tally { deaths: 5, together: 6, alone: false, replays: true };
        assert_eq!(UnfinishedRow { tally, ..row(0) }.write(), [&before[..], &[0, 5, 6, 2]].concat());
        for malformed in [&[0, 0, 0, 0][..], &[0, 5, 6, 4], &[0, 5, 6], &[0, 5, 6, 2, 0]] {
            assert!(UnfinishedRow::read(&[&before[..], malformed].concat()).is_err(), "{malformed:?}");
        }
    }

    #[test]
    fn the_generations_of_one_execution_never_mix_with_those_of_another() {
        let ids = ["a", "a\0", "a\0\0\0\0\u{1}", "aa", "b"].map(|id| ExecutionId::new("f", id).unwrap());
        for mine in &ids {
            let (first, last) = name_range(mine);
            for other in &ids {
                let key = name_key(other, 7);
                assert_eq!(first <= key && key <= last, mine == other, "{mine:?} {other:?}");
            }
        }
    }
}
