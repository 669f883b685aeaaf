//! Write code that survives its process.
//!
//! Put [`#[flow]`](flow) and [`#[checkpoint]`](checkpoint) on ordinary async functions. The outcome of every checkpoint is
//! recorded in an embedded store. After a crash, a deploy or a kill the same call continues where it stopped and pays for
//! nothing twice.
//!
//! ```no_run
//! use kitaru::{checkpoint, flow};
//!
//! #[checkpoint]
//! async fn research(topic: &str) -> anyhow::Result<String> {
//!     println!("researching");
//!     Ok(format!("notes on {topic}"))
//! }
//!
//! #[checkpoint]
//! async fn draft(notes: String) -> anyhow::Result<String> {
//!     println!("drafting");
//!     anyhow::ensure!(std::env::var_os("BREAK").is_none(), "no paper");
//!     Ok(notes.to_uppercase())
//! }
//!
//! #[flow]
//! async fn write_report(topic: String) -> anyhow::Result<String> {
//!     let notes = research(&topic).await?;
//!     draft(notes).await
//! }
//!
//! #[tokio::main]
//! async fn main() -> anyhow::Result<()> {
//!     println!("{}", write_report("tides".to_string()).await?);
//!     Ok(())
//! }
//! ```
//!
//! With `BREAK=1` the program fails in `draft`. Run again without it, it drafts and does not research a second time. Run a
//! third time, it only prints the report.
//!
//! The [guide to flows](https://github.com/kitaru-rs/kitaru/blob/main/docs/flows.md) describes waiting, undoing, cancelling and
//! resuming. [Running flows](https://github.com/kitaru-rs/kitaru/blob/main/docs/running.md) describes settings, logs, servers
//! and deployment.
//!
//! # What to know
//!
//! - A flow's own code is replayed: keep time, randomness and I/O in checkpoints, or use [`now`], [`random`] and
//!   [`uuid`], and [`spawn`] and [`race`] instead of `tokio::spawn` and an unbiased `tokio::select!`. The compiler warns
//!   of what it can see.
//! - [`map()`](map()) does the same with many things, a bounded number of them concurrently.
//! - A checkpoint's body runs at least once. Give [`idempotency_key`] to services that accept one, or declare it
//!   `#[checkpoint(at_most_once)]`.
//! - The store opens by itself in `.kitaru/` below the current folder, or in `KITARU_DIR`; [`Kitaru::builder`] opens another
//!   one. A flow is known by its input or its `.id(…)`: the same call gives the recorded result, [however old](Reuse).
//! - [`agent`] makes every turn, or every model request and tool call, of an LLM agent a checkpoint.
//! - `kitaru::testkit` has the tools for tests, with the feature `testkit`: in `Cargo.toml`,
//!   `[dev-dependencies] kitaru = { version = "0.1", features = ["testkit"] }`.

#![cfg_attr(docsrs, feature(doc_cfg))]

/// The examples of the guide run with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../docs/flows.md")]
struct Guide;

/// The examples of the page on running flows.
#[cfg(doctest)]
#[doc = include_str!("../docs/running.md")]
struct Running;

#[cfg(feature = "agent")]
pub use kitaru_agent as agent;
#[cfg(all(feature = "control", unix))]
pub use kitaru_control as control;
#[cfg(all(feature = "logs", unix))]
#[cfg_attr(docsrs, doc(cfg(feature = "logs")))]
pub use kitaru_control::{log_layer, log_layer_at};
#[doc(hidden)]
pub use kitaru_core::__private;
pub use kitaru_core::{
    Answer, AuditAction, AuditEntry, Backoff, Backup, BranchHandle, BulkReport, BulkRequest, Call, CancelRequest,
    Cancellation, Checkup, CheckupFinding, Clock, CloseRequest, Collected, CommitMetrics, ContinueAsNew, Cursor, Diff,
    DiffState, Error, Execution, ExecutionRef, ExecutionRequest, ExecutionSize, FailedTry, FindingKind, FlowCall,
    FlowFailure, FlowFunction, FlowMetrics, FlowSize, ForkEffect, ForkLink, ForkPlan, ForkRequest, GcRequest, Handle,
    History, Kitaru, KitaruBuilder, ListRequest, MAX_ID_BYTES, MAX_NAME_BYTES, MAX_TAG_BYTES, MAX_TAGS, Metrics,
    NotShown, OpenWait, Page, Pause, Race, Racers, Record, RecordDiff, RecordStatus, Recovery, Resolution,
    ResumeRequest, Reuse, ShownValue, Signal, SignalRequest, Sleep, Status, Summary, TableSize, Timeout, Unreadable,
    Wait, Watch, WeakKitaru, cancellation, current_execution, dynamic, idempotency_key, is_fork, log, map,
    may_have_run, now, patched, publish, race, random, signal, sleep, sleep_until, spawn, timeout, undo, uuid, wait,
};
#[cfg(feature = "agent")]
pub use kitaru_macros::tool;
pub use kitaru_macros::{checkpoint, flow};
#[cfg(feature = "otel")]
pub use kitaru_otel as otel;

/// The guide, whose examples are run.
#[cfg(doctest)]
#[doc = include_str!("../docs/testing.md")]
pub struct Testing;

/// Tools for testing flows and checkpoints; `docs/testing.md` explains them. They need the feature `testkit`, which belongs in
/// `[dev-dependencies]`.
#[cfg(feature = "testkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "testkit")))]
pub mod testkit {
    pub use kitaru_core::testkit::*;
    pub use kitaru_macros::histories;
}

// So that the code of that page compiles.
#[cfg(all(doctest, feature = "openai"))]
#[doc = include_str!("../docs/agents.md")]
mod agents {}
