//! A call of a checkpoint: the value that the function returns. Owns its way from being made to being answered. Must
//! not know what drives the flow, nor how a store keeps a record.

mod body;
pub(crate) mod bounds;
mod cancellation;
mod continuing;
mod directed;
mod durable;
mod event;
mod limit;
mod memo;
mod meta;
mod origin;
mod outcome;
pub mod probe;
mod refusals;
mod resolution;
mod timer;
mod tries;
mod wait;
mod with_origin;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use crate::call::durable::Durable;
use crate::call::tries::Tries;
use crate::context::{Ambient, BodyScope};
use crate::error::{Error, Kind};
use crate::machine::Backoff;
use crate::value::Key;

pub(crate) use body::{Body, MoreTries, Site, sealed};
pub use body::{Checkpoint, blocking, call, refused};
pub use cancellation::{Cancellation, cancellation};
pub use continuing::{CallIdentity, Question};
pub use event::{Event, event};
pub use limit::{Timeout, timeout};
pub use meta::CheckpointMeta;
pub(crate) use meta::{Spec, key};
pub use origin::Origin;
pub use outcome::Outcome;
pub(crate) use outcome::{Landing, Packed, Packing, Unpack, Whose};
use resolution::Happened;
pub use resolution::Resolution;
pub use timer::{Sleep, sleep, sleep_until};
#[cfg(any(test, fuzzing))]
pub(crate) use wait::Received;
pub use wait::{Wait, wait};
pub use with_origin::WithOrigin;

/// A checkpoint that was called and has not run yet.
///
/// It is a future: awaiting it in a flow gives the recorded outcome, or runs the checkpoint's body, records what it
/// came to and gives that, once it is durable. It claims its name and its record when it is made, so the order in which
/// calls are made is what counts, not the order in which they are polled. Nothing runs before it is polled.
///
/// Called in another checkpoint's body it runs as a plain part of that body: with its retries and timeout, without a
/// record.
///
/// # Errors
///
/// A call where no flow is in scope gives a `kitaru::Error` that names the way out, if its result can hold one.
///
/// # Panics
///
/// When it is polled where no flow is in scope, and its result cannot hold a `kitaru::Error`; when it is polled after
/// it has answered.
///
/// # Cancel safety
///
/// Dropping it cancels the body. Its outcome is then recorded only if it was on its way to the store already, which
/// does no harm. Its name stays taken.
#[must_use = "a checkpoint does nothing unless awaited"]
pub struct Call<B: Checkpoint> {
    body: B,
    spec: Spec,
    options: Options<B::Output>,
    place: Place<B>,
}

/// What the call's methods set.
pub(crate) struct Options<R> {
    pub(crate) retries: u32,
    /// In place of a number of retries.
    pub(crate) outage: Option<Outage<R>>,
    /// The attribute's, unless set.
    pub(crate) backoff: Option<Backoff>,
    pub(crate) retry_if: Option<RetryIf<R>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) total_timeout: Option<Duration>,
    /// How a person says what the body came to, where it is not known that it ended.
    pub(crate) happened: Happened<R>,
}

/// How long a result that is an error asks to be left alone.
type AskedPause<R> = Box<dyn Fn(&R) -> Option<Duration> + Send + Sync>;

/// Whether a result that is an error is worth another try.
type RetryIf<R> = Box<dyn Fn(&R) -> bool + Send + Sync>;

/// Something outside that may be away for a while, and for how long it is waited for.
pub(crate) struct Outage<R> {
    pub(crate) what: String,
    pub(crate) longest: Duration,
    /// How long a result asks to be left alone.
    pub(crate) asked: AskedPause<R>,
    /// What people are told of a result that is an error.
    pub(crate) shown: fn(&R) -> String,
}

/// What a log line tells of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Occasion {
    /// Its body has run.
    Finished,
    /// A record answers it.
    Cached,
}

/// What a log line adds of a result.
pub type Summarize<R> = fn(&R, Occasion) -> String;

