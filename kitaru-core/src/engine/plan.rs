//! What a call of a flow does, of all that is recorded of it. Owns what becomes of an execution whose attempts die again and
//! again; must not know how that is carried out.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::context::{Mail, Notes};
use crate::engine::active::Ended;
use crate::engine::forget::{self, Forget};
use crate::error::{Error, Kind};
use crate::id::Seq;
use crate::journal::{Ask, Forgotten, Frame, OwnedPayload, Status, Tally, UndoRow};
use crate::ledger::{Archive, Listing, Stored, malformed, most_loaded_bytes};
use crate::log;
use crate::machine::{Journal, Replay, Verdict, died, dies_in_replay, last_chance, verdict};

/// What a call of a flow does.
pub(crate) enum Plan {
    Ended(Ended),
    HeldBack(Held),
    /// It becomes `Cancelled`, without an attempt.
    Cancel {
        stored: Box<Stored>,
        next: Seq,
    },
    /// It goes on, and its attempt is counted before anything of it is touched.
    Count {
        stored: Box<Stored>,
        tally: Tally,
    },
    Cached {
        payload: Arc<OwnedPayload>,
        age: Duration,
    },
    Drive(Work),
}

/// What a further attempt goes on with.
pub(crate) struct Resume {
    pub(super) stored: Stored,
    pub(super) journal: Arc<Journal>,
    pub(super) replay: Replay,
    pub(super) mail: Vec<Mail>,
    pub(super) notes: Notes,
    pub(super) deadline_ms: Option<u64>,
    /// What a person has had forgotten: records that are in the journal here, and not yet in the store.
    pub(super) forgot: Vec<Forgotten>,
}

/// An attempt that is to be driven.
pub(crate) enum Work {
    New { generation: u32, cancelled: Option<Box<(Stored, Seq)>>, fresh: bool },
    Resume(Box<Resume>),
}

impl Work {
    /// The time that the generation is to begin at, if that is not over.
    pub(crate) fn starts_at(&self, asked_ms: Option<u64>, now_ms: u64) -> Option<u64> {
        let start_ms = match self {
            Work::New { .. } => asked_ms?,
            Work::Resume(resume) if resume.stored.state.status == Status::Queued => resume.stored.state.wake_ms,
            Work::Resume(_) => return None,
        };
        (start_ms > now_ms).then_some(start_ms)
    }
}

impl Plan {
    /// `cancelled` is the unfinished generation that the new one is begun over.
    pub(crate) fn begin(
        archive: &Archive,
        generation: u32,
        cancelled: Option<Stored>,
        ask: Ask,
    ) -> Result<Self, Error> {
        let next = cancelled.as_ref().map(|stored| archive.next_seq(stored)).transpose()?;
        let cancelled = cancelled.zip(next);
        let cancelled = cancelled.map(Box::new);
        Ok(Plan::Drive(Work::New { generation, cancelled, fresh: ask == Ask::Fresh }))
    }

    /// It ends without an attempt.
    pub(crate) fn cancel(archive: &Archive, stored: Stored) -> Result<Self, Error> {
        let next = archive.next_seq(&stored)?;
        Ok(Plan::Cancel { stored: Box::new(stored), next })
    }

    /// `forget` says which records are to count no more.
    pub(crate) fn resume(
        archive: &Archive,
        stored: Stored,
        ask: Ask,
        forget: &[Forget],
        max_outcome_bytes: usize,
    ) -> Result<Self, Error> {
        let mut journal = archive.journal(&stored)?;
        let forgot = forget::find(&journal, forget, &stored.header.execution)?;
        for forgotten in &forgot {
            journal.push(journal.next(), &Frame::Forgot(*forgotten).write());
        }
        let journal = Arc::new(journal);
        let replay = Replay::new(journal.clone()).map_err(|why| malformed(&stored.header.execution, "journal", why))?;
        if !forgot.is_empty() && replay.unwound_by().is_some() {
            return Err(Error::new(
                Kind::Misuse,
                format!(
                    "what execution {} has done has been undone, so that nothing of it can be forgotten; begin it anew with \
                     .fresh()",
                    stored.header.execution
                ),
            ));
        }
        if ask == Ask::Retry
            && let Some(unwound) = replay.unwound_by()
            && forget::is_undone(&journal, unwound)
        {
            return Err(forget::undone(&stored.header.execution));
        }
        // Behind the journal: what a record has taken is there.
        let sent = archive.inbox(&stored, most_loaded_bytes(max_outcome_bytes))?;
        let mail = sent.into_iter().map(Mail::from).collect();
        let notes = match forgot.is_empty() {
            true => archive.notes(&stored)?.into_iter().map(|(kind, name, row)| (kind, name, row.nth)).collect(),
            // It may say other things than before.
            false => Vec::new(),
        };
        let notes = Notes::new(notes);
        let deadline_ms = archive.deadline(&stored)?;
        Ok(Plan::Drive(Work::Resume(Box::new(Resume { stored, journal, replay, mail, notes, deadline_ms, forgot }))))
    }
}

