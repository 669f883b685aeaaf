//! Running a body: its tries, their timeout, the pauses between them. Owns what happens between the first and the last
//! poll of a body; must not know whether anything is recorded.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use crate::call::body::{Body, MoreTries};
use crate::call::directed::{Cast, is_stopped};
use crate::call::meta::Spec;
use crate::call::options::Options;
use crate::call::origin::Origin;
use crate::clock::{At, Clock, ClockWait, WaitUntil, millis, millis_up};
use crate::context::{Ambient, BodyScope};
use crate::director::Moment;
use crate::entropy;
use crate::error::{Error, Kind, cannot};
use crate::journal::preview_error;
use crate::journal::{FailedTryFrame, Opening};
use crate::log;
use crate::shown::short;
use crate::value::{HIDDEN, Sensitivity};

/// The tries of one call.
pub(crate) struct Tries {
    failures: u32,
    /// The last of the failed tries.
    failed: Vec<FailedTryFrame>,
    /// When the first try began. For an outage, when the first try failed. 0 before that.
    begun_ms: u64,
    /// The time for all of them.
    total: Option<WaitUntil>,
    /// Whether the body itself has begun in this attempt.
    origin: Origin,
    stage: Stage,
}

enum Stage {
    Ready,
    Running {
        timeout: Option<ClockWait>,
        since: Instant,
        cast: Cast,
    },
    Pausing {
        due_ms: u64,
        until: WaitUntil,
    },
    /// Its process is dead.
    NoFurther,
}

/// What ended the tries without a result of the body.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A panic or a timeout: an outcome.
    Outcome(Error),
    /// The call cannot be made like this: not an outcome.
    Misuse(Error),
}

impl Failure {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Failure::Outcome(error) | Failure::Misuse(error) => error,
        }
    }
}

impl Tries {
    pub(crate) fn new() -> Self {
        Tries {
            failures: 0,
            failed: Vec::new(),
            begun_ms: 0,
            total: None,
            origin: Origin::Replayed,
            stage: Stage::Ready,
        }
    }

    /// The tries that an earlier attempt left in a pause.
    pub(crate) fn paused(opening: Opening, clock: &Clock) -> Option<Self> {
        let Opening::Pause { due_ms, begun_ms, failures, failed, .. } = opening else { return None };
        let failed = FailedTryFrame::read_all(&failed).unwrap_or_default();
        let stage = Stage::Pausing { due_ms, until: clock.until(due_ms) };
        Some(Tries { failures, failed, begun_ms, total: None, origin: Origin::Replayed, stage })
    }

    /// What a later attempt needs to continue after the pause.
    pub(crate) fn opening<R>(&self, options: &Options<R>) -> Option<Opening> {
        let Stage::Pausing { due_ms, .. } = &self.stage else { return None };
        let failed = FailedTryFrame::write_all(&self.failed);
        let awaited = options.outage.as_ref().map(|outage| outage.what.clone()).unwrap_or_default();
        Some(Opening::Pause { due_ms: *due_ms, begun_ms: self.begun_ms, failures: self.failures, failed, awaited })
    }

    /// How many tries there were.
    pub(crate) fn count(&self) -> u32 {
        self.failures + 1
    }

    /// Whether the body itself ran, or a stub played it.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// The tries that failed and were followed by another, as a record keeps them.
    pub(crate) fn failed(&self) -> Vec<u8> {
        FailedTryFrame::write_all(&self.failed)
    }

    /// When the pause ends, if there is one.
    pub(crate) fn paused_until(&self) -> Option<u64> {
        match &self.stage {
            Stage::Pausing { due_ms, .. } => Some(*due_ms),
            Stage::Ready | Stage::Running { .. } | Stage::NoFurther => None,
        }
    }

    /// Waits for the end of a pause, if there is one.
    pub(crate) fn poll_pause(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if let Stage::Pausing { until, .. } = &mut self.stage {
            ready!(Pin::new(until).poll(cx));
            self.stage = Stage::Ready;
        }
        Poll::Ready(())
    }

