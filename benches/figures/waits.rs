//! Waiting executions: parked ones, waking one of them, children, and many flows that only wait.

use std::time::{Duration, Instant};

use kitaru::{Error, Kitaru, flow};

use crate::measured::{bare, bare_commit, filled, folder, median, open, runs_forever};

/// Waits longer than any measurement.
#[flow]
async fn waits(n: u64) -> Result<u64, Error> {
    kitaru::sleep(Duration::from_secs(86_400 + n)).await;
    Ok(n)
}

/// The resident memory of this process, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4_096
}

pub(crate) async fn parked() {
    const COUNT: u64 = 100_000;
    let dir = folder();
    let kitaru = open(dir.path()).await;
    // The store's own memory is allocated before.
    filled(&kitaru, 1, 200_000).await;
    let before = resident();
    let start = Instant::now();
    for chunk in 0..COUNT / 1_000 {
        let flows = (0..1_000).map(|n| waits(chunk * 1_000 + n).on(&kitaru).start());
        for started in futures::future::join_all(flows).await {
            drop(started.expect("it starts"));
        }
    }
    // The last execution is parked when all before it are.
    while kitaru.executions().limit(1).await.expect("it reads")[0].status() != kitaru::Status::Waiting {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = start.elapsed().as_secs_f64();
    let each = resident().saturating_sub(before) / COUNT;
    let (cpu, idle) = (cpu_ticks(), Duration::from_secs(1));
    tokio::time::sleep(idle).await;
    println!(
        "(g) {COUNT} executions parked: {each} bytes of memory each (at most 1,024), {} ms of CPU in a second (at most 10); \
         begun and parked in {took:.1} s",
        (cpu_ticks() - cpu) * 10
    );
    kitaru.close().await.expect("it closes");
}

/// The nth of a name is woken by name.
#[flow(reuse = "unfinished")]
async fn hears(n: u64) -> Result<u64, Error> {
    Ok(n + kitaru::signal::<u64>("word").await?)
}

async fn until_parked(kitaru: &Kitaru, flow: &str, id: &str) {
    while kitaru
        .execution((flow, id))
        .await
        .expect("it reads")
        .is_none_or(|job| job.status() != kitaru::Status::Waiting)
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Parks this many executions without a handle.
async fn park_many(kitaru: &Kitaru, from: u64, to: u64) {
    for chunk in (from..to).step_by(1_000) {
        let ids = chunk..to.min(chunk + 1_000);
        let flows = ids.map(|n| hears(n).id(n.to_string()).on(kitaru).start());
        for started in futures::future::join_all(flows).await {
            drop(started.expect("it starts"));
        }
    }
    until_parked(kitaru, "hears", &(to - 1).to_string()).await;
}

/// The time from a signal to a parked execution until it has completed, and the CPU time, in microseconds.
async fn woken_of(kitaru: &Kitaru, first: u64, count: u64) -> (f64, f64) {
    let mut nanos = Vec::new();
    let cpu = cpu_ticks();
    for n in first..first + count {
        let id = n.to_string();
        let start = Instant::now();
        kitaru.signal(("hears", id.as_str()), "word", &1u64).await.expect("it is sent");
        let handle = kitaru.handle::<u64, Error>(("hears", &id)).await.expect("it is there");
        assert_eq!(handle.await.expect("it completes"), n + 1);
        nanos.push(start.elapsed().as_nanos() as u64);
    }
    (median(nanos), (cpu_ticks() - cpu) as f64 * 10_000.0 / count as f64)
}

pub(crate) async fn woken() {
    const FEW: u64 = 100;
    const MANY: u64 = 100_000;
    const WAKES: u64 = 300;
    let dir = folder();
    let (kitaru, database) = (open(dir.path()).await, bare(dir.path()));
    // Another execution is running, so that no commit has to leave the store quick to open.
    let busy = runs_forever(0).on(&kitaru).start().await.expect("it starts");
    let floor = |from: u64| median((from..from + 500).map(|n| bare_commit(&database, n, 1, 1)).collect());
    park_many(&kitaru, 0, FEW + WAKES).await;
    let few_floor = floor(0);
    let (few, few_cpu) = woken_of(&kitaru, 0, WAKES).await;
    park_many(&kitaru, FEW + WAKES, MANY + WAKES).await;
    let many_floor = floor(500);
    let (many, many_cpu) = woken_of(&kitaru, MANY / 2, WAKES).await;
    drop(busy);
    println!(
        "(h) a signal for one that is parked, until it has completed: {few:.0} us (of CPU {few_cpu:.0}) with {FEW} others \
         parked, {many:.0} us ({many_cpu:.0}) with {MANY}; a bare redb commit {few_floor:.0} and {many_floor:.0} us; in \
         commits {:.1} and {:.1}",
        few / few_floor,
        many / many_floor
    );
    kitaru.close().await.expect("it closes");
}

#[flow(reuse = "unfinished")]
async fn child(n: u64) -> Result<u64, Error> {
    Ok(n + 1)
}

#[flow(reuse = "unfinished")]
async fn parent(run: u64, n: u64) -> Result<u64, Error> {
    let calls = (0..n).map(|n| child(run << 32 | n));
    let came = futures::future::try_join_all(calls).await?;
    Ok(came.len() as u64)
}

pub(crate) async fn children() {
    const COUNT: u64 = 1_000;
    let dir = folder();
    let (kitaru, database) = (open(dir.path()).await, bare(dir.path()));
    let (mut best, mut floor): (f64, f64) = (0.0, 0.0);
    for round in 0..5u64 {
        // For each child: its header, its name, its end; its begin and its result in the parent's journal.
        let nanos: u64 = (0..5).map(|n| bare_commit(&database, (round * 5 + n) * COUNT, COUNT, COUNT)).sum();
        floor = floor.max(COUNT as f64 / nanos as f64 * 1e9);
        let start = Instant::now();
        assert_eq!(parent(round, COUNT).on(&kitaru).await.expect("it completes"), COUNT);
        best = best.max(COUNT as f64 / start.elapsed().as_secs_f64());
    }
    println!(
        "(i) {COUNT} concurrent children of one flow: {best:.0}/s; bare redb, five rows each in five commits in all: \
         {floor:.0}/s; ratio {:.2}",
        best / floor
    );
    kitaru.close().await.expect("it closes");
}

/// Sleeps, asks, and takes a signal, one after another.
#[flow]
async fn waits_for_all(n: u64) -> Result<u64, Error> {
    kitaru::sleep(Duration::from_millis(200)).await;
    let answer: u64 = kitaru::wait("answer").await?;
    let signal: u64 = kitaru::signal("signal").await?;
    Ok(n + answer + signal)
}

/// The rows of each such flow: header, name and end; three openings and ends of waits; a question that opens and closes; an answer
/// and a signal; and those that record each park and each resume.
const ROWS_OF_WAITS: u64 = 21;

/// Waits until the executions look like this, one after another: when the first does, most of them do.
async fn until_all(kitaru: &Kitaru, count: u64, looks: impl Fn(&kitaru::Execution) -> bool) {
    for n in 0..count {
        let id = n.to_string();
        while !kitaru.execution(("waits_for_all", &id)).await.expect("it reads").is_some_and(|job| looks(&job)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

pub(crate) async fn waiting() {
    const COUNT: u64 = 10_000;
    let dir = folder();
    let database = bare(dir.path());
    let nanos: u64 = (0..ROWS_OF_WAITS * COUNT / 1_000).map(|n| bare_commit(&database, n * 1_000, 1_000, COUNT)).sum();
    drop(database);
    let before = resident();
    // Every wait is long enough to be parked.
    let builder = Kitaru::builder().dir(dir.path().join("store")).park_after(Duration::ZERO);
    let kitaru = builder.open().await.expect("the store opens");
    let store = &kitaru;
    let start = Instant::now();
    let ids: Vec<String> = (0..COUNT).map(|n| n.to_string()).collect();
    let start_all = (0..COUNT).map(|n| waits_for_all(n).id(n.to_string()).on(&kitaru).start());
    let handles = futures::future::try_join_all(start_all).await.expect("they start");
    let started = resident();
    until_all(&kitaru, COUNT, |job| !job.waits().is_empty()).await;
    let asked = resident();
    let answer = |id| async move { store.answer(&("waits_for_all", id), "answer", &1u64).await };
    futures::future::try_join_all(ids.iter().map(|id| answer(id.as_str()))).await.expect("they are answered");
    until_all(&kitaru, COUNT, |job| job.waits().is_empty() && job.status() == kitaru::Status::Waiting).await;
    let answered = resident();
    let send = |id| async move { store.signal(("waits_for_all", id), "signal", &2u64).await };
    futures::future::try_join_all(ids.iter().map(|id| send(id.as_str()))).await.expect("they are sent something");
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.await.expect("it completes"), n as u64 + 3);
    }
    let peak = [started, asked, answered, resident()].into_iter().max().unwrap_or_default();
    let took = start.elapsed().as_secs_f64();
    let floor = nanos as f64 / 1e9;
    println!(
        "(j) {COUNT} flows that each sleep, wait for an answer and take a signal, side by side: {took:.2} s, {:.0} us each, at \
         most {} MB of memory; bare redb, {ROWS_OF_WAITS} rows each, 1,000 a commit: {floor:.2} s; ratio {:.2}",
        took * 1e6 / COUNT as f64,
        peak.saturating_sub(before) >> 20,
        took / floor
    );
    kitaru.close().await.expect("it closes");
}

/// The CPU time of this process, in hundredths of a second.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    [11, 12].iter().filter_map(|nth| fields.get(*nth)?.parse::<u64>().ok()).sum()
}
