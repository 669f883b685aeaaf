//! The upkeep of a store: who did what, deleting, collecting, backups, and a look at every row.

use std::io::{self, Write};
use std::time::Duration;

use kitaru::testkit::store::Table;
use kitaru::{
    AuditAction, AuditEntry, Clock, Error, Execution, FindingKind, Kitaru, Status, checkpoint, flow, signal, undo, wait,
};

use crate::support::{Rows, disk, log, memory, until_it_holds};

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[checkpoint]
async fn kept_part(n: u32) -> Result<u32, Error> {
    if n == 13 { Err(Error::msg("no luck")) } else { Ok(n) }
}

#[checkpoint(sensitive)]
async fn kept_token() -> String {
    "hush-hush".to_owned()
}

/// Waits for an answer and for signals, unless it fails before.
#[flow]
async fn kept_up(n: u32) -> Result<u32, Error> {
    undo(|| async { Ok::<_, Error>(()) });
    let part = kept_part(n).await?;
    kept_token().await;
    if n == 1 {
        return Ok(part);
    }
    let answer = wait::<u32>("answer").await?;
    let sent = signal::<u32>("sent").await?;
    Ok(answer + sent)
}

#[flow]
async fn keeps_a_child(n: u32) -> Result<u32, Error> {
    let child = kept_up(1).id("child").await?;
    if n > 0 {
        signal::<u32>("end").await?;
    }
    Ok(child)
}

async fn shown(kitaru: &Kitaru, id: &str) -> Execution {
    kitaru.execution(("kept_up", id)).await.unwrap().unwrap()
}

async fn waits(kitaru: &Kitaru, id: &str, n: u32) {
    let _ = kept_up(n).id(id).on(kitaru).start().await;
    until_it_holds(async || {
        let status = shown(kitaru, id).await.status();
        status == Status::Waiting || status.is_final()
    })
    .await;
}

fn said(entries: &[AuditEntry]) -> Vec<(String, &str, &str)> {
    entries.iter().map(|entry| (entry.action().to_string(), entry.about(), entry.by())).collect()
}

#[tokio::test]
async fn audit_says_who_answered_sent_cancelled_and_resumed() {
    let (kitaru, clock) = memory().await;
    waits(&kitaru, "job", 2).await;
    let ada = kitaru.by("Ada");
    ada.signal(("kept_up", "job"), "sent", &2).key("once").await.unwrap();
    ada.signal(("kept_up", "job"), "sent", &2).key("once").await.unwrap();
    clock.advance(DAY);
    kitaru.by("Bob\u{1b}[2J").answer(("kept_up", "job"), "answer", &1).await.unwrap();
    until_it_holds(async || shown(&kitaru, "job").await.status() == Status::Completed).await;
    let job = shown(&kitaru, "job").await;
    let expected = [("sent".to_owned(), "sent", "Ada"), ("answered".to_owned(), "answer", "Bob\\u001b[2J")];
    assert_eq!(said(job.audit()), expected, "a repetition has no effect, and no entry");
    assert_eq!(job.audit()[1].at().duration_since(job.audit()[0].at()).unwrap(), DAY);

    ada.fork(("kept_up", "job")).id("fork").start().await.unwrap();
    let forked = [("forked".to_owned(), "kept_up/job", "Ada")];
    assert_eq!(said(shown(&kitaru, "fork").await.audit()), forked, "entries are not copied to a fork");

    waits(&kitaru, "failed", 13).await;
    kitaru.by("Ada").resume(("kept_up", "failed")).await.unwrap_err();
    waits(&kitaru, "cancelled", 2).await;
    ada.cancel(("kept_up", "cancelled")).await.unwrap();
    waits(&kitaru, "abandoned", 2).await;
    // No actor is named.
    kitaru.cancel(("kept_up", "abandoned")).await.unwrap();
    assert_eq!(said(shown(&kitaru, "cancelled").await.audit()), [("cancelled".to_owned(), "", "Ada")]);
    assert_eq!(said(shown(&kitaru, "abandoned").await.audit()), []);
    assert_eq!(said(shown(&kitaru, "failed").await.audit()), [], "what is refused has no entry");
}

#[flow]
async fn undone_slowly(path: String) -> Result<u32, Error> {
    let undone = path.clone();
    undo(move || {
        let path = undone.clone();
        async move {
            log(&path).say("undoes");
            while log(&path).count("continue") == 0 {
                tokio::task::yield_now().await;
            }
            Ok::<_, Error>(())
        }
    });
    wait::<u32>("answer").await
}

