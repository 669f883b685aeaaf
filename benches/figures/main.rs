//! The figures in docs/performance.md, each with its floor, measured in the same run: the machines are noisy, and only the
//! ratio can be trusted.
//!
//! `cargo bench --bench figures`, or with the name of one figure after `--`: `sequential`, `plain`, `busy`, `replay`, `concurrent`,
//! `sustained`, `paced`, `disk`, `traffic`, `reopen`, `parked`, `woken`, `children`, `waiting`, `brief`, `listed`.
//! `huge` runs only by its name: it writes 10 GB.

mod latency;
mod listing;
mod measured;
mod waits;

use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kitaru::{Kitaru, Recovery};
use measured::{BareLog, FAIL, bare, bare_commit, filled, folder, many, many_large, median, open, runs_forever, timed};

/// The work of the checkpoint, as a plain function.
async fn plain(topic: &str, n: u32) -> u64 {
    u64::from(n) + topic.len() as u64
}

/// `place` says on which thread the flow runs.
async fn sequential(place: &str) {
    let dir = folder();
    let (kitaru, database) = (open(dir.path()).await, bare(dir.path()));
    let log = BareLog::new(dir.path());
    let (mut ours, mut floor, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for block in 0..30 {
        floor.extend((0..100).map(|n| bare_commit(&database, block * 100 + n, 1, 1)));
        syncs.extend((0..100).map(|n| log.append(block * 100 + n)));
        ours.extend(timed(block, 100).on(&kitaru).await.expect("it completes"));
    }
    let (ours, floor, sync) = (median(ours), median(floor), median(syncs));
    println!(
        "(a) sequential checkpoint{place}: {ours:.0} us; bare redb commit {floor:.0} us, ratio {:.2} (at most 0.95); fdatasync of as \
         many bytes into a preallocated file {sync:.0} us, ratio {:.2} (at most 1.5)",
        ours / floor,
        ours / sync
    );
    kitaru.close().await.expect("it closes");
}

async fn replayed(kitaru: &Kitaru, run: u64, n: u32) -> Duration {
    let start = Instant::now();
    many(run, n).on(kitaru).await.expect_err("it fails");
    start.elapsed()
}

async fn replay() {
    let dir = folder();
    let (kitaru, database) = (open(dir.path()).await, bare(dir.path()));
    let mut best = Vec::new();
    for (run, n) in [(1, 10u32), (2, 1_000), (3, 100_000)] {
        filled(&kitaru, run, n).await;
        let mut samples = Vec::new();
        for _ in 0..if n == 10 { 200 } else { 9 } {
            samples.push(replayed(&kitaru, run, n).await.as_nanos() as u64);
        }
        best.push(median(samples));
    }
    let alone = best[0];
    let busy = runs_forever(0).on(&kitaru).start().await.expect("it starts");
    let mut samples = Vec::new();
    for _ in 0..200 {
        samples.push(replayed(&kitaru, 1, 10).await.as_nanos() as u64);
    }
    let company = median(samples);
    drop(busy);
    let floor = median((0..500).map(|n| bare_commit(&database, n, 1, 1)).collect());
    let slope = (best[2] - best[1]) / 99_000.0;
    println!("(b) replay: {slope:.2} us a record, loading included (at most 1)");
    println!(
        "(b) replay of 10 records to its end: {company:.0} us next to another execution, {alone:.0} us alone; two bare commits \
         are {:.0} us (at most that)",
        2.0 * floor
    );
    let start = Instant::now();
    for n in 0..100_000 {
        black_box(plain(black_box("topic"), n).await);
    }
    let call = start.elapsed().as_secs_f64() * 10.0;
    println!("(e) replayed checkpoint above the plain call: {:.2} us (at most 1.5)", slope - call);
    kitaru.close().await.expect("it closes");
}

async fn concurrent() {
    const FLOWS: u64 = 1_000;
    const STEPS: u32 = 10;
    let dir = folder();
    let (kitaru, database) = (open(dir.path()).await, bare(dir.path()));
    FAIL.store(false, Ordering::Relaxed);
    let rows = FLOWS * u64::from(STEPS);
    let mut best: f64 = 0.0;
    let mut floor: f64 = 0.0;
    for round in 0..5u64 {
        let nanos: u64 =
            (0..rows / 1_000).map(|n| bare_commit(&database, (round * rows) + n * 1_000, 1_000, FLOWS)).sum();
        floor = floor.max(rows as f64 / nanos as f64 * 1e9);
        let start = Instant::now();
        let flows: Vec<_> =
            (0..FLOWS).map(|run| tokio::spawn(many((round + 1) << 32 | run, STEPS).on(&kitaru))).collect();
        for flow in flows {
            flow.await.expect("no panic").expect("it completes");
        }
        best = best.max(rows as f64 / start.elapsed().as_secs_f64());
    }
    println!(
        "(c) 1,000 concurrent flows x 10: {best:.0}/s; bare redb, 1,000 a commit: {floor:.0}/s; ratio {:.2} (at least 0.8)",
        best / floor
    );
    kitaru.close().await.expect("it closes");
}

/// The bytes of all files of a store.
fn size(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir.join("store")).expect("a folder");
    files.map(|file| file.and_then(|file| file.metadata()).expect("a file").len()).sum()
}