    pub(crate) fn poll<B: Body>(
        &mut self,
        body: &mut B,
        spec: &Spec,
        options: &Options<B::Output>,
        scope: &Arc<BodyScope>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<B::Output, Failure>> {
        loop {
            ready!(self.poll_pause(cx));
            if let Stage::Ready = self.stage
                && let Err(misuse) = self.begin(body, spec, options, scope)
            {
                return Poll::Ready(Err(misuse));
            }
            let tried = ready!(self.poll_try(body, spec, options, scope, cx));
            let failure = match &tried {
                Tried::Over(Ok(value)) => B::failure(value).filter(|_| options.retries_after(value)),
                Tried::Over(Err(error)) => Some(error.clone()).filter(|_| options.outage.is_none()),
                Tried::TooLate(_) => None,
            };
            let asked = match (&tried, &options.outage) {
                (Tried::Over(Ok(value)), Some(outage)) => (outage.asked)(value),
                _ => None,
            };
            let pause = |failure: &Error| self.pause(failure, asked, spec, options, scope);
            match failure.and_then(|failure| Some((pause(&failure)?, failure))) {
                Some((pause, failure)) => {
                    if scope.clock.is_paused_here() {
                        let misuse = Error::time_is_paused(format_args!("checkpoint `{}`", short(spec.name())));
                        return Poll::Ready(Err(Failure::Misuse(misuse)));
                    }
                    let failure = match (&tried, &options.outage) {
                        (Tried::Over(Ok(value)), Some(outage)) => Error::msg((outage.shown)(value)),
                        _ => failure,
                    };
                    self.fail(&failure, pause, spec, options, scope);
                }
                None => {
                    return Poll::Ready(match tried {
                        Tried::Over(tried) => tried.map_err(Failure::Outcome),
                        Tried::TooLate(error) => Err(Failure::Outcome(error)),
                    });
                }
            }
        }
    }

    /// Begins the next try.
    fn begin<B: Body>(
        &mut self,
        body: &mut B,
        spec: &Spec,
        options: &Options<B::Output>,
        scope: &Arc<BodyScope>,
    ) -> Result<(), Failure> {
        let more = match options.outage.is_some() || self.failures < options.retries {
            true => MoreTries::Possible,
            false => MoreTries::None,
        };
        let cast = Cast::of(body, spec, scope);
        scope.begin_try();
        // The user's code also makes the future: `|args| body(args)`.
        if cast.is_itself() {
            if !body.begin(more) {
                return Err(Failure::Misuse(cannot_repeat(spec.name(), options.retries)));
            }
            self.origin = Origin::Ran;
        }
        if self.begun_ms == 0 {
            self.begun_ms = scope.clock.steady_ms();
        }
        if self.total.is_none() {
            if options.total_timeout.is_some() && scope.clock.is_paused_here() {
                let misuse = Error::time_is_paused(format_args!("checkpoint `{}`", short(spec.name())));
                return Err(Failure::Misuse(misuse));
            }
            self.total = options.total_ms(self.begun_ms).map(|end_ms| scope.clock.until(end_ms));
        }
        // In the time of the runtime that polls the body: a test may have paused it for both.
        let timeout = options.timeout.map(|timeout| scope.clock.sleep_here(timeout));
        self.stage = match is_stopped(spec, scope, Moment::Begins) {
            false => Stage::Running { timeout, since: Instant::now(), cast },
            true => Stage::NoFurther,
        };
        Ok(())
    }

    fn poll_try<B: Body>(
        &mut self,
        body: &mut B,
        spec: &Spec,
        options: &Options<B::Output>,
        scope: &Arc<BodyScope>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Tried<B::Output>> {
        let Stage::Running { timeout, cast, .. } = &mut self.stage else { return Poll::Pending };
        if is_stopped(spec, scope, Moment::Continues) {
            return Poll::Pending;
        }
        let _entered = Ambient::Body(scope.clone()).enter();
        let polled = catch_unwind(AssertUnwindSafe(|| cast.poll(body, spec, scope, cx)));
        let tried = match polled {
            Ok(Poll::Ready(value)) => Tried::Over(Ok(value)),
            Err(panic) => Tried::Over(Err(Error::panicked(&format!("checkpoint `{}`", short(spec.name())), panic))),
            Ok(Poll::Pending) => {
                let is_over = |time: Option<Pin<&mut dyn Future<Output = ()>>>, cx: &mut TaskContext<'_>| {
                    time.is_some_and(|time| time.poll(cx).is_ready())
                };
                let late = if is_over(self.total.as_mut().map(|total| Pin::new(total) as _), cx) {
                    Tried::TooLate(timed_out((spec, scope), "all its tries took longer than", options.total_timeout))
                } else if is_over(timeout.as_mut().map(|timeout| Pin::new(timeout) as _), cx) {
                    Tried::Over(Err(timed_out((spec, scope), "it took longer than", options.timeout)))
                } else {
                    if is_stopped(spec, scope, Moment::Suspends) {
                        self.stage = Stage::NoFurther;
                    }
                    return Poll::Pending;
                };
                scope.cancel();
                late
            }
        };
        // Dropped where it was polled: its drop may call what a body may call.
        body.end();
        if is_stopped(spec, scope, Moment::Ends) {
            self.stage = Stage::NoFurther;
            return Poll::Pending;
        }
        Poll::Ready(tried)
    }

    /// How long to pause before the next try, if there is one.
    fn pause<R>(
        &self,
        failure: &Error,
        asked: Option<Duration>,
        spec: &Spec,
        options: &Options<R>,
        scope: &BodyScope,
    ) -> Option<Duration> {
        if failure.is_fatal() {
            return None;
        }
        let now_ms = scope.clock.steady_ms();
        let backoff = options.backoff.unwrap_or(spec.meta().backoff);
        let asked = asked.or_else(|| failure.retry_delay()).map(|asked| asked.min(Error::MOST_RETRY_AFTER));
        let grown = |failures: u32| backoff.pause(failures.saturating_add(1), chance_of_jitter(scope));
        if let Some(outage) = &options.outage {
            // A requested pause of no time, such as a date in the past, would repeat requests without a rest for a day.
            let asked = asked.filter(|asked| !backoff.is_no_rest(*asked));
            let pause = || asked.unwrap_or_else(|| grown(self.failures));
            let since_ms = if self.failures == 0 { now_ms } else { self.begun_ms };
            let left = since_ms.saturating_add(millis(outage.longest)).saturating_sub(now_ms);
            if left == 0 || asked.is_some_and(|asked| millis(asked) > left) {
                return None;
            }
            // The last try begins when the time is over.
            return Some(pause().min(Duration::from_millis(left)));
        }
        if self.failures >= options.retries {
            return None;
        }
        let pause = asked.unwrap_or_else(|| grown(self.failures));
        let next_ms = scope.clock.due_ms(pause);
        // A try that could not begin in time is not waited for.
        options.total_ms(self.begun_ms).is_none_or(|end_ms| next_ms < end_ms).then_some(pause)
    }

    fn fail<R>(&mut self, failure: &Error, pause: Duration, spec: &Spec, options: &Options<R>, scope: &BodyScope) {
        let Stage::Running { since, .. } = &self.stage else { unreachable!("a try fails while it runs") };
        let sensitivity = spec.meta().sensitivity;
        let due_ms = scope.clock.due_ms(pause);
        if options.outage.is_some() && self.failures == 0 {
            self.begun_ms = scope.clock.steady_ms();
        }
        self.failures += 1;
        let context = scope.context();
        let execution = context.as_ref().map(|context| &context.attempt.execution);
        context.iter().for_each(|context| context.runtime.counters.count_retry());
        match &options.outage {
            Some(outage) => {
                log::waits_out(
                    execution,
                    spec.shown(),
                    &outage.what,
                    self.failures,
                    (At(due_ms), pause),
                    sensitivity,
                    failure,
                );
            }
            None => {
                log::trying_again(execution, spec.shown(), self.failures, options.retries, pause, sensitivity, failure)
            }
        }
        if self.failed.len() == FailedTryFrame::MOST {
            self.failed.remove(0);
        }
        self.failed.push(FailedTryFrame {
            took_us: u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX),
            pause_ms: millis(pause),
            error: match sensitivity {
                Sensitivity::Shown => preview_error(failure),
                Sensitivity::Hidden => HIDDEN.to_owned(),
            },
        });
        self.stage = Stage::Pausing { due_ms, until: scope.clock.until(due_ms) };
    }
}

