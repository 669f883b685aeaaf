//! A method with a body in the trait itself.

use kitaru::checkpoint;

trait Store: Sync {
    #[checkpoint]
    async fn load(&self, page: u32) -> u32 {
        page
    }
}

struct Disk;

impl Store for Disk {}

#[kitaru::flow]
async fn loads(page: u32) -> Result<u32, kitaru::Error> {
    Ok(Disk.load(page).retries(1).await)
}

fn main() {
    drop(loads(1));
}
