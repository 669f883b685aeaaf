//! An agent that asks a person before it pays. Its flow is parked until the answer, and survives its process.
//!
//! `cargo run --example agent_approval -- ask invoice-7` asks and exits; `cargo run --example agent_approval` shows the
//! question. `… -- yes invoice-7` pays, `… -- less invoice-7 100` pays 100 €, `… -- no invoice-7 'not ours'` refuses and tells
//! the model why.
//! model know.

use kitaru::agent::{Agent, Approval, FunctionModel, KitaruAgent, ModelResponse, RunError};
use kitaru::{Kitaru, Status, flow, tool};
use serde_json::json;

/// Pays an invoice.
#[tool(requires_approval)]
async fn pay(
    invoice: String,
    /// In whole euros.
    #[schemars(range(min = 1, max = 1000))]
    euros: u32,
) -> String {
    println!("paid {euros} € for {invoice}");
    format!("{euros} € are paid")
}

#[flow]
async fn invoices(invoice: String) -> Result<String, RunError> {
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
    let dir = std::env::var_os("KITARU_DIR").unwrap_or_else(|| ".kitaru".into());
    let kitaru = Kitaru::builder().dir(&dir).open().await?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let answer = |invoice: &str, approval: Approval| {
        let (kitaru, invoice) = (kitaru.clone(), invoice.to_owned());
        async move {
            kitaru.answer(&("invoices", invoice.as_str()), "pay_approval", &approval).await?;
            println!("{}", kitaru.handle::<String, RunError>(("invoices", &invoice)).await?.await?);
            anyhow::Ok(())
        }
    };
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["ask", invoice] => {
            drop(invoices(invoice.to_owned()).id(invoice).on(&kitaru).start().await?);
            while kitaru.execution(("invoices", invoice)).await?.is_some_and(|job| job.status() == Status::Running) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        ["yes", invoice] => answer(invoice, Approval::Approve).await?,
        ["less", invoice, euros] => {
            let euros: u32 = euros.parse()?;
            answer(invoice, Approval::ApproveWith(json!({ "invoice": invoice, "euros": euros }))).await?;
        }
        ["no", invoice, reason] => answer(invoice, Approval::Deny(reason.to_owned())).await?,
        _ => anyhow::bail!("ask, yes, less or no, and an invoice"),
    }
    for summary in kitaru.executions().await?.iter() {
        let execution = kitaru.execution((summary.flow(), summary.id())).await?;
        for open in execution.iter().flat_map(|execution| execution.waits()) {
            println!("{}: {} {}", summary.id(), open.question(), open.metadata());
        }
    }
    kitaru.close().await?;
    Ok(())
}
