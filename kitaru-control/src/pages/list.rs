//! The list of executions.

use maud::{Markup, html};

use super::layout::{News, Place, page as whole};
use super::text::{badge, link, time};
use crate::api;
use crate::query::encode;

const STATUSES: [&str; 8] =
    ["running", "waiting", "failed", "stuck", "interrupted", "queued", "completed", "cancelled"];
/// How often the page looks again, in milliseconds.
const AGAIN: u32 = 3_000;

pub(super) fn page(page: &api::Page, word: Option<&str>, status: Option<&str>) -> Markup {
    let narrowed = |status: Option<&str>| {
        let word = word.map(|word| format!("q={}", encode(word)));
        let status = status.map(|status| format!("status={}", encode(status)));
        let query: Vec<_> = word.into_iter().chain(status).collect();
        format!("/?{}", query.join("&"))
    };
    let current = |this: Option<&str>| (this == status).then_some("true");
    let body = html! {
        h1 { "Executions" @if let Some(word) = word { " of “" (word) "”" } }
        ul.filters aria-label="Status" {
            li { a href=(narrowed(None)) aria-current=[current(None)] { "all" } }
            @for known in STATUSES {
                li { a href=(narrowed(Some(known))) aria-current=[current(Some(known))] { (known) } }
            }
        }
        @for unreadable in &page.unreadable {
            p.error { "cannot read " (unreadable.flow.as_deref().unwrap_or("an execution")) " " (unreadable.id.as_deref().unwrap_or("")) ": " (unreadable.error) }
        }
        @if page.executions.is_empty() {
            p.empty { "No executions here. Those of the store appear when a flow is called." }
        } @else {
            table {
                thead { tr { th { "Status" } th { "Execution" } th { "Input" } th { "Tags" } th { "Attempts" } th { "Created" } th { "Updated" } } }
                tbody {
                    @for summary in &page.executions {
                        tr {
                            td { (badge(&summary.status)) }
                            td { a href=(link(&summary.flow, &summary.id)) { (summary.flow) "/" (summary.id) } @if summary.generation > 1 { " " span.faint { "generation " (summary.generation) } } }
                            td { code { (short(&summary.input)) } }
                            td { @for tag in &summary.tags { span.tag { (tag) } } }
                            td.number data-name="attempts" { (summary.attempts) }
                            td.number data-name="created" { (time(summary.created_ms)) }
                            td.number data-name="updated" { (time(summary.updated_ms)) }
                        }
                    }
                }
            }
        }
        @if let Some(cursor) = &page.next_cursor {
            p { a href={ (narrowed(status)) "&cursor=" (encode(cursor)) } rel="next" { "Older executions" } }
        }
    };
    whole("Executions", Place::Executions, word, &News::Every(AGAIN), &body)
}

fn short(input: &str) -> String {
    let mut short: String = input.chars().take(80).collect();
    if short.len() < input.len() {
        short.push('…');
    }
    short
}
