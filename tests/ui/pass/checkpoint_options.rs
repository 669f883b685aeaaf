//! Every option of `#[checkpoint]`.

use kitaru::checkpoint;

struct Client;

#[checkpoint()]
async fn no_options() -> u32 {
    1
}

#[checkpoint(name = "a name with spaces")]
async fn name() -> u32 {
    1
}

#[checkpoint(version = "2024-06")]
async fn version() -> u32 {
    1
}

#[checkpoint(retries = 3, backoff = "100ms")]
async fn retries(n: u32) -> Result<u32, String> {
    Ok(n)
}

#[checkpoint(timeout = "30s")]
async fn timeout() -> anyhow::Result<u32> {
    Ok(1)
}

#[checkpoint(codec = "json")]
async fn json() -> serde_json::Value {
    serde_json::Value::Null
}

#[checkpoint(codec = "bincode")]
async fn bincode() -> u32 {
    1
}

#[checkpoint(key(a, r#type))]
async fn key(a: u32, r#type: u32, client: Client) -> u32 {
    let _ = client;
    a + r#type
}

#[checkpoint(skip(client, closure))]
async fn skip(a: u32, client: &Client, closure: impl Fn(u32) -> u32) -> u32 {
    let _ = client;
    closure(a)
}

#[checkpoint(memo)]
async fn memo(n: u32) -> u32 {
    n
}

#[checkpoint(memo(max_age = "7d"))]
async fn memo_for_a_week(n: u32) -> u32 {
    n
}

#[checkpoint(at_most_once)]
async fn at_most_once() -> Result<(), kitaru::Error> {
    Ok(())
}

fn is_passing(error: &anyhow::Error) -> bool {
    error.to_string() == "passing"
}

#[checkpoint(retries = 3, backoff = "1s", max_backoff = "5m", retry_if = is_passing, total_timeout = "1h")]
async fn policy() -> anyhow::Result<()> {
    Ok(())
}

#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn asks() -> anyhow::Result<()> {
    Ok(())
}

#[checkpoint(at_most_once, on_interrupt = "error")]
async fn on_interrupt() -> anyhow::Result<()> {
    Ok(())
}

#[checkpoint(sensitive)]
async fn sensitive(password: &str) -> usize {
    password.len()
}

#[checkpoint(blocking)]
fn blocking(mut list: Vec<u32>, fixed: &'static str) -> usize {
    list.push(1);
    list.len() + fixed.len()
}

#[checkpoint(blocking, retries = 1)]
fn blocking_generic<T: serde::Serialize + Clone + Send + 'static>(value: T) -> Result<usize, String> {
    serde_json::to_string(&value).map(|text| text.len()).map_err(|error| error.to_string())
}

#[checkpoint(on_code_change = "reuse")]
async fn reused() -> u32 {
    1
}

#[checkpoint(on_code_change = "rerun")]
async fn rerun() -> u32 {
    1
}

#[checkpoint(on_divergence = "rerun")]
async fn diverging(n: u32) -> u32 {
    n
}

#[checkpoint(on_divergence = "fail")]
async fn failing(n: u32) -> u32 {
    n
}

mod reexported {
    pub mod deep {
        pub use kitaru::*;
    }
}

#[checkpoint(crate = crate::reexported::deep)]
async fn renamed(n: u32) -> u32 {
    n
}

#[checkpoint(
    name = "all", version = "1", retries = 1, backoff = "0s", timeout = "5m", codec = "json", key(a), memo(max_age = "24h"),
    sensitive, on_code_change = "rerun", on_divergence = "fail", crate = kitaru,
)]
async fn all(a: u32) -> anyhow::Result<u32> {
    Ok(a)
}

#[kitaru::flow]
async fn everything() -> anyhow::Result<()> {
    let calls = no_options().await + name().await + version().await + bincode().await;
    let _ = retries(calls).retries(5).await;
    timeout().timeout(std::time::Duration::from_secs(1)).await?;
    json().await;
    key(1, 2, Client).await;
    skip(1, &Client, |n| n + calls).await;
    memo(1).await;
    memo_for_a_week(1).await;
    at_most_once().await?;
    on_interrupt().await?;
    policy().retry_if(|_| false).total_timeout(std::time::Duration::from_secs(1)).await?;
    asks().await?;
    sensitive("secret").await;
    blocking(vec![], "fixed").await;
    let _ = blocking_generic(1).await;
    reused().await;
    rerun().await;
    diverging(1).await;
    failing(1).await;
    renamed(1).await;
    all(1).await?;
    Ok(())
}

fn main() {
    drop(everything());
}
