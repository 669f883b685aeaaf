//! One attempt at an execution, from its plan to its end in the store. Owns what is written around the flow's own
//! records; must not know how the flow is polled.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::clock::micros;
use crate::context::Ambient;
use crate::context::{Admission, Attempt, Context, Executions, ForkOrigin, Ground, Message, Notes, Parking};
use crate::director::Turn;
use crate::driver::{Driven, Driver};
use crate::engine::active::{Ended, interrupted};
use crate::engine::continue_as_new;
use crate::engine::entered::{Entered, Trace};
use crate::engine::head::Head;
use crate::engine::plan::{AttemptPlan, Plan, Resume};
use crate::engine::task::Task;
use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, Seq};
use crate::journal::{
    AuditAction, AuditLine, Class, EndFrame, Forgotten, Frame, Header, OwnedPayload, Packed, Status, Tally,
};
use crate::ledger::{Change, ClaimedGeneration, FirstAttempt, ForkStart, Listing, Stored, blocking};
use crate::log;
use crate::machine::{Ask, Due, Exit, Replay};
use crate::program::{FlowFuture, FlowInput};
use crate::request::{FlowBody, Forget, Request};
use crate::value::Codec;

/// Counts an attempt durably, then continues. The count comes before the journal, the mail and the flow's code are touched: the
/// process may crash in any of them.
pub(super) async fn count(task: &Task, request: Request, mut claimed: ClaimedGeneration, tally: Tally) -> Ended {
    // The execution is already in the store.
    task.active.record(Ok(()));
    let admission = match task.engine.admit(tally).await {
        Ok(admission) => admission,
        Err(closed) => return task.fails(closed),
    };
    let mut entered = Entered::new(task);
    let runtime = task.engine.runtime.clone();
    let tally = Tally { alone: admission.is_alone(), replays: true, ..tally };
    let before = claimed.stored.state.attempts;
    let (attempts, at_ms) = (before.saturating_add(1), runtime.clock.now_ms());
    let ended = Some(claimed.stored.state.status).filter(|status| status.is_final());
    let (counted, left) = match ended {
        // A failed execution that is being cancelled does not resume by itself if its process crashes in the cancellation.
        Some(ended) => (Change::Reopened { ended, attempts, at_ms, tally }, Change::Finished),
        None => {
            let interrupted = Tally { alone: false, replays: false, ..tally };
            let left = Change::Interrupted { attempts: before, at_ms, tally: interrupted };
            (Change::Running { attempts, at_ms, tally }, left)
        }
    };
    let tenure = claimed.tenure.clone();
    task.drives(tenure.journal());
    entered.trace = Trace::Journal(tenure.clone());
    if let Err(fault) = runtime.ledger.write(&tenure, vec![counted], None).await {
        return task.fails(fault);
    }
    entered.trace = Trace::Count(tenure, left);
    if is_stopped(task, Turn::Counted) {
        return pending().await;
    }
    let state = &mut claimed.stored.state;
    state.attempts = attempts;
    state.listing = if ended.is_some() { Listing::AfterEnd } else { Listing::Current };
    state.tally = tally;
    let ask = request.ask;
    let load = move || Plan::resume(&runtime.ledger, claimed, ask, &[]);
    let loaded = blocking(load).await;
    match loaded.and_then(|loaded| loaded) {
        Ok(Plan::Drive(work)) => drive(entered, request, work, admission).await,
        Ok(_) => unreachable!("what is resumed is driven"),
        Err(fault) => task.fails(fault),
    }
}

