//! Where traces are sent. Owns the exporter and its thread; must not know what a span is made from.

use std::fmt;
use std::sync::Arc;

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanProcessor};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::layer::{Sink, TracesLayer, is_wanted};

/// Traces of executions, on their way to a collector. What is not sent yet is sent when this is dropped, within five seconds. What
/// ends later is not sent.
pub struct Traces(Arc<Processor>);

struct Processor(Box<dyn SpanProcessor>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.0.shutdown() {
            tracing::warn!(target: "kitaru", "cannot send the last traces: {error}");
        }
    }
}

impl Sink for Processor {
    fn take(&self, span: SpanData) {
        self.0.on_end(span);
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").field(&self.0.0).finish()
    }
}

/// Why traces cannot be sent.
#[derive(Debug)]
pub struct TracesError(String);

impl fmt::Display for TracesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot send traces: {}; look at OTEL_EXPORTER_OTLP_ENDPOINT", self.0)
    }
}

impl std::error::Error for TracesError {}

impl Traces {
    /// Sends traces by OTLP over HTTP, in batches, from a thread of its own. The variables of OpenTelemetry set where and what:
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` (`http://localhost:4318` unless set), `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`,
    /// `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_SCHEDULE_DELAY`.
    ///
    /// Makes ring the cryptography of `rustls` in this process, unless the program has installed another one before.
    ///
    /// # Errors
    ///
    /// When the endpoint is not an address.
    pub fn otlp() -> Result<Self, TracesError> {
        // The client has no cryptography of its own. Fails where the program has chosen one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpJson).build();
        let exporter = exporter.map_err(|why| TracesError(why.to_string()))?;
        Ok(Self::to(BatchSpanProcessor::builder(exporter).build()))
    }

    /// Hands traces to a processor of OpenTelemetry's SDK.
    pub fn to(mut processor: impl SpanProcessor + 'static) -> Self {
        processor.set_resource(&Resource::builder().build());
        Traces(Arc::new(Processor(Box::new(processor))))
    }

    /// The layer that makes the traces, for `tracing_subscriber`. Put filters on the other layers and not on the whole subscriber:
    /// what that leaves out is in no trace.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let filter = filter_fn(is_wanted).with_max_level_hint(LevelFilter::from_level(Level::TRACE));
        TracesLayer::new(self.0.clone()).with_filter(filter)
    }
}
