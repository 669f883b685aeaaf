//! Times, durations and links, for people.

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

/// How long something took.
pub(super) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        1_000_000..60_000_000 => format!("{:.2} s", us as f64 / 1e6),
        60_000_000..3_600_000_000 => format!("{} min {} s", us / 60_000_000, us / 1_000_000 % 60),
        _ => format!("{} h {} min", us / 3_600_000_000, us / 60_000_000 % 60),
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
