//! The errors of `#[checkpoint]` for functions that cannot be a checkpoint.

use std::pin::Pin;

use kitaru::checkpoint;

#[checkpoint]
fn not_async(a: u32) -> u32 {
    a
}

#[checkpoint(blocking)]
async fn blocking_and_async(a: u32) -> u32 {
    a
}

#[checkpoint]
async fn written_to(list: &mut Vec<u32>) -> usize {
    list.push(1);
    list.len()
}

#[checkpoint]
async fn written_to_inside(list: Option<&mut Vec<u32>>, pinned: Pin<&mut u32>) -> usize {
    let _ = pinned;
    list.map_or(0, |list| list.len())
}

struct Client;

impl Client {
    #[checkpoint]
    async fn written_to(&mut self, a: u32) -> u32 {
        a
    }

    #[checkpoint]
    async fn written_to_typed(self: &mut Self, a: u32) -> u32 {
        a
    }

    #[checkpoint(blocking)]
    fn blocking(&self, a: u32) -> u32 {
        a
    }
}

#[checkpoint(blocking)]
fn blocking_borrowed(text: &str, list: Vec<&'static str>, cow: std::borrow::Cow<'_, str>) -> usize {
    text.len() + list.len() + cow.len()
}

#[checkpoint]
const async fn constant(a: u32) -> u32 {
    a
}

#[checkpoint]
async unsafe fn unsafe_to_call(a: u32) -> u32 {
    a
}

#[checkpoint]
async extern "C" fn with_an_abi(a: u32) -> u32 {
    a
}

#[checkpoint]
async unsafe extern "C" fn variadic(a: u32, _: ...) -> u32 {
    a
}

#[checkpoint]
async fn conditional(a: u32, #[cfg(unix)] b: u32) -> u32 {
    a
}

#[checkpoint]
async fn without_a_name(a: u32) -> impl serde::Serialize {
    a
}

#[checkpoint]
async fn borrowed_outcome(a: &str) -> Option<&str> {
    Some(a)
}

#[checkpoint]
async fn borrowed_in_an_outcome(a: &str) -> Result<std::borrow::Cow<'_, str>, kitaru::Error> {
    Ok(a.into())
}

#[checkpoint]
#[kitaru::flow]
async fn both(a: u32) -> anyhow::Result<u32> {
    Ok(a)
}

#[checkpoint]
async fn a_name_that_is_longer_than_all_the_names_that_anybody_would_ever_give_to_a_function_if_they_were_in_their_right_mind_or_so_i_hope()
 {
}

#[kitaru::flow]
async fn caller() -> anyhow::Result<u32> {
    let mut list = vec![1];
    let _ = written_to(&mut list).retries(2).await + blocking_borrowed("", vec![], "".into()).await;
    Ok(not_async(1).await + blocking_and_async(2).retries(1).await + Client.blocking(2).await)
}

fn main() {}
