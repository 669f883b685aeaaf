//! Attributes in places that are not the usual ones.

use kitaru::{checkpoint, flow, tool};

struct Client;

impl Client {
    /// A flow in an impl block is a function of it that contains neither `self` nor `Self`.
    #[flow]
    async fn fetch_all(pages: u32) -> Result<u32, kitaru::Error> {
        Ok(pages)
    }
}

struct Page<T>(T);

impl<T: serde::Serialize + serde::de::DeserializeOwned> Page<T> {
    #[checkpoint]
    async fn blank(page: u32) -> Result<u32, kitaru::Error> {
        Ok(page)
    }

    #[checkpoint]
    async fn turned(value: T) -> Result<T, kitaru::Error>
    where
        Self: Sized,
    {
        Ok(value)
    }

    #[checkpoint]
    async fn sized(&self) -> usize {
        size_of_val(&self.0)
    }
}

/// A function of a trait may call a checkpoint.
trait Store {
    async fn load(&self, page: u32) -> u32;
}

#[checkpoint]
async fn load(page: u32) -> u32 {
    page
}

impl Store for Client {
    async fn load(&self, page: u32) -> u32 {
        load(page).retries(1).await
    }
}

mod deep {
    pub(super) mod deeper {
        #[kitaru::checkpoint]
        pub(in crate::deep) async fn inner(n: u32) -> u32 {
            n
        }

        #[kitaru::flow]
        pub async fn outer(n: u32) -> Result<u32, kitaru::Error> {
            Ok(inner(n).await)
        }
    }
}

const _: () = {
    #[checkpoint]
    async fn in_a_constant(n: u32) -> u32 {
        n
    }

    #[flow]
    async fn flow_in_a_constant(n: u32) -> Result<u32, kitaru::Error> {
        Ok(in_a_constant(n).await)
    }
};

#[flow]
async fn outer(n: u32) -> Result<u32, kitaru::Error> {
    #[checkpoint]
    async fn inner(n: u32) -> u32 {
        n
    }

    /// Adds one.
    #[tool]
    async fn add(n: u32) -> u32 {
        n + 1
    }

    let _ = add();
    let page = Page(1u8);
    Page::<u32>::blank(n).await?;
    Page::turned(n).await?;
    page.sized().await;
    Ok(inner(n).await + Client.load(n).await)
}

fn main() {
    drop((outer(1), Client::fetch_all(1), deep::deeper::outer(1)));
    let block = async {
        #[checkpoint]
        async fn in_a_block(n: u32) -> u32 {
            n
        }
        in_a_block(1).await
    };
    drop(block);
}
