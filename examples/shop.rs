//! A program that stays: a shop whose orders and whose agent need a person, for the command `kitaru` to look at.
//!
//! `cargo run --example shop` takes three orders, pays an invoice and waits. In another terminal, `kitaru list` shows them, `kitaru waits` what
//! they ask, and `kitaru answer order/order-1 yes` lets one be shipped. Ctrl-C ends the program; the orders stay.

use std::time::Duration;

use kitaru::agent::{Agent, FunctionModel, KitaruAgent, ModelResponse, RunError};
use kitaru::{Kitaru, checkpoint, flow, tool, wait};
use serde_json::json;

#[checkpoint]
async fn reserve(items: u32) -> anyhow::Result<String> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    anyhow::ensure!(items < 100, "only 12 are left");
    Ok(format!("shelf {}", items % 7))
}

#[checkpoint]
async fn ship(shelf: &str) -> anyhow::Result<String> {
    Ok(format!("parcel from {shelf}"))
}

#[flow]
async fn order(customer: String, items: u32) -> anyhow::Result<String> {
    let shelf = reserve(items).await?;
    let approved = wait::<bool>("approval").question(format!("Ship {items} items to {customer}?")).await?;
    anyhow::ensure!(approved, "not approved");
    ship(&shelf).await
}

/// Pays an invoice.
#[tool(requires_approval)]
async fn pay(invoice: String, euros: u32) -> String {
    format!("{euros} € are paid for {invoice}")
}

#[flow]
async fn clerk(invoice: String) -> Result<String, RunError> {
    // A script instead of a model: it wants to pay, and then reports the result.
    let model = FunctionModel::new("clerk", |request| match request.tool_returns().last() {
        None => {
            let arguments = json!({ "invoice": request.prompt(), "euros": 250 });
            Ok(ModelResponse::tool_call("call_1", "pay", arguments.to_string()))
        }
        Some(given) => Ok(ModelResponse::text(format!("Done: {}.", given.content))),
    });
    let agent = Agent::builder(model).name("clerk").instructions("Pay what is due.").tool(pay()).build()?;
    Ok(KitaruAgent::new(agent).run(invoice).await?.output)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("kitaru=info").with_writer(std::io::stderr).init();
    let dir = std::env::var_os("KITARU_DIR").unwrap_or_else(|| ".kitaru".into());
    let kitaru = Kitaru::builder().dir(&dir).register(order).register(clerk).open().await?;
    for (nth, (customer, items)) in [("Ada", 2), ("Grace", 5), ("Edsger", 500)].into_iter().enumerate() {
        let call = order(customer.to_owned(), items).id(format!("order-{}", nth + 1)).tag("web");
        drop(call.on(&kitaru).start().await?);
    }
    drop(clerk("invoice-7".to_owned()).id("invoice-7").on(&kitaru).start().await?);
    println!("the shop is open; Ctrl-C closes it");
    tokio::signal::ctrl_c().await?;
    kitaru.close().await?;
    Ok(())
}
