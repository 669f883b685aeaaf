//! A call of a flow: the value that the function returns. Owns the options of the call; must not know how an execution
//! is found or begun.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::call::Outcome;
use crate::call::Unpack;
use crate::client::active::Active;
use crate::client::handle::Handle;
use crate::client::{Kitaru, implicit};
use crate::clock::millis;
use crate::context::Ambient;
use crate::context::OnDivergence;
use crate::error::{Error, Kind};
use crate::flow::{FlowFuture, FlowMeta};
use crate::id::ExecutionId;
use crate::journal::{Ask, OwnedPayload, Reuse};
use crate::runtime::PREVIEW_BYTES;
use crate::value::{ArgPreview, ArgSink, Canon, EncodeError, Encoded, Key};

/// A flow that was called and has not begun yet.
///
/// It is a future: awaiting it runs the flow, or continues it where it stopped, or gives its recorded result. Nothing
/// happens before it is polled or [started](FlowCall::start). The flow runs as a task of its own: dropping the call
/// once it has been polled detaches, and never cancels.
///
/// # Errors
///
/// The flow's own error, or a `kitaru::Error` turned into it: the id is taken by an execution with another input, the
/// execution was cancelled or is stuck, the store cannot be opened or fails.
#[must_use = "a flow does nothing unless awaited or started"]
pub struct FlowCall<R> {
    stage: Stage<R>,
}

enum Stage<R> {
    Made(Box<Made<R>>),
    Going(Pin<Box<dyn Future<Output = R> + Send>>),
    Over,
}

struct Made<R> {
    request: Result<Request, Error>,
    on: Option<Kitaru>,
    unpack: fn(&OwnedPayload) -> R,
    fail: fn(Error) -> R,
}

/// Everything that decides which execution a call stands for and what is done about it.
pub(crate) struct Request {
    pub(crate) spec: FlowSpec,
    pub(crate) body: FlowBody,
    pub(crate) id: Option<String>,
    pub(crate) ask: Ask,
    pub(crate) input: Input,
    /// When a new generation is to begin.
    pub(crate) start_at_ms: Option<u64>,
    /// How long it may take from then on.
    pub(crate) deadline: Option<Duration>,
}

impl Request {
    /// What stands for the input where that counts.
    pub(crate) fn input_digest(&self) -> Option<Key> {
        (self.ask != Ask::Cancel).then_some(self.input.digest)
    }
}

/// A flow, as one call sees it.
pub(crate) struct FlowSpec {
    pub(crate) name: Cow<'static, str>,
    pub(crate) version: Cow<'static, str>,
    pub(crate) source: u64,
    pub(crate) on_divergence: Option<OnDivergence>,
    /// Whether a result from the record may surprise: the flow has no arguments and no policy of its own.
    pub(crate) ambiguous: bool,
}