/// Drives an attempt to its end.
pub(super) async fn drive(
    mut entered: Entered<'_>,
    mut request: Request,
    work: AttemptPlan,
    admission: Admission,
) -> Ended {
    let task = entered.task;
    let begun = Instant::now();
    let is_asked_for = request.ask == Ask::Resume;
    let audit = resumed_by(&request, task.engine.runtime.clock.now_ms());
    let (context, input) = match work {
        AttemptPlan::New { generation, cancelled, fresh } => {
            let fork = fork_start(task, &mut request, generation);
            let (context, input, landed) = begin(task, &request, (generation, cancelled, fresh), fork, admission);
            entered.trace = Trace::Journal(context.tenure.clone());
            task.begins(&context);
            // The execution is in the store, or does not exist. Its callers have learned that.
            if let Err(fault) = landed.await {
                return Ended::Fault(fault);
            }
            (context, input)
        }
        AttemptPlan::Resume(mut work) => {
            let forgot = std::mem::take(&mut work.forgot);
            entered.trace = Trace::Journal(work.claimed.tenure.clone());
            let (context, input) = resume(task, &request, *work, admission);
            if is_asked_for && let Err(fault) = begin_again(&context, &forgot, audit).await {
                return task.fails(fault);
            }
            task.begins(&context);
            // The execution is already in the store. This comes after the registration: a caller that learns of the execution
            // may send to it.
            task.active.record(Ok(()));
            (context, input)
        }
    };
    entered.trace = Trace::Attempt(context.clone());
    if is_stopped(task, Turn::Begins) {
        return pending().await;
    }
    // The lines about the attempt are in its span, and so are those of its flow.
    let span = log::attempt_span(&context.attempt);
    span.in_scope(|| log::flow_started(&context.attempt));
    let driven = match flow_future(&context, request.body, input.borrow()) {
        Ok(flow) => {
            // The flow is made, polled and dropped in its own ambient.
            let driver = Driver::new(context.clone(), flow).instrument(span.clone());
            in_time(&context, driver).await
        }
        Err(error) => Driven::Left(Exit::Stuck { error, shape: input.shape }),
    };
    finish(entered, &context, driven, begun).instrument(span).await
}

/// What a generation begins with that is a fork.
fn fork_start(task: &Task, request: &mut Request, generation: u32) -> Option<Box<ForkStart>> {
    let mut fork = request.fork.take()?;
    fork.address(&task.execution, generation);
    Some(fork)
}

/// A flow's input, from the request or from the store.
struct RecordedInput {
    codec: Codec,
    shape: u64,
    bytes: Vec<u8>,
}

impl RecordedInput {
    fn borrow(&self) -> (Codec, u64, &[u8]) {
        (self.codec, self.shape, &self.bytes)
    }
}

/// The first attempt at a new generation, whose header is on its way to the store. The attempt begins when the header has
/// landed.
fn begin(
    task: &Task,
    request: &Request,
    (generation, cancelled, fresh): (u32, Option<Box<(ClaimedGeneration, Seq)>>, bool),
    fork: Option<Box<ForkStart>>,
    admission: Admission,
) -> (Arc<Context>, RecordedInput, impl Future<Output = Result<(), Error>> + Send + use<>) {
    let runtime = &task.engine.runtime;
    let journal = fork.as_ref().map_or_else(Arc::default, |fork| fork.journal.clone());
    let head = Head::new(task, request, generation, &journal);
    let tenure = head.tenure.clone();
    let origin = fork.as_ref().map(|fork| ForkOrigin::new(fork.row.clone(), &journal));
    let attempt =
        Attempt { fresh, deadline_ms: head.deadline_ms, fork: origin, ..attempt(task, request, 1, &head.header) };
    let replay = Replay::new(journal.clone()).expect("what a fork takes over was read, and others begin with nothing");
    let mail = fork.iter().flat_map(|fork| &fork.mail).map(|mail| Message::from(mail.sent.clone())).collect();
    let ground = Ground {
        tenure: tenure.clone(),
        journal,
        replay,
        listing: Listing::Current,
        tally: Tally::default(),
        admission,
        mail,
        notes: Notes::default(),
    };
    let context = Context::new(attempt, executions(task), runtime.clone(), ground);
    let header = head.header.clone();
    let fork = fork.map(|fork| *fork);
    let generation = head.begins(task, request, FirstAttempt::Together, (cancelled, fork));
    let (send, landed) = oneshot::channel();
    let (begun, active) = (context.clone(), task.active.clone());
    runtime.ledger.begin_then(&tenure, request.behind.clone(), generation, move |landed| {
        if let Err(fault) = &landed {
            begun.leave_with(Exit::Fault(fault.clone()));
        }
        active.record(landed.clone());
        // The receiver may be gone.
        let _ = send.send(landed);
    });
    let waits = context.clone();
    let landed = async move { landed.await.unwrap_or_else(|_| Err(interrupted(&waits.attempt.execution))) };
    (context, RecordedInput { codec: header.input_codec, shape: header.input_shape, bytes: header.input }, landed)
}

