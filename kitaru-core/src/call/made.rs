//! The call itself: the future that a checkpoint's function returns. Owns where it was made and its options; must not
//! know what happens to it in a flow.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use crate::call::body::{self, Body};
use crate::call::durable::Durable;
use crate::call::meta::Spec;
use crate::call::options::{Options, Outage, Summarize};
use crate::call::origin::Origin;
use crate::call::resolution::Happened;
use crate::call::tries::Tries;
use crate::context::{Ambient, BodyScope};
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::machine::Backoff;
use crate::shown::short;
use crate::value::Key;

/// A checkpoint that was called and has not run yet.
///
/// It is a future. Awaiting it in a flow gives the recorded outcome, or runs the body and gives its outcome once that
/// is durable. A call claims its name and its record when it is made. So the order in which calls are made counts, not
/// the order in which they are polled. Nothing runs before it is polled.
///
/// In another checkpoint's body it runs as a plain part of that body: with its retries and timeout, without a record.
///
/// # Errors
///
/// A call outside a flow gives a `kitaru::Error` that names the way out, if its result can hold one.
///
/// # Panics
///
/// If it is polled outside a flow and its result cannot hold a `kitaru::Error`, or if it is polled after it has
/// answered.
///
/// # Cancel safety
///
/// Dropping it cancels the body. If the outcome was already on its way to the store, it is recorded, which has no other
/// effect. The name stays taken.
#[must_use = "a checkpoint does nothing unless awaited"]
pub struct Call<B: Body> {
    body: B,
    spec: Spec,
    options: Options<B::Output>,
    pub(super) place: CallPlace<B>,
}

impl<B: Body> fmt::Debug for Call<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("checkpoint", &self.spec.name()).finish_non_exhaustive()
    }
}

/// Where a call was made.
pub(super) enum CallPlace<B: Body> {
    /// In a flow's own code.
    Flow(Durable<B>),
    /// In another checkpoint's body.
    Plain {
        scope: Arc<BodyScope>,
        tries: Tries,
        key: Key,
    },
    /// Where it cannot run, and why.
    Nowhere(Option<Error>),
    Done,
}

// The body's future is boxed when it starts, and nothing else is ever pinned.
impl<B: Body> Unpin for Call<B> {}

impl<B: Body> Call<B> {
    pub(crate) fn new(spec: Spec, body: B) -> Self {
        let options = Options {
            retries: spec.meta().retries,
            outage: None,
            backoff: None,
            retry_if: None,
            timeout: spec.meta().timeout,
            total_timeout: spec.meta().total_timeout,
            happened: Happened::Recorded,
        };
        let place = Ambient::with(|ambient| match ambient {
            Ambient::Flow(context) => Durable::make(context, &spec, &body).map(CallPlace::Flow),
            Ambient::Body(scope) => {
                spec.key(&body, |key, _| CallPlace::Plain { scope: scope.nested(key), tries: Tries::new(), key })
            }
            Ambient::Outside => Err(outside(spec.name())),
        });
        Call { body, spec, options, place: place.unwrap_or_else(|error| CallPlace::Nowhere(Some(error))) }
    }

    /// Repeats the body, up to `retries` times, if it ends in an error, a panic or a timeout. The pause between tries
    /// grows exponentially from the attribute's `backoff = "…"`.
    ///
    /// Its arguments must be `Clone` or survive a serde round trip. Otherwise the flow ends with an error that says so,
    /// before anything runs.
    pub fn retries(mut self, retries: u32) -> Self {
        self.options.retries = retries;
        self
    }

