//! One execution, to be looked at.

mod fold;
mod pauses;
mod showing;

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::client::Kitaru;
use crate::engine::Engine;
use crate::error::Error;
use crate::id::{ExecutionId, Seq};
use crate::journal::{Arg, FailedTry, NoteKind, Status, UndoRow, WaitRow};
use crate::ledger::blocking;
use crate::ledger::{Archive, Stored, malformed};
use crate::program;
use crate::value::Key;

use showing::Kept;

pub(crate) use fold::records;
pub use pauses::Pause;
pub use showing::{NotShown, ShownValue};

impl Kitaru {
    /// Looks for an execution: its newest generation, or the one that [`generation`](ExecutionQuery::generation) asks
    /// for.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or the id is over its bound.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// if let Some(execution) = kitaru.execution("write_report", "job-42").await? {
    ///     for record in execution.records() {
    ///         println!("{} {:?} {}", record.name(), record.status(), record.preview());
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn execution(&self, flow: &str, id: &str) -> ExecutionQuery {
        ExecutionQuery { inner: self.inner.clone(), execution: ExecutionId::new(flow, id), generation: None }
    }
}

/// A search for one execution; awaited, it gives `Result<Option<Execution>, Error>`. See [`Kitaru::execution`].
#[must_use = "a search does nothing unless awaited"]
pub struct ExecutionQuery {
    inner: Arc<Engine>,
    execution: Result<ExecutionId, Error>,
    generation: Option<u32>,
}

impl ExecutionQuery {
    /// Asks for this generation instead of the newest. The first one is 1.
    pub fn generation(mut self, generation: u32) -> Self {
        self.generation = Some(generation);
        self
    }
}

impl IntoFuture for ExecutionQuery {
    type Output = Result<Option<Execution>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let ExecutionQuery { inner, execution, generation } = self;
            let execution = execution?;
            blocking(move || {
                let archive = &inner.runtime.archive;
                let (stored, status, read) = loop {
                    let found = inner.stands(|archive| match generation {
                        Some(generation) => archive.generation(&execution, generation),
                        None => archive.newest(&execution),
                    })?;
                    let Some((stored, status)) = found else { return Ok(None) };
                    let read = read(archive, &stored);
                    // One that was deleted meanwhile is looked for again, and not found.
                    if archive.has(&stored)? {
                        break (stored, status, read?);
                    }
                };
                let Read { records, kept, children, waits, parent, metadata, undo_skipped } = read;
                Ok(Some(Execution { stored, status, records, kept, waits, metadata, parent, children, undo_skipped }))
            })
            .await?
        })
    }
}

/// What is kept of a generation beside where it stands.
struct Read {
    records: Vec<Record>,
    kept: Arc<Kept>,
    children: Vec<Relative>,
    waits: Vec<OpenWait>,
    parent: Option<Relative>,
    metadata: serde_json::Value,
    undo_skipped: bool,
}

fn read(archive: &Archive, stored: &Stored) -> Result<Read, Error> {
    let journal = archive.journal(stored)?;
    let (mut records, children) =
        records(&journal).map_err(|why| malformed(&stored.header.execution, "journal", why))?;
    let kept = Kept::of(archive, stored, journal);
    records.iter_mut().for_each(|record| record.kept = Some(kept.clone()));
    Ok(Read {
        records,
        kept,
        children,
        waits: waits(archive, stored)?,
        parent: archive.parent(stored)?.map(|parent| Relative(parent.execution)),
        metadata: metadata(archive, stored)?,
        undo_skipped: archive.undo(stored)? == Some(UndoRow::Skipped),
    })
}

/// One generation of an execution, as it stood when it was asked for.
#[derive(Debug)]
pub struct Execution {
    stored: Stored,
    status: Status,
    records: Vec<Record>,
    kept: Arc<Kept>,
    waits: Vec<OpenWait>,
    metadata: serde_json::Value,
    parent: Option<Relative>,
    children: Vec<Relative>,
    undo_skipped: bool,
}