/// Records a new generation that begins by itself at a later time.
pub(crate) async fn queue(task: &Task, mut request: Request, work: AttemptPlan, start_ms: u64) -> Ended {
    if task.engine.runtime.clock.is_paused_here() {
        let error = Error::time_is_paused(format_args!("execution {}, which starts later", task.execution));
        task.active.record(Err(error.clone()));
        return Ended::Fault(error);
    }
    let (journal, recorded) = match work {
        AttemptPlan::New { generation, cancelled, .. } => {
            let fork = fork_start(task, &mut request, generation).map(|fork| *fork);
            let begun = fork.as_ref().map_or_else(Arc::default, |fork| fork.journal.clone());
            let head = Head::new(task, &request, generation, &begun);
            let tenure = head.tenure.clone();
            let generation = head.begins(task, &request, FirstAttempt::At(start_ms), (cancelled, fork));
            (tenure.journal(), task.engine.runtime.ledger.begin(&tenure, request.behind, generation).await)
        }
        // The generation is recorded and begins at that time.
        AttemptPlan::Resume(resume) => (resume.claimed.stored.journal, task.engine.runtime.ledger.flush().await),
    };
    task.active.record(recorded.clone());
    match recorded {
        Ok(()) => Ended::Parked { due: task.engine.starts(start_ms), journal },
        Err(fault) => Ended::Fault(fault),
    }
}

/// A further attempt on the same journal.
fn resume(task: &Task, request: &Request, work: Resume, admission: Admission) -> (Arc<Context>, RecordedInput) {
    let Resume { claimed, journal, mut replay, mail, notes, mut deadline_ms, fork, .. } = work;
    let ClaimedGeneration { stored: Stored { header, state, .. }, tenure, .. } = claimed;
    let clock = &task.engine.runtime.clock;
    let is_queued = state.status == Status::Queued;
    if is_queued {
        deadline_ms = deadline_ms.map(|shown_ms| clock.steady_since_shown(shown_ms));
    }
    let is_counted = matches!(state.listing, Listing::Current | Listing::AfterEnd);
    let number = state.attempts.saturating_add(u32::from(!is_counted));
    // One that was parked has been cut off nowhere. Of those before it, only the ends are recorded.
    let ended = if state.status == Status::Waiting { 2 } else { 1 };
    let cut_off = journal.last_cut_off(number.saturating_sub(ended));
    if cut_off > 0 {
        replay.follows(cut_off);
    }
    let attempt = Attempt {
        deadline_ms,
        after_cut: cut_off > 0,
        after_crash: state.status == Status::Interrupted && number > 1,
        after_park: state.status == Status::Waiting,
        fork: fork.map(|row| ForkOrigin::new(row, &journal)),
        ..attempt(task, request, number, &header)
    };
    // A person resumed this execution, and so approved its state.
    let tally = if request.ask == Ask::Resume { Tally::default() } else { state.tally };
    let has_progressed =
        is_counted && tally.deaths == 1 && journal.last_attempt().is_some_and(|last| last + 1 >= number);
    let ground = Ground { tenure, journal, replay, listing: state.listing, tally, admission, mail, notes };
    let context = Context::new(attempt, executions(task), task.engine.runtime.clone(), ground);
    if has_progressed {
        context.clear_tally();
    }
    if let Some(deadline_ms) = deadline_ms.filter(|_| is_queued) {
        // Further attempts keep it.
        context.send_aside(vec![Change::Deadline(deadline_ms)]);
    }
    (context, RecordedInput { codec: header.input_codec, shape: header.input_shape, bytes: header.input })
}

/// Makes durable that a person resumed the execution, and which records are forgotten.
async fn begin_again(context: &Arc<Context>, forgot: &[Forgotten], audit: Option<AuditLine>) -> Result<(), Error> {
    for forgotten in forgot {
        context.send_ahead(Frame::Forgot(*forgotten).write());
    }
    context.announce();
    // After those changes: the submissions of one attempt land in their order.
    let changes = std::iter::once(Change::Resumed).chain(audit.map(Change::Audit)).collect();
    context.runtime.ledger.write(&context.tenure, changes, None).await
}

