//! The loop of one execution: a task plans, carries out the plan, and continues until the execution ends or is parked. Owns who
//! holds the seat of an execution; must not know how an attempt is driven.

use std::sync::Arc;

use tokio::runtime::Handle;
use tracing::{Instrument as _, Span};

use crate::engine::active::{Active, Awaited, CallerView, Ended, interrupted};
use crate::engine::attempt;
use crate::engine::control::{begun_over, cancel_parked};
use crate::engine::deletion::{cannot_delete, delete};
use crate::engine::entered::Entered;
use crate::engine::forget::cannot_resume;
use crate::engine::holding::hold_back;
use crate::engine::plan::Plan;
use crate::engine::planning::{self, PlanInput};
use crate::engine::registry::Seating;
use crate::engine::state::Engine;
use crate::engine::task::{Task, Wakeup};
use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Status, Tally};
use crate::ledger::Stored;
use crate::log;
use crate::machine::{Ask, Cause, Due, LossEffect, ParkEffect, SeatCall, TaskId, Wakes};
use crate::request::{FlowBody, Request};

/// A request on its way.
pub(crate) struct Launched {
    engine: Arc<Engine>,
    execution: ExecutionId,
    awaited: Awaited,
    /// The request, if another one has the seat of its execution, and may be refused.
    behind: Option<LaunchedBehind>,
}

struct LaunchedBehind {
    request: Box<Request>,
    /// Whether its input is another than that of the request before it, of which it is not known whether it is the recorded one.
    differs: bool,
}

impl Launched {
    /// Waits until the request has an execution that it may wait for. A request that was refused refuses none behind it.
    pub(crate) async fn settled(self) -> Result<(ExecutionId, Awaited), Error> {
        let mut launched = self;
        while let Some(LaunchedBehind { request, differs }) = launched.behind.take() {
            if !launched.awaited.is_refused().await && !differs {
                break;
            }
            launched = launched.engine.launch(*request)?;
        }
        Ok((launched.execution, launched.awaited))
    }
}

impl Engine {
    /// Makes sure that a task drives the execution of a request. The execution may not be in the store yet.
    pub(crate) fn launch(self: &Arc<Self>, request: Request) -> Result<Launched, Error> {
        self.check_open()?;
        let id = request.id.clone().unwrap_or_else(|| request.input.digest.hex());
        let execution = ExecutionId::new(&request.spec.name, &id)?;
        let (call, input) = (call(request.ask), request.input_digest());
        let mut differs = false;
        let admits = |known: &CallerView| match (known.input, input) {
            _ if request.ask == Ask::Fork => Err(planning::id_taken(&execution)),
            (Some(known), Some(asked)) if known == asked || request.ask == Ask::Fresh => Ok(()),
            (Some(_), Some(_)) if !known.knows_input() => {
                differs = true;
                Ok(())
            }
            (Some(_), Some(_)) => Err(planning::other_input(&execution, &known.input_preview, &request.input.preview)),
            _ => Ok(()),
        };
        let learns = || CallerView::new(input, request.input.preview.clone());
        let (awaited, behind) = match self.registry.call(&execution, call, admits, learns)? {
            Seating::Driven(active) => {
                let is_behind = differs || !active.is_under_way();
                let behind = is_behind.then(|| LaunchedBehind { request: Box::new(request), differs });
                (self.registry.joins(&execution, &active), behind)
            }
            Seating::Refused { is_parked: true } if request.ask == Ask::Delete => {
                return Err(cannot_delete(&execution, Some(Status::Waiting)));
            }
            Seating::Refused { .. } if request.ask == Ask::Delete => {
                return Err(cannot!(
                    Kind::Misuse,
                    "delete execution {execution}",
                    "it runs, or a call of it is under way",
                    "wait for it, or cancel it first"
                ));
            }
            Seating::Refused { is_parked } => return Err(refused(&execution, call, is_parked)),
            Seating::Seat { seated, task, replaces } => {
                if let Some(older) = replaces {
                    older.end(Ended::Fault(begun_over(&execution)));
                }
                let awaited = self.registry.joins(&execution, &seated);
                self.drive(&execution, (seated, task), request, None);
                (awaited, None)
            }
        };
        Ok(Launched { engine: self.clone(), execution, awaited, behind })
    }