/// Where a call was made.
enum Place<B: Checkpoint> {
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
impl<B: Checkpoint> Unpin for Call<B> {}

impl<B: Checkpoint> Call<B> {
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
            Ambient::Flow(context) => Durable::make(context, &spec, &body).map(Place::Flow),
            Ambient::Body(scope) => {
                spec.key(&body, |key, _| Place::Plain { scope: scope.nested(key), tries: Tries::new(), key })
            }
            Ambient::Outside => Err(outside(spec.name())),
        });
        Call { body, spec, options, place: place.unwrap_or_else(|error| Place::Nowhere(Some(error))) }
    }

    /// Tries the body again, up to `retries` times, when it ends in an error, a panic or a timeout. The pause between
    /// tries grows exponentially; the attribute's `backoff = "…"` says from where.
    ///
    /// Its arguments have to be `Clone`, or to survive a serde round trip; where they do not, the flow ends with an
    /// error that says so before anything runs.
    pub fn retries(mut self, retries: u32) -> Self {
        self.options.retries = retries;
        self
    }

    /// How long it waits before each further try, in place of the attribute's `backoff` and `max_backoff`. A pause that is
    /// longer than [`KitaruBuilder::park_after`](crate::KitaruBuilder::park_after) is recorded, and a flow that has nothing else to do
    /// is dropped from memory meanwhile.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.options.backoff = Some(backoff);
        self
    }

    /// Shows its record under this name, numbered as names are: `intro`, `intro_2`. What answers the call does not
    /// change. A record that was made under another name keeps it.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if let Err(error) = crate::id::check_name("checkpoint", &name) {
            self.place = Place::Nowhere(Some(error));
            return self;
        }
        if let Place::Flow(durable) = &mut self.place {
            durable.rename(self.spec.shown(), &name);
        }
        self.spec.set_label(name);
        self
    }

    /// How a person is told what to say that a body came to which was cut off: as a JSON schema, if there is one. The macro
    /// calls it where `on_interrupt = "ask"`.
    #[doc(hidden)]
    pub fn described(mut self, schema: fn() -> Option<serde_json::Value>) -> Self {
        self.options.happened = Happened::Described(schema);
        self
    }

    /// Takes what a person says of a body that was cut off ([`Resolution::happened`]) in the form that this JSON schema
    /// describes, which `read` makes the call's result of. Without it, it is the value in the form in which serde reads it.
    ///
    /// It counts where `on_interrupt = "ask"` does.
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
            Place::Flow(durable) => Some(durable.identity()),
            Place::Plain { .. } | Place::Nowhere(_) | Place::Done => None,
        }
    }

    /// Whether it was made for the first time since an attempt has failed or been retried, if one has.
    pub(crate) fn is_of_this_run(&self) -> bool {
        matches!(&self.place, Place::Flow(durable) if durable.is_of_this_run())
    }

    /// Whether it waits, and has not answered.
    pub(crate) fn is_open(&self) -> bool {
        matches!(&self.place, Place::Flow(durable) if durable.is_open())
    }

    pub(crate) fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// A call that cannot be made, if there is an error.
    pub(crate) fn refused(mut self, error: Option<Error>) -> Self {
        if let Some(error) = error {
            self.place = Place::Nowhere(Some(error));
        }
        self
    }

    /// Adds to the log lines of this call what `summarize` says of its result.
    pub(crate) fn summarized(mut self, summarize: Summarize<B::Output>) -> Self {
        if let Place::Flow(durable) = &mut self.place {
            durable.summarize = Some(summarize);
        }
        self
    }

    fn poll_with_origin(&mut self, cx: &mut TaskContext<'_>) -> Poll<(B::Output, Origin)> {
        let Call { body, spec, options, place } = self;
        let polled = match place {
            Place::Flow(durable) => durable.poll(body, spec, options, cx).map(|output| (output, durable.origin())),
            Place::Plain { scope, tries, .. } => tries
                .poll(body, spec, options, scope, cx)
                .map(|tried| tried.unwrap_or_else(|failure| hold::<B>(failure.into_error())))
                .map(|output| (output, tries.origin())),
            Place::Nowhere(error) => {
                let error = error.take().expect("a checkpoint's call is polled after it has answered");
                // In a flow the attempt ends: its code is never to see what a replay would not show.
                if let Ambient::Flow(context) = Ambient::current() {
                    context.leave_with(crate::machine::Exit::Fail(error));
                    return Poll::Pending;
                }
                Poll::Ready((hold::<B>(error), Origin::Replayed))
            }
            Place::Done => panic!("a checkpoint's call is polled after it has answered"),
        };
        if polled.is_ready() {
            *place = Place::Done;
        }
        polled
    }
}

impl<B, T, E> Call<B>
where
    B: Checkpoint<Output = Result<T, E>>,
    E: From<Error>,
{
    /// Ends a try of the body that takes longer than this with a [timeout error](Error::is_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Bounds all tries of the body together, with the pauses between them: what runs when this is over ends with a
    /// [timeout error](Error::is_timeout), and a try that could only begin later is not waited for. Where a pause was
    /// recorded the time goes on across restarts.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.options.total_timeout = Some(timeout);
        self
    }
}