/// What becomes of an execution whose attempts die one after another without a lasting record of their own.
pub(crate) enum Held {
    Until { due_ms: u64, stored: Box<Stored> },
    GivenUp { stored: Box<Stored>, next: Seq, tally: Tally },
}

/// Who has an execution go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A person's program, which is not held back.
    Person,
    /// A flow that calls it.
    Parent,
    /// Nobody: its time has come, or something was sent to it.
    Nobody,
    /// Nobody: that was so when the store was opened.
    Opening,
}

/// How an execution goes on. `lives` says that its last attempt was of this process, and did not die.
pub(crate) fn plan(
    archive: &Archive,
    stored: Stored,
    lives: bool,
    caller: Caller,
    clock: &Clock,
    max_outcome_bytes: usize,
) -> Result<Plan, Error> {
    let (tally, now_ms) = (tally(&stored, lives), clock.steady_ms());
    if caller != Caller::Person {
        match verdict(tally, stored.state.updated_ms, now_ms) {
            Verdict::Begins => {}
            Verdict::Waits { due_ms } => {
                let wait = Duration::from_millis(due_ms.saturating_sub(now_ms));
                log::crash_loop(&stored.header.execution, tally.deaths, wait);
                return Ok(Plan::HeldBack(Held::Until { due_ms, stored: Box::new(stored) }));
            }
            Verdict::GivenUp => {
                let next = archive.next_seq(&stored)?;
                return Ok(Plan::HeldBack(Held::GivenUp { stored: Box::new(stored), next, tally }));
            }
        }
    }
    let may_have_died = match stored.state.status {
        Status::Running | Status::Interrupted => true,
        // It begins when the clock shows its time, which one that was set back does later.
        Status::Queued => stored.state.wake_ms <= clock.now_ms(),
        _ => false,
    };
    if may_have_died || caller == Caller::Opening {
        return Ok(Plan::Count { stored: Box::new(stored), tally });
    }
    Plan::resume(archive, stored, Ask::Resume, &[], max_outcome_bytes)
}

/// How an execution is cancelled: it is replayed to where it stopped, for what is to be undone. That is counted, too.
pub(crate) fn plan_to_undo(archive: &Archive, stored: Stored, lives: bool) -> Result<Plan, Error> {
    let tally = match stored.state.status {
        Status::Stuck if stored.state.listing == Listing::Off => match archive.undo(&stored)? {
            Some(UndoRow::DiesInReplay) => return Err(dies_when_cancelled(&stored)),
            // One more death, and it is known that a replay is no way out.
            Some(UndoRow::DiesInBodies) => last_chance(),
            Some(UndoRow::Skipped) | None => return Plan::cancel(archive, stored),
        },
        status if status.has_flow() || status == Status::Stuck => tally(&stored, lives),
        _ => return Plan::cancel(archive, stored),
    };
    if dies_in_replay(tally) {
        return Err(dies_when_cancelled(&stored));
    }
    Ok(Plan::Count { stored: Box::new(stored), tally })
}

fn dies_when_cancelled(stored: &Stored) -> Error {
    let execution = &stored.header.execution;
    Error::new(
        Kind::Stuck,
        format!(
            "cannot cancel execution {execution}: what undoes its work is found by a replay of its flow, and its last \
             attempts died in that; mend the flow's own code, or end it with .cancel(…).without_undo(), and undo by hand \
             what it has done"
        ),
    )
}

/// The deaths that count by now.
fn tally(stored: &Stored, lives: bool) -> Tally {
    let state = &stored.state;
    match state.status {
        // A generation that follows another one is there before its first attempt.
        Status::Running if state.attempts > 0 && !lives => died(state.tally),
        // It died when it was cancelled.
        Status::Failed | Status::Stuck if state.listing == Listing::Earlier && !lives => died(state.tally),
        Status::Running | Status::Interrupted => Tally { alone: false, replays: false, ..state.tally },
        _ => Tally::default(),
    }
}
