//! The errors of `#[checkpoint]` for options that exclude each other, or name arguments that do not exist.

use kitaru::checkpoint;

struct Client;

#[checkpoint(at_most_once, retries = 3)]
async fn once_and_again() -> anyhow::Result<u32> {
    Ok(1)
}

#[checkpoint(memo, at_most_once)]
async fn pure_and_an_effect() -> anyhow::Result<u32> {
    Ok(1)
}

#[checkpoint(on_interrupt = "error")]
async fn interrupt_without_once() -> anyhow::Result<u32> {
    Ok(1)
}

#[checkpoint(key(a), skip(b))]
async fn key_and_skip(a: u32, b: u32) -> u32 {
    a + b
}

#[checkpoint(key(topics))]
async fn key_misspelt(topic: &str) -> usize {
    topic.len()
}

#[checkpoint(skip(client))]
async fn skip_of_no_argument(a: u32, b: u32) -> u32 {
    a + b
}

#[checkpoint(skip(client))]
async fn skip_without_arguments() -> u32 {
    1
}

#[checkpoint(key(a, a))]
async fn key_twice(a: u32) -> u32 {
    a
}

#[checkpoint(key(a))]
async fn key_of_a_pattern((a, b): (u32, u32)) -> u32 {
    a + b
}

impl Client {
    #[checkpoint(skip(self))]
    async fn skip_self(&self, a: u32) -> u32 {
        a
    }

    #[checkpoint(key(self, b))]
    async fn key_self(&self, a: u32) -> u32 {
        a
    }
}

fn main() {
    drop(Client.skip_self(1).retries(2));
}