    /// How long it waits before each further try, in place of the attribute's `backoff` and `max_backoff`. A pause
    /// longer than [`KitaruBuilder::park_after`](crate::KitaruBuilder::park_after) is recorded. A flow that only waits
    /// is parked meanwhile.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.options.backoff = Some(backoff);
        self
    }

    /// Shows its record under this name, numbered as names are: `intro`, `intro_2`. The name is not part of the key. A
    /// record that was made under another name keeps that name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if let Err(error) = crate::id::check_name("checkpoint", &name) {
            self.place = CallPlace::Nowhere(Some(error));
            return self;
        }
        if let CallPlace::Flow(durable) = &mut self.place {
            durable.rename(self.spec.shown(), &name);
        }
        self.spec.set_label(name);
        self
    }

    /// The JSON schema for what a person says about an interrupted body, if there is one. The macro calls it where
    /// `on_interrupt = "ask"`.
    #[doc(hidden)]
    pub fn described(mut self, schema: fn() -> Option<serde_json::Value>) -> Self {
        self.options.happened = Happened::Described(schema);
        self
    }

    /// Sets the form in which a person gives the outcome of an interrupted body, with
    /// [`Resolution::happened`](crate::Resolution::happened). The JSON schema describes the form, and `read` turns it
    /// into the call's result. Without this, the form is the one in which serde reads the value.
    ///
    /// It has an effect only with `on_interrupt = "ask"`.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # use kitaru_core::doc_support::*;
    /// # run_flow(async {
    /// use kitaru::{Error, dynamic::checkpoint};
    ///
    /// let pay = checkpoint("pay").at_most_once().ask_on_interrupt().run(|| async { Ok::<_, Error>("receipt 7".to_owned()) });
    /// // A person may give the number alone.
    /// let pay = pay.happened_as(serde_json::json!({ "type": "integer" }), |number| Ok(Ok(format!("receipt {number}"))));
    /// assert_eq!(pay.await.unwrap(), "receipt 7");
    /// # });
    /// ```
    pub fn happened_as(
        mut self,
        schema: serde_json::Value,
        read: impl Fn(serde_json::Value) -> Result<B::Output, String> + Send + Sync + 'static,
    ) -> Self {
        self.options.happened = Happened::Read(Box::new((schema, Box::new(read))));
        self
    }

    /// What identifies the call, if it was made in a flow's own code.
    pub(crate) fn identity(&self) -> Option<Key> {
        match &self.place {
            CallPlace::Flow(durable) => Some(durable.identity()),
            CallPlace::Plain { .. } | CallPlace::Nowhere(_) | CallPlace::Done => None,
        }
    }

    /// The execution that the original of a fork began with this call.
    pub(crate) fn begun_by_original(&self) -> Option<ExecutionId> {
        match &self.place {
            CallPlace::Flow(durable) => durable.begun_by_original(),
            CallPlace::Plain { .. } | CallPlace::Nowhere(_) | CallPlace::Done => None,
        }
    }

    /// Whether it was first made after the last time that an attempt failed or a caller resumed the execution.
    pub(crate) fn is_of_this_run(&self) -> bool {
        matches!(&self.place, CallPlace::Flow(durable) if durable.is_of_this_run())
    }

    /// Whether it waits, and has not answered.
    pub(crate) fn is_open(&self) -> bool {
        matches!(&self.place, CallPlace::Flow(durable) if durable.is_open())
    }

    pub(crate) fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// A call that cannot be made, if there is an error.
    pub(crate) fn refused(mut self, error: Option<Error>) -> Self {
        if let Some(error) = error {
            self.place = CallPlace::Nowhere(Some(error));
        }
        self
    }

    /// Adds to the log lines of this call what `summarize` says of its result.
    pub(crate) fn summarized(mut self, summarize: Summarize<B::Output>) -> Self {
        if let CallPlace::Flow(durable) = &mut self.place {
            durable.summarize = Some(summarize);
        }
        self
    }
}

impl<B, T, E> Call<B>
where
    B: Body<Output = Result<T, E>>,
    E: From<Error>,
{
    /// Ends a try that takes longer than this with a [timeout error](Error::is_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Bounds all tries together, with the pauses between them. A try that is running when the time is over ends with a
    /// [timeout error](Error::is_timeout). If the next try could only begin later, the call ends without waiting for
    /// it. The time continues across restarts if a pause was recorded.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.options.total_timeout = Some(timeout);
        self
    }
}

