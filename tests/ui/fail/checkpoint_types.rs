//! The requirements of a checkpoint on its types, each reported once and at the type.

use std::rc::Rc;

use kitaru::checkpoint;
use serde::Serialize;

struct Opaque;

/// Neither goes through serde nor has `From<kitaru::Error>`.
#[derive(Debug)]
struct OpaqueError;

/// Goes through serde one way only.
#[derive(Serialize)]
struct OneWay;

// Arguments.

#[checkpoint]
async fn borrowed_argument(n: u32, client: &Opaque) -> u32 {
    let _ = client;
    n
}

#[checkpoint]
async fn owned_argument(client: Vec<Opaque>) -> u32 {
    client.len() as u32
}

#[checkpoint]
async fn generic_argument<T: Clone>(value: T) -> u32 {
    drop(value);
    1
}

#[checkpoint]
async fn impl_argument(value: impl Fn() -> u32) -> u32 {
    value()
}

impl Opaque {
    #[checkpoint(key(self))]
    async fn method(&self, n: u32) -> u32 {
        n
    }
}

// Outcomes.

#[checkpoint]
async fn value() -> Opaque {
    Opaque
}

#[checkpoint]
async fn nested_value() -> Option<Vec<Opaque>> {
    None
}

#[checkpoint]
async fn borrowed_value() -> &'static str {
    ""
}

#[checkpoint]
async fn value_in_result() -> anyhow::Result<OneWay> {
    Ok(OneWay)
}

#[checkpoint]
async fn error_in_result() -> Result<u32, OpaqueError> {
    Err(OpaqueError)
}

#[checkpoint]
async fn generic_value<T: Default>() -> T {
    T::default()
}

// Options with further requirements.

#[checkpoint(retries = 2, skip(order))]
async fn retried(text: String, order: Opaque) -> anyhow::Result<u32> {
    drop((text, order));
    Ok(1)
}

#[checkpoint(timeout = "30s")]
async fn timed() -> u32 {
    1
}

#[checkpoint(at_most_once)]
async fn once() -> Result<u32, String> {
    Ok(1)
}

#[checkpoint(at_most_once)]
async fn once_opaque() -> Result<u32, OpaqueError> {
    Ok(1)
}

// `blocking`.

#[checkpoint(blocking, skip(shared))]
fn on_the_pool(n: u32, shared: Rc<u32>) -> u32 {
    n + *shared
}

#[checkpoint(blocking)]
fn from_the_pool() -> Rc<u32> {
    Rc::new(1)
}

fn main() {}
