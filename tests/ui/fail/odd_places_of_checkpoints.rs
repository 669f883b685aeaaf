//! The errors for a checkpoint in a trait's impl, and for one that uses its impl block's types without a `Self`.

use kitaru::checkpoint;

struct Disk;

trait Store {
    async fn load(&self, page: u32) -> u32;
    async fn save(&self, page: u32) -> u32;
}

impl Store for Disk {
    #[checkpoint]
    async fn load(&self, page: u32) -> u32 {
        page
    }

    #[checkpoint(retries = 2)]
    async fn save(&self, page: u32) -> u32 {
        page
    }
}

struct Page<T>(T);

impl<T: serde::Serialize + serde::de::DeserializeOwned> Page<T> {
    #[checkpoint]
    async fn turned(value: T) -> Result<T, kitaru::Error> {
        Ok(value)
    }
}

fn main() {
    let _ = Page(1).0;
}
