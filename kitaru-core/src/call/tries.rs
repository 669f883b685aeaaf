//! Running a body: its tries, their timeout, the pauses between them. Owns what happens from the first poll of a body
//! to its last; must not know whether anything is recorded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use crate::call::body::MoreTries;
use crate::call::meta::Spec;
use crate::call::{Checkpoint, Options};
use crate::chance;
use crate::clock::Sleep;
use crate::context::{Ambient, BodyScope};
use crate::error::{Error, Kind};
use crate::log;

/// The tries of one call.
pub(crate) struct Tries {
    failures: u32,
    stage: Stage,
}

enum Stage {
    Ready,
    Running { timeout: Option<Sleep> },
    Pausing(Sleep),
}

/// What ended the tries without a result of the body's own.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A panic or a timeout: an outcome like any other.
    Outcome(Error),
    /// The call cannot be made like this: no outcome.
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
        Tries { failures: 0, stage: Stage::Ready }
    }

    /// How many tries there were.
    pub(crate) fn count(&self) -> u32 {
        self.failures + 1
    }

    pub(crate) fn poll<B: Checkpoint>(
        &mut self,
        body: &mut B,
        spec: &Spec,
        options: &Options,
        scope: &Arc<BodyScope>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<B::Output, Failure>> {
        loop {
            match &mut self.stage {
                Stage::Ready => {
                    let more = if self.failures < options.retries { MoreTries::Possible } else { MoreTries::None };
                    // The function that makes the future is the user's too: it is `|args| body(args)`.
                    if !body.begin(more) {
                        return Poll::Ready(Err(Failure::Misuse(cannot_repeat(spec.name(), options.retries))));
                    }
                    let timeout = options.timeout.map(|timeout| scope.clock.sleep(timeout));
                    self.stage = Stage::Running { timeout };
                }
                Stage::Running { timeout } => {
                    let tried = {
                        let _entered = Ambient::Body(scope.clone()).enter();
                        let polled = catch_unwind(AssertUnwindSafe(|| body.poll(cx)));
                        let tried = match polled {
                            Ok(Poll::Ready(value)) => Some(Ok(value)),
                            Ok(Poll::Pending) => None,
                            Err(panic) => {
                                Some(Err(Error::panicked(&format!("checkpoint `{}`", spec.name()), panic.as_ref())))
                            }
                        };
                        let is_over = tried.is_some();
                        let tried = tried.or_else(|| {
                            let timeout = timeout.as_mut()?;
                            Pin::new(timeout).poll(cx).is_ready().then(|| Err(timed_out(spec.name(), options)))
                        });
                        if tried.is_some() {
                            // Dropped where it was polled: what it drops may call what a body may call.
                            body.end();
                            if !is_over {
                                scope.cancel();
                            }
                        }
                        tried
                    };
                    let Some(tried) = tried else { return Poll::Pending };
                    let failure = match &tried {
                        Ok(value) => B::failure(value),
                        Err(error) => Some(error.clone()),
                    };
                    let Some(failure) = failure.filter(|_| self.failures < options.retries) else {
                        return Poll::Ready(tried.map_err(Failure::Outcome));
                    };
                    self.failures += 1;
                    let pause = spec.meta().backoff.pause(self.failures, chance_of_jitter());
                    let sensitivity = spec.meta().sensitivity;
                    log::trying_again(spec.shown(), self.failures, options.retries, pause, sensitivity, &failure);
                    self.stage = Stage::Pausing(scope.clock.sleep(pause));
                }
                Stage::Pausing(pause) => {
                    if Pin::new(pause).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.stage = Stage::Ready;
                }
            }
        }
    }
}

fn chance_of_jitter() -> u64 {
    let bytes = chance::unrecorded();
    u64::from_le_bytes(bytes[..8].try_into().expect("eight of 32 bytes"))
}

fn timed_out(name: &str, options: &Options) -> Error {
    let timeout = options.timeout.unwrap_or_default();
    Error::new(Kind::TimedOut, format!("checkpoint `{name}` took longer than its timeout of {timeout:?}"))
}

fn cannot_repeat(name: &str, retries: u32) -> Error {
    Error::new(
        Kind::Misuse,
        format!(
            "checkpoint `{name}` was called with {retries} retries, and an argument of it can neither be cloned nor be \
             rebuilt through serde; make it Clone, or Serialize and Deserialize, or call without retries. Nothing has \
             run"
        ),
    )
}
