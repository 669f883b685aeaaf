//! What a call of a flow does: attach, continue, begin anew, give the recorded result, refuse. Owns the reservation of
//! an execution in this process; must not know how an attempt is driven.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tracing::{Instrument as _, Span};

use crate::engine::active::{Active, Ended, interrupted};
use crate::engine::attempt;
use crate::engine::control::{cancel_parked, cannot_cancel};
use crate::engine::entered::Entered;
use crate::engine::forget::{Forget, cannot_retry};
use crate::engine::found::{came_to, unknown};
use crate::engine::holding::hold_back;
use crate::engine::place::{Place, Uncalled};
use crate::engine::plan::{self, Caller, Plan};
use crate::engine::registry::{Reserved, other_input};
use crate::engine::request::{FlowBody, Request};
use crate::engine::sleepers::Cause;
use crate::engine::state::Engine;
use crate::engine::steering::Missed;
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Ask, Begin, Found, ParentRow, Reuse, Status, Tally, decide};
use crate::ledger::blocking;
use crate::log;
use crate::machine::Due;
use crate::runtime::lock;
use crate::value::Key;

impl Engine {
    /// Sees to it that the execution that a request stands for is driven. It may not be in the store yet.
    ///
    /// `uncalled` says that nobody has called it.
    pub(crate) fn launch(
        self: &Arc<Self>,
        request: Request,
        uncalled: Option<Uncalled>,
    ) -> Result<(ExecutionId, Arc<Active>), Error> {
        self.check_open()?;
        let id = request.id.clone().unwrap_or_else(|| request.input.digest.hex());
        let execution = ExecutionId::new(&request.spec.name, &id)?;
        let (active, reservation) = match self.reserve(&execution, &request, uncalled.as_ref())? {
            Reserved::Mine(active, reservation) => (active, reservation),
            Reserved::Running(running) => return Ok((execution, running)),
        };
        let place = Place {
            inner: self.clone(),
            execution: execution.clone(),
            active: active.clone(),
            reservation,
            gone: false,
            // Whoever wants it cancelled does not want it to go on.
            goes_on: matches!(request.body, FlowBody::Registered(_))
                && !matches!(request.ask, Ask::Cancel | Ask::Abandon),
            journal: Mutex::new(uncalled.as_ref().map(|uncalled| uncalled.journal)),
            runtime: None,
            uncalled,
        };
        // A task of its own: whoever called may go away.
        let task = self.keeper.drive(place.run(request).instrument(Span::current()));
        active.driven_by(reservation, task);
        Ok((execution, active))
    }
}

/// What a call wants to know of the store.
struct Look {
    ask: Ask,
    input: Key,
    preview: String,
    /// Whether the flow can begin from what is recorded.
    registered: bool,
    /// Which call of another flow's asks.
    parent: Option<ParentRow>,
    forget: Vec<Forget>,
}

impl Look {
    fn of(request: &Request) -> Self {
        Look {
            ask: request.ask,
            input: request.input.digest,
            preview: request.input.preview.clone(),
            registered: matches!(request.body, FlowBody::Registered(_)),
            parent: request.parent.clone(),
            forget: request.forget.clone(),
        }
    }
}

impl Place {
    async fn run(mut self, mut request: Request) {
        self.runtime = Handle::try_current().ok().map(|runtime| runtime.id());
        let ended = loop {
            let meta = match &request.body {
                FlowBody::Registered(meta) => Some(*meta),
                FlowBody::Own(_) => None,
            };
            let Some(ended) = self.attempt(request).await else {
                self.gone = true;
                let (inner, execution) = (self.inner.clone(), self.execution.clone());
                drop(self);
                // It may have been kept in memory for this one alone.
                return inner.forget_parked(&execution);
            };
            match (ended, meta) {
                (Ended::Restarted { journal, start_at_ms: None }, Some(meta)) => {
                    self.drives(journal);
                    request = Request::steering(&self.execution, Ask::Resume);
                    request.body = FlowBody::Registered(meta);
                }
                (Ended::Restarted { journal, start_at_ms }, _) => {
                    let due = start_at_ms.map_or(Due::Never, |start_ms| self.inner.starts(start_ms));
                    break Ended::Parked { due, journal };
                }
                (ended, _) => break ended,
            }
        };
        self.end(ended);
    }

