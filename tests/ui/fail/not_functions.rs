//! The errors of the attributes for items that are not a function.

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
