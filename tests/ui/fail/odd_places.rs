//! The errors of the attributes in places where such a function is not possible.

use async_trait::async_trait;
use kitaru::{checkpoint, flow, tool};

struct Disk;

trait Store {
    async fn load(&self, page: u32) -> u32;
    async fn made(page: u32) -> Result<Self, kitaru::Error>
    where
        Self: Sized;
}

impl Store for Disk {
    #[checkpoint]
    async fn load(&self, page: u32) -> u32 {
        page
    }

    #[flow]
    async fn made(page: u32) -> Result<Self, kitaru::Error> {
        drop(page);
        Ok(Self)
    }
}

#[async_trait]
trait Boxed {
    async fn load(&self, page: u32) -> u32;
    async fn read(&self, page: u32) -> Result<u32, kitaru::Error>;
    async fn find(&self, page: u32) -> u32;
}

#[async_trait]
impl Boxed for Disk {
    #[checkpoint]
    async fn load(&self, page: u32) -> u32 {
        page
    }

    #[flow]
    async fn read(&self, page: u32) -> Result<u32, kitaru::Error> {
        Ok(page)
    }

    /// Finds a page.
    #[tool]
    async fn find(&self, page: u32) -> u32 {
        page
    }
}

impl Disk {
    /// Finds a page, with its disk.
    #[tool]
    async fn with_self(&self, page: u32) -> u32 {
        page
    }
}

unsafe extern "C" {
    #[checkpoint]
    fn outside(page: u32) -> u32;
}

fn main() {}
