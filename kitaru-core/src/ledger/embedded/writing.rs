//! Writes to the store. Owns which journals, shapes and seeds this process gives out, and that what comes behind something
//! lost is not written; must not know what a record says.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, JournalId};
use crate::ledger::embedded::claims::LeftGenerations;
use crate::ledger::embedded::facts::StoreFacts;
use crate::ledger::embedded::senders::Senders;
use crate::ledger::embedded::sleepers::Sleepers;
use crate::ledger::embedded::{Archive, CarryOver};
use crate::ledger::{Append, Appender, AttemptEnd, Change, NewGeneration, Tenure, UnattendedEnd};
use crate::pool::LookupQueue;
use crate::store::{Row, Submission, Submitter, Writer, WriterLoad};
use crate::sync::lock;

/// What a store is to have. Writes are grouped: what is submitted meanwhile shares the next commit.
pub(crate) struct Ledger {
    writer: Writer,
    /// What it has, to be read.
    pub(super) archive: Archive,
    pub(super) claims: Arc<LeftGenerations>,
    /// What is looked up when executions begin.
    pub(super) lookups: Arc<LookupQueue>,
    pub(super) clock: Clock,
    pub(super) sleepers: Arc<Sleepers>,
    pub(super) senders: Arc<Senders>,
    /// The bound of an encoded outcome.
    pub(super) max_outcome_bytes: usize,
    /// Shapes whose text this process has sent to the store.
    shapes: Mutex<HashSet<u64>>,
    /// What the seeds of executions derive from.
    secret: [u8; 32],
    next_journal: AtomicU64,
    /// The highest generation, and the highest journal, that were deleted.
    pub(super) deleted_generation: AtomicU32,
    pub(super) deleted_journal: AtomicU64,
}

impl Ledger {
    pub(super) fn new(
        writer: Writer,
        archive: Archive,
        clock: Clock,
        found: StoreFacts,
        max_outcome_bytes: usize,
    ) -> Self {
        let StoreFacts { secret, newest, deleted_generation, deleted_journal } = found;
        Ledger {
            writer,
            archive,
            claims: Arc::default(),
            lookups: Arc::default(),
            clock,
            sleepers: Arc::default(),
            senders: Arc::default(),
            max_outcome_bytes,
            shapes: Mutex::default(),
            secret,
            next_journal: AtomicU64::new(newest + 1),
            deleted_generation: AtomicU32::new(deleted_generation),
            deleted_journal: AtomicU64::new(deleted_journal),
        }
    }

