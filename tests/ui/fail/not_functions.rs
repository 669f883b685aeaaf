//! What the attributes say of what is no function.

use kitaru::{checkpoint, flow};

#[checkpoint]
struct Struct {
    n: u32,
}

#[flow]
mod module {}

#[checkpoint]
const CONSTANT: u32 = 1;

#[flow]
unsafe impl Send for Struct {}

trait Trait {
    #[checkpoint]
    async fn method(&self) -> u32;
}

fn main() {
    let _ = Struct { n: CONSTANT }.n;
}
