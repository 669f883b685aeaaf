//! How long single checkpoints take next to spinning processes, and at 70 % of the rate that the store
//! sustains.

use std::hint::spin_loop;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use kitaru::{Error, Kitaru, flow};
use tokio::sync::oneshot;

use crate::measured::{BareLog, FAIL, folder, many, median, open, small, timed};

/// Makes a process of this program spin.
pub(crate) const SPIN: &str = "KITARU_BENCH_SPIN";

/// The work of a process that spins.
pub(crate) fn spin() -> ! {
    loop {
        spin_loop();
    }
}

/// A process that ends with its owner.
struct Spinning(Child);

impl Spinning {
    fn start() -> Self {
        let this = std::env::current_exe().expect("this program has a path");
        Spinning(Command::new(this).env(SPIN, "1").spawn().expect("this program runs again"))
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        // It is there until it is killed.
        self.0.kill().expect("it is there");
        self.0.wait().expect("it ends");
    }
}

/// A task that hands one row at a time to a thread, which syncs it and hands its number back. Returns nanoseconds.
async fn handed_over(log: &Arc<BareLog>, count: u64) -> Vec<u64> {
    let (sender, receiver) = mpsc::channel::<(u64, oneshot::Sender<()>)>();
    let log = log.clone();
    let writer = std::thread::spawn(move || {
        while let Ok((n, done)) = receiver.recv() {
            log.append(n);
            // The task waits for it.
            done.send(()).expect("a task");
        }
    });
    let mut nanos = Vec::new();
    for n in 0..count {
        let start = Instant::now();
        let (done, is_done) = oneshot::channel();
        sender.send((n, done)).expect("a thread");
        is_done.await.expect("an answer");
        nanos.push(start.elapsed().as_nanos() as u64);
    }
    drop(sender);
    writer.join().expect("no panic");
    nanos
}

/// (a) next to two processes that spin.
pub(crate) async fn busy() {
    let dir = folder();
    let kitaru = open(dir.path()).await;
    let log = Arc::new(BareLog::new(dir.path()));
    let others = [Spinning::start(), Spinning::start()];
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for block in 0..30 {
        floor.extend(handed_over(&log, 100).await);
        ours.extend(timed(block, 100).on(&kitaru).await.expect("it completes"));
    }
    drop(others);
    let (ours, floor) = (median(ours), median(floor));
    println!(
        "(a) sequential checkpoint, two other processes spin: {ours:.0} us; fdatasync of as many bytes by a thread, handed there and \
         back {floor:.0} us, ratio {:.2} (at most 1.2)",
        ours / floor
    );
    kitaru.close().await.expect("it closes");
}

/// How many nanoseconds each checkpoint took, from when it was due.
static LATE: Mutex<Vec<u64>> = Mutex::new(Vec::new());
/// How many nanoseconds are between two checkpoints of a flow.
static PERIOD: AtomicU64 = AtomicU64::new(0);

/// Makes a checkpoint in each period.
#[flow]
async fn paced(run: u64, n: u32) -> Result<(), Error> {
    let period = Duration::from_nanos(PERIOD.load(Ordering::Relaxed));
    // The time in this process.
    #[allow(deprecated)]
    let start = tokio::time::Instant::now() + period.mul_f64(run as f64 / FLOWS as f64);
    let mut late = Vec::with_capacity(n as usize);
    for n in 0..n {
        let due = start + period * n;
        #[allow(deprecated)]
        tokio::time::sleep_until(due).await;
        small("topic", n).await;
        late.push(due.elapsed().as_nanos() as u64);
    }
    LATE.lock().unwrap_or_else(PoisonError::into_inner).extend(late);
    Ok(())
}

const FLOWS: u64 = 1_000;
/// How long a rate is measured, and kept.
const MEASURED: Duration = Duration::from_secs(15);

/// How many records each second the store takes, redb's part included.
async fn sustained_rate(kitaru: &Kitaru) -> f64 {
    let start = Instant::now();
    let (mut done, mut round) = (0, 1);
    while start.elapsed() < MEASURED {
        let flows: Vec<_> = (0..FLOWS).map(|run| tokio::spawn(many(round << 32 | run, 100).on(kitaru))).collect();
        for flow in flows {
            flow.await.expect("no panic").expect("it completes");
        }
        (done, round) = (done + FLOWS * 100, round + 1);
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// The given part of the samples takes at most this, in milliseconds.
fn quantile(samples: &mut [u64], part: f64) -> f64 {
    samples.sort_unstable();
    let at = ((samples.len() as f64 * part) as usize).min(samples.len().saturating_sub(1));
    samples.get(at).map_or(f64::NAN, |nanos| *nanos as f64 / 1e6)
}

/// The syncs of one file, one each millisecond, while another is written and synced `rate` rows a second. Returns nanoseconds.
fn bare_syncs(rate: f64) -> Vec<u64> {
    let dir = folder();
    let ends = AtomicBool::new(false);
    let other = tempfile::tempdir_in(dir.path()).expect("a folder");
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let log = BareLog::new(other.path());
            let (start, mut written) = (Instant::now(), 0);
            while !ends.load(Ordering::Relaxed) {
                let due = (start.elapsed().as_secs_f64() * rate) as u64;
                log.append_many(written, due - written);
                written = due;
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let log = BareLog::new(dir.path());
        let start = Instant::now();
        let mut nanos = Vec::new();
        while start.elapsed() < MEASURED {
            nanos.push(log.append(nanos.len() as u64));
            std::thread::sleep(Duration::from_millis(1));
        }
        ends.store(true, Ordering::Relaxed);
        nanos
    })
}

/// The slowest checkpoints at 70 % of the rate that the store sustains.
pub(crate) async fn paced_ones() {
    let dir = folder();
    let kitaru = open(dir.path()).await;
    FAIL.store(false, Ordering::Relaxed);
    let fill: Vec<_> = (0..FLOWS).map(|run| tokio::spawn(many(run, 1_000).on(&kitaru))).collect();
    for flow in fill {
        flow.await.expect("no panic").expect("it completes");
    }
    let rate = sustained_rate(&kitaru).await * 0.7;
    PERIOD.store((FLOWS as f64 / rate * 1e9) as u64, Ordering::Relaxed);
    let each = (rate * MEASURED.as_secs_f64() / FLOWS as f64) as u32;
    let flows: Vec<_> = (0..FLOWS).map(|run| tokio::spawn(paced(run, each).on(&kitaru))).collect();
    for flow in flows {
        flow.await.expect("no panic").expect("it completes");
    }
    kitaru.close().await.expect("it closes");
    let mut late = std::mem::take(&mut *LATE.lock().unwrap_or_else(PoisonError::into_inner));
    let mut syncs = tokio::task::spawn_blocking(move || bare_syncs(rate)).await.expect("no panic");
    let (ours, floor) = (quantile(&mut late, 0.999), quantile(&mut syncs, 0.999));
    println!(
        "(c) a checkpoint at {rate:.0}/s, 70 % of what is sustained, over a million records: p50 {:.1} ms, p99.9 {ours:.1} ms, \
         maximum {:.0} ms; fdatasync while as much is written and synced elsewhere: p99.9 {floor:.1} ms, maximum {:.0} ms; \
         {:.1} ms above (at most 5)",
        quantile(&mut late, 0.5),
        quantile(&mut late, 1.0),
        quantile(&mut syncs, 1.0),
        ours - floor,
    );
}
