//! The read model as JSON: for a control API, a command, a page. Owns the names of the fields; must not know who reads them.
//!
//! Times are milliseconds since 1970, in fields that end in `_ms`; an absent time is `null`. A status is in snake case, like
//! its `Display`. A `sensitive` checkpoint is marked as such, and none of its values are shown.

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::clock::unix_ms;
use crate::error::Error;
use crate::journal::Status;
use crate::view::audit::AuditEntry;
use crate::view::cursor::Cursor;
use crate::view::execution::Execution;
use crate::view::fork::ForkLink;
use crate::view::list::{Page, Summary, Unreadable};
use crate::view::pauses::Pause;
use crate::view::record::{FailedTry, Record, RecordStatus};
use crate::view::reference::ExecutionRef;
use crate::view::showing::ShownValue;
use crate::view::wait::OpenWait;

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for RecordStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `{"json":…}`, `{"preview":"…","bytes":…,"reason":"…"}` or `{"sensitive":true}`.
impl Serialize for ShownValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Form<'a> {
            Json { json: &'a Value },
            Preview { preview: &'a str, bytes: usize, reason: String },
            Sensitive { sensitive: bool },
        }
        let form = match self {
            ShownValue::Json(json) => Form::Json { json },
            ShownValue::Preview { preview, bytes, reason } => {
                Form::Preview { preview, bytes: *bytes, reason: reason.to_string() }
            }
            ShownValue::Sensitive => Form::Sensitive { sensitive: true },
        };
        form.serialize(serializer)
    }
}

#[derive(Serialize)]
struct SummaryForm<'a> {
    flow: &'a str,
    id: &'a str,
    generation: u32,
    status: Status,
    attempts: u32,
    tags: &'a [String],
    input: &'a str,
    error: Option<&'a str>,
    created_ms: u64,
    updated_ms: u64,
}

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = SummaryForm {
            flow: self.flow(),
            id: self.id(),
            generation: self.generation(),
            status: self.status(),
            attempts: self.attempts(),
            tags: self.tags(),
            input: self.input(),
            error: self.error(),
            created_ms: unix_ms(self.created()),
            updated_ms: unix_ms(self.updated()),
        };
        form.serialize(serializer)
    }
}

impl Serialize for Unreadable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            flow: Option<&'a str>,
            id: Option<&'a str>,
            error: ErrorText<'a>,
        }
        Form { flow: self.flow(), id: self.id(), error: ErrorText(self.error()) }.serialize(serializer)
    }
}

/// An error, as the text that people read.
struct ErrorText<'a>(&'a Error);

impl Serialize for ErrorText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#}", self.0))
    }
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            executions: &'a [Summary],
            unreadable: &'a [Unreadable],
            looked_at: usize,
            next_cursor: Option<Cursor>,
        }
        let (unreadable, looked_at) = (self.unreadable(), self.looked_at());
        let form = Form { executions: self, unreadable, looked_at, next_cursor: self.next_cursor() };
        form.serialize(serializer)
    }
}

impl Serialize for FailedTry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            error: &'a str,
            duration_us: u64,
            pause_ms: u64,
        }
        let form = Form {
            error: self.error(),
            duration_us: crate::clock::micros(self.duration()),
            pause_ms: crate::clock::millis(self.pause()),
        };
        form.serialize(serializer)
    }
}

impl Serialize for OpenWait {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            name: &'a str,
            question: &'a str,
            schema: Value,
            metadata: Value,
            deadline_ms: Option<u64>,
            refused: Option<&'a str>,
        }
        let form = Form {
            name: self.name(),
            question: self.question(),
            schema: self.schema(),
            metadata: self.metadata(),
            deadline_ms: self.deadline().map(unix_ms),
            refused: self.refused(),
        };
        form.serialize(serializer)
    }
}

impl Serialize for Pause<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            record: &'a str,
            awaited: Option<&'a str>,
            error: &'a str,
            next_try_ms: u64,
        }
        let form = Form {
            record: self.record().name(),
            awaited: self.awaited(),
            error: self.error(),
            next_try_ms: unix_ms(self.next_try()),
        };
        form.serialize(serializer)
    }
}

/// An iterator, as a list.
struct JsonList<F>(F);

impl<T: Serialize, I: Iterator<Item = T>, F: Fn() -> I> Serialize for JsonList<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for item in (self.0)() {
            list.serialize_element(&item)?;
        }
        list.end()
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Argument<'a> {
            name: &'a str,
            preview: &'a str,
        }
        #[derive(Serialize)]
        struct Form<'a, Args: Serialize, Failed: Serialize> {
            name: &'a str,
            checkpoint: &'a str,
            status: RecordStatus,
            settled: bool,
            forgotten: bool,
            from_memo: bool,
            sensitive: bool,
            number: u64,
            attempt: u32,
            tries: u32,
            failed_tries: Failed,
            arguments: Args,
            metadata: Value,
            started_ms: u64,
            duration_us: u64,
            preview: &'a str,
            value: Option<ShownValue>,
        }
        let form = Form {
            name: self.name(),
            checkpoint: self.checkpoint(),
            status: self.status(),
            settled: self.is_settled(),
            forgotten: self.is_forgotten(),
            from_memo: self.is_from_memo(),
            sensitive: self.is_sensitive(),
            number: self.number(),
            attempt: self.attempt(),
            tries: self.tries(),
            failed_tries: JsonList(|| self.failed_tries()),
            arguments: JsonList(|| self.arguments().map(|(name, preview)| Argument { name, preview })),
            metadata: self.metadata(),
            started_ms: unix_ms(self.started()),
            duration_us: crate::clock::micros(self.duration()),
            preview: self.preview(),
            value: self.value(),
        };
        form.serialize(serializer)
    }
}

impl Serialize for Execution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a, Pauses: Serialize> {
            flow: &'a str,
            id: &'a str,
            generation: u32,
            status: Status,
            attempts: u32,
            tags: &'a [String],
            version: &'a str,
            created_ms: u64,
            updated_ms: u64,
            input: &'a str,
            input_value: ShownValue,
            value: Option<ShownValue>,
            error: Option<&'a str>,
            undo_skipped: bool,
            audit: &'a [AuditEntry],
            metadata: &'a Value,
            parent: Option<&'a ExecutionRef>,
            fork: Option<&'a ForkLink>,
            children: &'a [ExecutionRef],
            waits: &'a [OpenWait],
            pauses: Pauses,
            records: &'a [Record],
        }
        let form = Form {
            flow: self.flow(),
            id: self.id(),
            generation: self.generation(),
            status: self.status(),
            attempts: self.attempts(),
            tags: self.tags(),
            version: self.version(),
            created_ms: unix_ms(self.created()),
            updated_ms: unix_ms(self.updated()),
            input: self.input(),
            input_value: self.input_value(),
            value: self.value(),
            error: self.error(),
            undo_skipped: self.undo_skipped(),
            audit: self.audit(),
            metadata: self.metadata(),
            parent: self.parent(),
            fork: self.fork(),
            children: self.children(),
            waits: self.waits(),
            pauses: JsonList(|| self.pauses()),
            records: self.records(),
        };
        form.serialize(serializer)
    }
}
