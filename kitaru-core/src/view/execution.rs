//! One execution, as it is shown.

use std::sync::Arc;
use std::time::SystemTime;

use crate::error::Error;
use crate::journal::{Class, NotUndone, NoteKind, Payload, Status};
use crate::ledger::{Archive, Stored, malformed};
use crate::program;
use crate::view::audit::AuditEntry;
use crate::view::fold::records;
use crate::view::fork::ForkLink;
use crate::view::record::Record;
use crate::view::reference::ExecutionRef;
use crate::view::showing::{ShownValue, ValueSources};
use crate::view::time::time;
use crate::view::wait::OpenWait;

/// What is kept of a generation in addition to its status.
pub(crate) struct ExecutionParts {
    records: Vec<Record>,
    kept: Arc<ValueSources>,
    children: Vec<ExecutionRef>,
    waits: Vec<OpenWait>,
    parent: Option<ExecutionRef>,
    tags: Vec<String>,
    metadata: serde_json::Value,
    undo_skipped: bool,
    audit: Vec<AuditEntry>,
    fork: Option<ForkLink>,
}

pub(crate) fn read(archive: &Archive, stored: &Stored) -> Result<ExecutionParts, Error> {
    let journal = archive.journal(stored)?;
    let (mut records, children) =
        records(&journal).map_err(|why| malformed(&stored.header.execution, "journal", why))?;
    let kept = ValueSources::of(archive, stored, journal);
    records.iter_mut().for_each(|record| record.show(&kept));
    Ok(ExecutionParts {
        records,
        kept,
        children,
        waits: waits(archive, stored)?,
        parent: archive.parent(stored)?.map(|parent| ExecutionRef::of(&parent.execution)),
        tags: archive.tags(stored)?,
        metadata: metadata(archive, stored)?,
        undo_skipped: archive.undo(stored)? == Some(NotUndone::Skipped),
        audit: archive.audit(stored)?.into_iter().map(AuditEntry::new).collect(),
        fork: archive.fork(stored)?.and_then(ForkLink::of),
    })
}

/// One generation of an execution, as it was when it was read.
#[derive(Debug)]
pub struct Execution {
    pub(super) stored: Stored,
    pub(super) status: Status,
    records: Vec<Record>,
    pub(super) kept: Arc<ValueSources>,
    waits: Vec<OpenWait>,
    metadata: serde_json::Value,
    parent: Option<ExecutionRef>,
    children: Vec<ExecutionRef>,
    tags: Vec<String>,
    undo_skipped: bool,
    audit: Vec<AuditEntry>,
    fork: Option<ForkLink>,
}

impl Execution {
    pub(crate) fn new(stored: Stored, status: Status, read: ExecutionParts) -> Self {
        let ExecutionParts { records, kept, children, waits, parent, tags, metadata, undo_skipped, audit, fork } = read;
        Execution { stored, status, records, kept, waits, metadata, parent, children, tags, undo_skipped, audit, fork }
    }

    /// The flow's name and the id.
    pub fn reference(&self) -> ExecutionRef {
        ExecutionRef::of(&self.stored.header.execution)
    }

    /// The flow's name.
    pub fn flow(&self) -> &str {
        &self.stored.header.execution.flow
    }

    /// The execution's id.
    pub fn id(&self) -> &str {
        &self.stored.header.execution.id
    }

    /// Its status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether its flow is a `#[flow]` of this program, so that it can resume automatically here.
    pub fn is_known(&self) -> bool {
        program::find(self.flow()).is_some()
    }

    /// Its number among the generations of the execution. The first one is 1.
    pub fn generation(&self) -> u32 {
        self.stored.header.generation
    }

    /// How many attempts have begun a body of their own, or have ended.
    pub fn attempts(&self) -> u32 {
        self.stored.state.attempts
    }

    /// Its records, in the order in which they became durable.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The waits that can be answered, by their names.
    pub fn waits(&self) -> &[OpenWait] {
        &self.waits
    }

    /// The execution whose flow called this one, if any.
    pub fn parent(&self) -> Option<&ExecutionRef> {
        self.parent.as_ref()
    }

    /// The executions that its flow called, in the order in which it began to wait for them.
    pub fn children(&self) -> &[ExecutionRef] {
        &self.children
    }

    /// The [tags](crate::FlowCall::tag) of the generation, in the order of their bytes.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// A preview of the flow's arguments.
    pub fn input(&self) -> &str {
        &self.stored.header.input_preview
    }