    /// One try at the newest generation, if there is to be one. Nothing if another one has taken over meanwhile.
    async fn attempt(&self, request: Request) -> Option<Ended> {
        let plan = self.plan(Look::of(&request)).await;
        if !self.active.settle(self.reservation) {
            return None;
        }
        Some(self.carry_out(plan, request).await)
    }

    async fn carry_out(&self, plan: Result<Plan, Error>, request: Request) -> Ended {
        let ambiguous = request.spec.ambiguous;
        match plan {
            Err(error) => self.fails(error),
            Ok(Plan::Cached { payload, age }) => {
                self.active.record(Ok(()));
                log::flow_cached(&self.execution.flow, age, ambiguous);
                Ended::Outcome(payload)
            }
            Ok(Plan::Ended(ended)) => {
                self.active.record(Ok(()));
                ended
            }
            Ok(Plan::HeldBack(held)) => {
                self.active.record(Ok(()));
                hold_back(self, held).await
            }
            Ok(Plan::Cancel { stored, next }) => {
                self.active.record(Ok(()));
                cancel_parked(self, *stored, next).await
            }
            Ok(Plan::Count { stored, tally }) => attempt::count(self, request, *stored, tally).await,
            Ok(Plan::Drive(work)) => match work.starts_at(request.start_at_ms, self.inner.runtime.clock.now_ms()) {
                Some(start_ms) => attempt::queue(self, request, work, start_ms).await,
                None => match self.inner.admit(Tally::default()).await {
                    Ok(admission) => attempt::drive(Entered::new(self), request, work, admission).await,
                    Err(closed) => self.fails(closed),
                },
            },
        }
    }

    fn end(&mut self, ended: Ended) {
        // Those who watch look whether it has ended.
        self.inner.runtime.watchers.notify(&self.execution);
        if let Ended::Parked { due, journal } = ended {
            self.park(due, journal);
            if self.inner.is_closed() {
                // Behind that: whoever closes the store finds it parked, or it finds that.
                self.active.end(Ended::Fault(interrupted()));
                return;
            }
            match self.active.steering.missed() {
                Missed::Cancel => self.cancel_elsewhere(),
                Missed::Mail => self.inner.wake_soon(journal, Cause::Mail),
                Missed::Nothing => {}
            }
            return;
        }
        self.gone = true;
        self.leave();
        let journal = *lock(&self.journal);
        let is_store_fault = matches!(&ended, Ended::Fault(error) if error.is_store());
        if let Some(journal) = journal {
            let mut faults = lock(&self.inner.faults);
            let _ = match is_store_fault {
                true => faults.insert(journal),
                false => faults.remove(&journal),
            };
        }
        if let Some(journal) = journal.filter(|_| is_store_fault && self.goes_on) {
            self.inner.wake_after_fault(journal, Cause::Fault);
        }
        let left = self.active.steering.end();
        match is_store_fault {
            true => self.wakes_missed(left, |journal, cause| self.inner.wake_after_fault(journal, cause)),
            false if journal.is_none() => {
                self.wakes_missed(left, |journal, cause| self.inner.wake_soon(journal, cause))
            }
            false => {}
        }
        self.active.end(ended);
        self.active.waiters().iter().for_each(|parent| self.inner.tell_parent(parent));
    }

    /// This call has not driven the execution, which waits as before: whatever has come since the call reserved it wakes it
    /// now. `left` is the generation that something was sent to.
    fn wakes_missed(&self, left: Option<JournalId>, wake: impl Fn(JournalId, Cause)) {
        let left = left.map(|journal| (journal, Cause::Mail));
        let missed = self.active.take_missed().into_iter().chain(left);
        missed.filter(|_| !self.inner.is_closed()).for_each(|(journal, cause)| wake(journal, cause));
    }

