//! How far a flow has come in its journal. Must not know what follows from that.

use super::Replay;
use crate::id::Seq;
use crate::value::Key;

impl Replay {
    /// The highest number of a record that the flow has received.
    pub(crate) fn reached(&self) -> Seq {
        self.reached
    }

    /// Whether a call was made that asks for the record of this call.
    pub(crate) fn has_met(&mut self, key: Key, occurrence: u32) -> bool {
        self.claims.is_claimed(key, occurrence)
    }
}
