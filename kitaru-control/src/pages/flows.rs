//! The flows, in numbers.

use maud::{Markup, html};

use super::layout::{News, Place, page as whole};
use super::text::{badge, link, time};
use crate::api;
use crate::query::encode;
use crate::text::{count, duration};

/// How often the page looks again, in milliseconds.
const AGAIN: u32 = 5_000;
/// The statuses in the order in which they are shown.
const STATUSES: [&str; 9] =
    ["running", "waiting", "queued", "failed", "stuck", "interrupted", "completed", "cancelled", "continued_as_new"];
/// How many flows are shown.
const MOST_FLOWS: usize = 500;

pub(super) fn page(stats: &api::Stats) -> Markup {
    let body = html! {
        h1 { "Flows" }
        @if stats.flows.is_empty() {
            p.empty { "No flows here. They appear when one is called." }
        } @else {
            table {
                thead { tr { th { "Flow" } th { "Executions" } th { "Started" } th { "Ended" } th { "Failed" } th { "Median" } th { "95 %" } th { "Last failure" } } }
                tbody { @for flow in stats.flows.iter().take(MOST_FLOWS) { (row(flow)) } }
            }
            @if stats.flows.len() > MOST_FLOWS { p.faint { "These are the first " (MOST_FLOWS) " of " (count(stats.flows.len() as u64)) " flows." } }
            p.faint {
                "Started, ended and failed in the last hour and day. Median and 95 %: how long those that completed took, with their waits. "
                "These numbers are of the newest " (count(stats.flows.iter().map(|flow| flow.looked_at).sum())) " executions. "
                "Counted " (time(stats.counted_ms)) "."
                @if stats.uncounted > 0 { " " (count(stats.uncounted)) " executions could not be counted." }
            }
        }
    };
    whole("Flows", Place::Flows, None, &News::Every(AGAIN), &body)
}

fn row(flow: &api::FlowStats) -> Markup {
    let took = |ms: Option<u64>| ms.map_or_else(|| "–".to_owned(), |ms| duration(ms * 1_000));
    // What began before the oldest one that was looked at is in no rate.
    let rate = |hour: u64, day: u64| match flow.reaches_ms {
        None => format!("{} / {}", count(hour), count(day)),
        Some(_) => format!("≥ {} / {}", count(hour), count(day)),
    };
    html! {
        tr {
            td { a href={ "/?flow=" (encode(&flow.flow)) } { (flow.flow) } @if !flow.is_known { " " span.faint { "not in this program" } } }
            td.counts {
                @for status in STATUSES {
                    @if let Some(number) = flow.executions.get(status).filter(|number| **number > 0) {
                        a href={ "/?flow=" (encode(&flow.flow)) "&status=" (status) } { (badge(status)) " " (count(*number)) } " "
                    }
                }
            }
            td.number data-name="started" { (rate(flow.started_last_hour, flow.started_last_day)) }
            td.number data-name="ended" { (rate(flow.ended_last_hour, flow.ended_last_day)) }
            td.number data-name="failed" { (rate(flow.failed_last_hour, flow.failed_last_day)) }
            td.number data-name="median" { (took(flow.median_ms)) }
            td.number data-name="95 %" { (took(flow.p95_ms)) }
            td {
                @if let Some(failure) = &flow.last_failure {
                    a href=(link(&flow.flow, &failure.id)) { (failure.id) } " " (time(failure.at_ms))
                    div.faint { (failure.error) }
                }
            }
        }
    }
}
