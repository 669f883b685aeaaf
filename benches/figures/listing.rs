//! What indexes cost an execution, and what they save a list.

use std::path::Path;
use std::time::{Instant, SystemTime};

use kitaru::{Error, Kitaru, ListRequest, Status, flow};
use redb::{Database, TableDefinition};

use crate::measured::{folder, median, open, runs_forever};

/// Ends as soon as it has begun.
#[flow(reuse = "unfinished")]
async fn brief(n: u64) -> Result<u64, Error> {
    if n % 100 == 7 { Err(Error::msg("it fails")) } else { Ok(n) }
}

/// One of another flow.
#[flow(reuse = "unfinished")]
async fn rare(n: u64) -> Result<u64, Error> {
    Ok(n)
}

type Bytes = &'static [u8];

const TABLES: [TableDefinition<'static, Bytes, Bytes>; 5] = [
    TableDefinition::new("execution"),
    TableDefinition::new("name"),
    TableDefinition::new("unfinished"),
    TableDefinition::new("journal"),
    TableDefinition::new("index"),
];

/// The rows of executions that begin, or that end, on redb alone, in one commit; gives nanoseconds.
fn bare_rows(database: &Database, executions: std::ops::Range<u64>, ends: bool, is_indexed: bool) -> u64 {
    let start = Instant::now();
    let transaction = database.begin_write().expect("a transaction");
    {
        let mut tables = TABLES.map(|table| transaction.open_table(table).expect("a table"));
        let mut put = |table: usize, key: &[u8], value: Option<usize>| match value {
            Some(bytes) => drop(tables[table].insert(key, vec![7u8; bytes].as_slice()).expect("a row")),
            None => drop(tables[table].remove(key).expect("a row")),
        };
        for n in executions {
            let key = n.to_be_bytes();
            let index = |letter: u8| [&[letter; 9][..], &key].concat();
            if ends {
                put(2, &key, None);
                put(3, &[key, 1u64.to_be_bytes()].concat(), Some(40));
            } else {
                put(0, &key, Some(180));
                put(1, &[&b"brief\0\0\x20"[..], &[n as u8; 24], &key].concat(), Some(12));
                put(2, &key, Some(15));
            }
            if is_indexed {
                put(4, &index(if ends { b's' } else { b'f' }), Some(4));
            }
        }
    }
    transaction.commit().expect("a commit");
    start.elapsed().as_nanos() as u64
}

fn bare(dir: &Path, name: &str) -> Database {
    let database = Database::create(dir.join(name)).expect("a redb file");
    bare_rows(&database, 0..1, false, true);
    database
}

/// What indexes cost from the begin of an execution to its end.
pub(crate) async fn brief_ones() {
    const BLOCK: u64 = 50;
    let dir = folder();
    let kitaru = open(dir.path()).await;
    let busy = runs_forever(0).on(&kitaru).start().await.expect("it starts");
    let floors = [(bare(dir.path(), "plain.redb"), false), (bare(dir.path(), "indexed.redb"), true)];
    let (mut ours, mut plain, mut indexed) = (Vec::new(), Vec::new(), Vec::new());
    for block in 0..40 {
        for n in block * BLOCK..(block + 1) * BLOCK {
            let start = Instant::now();
            rare(n).on(&kitaru).await.expect("it completes");
            ours.push(start.elapsed().as_nanos() as u64);
            // In turn: what is written second may wait for what the disk still does for the first.
            for turn in [n % 2, (n + 1) % 2] {
                let (database, is_indexed) = &floors[turn as usize];
                let begins = bare_rows(database, n + 1..n + 2, false, *is_indexed);
                let took = begins + bare_rows(database, n + 1..n + 2, true, *is_indexed);
                if *is_indexed { indexed.push(took) } else { plain.push(took) }
            }
        }
    }
    let [ours, plain, indexed] = [ours, plain, indexed].map(median);
    println!(
        "(k) begin and end of an execution: {ours:.0} us; its two bare redb commits {indexed:.0} us with the rows of indexes, \
         {plain:.0} us without; ratio {:.2}",
        ours / indexed
    );
    drop(busy);
    let (mut best, mut fastest) = (0f64, [0f64; 2]);
    for round in 0..5 {
        let start = Instant::now();
        let begun = (0..1_000).map(|n| tokio::spawn(rare(1_000_000 + round * 1_000 + n).on(&kitaru).into_future()));
        for ended in begun.collect::<Vec<_>>() {
            ended.await.expect("no panic").expect("it completes");
        }
        best = best.max(1_000.0 / start.elapsed().as_secs_f64());
        let some = 1_000_000 + round * 1_000..1_001_000 + round * 1_000;
        for ((database, is_indexed), fastest) in floors.iter().zip(&mut fastest) {
            let nanos = bare_rows(database, some.clone(), false, *is_indexed)
                + bare_rows(database, some.clone(), true, *is_indexed);
            *fastest = fastest.max(1e12 / nanos as f64);
        }
    }
    println!(
        "(k) 1,000 concurrently: {best:.0}/s; bare redb, 1,000 a commit, {:.0}/s with the rows of indexes, {:.0}/s without; ratio {:.2}",
        fastest[1],
        fastest[0],
        best / fastest[1]
    );
    kitaru.close().await.expect("it closes");
}