#[tokio::test]
async fn audit_names_the_first_who_cancels_although_another_does_during_the_undo() {
    let (kitaru, _clock) = memory().await;
    drop(undone_slowly("two cancel".into()).id("job").on(&kitaru).start().await.unwrap());
    let cancels = |by: &str| {
        let kitaru = kitaru.by(by);
        tokio::spawn(async move { kitaru.cancel(("undone_slowly", "job")).await })
    };
    let shown = async || kitaru.execution(("undone_slowly", "job")).await.unwrap().unwrap();
    until_it_holds(async || shown().await.status() == Status::Waiting).await;
    let first = cancels("Ada");
    until_it_holds(async || log("two cancel").count("undoes") > 0).await;
    let second = cancels("Bob");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    log("two cancel").say("continue");
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(said(shown().await.audit()), [("cancelled".to_owned(), "", "Ada")]);
}

#[checkpoint]
async fn lucky_later(path: String) -> Result<u32, Error> {
    if crate::support::log(&path).take().is_empty() { Err(Error::msg("no luck")) } else { Ok(7) }
}

#[flow]
async fn resumed_by_name(path: String) -> Result<u32, Error> {
    lucky_later(path).await
}

#[tokio::test]
async fn audit_survives_the_process_and_is_deleted_with_its_execution() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    resumed_by_name("audit: luck".into()).id("job").on(&kitaru).await.unwrap_err();
    crate::support::log("audit: luck").say("it has");
    kitaru.by("Ada").resume(("resumed_by_name", "job")).await.unwrap();
    resumed_by_name("audit: luck".into()).id("job").on(&kitaru).await.unwrap();
    waits(&kitaru, "cut off", 2).await;
    kitaru.close().await.unwrap();

    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    let job = kitaru.execution(("resumed_by_name", "job")).await.unwrap().unwrap();
    assert_eq!(said(job.audit()), [("resumed".to_owned(), "", "Ada")]);
    kitaru.by("Ada").cancel(("kept_up", "cut off")).without_undo().await.unwrap();
    assert_eq!(said(shown(&kitaru, "cut off").await.audit()), [("cancelled".to_owned(), "", "Ada")]);
    kitaru.delete(("resumed_by_name", "job")).await.unwrap();
    kitaru.by("Bob").delete(("kept_up", "cut off")).await.unwrap();
    let aside = rows.keys(Table::Aside);
    assert_eq!(aside.len(), 1, "only the audit of the store is left: {aside:?}");
    let store = kitaru.audit().await.unwrap();
    assert_eq!(said(&store), [("deleted".to_owned(), "kept_up/cut off", "Bob")]);
    assert_eq!(store[0].action(), AuditAction::Deleted);
}

#[tokio::test]
async fn audit_of_an_execution_keeps_the_newest_hundred_entries() {
    let (kitaru, _clock) = memory().await;
    waits(&kitaru, "job", 2).await;
    let ada = kitaru.by("Ada");
    for n in 0..105u32 {
        ada.signal(("kept_up", "job"), &format!("sent_{n}"), &n).await.unwrap();
    }
    let audit = shown(&kitaru, "job").await;
    let audit = said(audit.audit());
    assert_eq!((audit.len(), audit[0].1, audit[99].1), (100, "sent_5", "sent_104"));
}

#[tokio::test]
async fn execution_that_has_ended_is_deleted_with_all_its_generations() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    let empty = rows.len();
    for generation in 1..=3 {
        kept_up(1).id("job").tag("nightly").fresh().on(&kitaru).await.unwrap();
        assert_eq!(shown(&kitaru, "job").await.generation(), generation);
    }
    kept_up(13).id("failed").on(&kitaru).await.unwrap_err();
    kitaru.delete(("kept_up", "job")).await.unwrap();
    kitaru.delete(("kept_up", "failed")).await.unwrap();
    assert!(kitaru.executions().await.unwrap().is_empty());
    assert!(kitaru.execution(("kept_up", "job")).generation(1).await.unwrap().is_none());
    // The texts of shapes stay, and what says which numbers were given.
    let left = rows.len() - rows.keys(Table::Shape).len() - empty;
    assert!(left <= 2, "{left} rows are left");
    kept_up(1).id("job").on(&kitaru).await.unwrap();
    assert_eq!(shown(&kitaru, "job").await.generation(), 4, "its keys do not come twice");
    kitaru.delete(("kept_up", "none")).await.unwrap_err();
}