/// Where the flow's function comes from.
pub(crate) enum FlowBody {
    /// It begins from its recorded input, here as in another process.
    Registered(&'static FlowMeta),
    /// It is the caller's own, and only the caller can continue it.
    Own(Box<dyn FnOnce(usize) -> FlowFuture + Send>),
}

pub(crate) struct Input {
    pub(crate) digest: Key,
    pub(crate) preview: String,
    pub(crate) encoded: Encoded,
}

/// A call of a flow, as the macro makes it.
#[doc(hidden)]
pub fn flow_call<A, R, I, C>(
    meta: &'static FlowMeta,
    _: I,
    _: C,
    args: A,
    describe: fn(&A, &mut ArgSink<'_>),
) -> FlowCall<R>
where
    I: crate::flow::Input<A>,
    C: Outcome<R>,
{
    let ambiguous = std::mem::size_of::<A>() == 0 && meta.reuse.is_none();
    let spec = FlowSpec { ambiguous, ..FlowSpec::of(meta) };
    let reuse = meta.reuse.unwrap_or(Reuse::Always);
    FlowCall::new::<C>(
        spec,
        FlowBody::Registered(meta),
        reuse,
        Input::new(meta.name, I::write(&args), |sink| describe(&args, sink)),
    )
}

impl FlowSpec {
    pub(crate) fn of(meta: &FlowMeta) -> Self {
        FlowSpec {
            name: Cow::Borrowed(meta.name),
            version: Cow::Borrowed(meta.version),
            source: meta.source,
            on_divergence: meta.on_divergence,
            ambiguous: false,
        }
    }
}

impl Input {
    pub(crate) fn new(
        flow: &str,
        encoded: Result<Encoded, EncodeError>,
        describe: impl Fn(&mut ArgSink<'_>),
    ) -> Result<Self, Error> {
        let mut canon = Canon::default();
        let mut sink = ArgSink::canonical(&mut canon);
        describe(&mut sink);
        sink.finish().map_err(|error| error.context(format!("flow `{flow}` cannot be called")))?;
        let digest = canon.key(&[flow.as_bytes()]);
        let mut preview = ArgPreview::new(PREVIEW_BYTES);
        describe(&mut ArgSink::preview(&mut preview));
        let encoded = encoded.map_err(|error| match error {
            EncodeError::TooLarge { size, limit } => Error::new(
                Kind::TooLarge,
                format!("the input of flow `{flow}` has {size} bytes, the bound is {limit}; pass where the data is"),
            ),
            EncodeError::Unreadable(why) => Error::new(
                Kind::Unreadable,
                format!("the input of flow `{flow}` could not be read back from what was written: {why}"),
            ),
        })?;
        Ok(Input { digest, preview: preview.to_string(), encoded })
    }
}

impl<R> FlowCall<R> {
    pub(crate) fn new<C: Outcome<R>>(
        spec: FlowSpec,
        body: FlowBody,
        reuse: Reuse,
        input: Result<Input, Error>,
    ) -> Self {
        let request = input.map(|input| Request {
            spec,
            body,
            id: None,
            ask: Ask::Reuse(reuse),
            input,
            start_at_ms: None,
            deadline: None,
        });
        FlowCall {
            stage: Stage::Made(Box::new(Made {
                request,
                on: None,
                unpack: |payload| match C::unpack(&payload.borrow()) {
                    Ok(result) => result,
                    Err(Unpack::CannotHold(error)) => hold::<R, C>(error),
                    Err(Unpack::Unreadable(why)) => hold::<R, C>(Error::new(
                        Kind::Stuck,
                        format!(
                            "the recorded result of the flow cannot be read back as what it returns now: {why}; nothing \
                             is lost. Run the code that recorded it, or run the flow again with .fresh()"
                        ),
                    )),
                },
                fail: hold::<R, C>,
            })),
        }
    }

    /// Runs it on this store instead of the implicit one.
    pub fn on(mut self, kitaru: &Kitaru) -> Self {
        if let Stage::Made(made) = &mut self.stage {
            made.on = Some(kitaru.clone());
        }
        self
    }

    /// Names the execution, with at most 512 bytes. Without it the id is a digest of the flow's input.
    ///
    /// The same id with another input is an error.
    pub fn id(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.with(|request| request.id = Some(id))
    }

    /// Begins a new generation of the execution, which reads nothing of the older ones. An unfinished one becomes
    /// `Cancelled`; one that is running makes this an error.
    ///
    /// `KITARU_CACHE=off` in the environment asks the same of every call.
    pub fn fresh(self) -> Self {
        self.with(|request| request.ask = Ask::Fresh)
    }

    /// What is done if the execution has completed before: a [`Reuse`], or a `Duration` for results not older than
    /// that.
    pub fn reuse(self, reuse: impl Into<Reuse>) -> Self {
        let reuse = reuse.into();
        self.with(|request| {
            if request.ask != Ask::Fresh {
                request.ask = Ask::Reuse(reuse);
            }
            request.spec.ambiguous = false;
        })
    }

    /// Begins at this time, by itself, if the job is a new one; one that has begun before goes on at once. It is recorded,
    /// and [`Queued`](crate::Status::Queued) until then, also for a process that opens the store later. A time that is over
    /// is now.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn doc(report: kitaru_core::FlowCall<Result<(), kitaru_core::Error>>, tomorrow: std::time::SystemTime)
    /// # -> Result<(), kitaru_core::Error> {
    /// let handle = report.id("job-42").start_at(tomorrow).start().await?;
    /// # Ok(()) }
    /// ```
    pub fn start_at(self, time: SystemTime) -> Self {
        let unix_ms = time.duration_since(UNIX_EPOCH).map_or(0, millis);
        self.with(|request| request.start_at_ms = Some(unix_ms))
    }

    /// How long the job may take, from its begin on, if it is a new one: then its flow is dropped where it is, what it has
    /// registered with [`undo`](crate::undo()) runs, and it has failed with a [timeout](Error::is_timeout). It is recorded,
    /// and holds while the flow is parked and across restarts.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), kitaru_core::Error> {
    /// # use std::{future::pending, time::Duration};
    /// # let clock = kitaru_core::Clock::manual();
    /// # let kitaru = kitaru_core::Kitaru::builder().in_memory().clock(clock.clone()).open().await?;
    /// # let report = kitaru_core::dynamic::flow("report").run(|| pending::<Result<(), kitaru_core::Error>>());
    /// let handle = report.id("job-42").deadline(Duration::from_secs(3600)).on(&kitaru).start().await?;
    /// # clock.advance(Duration::from_secs(3600));
    /// assert!(handle.await.unwrap_err().is_timeout());
    /// # Ok(()) }
    /// ```
    pub fn deadline(self, deadline: Duration) -> Self {
        self.with(|request| request.deadline = Some(deadline))
    }

    /// Starts the flow without waiting for its result. The execution is durable when this returns.
    ///
    /// # Errors
    ///
    /// When it cannot be started, for the reasons given at [`FlowCall`].
    ///
    /// # Cancel safety
    ///
    /// Once polled the flow may be started, whether or not this is polled to its end.
    pub async fn start(self) -> Result<Handle<R>, Error> {
        let Stage::Made(made) = self.stage else {
            return Err(Error::new(Kind::Misuse, "a call of a flow is started after it was polled; start it first"));
        };
        let Made { unpack, fail, .. } = *made;
        let (kitaru, execution, active) = made.launch().await?;
        active.recorded().await?;
        Ok(Handle::new(&kitaru.inner, execution, active.ended(), unpack, fail))
    }

    fn with(mut self, change: impl FnOnce(&mut Request)) -> Self {
        if let Stage::Made(made) = &mut self.stage
            && let Ok(request) = &mut made.request
        {
            change(request);
        }
        self
    }
}

impl<R> Made<R> {
    /// Sees to it that the execution is driven. It may not be in the store yet.
    async fn launch(self) -> Result<(Kitaru, ExecutionId, Arc<Active>), Error> {
        let mut request = self.request?;
        if std::env::var_os("KITARU_CACHE").is_some_and(|cache| cache == "off") {
            request.ask = Ask::Fresh;
        }
        let name = &request.spec.name;
        refuse_inside(name)?;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(
                Kind::Misuse,
                format!("flow `{name}` was called outside a tokio runtime; call it in #[tokio::main] or in block_on"),
            ));
        }
        if request.start_at_ms.is_some() && matches!(request.body, FlowBody::Own(_)) {
            return Err(Error::new(
                Kind::Misuse,
                format!("flow `{name}` has no #[flow], so that it cannot begin by itself; call it when it is to begin"),
            ));
        }
        if request.deadline.is_some_and(|deadline| deadline.is_zero()) {
            return Err(Error::new(
                Kind::Misuse,
                format!("flow `{name}` was given a deadline of no time at all, which is over; give it some"),
            ));
        }
        let kitaru = match self.on {
            Some(kitaru) => kitaru,
            None => implicit::kitaru().await?,
        };
        let (execution, active) = kitaru.inner.launch(request, None)?;
        Ok((kitaru, execution, active))
    }
}

impl<R> Unpin for FlowCall<R> {}

impl<R: Send + 'static> Future for FlowCall<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = &mut *self;
        if let Stage::Made(_) = &this.stage {
            let Stage::Made(made) = std::mem::replace(&mut this.stage, Stage::Over) else {
                unreachable!("the stage was matched above")
            };
            let Made { unpack, fail, .. } = *made;
            this.stage = Stage::Going(Box::pin(async move {
                match made.launch().await {
                    Ok((kitaru, execution, active)) => {
                        let handle = Handle::new(&kitaru.inner, execution, active.ended(), unpack, fail);
                        // Whoever waits does not keep the store open.
                        drop(kitaru);
                        handle.await
                    }
                    Err(error) => fail(error),
                }
            }));
        }
        let Stage::Going(going) = &mut this.stage else {
            panic!("a flow's call is polled after it has given its result")
        };
        let polled = going.as_mut().poll(cx);
        if polled.is_ready() {
            this.stage = Stage::Over;
        }
        polled
    }
}

/// An error as the flow's result, which can hold it: the macro asks for that at compile time.
fn hold<R, C: Outcome<R>>(error: Error) -> R {
    C::fail(error).unwrap_or_else(|error| panic!("{error:#}"))
}

/// What stands for a call of a flow that the macro has refused; never run.
#[doc(hidden)]
pub fn refused_flow<R>() -> FlowCall<R> {
    unreachable!("a program with a refused flow does not compile")
}

/// Neither a body nor a flow can record an execution of its own kind as part of itself.
fn refuse_inside(name: &str) -> Result<(), Error> {
    let refuse = |why| Err(Error::new(Kind::Misuse, format!("flow `{name}` was called {why}")));
    Ambient::with(|ambient| match ambient {
        Ambient::Outside => Ok(()),
        Ambient::Body(_) => refuse(
            "in a checkpoint's body, which is one unit of work; call it in a flow's own code or outside flows, and hand \
             its result to the checkpoint",
        ),
        Ambient::Flow(_) => refuse(
            "inside a flow, and child executions are not there yet; call it outside flows, or make its work a plain \
             async function that both flows await",
        ),
    })
}
