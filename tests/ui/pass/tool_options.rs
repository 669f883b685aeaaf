//! Every option of `#[tool]`.

use std::time::Duration;

use kitaru::agent::{Tool, ToolOptions};
use kitaru::tool;

/// Looks.
#[tool(name = "look-up", read_only, retries = 2, timeout = "10s")]
async fn look() {}

/// Sets.
#[tool(idempotent, requires_approval, crate = kitaru)]
async fn set() {}

/// Pays.
#[tool(once)]
async fn pay() {}

/// Tells what is known.
#[tool(read_only, not_durable)]
async fn known() {}

/// Says nothing of itself.
#[tool]
async fn plain() {}

fn options(tool: impl Tool) -> ToolOptions {
    tool.definition().options
}

fn main() {
    let none = ToolOptions::default();
    assert_eq!(options(look()), none.read_only().retries(2).timeout(Duration::from_secs(10)));
    assert_eq!(options(set()), none.idempotent().requires_approval());
    assert_eq!(options(pay()), none.once());
    assert_eq!(options(known()), none.read_only().not_durable());
    assert_eq!(options(plain()), none);
}