    /// Looks for the execution and decides what the call does about it.
    async fn plan(&self, look: Look) -> Result<Plan, Error> {
        // Behind the reservation: whoever closes the store finds it, or it finds that.
        self.inner.check_open()?;
        let inner = self.inner.clone();
        let execution = self.execution.clone();
        let active = self.active.clone();
        // By a person's program, as opposed to a flow or nobody.
        let caller = match &self.uncalled {
            Some(uncalled) if uncalled.cause == Cause::Opening => Caller::Opening,
            Some(_) => Caller::Nobody,
            None if look.parent.is_some() => Caller::Parent,
            None => Caller::Person,
        };
        if lock(&inner.left).remove(&execution) {
            // What an attempt of this process left on its way to the store is to be there before it is read.
            inner.runtime.ledger.settle().await?;
        }
        blocking(move || {
            let archive = &inner.runtime.archive;
            let (now_ms, bound) = (inner.runtime.clock.now_ms(), inner.runtime.max_outcome_bytes);
            let stored = archive.newest(&execution)?;
            let found = stored.as_ref().map(|stored| Found {
                generation: stored.header.generation,
                status: match stored.state.status {
                    // Reserved by this call, so nobody else drives it.
                    Status::Running => Status::Interrupted,
                    status => status,
                },
                updated_ms: stored.state.updated_ms,
                same_input: stored.header.input_digest == look.input,
            });
            let parent = stored.as_ref().map(|stored| archive.parent(stored)).transpose()?.flatten();
            let is_own = look.parent.as_ref().zip(parent.as_ref()).is_some_and(|(own, parent)| own.call == parent.call);
            let ask = match look.ask {
                Ask::Outcome => Ask::Outcome,
                // Begun by this very call, in an earlier attempt of its parent's.
                _ if is_own => Ask::Reuse(Reuse::Always),
                ask => ask,
            };
            let begin = decide(found.as_ref(), ask, now_ms);
            if let Begin::New { .. } = begin {
                look.parent.into_iter().for_each(|parent| active.add_waiter(parent));
            }
            // Whoever waited for a generation that has ended has been told.
            if let Some(stored) = stored.as_ref().filter(|_| !matches!(begin, Begin::New { cancels: false, .. })) {
                archive.waiters(stored)?.into_iter().for_each(|parent| active.add_waiter(parent));
            }
            match (begin, stored) {
                (Begin::New { generation, .. }, None) => {
                    // Above what was deleted, which may have been of this very job.
                    let deleted = inner.runtime.ledger.deleted_generation();
                    Plan::begin(archive, generation.saturating_add(deleted), None, look.ask)
                }
                (Begin::New { generation, cancels }, stored) => {
                    Plan::begin(archive, generation, stored.filter(|_| cancels), look.ask)
                }
                (Begin::Continue, Some(stored)) if look.ask == Ask::Retry => {
                    Plan::resume(archive, stored, look.ask, &look.forget, bound)
                }
                (Begin::Continue, Some(stored)) => {
                    let lives = lock(&inner.faults).contains(&stored.journal);
                    plan::plan(archive, stored, lives, caller, &inner.runtime.clock, bound)
                }
                (Begin::Nothing, stored) if look.ask == Ask::Retry => {
                    Err(cannot_retry(&execution, stored.map(|stored| stored.state.status)))
                }
                (Begin::Nothing, stored) if matches!(look.ask, Ask::Cancel | Ask::Abandon) => {
                    Err(cannot_cancel(&execution, stored.as_ref()))
                }
                (Begin::Nothing, stored) => {
                    let ended = stored.map(|stored| came_to(archive, &stored)).transpose()?.flatten();
                    ended.map(Plan::Ended).ok_or_else(|| unknown(&execution))
                }
                (Begin::Cancel, Some(stored)) if look.registered && look.ask == Ask::Cancel => {
                    let lives = lock(&inner.faults).contains(&stored.journal);
                    plan::plan_to_undo(archive, stored, lives)
                }
                (Begin::Cancel, Some(stored)) => Plan::cancel(archive, stored),
                (Begin::Cached { age_ms }, Some(stored)) => {
                    let payload = archive.outcome(&stored)?;
                    Ok(Plan::Cached { payload: Arc::new(payload), age: Duration::from_millis(age_ms) })
                }
                (Begin::OtherInput, Some(stored)) => {
                    Err(other_input(&execution, &stored.header.input_preview, &look.preview))
                }
                (Begin::Cancelled, _) => Err(Error::new(
                    Kind::Cancelled,
                    format!("execution {execution} was cancelled; begin it anew with .fresh(), or use another id"),
                )),
                (Begin::Stuck, Some(stored)) => {
                    Err(Error::new(Kind::Stuck, format!("execution {execution} is stuck: {}", stored.state.reason)))
                }
                (_, None) => unreachable!("only what was found is continued, reused or refused"),
            }
        })
        .await?
    }

