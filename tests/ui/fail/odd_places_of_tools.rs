//! The error for a tool in an impl block that has no `self` to reveal it.

use kitaru::tool;

struct Disk;

impl Disk {
    /// Finds a page.
    #[tool]
    async fn find(page: u32) -> u32 {
        page
    }
}

fn main() {}
