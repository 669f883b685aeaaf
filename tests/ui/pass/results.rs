//! Every kind of result that can be recorded, and that a flow can end in.

use std::fmt;

use kitaru::{checkpoint, flow};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Value {
    n: u32,
}

/// Keeps its variants, but cannot hold a `kitaru::Error`.
#[derive(Debug, Serialize, Deserialize)]
enum Refused {
    NotFound,
}

/// Keeps its variants, and can hold one.
#[derive(Debug, Serialize, Deserialize)]
enum Both {
    NotFound,
    Kitaru(kitaru::Error),
}

impl From<kitaru::Error> for Both {
    fn from(error: kitaru::Error) -> Self {
        Both::Kitaru(error)
    }
}

/// Can hold one, and is a `std::error::Error`.
#[derive(Debug)]
struct Standard(kitaru::Error);

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "standard: {}", self.0)
    }
}

impl std::error::Error for Standard {}

impl From<kitaru::Error> for Standard {
    fn from(error: kitaru::Error) -> Self {
        Standard(error)
    }
}

/// Can hold one, and has no text.
struct Silent;

impl From<kitaru::Error> for Silent {
    fn from(_: kitaru::Error) -> Self {
        Silent
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Aliased<T> = std::result::Result<T, Both>;

#[checkpoint]
async fn nothing() {}

#[checkpoint]
async fn plain() -> Value {
    Value { n: 1 }
}

#[checkpoint]
async fn optional(n: u32) -> Option<(u32, String)> {
    (n > 0).then(|| (n, String::new()))
}

#[checkpoint]
async fn refused() -> Result<Value, Refused> {
    Err(Refused::NotFound)
}

#[checkpoint(timeout = "1s")]
async fn both() -> Aliased<u32> {
    Err(Both::NotFound)
}

#[checkpoint(at_most_once)]
async fn standard() -> Result<Value, Standard> {
    Ok(Value { n: 2 })
}

#[checkpoint(timeout = "1s")]
async fn silent() -> Result<(), Silent> {
    Ok(())
}

#[checkpoint]
async fn boxed(text: &str) -> Result<u32, BoxError> {
    Ok(text.parse()?)
}

#[checkpoint]
async fn any(text: &str) -> anyhow::Result<u32> {
    if text.is_empty() {
        return Ok(0);
    }
    Ok(text.parse()?)
}

#[checkpoint]
async fn own() -> Result<u32, kitaru::Error> {
    Ok(1)
}

#[flow]
async fn flow_both() -> Aliased<u32> {
    nothing().await;
    let value: Value = plain().await;
    let _: Option<(u32, String)> = optional(value.n).await;
    let _: Result<Value, Refused> = refused().await;
    both().await
}

#[flow]
async fn flow_standard() -> Result<Value, Standard> {
    standard().await
}

#[flow]
async fn flow_silent() -> Result<(), Silent> {
    silent().await
}

#[flow]
async fn flow_boxed() -> Result<u32, BoxError> {
    boxed("1").await
}

#[flow]
async fn flow_any() -> anyhow::Result<u32> {
    any("1").await
}

#[flow]
async fn flow_own() -> Result<u32, kitaru::Error> {
    own().await
}

fn main() {
    drop((flow_both(), flow_standard(), flow_silent(), flow_boxed(), flow_any(), flow_own()));
}
