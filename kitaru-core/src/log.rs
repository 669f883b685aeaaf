//! The log lines, and the spans around them. They are part of the interface: people read them and scripts look for them. Owns
//! their words; must not know when they are logged.

mod telemetry;

use std::fmt;
use std::time::Duration;

use tracing::{Level, Span, debug_span, enabled, field};

use crate::clock::At;
use crate::context::Attempt;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::journal::Status;
use crate::shown::Shown;
use crate::value::{HIDDEN, Sensitivity};

pub(crate) use telemetry::{SpanKind, call_ended};

const TARGET: &str = "kitaru";

/// The macros of `tracing`, with hidden characters in names, ids, questions and errors escaped: such a text can neither
/// begin a line of its own nor change how another line reads.
macro_rules! lines {
    ($($level:ident)*) => { lines! { $($level)*; $ } };
    ($($level:ident)*; $dollar:tt) => { $(
        macro_rules! $level {
            (target: $target:expr, $dollar($line:tt)+) => {
                tracing::$level!(target: $target, "{}", Shown(format_args!($dollar($line)+)))
            };
        }
    )* };
}

lines! { info warn error }

/// The span of an attempt, in that of its execution.
pub(crate) fn attempt_span(attempt: &Attempt) -> Span {
    let Attempt { execution, generation, number, .. } = attempt;
    let execution = debug_span!(
        target: TARGET,
        "execution",
        flow = &*execution.flow,
        id = &*execution.id,
        generation
    );
    let span = debug_span!(target: TARGET, parent: &execution, "attempt", number);
    telemetry::attempt_span(attempt, span)
}

/// The span of a call that runs.
pub(crate) fn call_span(kind: SpanKind, checkpoint: &str, name: impl Fn() -> String) -> Span {
    let span = debug_span!(target: TARGET, "checkpoint", name = field::Empty);
    if !span.is_disabled() {
        span.record("name", name());
    }
    telemetry::call_span(kind, checkpoint, name, span)
}

/// Whether information lines are enabled.
pub(crate) fn informs() -> bool {
    enabled!(target: TARGET, Level::INFO)
}

/// Whether warnings are enabled.
pub(crate) fn warns() -> bool {
    enabled!(target: TARGET, Level::WARN)
}

pub(crate) fn checkpoint_started(name: &str) {
    info!(target: TARGET, "Checkpoint `{name}` started.");
}

pub(crate) fn checkpoint_finished(name: &str, took: Duration, summary: Option<&str>) {
    info!(target: TARGET, "Checkpoint `{name}` finished in {}{}.", Took(took), SummaryText(summary));
}

pub(crate) fn checkpoint_failed(
    execution: &ExecutionId,
    name: &str,
    took: Duration,
    sensitivity: Sensitivity,
    error: &Error,
) {
    warn!(
        target: TARGET,
        "Checkpoint `{name}` failed in {} (execution {execution}): {}",
        Took(took),
        ShownError(sensitivity, error)
    );
}

pub(crate) fn checkpoint_cached(name: &str, summary: Option<&str>, other_code: bool) {
    let note = if other_code { "; recorded by other code" } else { "" };
    info!(target: TARGET, "Checkpoint `{name}` cached{}{note}.", SummaryText(summary));
}

pub(crate) fn asks(attempt: &Attempt, name: &str, question: &str) {
    let ExecutionId { flow, id } = &attempt.execution;
    let colon = if question.is_empty() { "" } else { ": " };
    info!(target: TARGET, "Flow `{flow}` waits for an answer to `{name}` (execution `{id}`){colon}{question}");
}

pub(crate) fn wait_over(name: &str) {
    info!(target: TARGET, "Wait `{name}` is over.");
}

pub(crate) fn flow_parked(attempt: &Attempt, wakes_in: Option<Duration>) {
    telemetry::attempt_ended(attempt, Status::Waiting, None);
    let ExecutionId { flow, id } = &attempt.execution;
    match wakes_in {
        Some(wait) => {
            info!(target: TARGET, "Flow `{flow}` waits, and resumes in {} (execution `{id}`).", Took(wait));
        }
        None => info!(target: TARGET, "Flow `{flow}` waits (execution `{id}`)."),
    }
}

pub(crate) fn flow_continued_as_new(attempt: &Attempt, starts_in: Option<Duration>) {
    telemetry::attempt_ended(attempt, Status::ContinuedAsNew, None);
    let ExecutionId { flow, id } = &attempt.execution;
    let generation = u64::from(attempt.generation) + 1;
    match starts_in {
        Some(wait) => info!(
            target: TARGET,
            "Flow `{flow}` continues as new in generation {generation}, in {} (execution `{id}`).",
            Took(wait)
        ),
        None => {
            info!(target: TARGET, "Flow `{flow}` continues as new in generation {generation} (execution `{id}`).")
        }
    }
}