#[tokio::test]
async fn execution_that_has_not_ended_or_has_a_parent_that_asks_is_not_deleted() {
    let (kitaru, _clock) = memory().await;
    waits(&kitaru, "waits", 2).await;
    let why = kitaru.delete(("kept_up", "waits")).await.unwrap_err();
    assert!(why.is_misuse() && why.to_string().contains("cancel it first"), "{why}");
    kitaru.cancel(("kept_up", "waits")).await.unwrap();
    kitaru.delete(("kept_up", "waits")).await.unwrap();

    let parent = keeps_a_child(1).id("parent").on(&kitaru).start().await.unwrap();
    until_it_holds(async || shown_or_none(&kitaru, "child").await == Some(Status::Completed)).await;
    let why = kitaru.delete(("kept_up", "child")).await.unwrap_err().to_string();
    assert!(why.contains("its parent has not completed"), "{why}");
    kitaru.signal(("keeps_a_child", "parent"), "end", &1).await.unwrap();
    assert_eq!(parent.await.unwrap(), 1);
    kitaru.delete(("kept_up", "child")).await.unwrap();
    kitaru.delete(("keeps_a_child", "parent")).await.unwrap();
    assert!(kitaru.executions().await.unwrap().is_empty());
}

#[tokio::test]
async fn call_during_a_deletion_begins_the_execution_again() {
    let (kitaru, _clock) = memory().await;
    for _ in 0..10 {
        kept_up(1).id("job").on(&kitaru).await.unwrap();
        let (deleted, called) =
            tokio::join!(kitaru.delete(("kept_up", "job")).into_future(), kept_up(1).id("job").on(&kitaru));
        deleted.unwrap();
        called.unwrap();
    }
    assert_eq!(shown(&kitaru, "job").await.status(), Status::Completed);
}

async fn shown_or_none(kitaru: &Kitaru, id: &str) -> Option<Status> {
    kitaru.execution(("kept_up", id)).await.unwrap().map(|execution| execution.status())
}

#[tokio::test]
async fn process_that_ends_while_it_deletes_leaves_no_part_of_an_execution() {
    for commits in 1..6 {
        let (rows, clock) = (Rows::default(), Clock::manual());
        let (builder, life) = rows.process(&clock);
        let kitaru = builder.open().await.unwrap();
        for _ in 0..40 {
            kept_up(1).id("job").fresh().on(&kitaru).await.unwrap();
        }
        life.ends_after(commits);
        let _ = kitaru.by("Ada").delete(("kept_up", "job")).await;
        life.dies(kitaru).await;
        let (builder, _life) = rows.process(&clock);
        let kitaru = builder.open().await.unwrap();
        match kitaru.execution(("kept_up", "job")).await.unwrap() {
            Some(left) => assert_eq!((left.generation(), left.status()), (40, Status::Completed), "{commits}"),
            None => assert_eq!(kitaru.audit().await.unwrap().len(), 1, "{commits}"),
        }
        let _ = kitaru.delete(("kept_up", "job")).await;
        kitaru.gc().older_than(Duration::ZERO).await.unwrap();
        assert!(kitaru.executions().await.unwrap().is_empty(), "{commits}");
    }
}

#[checkpoint]
async fn kept_number(n: u32) -> u32 {
    n
}

#[flow]
async fn fails_after(numbers: u32) -> Result<u32, Error> {
    for n in 0..numbers {
        kept_number(n).await;
    }
    kept_part(13).await
}

#[tokio::test]
async fn deletion_of_a_failed_execution_that_was_cut_off_is_finished() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    fails_after(1_100).id("job").on(&kitaru).await.unwrap_err();
    life.ends_after(1);
    kitaru.delete(("fails_after", "job")).await.unwrap_err();
    life.dies(kitaru).await;
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    assert!(kitaru.execution(("fails_after", "job")).await.unwrap().is_none());
    assert_eq!(rows.keys(Table::Execution).len(), 1, "a part of it is left");
    kitaru.gc().older_than(Duration::ZERO).await.unwrap();
    assert!(rows.keys(Table::Execution).is_empty() && rows.keys(Table::Journal).is_empty());
}

