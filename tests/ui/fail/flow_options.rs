//! The errors of `#[flow]` for options that are misspelt, repeated or of the wrong kind.

use kitaru::flow;

#[flow(nme = "a")]
async fn unknown_with_a_neighbour() -> anyhow::Result<()> {
    Ok(())
}

#[flow(retries = 3)]
async fn of_the_other_attribute() -> anyhow::Result<()> {
    Ok(())
}

#[flow(version = "1", version = "2")]
async fn repeated() -> anyhow::Result<()> {
    Ok(())
}

#[flow(name = "")]
async fn name_empty() -> anyhow::Result<()> {
    Ok(())
}

#[flow(version = 2)]
async fn version_without_quotes() -> anyhow::Result<()> {
    Ok(())
}

#[flow(reuse = "alwys")]
async fn reuse_misspelt() -> anyhow::Result<()> {
    Ok(())
}

#[flow(reuse = "sometimes, maybe")]
async fn reuse_unknown() -> anyhow::Result<()> {
    Ok(())
}

#[flow(reuse = "24")]
async fn reuse_without_unit() -> anyhow::Result<()> {
    Ok(())
}

#[flow(reuse = false)]
async fn reuse_without_quotes() -> anyhow::Result<()> {
    Ok(())
}

#[flow(on_divergence = "fial")]
async fn on_divergence_misspelt() -> anyhow::Result<()> {
    Ok(())
}

#[flow(crate = "kitaru")]
async fn crate_in_quotes() -> anyhow::Result<()> {
    Ok(())
}

#[flow]
async fn caller() -> anyhow::Result<()> {
    unknown_with_a_neighbour().id("job-42").await?;
    reuse_misspelt().await
}

fn main() {}
