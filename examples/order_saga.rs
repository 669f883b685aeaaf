//! An order of three steps. Each step registers its undo. When a step fails, the completed steps are undone in reverse order,
//! across crashes.
//!
//! `cargo run --example order_saga` orders something that cannot be shipped: the seat is reserved and paid, shipping fails, the
//! money is refunded and the seat released. Run it again: it has failed, and nothing happens twice.
//!
//! `CRASH=pay cargo run --example order_saga -- order-8 paper` crashes in the payment, which is never made twice; without
//! `CRASH` the same command asks whether it was made. `cargo run --example order_saga -- answer order-8 paid` continues after
//! it, with `unpaid` it pays, with anything else the order fails and is undone. `CRASH=refund` crashes during the undo.

use std::time::Duration;

use anyhow::Context as _;
use kitaru::{Kitaru, Resolution, Status, checkpoint, flow, undo};

/// Crashes, if `CRASH` names this place.
fn crash(place: &str) {
    if std::env::var("CRASH").is_ok_and(|crash| crash == place) {
        println!("…the process dies in `{place}`");
        std::process::abort();
    }
}

#[checkpoint]
async fn reserve(order: &str, item: &str) -> anyhow::Result<()> {
    println!("{order}: {item} reserved");
    Ok(())
}

#[checkpoint]
async fn release(order: String) -> anyhow::Result<()> {
    println!("{order}: released");
    Ok(())
}

/// No payment is better than two: after a crash in the body, a person says whether it was made.
#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn pay(order: &str) -> anyhow::Result<String> {
    crash("pay");
    println!("{order}: paid");
    Ok(format!("receipt of {order}"))
}

/// May run twice. The bank recognises the second request by its key.
#[checkpoint(retries = 3, backoff = "100ms")]
async fn refund(order: String) -> anyhow::Result<()> {
    crash("refund");
    println!("{order}: refunded, once for the key {}…", &kitaru::idempotency_key()[..8]);
    Ok(())
}

#[checkpoint]
async fn ship(order: &str, item: &str) -> anyhow::Result<()> {
    anyhow::ensure!(item != "piano", "a {item} does not fit through the door");
    println!("{order}: {item} shipped");
    Ok(())
}

#[flow]
async fn order_saga(order: String, item: String) -> anyhow::Result<String> {
    // Each step is registered before the call that it undoes: an interrupted body may have done its work.
    let own = order.clone();
    undo(move || release(own));
    reserve(&order, &item).await?;
    let own = order.clone();
    undo(move || refund(own));
    let receipt = pay(&order).await?;
    ship(&order, &item).await?;
    Ok(receipt)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("kitaru=info").with_writer(std::io::stderr).init();
    let dir = std::env::var_os("KITARU_DIR").unwrap_or_else(|| ".kitaru".into());
    // Interrupted executions resume by themselves, undo included.
    let kitaru = Kitaru::builder().dir(&dir).open().await?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let id = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["answer", order, answer] => {
            let resolution = match answer {
                "paid" => Resolution::happened(&format!("receipt of {order}"))?,
                "unpaid" => Resolution::run_again(),
                why => Resolution::fail(why),
            };
            kitaru.answer(&("order_saga", order), "pay", &resolution).await?;
            order.to_owned()
        }
        [] => start(&kitaru, "order-7", "piano").await?,
        [order, item] => start(&kitaru, order, item).await?,
        _ => anyhow::bail!("an order and an item, or answer, an order and paid, unpaid or why it fails"),
    };
    loop {
        let execution = kitaru.execution(("order_saga", &id)).await?.context("there is no such order")?;
        match execution.status() {
            Status::Running | Status::Interrupted => tokio::time::sleep(Duration::from_millis(10)).await,
            Status::Waiting => {
                execution.waits().iter().for_each(|open| println!("{id}: {}", open.question()));
                break;
            }
            status => {
                println!("{id}: {status} {}", execution.error().unwrap_or_default());
                break;
            }
        }
    }
    kitaru.close().await?;
    Ok(())
}

async fn start(kitaru: &Kitaru, order: &str, item: &str) -> anyhow::Result<String> {
    let handle = order_saga(order.to_owned(), item.to_owned()).id(order).on(kitaru).start().await?;
    Ok(handle.id().to_owned())
}