/// How many bytes the disk of a folder has written since it was started, other programs' included; 0 where that is not counted.
#[cfg(target_os = "linux")]
fn written(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let device = std::fs::metadata(dir).expect("a folder").dev();
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    // Linux, Documentation/block/stat.rst: the seventh number is that of sectors of 512 bytes.
    let counts = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).unwrap_or_default();
    counts.split_whitespace().nth(6).and_then(|sectors| sectors.parse::<u64>().ok()).unwrap_or(0) * 512
}

#[cfg(not(target_os = "linux"))]
fn written(_: &Path) -> u64 {
    0
}

/// What is written for a record, redb's part included.
async fn traffic() {
    let dir = folder();
    let kitaru = open(dir.path()).await;
    let before = written(dir.path());
    timed(1, 10_000).on(&kitaru).await.expect("it completes");
    kitaru.close().await.expect("it closes");
    let one = (written(dir.path()) - before) / 10_000;
    let kitaru = open(dir.path()).await;
    let before = written(dir.path());
    FAIL.store(false, Ordering::Relaxed);
    let flows: Vec<_> = (0..1_000).map(|run| tokio::spawn(many(run, 100).on(&kitaru))).collect();
    for flow in flows {
        flow.await.expect("no panic").expect("it completes");
    }
    kitaru.close().await.expect("it closes");
    let many = (written(dir.path()) - before) / 100_000;
    let database = bare(dir.path());
    let before = written(dir.path());
    for n in 0..10_000 {
        bare_commit(&database, n, 1, 1);
    }
    let bare_one = (written(dir.path()) - before) / 10_000;
    let before = written(dir.path());
    for n in 0..100 {
        bare_commit(&database, 10_000 + n * 1_000, 1_000, 1_000);
    }
    let bare_many = (written(dir.path()) - before) / 100_000;
    println!(
        "(d) written to the disk for a record: {one} bytes in a sequence, {many} over 1,000 concurrent executions; bare redb, a commit \
         for each row {bare_one}, 1,000 a commit {bare_many}; ratios {:.2} and {:.2} (at most 0.5)",
        one as f64 / bare_one as f64,
        many as f64 / bare_many as f64
    );
}

/// How long the sustained figures run.
const SUSTAINED: Duration = Duration::from_secs(30);

