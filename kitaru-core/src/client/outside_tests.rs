//! Rows that this program did not write, and missing rows: the others stay readable, and an error names the problem.

use std::ops::Bound;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::clock::Clock;
use crate::dynamic::{checkpoint, flow};
use crate::error::Error;
use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::{Aside, MailRow, Status, Tally, UnfinishedRow, aside_key, generation_key, journal_key};
use crate::ledger::{MOST_MAIL_BYTES, MailTotal};
use crate::store::{Memory, Order, Range, Reader, Row, RowKey, Store, Table, Visit, seal};
use crate::{FlowCall, Kitaru};

/// A store that outlives its handles, counts its commits, and delays them on request.
#[derive(Clone, Default)]
struct KeptStore(Arc<Inside>);

#[derive(Default)]
struct Inside {
    memory: Memory,
    commits: AtomicUsize,
    held_up: Mutex<bool>,
    goes_on: Condvar,
}

impl KeptStore {
    async fn open(&self) -> Kitaru {
        self.open_at(Clock::system()).await
    }

    async fn open_at(&self, clock: Clock) -> Kitaru {
        let options = Kitaru::builder().store(self.clone()).clock(clock).recovery(crate::client::Recovery::Manual);
        options.open().await.expect("the store opens")
    }

    /// Writes a value under a key, with a valid checksum.
    fn put(&self, table: Table, key: impl AsRef<[u8]>, mut value: Vec<u8>) {
        seal(table, key.as_ref(), &mut value);
        self.put_as_it_is(table, key, Some(value));
    }

    fn put_as_it_is(&self, table: Table, key: impl AsRef<[u8]>, value: Option<Vec<u8>>) {
        let row = Row { table, key: RowKey::from(key.as_ref()), value };
        self.0.memory.commit(vec![row]).unwrap();
    }

    fn flip(&self, table: Table, key: impl AsRef<[u8]>) {
        let mut value = self.get(table, key.as_ref()).unwrap().expect("a row");
        value[0] ^= 1;
        self.put_as_it_is(table, key, Some(value));
    }

    fn hold_up(&self, held_up: bool) {
        *self.0.held_up.lock().unwrap() = held_up;
        self.0.goes_on.notify_all();
    }
}

impl Store for KeptStore {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        let held_up = self.0.held_up.lock().unwrap();
        drop(self.0.goes_on.wait_while(held_up, |held_up| *held_up).unwrap());
        self.0.commits.fetch_add(1, Ordering::SeqCst);
        self.0.memory.commit(rows)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.0.memory.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        self.0.memory.scan(table, range, order, visit)
    }

    /// The next opening uses it again.
    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// How often a body of the flow below has run.
static RAN: AtomicU64 = AtomicU64::new(0);

fn add(n: u64) -> FlowCall<Result<u64, Error>> {
    flow("add").input("n", &n).run(move || async move {
        let mut sum = 0;
        for nth in 0..3 {
            let body = move || async move {
                RAN.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Error>(n + nth)
            };
            sum += checkpoint("part").arg("nth", &nth).run(body).await?;
        }
        if n == 1_000 { Err(Error::msg("too many")) } else { Ok(sum) }
    })
}

#[tokio::test]
async fn unreadable_execution_is_listed_as_such_and_hides_no_other() {
    let store = KeptStore::default();
    let kitaru = store.open().await;
    for n in 1..=6 {
        add(n).id(format!("job {n}")).on(&kitaru).await.unwrap();
    }
    kitaru.close().await.unwrap();
    store.flip(Table::Execution, generation_key(JournalId(2)));
    // Intact, but of an unknown format.
    store.put(Table::Execution, generation_key(JournalId(4)), vec![200]);
    // Completed, but its last record is missing.
    store.put_as_it_is(Table::Journal, journal_key(JournalId(5), Seq(4)), None);
    // The newest execution does not prevent the store from opening.
    store.flip(Table::Execution, generation_key(JournalId(6)));
    for limit in [1, 2, 100] {
        let kitaru = store.open().await;
        let (mut ids, mut unreadable) = (Vec::new(), Vec::new());
        let mut page = kitaru.executions().limit(limit).await.unwrap();
        loop {
            ids.extend(page.iter().map(|summary| summary.id().to_owned()));
            for one in page.unreadable() {
                assert!(one.error().is_store() && one.flow() == Some("add"), "{one:?}");
                unreadable.push(one.id().unwrap().to_owned());
            }
            assert!(page.len() + page.unreadable().len() <= limit);
            let Some(next) = page.next_cursor() else { break };
            page = kitaru.executions().limit(limit).after(next).await.unwrap();
        }
        assert_eq!(ids, ["job 3", "job 1"]);
        assert_eq!(unreadable, ["job 6", "job 5", "job 4", "job 2"]);
    }
    let kitaru = store.open().await;
    add(7).id("job 7").on(&kitaru).await.unwrap();
    assert_eq!(kitaru.executions().await.unwrap().first().unwrap().id(), "job 7", "it has a number of its own");
}