/// The entry of the audit that says who resumed the execution, and what it forgets.
fn resumed_by(request: &Request, now_ms: u64) -> Option<AuditLine> {
    let forgets = request.forget.iter().map(|forget| match forget {
        Forget::Error(name) => format!("without {name}"),
        Forget::After(name) => format!("after {name}"),
    });
    let about = forgets.collect::<Vec<_>>().join(", ");
    request.by.as_ref().filter(|_| request.ask == Ask::Resume).map(|by| by.did(AuditAction::Resumed, &about, now_ms))
}

/// Where a flow begins the executions that it calls.
fn executions(task: &Task) -> Weak<dyn Executions> {
    let engine: Arc<dyn Executions> = task.engine.clone();
    Arc::downgrade(&engine)
}

fn attempt(task: &Task, request: &Request, number: u32, header: &Header) -> Attempt {
    Attempt {
        execution: task.execution.clone(),
        generation: header.generation,
        number,
        after_crash: false,
        after_cut: false,
        after_park: false,
        seed: header.seed,
        created_ms: header.created_ms,
        fresh: false,
        fork: None,
        deadline_ms: None,
        on_divergence: request.spec.on_divergence,
        parking: match request.body {
            FlowBody::Registered(_) => Parking::Possible,
            FlowBody::Own(_) => Parking::Never,
        },
    }
}

/// Drives an attempt, and unwinds it at its deadline.
async fn in_time(context: &Arc<Context>, driver: impl Future<Output = Driven<Packed>>) -> Driven<Packed> {
    let Some(deadline_ms) = context.attempt.deadline_ms else { return driver.await };
    let clock = &context.runtime.clock;
    let mut driver = pin!(driver);
    if deadline_ms > clock.steady_ms() && clock.is_paused_here() {
        let what = format_args!("execution {}, which has a deadline", context.attempt.execution);
        return Driven::Left(Exit::Fail(Error::time_is_paused(what)));
    }
    let mut time = Some(clock.until(deadline_ms));
    poll_fn(|cx| {
        // First, so that nothing starts after the deadline.
        if let Some(until) = &mut time
            && Pin::new(until).poll(cx).is_ready()
        {
            time = None;
            let execution = &context.attempt.execution;
            let error = cannot!(
                Kind::TimedOut,
                "finish execution {execution}",
                "its deadline has passed",
                "call it with a longer one"
            );
            let packed = Packed::error(&error);
            context.unwind(Status::Failed, &packed.payload(), &packed.preview, Vec::new);
        }
        driver.as_mut().poll(cx)
    })
    .await
}

pub(super) fn flow_future(
    context: &Arc<Context>,
    body: FlowBody,
    (codec, shape, bytes): (Codec, u64, &[u8]),
) -> Result<FlowFuture, Error> {
    let _entered = Ambient::Flow(context.clone()).enter();
    let limit = context.runtime.max_outcome_bytes;
    match body {
        FlowBody::Registered(meta) => (meta.begin)(FlowInput { flow: meta.name, codec, shape, bytes, limit }).0,
        FlowBody::Own(begin) => Ok(begin(limit)),
    }
}