#[tokio::test]
async fn collection_deletes_what_a_sweep_would_and_says_how_much() {
    let (kitaru, clock) = memory().await;
    kept_up(1).id("old").on(&kitaru).await.unwrap();
    kept_up(13).id("failed").on(&kitaru).await.unwrap_err();
    waits(&kitaru, "waits", 2).await;
    clock.advance(DAY);
    kept_up(1).id("young").on(&kitaru).await.unwrap();
    let why = kitaru.gc().await.unwrap_err();
    assert!(why.is_misuse() && why.to_string().contains("no retention"), "{why}");
    let would = kitaru.gc().older_than(DAY).only_count().await.unwrap();
    assert_eq!((would.generations(), kitaru.executions().await.unwrap().len()), (1, 4));
    let done = kitaru.by("Ada").gc().older_than(DAY).await.unwrap();
    assert_eq!(done, would);
    assert!(done.bytes() > 100, "{done:?}");
    assert!(kitaru.execution(("kept_up", "old")).await.unwrap().is_none());
    assert_eq!(kitaru.executions().await.unwrap().len(), 3);
    let audit = kitaru.audit().await.unwrap();
    assert_eq!((audit.len(), audit[0].action(), audit[0].by()), (1, AuditAction::Collected, "Ada"));
    kitaru.by("Ada").gc().older_than(DAY).await.unwrap();
    assert_eq!(kitaru.audit().await.unwrap().len(), 1, "nothing was deleted");
}

#[tokio::test]
async fn backup_of_a_store_in_use_is_restored_with_all_that_it_has() {
    let (kitaru, dir) = disk().await;
    for n in 0..20 {
        kept_up(1).id(format!("job-{n}")).on(&kitaru).await.unwrap();
    }
    waits(&kitaru, "waits", 2).await;
    kitaru.by("Ada").signal(("kept_up", "waits"), "sent", &5).await.unwrap();
    let file = dir.path().join("backup");
    let backup = kitaru.backup(std::fs::File::create(&file).unwrap()).await.unwrap();
    assert_eq!(backup.bytes(), std::fs::metadata(&file).unwrap().len());
    // What comes later is not in it.
    kept_up(1).id("later").on(&kitaru).await.unwrap();
    kitaru.close().await.unwrap();

    let store = dir.path().join("restored");
    let restored = Kitaru::restore(std::fs::File::open(&file).unwrap(), &store).await.unwrap();
    assert_eq!(restored, backup);
    let kitaru = Kitaru::builder().dir(&store).open().await.unwrap();
    assert_eq!(kitaru.executions().await.unwrap().len(), 21);
    assert!(kitaru.checkup().await.unwrap().is_well());
    assert_eq!(said(shown(&kitaru, "waits").await.audit()), [("sent".to_owned(), "sent", "Ada")]);
    kitaru.answer(("kept_up", "waits"), "answer", &1).await.unwrap();
    assert_eq!(kept_up(2).id("waits").on(&kitaru).await.unwrap(), 6, "the signal was kept");
    assert_eq!(kept_up(1).id("job-7").on(&kitaru).await.unwrap(), 1);
    assert_eq!(shown(&kitaru, "job-7").await.attempts(), 1, "nothing runs again");
    kitaru.close().await.unwrap();
    let again = Kitaru::restore(std::fs::File::open(&file).unwrap(), &store).await.unwrap_err();
    assert!(again.is_misuse() && again.to_string().contains("holds a store"), "{again}");
}

#[checkpoint]
async fn kept_bytes(n: u8) -> Vec<u8> {
    vec![n; 900_000]
}

#[flow]
async fn keeps_much(records: u8) -> Result<usize, Error> {
    let mut bytes = 0;
    for n in 0..records {
        bytes += kept_bytes(n).await.len();
    }
    Ok(bytes)
}

/// Takes nothing until its sender is gone.
struct Stalled {
    path: &'static str,
    sender: std::sync::mpsc::Receiver<()>,
}

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        log(self.path).say("stalls");
        let _ = self.sender.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn store_is_closed_although_the_writer_of_a_backup_stalls() {
    let (kitaru, _dir) = disk().await;
    // More than waits for a writer.
    keeps_much(8).id("job").on(&kitaru).await.unwrap();
    let (stalls, stalled) = std::sync::mpsc::channel();
    let backs_up = kitaru.clone();
    let writer = Stalled { path: "backup", sender: stalled };
    let backup = tokio::spawn(async move { backs_up.backup(writer).await });
    until_it_holds(async || log("backup").count("stalls") > 0).await;
    // Until no more pieces may wait.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let closed = tokio::time::timeout(Duration::from_secs(20), kitaru.close()).await;
    drop(stalls);
    closed.expect("it closes").unwrap();
    assert!(backup.await.unwrap().unwrap_err().is_closed());
}