#[tokio::test]
async fn unreadable_execution_does_not_keep_others_from_being_deleted() {
    let (store, clock) = (KeptStore::default(), Clock::manual());
    let kitaru = store.open_at(clock.clone()).await;
    for n in 1..=4 {
        add(n).id(format!("job {n}")).on(&kitaru).await.unwrap();
    }
    kitaru.close().await.unwrap();
    store.flip(Table::Execution, generation_key(JournalId(2)));
    clock.advance(Duration::from_secs(7_200));
    let options = Kitaru::builder().store(store.clone()).clock(clock).retention(Duration::from_secs(3_600));
    let kitaru = options.open().await.unwrap();
    for _ in 0..1_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if kitaru.executions().await.unwrap().is_empty() {
            break;
        }
    }
    let page = kitaru.executions().await.unwrap();
    let ids: Vec<_> = page.iter().map(|summary| summary.id()).collect();
    assert_eq!((ids, page.unreadable().len()), (Vec::<&str>::new(), 1));
}

#[tokio::test]
async fn journal_that_lacks_a_record_is_not_resumed() {
    let of_this_test = 1_000;
    for missing in 1..=3 {
        let store = KeptStore::default();
        let kitaru = store.open().await;
        add(of_this_test).id("job").on(&kitaru).await.unwrap_err();
        kitaru.close().await.unwrap();
        store.put_as_it_is(Table::Journal, journal_key(JournalId(1), Seq(missing)), None);
        let kitaru = store.open().await;
        let ran = RAN.load(Ordering::SeqCst);
        for error in [
            add(of_this_test).id("job").on(&kitaru).await.unwrap_err(),
            kitaru.execution(("add", "job")).await.unwrap_err(),
            kitaru.export(("add", "job")).await.map(drop).unwrap_err(),
        ] {
            let message = format!("{error:#}");
            assert!(error.is_store() && message.contains(&format!("record {missing} is missing")), "{message}");
            for part in ["add", "job", "backup", ".fresh()"] {
                assert!(message.contains(part), "{message} lacks {part}");
            }
        }
        // Other tests of this process run bodies, too, and none of them with this input.
        assert!(RAN.load(Ordering::SeqCst) - ran < 100);
        assert!(add(7).fresh().id("job").on(&kitaru).await.is_ok());
    }
}

/// Larger than any number in a real store.
const FAR: u64 = u64::MAX;

#[tokio::test]
async fn numbers_that_no_store_reaches_are_refused_without_a_panic() {
    let store = KeptStore::default();
    store.put(Table::Execution, generation_key(JournalId(FAR)), vec![1]);
    let error = Kitaru::builder().store(store.clone()).open().await.map(drop).unwrap_err();
    assert!(error.is_store() && error.to_string().contains("no journal has"), "{error:#}");
    store.put_as_it_is(Table::Execution, generation_key(JournalId(FAR)), None);

    let kitaru = store.open().await;
    let handle = waits().id("job").on(&kitaru).start().await.unwrap();
    let key = aside_key(JournalId(1), Aside::Signal, &FAR.to_be_bytes());
    store.put(
        Table::Aside,
        key,
        MailRow { sent_ms: FAR, name: "other".into(), json: "1".into(), wait: None, question: None }.write(),
    );
    let error = kitaru.signal(&handle, "go", &1).await.unwrap_err();
    assert!(error.is_too_large(), "{error:#}");
    kitaru.close().grace(Duration::ZERO).await.unwrap();

    // The row of a running attempt, as far in the past or future as possible.
    for (attempts, ms) in [(u32::MAX, FAR), (u32::MAX, 0), (1, FAR)] {
        let store = KeptStore::default();
        let kitaru = store.open().await;
        add(1_000).id("job").on(&kitaru).await.unwrap_err();
        kitaru.close().await.unwrap();
        let row =
            UnfinishedRow { status: Status::Running, attempts, updated_ms: ms, wake_ms: ms, tally: Tally::default() };
        store.put(Table::Unfinished, generation_key(JournalId(1)), row.write());
        let kitaru = store.open().await;
        let page = kitaru.executions().await.unwrap();
        assert_eq!((page[0].attempts(), page[0].id()), (attempts, "job"));
        let _ = (page[0].updated(), page[0].created());
        let error = add(1_000).id("job").on(&kitaru).await.unwrap_err();
        assert!(error.to_string().contains("too many"), "it is tried again: {error:#}");
        // A last record with that number, in an execution that another one replaces.
        store.put(Table::Journal, journal_key(JournalId(1), Seq(FAR)), vec![1, 3, 0]);
        store.put(Table::Unfinished, generation_key(JournalId(1)), row.write());
        let error = add(7).id("job").fresh().on(&kitaru).await.unwrap_err();
        assert!(error.is_store() && !format!("{error:#}").contains("panicked"), "{error:#}");
    }
}