impl Execution {
    /// The flow's name.
    pub fn flow(&self) -> &str {
        &self.stored.header.execution.flow
    }

    /// The execution's id.
    pub fn id(&self) -> &str {
        &self.stored.header.execution.id
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether its flow is a `#[flow]` of this program, so that it can go on by itself here.
    pub fn is_known(&self) -> bool {
        program::find(self.flow()).is_some()
    }

    /// Which fresh start it is. The first one is 1.
    pub fn generation(&self) -> u32 {
        self.stored.header.generation
    }

    /// How many attempts have come to a body of their own, or to an end.
    pub fn attempts(&self) -> u32 {
        self.stored.state.attempts
    }

    /// What has been recorded, in the order in which it became durable.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The waits that can be answered, by their names.
    pub fn waits(&self) -> &[OpenWait] {
        &self.waits
    }

    /// The execution whose flow has called this one, if there is one.
    pub fn parent(&self) -> Option<&Relative> {
        self.parent.as_ref()
    }

    /// The executions that its flow has called, in the order in which it began to wait for them.
    pub fn children(&self) -> &[Relative] {
        &self.children
    }

    /// A preview of the flow's arguments.
    pub fn input(&self) -> &str {
        &self.stored.header.input_preview
    }

    /// The flow's `version = "…"` when the generation began, or nothing.
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

    /// What its flow has noted with [`log`](crate::log()), as a JSON object.
    pub fn metadata(&self) -> &serde_json::Value {
        &self.metadata
    }

    /// Whether it was cancelled and what undoes its work did not run: it was cancelled
    /// [without undo](crate::CancelRequest::without_undo), begun over with `.fresh()`, or is of no `#[flow]` of the program that
    /// has cancelled it.
    pub fn undo_skipped(&self) -> bool {
        self.undo_skipped
    }

    /// Why it failed, was cancelled or is stuck.
    pub fn error(&self) -> Option<&str> {
        Some(&*self.stored.state.reason).filter(|reason| !reason.is_empty())
    }
}

/// An execution that has called another one, or was called by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Relative(ExecutionId);

impl Relative {
    /// The flow's name.
    pub fn flow(&self) -> &str {
        &self.0.flow
    }

    /// The execution's id.
    pub fn id(&self) -> &str {
        &self.0.id
    }
}

/// A wait of an execution that can be answered. See [`wait`](crate::wait).
#[derive(Clone, Debug)]
pub struct OpenWait {
    execution: ExecutionId,
    name: String,
    row: WaitRow,
}

impl OpenWait {
    /// The visible name, by which it is [answered](Kitaru::answer).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The execution, the visible name, and what identifies the wait; nothing of one that an earlier version has begun.
    pub(super) fn addressed(&self) -> (ExecutionId, String, Option<Key>) {
        (self.execution.clone(), self.name.clone(), self.row.asks.map(|asks| asks.wait))
    }

    /// What is asked, or nothing.
    pub fn question(&self) -> &str {
        &self.row.question
    }

    /// What an answer has to be, as a JSON schema.
    pub fn schema(&self) -> serde_json::Value {
        serde_json::from_str(&self.row.schema).unwrap_or_default()
    }

    /// What the flow shows beside the question, as a JSON object.
    pub fn metadata(&self) -> serde_json::Value {
        serde_json::from_str(&self.row.metadata).unwrap_or_default()
    }

    /// Until when an answer counts.
    pub fn deadline(&self) -> Option<SystemTime> {
        (self.row.due_ms > 0).then(|| time(self.row.due_ms))
    }

