//! A call is a future like any other.

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use kitaru::{checkpoint, flow};

#[checkpoint]
async fn double(n: u32, text: &str) -> u32 {
    n * 2 + text.len() as u32
}

fn is_send<T: Send>(value: T) -> T {
    value
}

fn is_unpin<T: Unpin>(value: T) -> T {
    value
}

fn is_static<T: 'static>(value: T) -> T {
    value
}

/// A caller may pass on a call that borrows the caller's arguments.
fn handed_on<'a>(text: &'a str) -> impl Future<Output = u32> + use<'a> {
    double(1, text).retries(1)
}

#[flow]
async fn everything(n: u32) -> anyhow::Result<u32> {
    let text = String::from("text");
    let calls: Vec<_> = (0..n).map(|n| double(n, &text)).collect();
    let mut sum: u32 = join_all(calls).await.into_iter().sum();

    let mut unordered: FuturesUnordered<_> = (0..n).map(|n| double(n, &text)).collect();
    while let Some(n) = unordered.next().await {
        sum += n;
    }
    let calls: Vec<_> = (0..n).map(|n| double(n, "static")).collect();
    let mut buffered = futures::stream::iter(calls).buffer_unordered(2);
    while let Some(n) = buffered.next().await {
        sum += n;
    }

    let mut one = is_unpin(is_send(double(1, &text)));
    let mut two = is_static(double(2, "static"));
    sum += tokio::select! {
        biased;
        n = &mut one => n,
        n = &mut two => n,
    };
    let (a, b) = tokio::join!(double(3, &text), handed_on(&text));
    Ok(sum + a + b)
}

fn main() {
    let call = is_unpin(is_send(is_static(everything(1))));
    drop(call.id("job-42"));
}
