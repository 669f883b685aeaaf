//! A flow that goes no further: dropped for good, once it has seen what was recorded before, or for this attempt only. Owns how
//! far it goes; must not know what undoes it.

use super::Replay;
use crate::id::Seq;
use crate::machine::exit::{Exit, Unwinding};
use crate::machine::journal::RecordIx;

impl Replay {
    /// The flow is to go no further. Whether that is news.
    pub(crate) fn ask_unwind(&mut self) -> bool {
        let news = self.unwinding == Unwinding::No;
        if news {
            self.unwinding = Unwinding::Asked;
        }
        news
    }

    /// The attempt is at its end: that the flow is to go no further comes too late.
    pub(crate) fn seal(&mut self) {
        self.ask_unwind();
    }

    /// That the flow goes no further is durable, under this number.
    pub(crate) fn unwind_at(&mut self, seq: Seq) {
        self.unwinding = Unwinding::At(seq);
        self.has_news = true;
    }

    /// Whether the flow goes no further, or is not there any more.
    pub(crate) fn is_unwinding(&self) -> bool {
        self.unwinding != Unwinding::No
    }

    /// Whether the flow has been dropped, so that what is called now undoes.
    pub(crate) fn is_undoing(&self) -> bool {
        self.unwinding == Unwinding::Done
    }

    /// The record by which an earlier attempt ended the flow.
    pub(crate) fn unwound_by(&self) -> Option<RecordIx> {
        self.claims.unwind()
    }

    /// Takes back the reason to drop the flow.
    /// Whether that is done: a fault of the store is none that one can stay with.
    pub(crate) fn stay(&mut self) -> bool {
        if !matches!(self.exit, Some(Exit::Fault(_))) {
            self.exit = None;
        }
        self.exit.is_none()
    }

    /// The flow is to be dropped. The first reason stays.
    pub(crate) fn leave_with(&mut self, exit: Exit) {
        self.exit.get_or_insert(exit);
    }

    pub(crate) fn exit(&mut self) -> Option<Exit> {
        self.exit.clone()
    }
}
