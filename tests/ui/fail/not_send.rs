//! The error for a result that cannot be sent from the task of a flow to its caller.

use std::error::Error;

use kitaru::{checkpoint, flow};

#[flow]
async fn report(n: u32) -> Result<u32, Box<dyn Error>> {
    Ok(n)
}

#[checkpoint]
async fn read(n: u32) -> Result<u32, Box<dyn Error>> {
    Ok(n)
}

#[flow]
async fn reads(n: u32) -> Result<u32, kitaru::Error> {
    read(n).await.map_err(kitaru::Error::msg)
}

#[tokio::main]
async fn main() {
    drop(report(1).await);
    drop(reads(1).await);
}
