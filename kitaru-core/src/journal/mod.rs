//! What is written of an execution, and how. Owns the bytes of rows and records and the status that follows from them.
//! Must not know where rows are kept, nor what decides to write them.
//!
//! `docs/format.md` describes every byte.

mod aside;
mod audit;
mod fork;
mod frame;
mod index;
mod packed;
mod rows;
mod status;
mod wire;

pub(crate) use aside::{
    About, Aside, Asks, MailRow, NotUndone, Note, NoteKind, ParentCall, WaitRow, aside_key, aside_name, aside_range,
    asked_text, read_tag, sent_name, write_tag,
};
pub use audit::AuditAction;
pub(crate) use audit::AuditLine;
pub(crate) use fork::{ForkWay, Lineage, Original};
pub(crate) use frame::{
    Arg, CallFrame, CallHeading, CallKind, Class, EndFrame, FailedTryFrame, Forgotten, Frame, Heading, NowFrame,
    OpenFrame, Opening, OutcomeFrame, OwnedPayload, Payload, SIGNAL_CHECKPOINT, SettledFrame, shown_checkpoint,
    visible_name,
};
pub(crate) use index::{IndexPrefix, Indexed};
pub(crate) use packed::{PREVIEW_BYTES, Packed, preview_error};
pub(crate) use rows::{
    Header, MemoRow, Tally, UnfinishedRow, generation_key, id_range, journal_key, journal_range, name_key, name_range,
    read_name_key,
};
pub use status::Status;
pub(crate) use wire::{Malformed, Put, Take};

use crate::id::ExecutionId;
use crate::value::{Key, digest_parts};

/// What identifies a call of a generation, the same on every attempt.
pub(crate) fn call_identity(execution: &ExecutionId, generation: u32, key: Key, occurrence: u32) -> Key {
    digest_parts(&[
        execution.flow.as_bytes(),
        execution.id.as_bytes(),
        &generation.to_le_bytes(),
        &key.0,
        &occurrence.to_le_bytes(),
    ])
}

/// The version of the rows and frames that this build writes. It reads every version up to this one.
pub(crate) const FORMAT: u8 = 1;
