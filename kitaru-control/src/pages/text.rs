//! Times and links, for people.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::query::encode;

/// A time in UTC; the script shows it in the zone of the reader.
pub(super) fn time(ms: u64) -> Markup {
    let exact = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    match exact {
        Some(exact) => html! { time datetime=(exact) { (exact.strftime("%Y-%m-%d %H:%M:%S UTC")) } },
        None => html! { (ms) " ms" },
    }
}

/// Where something stands.
pub(super) fn badge(status: &str) -> Markup {
    html! { span class={ "badge " (status) } { (status.replace('_', " ")) } }
}

/// Where the page of an execution is.
pub(in crate::pages) fn link(flow: &str, id: &str) -> String {
    format!("/e/{}/{}", encode(flow), encode(id))
}
