//! The programs whose executions are in the golden store: each leaves some kinds of records and rows behind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use kitaru::{Error, checkpoint, flow};
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quote {
    pub(crate) cents: u64,
    pub(crate) valid: Validity,
    pub(crate) by_item: BTreeMap<u32, f32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Validity {
    Always,
    Days(u8),
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no credit for {customer}")]
    NoCredit { customer: String },
    #[error(transparent)]
    Kitaru(#[from] Error),
}

/// Whether a store is being written, rather than read.
pub(crate) static WRITES: AtomicBool = AtomicBool::new(false);

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
pub(crate) struct Done {
    pub(crate) quotes: (Quote, Quote),
    pub(crate) refusal: String,
    pub(crate) notes: String,
    pub(crate) paid: String,
    pub(crate) rate: f64,
    pub(crate) at: SystemTime,
    pub(crate) shipped: String,
}

#[flow(version = "7")]
pub(crate) async fn order(customer: String, items: Vec<u32>) -> anyhow::Result<Done> {
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
pub(crate) async fn cut_off(customer: String) -> Result<u64, Refusal> {
    let rate = rate('€').await;
    if WRITES.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    Ok(rate as u64 + customer.len() as u64)
}

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// A wait of each kind, a child, and a change of its code.
#[flow]
pub(crate) async fn trip(guest: String) -> Result<String, Error> {
    let greeting = if kitaru::patched("greeting") { "welcome" } else { "hello" };
    kitaru::sleep(HOUR).await;
    let paid: u32 = kitaru::signal("paid").await?;
    let nights: u32 = kitaru::wait("nights").question("For how long?").await?;
    let room = room(guest.clone(), nights).await?;
    let breakfast: bool = kitaru::wait("breakfast").question("With breakfast?").metadata("room", &room).await?;
    Ok(format!("{greeting} {guest}, {room}, {paid} paid, breakfast: {breakfast}"))
}

/// It waits for a trip that another execution has begun.
#[flow]
pub(crate) async fn companion(guest: String) -> Result<String, Error> {
    trip(guest).id("job-50").await
}

#[flow]
pub(crate) async fn room(guest: String, nights: u32) -> Result<String, Error> {
    only_the_writer("room");
    Ok(format!("room {} for {nights}", guest.len()))
}

#[checkpoint]
async fn give_back(item: String) -> Result<(), Error> {
    if WRITES.load(Ordering::SeqCst) {
        Err(Error::msg("the shop is closed"))
    } else {
        drop(item);
        Ok(())
    }
}

/// It fails, and its work cannot be undone yet.
#[flow]
pub(crate) async fn spoiled(item: String) -> Result<u64, Error> {
    only_the_writer("spoiled");
    kitaru::undo(move || give_back(item));
    Err(Error::msg("it is spoiled"))
}

#[checkpoint(at_most_once)]
async fn launch(rocket: u32) -> Result<u32, Error> {
    only_the_writer(&format!("launch {rocket}"));
    std::future::pending().await
}

/// Interrupted in an `at_most_once` body.
#[flow]
pub(crate) async fn risky(rocket: u32) -> Result<String, Error> {
    match launch(rocket).await {
        Err(error) if error.is_interrupted() => Ok("who knows".to_owned()),
        other => Err(Error::msg(format!("{other:?}"))),
    }
}

#[checkpoint(retries = 3, backoff = "30m")]
async fn knock(door: u32) -> Result<u32, Error> {
    static KNOCKED: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    let mut knocked = KNOCKED.lock().unwrap_or_else(PoisonError::into_inner);
    if WRITES.load(Ordering::SeqCst) && !knocked.contains(&door) {
        knocked.push(door);
        return Err(Error::msg("the office is closed"));
    }
    Ok(door)
}

/// Its body is tried again approximately half an hour later.
#[flow]
pub(crate) async fn patient(door: u32) -> Result<u32, Error> {
    knock(door).await
}

#[checkpoint]
async fn look(page: u32) -> Result<u32, Error> {
    kitaru::log("seen", &page)?;
    Ok(page)
}

/// It continues in a new generation, and publishes its progress.
#[flow]
pub(crate) async fn pages(page: u32) -> Result<u32, Error> {
    kitaru::log("pages", &page)?;
    kitaru::publish("page", &page)?;
    look(page).await?;
    if page < 2 { pages(page + 1).continue_as_new().await } else { Ok(page) }
}

#[checkpoint]
async fn stumble(n: u32) -> Result<u32, Error> {
    if WRITES.load(Ordering::SeqCst) { Err(Error::msg("a stone")) } else { Ok(n) }
}

/// Its error is forgotten later.
#[flow]
pub(crate) async fn mishap(n: u32) -> Result<u32, Error> {
    let stumbled = stumble(n).await;
    look(n).await?;
    stumbled
}

#[flow]
pub(crate) async fn later(n: u32) -> Result<u32, Error> {
    Ok(n + 1)
}

/// The type asks serde for something else than when the store was written.
#[derive(Debug, Serialize)]
struct Changed(u64);

/// Whether the type has changed.
pub(crate) static CHANGED: AtomicBool = AtomicBool::new(true);

impl<'de> Deserialize<'de> for Changed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match CHANGED.load(Ordering::SeqCst) {
            true => String::deserialize(from).map(|text| Changed(text.len() as u64)),
            false => u64::deserialize(from).map(Changed),
        }
    }
}

#[checkpoint]
async fn measure(n: u64) -> Changed {
    only_the_writer("measure");
    Changed(n)
}

#[flow]
pub(crate) async fn outgrown(n: u64) -> Result<u64, Error> {
    let Changed(n) = measure(n).await;
    if CHANGED.load(Ordering::SeqCst) { Ok(n) } else { Err(Error::msg("it is tried again")) }
}
