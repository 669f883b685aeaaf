//! The errors of `#[checkpoint]` for options that are misspelt, repeated or of the wrong kind.

use kitaru::checkpoint;

#[checkpoint(retry = 3)]
async fn unknown_with_a_neighbour() -> u32 {
    1
}

#[checkpoint(parallelism = 3)]
async fn unknown_without() -> u32 {
    1
}

#[checkpoint(reuse = "24h")]
async fn of_the_other_attribute() -> u32 {
    1
}

#[checkpoint(kitaru::retries = 1)]
async fn no_path() -> u32 {
    1
}

#[checkpoint(retries = 1, sensitive, retries = 2, sensitive)]
async fn repeated() -> u32 {
    1
}

#[checkpoint("research")]
async fn not_an_option() -> u32 {
    1
}

#[checkpoint(retries 3)]
async fn no_equals_sign() -> u32 {
    1
}

#[checkpoint(name = research)]
async fn name_without_quotes() -> u32 {
    1
}

#[checkpoint(name = "", version = "a\nb")]
async fn name_empty() -> u32 {
    1
}

#[checkpoint(
    name = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
)]
async fn name_too_long() -> u32 {
    1
}

#[checkpoint(version = 2)]
async fn version_without_quotes() -> u32 {
    1
}

#[checkpoint(retries = "3")]
async fn retries_in_quotes() -> u32 {
    1
}

#[checkpoint(retries = -1)]
async fn retries_below_zero() -> u32 {
    1
}

#[checkpoint(retries = 5_000_000_000)]
async fn retries_too_many() -> u32 {
    1
}

#[checkpoint(backoff = 100)]
async fn backoff_without_unit() -> u32 {
    1
}

#[checkpoint(timeout = "30")]
async fn timeout_without_unit() -> anyhow::Result<u32> {
    Ok(1)
}

#[checkpoint(timeout = "0s")]
async fn timeout_zero() -> anyhow::Result<u32> {
    Ok(1)
}

#[checkpoint(timeout = "99999999999999d")]
async fn timeout_too_long() -> anyhow::Result<u32> {
    Ok(1)
}

#[checkpoint(codec = "jsn")]
async fn codec_misspelt() -> u32 {
    1
}

#[checkpoint(codec = json)]
async fn codec_without_quotes() -> u32 {
    1
}

#[checkpoint(key = "a")]
async fn key_as_a_value(a: u32) -> u32 {
    a
}

#[checkpoint(key())]
async fn key_of_nothing(a: u32) -> u32 {
    a
}

#[checkpoint(skip)]
async fn skip_of_nothing(a: u32) -> u32 {
    a
}

#[checkpoint(skip(a.b))]
async fn skip_of_a_field(a: u32) -> u32 {
    a
}

#[checkpoint(memo = true)]
async fn memo_as_a_value() -> u32 {
    1
}

#[checkpoint(memo(age = "24h"))]
async fn memo_misspelt() -> u32 {
    1
}

#[checkpoint(memo(max_age = 24))]
async fn memo_without_unit() -> u32 {
    1
}

#[checkpoint(at_most_once = true)]
async fn at_most_once_as_a_value() -> anyhow::Result<u32> {
    Ok(1)
}

#[checkpoint(sensitive(a))]
async fn sensitive_of_an_argument(a: u32) -> u32 {
    a
}

#[checkpoint(blocking = true)]
fn blocking_as_a_value() -> u32 {
    1
}

#[checkpoint(on_code_change = "rerrun")]
async fn on_code_change_misspelt() -> u32 {
    1
}

#[checkpoint(on_divergence = "warn")]
async fn on_divergence_unknown() -> u32 {
    1
}

#[checkpoint(at_most_once, on_interrupt = "retry")]
async fn on_interrupt_unknown() -> anyhow::Result<u32> {
    Ok(1)
}

#[checkpoint(retries = 3, backoff = "10s", max_backoff = "1s")]
async fn max_backoff_too_short() -> anyhow::Result<u32> {
    Ok(1)
}

#[checkpoint(crate = "kitaru")]
async fn crate_in_quotes() -> u32 {
    1
}

/// All errors are reported together, and the calls below add none.
#[checkpoint(nam = "a", retries = "3", timeout = 30, codec = "xml", memo(max = "1h"), skip(clint))]
async fn several(client: &std::sync::Mutex<u32>) -> anyhow::Result<u32> {
    Ok(*client.lock().unwrap())
}

#[kitaru::flow]
async fn caller() -> anyhow::Result<u32> {
    let one: u32 = unknown_with_a_neighbour().retries(2).await;
    let client = std::sync::Mutex::new(one);
    let several = several(&client).retries(2).timeout(std::time::Duration::from_secs(1)).await?;
    Ok(several + on_interrupt_not_there_yet().await? + blocking_as_a_value().await)
}

fn main() {}
