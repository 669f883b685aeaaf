//! The layer that makes spans of OpenTelemetry from those of `tracing`. Owns which are made and to which trace they belong; must not
//! know where they are sent.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event as SpanEvent, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::fields::Fields;

/// The target of what the library tells tools that trace programs.
const TARGET: &str = "kitaru::telemetry";
/// How many events of a span are sent.
const MOST_EVENTS: usize = 128;

/// Whether a span or an event may be part of a trace.
pub(crate) fn is_wanted(metadata: &Metadata<'_>) -> bool {
    let is_of_program = *metadata.level() <= Level::INFO && (metadata.is_span() || metadata.target() != "kitaru");
    metadata.target() == TARGET || is_of_program
}

/// Where finished spans go.
pub(crate) trait Sink: Send + Sync + 'static {
    fn take(&self, span: SpanData);
}

/// Makes the spans.
pub(crate) struct TracesLayer<K> {
    sink: Arc<K>,
    scope: InstrumentationScope,
    ids: RandomIdGenerator,
}

/// A span that is under way.
struct Open {
    trace: TraceId,
    id: SpanId,
    parent: SpanId,
    begun: SystemTime,
    fields: Fields,
    events: SpanEvents,
}

impl<K: Sink> TracesLayer<K> {
    pub(crate) fn new(sink: Arc<K>) -> Self {
        let scope = InstrumentationScope::builder("kitaru").with_version(env!("CARGO_PKG_VERSION")).build();
        TracesLayer { sink, scope, ids: RandomIdGenerator::default() }
    }

    fn send(&self, name: &'static str, open: Open, ended: SystemTime) {
        let Open { trace, id, parent, begun, fields, events } = open;
        self.sink.take(SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: fields.kind.unwrap_or(SpanKind::Internal),
            name: fields.name.map_or(name.into(), Into::into),
            start_time: begun,
            end_time: ended.max(begun),
            attributes: fields.attributes,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status: fields.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// An execution has ended: its root span, from its creation.
    fn send_root(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (Some(trace), Some(root)) = (fields.trace, fields.root) else { return };
        let now = SystemTime::now();
        let created = fields.created_ms.map_or(now, |ms| UNIX_EPOCH + Duration::from_millis(ms));
        let open = Open {
            trace: TraceId::from(trace),
            id: SpanId::from(root),
            parent: SpanId::INVALID,
            begun: created,
            fields,
            events: SpanEvents::default(),
        };
        self.send("flow", open, now);
    }
}

impl<K, S> Layer<S> for TracesLayer<K>
where
    K: Sink,
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let is_attempt = span.metadata().target() == TARGET && span.name() == "attempt";
        let above = match is_attempt {
            // It learns both from its fields.
            true => Some((TraceId::INVALID, SpanId::INVALID)),
            false => span.parent().and_then(|parent| {
                let extensions = parent.extensions();
                extensions.get::<Open>().map(|open| (open.trace, open.id))
            }),
        };
        let Some((trace, parent)) = above else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let (id, begun, events) = (self.ids.new_span_id(), SystemTime::now(), SpanEvents::default());
        span.extensions_mut().insert(Open { trace, id, parent, begun, fields, events });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(open) = extensions.get_mut::<Open>() {
            values.record(&mut open.fields);
            open.trace = open.fields.trace.map_or(open.trace, TraceId::from);
            open.parent = open.fields.root.map_or(open.parent, SpanId::from);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == TARGET {
            return self.send_root(event);
        }
        let Some(span) = context.event_span(event) else { return };
        let mut extensions = span.extensions_mut();
        let Some(open) = extensions.get_mut::<Open>() else { return };
        if open.events.events.len() == MOST_EVENTS {
            open.events.dropped_count += 1;
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level().as_str();
        fields.attributes.push(KeyValue::new("level", level));
        fields.attributes.extend(fields.error.map(|error| KeyValue::new("error", error)));
        let name = fields.message.unwrap_or_else(|| event.metadata().name().to_owned());
        open.events.events.push(SpanEvent::new(name, SystemTime::now(), fields.attributes, 0));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let open = span.extensions_mut().remove::<Open>();
        if let Some(open) = open {
            self.send(span.metadata().name(), open, SystemTime::now());
        }
    }
}
