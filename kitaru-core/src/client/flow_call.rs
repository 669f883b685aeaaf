//! A call of a flow: the value that the function returns. Owns the options of the call; must not know how an execution is found
//! or begun.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::call::Outcome;
use crate::call::Unpack;
use crate::call::{ChildCall, ChildOptions, ChildWish, Claimed};
use crate::client::continue_as_new::ContinueAsNew;
use crate::client::decode::Decode;
use crate::client::handle::Handle;
use crate::client::implicit;
use crate::client::kitaru::Kitaru;
use crate::client::refusals::refuse_inside;
use crate::clock::millis;
use crate::context::Ambient;
use crate::engine::{Awaited, Ended, ended};
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::journal::OwnedPayload;
use crate::machine::{Ask, Exit, Reuse};
use crate::program::FlowMeta;
use crate::request::{FlowBody, FlowSpec, Request, RequestInput, check};
use crate::shown::short;
use crate::value::ArgSink;

/// A call of a flow that has not begun yet.
///
/// It is a future: awaiting it runs the flow, resumes it where it stopped, or gives its recorded result. Nothing happens before
/// it is polled or [started](FlowCall::start). The flow runs in a task of its own: dropping a polled call detaches, and never
/// cancels.
///
/// # Errors
///
/// The flow's own error, or a `kitaru::Error` turned into it: an execution with another input has the id, the execution was
/// cancelled or is stuck, the store cannot be opened or fails.
#[must_use = "a flow does nothing unless awaited or started"]
pub struct FlowCall<R> {
    stage: Stage<R>,
}

enum Stage<R> {
    Made(Box<Made<R>>),
    /// In another flow's own code.
    Child(Box<ChildOf<R>>),
    Going(Pin<Box<dyn Future<Output = R> + Send>>),
    Over,
}

struct Made<R> {
    request: Result<Request, Error>,
    on: Option<Kitaru>,
    /// If it was called in another flow's own code.
    claimed: Option<Claimed>,
    detached: bool,
    decode: Decode<R>,
}

impl<R> fmt::Debug for FlowCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Made(_) => "made",
            Stage::Child(_) => "child",
            Stage::Going(_) => "started",
            Stage::Over => "over",
        };
        f.debug_struct("FlowCall").field("stage", &stage).finish_non_exhaustive()
    }
}

/// A call in another flow's own code, and how its outcome becomes the flow's result.
struct ChildOf<R> {
    call: ChildCall,
    decode: Decode<R>,
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
        RequestInput::new(meta.name, I::write(&args), |sink| describe(&args, sink)),
    )
}

impl<R> FlowCall<R> {
    pub(crate) fn new<C: Outcome<R>>(
        spec: FlowSpec,
        body: FlowBody,
        reuse: Reuse,
        input: Result<RequestInput, Error>,
    ) -> Self {
        // In a flow's own code the call takes its place among the flow's calls now, before its options are known.
        let claimed = match (&input, Ambient::with(|ambient| matches!(ambient, Ambient::Flow(_)))) {
            (Ok(input), true) => Some(Claimed::make(&spec.name, input)),
            _ => None,
        };
        let request = input.map(|input| Request::new(spec, body, None, Ask::Reuse(reuse), input));
        let unpack = |execution: &ExecutionId, payload: &OwnedPayload| match C::unpack(&payload.borrow()) {
            Ok(result) => Ok(result),
            Err(Unpack::CannotHold(error)) => Ok(hold::<R, C>(error)),
            Err(Unpack::Unreadable(why)) => Err(cannot!(
                Kind::Stuck,
                "read the result of execution {execution}",
                "it has another type: {why}",
                "run the code that recorded it, or use .fresh()"
            )),
        };
        let decode = Decode { unpack, fail: hold::<R, C> };
        FlowCall { stage: Stage::Made(Box::new(Made { request, on: None, claimed, detached: false, decode })) }
    }

    /// Runs it on this store instead of the implicit one.
    pub fn on(mut self, kitaru: &Kitaru) -> Self {
        if let Stage::Made(made) = &mut self.stage {
            made.on = Some(kitaru.clone());
        }
        self
    }

