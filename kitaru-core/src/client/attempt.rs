//! One attempt at an execution, from its plan to its end in the store. Owns what is written around the flow's own
//! records; must not know how the flow is polled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::ambient::Ambient;
use crate::call::Packed;
use crate::client::active::{Ended, OwnedPayload};
use crate::client::blocking;
use crate::client::flow_call::{FlowBody, Request};
use crate::client::launch::Place;
use crate::client::rows::{self, Stored};
use crate::context::{Attempt, Context, Standing, unfinished_row};
use crate::driver::{Driven, Driver};
use crate::error::Error;
use crate::flow::{FlowFuture, FlowInput};
use crate::id::Seq;
use crate::journal::{Ask, Class, EndFrame, Frame, Header, State, Status, name_key};
use crate::log;
use crate::machine::{Exit, Journal, Replay};
use crate::runtime::{Numbers, Runtime};
use crate::store::{Activity, Key as RowKey, Reader, Row, Table};
use crate::value::Codec;

/// Told once the execution is durable, or why it is not.
pub(crate) type Started = oneshot::Sender<Result<(), Error>>;

/// What a call of a flow does.
pub(crate) enum Plan {
    Cached(Arc<OwnedPayload>),
    Drive(Box<Work>),
}

/// An attempt that is to be driven.
pub(crate) enum Work {
    New { generation: u32, cancelled: Option<Stored>, fresh: bool },
    Resume { stored: Stored, journal: Arc<Journal>, replay: Replay },
}

impl Plan {
    pub(crate) fn begin(generation: u32, cancelled: Option<Stored>, ask: Ask) -> Self {
        Plan::Drive(Box::new(Work::New { generation, cancelled, fresh: ask == Ask::Fresh }))
    }

    pub(crate) fn resume(reader: &Reader, stored: Stored) -> Result<Self, Error> {
        let journal = Arc::new(rows::journal(reader, stored.journal)?);
        let replay =
            Replay::new(journal.clone()).map_err(|why| rows::malformed(&stored.header.execution, "journal", why))?;
        Ok(Plan::Drive(Box::new(Work::Resume { stored, journal, replay })))
    }
}

/// An attempt that counts as running for the writer until it has ended.
struct Entered<'a> {
    runtime: &'a Runtime,
    place: &'a Place,
    ended: bool,
}

impl<'a> Entered<'a> {
    fn new(place: &'a Place) -> Self {
        let runtime = &*place.inner.runtime;
        runtime.writer.enter();
        Entered { runtime, place, ended: false }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.place.leaves_writes();
            self.runtime.writer.leave();
        }
    }
}

/// Drives an attempt to its end.
pub(crate) async fn drive(place: &Place, request: Request, work: Work, started: Started) -> Ended {
    let entered = Entered::new(place);
    let begun = Instant::now();
    let prepared = match work {
        Work::New { generation, cancelled, fresh } => begin(place, &request, generation, cancelled, fresh, started),
        Work::Resume { stored, journal, replay } => {
            // The execution is in the store already. The caller may have gone away.
            let _ = started.send(Ok(()));
            resume(place, &request, stored, journal, replay)
        }
    };
    let (context, input) = prepared;
    log::flow_started(&context.attempt);
    let driven = match flow_future(&context, request.body, input.borrow()) {
        Ok(flow) => {
            // The flow is made, polled and dropped in its own ambient.
            Driver::new(context.clone(), flow).await
        }
        Err(error) => Driven::Left(Exit::Stuck { error, shape: input.shape }),
    };
    finish(entered, &context, driven, begun).await
}

/// A flow's input, out of the request or of the store.
struct Recorded {
    codec: Codec,
    shape: u64,
    bytes: Vec<u8>,
}

impl Recorded {
    fn borrow(&self) -> (Codec, u64, &[u8]) {
        (self.codec, self.shape, &self.bytes)
    }
}

/// The first attempt at a new generation. Its header is on its way to the store before anything else of it.
fn begin(
    place: &Place,
    request: &Request,
    generation: u32,
    cancelled: Option<Stored>,
    fresh: bool,
    started: Started,
) -> (Arc<Context>, Recorded) {
    let runtime = &place.inner.runtime;
    let journal = place.inner.new_journal();
    let now_ms = runtime.clock.now_ms();
    let seed = place.inner.seed(&place.execution, generation);
    let encoded = &request.input.encoded;
    let shape = encoded.shape.as_ref().map_or(0, |shape| shape.fingerprint);
    let header = Header {
        execution: place.execution.clone(),
        generation,
        created_ms: now_ms,
        seed,
        version: request.spec.version.to_string(),
        source: request.spec.source,
        input_digest: request.input.digest,
        input_preview: request.input.preview.clone(),
        input_codec: encoded.codec,
        input_shape: shape,
        input: encoded.bytes.clone(),
    };
    let numbers = Arc::new(Numbers::new(journal, Seq(1)));
    let attempt = attempt(place, request, generation, 1, seed, fresh);
    let replay = Replay::new(Arc::default()).expect("an empty journal has no record that could be malformed");
    let context = Context::new(attempt, runtime.clone(), numbers.clone(), Arc::default(), replay, true);
    let key = RowKey::from(journal.0.to_be_bytes());
    let mut rows = vec![
        Row { table: Table::Execution, key, value: Some(header.write()) },
        Row {
            table: Table::Name,
            key: RowKey::from(name_key(&place.execution, generation)),
            value: Some(journal.0.to_be_bytes().to_vec()),
        },
        context.state(Status::Running, ""),
        unfinished_row(journal, Standing::Unfinished),
    ];
    rows.extend(cancelled.into_iter().flat_map(|stored| cancel(runtime, stored)));
    rows.extend(
        encoded.shape.as_ref().and_then(|shape| runtime.shape_row(shape.fingerprint, Some(shape.text.clone()))),
    );
    let owner = context.clone();
    runtime.write_then(&numbers, rows, None, Activity::GoesOn, move |landed| {
        if let Err(fault) = &landed {
            owner.leave_with(Exit::Fault(fault.clone()));
        }
        // The caller may have gone away.
        let _ = started.send(landed);
    });
    (context, Recorded { codec: header.input_codec, shape, bytes: header.input })
}