/// The median of some pages, in microseconds, and how many summaries one has.
async fn page(request: ListRequest) -> (f64, usize) {
    let (mut samples, mut found) = (Vec::new(), 0);
    for _ in 0..25 {
        let start = Instant::now();
        found = request.clone().await.expect("it reads").len();
        samples.push(start.elapsed().as_nanos() as u64);
    }
    (median(samples), found)
}

/// A list of 100,000 executions, of which few fit.
pub(crate) async fn listed() {
    const COUNT: u64 = 100_000;
    let dir = folder();
    let kitaru: Kitaru = open(dir.path()).await;
    for chunk in 0..COUNT / 1_000 {
        let begun = (chunk * 1_000..(chunk + 1) * 1_000).map(|n| {
            let call = brief(n).id(format!("{n:06}"));
            if n % 2_000 == 1 { call.tag("rare").on(&kitaru) } else { call.on(&kitaru) }.into_future()
        });
        futures::future::join_all(begun).await;
        if chunk < 50 {
            rare(chunk).on(&kitaru).await.expect("it completes");
        }
    }
    let (plain, found) = page(kitaru.executions()).await;
    println!("(l) a page of a list of {COUNT} executions: {plain:.0} us for {found}");
    for (what, request) in [
        ("of a flow, of which there are 50 in the older half", kitaru.executions().flow("rare")),
        ("of those with a tag, 50", kitaru.executions().tag("rare")),
        ("of those that failed, one in 100", kitaru.executions().status(Status::Failed)),
        ("of those of a flow that failed", kitaru.executions().flow("brief").status(Status::Failed)),
        ("of those of a flow that completed", kitaru.executions().flow("brief").status(Status::Completed)),
        ("of those of a flow that failed, none", kitaru.executions().flow("rare").status(Status::Failed)),
        ("of those that run, none", kitaru.executions().status(Status::Running)),
        ("of the ids of a flow that begin with 0123", kitaru.executions().flow("brief").id_prefix("0123")),
        ("of the ids that begin with 0123", kitaru.executions().id_prefix("0123")),
        ("of a search for a tag", kitaru.executions().search("rare")),
        ("of a search for the beginning of an id", kitaru.executions().search("0123")),
        ("of a search for an error", kitaru.executions().search("it fails")),
        ("of a search that finds nothing among all with an error", kitaru.executions().search("nothing of it")),
    ] {
        let (took, found) = page(request).await;
        println!("(l) {what}: {took:.0} us for {found}");
    }
    // What all of them would be found by without an index.
    let (start, mut after, mut pages) = (Instant::now(), None, 0);
    loop {
        let request = kitaru.executions().created_before(SystemTime::UNIX_EPOCH);
        let page = match after {
            Some(cursor) => request.after(cursor),
            None => request,
        };
        after = page.await.expect("it reads").next_cursor();
        pages += 1;
        if after.is_none() {
            break;
        }
    }
    println!("(l) a scan of all of them: {:.0} ms, {pages} pages", start.elapsed().as_secs_f64() * 1_000.0);
    for what in ["the first time", "again"] {
        let start = Instant::now();
        let completed = kitaru.metrics().await.expect("it counts").executions(Status::Completed);
        println!(
            "(l) the numbers of the store, {what}: {:.1} ms; {completed} completed",
            start.elapsed().as_secs_f64() * 1_000.0
        );
    }
    kitaru.close().await.expect("it closes");
}