#[tokio::test]
async fn backup_has_one_state_of_a_store_that_is_written_to() {
    let (kitaru, dir) = disk().await;
    let writes = async {
        for n in 0..200 {
            kept_up(1).id(format!("job-{n}")).on(&kitaru).await.unwrap();
        }
    };
    let backs_up = async {
        for nth in 0..5 {
            let file = dir.path().join(format!("backup-{nth}"));
            kitaru.backup(std::fs::File::create(&file).unwrap()).await.unwrap();
        }
    };
    tokio::join!(writes, backs_up);
    kitaru.close().await.unwrap();
    let mut before = 0;
    for nth in 0..5 {
        let file = std::fs::File::open(dir.path().join(format!("backup-{nth}"))).unwrap();
        let store = dir.path().join(format!("restored-{nth}"));
        Kitaru::restore(file, &store).await.unwrap();
        let kitaru = Kitaru::builder().dir(&store).read_only().open().await.unwrap();
        let checkup = kitaru.checkup().await.unwrap();
        assert!(checkup.is_well(), "{:?}", checkup.findings());
        let executions = kitaru.executions().limit(1_000).await.unwrap().len();
        assert!(executions >= before);
        before = executions;
        kitaru.close().await.unwrap();
    }
}

#[tokio::test]
async fn backup_that_is_damaged_or_cut_short_makes_no_store() {
    let (kitaru, dir) = disk().await;
    kept_up(1).id("job").on(&kitaru).await.unwrap();
    let file = dir.path().join("backup");
    kitaru.backup(std::fs::File::create(&file).unwrap()).await.unwrap();
    let whole = std::fs::read(&file).unwrap();
    let store = dir.path().join("restored");
    let (mut flipped, half) = (whole.clone(), whole[..whole.len() / 2].to_vec());
    flipped[whole.len() / 2] ^= 1;
    for bad in [flipped, half, whole[..whole.len() - 1].to_vec(), Vec::new()] {
        let why = Kitaru::restore(io::Cursor::new(bad), &store).await.unwrap_err();
        assert!(why.to_string().starts_with("cannot read the backup: "), "{why}");
        assert!(!store.join("store.redb").exists() && !store.join("store.redb.restored").exists());
    }
    Kitaru::restore(io::Cursor::new(whole), &store).await.unwrap();
    assert!(store.join("store.redb").exists());
}

/// A disk that takes so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn backup_to_a_full_disk_is_an_error_and_the_store_continues() {
    let (kitaru, _clock) = memory().await;
    kept_up(1).id("job").on(&kitaru).await.unwrap();
    for bytes in [0, 10, 100] {
        assert!(kitaru.backup(Full(bytes)).await.unwrap_err().is_storage_full());
    }
    kept_up(1).id("other").on(&kitaru).await.unwrap();
}

#[tokio::test]
async fn checkup_says_what_is_damaged_stuck_unfinished_and_large() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    kept_up(1).id("job").on(&kitaru).await.unwrap();
    waits(&kitaru, "waits", 2).await;
    let checkup = kitaru.checkup().await.unwrap();
    assert!(checkup.is_well() && checkup.findings().is_empty(), "{:?}", checkup.findings());
    assert_eq!(checkup.statuses(), [(Status::Waiting, 1), (Status::Completed, 1)]);
    let [of_flow] = checkup.flows() else { panic!("cannot be: {:?}", checkup.flows()) };
    assert_eq!((&*of_flow.flow, of_flow.generations), ("kept_up", 2));
    assert!(of_flow.records >= 5 && of_flow.bytes > 500, "{of_flow:?}");
    assert_eq!(checkup.largest().len(), 2);
    let journal = checkup.tables().iter().find(|size| size.table == "journal").unwrap();
    assert_eq!(journal.rows, of_flow.records);

    rows.damage(Table::Journal);
    let checkup = kitaru.checkup().await.unwrap();
    assert!(!checkup.is_well());
    let damaged = checkup.findings().iter().filter(|finding| finding.kind == FindingKind::Damaged);
    assert!(damaged.clone().any(|finding| finding.place.contains("kept_up/")), "{:?}", checkup.findings());
    assert!(damaged.count() >= 1 && !FindingKind::Damaged.advice().is_empty());
}
