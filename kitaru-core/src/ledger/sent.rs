//! What was sent to an execution. Must not know who takes it.

use crate::value::Key;

/// Something that was sent to an execution, and is durable.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    Signal {
        number: u64,
        name: String,
        json: String,
    },
    /// If a fork took it over, it answers only a question of this digest.
    Answer {
        wait: Addressee,
        json: String,
        question: Option<Key>,
    },
}

/// Which wait an answer is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Addressee {
    /// The one with this identity, and no other of any name.
    Wait(Key),
    /// The one that opens first under this visible name: the answer came before it.
    Named(String),
}

/// Which of what was sent to a generation.
pub(crate) enum SentKey {
    Signal(u64),
    /// By the visible name of the wait.
    Answer(String),
}
