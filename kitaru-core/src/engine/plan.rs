//! What a task does with its execution. Owns what an attempt is loaded with; must not know how that is decided or carried out.

use std::sync::Arc;
use std::time::Duration;

use crate::context::{Message, Notes};
use crate::engine::active::Ended;
use crate::engine::forget;
use crate::error::{Error, Kind, cannot};
use crate::id::{JournalId, Seq};
use crate::journal::{Forgotten, Frame, Lineage, OwnedPayload, Status, Tally};
use crate::ledger::{Archive, ClaimedGeneration, Ledger, Loaded, malformed};
use crate::machine::{Ask, Journal, Replay};
use crate::request::Forget;

/// What a call of a flow does.
pub(crate) enum Plan {
    Ended(Ended),
    HeldBack(Hold),
    /// The execution becomes `Cancelled`, without an attempt.
    Cancel {
        claimed: Box<ClaimedGeneration>,
        next: Seq,
    },
    /// The execution resumes. Its attempt is counted before anything else is touched.
    Count {
        claimed: Box<ClaimedGeneration>,
        tally: Tally,
    },
    Cached {
        payload: Arc<OwnedPayload>,
        age: Duration,
    },
    Drive(AttemptPlan),
    /// The execution is deleted: all its generations, the oldest first.
    Delete(Vec<JournalId>),
}

/// What a further attempt continues from.
pub(crate) struct Resume {
    pub(super) claimed: ClaimedGeneration,
    pub(super) journal: Arc<Journal>,
    pub(super) replay: Replay,
    pub(super) mail: Vec<Message>,
    pub(super) notes: Notes,
    pub(super) deadline_ms: Option<u64>,
    pub(super) fork: Option<Lineage>,
    /// The records that a person wants forgotten: forgotten in this journal, and not yet in the store.
    pub(super) forgot: Vec<Forgotten>,
}

/// An attempt to drive.
pub(crate) enum AttemptPlan {
    New { generation: u32, cancelled: Option<Box<(ClaimedGeneration, Seq)>>, fresh: bool },
    Resume(Box<Resume>),
}

impl AttemptPlan {
    /// When the generation begins, if that is still to come.
    pub(crate) fn starts_at(&self, asked_ms: Option<u64>, now_ms: u64) -> Option<u64> {
        let start_ms = match self {
            AttemptPlan::New { .. } => asked_ms?,
            AttemptPlan::Resume(resume) if resume.claimed.stored.state.status == Status::Queued => {
                resume.claimed.stored.state.starts_ms()
            }
            AttemptPlan::Resume(_) => return None,
        };
        (start_ms > now_ms).then_some(start_ms)
    }
}

impl Plan {
    /// `cancelled` is the unfinished generation that the new one replaces.
    pub(crate) fn begin(
        archive: &Archive,
        generation: u32,
        cancelled: Option<ClaimedGeneration>,
        ask: Ask,
    ) -> Result<Self, Error> {
        let next = cancelled.as_ref().map(|claimed| archive.next_seq(&claimed.stored)).transpose()?;
        let cancelled = cancelled.zip(next);
        let cancelled = cancelled.map(Box::new);
        Ok(Plan::Drive(AttemptPlan::New { generation, cancelled, fresh: ask == Ask::Fresh }))
    }

    /// The execution ends without an attempt.
    pub(crate) fn cancel(archive: &Archive, claimed: ClaimedGeneration) -> Result<Self, Error> {
        let next = archive.next_seq(&claimed.stored)?;
        Ok(Plan::Cancel { claimed: Box::new(claimed), next })
    }

    /// `forget` names the records that no longer count.
    pub(crate) fn resume(
        ledger: &Ledger,
        claimed: ClaimedGeneration,
        ask: Ask,
        forget: &[Forget],
    ) -> Result<Self, Error> {
        let Loaded { mut journal, sent, notes, deadline_ms, fork } = ledger.load(&claimed)?;
        let execution = &claimed.stored.header.execution;
        let forgot = forget::find(&journal, forget, execution)?;
        for forgotten in &forgot {
            journal.push(journal.next(), &Frame::Forgot(*forgotten).write());
        }
        let journal = Arc::new(journal);
        let replay = Replay::new(journal.clone()).map_err(|why| malformed(execution, "journal", why))?;
        if !forgot.is_empty() && replay.unwound_by().is_some() {
            return Err(cannot!(
                Kind::Misuse,
                "forget records of execution {execution}",
                "its work was undone",
                "begin it again with .fresh()"
            ));
        }
        if ask == Ask::Resume
            && let Some(unwound) = replay.unwound_by()
            && forget::is_undone(&journal, unwound)
        {
            return Err(forget::undone(execution));
        }
        let mail = sent.into_iter().map(Message::from).collect();
        let notes = match forgot.is_empty() {
            true => notes.into_iter().map(|(kind, name, note)| (kind, name, note.nth)).collect(),
            // The replay may publish other values than before.
            false => Vec::new(),
        };
        let notes = Notes::new(notes);
        Ok(Plan::Drive(AttemptPlan::Resume(Box::new(Resume {
            claimed,
            journal,
            replay,
            mail,
            notes,
            deadline_ms,
            fork,
            forgot,
        }))))
    }
}

/// What happens to an execution whose attempts crash one after another without a lasting record.
pub(crate) enum Hold {
    Until { due_ms: u64, claimed: Box<ClaimedGeneration> },
    GivenUp { claimed: Box<ClaimedGeneration>, next: Seq, tally: Tally },
}
