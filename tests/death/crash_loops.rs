//! Processes that crash again and again, of any cause.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kitaru::testkit::store::{Disk, OpenOptions, Order, Range, Row, Store, Table, Visit};
use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow};

use crate::notes::note;
use crate::process::{STOP, command, folder, say, start_as_it_is};
use crate::{count, noted};

/// The number of the process, which sets its clock: each process begins when every pause is over.
const NTH: &str = "KITARU_TEST_NTH";

/// Runs one of the programs, if it is one.
pub(crate) async fn program(name: &str) -> Result<bool, Error> {
    match name {
        "dies" => dies().await?,
        "dies near others" => dies_beside_others().await?,
        "is charged" => charges().await?,
        "is cancelled" => cancels().await?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// A store in a process. Each process is later than the one before it by more than any pause.
fn builder(store: impl Store) -> kitaru::KitaruBuilder {
    let nth: u32 = std::env::var(NTH).map_or(0, |nth| nth.parse().expect("a number"));
    let clock = Clock::manual();
    clock.advance(Duration::from_secs(100) * nth);
    kitaru::testkit::store::builder(store).clock(clock)
}

fn disk() -> Result<Disk, Error> {
    Disk::open(Path::new("store"), OpenOptions::default())
}

/// How a flow's process crashes.
fn shape() -> String {
    std::env::var(STOP).unwrap_or_default()
}

/// More than any stack holds.
#[allow(unconditional_recursion)]
fn overflow(depth: u64) -> u64 {
    std::hint::black_box([depth; 512])[0] + overflow(std::hint::black_box(depth + 1))
}

#[checkpoint]
async fn body() -> u32 {
    note(&format!("body {}", kitaru::may_have_run()));
    match shape().as_str() {
        "in a body" => std::process::abort(),
        "in the stack of a body" => overflow(0) as u32,
        "in a failed body" => 0,
        _ => 1,
    }
}

#[checkpoint]
async fn fails() -> Result<u32, Error> {
    Err(Error::msg("no luck"))
}

#[flow]
async fn deadly(n: u32) -> Result<u32, Error> {
    note("attempt");
    match shape().as_str() {
        "at its begin" => std::process::abort(),
        // An error that is tried again is a record, but not progress.
        "behind an error" => fails().await.map(drop).unwrap_or_else(|_| std::process::abort()),
        _ => {}
    }
    let found = body().await;
    match shape().as_str() {
        "behind a replay" => std::process::abort(),
        "in the stack of a replay" => overflow(0) as u32,
        "when it is loaded" | "when its mail is loaded" => kitaru::signal::<u32>("amount").await?,
        _ => found + n,
    };
    Ok(found)
}

#[checkpoint]
async fn useful(id: u32, n: u32) -> u32 {
    note(&format!("useful {id} {n}"));
    tokio::time::sleep(Duration::from_millis(5)).await;
    n
}

#[flow]
async fn neighbour(id: u32) -> Result<u32, Error> {
    let mut sum = 0;
    for n in 0..4 {
        sum += useful(id, n).await;
    }
    Ok(sum)
}

/// A store that is slow to commit, and in which reading an execution's rows ends the process: an attempt that does not wait for
/// its count to be durable dies without it.
struct Deadly {
    store: Disk,
    table: Option<Table>,
}

impl Store for Deadly {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        if self.table.is_some() {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.store.commit(rows)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.store.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        // A descending read looks for the last row alone; an ascending one reads all when an execution resumes.
        if Some(table) == self.table && matches!(order, Order::Ascending) {
            let mut mail = 0;
            let mut reads = |key: &[u8], row: &[u8]| {
                mail += u32::from(key.get(8) == Some(&b'e'));
                // The first read of the mail only checks whether there is any.
                if table == Table::Journal || mail > 1 {
                    note("attempt");
                    std::process::abort();
                }
                visit(key, row)
            };
            return self.store.scan(table, range, order, &mut reads);
        }
        self.store.scan(table, range, order, visit)
    }

    fn close(&self) -> Result<(), Error> {
        self.store.close()
    }
}

async fn status(kitaru: &Kitaru, flow: &str, id: &str) -> Result<Option<Status>, Error> {
    Ok(kitaru.execution((flow, id)).await?.map(|execution| execution.status()))
}

/// Lets one execution resume until it is stuck.
async fn dies() -> Result<(), Error> {
    let is_first = std::env::var(NTH).is_ok_and(|nth| nth == "1");
    let table = match shape().as_str() {
        _ if is_first => None,
        "when it is loaded" => Some(Table::Journal),
        "when its mail is loaded" => Some(Table::Aside),
        _ => None,
    };
    let kitaru = builder(Deadly { store: disk()?, table }).open().await?;
    if is_first {
        let handle = deadly(1).id("job").on(&kitaru).start().await?;
        if shape().starts_with("when") {
            for amount in 0..2 {
                kitaru.signal(&handle, "other", &amount).await?;
            }
            while status(&kitaru, "deadly", "job").await? != Some(Status::Waiting) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            std::process::abort();
        }
    }
    while status_of_header(&kitaru).await? != Some(Status::Stuck) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    say("stuck");
    kitaru.close().await
}

/// The status of the execution, without its records.
async fn status_of_header(kitaru: &Kitaru) -> Result<Option<Status>, Error> {
    let page = kitaru.executions().await?;
    Ok(page.iter().find(|found| found.flow() == "deadly").map(|found| found.status()))
}

/// The same next to other executions, until all of those have ended.
async fn dies_beside_others() -> Result<(), Error> {
    let kitaru = builder(disk()?).open().await?;
    if std::env::var(NTH).is_ok_and(|nth| nth == "1") {
        for id in 0..4 {
            drop(neighbour(id).id(format!("{id}")).on(&kitaru).start().await?);
        }
        drop(deadly(1).id("job").on(&kitaru).start().await?);
    }
    while status(&kitaru, "deadly", "job").await? != Some(Status::Stuck) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for id in 0..4 {
        let handle: kitaru::Handle<Result<u32, Error>> = kitaru.handle(("neighbour", &format!("{id}"))).await?;
        say(format!("neighbour {}", handle.await?));
    }
    say("stuck");
    kitaru.close().await
}

/// Calls a flow whose body, or whose own code, crashes immediately, unless it is set otherwise.
async fn charges() -> Result<(), Error> {
    let kitaru = builder(disk()?).recovery(kitaru::Recovery::Manual).open().await?;
    note(&format!("known {}", kitaru.execution(("deadly", "job")).await?.is_some()));
    say(format!("result {}", deadly(1).id("job").on(&kitaru).await?));
    kitaru.close().await
}

async fn cancels() -> Result<(), Error> {
    let kitaru = builder(disk()?).recovery(kitaru::Recovery::Manual).open().await?;
    if let Err(error) = kitaru.cancel(("deadly", "job")).await {
        say(format!("refused {error}"));
        kitaru.cancel(("deadly", "job")).without_undo().await?;
    }
    let found = kitaru.execution(("deadly", "job")).await?.ok_or_else(|| Error::msg("it is gone"))?;
    say(format!("{} {}", found.status(), found.undo_skipped()));
    kitaru.close().await
}

/// The output of a process, or `None` if it crashes.
fn life(program: &str, dir: &Path, shape: &str, nth: u32) -> Option<String> {
    let mut command = command(program, shape);
    command.env(NTH, nth.to_string()).stderr(Stdio::null());
    let (said, code) = start_as_it_is(command, dir).end();
    let said = said.join("\n");
    // A process that crashes has no exit code.
    assert!(code.is_none_or(|code| code == 0), "{program}, {shape}: {said}");
    code.map(|_| said)
}

/// Runs a program again and again until it does not crash. The number of crashes before that, and the last output.
fn lives(program: &str, dir: &Path, shape: &str) -> (u32, String) {
    for nth in 1..40 {
        if let Some(said) = life(program, dir, shape, nth) {
            return (nth - 1, said);
        }
    }
    panic!("{program} dies again and again {shape}: {:?}", noted(dir));
}

#[test]
fn execution_is_stuck_after_eight_crashes_of_any_cause() {
    for shape in [
        "at its begin",
        "in a body",
        "in the stack of a body",
        "behind a replay",
        "in the stack of a replay",
        "behind an error",
    ] {
        let dir = folder();
        let (deaths, said) = lives("dies", dir.path(), shape);
        assert!(said.contains("stuck"), "{shape}: {said}");
        // The second attempt reads first whether the first one has left a record.
        let most = if shape.ends_with("replay") { 9 } else { 8 };
        assert!((8..=most).contains(&deaths), "{deaths} {shape}: {:?}", noted(dir.path()));
        assert_eq!(count(&noted(dir.path()), "attempt"), deaths as usize, "{shape}");
    }
}

#[test]
fn execution_is_stuck_after_eight_crashes_while_it_was_loaded() {
    for shape in ["when it is loaded", "when its mail is loaded"] {
        let dir = folder();
        let (deaths, said) = lives("dies", dir.path(), shape);
        assert!(said.contains("stuck"), "{shape}: {said}");
        // The first process has parked the flow.
        assert_eq!(deaths, 9, "{shape}: {:?}", noted(dir.path()));
    }
}

#[test]
fn neighbours_of_an_execution_that_crashes_its_process_finish() {
    for shape in ["in a body", "at its begin"] {
        let dir = folder();
        let (deaths, said) = lives("dies near others", dir.path(), shape);
        assert_eq!(said.matches("neighbour 6").count(), 4, "{shape}: {said}");
        assert_eq!(deaths, 8, "{shape}");
        let notes = noted(dir.path());
        for id in 0..4 {
            // The neighbour is in two crashes, and then the crashing execution is alone.
            let most = (0..4).map(|n| count(&notes, &format!("useful {id} {n}"))).max();
            assert!(most <= Some(4), "{shape}: {notes:?}");
        }
    }
}

#[test]
fn execution_whose_first_body_began_is_known_and_its_body_may_have_run() {
    for _ in 0..5 {
        let dir = folder();
        assert_eq!(life("is charged", dir.path(), "in a body", 1), None);
        let said = life("is charged", dir.path(), "", 2).expect("it lives");
        assert!(said.contains("result 1"), "{said}");
        let notes: Vec<_> = noted(dir.path()).into_iter().filter(|note| note != "process").collect();
        assert_eq!(notes, ["known false", "attempt", "body false", "known true", "attempt", "body true"]);
    }
}

#[test]
fn a_flow_whose_own_code_kills_its_process_is_cancelled_without_its_undo() {
    let dir = folder();
    assert_eq!(life("is charged", dir.path(), "behind a replay", 1), None);
    // After these crashes it is not known yet whether the flow's own code is to blame. The first attempt has left a record.
    let (deaths, said) = (2..6)
        .find_map(|nth| life("is cancelled", dir.path(), "behind a replay", nth).map(|said| (nth - 2, said)))
        .expect("it dies no more");
    assert!(matches!(deaths, 2 | 3), "{deaths}");
    assert!(said.contains("refused") && said.contains("without_undo()"), "{said}");
    assert!(said.contains("cancelled true"), "{said}");
    assert_eq!(count(&noted(dir.path()), "attempt"), deaths as usize + 1);
}