impl<B, T, E> Call<B>
where
    B: Checkpoint<Output = Result<T, E>>,
{
    /// Tries the body again only after errors for which `predicate` holds, and after panics and timeouts.
    ///
    /// An error can say so itself, too: see [`Error::fatal`] and [`Error::retry_after`].
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
    B: Checkpoint<Output = Result<T, E>>,
    E: fmt::Display,
{
    /// Waits for `what` while it is away: tries the body again for so long after its first failure, in place of a number of
    /// [`retries`](Self::retries). No try is cut off when that time is over, and the last one begins then. `asked` says how
    /// long an error asks to be left alone; an error that asks for longer than there is left ends the wait, and one that asks for
    /// less than the first pause gets the pause that it would get otherwise.
    ///
    /// It is meant for services that fail for a while and come back. [`retry_if`](Self::retry_if) says which errors tell of
    /// that; panics and timeouts do not. The first wait is a warning in the log, the others are lines for information. A
    /// pause that is longer than [`KitaruBuilder::park_after`](crate::KitaruBuilder::park_after) is recorded, the flow is parked if it
    /// has nothing else to do, and [`Execution::pauses`](crate::Execution::pauses) shows it.
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

impl<B: Checkpoint> Future for Call<B> {
    type Output = B::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<B::Output> {
        self.poll_with_origin(cx).map(|(output, _)| output)
    }
}

/// The error as the call's result.
///
/// # Panics
///
/// Where the result cannot hold one. Outside a durable call nobody else could be told.
fn hold<B: Checkpoint>(error: Error) -> B::Output {
    B::fail(error).unwrap_or_else(|error| panic!("{error:#}"))
}

fn outside(name: &str) -> Error {
    Error::new(
        Kind::Misuse,
        format!(
            "checkpoint `{name}` was called where no flow is in scope, so nothing could be recorded; call it in a \
             #[flow], carry the flow into a branch with kitaru::spawn instead of tokio::spawn, or, in a unit test, \
             wrap the call in kitaru::testkit::plain"
        ),
    )
}

/// A stable key for this call: the same on every attempt and every try of it, another one for every other call and
/// after `.fresh()`.
///
/// Give it to a service that recognises a request it has seen, so that an effect that ran without its record landing
/// is not repeated there. 32 hexadecimal digits, derived from the execution, its generation, the checkpoint, its
/// arguments and the occurrence.
///
/// # Panics
///
/// Outside a checkpoint's body.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// # let body = || async {
/// let key = kitaru::idempotency_key();
/// assert_eq!(key.len(), 32);
/// # Ok::<(), kitaru::Error>(()) };
/// # kitaru::dynamic::checkpoint("charge").run(body).await.unwrap();
/// # });
/// ```
pub fn idempotency_key() -> String {
    Ambient::with(|ambient| match ambient {
        Ambient::Body(scope) => scope.idempotency_key(),
        Ambient::Flow(_) | Ambient::Outside => panic!(
            "kitaru::idempotency_key() was called outside a checkpoint's body; it belongs to one call of a checkpoint: \
             ask for it in the body, before anything is spawned"
        ),
    })
}

/// Whether the body that asks may have run before: the attempt before this one was cut off, by a crash or a kill, and may
/// have begun this body without a record of what it came to.
///
/// `true` is said of the bodies at which the journal ends, one for each branch of the flow: they were about to run, or did,
/// and how far nobody knows. `false` is said of all others: no body begins before it is durable that its attempt may run it.
/// Earlier tries of the same attempt do not count.
///
/// # Panics
///
/// Outside a checkpoint's body.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// # let find = |_: &str| None::<u32>;
/// # let charge = |_: &str| 7;
/// # let body = || async move {
/// let key = kitaru::idempotency_key();
/// // To look costs a request, and is of use only after a crash.
/// let charged = if kitaru::may_have_run() { find(&key) } else { None };
/// let receipt = charged.unwrap_or_else(|| charge(&key));
/// # assert_eq!(receipt, 7);
/// # Ok::<(), kitaru::Error>(()) };
/// # kitaru::dynamic::checkpoint("charge").run(body).await.unwrap();
/// # });
/// ```
pub fn may_have_run() -> bool {
    Ambient::with(|ambient| match ambient {
        Ambient::Body(scope) => scope.may_have_run(),
        Ambient::Flow(_) | Ambient::Outside => panic!(
            "kitaru::may_have_run() was called outside a checkpoint's body; it is said of one call of a checkpoint: ask \
             for it in the body, before anything is spawned"
        ),
    })
}
