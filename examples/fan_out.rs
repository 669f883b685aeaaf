//! A flow that does the same with many things, four concurrently, and returns the results in their order.
//!
//! Ended in the middle, it continues with the missing pages; recorded pages are not fetched again:
//!
//! ```text
//! $ CRASH_AT=7 cargo run --example fan_out
//! fetched page 3
//! fetched page 1
//! fetched page 5
//! fetched page 4
//! fetched page 2
//! Aborted
//! $ cargo run --example fan_out
//! fetched page 9
//! fetched page 7
//! fetched page 8
//! fetched page 6
//! fetched page 10
//! 10 pages, from page 1 to page 10; 3 of 3 mirrors have them
//! ```
//!
//! `MIRROR_DOWN=b` makes one mirror fail, which is accepted; `MIRROR_DOWN=abc` is too much. Records are kept in `.kitaru/`, or
//! in `KITARU_DIR`.

use std::time::Duration;

use kitaru::{Kitaru, checkpoint, flow};

/// Takes from 40 to 440 milliseconds, in no order.
#[checkpoint]
async fn fetch(page: u32) -> anyhow::Result<String> {
    tokio::time::sleep(Duration::from_millis(u64::from(40 * (1 + page * 5 % 11) + page))).await;
    if std::env::var("CRASH_AT").is_ok_and(|at| at == page.to_string()) {
        std::process::abort();
    }
    println!("fetched page {page}");
    Ok(format!("page {page}"))
}

#[checkpoint]
async fn upload(mirror: char, pages: &[String]) -> anyhow::Result<usize> {
    let down = std::env::var("MIRROR_DOWN").unwrap_or_default();
    anyhow::ensure!(!down.contains(mirror), "mirror {mirror} is down");
    Ok(pages.len())
}

#[flow]
async fn mirror_book(pages: u32) -> anyhow::Result<String> {
    // The first page that cannot be fetched ends it.
    let book = kitaru::map(1..=pages).limit(4).run(fetch).await?;
    // Two mirrors are enough.
    let mirrors = kitaru::map(['a', 'b', 'c']).at_least(2).run(|mirror| upload(mirror, &book)).await?;
    let up = mirrors.iter().filter(|mirror| mirror.is_ok()).count();
    let (first, last) = (&book[0], &book[book.len() - 1]);
    Ok(format!("{} pages, from {first} to {last}; {up} of {} mirrors have them", book.len(), mirrors.len()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("kitaru=warn").with_writer(std::io::stderr).init();
    let dir = std::env::var_os("KITARU_DIR").unwrap_or_else(|| ".kitaru".into());
    let kitaru = Kitaru::builder().dir(&dir).open().await?;
    println!("{}", mirror_book(10).on(&kitaru).await?);
    kitaru.close().await?;
    Ok(())
}
