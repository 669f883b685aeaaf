//! How the store and its process are doing.

use maud::{Markup, html};

use super::layout::{News, Place, page as whole};
use super::text::{badge, link, time};
use crate::api;
use crate::text::{bytes, count, duration};

/// How often the page looks again, in milliseconds.
const AGAIN: u32 = 5_000;

/// What is shown.
pub(super) struct Health {
    pub(super) status: api::Status,
    pub(super) stats: api::Stats,
    /// Some executions that are stuck or interrupted, the newest first.
    pub(super) troubled: api::Page,
}

pub(super) fn page(health: &Health) -> Markup {
    let Health { status, stats, troubled } = health;
    let commits = &stats.commits;
    let stands = |status: &str| stats.executions.get(status).copied().unwrap_or_default();
    let mean = commits.took_us.checked_div(commits.count);
    let body = html! {
        h1 { "Health" }
        section.card {
            h2 { "Store" }
            dl {
                dt { "Folder" } dd { @if let Some(folder) = &stats.folder { code { (folder) } } @else { "in memory" } }
                @if let Some(format) = stats.format { dt { "Format" } dd { (format) } }
                @if stats.folder.is_some() { dt { "Size" } dd { (bytes(stats.bytes)) } }
                dt { "Executions" } dd { (count(stats.executions.values().sum::<u64>() + stats.uncounted)) @if stats.uncounted > 0 { ", of which " (count(stats.uncounted)) " could not be counted" } }
            }
        }
        section.card {
            h2 { "Process" }
            dl {
                dt { "Holder" } dd { "process " (status.pid) ", kitaru " (status.version) ", since " (time(stats.opened_ms)) }
                dt { "Actions" } dd { @if status.actions { "accepted" } @else { "refused: this server is read-only" } }
                dt { "Running" } dd { (count(stands("running"))) ", " (count(stands("queued"))) " queued, " (count(stats.due)) " due" }
                dt { "Checkpoints" } dd { (count(stats.checkpoints_run)) " run, " (count(stats.checkpoints_replayed)) " replayed, " (count(stats.retries)) " tries repeated" }
                dt { "Commits" } dd {
                    (count(commits.count))
                    @if let Some(mean) = mean { ", " (duration(mean)) " on average" @if let Some(bound) = quantile(commits, 99) { ", 99 % within " (bound) } }
                    @if commits.failed > 0 { ", " span.bad { (count(commits.failed)) " failed" } }
                }
                dt { "Queue" } dd { (count(stats.queued_writes)) " writes, " (bytes(stats.queued_bytes)) }
            }
        }
        section.card {
            h2 { "People" }
            dl {
                dt { "Waiting" } dd { (count(stands("waiting"))) " executions" }
                dt { "Oldest question" } dd {
                    @if let Some(oldest) = &stats.oldest_wait { a href=(link(&oldest.flow, &oldest.id)) { (oldest.flow) "/" (oldest.id) } ", since " (time(oldest.since_ms)) }
                    @else { "none is open" }
                }
            }
        }
        h2 { "Stuck and interrupted" }
        @if troubled.executions.is_empty() { p.faint { "None." } } @else {
            table {
                thead { tr { th { "Status" } th { "Execution" } th { "Updated" } th { "Error" } } }
                tbody {
                    @for summary in &troubled.executions {
                        tr {
                            td { (badge(&summary.status)) }
                            td { a href=(link(&summary.flow, &summary.id)) { (summary.flow) "/" (summary.id) } }
                            td.number data-name="updated" { (time(summary.updated_ms)) }
                            td { (summary.error.as_deref().unwrap_or("")) }
                        }
                    }
                }
            }
            @if troubled.next_cursor.is_some() {
                p { "There are more: " a href="/?status=stuck" { "all that are stuck" } ", " a href="/?status=interrupted" { "all that are interrupted" } }
            }
        }
    };
    whole("Health", Place::Health, None, &News::Every(AGAIN), &body)
}

/// The time within which so many percent of the commits were made, as far as the classes say.
fn quantile(commits: &api::CommitStats, percent: u64) -> Option<String> {
    let wanted = commits.count.saturating_mul(percent).div_ceil(100);
    commits.within.iter().find(|class| class.commits >= wanted).map(|class| duration(class.us))
}
