//! What a program logs in its executions, kept in memory. Owns which events are kept, and of which execution one is; must not
//! know who reads them.

mod ring;

use std::fmt;
use std::sync::{Arc, OnceLock};

use kitaru_core::ExecutionRef;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use self::ring::{Ring, Rings};
use crate::api;

/// Where the library says what runs, for spans of other tools.
const TELEMETRY: &str = "kitaru::telemetry";

/// The events of this process; none until a layer is made.
static RINGS: OnceLock<Rings> = OnceLock::new();

/// A layer for `tracing_subscriber` that keeps what this program logs in its executions, at the level `INFO` and above. The
/// command `kitaru logs` and the control API show it.
///
/// An event belongs to an execution if it is logged by its flow, by the body of a checkpoint, or in a `tracing` span within
/// them. For each execution the newest 1,000 events are kept, 256 KiB at most, and in all those of 1,000 executions, 16 MiB at
/// most. They are gone when the process ends. Of two stores that have an execution of the same name, its events are kept
/// together.
///
/// The layer keeps what the program logs: a secret that is logged is shown.
///
/// # Examples
///
/// ```
/// use tracing_subscriber::prelude::*;
/// use tracing_subscriber::{EnvFilter, fmt};
///
/// let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
/// tracing_subscriber::registry()
///     .with(fmt::layer().with_filter(filter))
///     .with(kitaru_control::log_layer())
///     .init();
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "logs")))]
pub fn log_layer<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    log_layer_at(LevelFilter::INFO)
}

/// As [`log_layer`], at this level and above.
///
/// # Examples
///
/// ```
/// use tracing::level_filters::LevelFilter;
/// use tracing_subscriber::prelude::*;
///
/// tracing_subscriber::registry().with(kitaru_control::log_layer_at(LevelFilter::DEBUG)).init();
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "logs")))]
pub fn log_layer_at<S>(level: LevelFilter) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let rings = RINGS.get_or_init(Rings::default);
    // Spans of the library have the level `DEBUG`.
    let filter = filter_fn(move |metadata| match metadata.is_span() {
        true => is_ours(metadata),
        // What is for tools that trace programs is left out.
        false => *metadata.level() <= level && metadata.target() != TELEMETRY,
    });
    LogLayer(rings).with_filter(filter.with_max_level_hint(level.max(LevelFilter::DEBUG)))
}

/// The events of an execution; none if no layer is installed.
pub(crate) fn read(execution: &ExecutionRef, query: &api::LogsQuery) -> Option<api::Logs> {
    RINGS.get().map(|rings| rings.read(execution, query))
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target() == "kitaru" && ["execution", "attempt", "checkpoint"].contains(&metadata.name())
}

/// Keeps the events of executions.
struct LogLayer(&'static Rings);

/// Where an event happens, kept with each span of the library.
#[derive(Clone)]
struct Place {
    ring: Arc<Ring>,
    attempt: Option<u64>,
    checkpoint: Option<String>,
}

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let place = match span.name() {
            "execution" => {
                let (flow, id) = (fields.text("flow"), fields.text("id"));
                Some(Place { ring: self.0.of(ExecutionRef::new(flow, id)), attempt: None, checkpoint: None })
            }
            _ => span.parent().and_then(|parent| parent.extensions().get::<Place>().cloned()),
        };
        if let Some(mut place) = place {
            place.learn(span.name(), &fields);
            span.extensions_mut().insert(place);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(place) = span.extensions_mut().get_mut::<Place>() {
            let mut fields = Fields::default();
            values.record(&mut fields);
            place.learn(span.name(), &fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let span = context.event_span(event);
        let place = span.and_then(|span| span.extensions().get::<Place>().cloned());
        // Where a filter of the whole subscriber leaves out the spans, what runs on this thread says it.
        let place = place.or_else(|| {
            let execution = kitaru_core::current_execution()?;
            Some(Place { ring: self.0.of(execution), attempt: None, checkpoint: None })
        });
        let Some(Place { ring, attempt, checkpoint }) = place else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        self.0.keep(
            &ring,
            api::LogEvent {
                // The ring sets both.
                number: 0,
                time_ms: 0,
                level: level_of(metadata.level()),
                target: metadata.target().to_owned(),
                message: fields.message,
                fields: Value::Object(fields.others),
                checkpoint,
                attempt,
            },
        );
    }
}

fn level_of(level: &Level) -> api::LogLevel {
    match *level {
        Level::ERROR => api::LogLevel::Error,
        Level::WARN => api::LogLevel::Warn,
        Level::INFO => api::LogLevel::Info,
        Level::DEBUG => api::LogLevel::Debug,
        Level::TRACE => api::LogLevel::Trace,
    }
}

impl Place {
    fn learn(&mut self, span: &str, fields: &Fields) {
        match span {
            "attempt" => self.attempt = fields.others.get("number").and_then(Value::as_u64).or(self.attempt),
            "checkpoint" if fields.others.contains_key("name") => {
                self.checkpoint = Some(fields.text("name").to_owned())
            }
            _ => {}
        }
    }
}

/// How many fields of an event are kept, and how much of each text, in bytes.
const MOST_FIELDS: usize = 32;
const MOST_TEXT: usize = 4_096;

/// The fields of an event or a span.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn text(&self, name: &str) -> &str {
        self.others.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn put(&mut self, field: &Field, value: Value) {
        if self.others.len() < MOST_FIELDS {
            self.others.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded::default();
        // It fails where the text is long enough.
        let _ = fmt::write(&mut text, format_args!("{value:?}"));
        match field.name() {
            "message" => self.message = text.0,
            _ => self.put(field, Value::String(text.0)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Bounded::default();
        let _ = fmt::Write::write_str(&mut text, value);
        match field.name() {
            "message" => self.message = text.0,
            _ => self.put(field, Value::String(text.0)),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

/// A text that ends where it is long enough.
#[derive(Default)]
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST_TEXT.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        self.0.push('…');
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests;
