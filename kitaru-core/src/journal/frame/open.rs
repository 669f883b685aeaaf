//! A wait that has begun. Owns what a record says about it.

use crate::id::ExecutionId;
use crate::journal::frame::CallFrame;
use crate::journal::wire::{Malformed, Put, Take};

#[derive(Debug, PartialEq)]
pub(crate) struct OpenFrame<'a> {
    pub(crate) call: CallFrame<'a>,
    pub(crate) opening: Opening,
}

/// What a wait waits for. A time of 0 never comes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Opening {
    /// A time.
    Timer { due_ms: u64 },
    /// An answer, until a time.
    Answer { due_ms: u64 },
    /// The next signal of a name.
    Signal,
    /// The next try of a body that failed. The time for all tries counts from `begun_ms`. The tries are encoded by
    /// [`FailedTry`](super::FailedTry). `awaited` names the service that the body waits for, or is empty.
    Pause { due_ms: u64, begun_ms: u64, failures: u32, failed: Vec<u8>, awaited: String },
    /// The result of another execution, or its start.
    Execution(ExecutionId),
}

const TIMER: u8 = 0;
const ANSWER: u8 = 1;
const SIGNAL: u8 = 2;
const EXECUTION: u8 = 3;
const PAUSE: u8 = 4;
const AWAITING_PAUSE: u8 = 5;

impl Opening {
    pub(super) fn texts(&self) -> usize {
        match self {
            Opening::Execution(execution) => execution.flow.len() + execution.id.len(),
            Opening::Pause { failed, awaited, .. } => failed.len() + awaited.len(),
            Opening::Timer { .. } | Opening::Answer { .. } | Opening::Signal => 0,
        }
    }

    pub(super) fn read(take: &mut Take<'_>) -> Result<Self, Malformed> {
        Ok(match take.u8()? {
            TIMER => Opening::Timer { due_ms: take.varint()? },
            ANSWER => Opening::Answer { due_ms: take.varint()? },
            SIGNAL => Opening::Signal,
            EXECUTION => Opening::Execution(ExecutionId { flow: take.text()?.into(), id: take.text()?.into() }),
            tag @ (PAUSE | AWAITING_PAUSE) => Opening::Pause {
                due_ms: take.varint()?,
                begun_ms: take.varint()?,
                failures: take.varint_u32()?,
                failed: take.bytes()?.to_vec(),
                awaited: match tag {
                    PAUSE => String::new(),
                    _ => Some(take.text()?)
                        .filter(|awaited| !awaited.is_empty())
                        .ok_or(Malformed("a pause that awaits nothing"))?
                        .to_owned(),
                },
            },
            _ => return Err(Malformed("a wait of an unknown kind")),
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Opening::Timer { due_ms } => {
                out.push(TIMER);
                out.put_varint(*due_ms);
            }
            Opening::Answer { due_ms } => {
                out.push(ANSWER);
                out.put_varint(*due_ms);
            }
            Opening::Signal => out.push(SIGNAL),
            Opening::Pause { due_ms, begun_ms, failures, failed, awaited } => {
                out.push(if awaited.is_empty() { PAUSE } else { AWAITING_PAUSE });
                out.put_varint(*due_ms);
                out.put_varint(*begun_ms);
                out.put_varint((*failures).into());
                out.put_bytes(failed);
                if !awaited.is_empty() {
                    out.put_text(awaited);
                }
            }
            Opening::Execution(ExecutionId { flow, id }) => {
                out.push(EXECUTION);
                out.put_text(flow);
                out.put_text(id);
            }
        }
    }
}