/// How a try ended.
enum Tried<R> {
    Over(Result<R, Error>),
    /// The time for all tries is over.
    TooLate(Error),
}

impl<R> Options<R> {
    /// When the time for all tries ends, if it is bounded.
    fn total_ms(&self, begun_ms: u64) -> Option<u64> {
        self.total_timeout.map(|total| begun_ms.saturating_add(millis_up(total)))
    }

    fn retries_after(&self, value: &R) -> bool {
        self.retry_if.as_ref().is_none_or(|retry_if| retry_if(value))
    }
}

fn chance_of_jitter(scope: &BodyScope) -> u64 {
    scope.direction.chance().unwrap_or_else(|| {
        let bytes = entropy::draw();
        u64::from_le_bytes(bytes[..8].try_into().expect("eight of 32 bytes"))
    })
}

fn timed_out((spec, scope): (&Spec, &BodyScope), what: &str, timeout: Option<Duration>) -> Error {
    let timeout = timeout.unwrap_or_default();
    let name = short(spec.name());
    // A checkpoint that runs as a plain function has no execution.
    let of = scope.context().map(|context| format!(" of execution {}", context.attempt.execution)).unwrap_or_default();
    cannot!(Kind::TimedOut, "finish checkpoint `{name}`{of}", "it timed out, {what} {timeout:?}", "raise the timeout")
}

fn cannot_repeat(name: &str, retries: u32) -> Error {
    let name = short(name);
    cannot!(
        Kind::Misuse,
        "call checkpoint `{name}` with {retries} retries",
        "an argument cannot be copied",
        "make it Clone, or call without retries"
    )
}