    /// The flow's `version = "…"` when the generation began, or empty.
    pub fn version(&self) -> &str {
        &self.stored.header.version
    }

    /// When the generation began.
    pub fn created(&self) -> SystemTime {
        time(self.stored.header.created_ms)
    }

    /// When an attempt last began or ended.
    pub fn updated(&self) -> SystemTime {
        time(self.stored.state.updated_ms)
    }

    /// What its flow attached with [`log`](crate::log()), as a JSON object.
    pub fn metadata(&self) -> &serde_json::Value {
        &self.metadata
    }

    /// Whether it was cancelled and its undo steps did not run: it was cancelled [without
    /// undo](crate::CancelRequest::without_undo), replaced with `.fresh()`, or its flow is not a `#[flow]` of the program that
    /// cancelled it.
    pub fn undo_skipped(&self) -> bool {
        self.undo_skipped
    }

    /// Who answered, cancelled, resumed or forked this generation, or sent it a signal, the oldest first: the newest 100 entries.
    /// Only requests of a named actor are there; see [`Kitaru::by`](crate::Kitaru::by).
    pub fn audit(&self) -> &[AuditEntry] {
        &self.audit
    }

    /// From which execution it was forked, if it was.
    pub fn fork(&self) -> Option<&ForkLink> {
        self.fork.as_ref()
    }

    /// Why it failed, was cancelled or is stuck.
    pub fn error(&self) -> Option<&str> {
        Some(&*self.stored.state.reason).filter(|reason| !reason.is_empty())
    }

    /// The flow's arguments, as a JSON list in their order. [`ShownValue`] describes the JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::Error;
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let report = kitaru::dynamic::flow("report").input("topic", "tides").run(|| async { Ok::<_, Error>(7) });
    /// # report.id("job-42").on(&kitaru).await?;
    /// let execution = kitaru.execution(("report", "job-42")).await?.expect("it is there");
    /// assert_eq!(execution.input(), r#"topic="tides""#);
    /// println!("{}", execution.input_value());
    /// # Ok(()) }
    /// ```
    pub fn input_value(&self) -> ShownValue {
        let header = &self.stored.header;
        let payload =
            Payload { class: Class::Value, codec: header.input_codec, shape: header.input_shape, bytes: &header.input };
        self.kept.show(&payload, &header.input_preview)
    }

    /// The flow's result as JSON: what it returned, or the content of its `Err`, as in [`Record::value`]. `None` before its
    /// end, and for a generation that a newer one has followed.
    ///
    /// `sensitive` applies to checkpoints only: the arguments and the result of a flow are shown, even if a value comes from a
    /// sensitive checkpoint.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::Error;
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let report = kitaru::dynamic::flow("report").run(|| async { Ok::<_, Error>(vec!["tides", "moon"].join(" ")) });
    /// # report.id("job-42").on(&kitaru).await?;
    /// let execution = kitaru.execution(("report", "job-42")).await?.expect("it is there");
    /// assert_eq!(execution.value().map(|value| value.to_string()), Some(r#""tides moon""#.to_owned()));
    /// # Ok(()) }
    /// ```
    pub fn value(&self) -> Option<ShownValue> {
        if !self.status.is_final() || self.status == Status::ContinuedAsNew {
            return None;
        }
        let journal = self.kept.journal();
        let end = journal.end(journal.indices().next_back()?)?;
        Some(self.kept.show(&end.payload, end.preview))
    }
}

/// The metadata that the flow attached to the execution.
fn metadata(archive: &Archive, stored: &Stored) -> Result<serde_json::Value, Error> {
    let notes = archive.notes(stored)?.into_iter().filter(|(kind, ..)| *kind == NoteKind::Logged);
    let fields = notes.map(|(_, key, note)| (key, serde_json::from_str(&note.json).unwrap_or_default()));
    Ok(serde_json::Value::Object(fields.collect()))
}

/// The waits of a generation that can be answered.
fn waits(archive: &Archive, stored: &Stored) -> Result<Vec<OpenWait>, Error> {
    if stored.state.status.is_final() {
        return Ok(Vec::new());
    }
    let open = archive.open_waits(stored)?.into_iter();
    let execution = &stored.header.execution;
    Ok(open.map(|open| OpenWait::new(execution, open)).collect())
}

impl From<&Execution> for ExecutionRef {
    fn from(execution: &Execution) -> Self {
        execution.reference()
    }
}
