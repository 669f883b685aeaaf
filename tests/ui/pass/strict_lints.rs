//! A crate that denies all lints accepts the expansion.

#![deny(warnings, missing_docs, unused, unused_qualifications, unreachable_pub, single_use_lifetimes)]
#![deny(elided_lifetimes_in_paths, explicit_outlives_requirements, non_ascii_idents, unused_lifetimes)]
#![deny(let_underscore_drop, missing_debug_implementations, redundant_lifetimes, trivial_casts, unit_bindings)]
#![deny(rust_2018_idioms, rust_2021_compatibility, keyword_idents, meta_variable_misuse, variant_size_differences)]
#![forbid(unsafe_code)]

use kitaru::{checkpoint, flow};

/// Documented.
#[checkpoint(retries = 1)]
pub async fn borrowed(text: &str, _ignored: u32, __unused: Option<&str>) -> anyhow::Result<String> {
    Ok(text.to_owned())
}

#[checkpoint(blocking)]
fn on_the_pool(mut list: Vec<u32>, (a, b): (u32, u32)) -> Vec<u32> {
    list.extend([a, b]);
    list
}

#[checkpoint(at_most_once)]
async fn no_arguments() -> Result<(), kitaru::Error> {
    Ok(())
}

/// Documented.
#[derive(Debug)]
pub struct Client<'a>(&'a str);

impl Client<'_> {
    /// Documented.
    #[checkpoint]
    pub async fn fetch(&self, n: usize, _more: &str) -> usize {
        self.0.len() + n
    }

    #[checkpoint]
    async fn made(n: usize) -> usize {
        Self("made").0.len() + n
    }
}

/// Documented.
#[flow]
pub async fn everything(mut n: u32, _: String) -> anyhow::Result<Vec<u32>> {
    n += 1;
    borrowed("text", n, None).await?;
    no_arguments().await?;
    Client("url").fetch(1, "more").await;
    Client::made(1).await;
    Ok(on_the_pool(vec![n], (1, 2)).await)
}

fn main() {
    drop(everything(1, String::new()));
}
