//! A flow that ends early: dropped for good once it received what was recorded before, or dropped for this attempt
//! only. Owns how far it continues; must not know what undoes it.

use super::Replay;
use crate::id::Seq;
use crate::machine::exit::{Exit, Unwinding};
use crate::machine::journal::RecordIx;

impl Replay {
    /// The flow is to end early. Returns whether that is new.
    pub(crate) fn ask_unwind(&mut self) -> bool {
        let news = self.unwinding == Unwinding::No;
        if news {
            self.unwinding = Unwinding::Asked;
        }
        news
    }

    /// The attempt has ended: a request to end the flow early now arrives too late.
    pub(crate) fn seal(&mut self) {
        self.ask_unwind();
    }

    /// The record that the flow ends early is durable, under this number.
    pub(crate) fn unwind_at(&mut self, seq: Seq) {
        self.unwinding = Unwinding::At(seq);
        self.has_news = true;
    }

    /// Whether the flow ends early, or has ended.
    pub(crate) fn is_unwinding(&self) -> bool {
        self.unwinding != Unwinding::No
    }

    /// Whether the flow has been dropped, so that calls are made by undo steps.
    pub(crate) fn is_undoing(&self) -> bool {
        self.unwinding == Unwinding::Done
    }

    /// The record by which an earlier attempt ended the flow.
    pub(crate) fn unwound_by(&self) -> Option<RecordIx> {
        self.claims.unwind()
    }

    /// Withdraws the reason to drop the flow. False if the flow cannot stay, because of a fault of the store.
    pub(crate) fn stay(&mut self) -> bool {
        if !matches!(self.exit, Some(Exit::Fault(_))) {
            self.exit = None;
        }
        self.exit.is_none()
    }

    /// The flow must be dropped. The first reason stays.
    pub(crate) fn leave_with(&mut self, exit: Exit) {
        self.exit.get_or_insert(exit);
    }

    pub(crate) fn exit(&mut self) -> Option<Exit> {
        self.exit.clone()
    }
}
