//! Methods and functions of an impl block, with its generics and lifetimes.

use std::marker::PhantomData;
use std::sync::Arc;

use kitaru::{checkpoint, flow};
use serde::Serialize;
use serde::de::DeserializeOwned;

struct Client {
    url: String,
}

impl Client {
    #[checkpoint]
    async fn fetch(&self, id: u32, (a, _): (u8, u8)) -> anyhow::Result<String> {
        if id == 0 {
            return Ok(String::new());
        }
        let n: u32 = "7".parse()?;
        Ok(format!("{}/{id}/{n}/{a}", self.url))
    }

    #[checkpoint(name = "fetch from anywhere", retries = 1)]
    pub(crate) async fn fetch_all<T: Serialize + Clone>(&self, ids: &[T], r#type: impl Serialize + Clone) -> usize {
        let _ = r#type;
        self.url.len() + ids.len()
    }

    #[checkpoint]
    async fn shared(self: &Arc<Self>, n: u32) -> u32 {
        n + self.url.len() as u32
    }

    #[checkpoint]
    async fn owned(self: Arc<Self>) -> usize {
        self.url.len()
    }

    #[checkpoint]
    async fn consume(mut self, text: &str) -> String {
        self.url.push_str(text);
        self.url
    }

    #[checkpoint(blocking)]
    fn on_the_pool(self: Arc<Self>, n: usize) -> usize {
        self.url.len() + n
    }
}

#[derive(Serialize, serde::Deserialize)]
struct Page<T>(T);

impl<T: Serialize + DeserializeOwned> Page<T> {
    #[checkpoint]
    async fn made(value: T) -> Result<Self, kitaru::Error> {
        Ok(Self(value))
    }

    #[checkpoint(key(self, more))]
    async fn with<U: Serialize>(&self, more: U, skipped: &Client) -> usize
    where
        T: Clone,
    {
        let _ = (self.0.clone(), more, skipped);
        1
    }
}

struct View<'a, T: ?Sized, const N: usize> {
    text: &'a str,
    kind: PhantomData<fn(&T)>,
}

impl<'a, T: ?Sized, const N: usize> View<'a, T, N> {
    #[checkpoint]
    async fn len(&self, other: &str) -> usize {
        let tail: &'a str = self.text;
        tail.len() + other.len() + N
    }
}

#[flow]
async fn all() -> anyhow::Result<()> {
    let client = Arc::new(Client { url: "u".to_owned() });
    client.fetch(1, (2, 3)).retries(2).await?;
    client.fetch_all(&[1, 2], "type").await;
    client.shared(1).await;
    Arc::clone(&client).owned().await;
    Arc::clone(&client).on_the_pool(1).await;
    Client { url: String::new() }.consume("text").await;
    let page = Page::made(1).await?;
    page.with("more", &client).await;
    let text = String::from("text");
    let view = View::<'_, str, 3> { text: &text, kind: PhantomData };
    view.len(&text).await;
    Ok(())
}

fn main() {
    drop(all());
}
