//! `kitaru stats`.

use std::fmt::Write as _;

use kitaru_control::api;
use kitaru_control::text::{bytes, count, duration};

use crate::failure::Failure;
use crate::output::{now_ms, print, print_json};
use crate::target::Store;
use crate::text::{self, Cell};

/// The statuses in the order in which they are printed.
const STATUSES: [&str; 9] =
    ["running", "waiting", "queued", "failed", "stuck", "interrupted", "completed", "cancelled", "continued_as_new"];

pub(super) async fn run(store: &Store, json: bool) -> Result<(), Failure> {
    let stats = store.client.stats().await?;
    match json {
        true => print_json(&stats),
        false => print(&written(&stats, store.is_free, now_ms())),
    }
}

fn written(stats: &api::Stats, is_free: bool, now: u64) -> String {
    if stats.flows.is_empty() {
        return "no executions\n".to_owned();
    }
    let took = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), |ms| duration(ms * 1_000));
    let rows = stats.flows.iter().map(|flow| {
        // What began before the oldest one that was looked at is in no rate.
        let least = if flow.reaches_ms.is_some() { ">= " } else { "" };
        let rate = |hour, day| format!("{least}{}/{}", count(hour), count(day));
        vec![
            Cell(text::plain(&flow.flow), text::STRONG),
            Cell::new(rate(flow.started_last_hour, flow.started_last_day)),
            Cell::new(rate(flow.ended_last_hour, flow.ended_last_day)),
            Cell::new(rate(flow.failed_last_hour, flow.failed_last_day)),
            Cell::new(took(flow.median_ms)),
            Cell::new(took(flow.p95_ms)),
            Cell::new(by_status(&flow.executions)),
        ]
    });
    let head = ["FLOW", "STARTED H/DAY", "ENDED", "FAILED", "MEDIAN", "95 %", "EXECUTIONS"];
    let mut written = text::table(&head, rows.collect());
    let looked_at: u64 = stats.flows.iter().map(|flow| flow.looked_at).sum();
    let mut facts = vec![
        ("all", by_status(&stats.executions)),
        ("looked at", format!("the newest {} for rates and durations", count(looked_at))),
        ("counted", text::when(stats.counted_ms, now)),
    ];
    if stats.uncounted > 0 {
        facts.push(("uncounted", count(stats.uncounted)));
    }
    if let Some(oldest) = &stats.oldest_wait {
        let name = text::name(&oldest.flow, &oldest.id);
        facts.push(("oldest wait", format!("{name}, {}", text::when(oldest.since_ms, now))));
    }
    if let (Some(folder), Some(format)) = (&stats.folder, stats.format) {
        facts.push(("store", format!("{}, format {format}, {}", text::plain(folder), bytes(stats.bytes))));
    }
    if !is_free {
        let commits = &stats.commits;
        let mean = commits.took_us.checked_div(commits.count).map(|mean| format!(", {} on average", duration(mean)));
        let failed = if commits.failed > 0 { format!(", {} failed", count(commits.failed)) } else { String::new() };
        facts.push(("opened", text::when(stats.opened_ms, now)));
        facts.push(("due", count(stats.due)));
        facts.push((
            "checkpoints",
            format!("{} run, {} replayed", count(stats.checkpoints_run), count(stats.checkpoints_replayed)),
        ));
        facts.push(("retries", count(stats.retries)));
        facts.push(("commits", format!("{}{}{failed}", count(commits.count), mean.unwrap_or_default())));
        facts.push(("queue", format!("{} writes, {}", count(stats.queued_writes), bytes(stats.queued_bytes))));
    }
    for (fact, is) in facts {
        let _ = writeln!(written, "  {}{is}", text::styled(text::FAINT, &format!("{fact:<12}")));
    }
    written
}

/// The counts that are not zero.
fn by_status(executions: &std::collections::BTreeMap<String, u64>) -> String {
    let counts = STATUSES.iter().filter_map(|status| Some((status, *executions.get(*status)?)));
    let shown: Vec<_> = counts
        .filter(|(_, number)| *number > 0)
        .map(|(status, number)| format!("{} {status}", count(number)))
        .collect();
    shown.join(", ")
}
