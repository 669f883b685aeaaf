//! A flow without end, which goes on in a new generation. Owns what goes along; must not know how a generation is driven.

use std::future::Future;
use std::ops::{Bound, ControlFlow};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use crate::call::Packed;
use crate::client::active::Ended;
use crate::client::attempt::micros;
use crate::client::blocking;
use crate::client::entered::Entered;
use crate::client::head::Head;
use crate::client::request::{FlowBody, Request, check_size};
use crate::client::rows::{self, Stored};
use crate::clock::Clock;
use crate::clock::millis;
use crate::context::{Ambient, Context, NextInput};
use crate::error::{Error, Kind};
use crate::id::JournalId;
use crate::journal::{
    Aside, EndFrame, Frame, Header, NoteRow, Status, Tally, UnfinishedRow, aside_key, aside_name, aside_range,
    generation_key,
};
use crate::log;
use crate::machine::Exit;
use crate::store::{Key as RowKey, Order, Reader, Row, Table};

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

/// What of the older generation goes along: its deadline, unless there is a new one, whose child it is, who
/// else waits for it, and what was sent to it and was not taken.
struct Luggage {
    deadline_ms: Option<u64>,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Luggage {
    fn pack(reader: &Reader, stored: &Stored, context: &Context) -> Result<Self, Error> {
        let journal = stored.journal;
        let mut rows = Vec::new();
        for aside in [Aside::Event, Aside::Answer] {
            scan(reader, journal, aside, |name, row| rows.push((aside, name.to_vec(), row.to_vec())))?;
        }
        let mut kept = Vec::new();
        for (aside, name, row) in rows {
            let is_taken = match aside {
                Aside::Event => {
                    name.first_chunk().is_some_and(|number| context.mailbox.took(u64::from_be_bytes(*number)))
                }
                // The answer of a wait that has begun: it belongs to that wait, and so to its generation.
                _ => reader.get(Table::Aside, &aside_key(journal, Aside::Wait, &name))?.is_some(),
            };
            if !is_taken {
                kept.push((aside_row(aside, &name), row));
            }
        }
        for (aside, name, row) in rows::notes(reader, stored)? {
            // There until the new generation shows something else.
            kept.push((aside_row(aside, name.as_bytes()), NoteRow { nth: 0, ..row }.write()));
        }
        if let Some(parent) = rows::parent(reader, stored)? {
            kept.push((aside_row(Aside::Parent, &[]), parent.write()));
        }
        scan(reader, journal, Aside::Waiter, |name, row| kept.push((aside_row(Aside::Waiter, name), row.to_vec())))?;
        let first = rows::first_of_chain(reader, journal)?;
        kept.push((aside_row(Aside::First, &[]), first.0.to_be_bytes().to_vec()));
        Ok(Luggage { deadline_ms: rows::deadline(reader, stored)?, rows: kept })
    }

    /// The rows beside the journal of the new generation.
    fn unpack(self, journal: JournalId) -> impl Iterator<Item = Row> {
        self.rows.into_iter().map(move |(rest, row)| {
            let mut key = journal.0.to_be_bytes().to_vec();
            key.extend_from_slice(&rest);
            Row { table: Table::Aside, key: RowKey::from(key), value: Some(row) }
        })
    }
}

/// A key beside a journal, without that journal's number.
fn aside_row(aside: Aside, name: &[u8]) -> Vec<u8> {
    aside_key(JournalId(0), aside, name).split_off(8)
}

fn scan(reader: &Reader, journal: JournalId, aside: Aside, mut see: impl FnMut(&[u8], &[u8])) -> Result<(), Error> {
    let (first, end) = aside_range(journal, aside);
    let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
    reader.scan(Table::Aside, range, Order::Ascending, &mut |key, row| {
        see(aside_name(key), row);
        ControlFlow::Continue(())
    })
}

/// When the next generation has to be finished.
fn deadline_ms(next: &NextInput, luggage: &Luggage, clock: &Clock) -> Option<u64> {
    let begins_in_ms = next.start_at_ms.unwrap_or_default().saturating_sub(clock.now_ms());
    let begins_ms = clock.steady_ms().saturating_add(begins_in_ms);
    let own = next.deadline_ms.map(|deadline_ms| begins_ms.saturating_add(deadline_ms));
    own.or(luggage.deadline_ms)
}

/// Writes that the generation has ended, and the next one that the flow has asked for, in one commit.
pub(crate) async fn restart(mut entered: Entered<'_>, context: &Arc<Context>, took: Duration) -> Ended {
    let place = entered.place;
    let next = context.take_next().expect("a flow that restarts has said with what");
    let start_at_ms = next.start_at_ms;
    // What is sent meanwhile is for the next generation, and whoever sends waits for that to be there.
    context.mailbox.close();
    let _turn = place.inner.doors.of(&place.execution).lock().await;
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
    // What the flow has shown, and the header, may be on their way.
    context.send_aside(context.note_rows());
    runtime.settle().await?;
    let (own, older) = (context.clone(), context.numbers.journal());
    let (header, luggage) = blocking(move || {
        let reader = &own.runtime.reader;
        let stored = rows::stored(reader, older)?;
        let stored = stored.ok_or_else(|| Error::new(Kind::Store, "the header of a running execution is missing"))?;
        let luggage = Luggage::pack(reader, &stored, &own)?;
        Ok::<_, Error>((stored.header, luggage))
    })
    .await??;
    let now_ms = runtime.clock.now_ms();
    let start_ms = next.start_at_ms.filter(|start_ms| *start_ms > now_ms);
    let deadline_ms = deadline_ms(&next, &luggage, &runtime.clock);
    let NextInput { preview, encoded, .. } = next;
    let generation = header.generation.saturating_add(1);
    let shape = encoded.shape;
    let header = Header {
        generation,
        created_ms: now_ms,
        seed: place.inner.seed(&place.execution, generation),
        input_preview: preview,
        input_codec: encoded.codec,
        input_shape: shape.as_ref().map_or(0, |shape| shape.fingerprint),
        input: encoded.bytes,
        // What a call from outside goes by stays that of the first one.
        ..header
    };
    let head = Head { journal: place.inner.new_journal(), deadline_ms, header };
    let unfinished = UnfinishedRow {
        status: if start_ms.is_some() { Status::Queued } else { Status::Running },
        attempts: 0,
        updated_ms: now_ms,
        wake_ms: start_ms.unwrap_or_default(),
        tally: Tally::default(),
    };
    let key = RowKey::from(generation_key(head.journal));
    let mut rows = head.own_rows(Row { table: Table::Unfinished, key, value: Some(unfinished.write()) });
    rows.extend(shape.and_then(|shape| runtime.shape_row(shape.fingerprint, Some(shape.text))));
    rows.extend(luggage.unpack(head.journal));
    rows.push(rows::finished_row(older));
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
    let landed = runtime.write_last(&context.numbers, rows, Some(frame));
    entered.ended = true;
    landed.await.map(|()| head.journal)
}
