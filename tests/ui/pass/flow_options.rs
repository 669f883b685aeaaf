//! Every option of `#[flow]`.

use kitaru::flow;

#[flow()]
async fn no_options() -> anyhow::Result<()> {
    Ok(())
}

#[flow(name = "a flow by another name")]
async fn name() -> anyhow::Result<()> {
    Ok(())
}

#[flow(version = "2")]
async fn version() -> anyhow::Result<()> {
    Ok(())
}

#[flow(reuse = "always")]
async fn always() -> anyhow::Result<()> {
    Ok(())
}

#[flow(reuse = "unfinished")]
async fn unfinished() -> anyhow::Result<()> {
    Ok(())
}

#[flow(reuse = "24h")]
async fn for_a_day() -> anyhow::Result<()> {
    Ok(())
}

#[flow(on_divergence = "rerun")]
async fn rerun() -> anyhow::Result<()> {
    Ok(())
}

#[flow(on_divergence = "fail")]
async fn fail() -> anyhow::Result<()> {
    Ok(())
}

mod reexported {
    pub use kitaru as other;
}

#[flow(crate = reexported::other)]
async fn renamed(n: u32) -> anyhow::Result<u32> {
    Ok(n)
}

#[flow(name = "all", version = "1", reuse = "7d", on_divergence = "fail", crate = kitaru)]
async fn all(n: u32) -> anyhow::Result<u32> {
    Ok(n)
}

fn main() {
    drop((no_options(), name(), version(), always(), unfinished(), for_a_day(), rerun(), fail(), renamed(1), all(1)));
}