/// Checkpoints of 1,000 concurrent flows over a store of a million records, until redb has all of them.
async fn sustained() {
    const FLOWS: u64 = 1_000;
    let dir = folder();
    let (kitaru, database) = (open(dir.path()).await, bare(dir.path()));
    FAIL.store(false, Ordering::Relaxed);
    let fill: Vec<_> = (0..FLOWS).map(|run| tokio::spawn(many(run, 1_000).on(&kitaru))).collect();
    for flow in fill {
        flow.await.expect("no panic").expect("it completes");
    }
    kitaru.close().await.expect("it closes");
    for n in 0..1_000 {
        bare_commit(&database, n * 1_000, 1_000, FLOWS);
    }

    let start = Instant::now();
    let mut rows = 0;
    while start.elapsed() < SUSTAINED {
        bare_commit(&database, 1_000_000 + rows, 1_000, FLOWS);
        rows += 1_000;
    }
    let floor = rows as f64 / start.elapsed().as_secs_f64();

    let kitaru = open(dir.path()).await;
    let start = Instant::now();
    let mut done = 0;
    let mut burst: f64 = 0.0;
    let mut round = 1;
    while start.elapsed() < SUSTAINED {
        let begun = Instant::now();
        let flows: Vec<_> = (0..FLOWS).map(|run| tokio::spawn(many(round << 32 | run, 100).on(&kitaru))).collect();
        for flow in flows {
            flow.await.expect("no panic").expect("it completes");
        }
        (done, round) = (done + FLOWS * 100, round + 1);
        burst = burst.max(FLOWS as f64 * 100.0 / begun.elapsed().as_secs_f64());
    }
    kitaru.close().await.expect("it closes");
    let ours = done as f64 / start.elapsed().as_secs_f64();
    println!(
        "(c) sustained over a store of a million records, redb caught up: {ours:.0}/s, at best {burst:.0}/s; bare redb, 1,000 a \
         commit: {floor:.0}/s; ratio {:.2} (at least 1.5)",
        ours / floor
    );
}

async fn disk() {
    let dir = folder();
    let kitaru = open(dir.path()).await;
    let before = size(dir.path());
    filled(&kitaru, 1, 100_000).await;
    kitaru.close().await.expect("it closes");
    let one = (size(dir.path()) - before) / 100_000;

    let dir = folder();
    let kitaru = open(dir.path()).await;
    let before = size(dir.path());
    FAIL.store(false, Ordering::Relaxed);
    let flows: Vec<_> = (0..1_000).map(|run| tokio::spawn(many(run, 100).on(&kitaru))).collect();
    for flow in flows {
        flow.await.expect("no panic").expect("it completes");
    }
    kitaru.close().await.expect("it closes");
    let spread = (size(dir.path()) - before) / 100_000;
    println!(
        "(d) on disk: {one} bytes a record in one execution of 100,000 (at most 300); {spread} over 1,000 concurrent ones (at most 600)"
    );
}

const RECORDS: u32 = 1_000_000;

/// What a process resumes by itself would count among its opening.
async fn open_by_hand(dir: &Path) -> Kitaru {
    let builder = Kitaru::builder().dir(dir.join("store")).recovery(Recovery::Manual);
    builder.open().await.expect("the store opens")
}

/// The other process of the figures below: it is killed during commits of 1,000 flows.
async fn load(dir: &Path) {
    let is_new = !dir.join("store").exists();
    let kitaru = open_by_hand(dir).await;
    FAIL.store(false, Ordering::Relaxed);
    let is_large = std::env::var_os(LARGE).is_some();
    let run = |run, n| match is_large {
        true => tokio::spawn(many_large(run, n).on(&kitaru)),
        false => tokio::spawn(many(run, n).on(&kitaru)),
    };
    let filling: Vec<_> = (0..if is_new { 1_000 } else { 0 }).map(|n| run(n, RECORDS / 1_000)).collect();
    for flow in filling {
        flow.await.expect("no panic").expect("it completes");
    }
    let first = u64::from(std::process::id()) << 32;
    let endless: Vec<_> = (0..1_000).map(|n| run(first + n, u32::MAX)).collect();
    println!("loaded");
    for flow in endless {
        flow.await.expect("no panic").expect("it completes");
    }
}

