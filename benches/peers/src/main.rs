//! Kitaru next to two other embedded libraries for durable functions, and their floors, in one run. The systems take turns, so that
//! what disturbs the machine disturbs all of them.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`
//!
//! Each step gives a small value. memable syncs each of them. durare writes to SQLite with `synchronous = NORMAL`, which does not
//! sync a step: a power failure may lose it.

use std::error::Error;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use durare::{DurableContext, DurableEngine, SqliteProvider, WorkflowOptions};
use kitaru::{Kitaru, checkpoint, flow};
use redb::{Database, TableDefinition};

/// How many steps a sequence has, and how often it is measured.
const STEPS: u32 = 300;
const ROUNDS: u32 = 5;
/// Concurrent executions, and the steps of each.
const FLOWS: u32 = 100;
const STEPS_EACH: u32 = 10;

#[checkpoint]
async fn small(n: u32) -> u64 {
    u64::from(n) + 5
}

#[flow]
async fn sequence(run: u32, steps: u32) -> Result<u64, kitaru::Error> {
    let _ = run;
    let mut sum = 0;
    for n in 0..steps {
        sum += small(n).await;
    }
    Ok(sum)
}

async fn memable_sequence(ctx: memable::Context) -> Result<(), memable::EngineError> {
    let steps = ctx.input::<u32>()?.unwrap_or_default();
    for n in 0..steps {
        let key = format!("small-{n}:v1");
        let _: u64 = ctx.step(&key).run(async move || Ok(u64::from(n) + 5)).await?;
    }
    Ok(())
}

#[durare::step]
async fn durare_small(ctx: &DurableContext, n: u32) -> durare::Result<u64> {
    Ok(u64::from(n) + 5)
}

#[durare::workflow]
async fn durare_sequence(ctx: DurableContext, steps: u32) -> durare::Result<u64> {
    let mut sum = 0;
    for n in 0..steps {
        sum += durare_small(&ctx, n).await?;
    }
    Ok(sum)
}

/// The figures of a system.
#[derive(Default)]
struct Figures {
    /// Microseconds for a step of a sequence, beginning and end included.
    sequential: Vec<f64>,
    /// Steps in a second.
    concurrent: Vec<f64>,
}

impl Figures {
    fn add_sequence(&mut self, start: Instant) {
        self.sequential.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(STEPS));
    }

    fn add_concurrent(&mut self, start: Instant) {
        self.concurrent.push(f64::from(FLOWS * STEPS_EACH) / start.elapsed().as_secs_f64());
    }

    fn print(mut self, name: &str) {
        let median = |samples: &mut Vec<f64>| {
            samples.sort_by(f64::total_cmp);
            samples.get(samples.len() / 2).copied()
        };
        let sequential = median(&mut self.sequential).map_or("–".to_owned(), |us| format!("{us:.0} us"));
        let concurrent = median(&mut self.concurrent).map_or("–".to_owned(), |rate| format!("{rate:.0}/s"));
        println!("{name:60} {sequential:>10} {concurrent:>12}");
    }
}

/// One commit of one row of 112 bytes. Returns microseconds.
fn bare_commit(database: &Database, n: u64) -> f64 {
    const BARE: TableDefinition<u64, &[u8]> = TableDefinition::new("bare");
    let start = Instant::now();
    let transaction = database.begin_write().expect("a transaction");
    transaction.open_table(BARE).expect("a table").insert(n, [7u8; 104].as_slice()).expect("a row");
    transaction.commit().expect("a commit");
    start.elapsed().as_secs_f64() * 1e6
}

/// One write and one sync of 192 bytes in a file that is there. Returns microseconds.
fn bare_sync(mut file: &File, n: u64) -> f64 {
    let start = Instant::now();
    file.seek(SeekFrom::Start(n % 4_096 * 192)).expect("a place");
    file.write_all(&[9; 192]).expect("a write");
    file.sync_data().expect("a sync");
    start.elapsed().as_secs_f64() * 1e6
}

async fn measure(dir: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let kitaru = Kitaru::builder().dir(dir.join("kitaru")).open().await?;
    let mut memable = memable::Engine::builder().open(dir.join("memable.redb"))?.build();
    memable.register("sequence", memable_sequence);
    memable.start().await?;
    let url = format!("sqlite://{}", dir.join("durare.db").display());
    let durare = DurableEngine::new(Arc::new(SqliteProvider::connect(&url).await?)).await?;
    let database = Database::create(dir.join("bare.redb"))?;
    let mut file = File::create(dir.join("bare.log"))?;
    file.write_all(&vec![0; 192 * 4_096])?;
    file.sync_all()?;

    let [mut ours, mut of_memable, mut of_durare, mut commits, mut syncs] = [(); 5].map(|()| Figures::default());
    for round in 0..ROUNDS {
        let from = u64::from(round * STEPS);
        commits.sequential.extend((from..from + u64::from(STEPS)).map(|n| bare_commit(&database, n)));
        syncs.sequential.extend((from..from + u64::from(STEPS)).map(|n| bare_sync(&file, n)));

        let start = Instant::now();
        sequence(round, STEPS).on(&kitaru).await?;
        ours.add_sequence(start);
        let start = Instant::now();
        memable.invoke("sequence").input(STEPS).await?.wait().await;
        of_memable.add_sequence(start);
        let start = Instant::now();
        durare.start_with(DurareSequence, STEPS, WorkflowOptions::with_id(format!("one-{round}"))).await?.await?;
        of_durare.add_sequence(start);

        let start = Instant::now();
        let flows: Vec<_> = (0..FLOWS)
            .map(|n| tokio::spawn(sequence(1_000 * (round + 1) + n, STEPS_EACH).on(&kitaru).into_future()))
            .collect();
        for flow in flows {
            flow.await??;
        }
        ours.add_concurrent(start);
        let start = Instant::now();
        let mut flows = Vec::new();
        for _ in 0..FLOWS {
            flows.push(memable.invoke("sequence").input(STEPS_EACH).await?);
        }
        for flow in flows {
            flow.wait().await;
        }
        of_memable.add_concurrent(start);
        let start = Instant::now();
        let mut flows = Vec::new();
        for n in 0..FLOWS {
            let options = WorkflowOptions::with_id(format!("many-{round}-{n}"));
            flows.push(durare.start_with(DurareSequence, STEPS_EACH, options).await?);
        }
        for flow in flows {
            flow.await?;
        }
        of_durare.add_concurrent(start);
    }
    println!("{:60} {:>10} {:>12}", "", "a step", "concurrent");
    syncs.print("fdatasync of 192 bytes into a file that is there");
    commits.print("a bare redb commit of one row");
    ours.print("Kitaru, fdatasync each step");
    of_memable.print("memable 0.1.5, redb, fsync each step");
    of_durare.print("durare 0.5, SQLite WAL, no fsync for a step");
    kitaru.close().await?;
    memable.stop().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // On the disk that contains the project, not on one in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
    let path = dir.path().to_owned();
    // In a task: the main thread, which blocks on a future, is woken more slowly.
    tokio::spawn(async move { measure(&path).await }).await?
}
