//! The execution model of Kitaru: what a flow and a checkpoint are, and how they survive their process.
//!
//! This is the crate behind the crate `kitaru`, which users depend on. `ARCHITECTURE.md` lists its floors; each knows only
//! those below it.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod call;
mod chance;
mod client;
mod clock;
mod context;
mod director;
#[doc(hidden)]
pub mod doc_support;
mod driver;
pub mod dynamic;
mod engine;
mod entropy;
mod error;
mod flow;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod id;
mod journal;
mod ledger;
mod log;
mod machine;
pub mod map;
mod pool;
mod program;
mod publish;
mod race;
mod request;
mod runtime;
mod shown;
mod store;
mod sync;
#[cfg(feature = "testkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "testkit")))]
pub mod testkit;
mod value;
mod view;

pub use call::bounds::Answer;
pub use call::{
    Call, Cancellation, Resolution, Signal, Sleep, Timeout, Wait, cancellation, idempotency_key, may_have_run, signal,
    sleep, sleep_until, timeout, wait,
};
pub use chance::{now, patched, random, uuid};
pub use client::{
    BulkRequest, CancelRequest, CloseRequest, ContinueAsNew, ExecutionRequest, FlowCall, ForkRequest, GcRequest,
    Handle, Kitaru, KitaruBuilder, ListRequest, Recovery, ResumeRequest, SignalRequest, Watch, WeakKitaru,
    current_execution, is_fork,
};
pub use clock::Clock;
pub use context::{BranchHandle, spawn, undo};
pub use engine::{Backup, Checkup, CheckupFinding, Collected, ExecutionSize, FindingKind, FlowSize, TableSize};
pub use error::Error;
pub use flow::FlowFunction;
pub use id::{MAX_ID_BYTES, MAX_NAME_BYTES};
pub use journal::{AuditAction, Status};
pub use machine::Backoff;
pub use machine::Reuse;
pub use map::map;
pub use publish::{log, publish};
pub use race::{Race, Racers, race};
pub use request::{MAX_TAG_BYTES, MAX_TAGS};
pub use view::{
    AuditEntry, BulkReport, CommitMetrics, Cursor, Diff, DiffState, Execution, ExecutionRef, FailedTry, FlowFailure,
    FlowMetrics, ForkEffect, ForkLink, ForkPlan, History, Metrics, NotShown, OpenWait, Page, Pause, Record, RecordDiff,
    RecordStatus, ShownValue, Summary, Unreadable,
};

/// What the macros expand onto. Not part of the public interface: it may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use inventory;

    pub use crate::call::bounds::{leaves_flow, retryable, sendable_argument, sendable_outcome};
    pub use crate::call::{Body, CheckpointMeta, Outcome, blocking, call, probe, refused};
    pub use crate::client::{Accompaniment, Companion, flow_call, refused_flow};
    pub use crate::engine::Pulse;
    pub use crate::flow::{Input, begin, read_input, unrepeatable};
    pub use crate::program::{Begun, FlowInput, FlowMeta, GivenInput, ReadInput, Registered};
    pub use crate::value::ArgSink;

    use crate::call::bounds::{Argument, FlowArgument};

    /// Adds an argument of a checkpoint to the shown arguments.
    pub fn describe<T: Argument + ?Sized>(sink: &mut ArgSink<'_>, name: &'static str, value: &T) {
        sink.arg(name, value);
    }

    /// Adds an argument of a flow to the shown arguments.
    pub fn describe_input<T: FlowArgument>(sink: &mut ArgSink<'_>, name: &'static str, value: &T) {
        sink.arg(name, value);
    }
}
