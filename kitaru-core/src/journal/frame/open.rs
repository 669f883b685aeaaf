//! A wait that has begun. Owns what a record says of what is waited for.

use crate::journal::frame::CallFrame;
use crate::journal::wire::{Malformed, Put, Take};

#[derive(Debug, PartialEq)]
pub(crate) struct OpenFrame<'a> {
    pub(crate) call: CallFrame<'a>,
    pub(crate) opening: Opening,
}

/// What a wait waits for. A time of 0 never comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Opening {
    /// A time.
    Timer { due_ms: u64 },
    /// An answer, until a time.
    Answer { due_ms: u64 },
    /// The next event of a name.
    Event,
}

const TIMER: u8 = 0;
const ANSWER: u8 = 1;
const EVENT: u8 = 2;

impl Opening {
    pub(super) fn read(take: &mut Take<'_>) -> Result<Self, Malformed> {
        Ok(match take.u8()? {
            TIMER => Opening::Timer { due_ms: take.varint()? },
            ANSWER => Opening::Answer { due_ms: take.varint()? },
            EVENT => Opening::Event,
            _ => return Err(Malformed("a wait of an unknown kind")),
        })
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Opening::Timer { due_ms } => {
                out.push(TIMER);
                out.put_varint(due_ms);
            }
            Opening::Answer { due_ms } => {
                out.push(ANSWER);
                out.put_varint(due_ms);
            }
            Opening::Event => out.push(EVENT),
        }
    }
}
