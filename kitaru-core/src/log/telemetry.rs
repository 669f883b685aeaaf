//! What tools that trace programs learn: a span for each attempt and for each call that runs, and an event when an execution
//! ends. They have a target and a level of their own, so that no log shows them unless it is asked to. Owns their names and
//! fields; must not know when they are made.

use tracing::{Span, event, field, trace_span};

use crate::context::Attempt;
use crate::error::Error;
use crate::journal::Status;

const TARGET: &str = "kitaru::telemetry";

/// What all attempts of a generation have in common, in every process: the ids of its trace and of the root span.
struct TraceIds {
    trace: u128,
    root: u64,
}

impl TraceIds {
    fn of(attempt: &Attempt) -> Self {
        let Attempt { execution, generation, seed, created_ms, .. } = attempt;
        let mut hasher = blake3::Hasher::new_derive_key("kitaru 2026 trace of a generation");
        hasher.update(seed);
        hasher.update(&created_ms.to_le_bytes());
        hasher.update(&generation.to_le_bytes());
        // The name is framed by its length.
        hasher.update(&execution.flow.len().to_le_bytes());
        hasher.update(execution.flow.as_bytes());
        hasher.update(execution.id.as_bytes());
        let mut ids = [0; 24];
        hasher.finalize_xof().fill(&mut ids);
        let (trace, root) = ids.split_at(16);
        // An id of zero is none.
        TraceIds {
            trace: u128::from_le_bytes(trace.try_into().expect("16 bytes")).max(1),
            root: u64::from_le_bytes(root.try_into().expect("8 bytes")).max(1),
        }
    }
}

/// The span of an attempt, in `within`.
pub(super) fn attempt_span(attempt: &Attempt, within: Span) -> Span {
    let made = || {
        trace_span!(
            target: TARGET,
            "attempt",
            trace = field::Empty,
            root = field::Empty,
            kitaru.flow = &*attempt.execution.flow,
            kitaru.execution = &*attempt.execution.id,
            kitaru.generation = attempt.generation,
            kitaru.attempt = attempt.number,
            kitaru.status = field::Empty,
            error = field::Empty,
        )
    };
    // As a parent, a span that is disabled would leave the new one without any.
    let span = within.in_scope(made);
    if span.is_disabled() {
        return within;
    }
    let TraceIds { trace, root } = TraceIds::of(attempt);
    span.record("trace", field::display(format_args!("{trace:032x}")));
    span.record("root", field::display(format_args!("{root:016x}")));
    span
}

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpanKind {
    Checkpoint,
    Wait,
    Child,
}

/// The span of a call that runs, in `within`.
pub(super) fn call_span(kind: SpanKind, name: &str, record: impl FnOnce() -> String, within: Span) -> Span {
    let kind = match kind {
        SpanKind::Checkpoint => "checkpoint",
        SpanKind::Wait => "wait",
        SpanKind::Child => "child",
    };
    let made = || {
        trace_span!(
            target: TARGET,
            "call",
            otel.name = name,
            kitaru.kind = kind,
            kitaru.record = field::Empty,
            kitaru.tries = field::Empty,
            kitaru.status = field::Empty,
            error = field::Empty,
        )
    };
    // As a parent, a span that is disabled would leave the new one without any.
    let span = within.in_scope(made);
    if span.is_disabled() {
        return within;
    }
    span.record("kitaru.record", record());
    span
}

/// A call has an outcome. `error` is what may be shown of it.
pub(crate) fn call_ended(span: &Span, tries: u32, error: Option<&str>) {
    span.record("kitaru.tries", tries);
    span.record("kitaru.status", if error.is_some() { "failed" } else { "completed" });
    if let Some(error) = error {
        span.record("error", error);
    }
}

/// The attempt whose span this is in is over, and so is its execution unless it is parked or interrupted.
pub(super) fn attempt_ended(attempt: &Attempt, status: Status, error: Option<&Error>) {
    let span = &Span::current();
    if span.metadata().is_none_or(|metadata| metadata.target() != TARGET) {
        return;
    }
    span.record("kitaru.status", field::display(status));
    if let Some(error) = error {
        span.record("error", field::display(format_args!("{error:#}")));
    }
    if matches!(status, Status::Waiting | Status::Interrupted) {
        return;
    }
    let TraceIds { trace, root } = TraceIds::of(attempt);
    event!(
        target: TARGET,
        parent: span,
        tracing::Level::TRACE,
        trace = %format_args!("{trace:032x}"),
        root = %format_args!("{root:016x}"),
        otel.name = &*attempt.execution.flow,
        kitaru.flow = &*attempt.execution.flow,
        kitaru.execution = &*attempt.execution.id,
        kitaru.generation = attempt.generation,
        kitaru.attempt = attempt.number,
        kitaru.status = %status,
        kitaru.created_ms = attempt.created_ms,
        error = error.map(|error| field::display(format!("{error:#}"))),
    );
}
