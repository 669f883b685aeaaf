//! What all executions of one store share: the writer, the reader, the clock, the bounds. Must not know what an
//! execution is doing.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{oneshot, watch};

use crate::clock::Clock;
use crate::director::Director;
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId, Seq};
use crate::store::{Activity, Key as RowKey, Owner, Reader, Row, Submission, Table, Writer};

pub(crate) use crate::sync::lock;

/// The bound of an encoded outcome or input, unless set.
pub(crate) const DEFAULT_MAX_OUTCOME_BYTES: usize = 64 << 20;

/// The bound of a preview of arguments or of an outcome.
pub(crate) const PREVIEW_BYTES: usize = 200;

pub(crate) struct Runtime {
    pub(crate) writer: Writer,
    pub(crate) reader: Reader,
    pub(crate) clock: Clock,
    pub(crate) max_outcome_bytes: usize,
    /// A flow whose waits are all further away than this is dropped from memory.
    pub(crate) park_after_ms: u64,
    /// Who watches what executions publish.
    pub(crate) watchers: Watchers,
    /// Who has a hand in all this, in a test.
    pub(crate) director: Option<Arc<dyn Director>>,
    /// Shapes whose text this process has sent to the store.
    shapes: Mutex<HashSet<u64>>,
}

impl Runtime {
    pub(crate) fn new(
        writer: Writer,
        reader: Reader,
        clock: Clock,
        max_outcome_bytes: usize,
        park_after_ms: u64,
        director: Option<Arc<dyn Director>>,
    ) -> Self {
        let (watchers, shapes) = (Watchers::default(), Mutex::default());
        Runtime { writer, reader, clock, max_outcome_bytes, park_after_ms, watchers, director, shapes }
    }

    /// The row that keeps a shape's text, the first time that it is met.
    pub(crate) fn shape_row(&self, fingerprint: u64, text: Option<String>) -> Option<Row> {
        let text = text?;
        lock(&self.shapes).insert(fingerprint).then(|| {
            let key = RowKey::from(fingerprint.to_be_bytes());
            Row { table: Table::Shape, key, value: Some(text.into_bytes()) }
        })
    }

    /// After a commit that failed nobody knows which shapes the store has.
    pub(crate) fn forget_shapes(&self) {
        lock(&self.shapes).clear();
    }

    /// The text of a shape, for an error message.
    pub(crate) fn shape_text(&self, fingerprint: u64) -> Option<String> {
        let text = self.reader.get(Table::Shape, &fingerprint.to_be_bytes()).ok()??;
        String::from_utf8(text).ok()
    }

    /// Makes rows, and perhaps a frame at the end of a journal, durable, and says so.
    ///
    /// `landed` runs on the writer's thread, or at once where the store takes no more.
    pub(crate) fn write_then(
        &self,
        numbers: &Arc<Numbers>,
        rows: Vec<Row>,
        frame: Option<Vec<u8>>,
        activity: Activity,
        landed: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        let landed: Mutex<Option<Landed>> = Mutex::new(Some(Box::new(landed)));
        self.submit(Ticket { numbers: numbers.clone(), behind: None, landed }, rows, frame, activity);
    }

    /// Makes the rows durable with which a journal begins, and says so; unless what came before them is lost of the one that
    /// they come `behind`, which says there why they are.
    pub(crate) fn begin_then(
        &self,
        numbers: &Arc<Numbers>,
        behind: Option<Arc<Numbers>>,
        rows: Vec<Row>,
        landed: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        let landed: Mutex<Option<Landed>> = Mutex::new(Some(Box::new(landed)));
        self.submit(Ticket { numbers: numbers.clone(), behind, landed }, rows, None, Activity::GoesOn);
    }

    fn submit(&self, ticket: Ticket, rows: Vec<Row>, frame: Option<Vec<u8>>, activity: Activity) {
        let ticket = Arc::new(ticket);
        let submission = Submission { owner: ticket.clone(), token: 0, rows, frame, activity };
        if let Err(error) = self.writer.submit(submission) {
            ticket.landed(0, Err(error));
        }
    }

    /// Waits until all that is on its way to the store now has landed.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        let nobody = Arc::new(Numbers::new(JournalId(0), Seq(0)));
        self.write(&nobody, Vec::new(), None, Activity::GoesOn).await
    }

    /// As [`write_then`](Self::write_then), to be awaited. The rows are on their way before it is polled.
    pub(crate) fn write(
        &self,
        numbers: &Arc<Numbers>,
        rows: Vec<Row>,
        frame: Option<Vec<u8>>,
        activity: Activity,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (landed, wait) = awaited();
        self.write_then(numbers, rows, frame, activity, landed);
        wait
    }

    /// As [`write`](Self::write), of the last that an attempt has to say. What it sends behind that, because it is cancelled
    /// at that very moment, is not written: the next attempt may have read the journal by then.
    pub(crate) fn write_last(
        &self,
        numbers: &Arc<Numbers>,
        rows: Vec<Row>,
        frame: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (landed, wait) = awaited();
        let last = numbers.clone();
        self.write_then(numbers, rows, frame, Activity::Ends, move |result| {
            last.over.store(true, Ordering::SeqCst);
            landed(result);
        });
        wait
    }

    /// As [`begin_then`](Self::begin_then), to be awaited.
    pub(crate) fn begin(
        &self,
        numbers: &Arc<Numbers>,
        behind: Option<Arc<Numbers>>,
        rows: Vec<Row>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (landed, wait) = awaited();
        self.begin_then(numbers, behind, rows, landed);
        wait
    }
}

