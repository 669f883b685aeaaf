//! The contract of a store, run on every store, and the writer in front of one.

use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::error::{Error, Kind};
use crate::store::{
    Disk, Memory, OpenOptions, Order, Range, Reader, Row, RowKey, Store, Submission, Submitter, Table, Visit, Writer,
    WriterOptions,
};

fn each_store(test: impl Fn(&dyn Store)) {
    test(&Memory::new());
    let dir = tempfile::tempdir().unwrap();
    test(&Disk::open(dir.path(), OpenOptions::default()).unwrap());
}

fn row(table: Table, key: &str, value: Option<&str>) -> Row {
    Row { table, key: RowKey::from(key), value: value.map(|value| value.as_bytes().to_vec()) }
}

fn keys(store: &dyn Store, range: Range<'_>, order: Order) -> Vec<String> {
    let mut keys = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        keys.push(String::from_utf8_lossy(key).into_owned());
        ControlFlow::Continue(())
    };
    store.scan(Table::Journal, range, order, &mut visit).unwrap();
    keys
}

/// The process is begun once more, where the system gives no thread with the stack that is asked for.
#[test]
fn a_writer_that_gets_no_thread_is_an_error() {
    let name = "store::contract_tests::a_writer_that_gets_no_thread_is_an_error";
    if std::env::var_os("RUST_MIN_STACK").is_none() {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let command = command.args([name, "--exact", "--nocapture"]).env("RUST_MIN_STACK", (1u64 << 46).to_string());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let started = Writer::start(Arc::new(Memory::new()), WriterOptions::default());
    assert!(started.err().is_some_and(|error| error.to_string().contains("raise the limit of threads")));
}

#[test]
fn a_batch_writes_and_deletes_in_order_and_tables_do_not_mix() {
    each_store(|store| {
        let rows = [
            row(Table::Journal, "a", Some("1")),
            row(Table::Memo, "a", Some("2")),
            row(Table::Journal, "b", Some("3")),
            row(Table::Journal, "b", None),
            row(Table::Journal, "a", Some("4")),
        ];
        store.commit(rows.to_vec()).unwrap();
        assert_eq!(store.get(Table::Journal, b"a").unwrap().unwrap(), b"4");
        assert_eq!(store.get(Table::Memo, b"a").unwrap().unwrap(), b"2");
        assert_eq!(store.get(Table::Journal, b"b").unwrap(), None);
    });
}

#[test]
fn a_range_is_shown_in_both_orders_until_the_visitor_breaks() {
    each_store(|store| {
        let rows = ["b", "d", "a", "c"].map(|key| row(Table::Journal, key, Some("x")));
        store.commit(rows.to_vec()).unwrap();
        let all = (Bound::Unbounded, Bound::Unbounded);
        assert_eq!(keys(store, all, Order::Ascending), ["a", "b", "c", "d"]);
        assert_eq!(keys(store, all, Order::Descending), ["d", "c", "b", "a"]);
        let middle: Range<'_> = (Bound::Excluded(b"a"), Bound::Included(b"c"));
        assert_eq!(keys(store, middle, Order::Descending), ["c", "b"]);
        let mut seen = 0;
        let mut once = |_: &[u8], _: &[u8]| {
            seen += 1;
            ControlFlow::Break(())
        };
        store.scan(Table::Journal, all, Order::Ascending, &mut once).unwrap();
        assert_eq!(seen, 1);
    });
}

#[test]
fn all_rows_are_shown_in_the_order_of_tables_and_keys_until_the_visitor_breaks() {
    each_store(|store| {
        let rows = [("b", Table::Memo), ("c", Table::Journal), ("a", Table::Journal), ("d", Table::Journal)];
        store.commit(rows.map(|(key, table)| row(table, key, Some("x"))).to_vec()).unwrap();
        store.commit(vec![row(Table::Journal, "d", None)]).unwrap();
        let shown = |most: usize| {
            let mut shown = Vec::new();
            let mut visit = |table: Table, key: &[u8], _: &[u8]| {
                // What a store on disk has of itself.
                if table != Table::Meta {
                    shown.push((table, String::from_utf8_lossy(key).into_owned()));
                }
                if shown.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            store.scan_all(&mut visit).unwrap();
            shown
        };
        let all = [(Table::Journal, "a"), (Table::Journal, "c"), (Table::Memo, "b")];
        let all = all.map(|(table, key)| (table, key.to_owned()));
        assert_eq!(shown(9), all);
        assert_eq!(shown(1), all[..1]);
    });
}

#[test]
fn a_closed_store_refuses_everything_but_being_closed() {
    each_store(|store| {
        store.close().unwrap();
        store.close().unwrap();
        assert!(store.commit(vec![]).unwrap_err().is_closed());
        assert!(store.get(Table::Meta, b"x").unwrap_err().is_closed());
        let visit: Visit<'_> = &mut |_, _| ControlFlow::Continue(());
        let all = (Bound::Unbounded, Bound::Unbounded);
        assert!(store.scan(Table::Meta, all, Order::Ascending, visit).unwrap_err().is_closed());
        assert!(store.scan_all(&mut |_, _, _| ControlFlow::Continue(())).unwrap_err().is_closed());
    });
}

#[test]
fn commit_is_there_when_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Disk::open(dir.path(), OpenOptions::default()).unwrap();
    store.commit(vec![row(Table::Journal, "a", Some("1"))]).unwrap();
    store.close().unwrap();
    let store = Disk::open(dir.path(), OpenOptions::default()).unwrap();
    assert_eq!(store.get(Table::Journal, b"a").unwrap().unwrap(), b"1");
}

/// A store that tells what it is asked and fails on demand.
#[derive(Default)]
struct Spy {
    memory: Memory,
    commits: Mutex<Vec<usize>>,
    /// While it holds, commits wait.
    held: (Mutex<bool>, Condvar),
    fails: AtomicBool,
    panics: AtomicBool,
}

impl Spy {
    fn hold(&self, held: bool) {
        *self.held.0.lock().unwrap() = held;
        self.held.1.notify_all();
    }

    fn commits(&self) -> Vec<usize> {
        self.commits.lock().unwrap().clone()
    }
}

impl Store for Spy {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        drop(self.held.1.wait_while(self.held.0.lock().unwrap(), |held| *held).unwrap());
        assert!(!self.panics.load(Ordering::SeqCst), "on demand");
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::new(Kind::StorageFull, "on demand"));
        }
        self.commits.lock().unwrap().push(rows.len());
        self.memory.commit(rows)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.memory.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        self.memory.scan(table, range, order, visit)
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// A submitter that keeps what landed.
#[derive(Default)]
struct Acks {
    next: AtomicU64,
    landed: Mutex<Vec<(u64, Result<u64, Error>)>>,
    arrived: Condvar,
    cut: AtomicBool,
}

