//! The search for executions that were unfinished when the store was opened. Owns which of them resume, and that a fault does not
//! end it; must not know how one resumes.

use std::collections::VecDeque;

use crate::clock::Clock;
use crate::error::Error;
use crate::id::JournalId;
use crate::journal::Status;
use crate::ledger::embedded::Archive;
use crate::ledger::{AFTER_FAULT, Stored, blocking};
use crate::machine::Due;

/// How many rows are read at a time.
const PAGE: usize = 256;

/// The flows that this process drives.
pub(crate) type Drives = Box<dyn FnMut(&str) -> bool + Send>;

pub(super) struct Search {
    archive: Archive,
    clock: Clock,
    drives: Drives,
    /// The first generation that this process may begin.
    own: JournalId,
    /// The last generation that was read; `None` once there are no more.
    after: Option<JournalId>,
    /// Those whose rows could not be read.
    unread: VecDeque<JournalId>,
    /// It pauses until then, in steady time.
    pub(super) until_ms: u64,
}

/// What was found.
pub(super) enum Unfinished {
    /// A generation that resumes now.
    Now(JournalId),
    /// One that resumes at a time, which is steady.
    Later(JournalId, u64),
    /// A row that could not be read. It is read again, once.
    Unread(Error),
}

impl Search {
    /// `own` is the first generation that this process may begin: no other one writes to the store, so what is unfinished below
    /// it was left by a process that is gone.
    pub(super) fn new(archive: Archive, clock: Clock, own: JournalId, drives: Drives) -> Self {
        Search { archive, clock, drives, own, after: Some(JournalId(0)), unread: VecDeque::new(), until_ms: 0 }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.until_ms > self.clock.steady_ms()
    }

    /// Looks a little further. `None` once everything was read.
    pub(super) async fn look(&mut self) -> Option<Vec<Unfinished>> {
        match self.after {
            Some(after) => Some(self.page(after).await),
            None => self.read_again().await,
        }
    }

    async fn page(&mut self, after: JournalId) -> Vec<Unfinished> {
        let (archive, own) = (self.archive.clone(), self.own);
        let page = match blocking(move || archive.unfinished(after, own, PAGE)).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) | Err(error) => {
                self.pause();
                return vec![Unfinished::Unread(error)];
            }
        };
        self.after = page.last;
        let mut found: Vec<_> =
            page.found.iter().filter_map(|(stored, has_mail)| self.found(stored, *has_mail)).collect();
        // The others still resume.
        for unread in page.unread {
            self.unread.push_back(unread.journal);
            found.push(Unfinished::Unread(unread.error));
        }
        if page.last.is_none() && !self.unread.is_empty() {
            self.pause();
        }
        found
    }

    /// A row that is damaged stays so; a disk that failed may have recovered.
    async fn read_again(&mut self) -> Option<Vec<Unfinished>> {
        let journal = self.unread.pop_front()?;
        let archive = self.archive.clone();
        Some(match blocking(move || archive.stored(journal)).await {
            Ok(Ok(stored)) => stored.and_then(|stored| self.found(&stored, true)).into_iter().collect(),
            Ok(Err(error)) | Err(error) => vec![Unfinished::Unread(error)],
        })
    }

    fn pause(&mut self) {
        self.until_ms = self.clock.due_ms(AFTER_FAULT);
    }

    /// When a generation resumes, if it does. `has_mail` says that it waits, and that something was sent to it.
    fn found(&mut self, stored: &Stored, has_mail: bool) -> Option<Unfinished> {
        if !(self.drives)(&stored.header.execution.flow) {
            return None;
        }
        let (journal, state) = (stored.journal, &stored.state);
        match state.status {
            // The process may have crashed after that was durable and before it acted on it. Only a replay finds out: a flow
            // that has taken all its mail is parked again.
            Status::Waiting if has_mail => Some(Unfinished::Now(journal)),
            Status::Waiting => match state.due {
                Due::Never => None,
                Due::At(due_ms) if due_ms > self.clock.steady_ms() => Some(Unfinished::Later(journal, due_ms)),
                // The result of the other execution may have landed without a notification.
                Due::At(_) | Due::Execution => Some(Unfinished::Now(journal)),
            },
            Status::Queued if state.starts_ms() > self.clock.now_ms() => {
                Some(Unfinished::Later(journal, self.clock.steady_when_shown(state.starts_ms())))
            }
            Status::Queued | Status::Running | Status::Interrupted => Some(Unfinished::Now(journal)),
            Status::Completed | Status::Failed | Status::Cancelled | Status::Stuck | Status::ContinuedAsNew => None,
        }
    }
}
