//! Attempts, as the writer knows them. Must not know what is appended.

use crate::error::Error;
use crate::id::Seq;
use crate::ledger::Appender;
use crate::store::Submitter;

/// Without a box or a table of its own: the writer's table calls the methods of the appender directly.
impl<A: Appender> Submitter for A {
    fn journal(&self) -> u64 {
        Appender::journal(self).0
    }

    fn number(&self) -> u64 {
        self.next().0
    }

    fn is_cut(&self) -> bool {
        Appender::is_cut(self)
    }

    fn landed(&self, token: u64, result: Result<u64, Error>) {
        Appender::landed(self, token, result.map(Seq));
    }
}