    /// Sets the id of the execution, at most 512 bytes. Without it the id is a digest of the flow's input.
    ///
    /// It is an error to use the same id with another input.
    pub fn id(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.with(|request| request.id = Some(id))
    }

    /// Begins a new generation of the execution, which reads nothing of the older ones. An unfinished generation becomes
    /// `Cancelled`. If one is running, the call is an error.
    ///
    /// `KITARU_CACHE=off` in the environment does the same for every call.
    pub fn fresh(self) -> Self {
        self.with(|request| request.ask = Ask::Fresh)
    }

    /// Whether a completed execution's result is used again: a [`Reuse`], or a `Duration` for results not older than that.
    pub fn reuse(self, reuse: impl Into<Reuse>) -> Self {
        let reuse = reuse.into();
        self.with(|request| {
            if request.ask != Ask::Fresh {
                request.ask = Ask::Reuse(reuse);
            }
            request.spec.ambiguous = false;
        })
    }

    /// Begins a new execution at this time, automatically. An execution that has begun before resumes immediately. The new
    /// execution is recorded, and [`Queued`](crate::Status::Queued) until then, also for a process that opens the store later.
    /// A time in the past means now.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # extern crate kitaru_core as kitaru;
    /// # async fn doc(report: kitaru::FlowCall<Result<(), kitaru::Error>>, tomorrow: std::time::SystemTime)
    /// # -> Result<(), kitaru::Error> {
    /// let handle = report.id("job-42").start_at(tomorrow).start().await?;
    /// # Ok(()) }
    /// ```
    pub fn start_at(self, time: SystemTime) -> Self {
        let unix_ms = time.duration_since(UNIX_EPOCH).map_or(0, millis);
        self.with(|request| request.start_at_ms = Some(unix_ms))
    }

    /// How long a new execution may take, from its begin. After that its flow is dropped, the steps that it registered with
    /// [`undo`](crate::undo()) run, and it fails with a [timeout](Error::is_timeout). The deadline is recorded, and holds while
    /// the flow is parked and across restarts.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use std::{future::pending, time::Duration};
    /// # let clock = kitaru::Clock::manual();
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().clock(clock.clone()).open().await?;
    /// # let report = kitaru::dynamic::flow("report").run(|| pending::<Result<(), kitaru::Error>>());
    /// let handle = report.id("job-42").deadline(Duration::from_secs(3600)).on(&kitaru).start().await?;
    /// # clock.advance(Duration::from_secs(3600));
    /// assert!(handle.await.unwrap_err().is_timeout());
    /// # Ok(()) }
    /// ```
    pub fn deadline(self, deadline: Duration) -> Self {
        self.with(|request| request.deadline = Some(deadline))
    }

    /// Tags the execution, if it is new: [`executions().tag(…)`](crate::ListRequest::tag) finds it by any of its tags. A tag is
    /// a text of 1 to [`MAX_TAG_BYTES`](crate::MAX_TAG_BYTES) bytes without control characters. An execution has at most
    /// [`MAX_TAGS`](crate::MAX_TAGS). Repeating a tag has no effect.
    ///
    /// Tags belong to the generation that the call begins, and never change. A continuation keeps them, unless its call sets
    /// tags: then it has only those. With [`fresh`](Self::fresh) the new generation has only the tags of that call.
    ///
    /// Everyone who can list executions sees the tags: do not put secrets in them.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let report = kitaru::dynamic::flow("report").run(|| async { Ok::<_, kitaru::Error>(7) });
    /// report.id("job-42").tag("nightly").tag("customer: ACME").on(&kitaru).await?;
    /// let execution = kitaru.execution(("report", "job-42")).await?.expect("it is there");
    /// assert_eq!(execution.tags(), ["customer: ACME", "nightly"]);
    /// # Ok(()) }
    /// ```
    pub fn tag(self, tag: impl Into<String>) -> Self {
        let tag = tag.into();
        self.with(|request| {
            request.tags.insert(tag);
        })
    }