/// A further attempt on the same journal.
fn resume(
    place: &Place,
    request: &Request,
    stored: Stored,
    journal: Arc<Journal>,
    replay: Replay,
) -> (Arc<Context>, Recorded) {
    let Stored { journal: id, header, state } = stored;
    let numbers = Arc::new(Numbers::new(id, journal.next()));
    let attempt = attempt(place, request, header.generation, state.attempts.saturating_add(1), header.seed, false);
    let context = Context::new(attempt, place.inner.runtime.clone(), numbers, journal, replay, false);
    (context, Recorded { codec: header.input_codec, shape: header.input_shape, bytes: header.input })
}

fn attempt(place: &Place, request: &Request, generation: u32, number: u32, seed: [u8; 32], fresh: bool) -> Attempt {
    Attempt {
        execution: place.execution.clone(),
        generation,
        number,
        seed,
        fresh,
        on_divergence: request.spec.on_divergence,
        began_ms: place.inner.runtime.clock.now_ms(),
    }
}

/// The rows by which an unfinished generation becomes `Cancelled`.
fn cancel(runtime: &Runtime, stored: Stored) -> [Row; 2] {
    let state = State {
        status: Status::Cancelled,
        updated_ms: runtime.clock.now_ms(),
        reason: "a new generation was begun over it with .fresh()".to_owned(),
        ..stored.state
    };
    let key = RowKey::from(stored.journal.0.to_be_bytes());
    [Row { table: Table::State, key, value: Some(state.write()) }, unfinished_row(stored.journal, Standing::Finished)]
}

fn flow_future(
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

/// Writes what the attempt came to, and gives it once that is durable.
async fn finish(mut entered: Entered<'_>, context: &Arc<Context>, driven: Driven<Packed>, begun: Instant) -> Ended {
    let packed = match driven {
        Driven::Returned(packed) => packed,
        Driven::Panicked(error) | Driven::Left(Exit::Fail(error)) => Packed::error(&error),
        Driven::Left(Exit::Fault(fault)) => {
            log::flow_ended(&context.attempt, Status::Interrupted, begun.elapsed(), Some(&fault));
            return Ended::Fault(fault);
        }
        Driven::Left(Exit::Stuck { error, shape }) => {
            let error = with_shape(context, error, shape).await;
            log::flow_ended(&context.attempt, Status::Stuck, begun.elapsed(), Some(&error));
            let rows = vec![
                context.state(Status::Stuck, &format!("{error:#}")),
                unfinished_row(context.numbers.journal(), Standing::Finished),
            ];
            entered.ended = true;
            let landed = context.runtime.write(&context.numbers, rows, None, Activity::Ends).await;
            return Ended::Fault(landed.err().unwrap_or(error));
        }
    };
    let status = if packed.class == Class::Value { Status::Completed } else { Status::Failed };
    let failure = (status == Status::Failed)
        .then(|| packed.payload().kitaru_error().unwrap_or_else(|| Error::msg(&packed.preview)));
    let took = begun.elapsed();
    let frame = Frame::End(EndFrame {
        attempt: context.attempt.number,
        started_ms: context.attempt.began_ms,
        duration_us: micros(took),
        preview: &packed.preview,
        payload: packed.payload(),
    })
    .write();
    let reason = failure.as_ref().map(|error| format!("{error:#}")).unwrap_or_default();
    let mut rows = vec![context.state(status, &reason), unfinished_row(context.numbers.journal(), Standing::Finished)];
    rows.extend(context.runtime.shape_row(packed.fingerprint, packed.text.clone()));
    let landed = context.runtime.write(&context.numbers, rows, Some(frame), Activity::Ends);
    entered.ended = true;
    if let Err(fault) = landed.await {
        entered.place.leaves_writes();
        log::flow_ended(&context.attempt, Status::Interrupted, took, Some(&fault));
        return Ended::Fault(fault);
    }
    log::flow_ended(&context.attempt, status, took, failure.as_ref());
    if failure.is_some() && context.replay().started() == 0 && context.attempt.number > 1 {
        log::failed_again(&context.attempt);
    }
    Ended::Outcome(Arc::new(OwnedPayload::new(&packed.payload(), &packed.preview)))
}

/// Adds what the record's shape was, which is kept in the store.
async fn with_shape(context: &Arc<Context>, error: Error, shape: u64) -> Error {
    let runtime = context.runtime.clone();
    match blocking(move || runtime.shape_text(shape)).await {
        Ok(Some(text)) => error.because(format!("it was recorded as {text}")),
        _ => error,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
