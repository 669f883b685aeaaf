//! Every kind of argument that an ordinary async function takes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;

use kitaru::{checkpoint, flow};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

/// Goes through serde, but has no `Clone`.
#[derive(Serialize, Deserialize)]
struct Order(u64);

/// Has nothing.
struct Client;

#[checkpoint]
async fn none() -> u32 {
    0
}

#[checkpoint]
async fn borrowed(text: &str, bytes: &[u8], maybe: Option<&str>, list: &[&str], point: &Point) -> usize {
    text.len() + bytes.len() + maybe.map_or(0, str::len) + list.len() + point.x as usize
}

#[checkpoint]
async fn named_lifetimes<'a, 'b: 'a>(one: &'a str, two: &'b str, cow: Cow<'a, str>) -> bool {
    one == two || cow.is_empty()
}

#[checkpoint]
async fn twice_borrowed(text: &&str, nested: &&&Point) -> usize {
    text.len() + nested.y as usize
}

#[checkpoint]
async fn patterns((a, b): (i32, i32), Point { x, .. }: Point, [first, ..]: [u8; 2], Order(n): Order, _: u8) -> i64 {
    i64::from(a + b + x) + i64::from(first) + n as i64
}

#[checkpoint]
async fn mutable(mut count: u32, mut list: Vec<u32>, ref kept: String) -> usize {
    count += 1;
    list.push(count);
    list.len() + kept.len()
}

#[checkpoint]
async fn raw(r#type: u32, r#fn: &str) -> String {
    format!("{type}{fn}")
}

#[checkpoint]
async fn r#match(_ignored: u32, __kitaru_arguments: u32, args: u32) -> u32 {
    __kitaru_arguments + args
}

#[checkpoint]
async fn impl_trait(text: impl AsRef<str> + Serialize, items: impl IntoIterator<Item = u32> + Serialize) -> usize {
    text.as_ref().len() + items.into_iter().count()
}

#[checkpoint]
async fn generic<T: Serialize + Display, const N: usize>(value: T, values: [u8; N]) -> String
where
    T: Send + Sync,
    [u8; N]: Serialize,
{
    format!("{value}{}", values.len())
}

#[checkpoint]
async fn generic_result<T, E>(value: T) -> Result<T, E>
where
    T: Serialize + serde::de::DeserializeOwned,
    E: From<kitaru::Error>,
{
    Ok(value)
}

#[checkpoint]
async fn only_in_the_turbofish<T: Default + Display>() -> String {
    T::default().to_string()
}

#[checkpoint(retries = 2)]
async fn tried_again<T: Clone + Serialize>(cloned: T, order: Order, text: &str, client: &Order) -> Result<u64, String> {
    let _ = (cloned, text);
    Ok(order.0 + client.0)
}

#[checkpoint(skip(client))]
async fn with_a_client(client: &Client, map: HashMap<String, u32>) -> usize {
    let _ = client;
    map.len()
}

#[checkpoint]
#[allow(clippy::too_many_arguments)]
async fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8, n: u8) -> u8 {
    a + b + c + d + e + f + g + h + i + j + k + l + m + n
}

#[flow]
async fn no_input() -> anyhow::Result<()> {
    none().await;
    Ok(())
}

#[flow]
async fn input(mut count: u32, (a, b): (u8, u8), Point { x, .. }: Point, r#type: String, _: ()) -> anyhow::Result<i32> {
    let text = String::from("text");
    let point = Point { x, y: 2 };
    count += u32::from(a + b);
    borrowed(&text, text.as_bytes(), Some(&text), &[&text], &point).await;
    named_lifetimes(&text, &r#type, Cow::Borrowed("cow")).await;
    twice_borrowed(&&*text, &&&point).await;
    patterns((1, 2), point.clone(), [1, 2], Order(1), 0).await;
    mutable(count, vec![], String::new()).await;
    raw(1, "fn").await;
    r#match(1, 2, 3).await;
    impl_trait("text", vec![1, 2]).await;
    generic(1.5, [0; 3]).await;
    generic::<&str, 1>("text", [0]).await;
    generic_result::<_, kitaru::Error>(1).await?;
    only_in_the_turbofish::<u64>().await;
    let _ = tried_again("cloned", Order(1), "text", &Order(2)).await;
    with_a_client(&Client, HashMap::new()).await;
    many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14).await;
    Ok(point.y)
}

#[flow]
#[allow(clippy::too_many_arguments)]
#[rustfmt::skip]
async fn sixteen(
    a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8, n: u8, o: u8, p: u8,
) -> Result<u8, kitaru::Error> {
    Ok(a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p)
}

fn main() {
    drop(no_input());
    drop(input(1, (2, 3), Point { x: 1, y: 2 }, String::new(), ()));
    drop(sixteen(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}
