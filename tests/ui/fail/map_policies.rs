//! A map whose policy does not accept its outcomes reports which outcomes the policy accepts.

use kitaru::{checkpoint, flow};

#[checkpoint]
async fn double(n: u32) -> u32 {
    n * 2
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Unnamed;

#[checkpoint]
async fn halve(n: u32) -> Result<u32, Unnamed> {
    if n % 2 == 0 { Ok(n / 2) } else { Err(Unnamed) }
}

#[flow]
async fn doubles() -> Result<Vec<u32>, kitaru::Error> {
    kitaru::map(0..9).limit(3).run(double).await
}

#[flow]
async fn halves() -> Result<usize, kitaru::Error> {
    let halves = kitaru::map(0..9).at_least(4).run(halve).await?;
    Ok(halves.len())
}

#[flow]
async fn both() -> Result<usize, kitaru::Error> {
    let doubled = kitaru::map(0..9).all().run(double).await;
    let halved = kitaru::map(doubled).all().run(halve).await;
    Ok(halved.len())
}

fn main() {}