    /// Resumes an execution without a caller, if no task drives it. A task that drives it receives the wake-up.
    pub(super) fn launch_woken(self: &Arc<Self>, stored: &Stored, request: Request, wakeup: Wakeup) {
        let execution = &stored.header.execution;
        let wakes = (stored.journal, wakeup.cause);
        let Some(seat) = self.registry.wake(execution, wakes, || CallerView::of(stored)) else { return };
        self.drive(execution, seat, request, Some(wakeup));
    }

    fn drive(
        self: &Arc<Self>,
        execution: &ExecutionId,
        (active, id): (Arc<Active>, TaskId),
        request: Request,
        wakeup: Option<Wakeup>,
    ) {
        if matches!(request.ask, Ask::Cancel | Ask::Abandon) {
            active.cancelled_by(request.by.clone());
        }
        let task = Task {
            engine: self.clone(),
            execution: execution.clone(),
            active: active.clone(),
            id,
            // A caller that cancels or deletes an execution does not want it to resume.
            resumes: matches!(request.body, FlowBody::Registered(_))
                && !matches!(request.ask, Ask::Cancel | Ask::Abandon | Ask::Delete),
            runtime: None,
            wakeup,
        };
        // A separate task: the caller may go away.
        let handle = self.keeper.drive(task.run(request).instrument(Span::current()));
        active.driven_by(id, handle);
    }
}

/// What a request means to the seat of its execution.
fn call(ask: Ask) -> SeatCall {
    match ask {
        Ask::Reuse(_) | Ask::Outcome | Ask::Recover | Ask::Cancel | Ask::Fork => SeatCall::Join,
        Ask::Fresh => SeatCall::BeginOver,
        Ask::Resume => SeatCall::Resume,
        Ask::Abandon | Ask::Delete => SeatCall::Abandon,
    }
}

fn refused(execution: &ExecutionId, call: SeatCall, is_parked: bool) -> Error {
    match call {
        SeatCall::Resume => cannot_resume(execution, Some(if is_parked { Status::Waiting } else { Status::Running })),
        SeatCall::Abandon => cannot!(
            Kind::Conflict,
            "cancel execution {execution} without its undo",
            "it runs in this process",
            "cancel it with its undo"
        ),
        SeatCall::BeginOver | SeatCall::Join => cannot!(
            Kind::Conflict,
            "begin execution {execution} again",
            "it is running",
            "wait for it, or use another id"
        ),
    }
}