impl Submitter for Acks {
    fn journal(&self) -> u64 {
        7
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    fn landed(&self, token: u64, result: Result<u64, Error>) {
        self.landed.lock().unwrap().push((token, result));
        self.arrived.notify_all();
    }
}

impl Acks {
    fn wait(&self, count: usize) -> Vec<(u64, Result<u64, Error>)> {
        let landed = self.landed.lock().unwrap();
        self.arrived.wait_while(landed, |landed| landed.len() < count).unwrap().clone()
    }
}

fn frame(submitter: &Arc<Acks>, token: u64) -> Submission {
    Submission { submitter: submitter.clone(), token, rows: Vec::new(), frame: Some(vec![token as u8]) }
}

fn writer(spy: &Arc<Spy>) -> Writer {
    Writer::start(spy.clone(), WriterOptions::default()).unwrap()
}

#[test]
fn submissions_during_a_commit_are_the_next_batch_and_land_in_order() {
    let (spy, acks) = (Arc::new(Spy::default()), Arc::new(Acks::default()));
    spy.hold(true);
    let writer = writer(&spy);
    writer.submit(frame(&acks, 0)).unwrap();
    // The first may be taken at any time; the others wait for its commit, however many there are.
    for token in 1..100 {
        writer.submit(frame(&acks, token)).unwrap();
    }
    spy.hold(false);
    let landed = acks.wait(100);
    assert!(landed.iter().enumerate().all(|(nth, (token, _))| *token == nth as u64));
    assert!(landed.iter().all(|(token, number)| number.as_ref().unwrap() == &(token + 1)));
    assert!(spy.commits().len() <= 2, "{:?}", spy.commits());
    let reader = Reader::new(spy.clone());
    let key = [7u64.to_be_bytes(), 100u64.to_be_bytes()].concat();
    assert_eq!(reader.get(Table::Journal, &key).unwrap().unwrap(), [99]);
}

#[test]
fn commit_that_fails_or_panics_is_reported_and_the_next_one_succeeds() {
    let (spy, acks) = (Arc::new(Spy::default()), Arc::new(Acks::default()));
    let writer = writer(&spy);
    spy.fails.store(true, Ordering::SeqCst);
    writer.submit(frame(&acks, 1)).unwrap();
    assert!(acks.wait(1)[0].1.as_ref().unwrap_err().is_storage_full());
    spy.fails.store(false, Ordering::SeqCst);
    spy.panics.store(true, Ordering::SeqCst);
    writer.submit(frame(&acks, 2)).unwrap();
    assert!(acks.wait(2)[1].1.as_ref().unwrap_err().is_panic());
    spy.panics.store(false, Ordering::SeqCst);
    writer.submit(frame(&acks, 3)).unwrap();
    assert_eq!(acks.wait(3)[2].1.as_ref().unwrap(), &3, "the lost numbers are not given again");
}

#[test]
fn behind_a_submission_that_was_lost_nothing_is_written_to_its_journal() {
    let (spy, lost, other) = (Arc::new(Spy::default()), Arc::new(Acks::default()), Arc::new(Acks::default()));
    let writer = writer(&spy);
    lost.cut.store(true, Ordering::SeqCst);
    writer.submit(frame(&lost, 1)).unwrap();
    writer.submit(frame(&other, 2)).unwrap();
    assert!(lost.wait(1)[0].1.as_ref().unwrap_err().is_store());
    assert!(other.wait(1)[0].1.is_ok());
    let rows: usize = spy.commits().iter().sum();
    assert_eq!(rows, 1);
}

#[test]
fn closing_lands_what_is_queued_and_refuses_what_comes_after() {
    let (spy, acks) = (Arc::new(Spy::default()), Arc::new(Acks::default()));
    let writer = writer(&spy);
    for token in 0..10 {
        writer.submit(frame(&acks, token)).unwrap();
    }
    writer.close().unwrap();
    assert_eq!(acks.wait(10).len(), 10);
    assert!(writer.submit(frame(&acks, 10)).unwrap_err().is_closed());
    writer.close().unwrap();
}

#[test]
fn a_full_queue_says_so() {
    let (spy, acks) = (Arc::new(Spy::default()), Arc::new(Acks::default()));
    spy.hold(true);
    let options = WriterOptions { queue_bytes: 10, ..WriterOptions::default() };
    let writer = Writer::start(spy.clone(), options).unwrap();
    let refused = (0..).find_map(|token| writer.submit(frame(&acks, token)).err()).unwrap();
    assert!(refused.is_too_large() && refused.to_string().contains("the bound is 10"), "{refused}");
    spy.hold(false);
}

#[test]
fn submissions_of_a_commit_count_as_waiting_until_it_has_landed() {
    let (spy, acks) = (Arc::new(Spy::default()), Arc::new(Acks::default()));
    spy.hold(true);
    let options = WriterOptions { queue_bytes: 1_000, ..WriterOptions::default() };
    let writer = Writer::start(spy.clone(), options).unwrap();
    let large = |token| Submission { frame: Some(vec![0; 600]), ..frame(&acks, token) };
    writer.submit(large(0)).unwrap();
    // Whether the writer has taken the first one is not waited for: it makes no difference.
    for _ in 0..100 {
        let refused = writer.submit(large(1)).unwrap_err();
        assert!(refused.is_too_large() && refused.to_string().contains("600 bytes wait"), "{refused}");
        std::thread::yield_now();
    }
    spy.hold(false);
    acks.wait(1);
    writer.submit(large(1)).unwrap();
    acks.wait(2);
    // One alone may be larger.
    writer.submit(Submission { frame: Some(vec![0; 5_000]), ..frame(&acks, 2) }).unwrap();
    acks.wait(3);
}

#[test]
fn a_batch_is_bounded_in_count_and_in_bytes() {
    let (spy, acks) = (Arc::new(Spy::default()), Arc::new(Acks::default()));
    spy.hold(true);
    let options = WriterOptions { batch_count: 4, batch_bytes: 1_000, ..WriterOptions::default() };
    let writer = Writer::start(spy.clone(), options).unwrap();
    for token in 0..20 {
        writer.submit(frame(&acks, token)).unwrap();
    }
    spy.hold(false);
    acks.wait(20);
    assert!(spy.commits().iter().all(|rows| *rows <= 4), "{:?}", spy.commits());
}
