//! The list of executions.

use maud::{Markup, html};

use super::layout::{News, Place, page as whole};
use super::text::{badge, link, time};
use crate::api;
use crate::query::encode;
use crate::text::count;

const STATUSES: [&str; 8] =
    ["running", "waiting", "failed", "stuck", "interrupted", "queued", "completed", "cancelled"];
/// How often the page looks again, in milliseconds.
const AGAIN: u32 = 3_000;

pub(super) fn page(page: &api::Page, narrowed: &api::ListQuery) -> Markup {
    let (word, flow, status) = (narrowed.search.as_deref(), narrowed.flow.as_deref(), narrowed.status.first());
    let address = |flow: Option<&str>, status: Option<&str>| {
        let fields = [("q", word), ("flow", flow), ("status", status)];
        let query = fields.iter().filter_map(|(name, value)| Some(format!("{name}={}", encode((*value)?))));
        format!("/?{}", query.collect::<Vec<_>>().join("&"))
    };
    let narrowed = |status: Option<&str>| address(flow, status);
    let status = status.map(String::as_str);
    let current = |this: Option<&str>| (this == status).then_some("true");
    let body = html! {
        h1 { "Executions" @if let Some(flow) = flow { " of " (flow) } @if let Some(word) = word { " with “" (word) "”" } }
        ul.filters aria-label="Filters" {
            @if flow.is_some() { li { a href=(address(None, status)) { "of all flows" } } }
            li { a href=(narrowed(None)) aria-current=[current(None)] { "all" } }
            @for known in STATUSES {
                li { a href=(narrowed(Some(known))) aria-current=[current(Some(known))] { (known) } }
            }
        }
        @for unreadable in &page.unreadable {
            p.error { "cannot read " (unreadable.flow.as_deref().unwrap_or("an execution")) " " (unreadable.id.as_deref().unwrap_or("")) ": " (unreadable.error) }
        }
        @if page.executions.is_empty() {
            p.empty { @if page.next_cursor.is_some() { "No executions among those that were looked at." } @else { "No executions here. Those of the store appear when a flow is called." } }
        } @else {
            table {
                thead { tr { th { "Status" } th { "Execution" } th { "Input" } th { "Tags" } th { "Attempts" } th { "Created" } th { "Updated" } } }
                tbody {
                    @for summary in &page.executions {
                        tr {
                            td { (badge(&summary.status)) @if let Some(error) = &summary.error { div.why { (error) } } }
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
            p {
                @if page.looked_at > (page.executions.len() + page.unreadable.len()) as u64 { span.faint { "Looked at " (count(page.looked_at)) " executions. " } }
                a href={ (narrowed(status)) "&cursor=" (encode(cursor)) } rel="next" { "Older executions" }
            }
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