impl<B, T, E> Call<B>
where
    B: Body<Output = Result<T, E>>,
{
    /// Repeats the body only after errors for which `predicate` holds, and after panics and timeouts.
    ///
    /// An error can decide this itself: see [`Error::fatal`] and [`Error::retry_after`].
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # use kitaru::doc_support::*;
    /// # run_flow(async {
    /// use kitaru::{Error, dynamic::checkpoint};
    ///
    /// let charge = checkpoint("charge").run(|| async { Err::<(), _>(Error::msg("card refused")) });
    /// let charged = charge.retries(3).retry_if(|error| error.to_string() != "card refused").await;
    /// assert!(charged.is_err());
    /// # });
    /// ```
    pub fn retry_if(mut self, predicate: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self {
        self.options.retry_if = Some(Box::new(move |result| result.as_ref().err().is_some_and(&predicate)));
        self
    }
}

impl<B, T, E> Call<B>
where
    B: Body<Output = Result<T, E>>,
    E: fmt::Display,
{
    /// Waits for an outage of `what` to end. It repeats the body for this long after its first failure, in place of a
    /// number of [`retries`](Self::retries). No try is cut off when that time is over: the last one begins then.
    /// `asked` says for how long an error asks for no further request. If that is longer than the time that is left,
    /// the wait ends. If it is shorter than the first pause, it is ignored.
    ///
    /// It is meant for services that fail for a while and recover. [`retry_if`](Self::retry_if) says which errors are
    /// an outage; panics and timeouts are not. The first wait is logged as a warning, the others as information. A
    /// pause longer than [`KitaruBuilder::park_after`](crate::KitaruBuilder::park_after) is recorded. A flow that only
    /// waits is parked meanwhile, and [`Execution::pauses`](crate::Execution::pauses) shows the pause.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # use kitaru_core::doc_support::*;
    /// # run_flow(async {
    /// use std::time::Duration;
    /// use kitaru::{Error, dynamic::checkpoint};
    ///
    /// let rate = checkpoint("rate").run(|| async { Ok::<_, Error>(1.08) });
    /// let day = Duration::from_secs(86_400);
    /// assert_eq!(rate.wait_out("the bank", day, |error| error.retry_delay()).await.unwrap(), 1.08);
    /// # });
    /// ```
    pub fn wait_out(
        mut self,
        what: impl Into<String>,
        longest: Duration,
        asked: impl Fn(&E) -> Option<Duration> + Send + Sync + 'static,
    ) -> Self {
        let asked = Box::new(move |result: &Result<T, E>| result.as_ref().err().and_then(&asked));
        let shown = |result: &Result<T, E>| result.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
        self.options.outage = Some(Outage { what: what.into(), longest, asked, shown });
        self
    }
}

impl<B: Body> Future for Call<B> {
    type Output = B::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<B::Output> {
        self.poll_with_origin(cx).map(|(output, _)| output)
    }
}

impl<B: Body> Call<B> {
    pub(crate) fn poll_with_origin(&mut self, cx: &mut TaskContext<'_>) -> Poll<(B::Output, Origin)> {
        let Call { body, spec, options, place } = self;
        let polled = match place {
            CallPlace::Flow(durable) => durable.poll(body, spec, options, cx).map(|output| (output, durable.origin())),
            CallPlace::Plain { scope, tries, .. } => tries
                .poll(body, spec, options, scope, cx)
                .map(|tried| tried.unwrap_or_else(|failure| body::hold::<B>(failure.into_error())))
                .map(|output| (output, tries.origin())),
            CallPlace::Nowhere(error) => {
                // Taken if the attempt ends for it.
                let Some(error) = error.take() else { return Poll::Pending };
                // In a flow the attempt ends: the flow's code must not see what a replay would not show.
                if let Ambient::Flow(context) = Ambient::current() {
                    context.leave_with(crate::machine::Exit::Fail(error));
                    return Poll::Pending;
                }
                Poll::Ready((body::hold::<B>(error), Origin::Replayed))
            }
            CallPlace::Done => panic!("cannot poll the call of a checkpoint: it has answered; await it once"),
        };
        if polled.is_ready() {
            *place = CallPlace::Done;
        }
        polled
    }
}

fn outside(name: &str) -> Error {
    let name = short(name);
    cannot!(
        Kind::Misuse,
        "call checkpoint `{name}`",
        "no flow is in scope",
        "call it in a #[flow], in kitaru::spawn, or in testkit::plain"
    )
}