/// Who is told that something has landed, and who waits for that.
fn awaited() -> (impl FnOnce(Result<(), Error>) + Send + 'static, impl Future<Output = Result<(), Error>> + Send) {
    let (send, receive) = oneshot::channel();
    // Where nobody waits any more the rows are durable all the same.
    let landed = |landed| drop(send.send(landed));
    let wait = async move { receive.await.unwrap_or_else(|_| Err(Error::new(Kind::Closed, "the store was closed"))) };
    (landed, wait)
}

/// Who waits for executions to publish something, or to end.
#[derive(Default)]
pub(crate) struct Watchers {
    /// Looked at for each thing that is published, so off the lock.
    any: AtomicBool,
    watched: Mutex<HashMap<ExecutionId, watch::Sender<u64>>>,
}

impl Watchers {
    /// Tells when something may have changed.
    pub(crate) fn of(&self, execution: &ExecutionId) -> watch::Receiver<u64> {
        let mut watched = lock(&self.watched);
        self.any.store(true, Ordering::SeqCst);
        watched.entry(execution.clone()).or_default().subscribe()
    }

    /// One who watched is gone.
    pub(crate) fn forget(&self, execution: &ExecutionId) {
        let mut watched = lock(&self.watched);
        if watched.get(execution).is_some_and(|sender| sender.receiver_count() == 0) {
            watched.remove(execution);
        }
        self.any.store(!watched.is_empty(), Ordering::SeqCst);
    }

    pub(crate) fn notify(&self, execution: &ExecutionId) {
        if self.any.load(Ordering::SeqCst)
            && let Some(sender) = lock(&self.watched).get(execution)
        {
            sender.send_modify(|count| *count += 1);
        }
    }

    pub(crate) fn notify_all(&self) {
        lock(&self.watched).values().for_each(|sender| sender.send_modify(|count| *count += 1));
    }
}

/// The numbers of one journal's records, given out in the order of commits.
pub(crate) struct Numbers {
    journal: JournalId,
    next: AtomicU64,
    /// Something that was to be written to it is lost.
    cut: AtomicBool,
    /// The last that its attempt had to say is written.
    over: AtomicBool,
}

impl Numbers {
    pub(crate) fn new(journal: JournalId, next: Seq) -> Self {
        Numbers { journal, next: AtomicU64::new(next.0), cut: AtomicBool::new(false), over: AtomicBool::new(false) }
    }

    pub(crate) fn journal(&self) -> JournalId {
        self.journal
    }

    /// Lets nothing more be written to the journal: what comes behind is not to be there without what is lost.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// Whether nothing more is to be written to the journal.
    pub(crate) fn is_cut(&self) -> bool {
        self.has_lost() || self.over.load(Ordering::SeqCst)
    }

    fn has_lost(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    pub(crate) fn take(&self) -> u64 {
        // Only the writer's thread takes numbers.
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// A write that is not a call's.
struct Ticket {
    numbers: Arc<Numbers>,
    /// The journal that says why this is written, before it.
    behind: Option<Arc<Numbers>>,
    landed: Mutex<Option<Landed>>,
}

type Landed = Box<dyn FnOnce(Result<(), Error>) + Send>;

impl Owner for Ticket {
    fn journal(&self) -> u64 {
        self.numbers.journal.0
    }

    fn number(&self) -> u64 {
        self.numbers.take()
    }

    fn is_cut(&self) -> bool {
        self.numbers.is_cut() || self.behind.as_ref().is_some_and(|behind| behind.has_lost())
    }

    fn landed(&self, _: u64, result: Result<u64, Error>) {
        if result.is_err() {
            self.numbers.cut();
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
    use crate::store::{Memory, Store, WriterOptions};

    #[tokio::test]
    async fn a_journal_does_not_begin_behind_one_that_has_lost_what_said_so() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let writer = Writer::start(store.clone(), WriterOptions::default()).unwrap();
        let runtime = Runtime::new(writer, Reader::new(store.clone()), Clock::manual(), 1, 1, None);
        let row = |key: u8| Row { table: Table::Memo, key: RowKey::from(vec![key]), value: Some(vec![key]) };
        let [parent, child] = [1, 2].map(|journal| Arc::new(Numbers::new(JournalId(journal), Seq(1))));
        // Its attempt is over, and has lost nothing.
        runtime.write_last(&parent, Vec::new(), Some(vec![0])).await.unwrap();
        runtime.begin(&child, Some(parent.clone()), vec![row(1)]).await.unwrap();
        parent.cut();
        let other = Arc::new(Numbers::new(JournalId(3), Seq(1)));
        assert!(runtime.begin(&other, Some(parent), vec![row(2)]).await.unwrap_err().is_store());
        assert!(store.get(Table::Memo, &[1]).unwrap().is_some() && store.get(Table::Memo, &[2]).unwrap().is_none());
        // It has begun, and goes on by itself.
        runtime.write(&child, vec![row(3)], None, Activity::GoesOn).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_written_to_a_journal_behind_the_last_word_of_its_attempt() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let writer = Writer::start(store.clone(), WriterOptions::default()).unwrap();
        let runtime = Runtime::new(writer, Reader::new(store), Clock::manual(), 1, 1, None);
        let attempt = Arc::new(Numbers::new(JournalId(1), Seq(1)));
        runtime.write_last(&attempt, Vec::new(), Some(vec![0])).await.unwrap();
        let late = runtime.write(&attempt, Vec::new(), Some(vec![0]), Activity::GoesOn).await;
        assert!(late.unwrap_err().is_store());
    }
}