    /// Why the last answer did not fit.
    pub fn refused(&self) -> Option<&str> {
        Some(&*self.row.refused).filter(|refused| !refused.is_empty())
    }
}

fn object(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap_or_else(|_| serde_json::Value::Object(serde_json::Map::new()))
}

/// What the flow has noted beside the execution.
fn metadata(archive: &Archive, stored: &Stored) -> Result<serde_json::Value, Error> {
    let notes = archive.notes(stored)?.into_iter().filter(|(kind, ..)| *kind == NoteKind::Logged);
    let fields = notes.map(|(_, key, row)| (key, serde_json::from_str(&row.json).unwrap_or_default()));
    Ok(serde_json::Value::Object(fields.collect()))
}

/// The waits of a generation that can be answered.
fn waits(archive: &Archive, stored: &Stored) -> Result<Vec<OpenWait>, Error> {
    if stored.state.status.is_final() {
        return Ok(Vec::new());
    }
    let open = archive.open_waits(stored)?.into_iter();
    let execution = &stored.header.execution;
    Ok(open.map(|(name, row)| OpenWait { execution: execution.clone(), name, row }).collect())
}

/// What one checkpoint came to.
#[derive(Clone, Debug)]
pub struct Record {
    name: String,
    checkpoint: String,
    status: RecordStatus,
    settled: bool,
    forgotten: bool,
    from_memo: bool,
    /// Its outcome says that nobody is shown it.
    sensitive: bool,
    /// What its value is shown of.
    kept: Option<Arc<Kept>>,
    seq: Seq,
    attempt: u32,
    tries: u32,
    failed: Vec<FailedTry>,
    metadata: String,
    started_ms: u64,
    duration_us: u64,
    preview: String,
    args: Vec<Arg>,
    /// When the next try begins; 0 where there is none to wait for.
    due_ms: u64,
    /// What it waits for, or nothing.
    awaited: String,
}

/// What a record says of its checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordStatus {
    /// It came to a value.
    Completed,
    /// It came to an error.
    Failed,
    /// An `at_most_once` body was about to run, and no outcome is known.
    Begun,
    /// It waits.
    Waiting,
}

impl Record {
    /// The visible name: `draft`, `draft_2`, …, or what `.named("…")` asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The checkpoint's name.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// What it came to.
    pub fn status(&self) -> RecordStatus {
        self.status
    }

    /// Whether an error is the same on every further attempt. One that is not settled is tried again.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether a person has had it forgotten, with [`Kitaru::resume`]: it counts no more.
    pub fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    /// Whether the value was copied from another execution's.
    pub fn is_from_memo(&self) -> bool {
        self.from_memo
    }

    /// Its number in the journal. Numbers ascend, with gaps.
    pub fn number(&self) -> u64 {
        self.seq.0
    }

    /// Which attempt made it. The first one is 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How often the body was tried.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// The tries that failed before the last one, the last 16 of them.
    pub fn failed_tries(&self) -> impl Iterator<Item = Try<'_>> {
        self.failed.iter().map(Try)
    }

    /// What its body has noted with [`log`](crate::log()), as a JSON object.
    pub fn metadata(&self) -> serde_json::Value {
        object(&self.metadata)
    }

    /// When its body started.
    pub fn started(&self) -> SystemTime {
        time(self.started_ms)
    }

    /// How long its body took, with all its tries.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.duration_us)
    }

    /// The value or the error, shortened for people to read.
    pub fn preview(&self) -> &str {
        &self.preview
    }

    /// The arguments that count, by name, each shortened for people to read.
    pub fn arguments(&self) -> impl Iterator<Item = (&str, &str)> {
        self.args.iter().map(|arg| (&*arg.name, &*arg.preview))
    }
}

/// A try of a body that failed and was followed by another one.
#[derive(Clone, Copy, Debug)]
pub struct Try<'a>(&'a FailedTry);

impl<'a> Try<'a> {
    /// The error, shortened for people to read.
    pub fn error(&self) -> &'a str {
        &self.0.error
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.0.took_us)
    }

    /// How long the next one waited.
    pub fn pause(&self) -> Duration {
        Duration::from_millis(self.0.pause_ms)
    }
}

pub(crate) fn time(unix_ms: u64) -> SystemTime {
    // One that this system cannot tell was written by a clock that was wrong.
    UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms)).unwrap_or(UNIX_EPOCH)
}
