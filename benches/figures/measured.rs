//! The measured work: flows with many records, and the same work on redb alone, which is their floor.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use kitaru::{Error, Kitaru, checkpoint, flow};
use redb::{Database, TableDefinition};

type Bytes = &'static [u8];
pub(crate) const BARE: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("bare");

#[checkpoint]
pub(crate) async fn small(topic: &str, n: u32) -> u64 {
    u64::from(n) + topic.len() as u64
}

/// The time of each step of a sequence.
#[flow(reuse = "unfinished")]
pub(crate) async fn timed(run: u64, n: u32) -> Result<Vec<u64>, Error> {
    let _ = run;
    let mut nanos = Vec::with_capacity(n as usize);
    for n in 0..n {
        // The time in this process.
        #[allow(deprecated)]
        let start = Instant::now();
        small("topic", n).await;
        nanos.push(start.elapsed().as_nanos() as u64);
    }
    Ok(nanos)
}

/// Whether a flow fails at its end, so that it can be replayed.
pub(crate) static FAIL: AtomicBool = AtomicBool::new(false);
/// Whether a flow makes its calls a thousand at a time, to fill a journal quickly.
pub(crate) static FILL: AtomicBool = AtomicBool::new(false);

#[flow(reuse = "unfinished")]
pub(crate) async fn many(run: u64, n: u32) -> Result<u64, Error> {
    let _ = run;
    let mut sum = 0;
    if FILL.load(Ordering::Relaxed) {
        for chunk in 0..n.div_ceil(1_000) {
            let calls = (chunk * 1_000..n.min((chunk + 1) * 1_000)).map(|n| small("topic", n));
            sum += futures::future::join_all(calls).await.into_iter().sum::<u64>();
        }
    } else {
        for n in 0..n {
            sum += small("topic", n).await;
        }
    }
    if FAIL.load(Ordering::Relaxed) { Err(Error::msg("again")) } else { Ok(sum) }
}

/// A result of 10,000 bytes.
#[checkpoint]
pub(crate) async fn large(n: u32) -> Vec<u8> {
    vec![n as u8; 10_000]
}

/// As [`many`], with large results.
#[flow(reuse = "unfinished")]
pub(crate) async fn many_large(run: u64, n: u32) -> Result<u64, Error> {
    let _ = run;
    let mut sum = 0;
    for n in 0..n {
        sum += large(n).await.len() as u64;
    }
    Ok(sum)
}

/// Keeps an execution running.
#[flow]
pub(crate) async fn runs_forever(n: u32) -> Result<u32, Error> {
    std::future::pending::<()>().await;
    Ok(n)
}

pub(crate) fn median(mut samples: Vec<u64>) -> f64 {
    samples.sort_unstable();
    samples.get(samples.len() / 2).map_or(f64::NAN, |nanos| *nanos as f64 / 1_000.0)
}

/// The number of bytes in a row of `small`: key and value.
pub(crate) const ROW: usize = 16 + 96;

pub(crate) fn bare(dir: &Path) -> Database {
    let database = Database::create(dir.join("bare.redb")).expect("a redb file");
    let transaction = database.begin_write().expect("a transaction");
    transaction.open_table(BARE).expect("a table");
    transaction.commit().expect("a commit");
    database
}

/// One bare commit of `count` rows, spread over as many executions. Returns nanoseconds.
pub(crate) fn bare_commit(database: &Database, from: u64, count: u64, executions: u64) -> u64 {
    let start = Instant::now();
    let transaction = database.begin_write().expect("a transaction");
    {
        let mut table = transaction.open_table(BARE).expect("a table");
        for n in from..from + count {
            let key = [(n % executions).to_be_bytes(), (n / executions).to_be_bytes()].concat();
            table.insert(key.as_slice(), [7u8; ROW - 16].as_slice()).expect("a row");
        }
    }
    transaction.commit().expect("a commit");
    start.elapsed().as_nanos() as u64
}

/// A preallocated file that is appended to, as a log is.
pub(crate) struct BareLog(File);

impl BareLog {
    /// How many bytes a frame of one row of `small` has.
    const FRAME: u64 = 192;
    const FRAMES: u64 = 4_096;

    pub(crate) fn new(dir: &Path) -> Self {
        let mut file = File::create(dir.join("bare.log")).expect("a file");
        file.write_all(&vec![0; (Self::FRAME * Self::FRAMES) as usize]).expect("zeros");
        file.sync_all().expect("a sync");
        BareLog(file)
    }

    /// Writes and syncs one frame. Returns nanoseconds.
    pub(crate) fn append(&self, n: u64) -> u64 {
        let start = Instant::now();
        let mut file = &self.0;
        file.seek(SeekFrom::Start(n % Self::FRAMES * Self::FRAME)).expect("a place");
        file.write_all(&[9; Self::FRAME as usize]).expect("a write");
        file.sync_data().expect("a sync");
        start.elapsed().as_nanos() as u64
    }

    /// Writes `count` frames, and syncs them together.
    pub(crate) fn append_many(&self, from: u64, count: u64) {
        let mut file = &self.0;
        for n in from..from + count {
            file.seek(SeekFrom::Start(n % Self::FRAMES * Self::FRAME)).expect("a place");
            file.write_all(&[9; Self::FRAME as usize]).expect("a write");
        }
        file.sync_data().expect("a sync");
    }
}

pub(crate) async fn open(dir: &Path) -> Kitaru {
    Kitaru::builder().dir(dir.join("store")).open().await.expect("the store opens")
}

pub(crate) fn folder() -> tempfile::TempDir {
    // On the disk that contains the project, not on one in memory.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

pub(crate) async fn filled(kitaru: &Kitaru, run: u64, n: u32) {
    FAIL.store(true, Ordering::Relaxed);
    FILL.store(true, Ordering::Relaxed);
    many(run, n).on(kitaru).await.expect_err("it fails");
    FILL.store(false, Ordering::Relaxed);
}
