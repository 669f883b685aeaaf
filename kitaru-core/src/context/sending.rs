//! The way of an attempt to the store and back. Owns which records and rows are sent, and the effect of an
//! acknowledgement; must not know when something is sent.

use std::sync::Arc;

use super::Context;
use super::ack::{Ack, Subject};
use crate::error::Error;
use crate::id::{JournalId, Seq};
use crate::journal::{Frame, Note, NoteKind, SettledFrame};
use crate::ledger::{Append, Appender, Change};
use crate::machine::{AttemptReport, Event, Exit, Progress, SlotId, Unflushed};

impl Context {
    /// Sends a call's outcome to the store.
    pub(crate) fn send_outcome(
        self: &Arc<Self>,
        slot: SlotId,
        frame: Vec<u8>,
        changes: Vec<Change>,
        progress: Progress,
    ) {
        let says = self.course.see(Event::Records(progress));
        self.submit(Subject::Outcome(slot), Some(frame), changes, says);
    }

    /// Tells the store, before the body of a call begins, that bodies of this attempt may run. The acknowledgement
    /// reaches the call as that of an intent does.
    pub(crate) fn send_announcement(self: &Arc<Self>, slot: SlotId) {
        let says = self.course.see(Event::BodiesBegin);
        self.submit(Subject::Intent(slot), None, Vec::new(), says);
    }

    pub(crate) fn send_intent(self: &Arc<Self>, slot: SlotId, frame: Vec<u8>, changes: Vec<Change>) {
        self.send(Subject::Intent(slot), Some(frame), changes);
    }

    /// Sends changes for which no call waits.
    pub(crate) fn send_aside(self: &Arc<Self>, changes: Vec<Change>) {
        self.send(Subject::Ahead, None, changes);
    }

    /// Sends a record for which no call waits. Every later submission, by any sender, lands behind it.
    pub(crate) fn send_ahead(self: &Arc<Self>, frame: Vec<u8>) {
        self.send(Subject::Ahead, Some(frame), Vec::new());
    }

    pub(crate) fn send_unflushed(self: &Arc<Self>, unflushed: Unflushed) {
        let nows = unflushed.nows.into_iter().map(Frame::Now);
        let patches = unflushed.patches.iter().map(|name| Frame::Patched(name));
        let errors = unflushed.errors;
        let settled = (!errors.is_empty()).then_some(Frame::Settled(SettledFrame { errors }));
        let mut frames: Vec<Vec<u8>> = nows.chain(patches).chain(settled).map(|frame| frame.write()).collect();
        // When the last one lands, all before it are durable: the writer keeps the order of one attempt's submissions.
        let last = frames.pop();
        for frame in frames {
            self.send(Subject::Ahead, Some(frame), Vec::new());
        }
        self.send(Subject::Flush, last, self.notes());
    }

    /// The flow shows a value, once what it has received is durable.
    pub(crate) fn note(&self, kind: NoteKind, name: &str, json: String) -> Result<(), Error> {
        let note = Note { nth: 0, updated_ms: self.runtime.clock.now_ms(), json };
        if self.notes.say(kind, name, note)? {
            self.replay().noted();
        }
        Ok(())
    }

    /// A body shows a value.
    pub(crate) fn note_at_once(self: &Arc<Self>, kind: NoteKind, name: &str, json: String) -> Result<(), Error> {
        let note = Note { nth: 0, updated_ms: self.runtime.clock.now_ms(), json };
        let note = self.notes.say_at_once(kind, name, note)?;
        self.send(Subject::Note, None, vec![Change::Shows { kind, name: name.to_owned(), note }]);
        Ok(())
    }

    /// The values that the flow showed and that are not on their way yet.
    pub(crate) fn notes(&self) -> Vec<Change> {
        self.notes.take().map(|(kind, name, note)| Change::Shows { kind, name, note }).collect()
    }

    /// The same for a flow that failed: the next attempt may show other values.
    pub(crate) fn last_notes(&self) -> Vec<Change> {
        self.notes.take_back().map(|(kind, name, note)| Change::Shows { kind, name, note }).collect()
    }

    pub(super) fn send(self: &Arc<Self>, subject: Subject, frame: Option<Vec<u8>>, changes: Vec<Change>) {
        let says = match frame {
            Some(_) => self.course.see(Event::Records(Progress::Made)),
            None => AttemptReport::Nothing,
        };
        self.submit(subject, frame, changes, says);
    }

    pub(super) fn submit(
        self: &Arc<Self>,
        subject: Subject,
        frame: Option<Vec<u8>>,
        mut changes: Vec<Change>,
        says: AttemptReport,
    ) {
        if self.course.is_said_with(says) {
            changes.push(self.running());
        }
        let token = Ack { subject, announces: says.announces(), proves: says.proves() }.to_bits();
        let append = Append { appender: self.clone(), token, changes, frame };
        if let Err(fault) = self.runtime.ledger.append(append) {
            self.tenure.cut();
            self.leave_with(Exit::Fault(fault));
        }
    }
}

impl Appender for Context {
    fn journal(&self) -> JournalId {
        self.tenure.journal()
    }

    fn next(&self) -> Seq {
        Seq(self.tenure.take())
    }

    fn is_cut(&self) -> bool {
        self.tenure.is_cut()
    }

    fn landed(&self, token: u64, result: Result<Seq, Error>) {
        let Ack { subject, announces, proves } = Ack::from_bits(token);
        let seq = match result {
            Ok(seq) => seq,
            Err(fault) => {
                self.tenure.cut();
                self.runtime.ledger.forget_shapes();
                return self.leave_with(Exit::Fault(fault));
            }
        };
        if announces || proves {
            self.course.see(Event::Lands);
        }
        if proves {
            self.release();
        }
        match subject {
            Subject::Ahead => return,
            Subject::Company => return self.release(),
            Subject::Note => return self.runtime.watchers.notify(&self.attempt.execution),
            Subject::Flush => {
                self.replay().flushed();
                self.runtime.watchers.notify(&self.attempt.execution);
            }
            Subject::Unwind => self.replay().unwind_at(seq),
            Subject::Intent(slot) => self.replay().intended(slot),
            Subject::Outcome(slot) => self.replay().landed(slot, seq),
        }
        self.wakeups.stir();
    }
}