/// Writes how the attempt ended, and returns it once that is durable.
async fn finish(mut entered: Entered<'_>, context: &Arc<Context>, driven: Driven<Packed>, begun: Instant) -> Ended {
    let took = begun.elapsed();
    if !matches!(driven, Driven::Left(Exit::Park(_))) {
        context.replay().seal();
    }
    let is_undone = !matches!(driven, Driven::Undone(Err(_)));
    let (status, packed) = match driven {
        Driven::Returned(packed) if packed.class == Class::Value => (Status::Completed, packed),
        Driven::Returned(packed) => (Status::Failed, packed),
        Driven::Panicked(error) | Driven::Left(Exit::Fail(error)) => (Status::Failed, Packed::error(&error)),
        Driven::Left(Exit::Stuck { error, shape }) => {
            (Status::Stuck, Packed::error(&with_shape(context, error, shape).await))
        }
        Driven::Undone(Ok(())) => {
            let ending = context.ending().expect("an undone flow has a result");
            (ending.status, Packed::of(&ending.payload))
        }
        Driven::Undone(Err(error)) => (Status::Failed, Packed::error(&not_undone(&context.attempt.execution, &error))),
        Driven::Left(Exit::ContinueAsNew) => return continue_as_new::continue_as_new(entered, context, took).await,
        Driven::Left(Exit::Park(due)) => return park(entered, context, due, took).await,
        Driven::Left(Exit::Fault(fault)) => {
            log::flow_ended(&context.attempt, Status::Interrupted, took, Some(&fault));
            return Ended::Fault(fault);
        }
    };
    let failure = (status != Status::Completed)
        .then(|| packed.payload().kitaru_error().unwrap_or_else(|| Error::msg(&packed.preview)));
    let frame = Frame::End(EndFrame {
        status,
        attempt: context.attempt.number,
        ended_ms: context.runtime.clock.now_ms(),
        duration_us: micros(took),
        preview: &packed.preview,
        payload: packed.payload(),
    })
    .write();
    let mut changes = match status {
        Status::Failed => context.last_notes(),
        _ => context.notes(),
    };
    let ledger = &context.runtime.ledger;
    changes.extend(ledger.shape(packed.fingerprint, packed.text.clone()));
    if status == Status::Cancelled {
        // An undo that had begun before does not begin again.
        changes.extend(context.cancellation_audit());
    }
    let landed = ledger.finish(&context.tenure, changes, context.ended(status, frame));
    entered.ended = true;
    if let Err(fault) = landed.await {
        log::flow_ended(&context.attempt, Status::Interrupted, took, Some(&fault));
        return Ended::Fault(fault);
    }
    entered.landed = true;
    log::flow_ended(&context.attempt, status, took, failure.as_ref());
    match failure {
        Some(error) if !is_undone || matches!(status, Status::Stuck | Status::Cancelled) => Ended::Fault(error),
        failure => {
            let replay = context.replay();
            match failure {
                Some(_) if replay.unwound_by().is_some() => log::undone_before(&context.attempt),
                Some(error) if replay.gave_again(&error) => log::failed_again(&context.attempt),
                _ => {}
            }
            Ended::Outcome(Arc::new(OwnedPayload::new(&packed.payload(), &packed.preview)))
        }
    }
}

fn not_undone(execution: &ExecutionId, error: &Error) -> Error {
    error.clone().context(format!(
        "cannot continue execution {execution}: its work could not be undone; call its flow or cancel it again"
    ))
}

/// Whether the test that directs the execution stops it here.
fn is_stopped(task: &Task, turn: Turn) -> bool {
    task.engine.runtime.direction.stops_attempt(&task.execution, turn)
}

/// Writes that the flow waits, and until when.
async fn park(mut entered: Entered<'_>, context: &Arc<Context>, due: Due, took: Duration) -> Ended {
    if is_stopped(entered.task, Turn::Parks) {
        return pending().await;
    }
    let parked = context.runtime.ledger.park(&context.tenure, context.parked(due));
    entered.ended = true;
    if let Err(fault) = parked.await {
        log::flow_ended(&context.attempt, Status::Interrupted, took, Some(&fault));
        return Ended::Fault(fault);
    }
    entered.landed = true;
    let wakes_in = match due {
        Due::At(due_ms) => Some(Duration::from_millis(due_ms.saturating_sub(context.runtime.clock.steady_ms()))),
        Due::Execution | Due::Never => None,
    };
    log::flow_parked(&context.attempt, wakes_in);
    Ended::Parked { due, journal: context.tenure.journal() }
}

/// Adds the shape of the record, which is kept in the store.
async fn with_shape(context: &Arc<Context>, error: Error, shape: u64) -> Error {
    let runtime = context.runtime.clone();
    match blocking(move || runtime.archive.shape_text(shape)).await {
        Ok(Some(text)) => error.because(format!("it was recorded as {text}")),
        _ => error,
    }
}
