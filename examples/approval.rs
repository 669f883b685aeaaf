//! A flow that asks a person and waits for the answer. The wait survives the process.
//!
//! `cargo run --example approval -- invoice-7 250` asks and exits; the flow waits in the store. `cargo run --example approval`
//! shows the question; `cargo run --example approval -- answer invoice-7 yes` answers.

use std::time::Duration;

use anyhow::Context as _;
use kitaru::{Kitaru, Status, checkpoint, flow, wait};

#[checkpoint]
async fn pay(invoice: &str, euros: u32) -> anyhow::Result<()> {
    println!("paid {euros} € for {invoice}");
    Ok(())
}

#[flow]
async fn approval(invoice: String, euros: u32) -> anyhow::Result<bool> {
    let approved = wait::<bool>("approval")
        .question(format!("Pay {euros} € for {invoice}?"))
        .metadata("euros", &euros)
        .deadline(Duration::from_secs(7 * 24 * 3_600))
        .await?;
    if approved {
        pay(&invoice, euros).await?;
    }
    Ok(approved)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("kitaru=info").with_writer(std::io::stderr).init();
    let dir = std::env::var_os("KITARU_DIR").unwrap_or_else(|| ".kitaru".into());
    let kitaru = Kitaru::builder().dir(&dir).open().await?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["answer", invoice, answer] => {
            kitaru.answer(&("approval", invoice), "approval", &(answer == "yes")).await?;
            let handle = kitaru.handle::<bool, anyhow::Error>(("approval", invoice)).await?;
            println!("{}", if handle.await? { "approved" } else { "declined" });
        }
        [invoice, euros] => {
            let call = approval(invoice.to_owned(), euros.parse().context("how many euros?")?);
            drop(call.id(invoice).on(&kitaru).start().await?);
            while kitaru.execution(("approval", invoice)).await?.is_some_and(|job| job.status() == Status::Running) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        _ => anyhow::bail!("an invoice and euros, or answer, an invoice and yes or no"),
    }
    for summary in kitaru.executions().await?.iter() {
        let execution = kitaru.execution((summary.flow(), summary.id())).await?;
        for open in execution.iter().flat_map(|execution| execution.waits()) {
            println!("{}: {}", summary.id(), open.question());
        }
    }
    kitaru.close().await?;
    Ok(())
}
