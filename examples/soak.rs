//! Runs flows for a given time, and shows how memory, the file and latencies develop: `cargo run --release --example soak --
//! 10m`. Ends with an error if memory or the file grows.
//!
//! A second argument sets how long finished executions are kept, one second unless set, so that the file stays within bounds.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use kitaru::{Error, Kitaru, checkpoint, flow};

/// How many executions run concurrently.
const AT_ONCE: u64 = 16;
/// How many lines the table has.
const LINES: u32 = 24;
/// How much memory may differ between two parts of the run, in KiB, in addition to a tenth of it.
const SLACK_KIB: u64 = 4 << 10;
/// The largest allowed ratio of the file's size to that after its first lines. It grows by doubling: once, if its content is
/// near a bound. A file that grows without end doubles once for each part of the run.
const FILE_GROWTH: u64 = 2;
/// After one of this many parts, the file has its final size.
const PARTS: usize = 6;

#[checkpoint]
async fn step(n: u64) -> u64 {
    n + 1
}

#[checkpoint(retries = 20, backoff = "1ms")]
async fn wobbly(n: u64) -> Result<String, Error> {
    static TRIES: AtomicU64 = AtomicU64::new(0);
    match TRIES.fetch_add(1, Ordering::Relaxed) % 3 {
        0 => Err(Error::msg("no luck")),
        _ => Ok("x".repeat(n as usize % 2_000)),
    }
}

#[flow]
async fn part(n: u64) -> Result<u64, Error> {
    Ok(step(n).await)
}

/// One flow with a sequence, a join, retries, a child, a parked wait and a signal.
#[flow]
async fn job(n: u64) -> Result<u64, Error> {
    let mut sum = step(step(n).await).await;
    sum += join_all((0..4).map(|branch| step(n * branch))).await.into_iter().sum::<u64>();
    sum += wobbly(n).await?.len() as u64;
    kitaru::sleep(Duration::from_millis(1)).await;
    sum += part(n).await?;
    let more: u64 = kitaru::signal("more").await?;
    Ok(sum + more)
}

/// Runs one execution after another, until the time is over.
async fn work(kitaru: Kitaru, numbers: Arc<AtomicU64>, times: Arc<Mutex<Vec<Duration>>>, until: Instant) {
    while Instant::now() < until {
        let n = numbers.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let came = async {
            let handle = job(n).id(n.to_string()).on(&kitaru).start().await?;
            kitaru.signal(&handle, "more", &1u64).await?;
            handle.await
        };
        came.await.expect("the job is done");
        times.lock().unwrap_or_else(PoisonError::into_inner).push(start.elapsed());
    }
}

/// The memory of this process, if the system reports it.
fn memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn file_bytes(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("store.redb")).map_or(0, |file| file.len())
}

/// `90s`, `10m`, `2h`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()? * seconds))
}

fn nth(times: &[Duration], percent: usize) -> f64 {
    times.get(times.len() * percent / 100).or(times.last()).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let [length, keep] = [60, 1].map(|usual| match args.next() {
        Some(text) => duration(&text),
        None => Some(Duration::from_secs(usual)),
    });
    let (Some(length), Some(keep)) = (length, keep) else {
        eprintln!("how long, as 90s, 10m or 2h, and for how long what is finished is kept");
        return ExitCode::from(2);
    };
    let dir = tempfile::tempdir().expect("a folder");
    let builder = Kitaru::builder().dir(dir.path()).park_after(Duration::ZERO).retention(keep);
    let kitaru = builder.open().await.expect("an empty store opens");
    let (begun, until) = (Instant::now(), Instant::now() + length);
    let (numbers, times) = (Arc::new(AtomicU64::new(1)), Arc::new(Mutex::new(Vec::new())));
    let workers = (0..AT_ONCE).map(|_| tokio::spawn(work(kitaru.clone(), numbers.clone(), times.clone(), until)));
    let workers: Vec<_> = workers.collect();
    let (mut memory, mut file) = (Vec::new(), Vec::new());
    println!("{:>8} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8}", "s", "memory", "file", "jobs/s", "p50", "p99", "max");
    for line in 1..=LINES {
        let last = Instant::now();
        tokio::time::sleep_until((begun + length * line / LINES).into()).await;
        let mut times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
        times.sort_unstable();
        memory.push(memory_kib().unwrap_or(0));
        file.push(file_bytes(dir.path()));
        println!(
            "{:8.1} {:6.1}MiB {:6.1}MiB {:8.0} {:6.2}ms {:6.2}ms {:6.2}ms",
            begun.elapsed().as_secs_f64(),
            memory.last().map_or(0.0, |kib| *kib as f64 / 1024.0),
            file.last().map_or(0.0, |bytes| *bytes as f64 / 1048576.0),
            times.len() as f64 / last.elapsed().as_secs_f64(),
            nth(&times, 50),
            nth(&times, 99),
            nth(&times, 100),
        );
    }
    join_all(workers).await.into_iter().for_each(|worked| worked.expect("the worker continues"));
    kitaru.close().await.expect("it closes");
    verdict(&memory, &file)
}

/// Whether memory, or the file, has grown.
fn verdict(memory: &[u64], file: &[u64]) -> ExitCode {
    // The first third fills caches and pools.
    let third = memory.len() / 3;
    let (middle, end) = (median(memory[third..2 * third].to_vec()), median(memory[2 * third..].to_vec()));
    let memory_grows = end > middle + middle / 10 + SLACK_KIB;
    let is = if memory_grows { "grows" } else { "stays" };
    println!("memory {is}: {middle} KiB in the second third of the time, {end} KiB in the last");
    let (early, end) = (file[file.len() / PARTS] >> 10, file[file.len() - 1] >> 10);
    let file_grows = end > early * FILE_GROWTH;
    let is = if file_grows { "grows" } else { "stays" };
    println!("the file {is}: {early} KiB after a sixth of the time, {end} KiB at its end");
    if memory_grows || file_grows { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
