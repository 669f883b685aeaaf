//! A flow without end, which goes on in a new generation. Owns what goes along; must not know how a generation is driven.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use crate::call::Packed;
use crate::client::active::Ended;
use crate::client::attempt::micros;
use crate::client::entered::Entered;
use crate::client::request::{FlowBody, Request, check_size};
use crate::clock::Clock;
use crate::clock::millis;
use crate::context::{Ambient, Context, NextInput};
use crate::error::{Error, Kind};
use crate::id::JournalId;
use crate::journal::{EndFrame, Frame, Header, Status, Tally, UnfinishedRow};
use crate::ledger::{CarryOver, NewGeneration, Stored};
use crate::log;
use crate::machine::Exit;

/// A flow that goes on in a new generation. Made by [`FlowCall::restart`](crate::FlowCall::restart); it never gives a result.
#[must_use = "a flow goes on in a new generation only if this is awaited"]
pub struct Restart<R> {
    asked: Option<Result<Request, Error>>,
    result: std::marker::PhantomData<fn() -> R>,
}

impl<R> Restart<R> {
    pub(crate) fn new(asked: Result<Request, Error>) -> Self {
        Restart { asked: Some(asked), result: std::marker::PhantomData }
    }
}

impl<R> Future for Restart<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<R> {
        let Some(asked) = self.asked.take() else { return Poll::Pending };
        let Ambient::Flow(context) = Ambient::current() else {
            panic!(
                "FlowCall::restart() was awaited outside a flow's own code; return it from the flow that is to begin anew: \
                 `return poller(next).restart().await`"
            )
        };
        match asked.and_then(|request| next(&context, request)) {
            Ok(next) => {
                context.set_next(next);
                context.leave_with(Exit::Restart);
            }
            Err(error) => context.leave_with(Exit::Fail(error)),
        }
        Poll::Pending
    }
}

/// What the next generation begins with.
fn next(context: &Arc<Context>, request: Request) -> Result<NextInput, Error> {
    let own = &context.attempt.execution;
    let refuse = |why: &str| Err(Error::new(Kind::Misuse, format!("execution {own} cannot restart: {why}")));
    if request.spec.name != *own.flow {
        return refuse("a flow restarts itself; call another one, or start it");
    }
    if request.id.as_deref().is_some_and(|id| id != &*own.id) {
        return refuse("it keeps its id; leave .id(…) out");
    }
    if matches!(request.body, FlowBody::Own(_)) {
        return refuse("it has no #[flow], so that nobody could begin it");
    }
    if context.replay().is_undoing() {
        return refuse("what it has done is being undone");
    }
    check_size(&request, context.runtime.max_outcome_bytes)?;
    Ok(NextInput {
        preview: request.input.preview,
        encoded: request.input.encoded,
        start_at_ms: request.start_at_ms,
        deadline_ms: request.deadline.map(millis),
    })
}

/// When the next generation has to be finished.
fn deadline_ms(next: &NextInput, carried: &CarryOver, clock: &Clock) -> Option<u64> {
    let begins_in_ms = next.start_at_ms.unwrap_or_default().saturating_sub(clock.now_ms());
    let begins_ms = clock.steady_ms().saturating_add(begins_in_ms);
    let own = next.deadline_ms.map(|deadline_ms| begins_ms.saturating_add(deadline_ms));
    own.or(carried.deadline_ms)
}

/// Writes that the generation has ended, and the next one that the flow has asked for, in one commit.
pub(crate) async fn restart(mut entered: Entered<'_>, context: &Arc<Context>, took: Duration) -> Ended {
    let next = context.take_next().expect("a flow that restarts has said with what");
    let start_at_ms = next.start_at_ms;
    // What is sent meanwhile is for the next generation, and whoever sends waits for that to be there.
    context.mailbox.close();
    let written = write_next(&mut entered, context, next, took).await;
    let journal = match written {
        Ok(journal) => journal,
        Err(fault) => {
            log::flow_ended(&context.attempt, Status::Interrupted, took, Some(&fault));
            return Ended::Fault(fault);
        }
    };
    entered.landed = true;
    let now_ms = context.runtime.clock.now_ms();
    let starts_in = start_at_ms.filter(|start_ms| *start_ms > now_ms).map(|ms| Duration::from_millis(ms - now_ms));
    log::flow_restarted(&context.attempt, starts_in);
    Ended::Restarted { journal, start_at_ms }
}

async fn write_next(
    entered: &mut Entered<'_>,
    context: &Arc<Context>,
    next: NextInput,
    took: Duration,
) -> Result<JournalId, Error> {
    let (place, runtime) = (entered.place, &context.runtime);
    context.send_aside(context.notes());
    let own = context.clone();
    let takes = move |number| own.mailbox.took(number);
    let begins = |stored: Stored, carried: &CarryOver| next_generation(context, stored.header, carried, next, took);
    let restarted = runtime
        .ledger
        .restart(&runtime.archive, &context.numbers, &place.execution, takes, begins, || entered.ended = true);
    restarted.await
}

/// The next generation, and the last record of the older one.
fn next_generation(
    context: &Arc<Context>,
    older: Header,
    carried: &CarryOver,
    next: NextInput,
    took: Duration,
) -> (NewGeneration, Vec<u8>) {
    let (runtime, execution) = (&context.runtime, &context.attempt.execution);
    let now_ms = runtime.clock.now_ms();
    let start_ms = next.start_at_ms.filter(|start_ms| *start_ms > now_ms);
    let deadline_ms = deadline_ms(&next, carried, &runtime.clock);
    let NextInput { preview, encoded, .. } = next;
    let generation = older.generation.saturating_add(1);
    let shape = encoded.shape;
    let header = Header {
        generation,
        created_ms: now_ms,
        seed: runtime.ledger.seed(execution, generation),
        input_preview: preview,
        input_codec: encoded.codec,
        input_shape: shape.as_ref().map_or(0, |shape| shape.fingerprint),
        input: encoded.bytes,
        // What a call from outside goes by stays that of the first one.
        ..older
    };
    let state = UnfinishedRow {
        status: if start_ms.is_some() { Status::Queued } else { Status::Running },
        attempts: 0,
        updated_ms: now_ms,
        wake_ms: start_ms.unwrap_or_default(),
        tally: Tally::default(),
    };
    let packed = Packed::error(&Error::new(Kind::Cancelled, format!("it went on in generation {generation}")));
    let frame = Frame::End(EndFrame {
        status: Status::Restarted,
        attempt: context.attempt.number,
        ended_ms: now_ms,
        duration_us: micros(took),
        preview: &packed.preview,
        payload: packed.payload(),
    })
    .write();
    let next = NewGeneration {
        journal: runtime.ledger.new_journal(),
        header,
        state,
        deadline_ms,
        parent: None,
        waiters: Vec::new(),
        shape: shape.and_then(|shape| runtime.ledger.shape(shape.fingerprint, Some(shape.text))),
        over: None,
    };
    (next, frame)
}