    /// Starts the flow without waiting for its result. The execution is durable when this returns.
    ///
    /// # Errors
    ///
    /// When the flow cannot be started, for the reasons given at [`FlowCall`].
    ///
    /// # Cancel safety
    ///
    /// Once polled, the flow may be started, whether or not this is polled to its end.
    pub async fn start(self) -> Result<Handle<R>, Error> {
        let Stage::Made(made) = self.stage else {
            return Err(cannot!(Kind::Misuse, "start a call of a flow", "it was polled before", "call .start() first"));
        };
        let decode = made.decode;
        if made.claimed.is_some() {
            return made.start_child().await;
        }
        let (kitaru, execution, active) = made.launch().await?;
        active.recorded().await?;
        Ok(Handle::new(&kitaru.inner, execution, ended(active), decode))
    }

    /// Continues the flow around this call in a new generation, with the arguments of this call and an empty journal. It is for
    /// flows without end, whose journal would otherwise grow forever. `return` it from the flow.
    ///
    /// Id, parent, deadline and tags stay, unless the call sets another deadline or other tags. With
    /// [`start_at`](Self::start_at) the new generation begins at that time. Signals that the flow has not taken, and early
    /// answers, move to the new generation. Steps of [`undo`](crate::undo()) and running calls do not. Callers of the execution
    /// keep waiting. A call from outside still uses the arguments of the first generation.
    ///
    /// # Errors
    ///
    /// The attempt fails with a [misuse](Error::is_misuse) if this is a call of another flow, or of a flow without `#[flow]`.
    ///
    /// # Panics
    ///
    /// When it is polled outside a flow's own code.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # extern crate kitaru_core as kitaru;
    /// # fn poller(next: u64) -> kitaru::FlowCall<Result<u64, kitaru::Error>> { unimplemented(next) }
    /// # fn unimplemented<T>(_: u64) -> T { std::process::exit(1) }
    /// # async fn doc(next: u64) -> Result<u64, kitaru::Error> {
    /// // At the end of `async fn poller(page: u64)`:
    /// return poller(next).continue_as_new().await;
    /// # }
    /// ```
    pub fn continue_as_new(self) -> ContinueAsNew<R> {
        ContinueAsNew::new(match self.stage {
            Stage::Made(made) => made.request,
            _ => Err(cannot!(
                Kind::Misuse,
                "continue as new",
                "the call of the flow was polled",
                "call .continue_as_new() first"
            )),
        })
    }

