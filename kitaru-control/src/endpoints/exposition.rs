//! The numbers of a store as Prometheus text. Owns the names of the metrics and the bound on their number; must not know how they
//! are counted.

use std::fmt::Write as _;

use crate::api::{FlowStats, Stats};

/// How many flows have metrics of their own. The executions of all others are counted together, under an empty label.
const MOST_FLOWS: usize = 100;

/// Writes all metrics, in the text format 0.0.4.
pub(super) fn text(stats: &Stats) -> String {
    let mut text = Exposition(String::new());
    text.head("kitaru_executions", "gauge", "Executions by flow and status.");
    let (own, others) = split(&stats.flows);
    for flow in own {
        for (status, count) in &flow.executions {
            text.sample("kitaru_executions", &[("flow", flow.flow.as_str()), ("status", status.as_str())], count);
        }
    }
    for (status, count) in others {
        text.sample("kitaru_executions", &[("flow", ""), ("status", status.as_str())], &count);
    }
    let parked = stats.executions.get("waiting").copied().unwrap_or_default();
    let gauges = [
        ("kitaru_executions_parked", "Executions whose flow waits and is not in memory.", parked),
        ("kitaru_executions_due", "Parked executions whose time has come and that have not resumed.", stats.due),
        ("kitaru_executions_uncounted", "Executions that are in no count of kitaru_executions.", stats.uncounted),
        ("kitaru_queued_writes", "Writes that wait for a commit.", stats.queued_writes),
        ("kitaru_queued_bytes", "Bytes of writes that wait for a commit or are being committed.", stats.queued_bytes),
        ("kitaru_store_bytes", "Bytes of the files of the store.", stats.bytes),
    ];
    for (name, help, value) in gauges {
        text.head(name, "gauge", help);
        text.sample(name, &[], &value);
    }
    let times = [
        ("kitaru_counted_timestamp_seconds", "When the executions were counted.", stats.counted_ms),
        ("kitaru_opened_timestamp_seconds", "When the process opened the store.", stats.opened_ms),
    ];
    for (name, help, ms) in times {
        text.head(name, "gauge", help);
        text.sample(name, &[], &(ms as f64 / 1e3));
    }
    let counters = [
        ("kitaru_checkpoints_run_total", "Checkpoints that ran in this process.", stats.checkpoints_run),
        (
            "kitaru_checkpoints_replayed_total",
            "Calls of checkpoints that records answered in this process.",
            stats.checkpoints_replayed,
        ),
        ("kitaru_retries_total", "Tries that failed and were followed by another one.", stats.retries),
        ("kitaru_commit_failures_total", "Commits that failed.", stats.commits.failed),
    ];
    for (name, help, value) in counters {
        text.head(name, "counter", help);
        text.sample(name, &[], &value);
    }
    text.head("kitaru_commit_duration_seconds", "histogram", "How long commits took.");
    for class in &stats.commits.within {
        let bound = (class.us as f64 / 1e6).to_string();
        text.sample("kitaru_commit_duration_seconds_bucket", &[("le", bound.as_str())], &class.commits);
    }
    text.sample("kitaru_commit_duration_seconds_bucket", &[("le", "+Inf")], &stats.commits.count);
    text.sample("kitaru_commit_duration_seconds_sum", &[], &(stats.commits.took_us as f64 / 1e6));
    text.sample("kitaru_commit_duration_seconds_count", &[], &stats.commits.count);
    text.0
}

/// The flows with the most executions, in the order of their names, and the counts of all others together.
fn split(flows: &[FlowStats]) -> (Vec<&FlowStats>, std::collections::BTreeMap<String, u64>) {
    let mut own: Vec<_> = flows.iter().collect();
    own.sort_by_key(|flow| std::cmp::Reverse(flow.executions.values().sum::<u64>()));
    let rest = own.split_off(own.len().min(MOST_FLOWS));
    own.sort_by(|a, b| a.flow.cmp(&b.flow));
    let mut others = std::collections::BTreeMap::new();
    for (status, count) in rest.iter().flat_map(|flow| &flow.executions) {
        *others.entry(status.clone()).or_default() += count;
    }
    (own, others)
}

struct Exposition(String);

impl Exposition {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &dyn std::fmt::Display) {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let _ = match labels.is_empty() {
            true => writeln!(self.0, "{name} {value}"),
            false => writeln!(self.0, "{name}{{{}}} {value}", labels.join(",")),
        };
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn flows_beyond_the_bound_are_counted_together() {
        let flow = |nth: u64| FlowStats {
            flow: format!("flow {nth}"),
            is_known: true,
            executions: BTreeMap::from([("completed".to_owned(), nth), ("failed".to_owned(), 1)]),
            looked_at: 0,
            reaches_ms: None,
            started_last_hour: 0,
            started_last_day: 0,
            ended_last_hour: 0,
            ended_last_day: 0,
            failed_last_hour: 0,
            failed_last_day: 0,
            median_ms: None,
            p95_ms: None,
            last_failure: None,
        };
        let flows: Vec<_> = (0..MOST_FLOWS as u64 + 3).map(flow).collect();
        let (own, others) = split(&flows);
        assert_eq!((own.len(), own.iter().any(|flow| flow.flow == "flow 2")), (MOST_FLOWS, false));
        assert_eq!(others, BTreeMap::from([("completed".to_owned(), 3), ("failed".to_owned(), 3)]));
        assert_eq!(split(&flows[..3]).1, BTreeMap::new());
    }

    #[test]
    fn label_is_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
