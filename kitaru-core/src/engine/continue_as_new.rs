//! A flow that continues as new. Owns what the next generation begins with; must not know how a generation is driven.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, micros};
use crate::context::{Context, NextInput};
use crate::engine::active::Ended;
use crate::engine::entered::Entered;
use crate::error::{Error, Kind, cannot};
use crate::id::JournalId;
use crate::journal::{EndFrame, Frame, Header, Packed, Status};
use crate::ledger::{self, CarryOver, FirstAttempt, NewGeneration, Stored};
use crate::log;

/// The deadline of the next generation. That of a queued one is a shown time, as its start is.
fn deadline_ms(next: &NextInput, starts_ms: Option<u64>, carried: &CarryOver, clock: &Clock) -> Option<u64> {
    let begins_ms = starts_ms.unwrap_or_else(|| clock.steady_ms());
    let own = next.deadline_ms.map(|deadline_ms| begins_ms.saturating_add(deadline_ms));
    let carried = || match starts_ms {
        Some(_) => carried.deadline_ms.map(|ms| clock.shown_of_steady(ms)),
        None => carried.deadline_ms,
    };
    own.or_else(carried)
}

/// Ends the generation, and begins the next one that the flow has asked for, in one commit.
pub(crate) async fn continue_as_new(mut entered: Entered<'_>, context: &Arc<Context>, took: Duration) -> Ended {
    let next = context.take_next().expect("a flow that continues as new has said with what");
    let start_at_ms = next.start_at_ms;
    // Mail that arrives from now on is for the next generation. Its senders wait until that exists.
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
    log::flow_continued_as_new(&context.attempt, starts_in);
    Ended::ContinuedAsNew { journal, start_at_ms }
}

async fn write_next(
    entered: &mut Entered<'_>,
    context: &Arc<Context>,
    next: NextInput,
    took: Duration,
) -> Result<JournalId, Error> {
    let (task, runtime) = (entered.task, &context.runtime);
    context.send_aside(context.notes());
    let own = context.clone();
    let takes = move |number| own.mailbox.took(number);
    let begins = |stored: Stored, carried: &CarryOver| next_generation(context, stored.header, carried, next, took);
    let continued =
        runtime.ledger.continue_as_new(&context.tenure, &task.execution, takes, begins, || entered.ended = true);
    continued.await
}

/// The next generation, and the last record of the older one.
fn next_generation(
    context: &Arc<Context>,
    older: Header,
    carried: &CarryOver,
    next: NextInput,
    took: Duration,
) -> (NewGeneration, ledger::AttemptEnd) {
    let (runtime, execution) = (&context.runtime, &context.attempt.execution);
    let now_ms = runtime.clock.now_ms();
    let start_ms = next.start_at_ms.filter(|start_ms| *start_ms > now_ms);
    let deadline_ms = deadline_ms(&next, start_ms, carried, &runtime.clock);
    let NextInput { preview, encoded, tags, .. } = next;
    let tags = if tags.is_empty() { carried.tags.clone() } else { tags };
    let (ends, generation) = (older.generation, older.generation.saturating_add(1));
    let shape = encoded.shape;
    let header = Header {
        generation,
        created_ms: now_ms,
        seed: runtime.ledger.seed(execution, generation),
        input_preview: preview,
        input_codec: encoded.codec,
        input_shape: shape.as_ref().map_or(0, |shape| shape.fingerprint),
        input: encoded.bytes,
        // The fields by which an outside call finds the execution stay those of the first generation.
        ..older
    };
    let packed = Packed::error(&cannot!(
        Kind::Cancelled,
        "finish generation {ends} of execution {execution}",
        "it continued in generation {generation}"
    ));
    let frame = Frame::End(EndFrame {
        status: Status::ContinuedAsNew,
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
        first: start_ms.map_or(FirstAttempt::Behind, FirstAttempt::At),
        deadline_ms,
        tags,
        parent: None,
        waiters: Vec::new(),
        shape: shape.and_then(|shape| runtime.ledger.shape(shape.fingerprint, Some(shape.text))),
        over: None,
        // It is carried over.
        fork: None,
    };
    (next, context.ended(Status::ContinuedAsNew, frame))
}
