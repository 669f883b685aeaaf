//! The requirements of a flow on its types, each reported once and at the type.

use std::rc::Rc;

use kitaru::flow;
use serde::Serialize;

struct Opaque;

#[derive(Serialize)]
struct OneWay;

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct NoFrom;

#[flow]
async fn argument(n: u32, client: Opaque) -> anyhow::Result<()> {
    drop((n, client));
    Ok(())
}

#[flow]
async fn two_arguments(one: OneWay, _: u32, two: Option<Opaque>) -> anyhow::Result<()> {
    drop((one, two));
    Ok(())
}

#[flow]
async fn no_result() -> String {
    String::new()
}

#[flow]
async fn no_result_nor_serde() -> Opaque {
    Opaque
}

#[flow]
async fn value() -> anyhow::Result<Opaque> {
    Ok(Opaque)
}

#[flow]
async fn error() -> Result<u32, String> {
    Ok(1)
}

#[flow]
async fn error_of_an_alias() -> std::result::Result<u32, NoFrom> {
    Ok(1)
}

#[flow]
async fn opaque_error(n: u32) -> Result<u32, Opaque> {
    Ok(n)
}

#[flow]
async fn not_send(n: u32) -> anyhow::Result<u32> {
    let shared = Rc::new(n);
    std::future::ready(()).await;
    Ok(*shared)
}

fn main() {}