/// Milliseconds for opening a store whose process is killed under load, and for opening it after a close.
async fn reopened(dir: &Path, is_large: bool) -> [f64; 2] {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"));
    child.env(LOAD, dir).stdout(Stdio::piped());
    if is_large {
        child.env(LARGE, "1");
    }
    let mut child = child.spawn().expect("this program runs again");
    let said = BufReader::new(child.stdout.take().expect("a pipe"));
    assert!(said.lines().any(|line| line.is_ok_and(|line| line == "loaded")), "it was killed too early");
    std::thread::sleep(Duration::from_millis(700));
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    let mut times = [0.0; 2];
    for time in &mut times {
        let start = Instant::now();
        let kitaru = open_by_hand(dir).await;
        *time = start.elapsed().as_secs_f64() * 1_000.0;
        kitaru.close().await.expect("it closes");
    }
    times
}

async fn reopen() {
    let dir = folder();
    let (mut killed, mut closed): (f64, f64) = (0.0, f64::MAX);
    for _ in 0..5 {
        let times = reopened(dir.path(), false).await;
        (killed, closed) = (killed.max(times[0]), closed.min(times[1]));
    }
    println!(
        "(f) opening a store of a million records: {killed:.0} ms at most after five kills under load of 1,000 flows (at most 200), \
         {closed:.1} ms after a close (at most 2)"
    );
}

async fn huge() {
    let dir = folder();
    let [killed, closed] = reopened(dir.path(), true).await;
    println!(
        "(f) opening a store of {:.1} GB: {killed:.0} ms after a kill under load, {closed:.1} ms after a close",
        size(dir.path()) as f64 / 1e9
    );
}

/// Names the folder that `load` fills.
const LOAD: &str = "KITARU_BENCH_LOAD";
/// Makes it fill the folder with large results.
const LARGE: &str = "KITARU_BENCH_LARGE";

const FIGURES: [&str; 17] = [
    "sequential",
    "plain",
    "busy",
    "replay",
    "concurrent",
    "sustained",
    "paced",
    "disk",
    "traffic",
    "reopen",
    "parked",
    "woken",
    "children",
    "waiting",
    "brief",
    "listed",
    HUGE,
];
/// Runs only by its name.
const HUGE: &str = "huge";

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if std::env::var_os(latency::SPIN).is_some() {
        latency::spin();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let is_wanted = |name: &str| (wanted.is_empty() && name != HUGE) || wanted.iter().any(|wanted| wanted == name);
    // In a task: flows run in one, and a main thread that blocks on a future is woken more slowly.
    runtime.block_on(async move {
        if let Some(dir) = std::env::var_os(LOAD) {
            return tokio::spawn(async move { load(Path::new(&dir)).await }).await.expect("it is loaded");
        }
        for name in FIGURES.into_iter().filter(|name| is_wanted(name)) {
            let figure = match name {
                "sequential" => tokio::spawn(sequential("")),
                // Not in a task, as the code of a plain `#[tokio::main]`.
                "plain" => {
                    sequential(" on the main thread").await;
                    continue;
                }
                "replay" => tokio::spawn(replay()),
                "concurrent" => tokio::spawn(concurrent()),
                "sustained" => tokio::spawn(sustained()),
                "busy" => tokio::spawn(latency::busy()),
                "paced" => tokio::spawn(latency::paced_ones()),
                HUGE => tokio::spawn(huge()),
                "disk" => tokio::spawn(disk()),
                "traffic" => tokio::spawn(traffic()),
                "reopen" => tokio::spawn(reopen()),
                "parked" => tokio::spawn(waits::parked()),
                "woken" => tokio::spawn(waits::woken()),
                "children" => tokio::spawn(waits::children()),
                "waiting" => tokio::spawn(waits::waiting()),
                "brief" => tokio::spawn(listing::brief_ones()),
                _ => tokio::spawn(listing::listed()),
            };
            figure.await.expect("the figure is measured");
        }
    });
}
