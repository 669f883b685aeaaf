//! A call does nothing until it is awaited, and says so when it is not.

#![deny(unused_must_use)]

use kitaru::{checkpoint, flow};

#[checkpoint]
async fn one() -> u32 {
    1
}

#[flow]
async fn job() -> anyhow::Result<u32> {
    one();
    one().retries(1);
    Ok(one().await)
}

fn main() {
    job();
}
