//! The program of the README: two checkpoints, one flow.

use kitaru::{checkpoint, flow};

#[checkpoint]
async fn research(topic: &str) -> anyhow::Result<String> {
    println!("researching");
    Ok(format!("notes on {topic}"))
}

#[checkpoint]
async fn draft(notes: String) -> anyhow::Result<String> {
    println!("drafting");
    anyhow::ensure!(std::env::var_os("BREAK").is_none(), "no paper");
    Ok(notes.to_uppercase())
}

#[flow]
async fn write_report(topic: String) -> anyhow::Result<String> {
    let notes = research(&topic).await?;
    draft(notes).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("{}", write_report("tides".to_string()).await?);
    Ok(())
}
