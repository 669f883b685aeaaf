//! Values, folded.

use maud::{Markup, html};

use crate::api::Shown;

/// How many characters of a value are seen before it is unfolded.
const SEEN: usize = 160;

/// How many characters of a value a page holds.
const HELD: usize = 8_000;

/// A value: whole if it is short, else folded. `id` keeps it unfolded when the page is made again.
pub(super) fn value(shown: &Shown, id: &str) -> Markup {
    match shown {
        Shown::Json { json } => {
            let line = json.to_string();
            if line.chars().count() <= SEEN {
                return html! { code { (line) } };
            }
            let beginning: String = line.chars().take(SEEN).collect();
            let whole = serde_json::to_string_pretty(json).unwrap_or(line);
            let held: String = whole.chars().take(HELD).collect();
            let is_cut = held.len() < whole.len();
            html! {
                details id=(id) {
                    summary { code { (beginning) "…" } }
                    pre { (held) @if is_cut { "…" } }
                    @if is_cut { p.faint { "The page holds the beginning. The API and `kitaru show --values` have the whole value." } }
                }
            }
        }
        Shown::Preview { preview, bytes, reason } => {
            html! { code { (preview) } " " span.faint { "(" (bytes) " bytes; " (reason) ")" } }
        }
        Shown::Sensitive { .. } => html! { span.faint { "sensitive" } },
    }
}