    /// Lets the called flow continue when the calling flow is cancelled. Without it, a cancelled parent first cancels the
    /// child, if this call began it and the parent still awaits it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # extern crate kitaru_core as kitaru;
    /// # async fn doc(newsletter: kitaru::FlowCall<Result<(), kitaru::Error>>) -> Result<(), kitaru::Error> {
    /// newsletter.detached().await?;
    /// # Ok(()) }
    /// ```
    pub fn detached(mut self) -> Self {
        if let Stage::Made(made) = &mut self.stage {
            made.detached = true;
        }
        self
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
    /// The options of a child's call, checked.
    fn child(self, wish: ChildWish) -> Result<(ChildCall, Option<Request>), Error> {
        let request = self.request?;
        let name = short(&request.spec.name);
        let (Some(claimed), Ambient::Flow(context)) = (self.claimed, Ambient::current()) else {
            return Err(cannot!(
                Kind::Misuse,
                "call flow `{name}` in another flow",
                "it is polled outside that flow",
                "await it there, or in kitaru::spawn"
            ));
        };
        let own = |kitaru: &Kitaru| {
            let own = context.executions.upgrade();
            own.is_some_and(|own| std::ptr::addr_eq(Arc::as_ptr(&own), Arc::as_ptr(&kitaru.inner)))
        };
        if self.on.is_some_and(|kitaru| !own(&kitaru)) {
            return Err(cannot!(
                Kind::Misuse,
                "call flow `{name}` in another flow",
                "it names another store",
                "call it through a program that owns that store"
            ));
        }
        if request.ask == Ask::Fresh {
            return Err(cannot!(
                Kind::Misuse,
                "call flow `{name}` in another flow",
                "only that flow can begin both again",
                "use that flow's .fresh(), or another .id(…)"
            ));
        }
        let again = if wish == ChildWish::Start { request.again() } else { None };
        if wish == ChildWish::Start && again.is_none() {
            return Err(cannot!(
                Kind::Misuse,
                "call flow `{name}` in another flow",
                "no process could resume it, as it has no #[flow]",
                "await it"
            ));
        }
        check(&request, context.runtime.max_outcome_bytes)?;
        let asked = ChildOptions { context, request, wish, detached: self.detached };
        Ok((claimed.call(asked)?, again))
    }

    /// A flow that another flow starts, which may await its result.
    async fn start_child(self) -> Result<Handle<R>, Error> {
        let decode = self.decode;
        let (call, again) = self.child(ChildWish::Start)?;
        let context = call.context().clone();
        let (execution, executions, is_of_this_run) =
            (call.execution.clone(), call.executions(), call.is_of_this_run());
        call.await?;
        let Some(mut request) = again else { unreachable!("only what can be asked for again is started") };
        request.id = Some(execution.id.to_string());
        if is_of_this_run {
            // A failure before the parent awaits it is its outcome, as if the parent had always awaited it.
            request.ask = Ask::Outcome;
        }
        let claimed = Claimed::result_of(&execution, &request.input);
        let call = claimed.call(ChildOptions { context, request, wish: ChildWish::Outcome, detached: true })?;
        let ended = async { call.await.map_or_else(Ended::Fault, Ended::Outcome) };
        Ok(Handle::of_child(executions, execution, ended, decode))
    }

    /// Makes sure that the execution is driven. It may not be in the store yet.
    async fn launch(self) -> Result<(Kitaru, ExecutionId, Awaited), Error> {
        let mut request = self.request?;
        if std::env::var_os("KITARU_CACHE").is_some_and(|cache| cache == "off") {
            request.ask = Ask::Fresh;
        }
        let name = &request.spec.name;
        refuse_inside(name)?;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err({
                let name = short(name);
                cannot!(
                    Kind::Misuse,
                    "run flow `{name}`",
                    "it was called outside a tokio runtime",
                    "call it in #[tokio::main] or in block_on"
                )
            });
        }
        let kitaru = match self.on {
            Some(kitaru) => kitaru,
            None => implicit::kitaru().await?,
        };
        check(&request, kitaru.inner.runtime.max_outcome_bytes)?;
        let (execution, active) = kitaru.inner.launch(request)?.settled().await?;
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
            let decode = made.decode;
            this.stage = if made.claimed.is_some() {
                match made.child(ChildWish::Outcome) {
                    Ok((call, _)) => Stage::Child(Box::new(ChildOf { call, decode })),
                    Err(error) => return Poll::Ready((decode.fail)(error)),
                }
            } else {
                Stage::Going(Box::pin(async move {
                    match made.launch().await {
                        Ok((kitaru, execution, active)) => {
                            let handle = Handle::new(&kitaru.inner, execution, ended(active), decode);
                            // A caller that waits does not keep the store open.
                            drop(kitaru);
                            handle.await
                        }
                        Err(error) => (decode.fail)(error),
                    }
                }))
            };
        }
        let polled = match &mut this.stage {
            Stage::Going(going) => going.as_mut().poll(cx),
            Stage::Child(child) => child.poll(cx),
            Stage::Made(_) | Stage::Over => {
                panic!("cannot poll the call of a flow: it has given its result; await it once")
            }
        };
        if polled.is_ready() {
            this.stage = Stage::Over;
        }
        polled
    }
}

impl<R> ChildOf<R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<R> {
        let Poll::Ready(came) = Pin::new(&mut self.call).poll(cx) else { return Poll::Pending };
        let payload = match came {
            Ok(payload) => payload,
            Err(error) => return Poll::Ready((self.decode.fail)(error)),
        };
        match (self.decode.unpack)(&self.call.execution, &payload) {
            Ok(result) => Poll::Ready(result),
            Err(error) => {
                self.call.leave_with(Exit::Stuck { error, shape: payload.borrow().shape });
                Poll::Pending
            }
        }
    }
}

/// Turns an error into the flow's result, which can hold it: the macro checks that at compile time.
fn hold<R, C: Outcome<R>>(error: Error) -> R {
    C::fail(error).unwrap_or_else(|error| panic!("{error:#}"))
}

/// A placeholder for a call of a flow that the macro has refused. It never runs.
#[doc(hidden)]
pub fn refused_flow<R>() -> FlowCall<R> {
    unreachable!("a program with a refused flow does not compile")
}