pub(crate) fn retention_failed(error: &Error) {
    error!(target: TARGET, "cannot delete finished executions: {error:#}; trying again later");
}

pub(crate) fn indexing_failed(error: &Error) {
    error!(target: TARGET, "cannot index the store, and tries again in 10 s; filtered lists are slow until then: {error:#}");
}

pub(crate) fn not_indexed(error: &Error) {
    error!(target: TARGET, "an execution that cannot be read is left out of filtered lists: {error:#}");
}

pub(crate) fn recovery_failed(error: &Error) {
    if error.is_closed() {
        // It resumes when the store is opened again.
        return;
    }
    error!(target: TARGET, "cannot resume an execution automatically: {error:#}");
}

pub(crate) fn not_registered(function: &str) {
    warn!(target: TARGET, "`{function}` was registered but is not a #[flow]: its executions do not resume automatically.");
}

pub(crate) fn open_to_others(names: &[String]) {
    if !names.is_empty() {
        let names = names.join(", ");
        warn!(
            target: TARGET,
            "The store can be used by others than this user: {names}. They may read what flows record, and keep the \
             store from being opened; remove their access with `chmod -R go= …`."
        );
    }
}

pub(crate) fn place_not_noted(error: &Error) {
    warn!(target: TARGET, "{error:#}. The command `kitaru` does not find this process.");
}

pub(crate) fn unknown_flow(flow: &str) {
    warn!(
        target: TARGET,
        "Flow `{flow}` is not a #[flow] of this program: its unfinished executions resume only when it is called."
    );
}

pub(crate) fn crash_loop(execution: &ExecutionId, deaths: u32, pause: Duration) {
    warn!(
        target: TARGET,
        "Flow `{}` crashed its process in {deaths} attempts in a row (execution `{}`), trying again in {}.",
        execution.flow,
        execution.id,
        Took(pause)
    );
}

pub(crate) fn gave_up(error: &Error) {
    error!(target: TARGET, "{error}");
}

pub(crate) fn trying_again(
    execution: Option<&ExecutionId>,
    name: &str,
    failures: u32,
    retries: u32,
    pause: Duration,
    sensitivity: Sensitivity,
    error: &Error,
) {
    let tries = u64::from(retries) + 1;
    warn!(
        target: TARGET,
        "Checkpoint `{name}` failed (try {failures} of {tries}), trying again in {}{}: {}",
        Took(pause),
        OfExecution(execution),
        ShownError(sensitivity, error)
    );
}

/// The first wait is a warning: the cause may be a wrong address, not an outage.
pub(crate) fn waits_out(
    execution: Option<&ExecutionId>,
    name: &str,
    what: &str,
    failures: u32,
    (next, pause): (At, Duration),
    sensitivity: Sensitivity,
    error: &Error,
) {
    let (pause, error) = (Took(pause), ShownError(sensitivity, error));
    match failures {
        1 => warn!(
            target: TARGET,
            "Checkpoint `{name}` waits for {what}: {error}, next try {next} (in {pause}){}",
            OfExecution(execution)
        ),
        _ => info!(
            target: TARGET,
            "Checkpoint `{name}` waits for {what}: {error}, next try {next} (in {pause}, after {failures} tries)"
        ),
    }
}

pub(crate) fn diverged(error: &Error) {
    warn!(target: TARGET, "{error:#}");
}

pub(crate) fn flow_started(attempt: &Attempt) {
    let Attempt { execution, number, .. } = attempt;
    if *number > 1 {
        info!(target: TARGET, "Flow `{}` continues (execution `{}`, attempt {number}).", execution.flow, execution.id);
    } else {
        info!(target: TARGET, "Flow `{}` started (execution `{}`).", execution.flow, execution.id);
    }
}

pub(crate) fn flow_ended(attempt: &Attempt, status: Status, took: Duration, error: Option<&Error>) {
    telemetry::attempt_ended(attempt, status, error);
    let ExecutionId { flow, id } = &attempt.execution;
    match (status, error) {
        (_, None) => info!(target: TARGET, "Flow `{flow}` finished in {} (execution `{id}`).", Took(took)),
        // Closing a store is not an error.
        (Status::Interrupted, Some(error)) if error.is_closed() => {
            info!(
                target: TARGET,
                "Flow `{flow}` interrupted in {} (execution `{id}`): its store is closed. It resumes when the store is opened \
                 again, or when the flow is called.",
                Took(took)
            );
        }
        // Cancelling is not an error. Its message names the execution.
        (Status::Cancelled, Some(error)) => {
            info!(target: TARGET, "Flow `{flow}` cancelled in {}: {error:#}", Took(took));
        }
        (status, Some(error)) => {
            error!(target: TARGET, "Flow `{flow}` {status} in {} (execution `{id}`): {error:#}", Took(took));
        }
    }
}

