//! Attributes, visibility and conditions of the function stay what they were.

#![deny(warnings, missing_docs)]

use kitaru::{checkpoint, flow};

mod inner {
    use kitaru::{checkpoint, flow};

    /// Seen in the crate.
    #[checkpoint]
    pub(crate) async fn visible(n: u32) -> u32 {
        n
    }

    #[flow]
    pub(super) async fn outside() -> anyhow::Result<u32> {
        Ok(visible(1).await)
    }
}

#[checkpoint]
#[cfg(any())]
async fn absent(n: NoSuchType) -> u32 {
    n
}

#[cfg(any())]
#[flow]
async fn absent_too(n: NoSuchType) -> u32 {
    n
}

#[checkpoint]
#[cfg(not(miri))]
#[allow(unused_variables)]
#[expect(unreachable_code)]
#[inline]
#[cfg_attr(all(), doc = "Conditional docs.", cold)]
async fn allowed(unused: u32, #[allow(unused_mut)] mut n: u32) -> u32 {
    return n;
    n + 1
}

#[deprecated]
#[checkpoint]
async fn old() -> u32 {
    1
}

struct Client;

impl Client {
    #[checkpoint]
    #[cfg(any())]
    async fn absent(&self, n: NoSuchType) -> u32 {
        n
    }

    #[allow(unused_variables)]
    #[checkpoint]
    #[cfg(not(miri))]
    #[expect(unreachable_code)]
    #[must_use]
    async fn allowed(&self, unused: u32) -> u32 {
        return 1;
        2
    }
}

#[flow]
#[allow(unused_variables)]
async fn everything(unused: u32) -> anyhow::Result<u32> {
    #![allow(unused_mut)]
    let mut n = allowed(1, 2).await + Client.allowed(1).await;
    #[allow(deprecated)]
    let old = old().await;
    Ok(n + old)
}

fn main() {
    drop((everything(1), inner::outside(), inner::visible(1)));
}