fn waits() -> FlowCall<Result<Vec<u64>, Error>> {
    flow("waits").run(|| async {
        crate::signal::<()>("begin").await?;
        let mut taken = Vec::new();
        while taken.len() < 50 {
            taken.push(crate::signal::<u64>("go").await?);
        }
        Ok(taken)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_that_are_sent_together_share_commits_and_keep_their_order() {
    let store = KeptStore::default();
    let kitaru = store.open().await;
    let handle = waits().id("job").on(&kitaru).start().await.unwrap();
    kitaru.inner.runtime.ledger.flush().await.unwrap();
    let before = store.0.commits.load(Ordering::SeqCst);
    store.hold_up(true);
    let mut sending = Vec::new();
    for n in 0..50u64 {
        // Each signal is on its way before the next is sent. Each is sent twice with the same key.
        for _ in 0..2 {
            let sent = kitaru.signal(&handle, "go", &n).key(format!("key {n}"));
            sending.push(tokio::spawn(async move { sent.await }));
        }
        let journal = JournalId(1);
        while !kitaru.inner.runtime.ledger.tallies().has_sent(journal, n + 1) {
            tokio::task::yield_now().await;
        }
    }
    assert!(sending.iter().all(|sent| !sent.is_finished()), "no sender learns of it before it is durable");
    store.hold_up(false);
    for sent in sending {
        sent.await.unwrap().unwrap();
    }
    let commits = store.0.commits.load(Ordering::SeqCst) - before;
    assert!(commits < 10, "{commits} commits");
    kitaru.signal(&handle, "begin", &()).await.unwrap();
    assert_eq!(handle.await.unwrap(), (0..50).collect::<Vec<_>>());
    let mut signals = 0;
    let all = (Bound::Unbounded, Bound::Unbounded);
    let reader = Reader::new(Arc::new(store));
    reader
        .scan(Table::Aside, all, Order::Ascending, &mut |key, _| {
            signals += u64::from(key[8] == Aside::Signal as u8);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(signals, 51, "a key counts for what is on its way, too");
}

#[tokio::test]
async fn mail_of_an_execution_is_bounded_in_bytes() {
    let store = KeptStore::default();
    let kitaru = store.open().await;
    let handle = waits().id("job").on(&kitaru).start().await.unwrap();
    // As if that much had been sent already.
    let (execution, so_far) = (ExecutionId::new("waits", "job").unwrap(), MailTotal::new(0, MOST_MAIL_BYTES - 1_000));
    kitaru.inner.runtime.ledger.tallies().add(&execution, JournalId(1), so_far, Aside::Answer, 0, u64::MAX).unwrap();
    let part = "x".repeat(400);
    kitaru.signal(&handle, "other", &part).await.unwrap();
    kitaru.answer(&handle, "early", &part).await.unwrap();
    for error in [
        kitaru.signal(&handle, "other", &part).await.unwrap_err(),
        kitaru.answer(&handle, "early too", &part).await.unwrap_err(),
    ] {
        let message = error.to_string();
        assert!(error.is_too_large() && message.contains("over 268435456"), "{message}");
        assert!(message.contains("waits"), "{message}");
        assert!(message.contains(".continue_as_new()"), "{message}");
    }
    // A small signal still fits, and the recount of the store agrees.
    kitaru.signal(&handle, "other", &1).await.unwrap();
    let counted = kitaru.inner.runtime.archive.sent_so_far(JournalId(1)).unwrap();
    assert!(counted.last_signal == 2 && (800..900).contains(&counted.bytes), "{counted:?}");
    kitaru.close().grace(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn more_mail_than_an_attempt_may_have_in_memory_is_not_loaded() {
    let store = KeptStore::default();
    let kitaru = store.open().await;
    let handle = waits().id("job").on(&kitaru).start().await.unwrap();
    for n in 0..10u64 {
        kitaru.signal(&handle, "other", &"x".repeat(90)).await.unwrap();
        kitaru.answer(&handle, &format!("early {n}"), &n).await.unwrap();
    }
    let archive = &kitaru.inner.runtime.archive;
    let execution = ExecutionId::new("waits", "job").unwrap();
    let stored = archive.newest(&execution).unwrap().unwrap();
    assert_eq!(archive.inbox(&stored, 2_000).unwrap().len(), 20);
    let error = archive.inbox(&stored, 1_000).unwrap_err();
    assert!(error.is_store() && error.to_string().contains("more than an attempt may have in memory"), "{error:#}");
    assert_eq!(crate::ledger::most_loaded_bytes(1_000), 1 << 30);
    kitaru.close().grace(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn accepted_answer_fits_as_the_result_of_the_flow() {
    let kitaru = Kitaru::builder().in_memory().max_outcome_bytes(1_000).open().await.unwrap();
    let ask = || flow("ask").run(|| async { crate::wait::<String>("text").await });
    let mut taken = 0;
    for length in 980..1_010 {
        let handle = ask().id(format!("job {length}")).on(&kitaru).start().await.unwrap();
        match kitaru.answer(&handle, "text", &"x".repeat(length)).await {
            Ok(()) => {
                assert_eq!(handle.await.unwrap().len(), length);
                taken += 1;
            }
            Err(error) => {
                assert!(error.is_too_large() && error.to_string().contains("the bound is 1000"), "{error:#}");
                kitaru.cancel(&handle).await.unwrap();
            }
        }
    }
    // 1,000 bytes minus the three bytes of its length.
    assert_eq!(taken, 998 - 980);
}