    /// Waits until everything is durable, and releases the store. Blocks.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.writer.close()
    }

    /// What waits to be written, and what was.
    pub(crate) fn writer_load(&self) -> WriterLoad {
        self.writer.load()
    }

    /// The number that the next journal gets.
    pub(super) fn next_journal(&self) -> JournalId {
        JournalId(self.next_journal.load(Ordering::Relaxed))
    }

    pub(crate) fn new_journal(&self) -> JournalId {
        JournalId(self.next_journal.fetch_add(1, Ordering::Relaxed))
    }

    /// The highest generation that was deleted. An execution that is no longer known begins above it, so that none of its seeds
    /// and idempotency keys comes twice.
    pub(crate) fn deleted_generation(&self) -> u32 {
        self.deleted_generation.load(Ordering::SeqCst)
    }

    /// The seed of a generation: the same again if its process dies before it is recorded.
    pub(crate) fn seed(&self, execution: &ExecutionId, generation: u32) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&(execution.flow.len() as u64).to_le_bytes());
        hasher.update(execution.flow.as_bytes());
        hasher.update(execution.id.as_bytes());
        hasher.update(&generation.to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    /// The change that keeps a shape's text, the first time that it is met.
    pub(crate) fn shape(&self, fingerprint: u64, text: Option<String>) -> Option<Change> {
        let text = text?;
        lock(&self.shapes).insert(fingerprint).then_some(Change::Shape { fingerprint, text })
    }

    /// After a failed commit it is not known which shapes the store has.
    pub(crate) fn forget_shapes(&self) {
        lock(&self.shapes).clear();
    }

    /// Makes something durable that an attempt writes. What one attempt appends lands in the order of the calls.
    ///
    /// # Errors
    ///
    /// When the ledger takes no more: it was closed, or too much waits.
    pub(crate) fn append<A: Appender>(&self, append: Append<A>) -> Result<(), Error> {
        let Append { appender, token, changes, frame } = append;
        let journal = Appender::journal(&*appender);
        let rows = changes.into_iter().map(|change| change.row(journal)).collect();
        self.writer.submit(Submission { submitter: appender, token, rows, frame })
    }

    /// Makes changes, and perhaps a record at the end of the journal, durable, and says so.
    ///
    /// `landed` runs on the writer's thread, or immediately where the ledger takes no more.
    pub(crate) fn write_then(
        &self,
        tenure: &Arc<Tenure>,
        changes: Vec<Change>,
        landed: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        let rows = rows(tenure, changes);
        self.submit(Ticket::new(tenure, None, landed), rows, None);
    }

    /// As [`write_then`](Self::write_then), to be awaited. The changes are on their way before it is polled.
    pub(crate) fn write(
        &self,
        tenure: &Arc<Tenure>,
        changes: Vec<Change>,
        frame: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.write_rows(tenure, rows(tenure, changes), frame)
    }

    pub(super) fn write_rows(
        &self,
        tenure: &Arc<Tenure>,
        rows: Vec<Row>,
        frame: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (landed, wait) = awaited();
        self.submit(Ticket::new(tenure, None, landed), rows, frame);
        wait
    }

    /// Records that the flow is parked, as the last word of its attempt.
    pub(crate) fn park(
        &self,
        tenure: &Arc<Tenure>,
        parked: Change,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.write_last(tenure, vec![parked])
    }

    /// As [`write`](Self::write), of the last word of an attempt. What it sends behind that, because it is cancelled
    /// at that very moment, is not written: the next attempt may have read the journal by then.
    pub(super) fn write_last(
        &self,
        tenure: &Arc<Tenure>,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.write_last_rows(tenure, rows(tenure, changes), None)
    }

    /// As [`write_last`](Self::write_last), of an attempt that ends its generation.
    pub(crate) fn finish(
        &self,
        tenure: &Arc<Tenure>,
        changes: Vec<Change>,
        ended: AttemptEnd,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (ended, frame) = ended.rows(tenure.journal());
        let mut rows = rows(tenure, changes);
        rows.extend(ended);
        self.write_last_rows(tenure, rows, Some(frame))
    }

    fn write_last_rows(
        &self,
        tenure: &Arc<Tenure>,
        rows: Vec<Row>,
        frame: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (landed, wait) = awaited();
        let last = tenure.clone();
        let landed = move |result| {
            last.end();
            landed(result);
        };
        self.submit(Ticket::new(tenure, None, landed), rows, frame);
        wait
    }

    /// Records a generation, and the end of the one that it is begun over, and says so; unless what came before it is lost of the
    /// journal that it comes `behind`, which says there why it begins.
    pub(crate) fn begin_then(
        &self,
        tenure: &Arc<Tenure>,
        behind: Option<Arc<Tenure>>,
        generation: NewGeneration,
        landed: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        let over = generation.over.as_ref().map(|over| over.claimed.tenure.clone());
        let landed = move |result| {
            over.iter().for_each(|tenure| tenure.end());
            landed(result);
        };
        self.submit(Ticket::new(tenure, behind, landed), generation.rows(), None);
    }

    /// As [`begin_then`](Self::begin_then), to be awaited.
    pub(crate) fn begin(
        &self,
        tenure: &Arc<Tenure>,
        behind: Option<Arc<Tenure>>,
        generation: NewGeneration,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (landed, wait) = awaited();
        self.begin_then(tenure, behind, generation, landed);
        wait
    }

    /// Records the end of a claimed generation without an attempt.
    pub(crate) async fn end(&self, ending: UnattendedEnd) -> Result<(), Error> {
        let tenure = ending.claimed.tenure.clone();
        let execution = ending.claimed.stored.header.execution.clone();
        self.write_last_rows(&tenure, ending.rows(), None).await?;
        self.claims.done(&execution);
        Ok(())
    }

    /// Records the end of an attempt's generation and the next one, with what that keeps of the older one, in one commit.
    pub(super) fn write_continuation(
        &self,
        tenure: &Arc<Tenure>,
        next: NewGeneration,
        carried: CarryOver,
        ended: AttemptEnd,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let journal = next.journal;
        let (of_the_older, frame) = ended.rows(tenure.journal());
        let mut rows = next.rows();
        rows.extend(carried.rows(journal));
        rows.extend(of_the_older);
        self.write_last_rows(tenure, rows, Some(frame))
    }

    /// Waits until all that is on its way to the store now has landed.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        let tenure = Arc::new(Tenure::of_changes(JournalId(0)));
        self.write(&tenure, Vec::new(), None).await
    }

    fn submit(&self, ticket: Ticket, rows: Vec<Row>, frame: Option<Vec<u8>>) {
        let ticket = Arc::new(ticket);
        let submission = Submission { submitter: ticket.clone(), token: 0, rows, frame };
        if let Err(error) = self.writer.submit(submission) {
            ticket.landed(0, Err(error));
        }
    }
}

