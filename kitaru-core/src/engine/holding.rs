//! Executions whose attempts crash one after another: each pauses before its next attempt, or becomes stuck. Must not know when
//! an attempt counts as crashed.

use crate::engine::active::Ended;
use crate::engine::plan::Hold;
use crate::engine::task::Task;
use crate::error::{Error, Kind, cannot};
use crate::journal::{EndFrame, Frame, NotUndone, Packed, Status};
use crate::ledger::{ClaimedGeneration, UnattendedEnd};
use crate::log;
use crate::machine::Due;
use crate::runtime::Runtime;

/// Pauses an execution before its next attempt, or makes it stuck.
pub(crate) async fn hold_back(task: &Task, held: Hold) -> Ended {
    let runtime = &task.engine.runtime;
    let (claimed, next, tally) = match held {
        Hold::Until { due_ms, claimed } => {
            let journal = claimed.stored.journal;
            if let Err(fault) = begun_by_now(runtime, *claimed).await {
                return Ended::Fault(fault);
            }
            return Ended::Parked { due: Due::At(due_ms), journal };
        }
        Hold::GivenUp { claimed, next, tally } => (claimed, next, tally),
    };
    let execution = &task.execution;
    let (place_of_death, undo) = match tally.replays {
        true => ("before a body began, in its flow's own code", NotUndone::DiesInReplay),
        false => ("in a body that it began", NotUndone::DiesInBodies),
    };
    let deaths = tally.deaths;
    let error = cannot!(
        Kind::Stuck,
        "resume execution {execution}",
        "{deaths} attempts crashed, the last {place_of_death}",
        "fix that, then call Kitaru::resume or use .fresh()"
    );
    let packed = Packed::error(&error);
    let frame = Frame::End(EndFrame {
        status: Status::Stuck,
        attempt: claimed.stored.state.attempts,
        ended_ms: runtime.clock.now_ms(),
        duration_us: 0,
        preview: &packed.preview,
        payload: packed.payload(),
    })
    .write();
    let ending = UnattendedEnd { claimed, seq: next, status: Status::Stuck, frame, undo: Some(undo), audit: None };
    if let Err(fault) = runtime.ledger.end(ending).await {
        return Ended::Fault(fault);
    }
    log::gave_up(&error);
    Ended::Fault(error)
}

/// An attempt that began in the future, by a clock that was wrong, counts as begun now. Otherwise it would be held back again
/// and again.
async fn begun_by_now(runtime: &Runtime, claimed: ClaimedGeneration) -> Result<(), Error> {
    let (updated_ms, now_ms) = (claimed.stored.state.updated_ms, runtime.clock.steady_ms());
    if updated_ms <= now_ms {
        return Ok(());
    }
    runtime.ledger.restate(claimed, now_ms).await
}
