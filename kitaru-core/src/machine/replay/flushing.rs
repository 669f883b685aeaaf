//! What the flow received that is not durable: errors that a later attempt would try again, times, changes of code that
//! it passed, values that it shows. Owns that these are collected until the driver sends them; must not know how.

use std::mem;

use super::Replay;
use crate::journal::NowFrame;
use crate::machine::exit::Unflushed;

impl Replay {
    /// What the flow received and what is not durable yet.
    pub(crate) fn flush(&mut self) -> Option<Unflushed> {
        if self.unflushed.is_empty() {
            return None;
        }
        self.flushing = true;
        Some(mem::take(&mut self.unflushed))
    }

    /// What was flushed is durable.
    pub(crate) fn flushed(&mut self) {
        self.flushing = false;
    }

    /// The time for the flow's next `now`: the recorded one, or `unix_ms`.
    pub(crate) fn now(&mut self, unix_ms: impl FnOnce() -> u64) -> u64 {
        let (occurrence, before) = self.claims.now();
        before.unwrap_or_else(|| {
            let unix_ms = unix_ms();
            self.has_news = true;
            self.unflushed.nows.push(NowFrame { occurrence, unix_ms });
            unix_ms
        })
    }

    /// Whether the execution passes a change of the flow's code with the new code.
    pub(crate) fn patched(&mut self, name: &str) -> bool {
        let (patched, new) = self.claims.patched(name);
        if new {
            self.unflushed.patches.push(name.to_owned());
        }
        patched
    }

    /// The flow showed a value.
    pub(crate) fn noted(&mut self) {
        self.unflushed.notes = true;
    }
}
