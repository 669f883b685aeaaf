//! Traces of executions, by OTLP.
//!
//! An execution is one trace, whose id is the same in every process and after months. Its root span is that of the flow. Each
//! attempt is a span below it, and each checkpoint, wait and child that runs is one below its attempt. What is taken from a record
//! is none. Requests to models and calls of tools are spans with the names that OpenTelemetry has for generative AI. Spans that the
//! program makes by `tracing` within an execution, at `INFO` and above, are part of its trace.
//!
//! [`Traces::otlp`] sends them by HTTP to the collector of `OTEL_EXPORTER_OTLP_ENDPOINT`.
//!
//! # Examples
//!
//! ```no_run
//! use kitaru_otel::Traces;
//! use tracing_subscriber::prelude::*;
//! use tracing_subscriber::{EnvFilter, fmt};
//!
//! # fn main() -> Result<(), kitaru_otel::TracesError> {
//! let traces = Traces::otlp()?;
//! let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
//! tracing_subscriber::registry()
//!     .with(fmt::layer().with_filter(filter))
//!     .with(traces.layer())
//!     .init();
//! // … the program; what is not sent yet is sent when `traces` is dropped.
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod fields;
mod layer;
mod traces;

pub use traces::{Traces, TracesError};