fn rows(tenure: &Tenure, changes: Vec<Change>) -> Vec<Row> {
    changes.into_iter().map(|change| change.row(tenure.journal())).collect()
}

/// The callback for a landed write, and a future that waits for it.
fn awaited() -> (impl FnOnce(Result<(), Error>) + Send + 'static, impl Future<Output = Result<(), Error>> + Send) {
    let (send, receive) = oneshot::channel();
    // Without a waiter the rows are durable too.
    let landed = |landed| drop(send.send(landed));
    let wait = async move {
        receive.await.unwrap_or_else(|_| Err(cannot!(Kind::Closed, "write", "the store was closed", "open it again")))
    };
    (landed, wait)
}

/// A write that is not a call's.
struct Ticket {
    tenure: Arc<Tenure>,
    /// The journal that says why this is written, before it.
    behind: Option<Arc<Tenure>>,
    landed: Mutex<Option<Landed>>,
}

type Landed = Box<dyn FnOnce(Result<(), Error>) + Send>;

impl Ticket {
    fn new(
        tenure: &Arc<Tenure>,
        behind: Option<Arc<Tenure>>,
        landed: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Self {
        Ticket { tenure: tenure.clone(), behind, landed: Mutex::new(Some(Box::new(landed))) }
    }
}

impl Submitter for Ticket {
    fn journal(&self) -> u64 {
        self.tenure.journal().0
    }

    fn number(&self) -> u64 {
        self.tenure.take()
    }

    fn is_cut(&self) -> bool {
        self.tenure.is_cut() || self.behind.as_ref().is_some_and(|behind| behind.has_lost())
    }

    fn landed(&self, _: u64, result: Result<u64, Error>) {
        if result.is_err() {
            self.tenure.cut();
        }
        let landed = lock(&self.landed).take();
        if let Some(landed) = landed {
            landed(result.map(drop));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Seq;
    use crate::journal::{Class, OwnedPayload, Payload};
    use crate::ledger::MemoEntry;
    use crate::store::{Memory, Reader, Store, Table, WriterOptions};
    use crate::value::{Codec, Key};

    fn opened() -> (Arc<dyn Store>, Ledger) {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let writer = Writer::start(store.clone(), WriterOptions::default()).unwrap();
        let found = StoreFacts { secret: [0; 32], newest: 0, deleted_generation: 0, deleted_journal: 0 };
        let archive = Archive { reader: Reader::new(store.clone()), unindexed: Arc::default() };
        (store, Ledger::new(writer, archive, Clock::system(), found, 1_000))
    }

    fn memo(key: u8) -> Vec<Change> {
        let payload = Payload { class: Class::Value, codec: Codec::Json, shape: 0, bytes: &[key] };
        let memo = MemoEntry { recorded_ms: 1, payload: OwnedPayload::new(&payload, "") };
        vec![Change::Memo { key: Key([key; 16]), memo }]
    }

    #[tokio::test]
    async fn a_journal_does_not_begin_behind_one_that_has_lost_what_said_so() {
        let (store, ledger) = opened();
        let [parent, child] = [1, 2].map(|journal| Arc::new(Tenure::new(JournalId(journal), Seq(1))));
        let begin = |tenure: &Arc<Tenure>, key: u8| {
            let (landed, wait) = awaited();
            let ticket = Ticket::new(tenure, Some(parent.clone()), landed);
            ledger.submit(ticket, rows(tenure, memo(key)), None);
            wait
        };
        // Its attempt is over, and has lost nothing.
        ledger.write_last_rows(&parent, Vec::new(), Some(vec![0])).await.unwrap();
        begin(&child, 1).await.unwrap();
        parent.cut();
        let other = Arc::new(Tenure::new(JournalId(3), Seq(1)));
        assert!(begin(&other, 2).await.unwrap_err().is_store());
        let has = |key: u8| store.get(Table::Memo, &[key; 16]).unwrap().is_some();
        assert!(has(1) && !has(2));
        // It has begun, and resumes automatically.
        ledger.write(&child, memo(3), None).await.unwrap();
    }

    #[tokio::test]
    async fn journal_takes_nothing_after_the_last_write_of_an_attempt() {
        let (_, ledger) = opened();
        let attempt = Arc::new(Tenure::new(JournalId(1), Seq(1)));
        ledger.write_last_rows(&attempt, Vec::new(), Some(vec![0])).await.unwrap();
        assert!(ledger.write(&attempt, Vec::new(), Some(vec![0])).await.unwrap_err().is_store());
    }
}
