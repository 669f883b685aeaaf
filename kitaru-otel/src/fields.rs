//! The fields of spans and events, as attributes. Owns which of them have a meaning of their own; must not know what span they are
//! of.

use std::fmt;

use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, Value};
use tracing::field::{Field, Visit};

/// How many attributes a span has, and how long a text is, in bytes.
const MOST_ATTRIBUTES: usize = 64;
const MOST_TEXT: usize = 4_096;

/// The fields of a span or an event.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) attributes: Vec<KeyValue>,
    /// `otel.name`: the name of the span, if it is not the one in the code.
    pub(crate) name: Option<String>,
    /// `otel.kind`.
    pub(crate) kind: Option<SpanKind>,
    /// `trace` and `root`: the ids that an execution has.
    pub(crate) trace: Option<u128>,
    pub(crate) root: Option<u64>,
    /// `kitaru.created_ms`: when an execution was created.
    pub(crate) created_ms: Option<u64>,
    /// `error`, or the kind of it.
    pub(crate) error: Option<String>,
    /// The message of an event.
    pub(crate) message: Option<String>,
}

impl Fields {
    fn put(&mut self, name: &'static str, value: Value) {
        if let Some(known) = self.attributes.iter_mut().find(|known| known.key.as_str() == name) {
            known.value = value;
        } else if self.attributes.len() < MOST_ATTRIBUTES {
            self.attributes.push(KeyValue::new(name, value));
        }
    }

    fn text(&mut self, name: &'static str, text: String) {
        let text = match text.len() <= MOST_TEXT {
            true => text,
            false => format!("{}…", &text[..text.floor_char_boundary(MOST_TEXT)]),
        };
        match name {
            "message" => self.message = Some(text),
            "otel.name" => self.name = Some(text),
            "otel.kind" => self.kind = kind(&text),
            "trace" => self.trace = u128::from_str_radix(&text, 16).ok(),
            "root" => self.root = u64::from_str_radix(&text, 16).ok(),
            "error" => self.error = Some(text),
            "error.type" => {
                self.error.get_or_insert_with(|| text.clone());
                self.put(name, text.into());
            }
            _ => self.put(name, text.into()),
        }
    }
}

fn kind(name: &str) -> Option<SpanKind> {
    match &*name.to_ascii_lowercase() {
        "client" => Some(SpanKind::Client),
        "server" => Some(SpanKind::Server),
        "producer" => Some(SpanKind::Producer),
        "consumer" => Some(SpanKind::Consumer),
        "internal" => Some(SpanKind::Internal),
        _ => None,
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "kitaru.created_ms" => self.created_ms = Some(value),
            // Attributes have no larger numbers.
            name => self.put(name, i64::try_from(value).unwrap_or(i64::MAX).into()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }
}
