//! The errors of `#[flow]` for functions that cannot be a flow.

use kitaru::flow;

#[flow]
fn not_async(a: u32) -> anyhow::Result<u32> {
    Ok(a)
}

#[flow]
async fn generic<T: serde::Serialize>(value: T) -> anyhow::Result<()> {
    drop(value);
    Ok(())
}

#[flow]
async fn generic_constant<const N: usize>(value: [u8; N]) -> anyhow::Result<usize> {
    Ok(value.len())
}

#[flow]
async fn generic_argument(value: Option<impl serde::Serialize>) -> anyhow::Result<()> {
    drop(value);
    Ok(())
}

#[flow]
async fn borrowed(text: &str, list: Vec<&'static str>, a: u32) -> anyhow::Result<usize> {
    Ok(text.len() + list.len() + a as usize)
}

#[flow]
async fn borrowed_for_a_lifetime<'a>(text: &'a str) -> anyhow::Result<usize> {
    Ok(text.len())
}

#[flow]
async fn borrowed_inside(text: std::borrow::Cow<'_, str>) -> anyhow::Result<usize> {
    Ok(text.len())
}

#[flow]
async fn written_to(list: &mut Vec<u32>) -> anyhow::Result<usize> {
    Ok(list.len())
}

struct Client;

impl Client {
    #[flow]
    async fn method(&self, a: u32) -> anyhow::Result<u32> {
        Ok(a)
    }

    #[flow]
    async fn no_method(a: u32) -> anyhow::Result<u32> {
        Ok(Self::N + a)
    }

    const N: u32 = 1;
}

#[flow]
async fn no_result(a: u32) {
    drop(a);
}

#[flow]
async fn without_a_name() -> impl serde::Serialize {
    1
}

#[flow]
const async fn constant(a: u32) -> anyhow::Result<u32> {
    Ok(a)
}

#[flow]
async unsafe fn unsafe_to_call(a: u32) -> anyhow::Result<u32> {
    Ok(a)
}

#[flow]
async extern "C" fn with_an_abi(a: u32) -> anyhow::Result<u32> {
    Ok(a)
}

#[flow]
#[allow(clippy::too_many_arguments)]
#[rustfmt::skip]
async fn seventeen(
    a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8, n: u8, o: u8, p: u8,
    q: u8,
) -> anyhow::Result<u8> {
    Ok(a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q)
}

#[flow]
#[kitaru::checkpoint]
async fn both(a: u32) -> anyhow::Result<u32> {
    Ok(a)
}

/// All errors of a flow are reported together.
#[flow(name = "")]
fn several<T>(text: &str, value: T) {
    drop((text, value));
}

#[flow]
async fn caller() -> anyhow::Result<u32> {
    let text = String::from("text");
    borrowed(&text, vec!["a"], 1).id("job").await?;
    generic(vec![1]).await?;
    no_result(1).await;
    Ok(not_async(1).await? + Client.method(2).id("a").await?)
}

fn main() {}
