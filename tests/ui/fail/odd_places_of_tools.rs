//! What is said of a tool in an impl block that does not give itself away by a `self`.

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