    /// The flow is out of memory. Whoever waits for it goes on waiting.
    fn park(&mut self, due: Due, journal: JournalId) {
        self.gone = true;
        let mut active = lock(&self.inner.active);
        // Under the lock: whoever wakes it finds it parked, and its time there to be forgotten.
        if let Due::At(due_ms) = due {
            self.inner.wake_at(due_ms, journal);
        }
        drop(self.active.take_missed());
        // The map's and this one.
        if Arc::strong_count(&self.active) > 2 {
            self.active.steering.set_parked(true);
        } else {
            active.remove(&self.execution);
        }
    }

    /// A cancellation has missed the attempt. Whoever waits for it is told by the active.
    fn cancel_elsewhere(&self) {
        let (inner, execution) = (self.inner.clone(), self.execution.clone());
        self.inner.keeper.spawn(async move { drop(inner.cancel(execution).await) });
    }

    /// Its runtime has come to its end: the execution goes on elsewhere, if it can. Whoever waits for it waits on.
    fn go_on_elsewhere(&mut self) -> bool {
        // A mistake of ours would go on for ever.
        let can = self.goes_on && !self.inner.is_closed() && !std::thread::panicking();
        let Some(journal) = lock(&self.journal).filter(|_| can) else { return false };
        if !self.inner.keeper.outlives(self.runtime) {
            return false;
        }
        // It did not die.
        lock(&self.inner.faults).insert(journal);
        self.active.steering.lose();
        self.park(Due::Never, journal);
        if self.inner.is_closed() {
            // Behind that: whoever closes the store finds it parked, or it finds that.
            self.active.end(Ended::Fault(interrupted()));
            return true;
        }
        log::flow_left_by_its_runtime(&self.execution);
        match self.active.steering.missed() {
            Missed::Cancel => self.cancel_elsewhere(),
            Missed::Mail | Missed::Nothing => self.inner.wake_elsewhere(journal),
        }
        true
    }

    /// The execution may be called again.
    fn leave(&self) {
        let mut active = lock(&self.inner.active);
        if active.get(&self.execution).is_some_and(|mine| Arc::ptr_eq(mine, &self.active)) {
            active.remove(&self.execution);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.gone || !self.active.settle(self.reservation) {
            return;
        }
        // The task was aborted, or its runtime is going down.
        if self.go_on_elsewhere() {
            return;
        }
        match self.inner.is_closed() {
            true => log::flow_cut_off(&self.execution),
            false => log::flow_dropped(&self.execution),
        }
        self.leave();
        self.active.record(Err(interrupted()));
        let left = self.active.steering.end();
        if lock(&self.journal).is_none() {
            self.wakes_missed(left, |journal, cause| self.inner.wake_soon(journal, cause));
        }
        self.active.end(Ended::Fault(interrupted()));
    }
}
