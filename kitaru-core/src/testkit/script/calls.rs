//! A call with a record, and a call that today's code made. Owns what is compared of the two.

use crate::id::Seq;
use crate::journal::Arg;
use crate::value::Key;

/// A call with a record.
pub(super) struct RecordedCall {
    pub(super) seq: Seq,
    pub(super) name: String,
    pub(super) checkpoint: String,
    pub(super) place: u32,
    pub(super) identity: Key,
    pub(super) args: Vec<Arg>,
}

/// A call that today's code made.
#[derive(Clone)]
pub(super) struct MadeCall {
    pub(super) name: String,
    pub(super) checkpoint: String,
    pub(super) location: String,
    pub(super) place: u32,
    pub(super) args: Vec<Arg>,
}