/// The runtime of an attempt was dropped.
pub(crate) fn flow_left_by_its_runtime(execution: &ExecutionId) {
    let ExecutionId { flow, id } = execution;
    info!(
        target: TARGET,
        "Flow `{flow}` interrupted (execution `{id}`): its runtime has ended. It resumes on another one of this process, or \
         when the store is opened again."
    );
}

/// The same, for an execution that only a call resumes.
pub(crate) fn flow_dropped(execution: &ExecutionId) {
    let ExecutionId { flow, id } = execution;
    info!(
        target: TARGET,
        "Flow `{flow}` interrupted (execution `{id}`): its runtime has ended. It resumes when the flow is called."
    );
}

/// The grace time of a store that is being closed is over.
pub(crate) fn flow_cut_off(execution: &ExecutionId) {
    let ExecutionId { flow, id } = execution;
    info!(
        target: TARGET,
        "Flow `{flow}` interrupted (execution `{id}`): its store is closed. It resumes when the store is opened again, or when \
         the flow is called."
    );
}

/// A store is released while a body of this process still runs.
pub(crate) fn runs_behind_close(execution: &ExecutionId) {
    let ExecutionId { flow, id } = execution;
    warn!(
        target: TARGET,
        "the store is closed while flow `{flow}` (execution `{id}`) still runs: its code blocks its thread, or its \
         runtime does not run. Nothing of it is recorded any more; use #[checkpoint(blocking)] for work that blocks."
    );
}

/// Without a new body the attempt could only have the same result as before.
pub(crate) fn failed_again(attempt: &Attempt) {
    let ExecutionId { flow, id } = &attempt.execution;
    warn!(
        target: TARGET,
        "Flow `{flow}` failed on an error that an earlier attempt settled (execution `{id}`): its code went past the error, \
         or it is the error of an at_most_once checkpoint. Every attempt gets it again, until Kitaru::resume forgets it."
    );
}

/// The work that an earlier attempt undid stays undone.
pub(crate) fn undone_before(attempt: &Attempt) {
    let ExecutionId { flow, id } = &attempt.execution;
    warn!(
        target: TARGET,
        "Flow `{flow}` keeps its result (execution `{id}`): an earlier attempt undid its work. .fresh() starts over."
    );
}

pub(crate) fn flow_cached(flow: &str, age: Duration, ambiguous: bool) {
    let line = format!("Flow `{flow}` cached (finished {}; .fresh() runs it again)", Ago(age));
    if ambiguous {
        // Without arguments every call has the same id, which is often a mistake.
        warn!(target: TARGET, "{line}");
    } else {
        info!(target: TARGET, "{line}");
    }
}

/// `1.348s`, `15.2s`, `3m 20s`.
struct Took(Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 10.0 {
            write!(f, "{seconds:.3}s")
        } else if seconds < 120.0 {
            write!(f, "{seconds:.1}s")
        } else {
            let seconds = self.0.as_secs();
            write!(f, "{}m {}s", seconds / 60, seconds % 60)
        }
    }
}

/// `3 days ago`, `just now`.
struct Ago(Duration);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (count, unit) = match seconds {
            0 => return f.write_str("just now"),
            1..60 => (seconds, "second"),
            60..3_600 => (seconds / 60, "minute"),
            3_600..86_400 => (seconds / 3_600, "hour"),
            _ => (seconds / 86_400, "day"),
        };
        write!(f, "{count} {unit}{} ago", if count == 1 { "" } else { "s" })
    }
}

/// Where the checkpoint of a line is, if it is part of an execution.
struct OfExecution<'a>(Option<&'a ExecutionId>);

impl fmt::Display for OfExecution<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |execution| write!(f, " (execution {execution})"))
    }
}

struct SummaryText<'a>(Option<&'a str>);

impl fmt::Display for SummaryText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |summary| write!(f, " ({summary})"))
    }
}

struct ShownError<'a>(Sensitivity, &'a Error);

impl fmt::Display for ShownError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Sensitivity::Shown => write!(f, "{:#}", self.1),
            Sensitivity::Hidden => f.write_str(HIDDEN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let took = |ms| Took(Duration::from_millis(ms)).to_string();
        assert_eq!([took(1_348), took(15_234), took(200_000)], ["1.348s", "15.2s", "3m 20s"]);
        let ago = |seconds| Ago(Duration::from_secs(seconds)).to_string();
        assert_eq!(
            [ago(0), ago(1), ago(119), ago(259_200)],
            ["just now", "1 second ago", "1 minute ago", "3 days ago"]
        );
    }
}
