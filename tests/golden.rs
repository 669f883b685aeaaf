//! Stores of released formats stay readable. `tests/golden/store-1.txt` holds every row of a store of format 1, as
//! `docs/format.md` describes it: table, key and value in hexadecimal. A store is made of them, and a program like the
//! one that wrote them goes on where it stopped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kitaru::{Clock, Error, Kitaru, RecordStatus, Status, checkpoint, flow};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

const TABLES: [&str; 7] = ["meta", "execution", "name", "unfinished", "journal", "shape", "memo"];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Quote {
    cents: u64,
    valid: Validity,
    by_item: BTreeMap<u32, f32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Validity {
    Always,
    Days(u8),
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
enum Refusal {
    #[error("no credit for {customer}")]
    NoCredit { customer: String },
    #[error(transparent)]
    Kitaru(#[from] Error),
}

/// Whether a store is being written, rather than read.
static WRITES: AtomicBool = AtomicBool::new(false);

/// Only the program that wrote the store runs these bodies.
fn only_the_writer(checkpoint: &str) {
    assert!(WRITES.load(Ordering::SeqCst), "`{checkpoint}` has a record, and its body runs");
}

#[checkpoint]
async fn quote(items: &[u32], rush: Option<&str>) -> Quote {
    only_the_writer("quote");
    let by_item = items.iter().map(|item| (*item, *item as f32 / 2.0)).collect();
    Quote { cents: items.len() as u64 * 100, valid: rush.map_or(Validity::Always, |_| Validity::Days(3)), by_item }
}

#[checkpoint]
async fn credit(customer: &str) -> Result<u64, Refusal> {
    only_the_writer("credit");
    Err(Refusal::NoCredit { customer: customer.to_owned() })
}

#[checkpoint]
async fn describe(order: u32) -> serde_json::Value {
    only_the_writer("describe");
    serde_json::json!({ "order": order, "notes": [null, 1.5, "fragile"] })
}

#[checkpoint(at_most_once)]
async fn pay(cents: u64) -> Result<String, Error> {
    only_the_writer("pay");
    Ok(format!("paid {cents}"))
}

#[checkpoint(memo, version = "2", sensitive)]
async fn rate(currency: char) -> f64 {
    only_the_writer("rate");
    if currency == '€' { 1.0 } else { 1.25 }
}

#[checkpoint]
async fn ship(order: String) -> anyhow::Result<String> {
    anyhow::ensure!(!WRITES.load(Ordering::SeqCst), "the van is late");
    Ok(format!("shipped {order}"))
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Done {
    quotes: (Quote, Quote),
    refusal: String,
    notes: String,
    paid: String,
    rate: f64,
    at: SystemTime,
    shipped: String,
}

#[flow(version = "7")]
async fn order(customer: String, items: Vec<u32>) -> anyhow::Result<Done> {
    let quotes = tokio::join!(quote(&items, None), quote(&items[..1], Some("now")).named("leg"));
    let Err(refusal) = credit(&customer).await else { anyhow::bail!("credit was refused when this was recorded") };
    let at = kitaru::now();
    let notes = describe(42).await;
    let paid = pay(quotes.0.cents).await?;
    let rate = rate('€').await;
    let shipped = ship(kitaru::uuid().to_string()).await?;
    Ok(Done { quotes, refusal: refusal.to_string(), notes: notes.to_string(), paid, rate, at, shipped })
}

#[flow]
async fn cut_off(customer: String) -> Result<u64, Refusal> {
    let rate = rate('€').await;
    if WRITES.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    Ok(rate as u64 + customer.len() as u64)
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn table(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

/// A store's rows as text.
fn dump(store: &Path) -> Result<String, redb::Error> {
    let database = Database::open(store.join("store.redb"))?;
    let transaction = database.begin_read()?;
    let mut text = String::new();
    for name in TABLES {
        for row in transaction.open_table(table(name))?.iter()? {
            let (key, value) = row?;
            text += &format!("{name} {} {}\n", hex(key.value()), hex(value.value()));
        }
    }
    Ok(text)
}

/// A store made of rows.
fn restore(text: &str) -> anyhow::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    let database = Database::create(dir.path().join("store.redb"))?;
    let transaction = database.begin_write()?;
    for name in TABLES {
        transaction.open_table(table(name))?;
    }
    for line in text.lines() {
        let [name, key, value] = line.split(' ').collect::<Vec<_>>()[..] else {
            anyhow::bail!("not a table, a key and a value: {line}")
        };
        let mut table = transaction.open_table(table(name))?;
        table.insert(unhex(key).as_slice(), unhex(value).as_slice())?;
    }
    transaction.commit()?;
    Ok(dir)
}

fn input() -> (String, Vec<u32>) {
    ("Ada".to_owned(), vec![3, 500])
}

/// Writes the store anew, for a new format.
async fn bless() -> anyhow::Result<()> {
    WRITES.store(true, Ordering::SeqCst);
    let dir = tempfile::tempdir()?;
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().dir(dir.path()).clock(clock).open().await?;
    let (customer, items) = input();
    anyhow::ensure!(order(customer, items).id("job-42").on(&kitaru).await.is_err(), "the van came");
    let handle = cut_off("Ada".to_owned()).id("job-43").on(&kitaru).start().await?;
    while kitaru.execution("cut_off", handle.id()).await?.is_none_or(|execution| execution.records().is_empty()) {
        tokio::task::yield_now().await;
    }
    kitaru.close().await?;
    fs::write(file("store-1.txt"), dump(dir.path())?)?;
    WRITES.store(false, Ordering::SeqCst);
    Ok(())
}

#[tokio::test]
async fn a_store_of_format_1_goes_on_where_it_stopped() {
    if std::env::var_os("KITARU_BLESS").is_some() {
        bless().await.unwrap();
    }
    let dir = restore(&fs::read_to_string(file("store-1.txt")).unwrap()).unwrap();
    let kitaru = Kitaru::builder().dir(dir.path()).recover(false).open().await.unwrap();

    let before = kitaru.execution("order", "job-42").await.unwrap().unwrap();
    assert_eq!((before.status(), before.attempts()), (Status::Failed, 1));
    let names: Vec<&str> = before.records().iter().map(|record| record.name()).collect();
    assert_eq!(names, ["quote", "leg", "credit", "describe", "pay", "rate", "ship"]);
    assert_eq!(before.records().last().unwrap().status(), RecordStatus::Failed);

    let (customer, items) = input();
    let done = order(customer, items).id("job-42").on(&kitaru).await.unwrap();
    let by_item = |items: &[u32]| items.iter().map(|item| (*item, *item as f32 / 2.0)).collect();
    let expected = Done {
        quotes: (
            Quote { cents: 200, valid: Validity::Always, by_item: by_item(&[3, 500]) },
            Quote { cents: 100, valid: Validity::Days(3), by_item: by_item(&[3]) },
        ),
        refusal: "no credit for Ada".to_owned(),
        notes: r#"{"notes":[null,1.5,"fragile"],"order":42}"#.to_owned(),
        paid: "paid 200".to_owned(),
        rate: 1.0,
        at: UNIX_EPOCH + Duration::from_secs(1_767_225_600),
        shipped: "shipped f1ade44e-58b9-4295-bde4-726709d2a519".to_owned(),
    };
    assert_eq!(done, expected);

    let cut = kitaru.execution("cut_off", "job-43").await.unwrap().unwrap();
    assert_eq!((cut.status(), cut.records()[0].is_from_memo()), (Status::Interrupted, true));
    assert_eq!(cut_off("Ada".to_owned()).id("job-43").on(&kitaru).await.unwrap(), 4);
    kitaru.close().await.unwrap();
}
