//! Which executions this process drives. Owns that each is driven once at a time; must not know how.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::active::{Active, Ended, Purpose, Reservation};
use crate::engine::control::begun_over;
use crate::engine::forget::cannot_retry;
use crate::engine::place::Uncalled;
use crate::engine::request::Request;
use crate::engine::sleepers::Cause;
use crate::engine::state::Engine;
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Ask, Header, Status};
use crate::ledger::Stored;
use crate::runtime::lock;

/// What a call finds in this process.
pub(super) enum Reserved {
    Mine(Arc<Active>, Reservation),
    Running(Arc<Active>),
}

impl Engine {
    /// Makes sure that an execution is driven once at a time.
    pub(super) fn reserve(
        &self,
        execution: &ExecutionId,
        request: &Request,
        uncalled: Option<&Uncalled>,
    ) -> Result<Reserved, Error> {
        let purpose = if request.ask == Ask::Resume { Purpose::Woken } else { Purpose::Asked };
        let mut active = lock(&self.active);
        let begin = |active: &mut HashMap<ExecutionId, Arc<Active>>| {
            let mine = Active::new(request.input_digest(), request.input.preview.clone());
            let reservation = mine.reserve(purpose);
            uncalled.into_iter().for_each(|woken| mine.miss(woken.journal, woken.cause));
            active.insert(execution.clone(), mine.clone());
            Ok(Reserved::Mine(mine, reservation))
        };
        let Some(running) = active.get(execution).cloned() else { return begin(&mut active) };
        // Whoever takes it over, or has it, may do nothing with it.
        uncalled.into_iter().for_each(|woken| running.miss(woken.journal, woken.cause));
        let is_parked = running.steering.is_parked();
        if request.ask == Ask::Retry {
            let status = if is_parked { Status::Waiting } else { Status::Running };
            return Err(cannot_retry(execution, Some(status)));
        }
        let (known, asked) = (running.input, request.input_digest());
        if request.ask != Ask::Fresh && known.is_some() && asked.is_some() && known != asked {
            return Err(other_input(execution, &running.input_preview, &request.input.preview));
        }
        let reserved = match (is_parked, purpose) {
            (true, _) => Some(running.reserve(purpose)),
            (false, Purpose::Asked) => running.take_over(),
            (false, Purpose::Woken) => None,
        };
        if reserved.is_none() && request.ask == Ask::Abandon {
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "cannot cancel execution {execution} without its undo: it runs in this process; cancel it with its undo"
                ),
            ));
        }
        match (reserved, request.ask) {
            (Some(_), Ask::Fresh) => {
                running.end(Ended::Fault(begun_over()));
                begin(&mut active)
            }
            (Some(reservation), _) => {
                running.steering.set_parked(false);
                Ok(Reserved::Mine(running, reservation))
            }
            (None, Ask::Fresh) => Err(Error::new(
                Kind::Conflict,
                format!("execution {execution} is running, so it cannot begin afresh; wait for it, or use another id"),
            )),
            (None, _) => Ok(Reserved::Running(running)),
        }
    }

    /// The active execution, if this process drives it.
    pub(crate) fn active(&self, execution: &ExecutionId) -> Option<Arc<Active>> {
        lock(&self.active).get(execution).filter(|active| !active.steering.is_parked()).cloned()
    }

    /// Leaves it to whoever has an execution reserved to wake it; false if nobody has.
    pub(crate) fn wakes_for_us(&self, execution: &ExecutionId, journal: JournalId, cause: Cause) -> bool {
        // Under the lock: who gives the reservation up finds this, or is found to have done so.
        let active = lock(&self.active);
        let reserved = active.get(execution).filter(|active| !active.steering.is_parked());
        reserved.inspect(|active| active.miss(journal, cause)).is_some()
    }

    /// Lets somebody wait for an execution that is parked.
    pub(crate) fn await_parked(&self, stored: &Stored) -> Arc<Active> {
        let Header { execution, input_digest, input_preview, .. } = &stored.header;
        let mut active = lock(&self.active);
        let known = active.entry(execution.clone()).or_insert_with(|| {
            let parked = Active::new(Some(*input_digest), input_preview.clone());
            parked.record(Ok(()));
            parked.steering.set_parked(true);
            parked
        });
        known.clone()
    }

    /// Somebody waits no longer: an execution that is parked is not kept for nobody.
    pub(crate) fn forget_parked(&self, execution: &ExecutionId) {
        let mut active = lock(&self.active);
        // The map's own is the last.
        if active.get(execution).is_some_and(|active| active.steering.is_parked() && Arc::strong_count(active) == 1) {
            active.remove(execution);
        }
    }

    /// The execution, whether it is in memory or somebody here waits for one that is parked.
    pub(crate) fn awaited(&self, execution: &ExecutionId) -> Option<Arc<Active>> {
        lock(&self.active).get(execution).cloned()
    }
}

pub(super) fn other_input(execution: &ExecutionId, recorded: &str, asked: &str) -> Error {
    Error::new(
        Kind::Conflict,
        format!(
            "execution {execution} has another input: it was called with ({recorded}) and is now called with ({asked}); \
             use another id, or begin it anew with .fresh(). Nothing has run"
        ),
    )
}