impl Task {
    async fn run(mut self, mut request: Request) {
        self.runtime = Handle::try_current().ok().map(|runtime| runtime.id());
        let ended = loop {
            let meta = match &request.body {
                FlowBody::Registered(meta) => Some(*meta),
                FlowBody::Own(_) => None,
            };
            let plan = planning::plan(&self, PlanInput::of(&request)).await;
            if !self.active.confirm(self.id) {
                // Another task has taken the seat.
                return;
            }
            // A fault is one for all who wait. Those behind a deletion ask again when it is done.
            self.active.decide(match &plan {
                Err(error) => !error.is_store() && !error.is_closed(),
                Ok(plan) => matches!(plan, Plan::Delete(_)),
            });
            match (self.carry_out(plan, request).await, meta) {
                (Ended::ContinuedAsNew { journal, start_at_ms: None }, Some(meta)) => {
                    self.drives(journal);
                    request = Request::steering(&self.execution, Ask::Recover);
                    request.body = FlowBody::Registered(meta);
                }
                (Ended::ContinuedAsNew { journal, start_at_ms }, _) => {
                    let due = start_at_ms.map_or(Due::Never, |start_ms| self.engine.starts(start_ms));
                    break Ended::Parked { due, journal };
                }
                (ended, _) => break ended,
            }
        };
        // Watchers check whether the execution has ended.
        self.engine.runtime.watchers.notify(&self.execution);
        match ended {
            Ended::Parked { due, journal } => self.park(due, journal),
            ended => self.end(ended),
        }
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
            Ok(Plan::Cancel { claimed, next }) => {
                self.active.record(Ok(()));
                cancel_parked(self, *claimed, next).await
            }
            Ok(Plan::Delete(generations)) => {
                self.active.record(Ok(()));
                delete(self, generations, request.by).await
            }
            Ok(Plan::Count { claimed, tally }) => attempt::count(self, request, *claimed, tally).await,
            Ok(Plan::Drive(work)) => match work.starts_at(request.start_at_ms, self.engine.runtime.clock.now_ms()) {
                Some(start_ms) => attempt::queue(self, request, work, start_ms).await,
                None => match self.engine.admit(Tally::default()).await {
                    Ok(admission) => attempt::drive(Entered::new(self), request, work, admission).await,
                    Err(closed) => self.fails(closed),
                },
            },
        }
    }

    /// The flow is parked. Callers keep waiting.
    fn park(&self, due: Due, journal: JournalId) {
        let sleeps = || self.engine.runtime.ledger.sleep(journal, due);
        let parked = self.engine.registry.park(&self.execution, (&self.active, self.id), sleeps);
        if self.is_behind_close() {
            return;
        }
        match parked {
            None | Some(ParkEffect::Rest) => {}
            Some(ParkEffect::Cancel) => self.engine.cancel_soon(&self.execution, self.active.canceller().flatten()),
            Some(ParkEffect::Wake) => self.engine.wake_for_mail(&self.execution, journal),
        }
    }

    /// The execution has ended here. A call may continue it.
    fn end(&self, ended: Ended) {
        let is_store_fault = matches!(&ended, Ended::Fault(error) if error.is_store());
        let journal = self.active.generation();
        let wakes = self.engine.registry.end(&self.execution, (&self.active, self.id), is_store_fault);
        if let Some(journal) = journal.filter(|_| is_store_fault && self.resumes) {
            self.engine.wake_after_fault(journal, Cause::Fault);
        }
        if is_store_fault {
            wakes.into_iter().for_each(|(journal, cause)| self.engine.wake_after_fault(journal, cause));
        } else {
            self.wakes(wakes);
        }
        self.active.end(ended);
        self.active.parents().iter().for_each(|parent| self.engine.notify_parent(parent));
    }

    /// Wakes the execution for the wake-ups that arrived while this task held the seat and drove nothing.
    fn wakes(&self, wakes: Wakes) {
        if !self.engine.is_closed() {
            wakes.into_iter().for_each(|(journal, cause)| self.engine.wake_soon(journal, cause));
        }
    }

    /// Ends a parked execution for its callers if the store is closed: either `Engine::close` finds it parked, or this finds
    /// the store closed.
    fn is_behind_close(&self) -> bool {
        let is_closed = self.engine.is_closed();
        if is_closed {
            self.active.end(Ended::Fault(interrupted(&self.execution)));
            self.engine.registry.rest(&self.execution);
        }
        is_closed
    }
}

/// The task was aborted, or its runtime shuts down.
impl Drop for Task {
    fn drop(&mut self) {
        let resumes = |_| {
            // A bug in Kitaru would repeat without end.
            let can = self.resumes && !self.engine.is_closed() && !std::thread::panicking();
            can && self.engine.keeper.outlives(self.runtime)
        };
        match self.engine.registry.lose(&self.execution, (&self.active, self.id), resumes) {
            LossEffect::Nothing => {}
            LossEffect::Resume { generation, cancelled } => {
                if self.is_behind_close() {
                    return;
                }
                log::flow_left_by_its_runtime(&self.execution);
                match cancelled {
                    true => self.engine.cancel_soon(&self.execution, self.active.canceller().flatten()),
                    false => self.engine.wake_elsewhere(&self.execution, generation),
                }
            }
            LossEffect::Over(wakes) => {
                match self.engine.is_closed() {
                    true => log::flow_cut_off(&self.execution),
                    false => log::flow_dropped(&self.execution),
                }
                self.active.record(Err(interrupted(&self.execution)));
                self.wakes(wakes);
                self.active.end(Ended::Fault(interrupted(&self.execution)));
            }
        }
    }
}
