//! What the library shows, in the shapes of the API. Must not know how it is asked for.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kitaru_core::{
    AuditEntry, Checkup, Execution, ExecutionRef, FlowMetrics, Metrics, OpenWait, Page, Record, ShownValue, Status,
};

use crate::api;

fn ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn reference(execution: &ExecutionRef) -> api::Reference {
    api::Reference { flow: execution.flow().to_owned(), id: execution.id().to_owned() }
}

fn value(value: ShownValue) -> api::Shown {
    match value {
        ShownValue::Json(json) => api::Shown::Json { json },
        ShownValue::Preview { preview, bytes, reason, .. } => {
            api::Shown::Preview { preview, bytes: bytes as u64, reason: reason.to_string() }
        }
        _ => api::Shown::Sensitive { sensitive: true },
    }
}

pub(super) fn page(page: &Page) -> api::Page {
    let executions = page.iter().map(|summary| api::Summary {
        flow: summary.flow().to_owned(),
        id: summary.id().to_owned(),
        generation: summary.generation(),
        status: summary.status().to_string(),
        attempts: summary.attempts(),
        tags: summary.tags().to_vec(),
        input: summary.input().to_owned(),
        error: summary.error().map(beginning),
        created_ms: ms(summary.created()),
        updated_ms: ms(summary.updated()),
    });
    let unreadable = page.unreadable().iter().map(|unreadable| api::Unreadable {
        flow: unreadable.flow().map(str::to_owned),
        id: unreadable.id().map(str::to_owned),
        error: format!("{:#}", unreadable.error()),
    });
    api::Page {
        executions: executions.collect(),
        unreadable: unreadable.collect(),
        looked_at: page.looked_at() as u64,
        next_cursor: page.next_cursor().map(|cursor| cursor.to_string()),
    }
}

/// How many characters of an error are shown where many executions are.
const ERROR: usize = 200;

fn beginning(text: &str) -> String {
    match text.char_indices().nth(ERROR) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) fn execution(execution: &Execution) -> api::Execution {
    api::Execution {
        flow: execution.flow().to_owned(),
        id: execution.id().to_owned(),
        generation: execution.generation(),
        status: execution.status().to_string(),
        is_known: execution.is_known(),
        attempts: execution.attempts(),
        tags: execution.tags().to_vec(),
        version: execution.version().to_owned(),
        created_ms: ms(execution.created()),
        updated_ms: ms(execution.updated()),
        input: value(execution.input_value()),
        value: execution.value().map(value),
        error: execution.error().map(str::to_owned),
        undo_skipped: execution.undo_skipped(),
        audit: execution.audit().iter().map(audit).collect(),
        metadata: execution.metadata().clone(),
        parent: execution.parent().map(reference),
        fork: execution.fork().map(|link| api::ForkLink {
            original: reference(link.original()),
            generation: link.generation(),
            by_key: link.is_by_key(),
            strict: link.is_strict(),
            from: link.from().map(str::to_owned),
            set: link.set().to_vec(),
            taken_over: link.taken_over(),
        }),
        children: execution.children().iter().map(reference).collect(),
        waits: execution.waits().iter().map(|open| wait(execution, open)).collect(),
        pauses: execution
            .pauses()
            .map(|pause| api::Pause {
                record: pause.record().name().to_owned(),
                awaited: pause.awaited().map(str::to_owned),
                error: pause.error().to_owned(),
                next_try_ms: ms(pause.next_try()),
            })
            .collect(),
        records: execution.records().len() as u64,
    }
}

pub(super) fn audit(entry: &AuditEntry) -> api::AuditEntry {
    api::AuditEntry {
        at_ms: ms(entry.at()),
        action: entry.action().to_string(),
        by: entry.by().to_owned(),
        about: entry.about().to_owned(),
    }
}

pub(super) fn checkup(checkup: &Checkup) -> api::Checkup {
    let tables = checkup.tables().iter().map(|size| api::TableSize {
        table: size.table.to_owned(),
        rows: size.rows,
        bytes: size.bytes,
    });
    let statuses =
        checkup.statuses().iter().map(|(status, count)| api::StatusCount { status: status.to_string(), count: *count });
    let flows = checkup.flows().iter().map(|size| api::FlowSize {
        flow: size.flow.clone(),
        generations: size.generations,
        records: size.records,
        bytes: size.bytes,
    });
    let largest = checkup.largest().iter().map(|size| api::ExecutionSize {
        flow: size.flow.clone(),
        id: size.id.clone(),
        generation: size.generation,
        records: size.records,
        bytes: size.bytes,
    });
    let found = checkup.counts().iter().map(|(kind, count)| api::Found {
        kind: kind.to_string(),
        is_problem: kind.is_problem(),
        advice: kind.advice().to_owned(),
        count: *count,
        findings: checkup
            .findings()
            .iter()
            .filter(|finding| finding.kind == *kind)
            .map(|finding| api::Finding { place: finding.place.clone(), detail: finding.detail.clone() })
            .collect(),
    });
    api::Checkup {
        is_well: checkup.is_well(),
        format: checkup.format(),
        tables: tables.collect(),
        statuses: statuses.collect(),
        flows: flows.collect(),
        largest: largest.collect(),
        found: found.collect(),
    }
}

pub(super) fn wait(execution: &Execution, wait: &OpenWait) -> api::Wait {
    api::Wait {
        flow: execution.flow().to_owned(),
        id: execution.id().to_owned(),
        name: wait.name().to_owned(),
        question: wait.question().to_owned(),
        schema: wait.schema(),
        metadata: wait.metadata(),
        deadline_ms: wait.deadline().map(ms),
        refused: wait.refused().map(str::to_owned),
        since_ms: ms(execution.updated()),
    }
}

pub(super) fn record(record: &Record) -> api::Record {
    api::Record {
        number: record.number(),
        name: record.name().to_owned(),
        checkpoint: record.checkpoint().to_owned(),
        status: record.status().to_string(),
        settled: record.is_settled(),
        forgotten: record.is_forgotten(),
        from_memo: record.is_from_memo(),
        sensitive: record.is_sensitive(),
        attempt: record.attempt(),
        tries: record.tries(),
        failed_tries: record
            .failed_tries()
            .map(|failed| api::FailedTry {
                error: failed.error().to_owned(),
                duration_us: us(failed.duration()),
                pause_ms: us(failed.pause()) / 1_000,
            })
            .collect(),
        arguments: record
            .arguments()
            .map(|(name, preview)| api::Argument { name: name.to_owned(), preview: preview.to_owned() })
            .collect(),
        metadata: record.metadata(),
        started_ms: ms(record.started()),
        duration_us: us(record.duration()),
        preview: record.preview().to_owned(),
        value: record.value().map(value),
    }
}

pub(super) fn stats(metrics: &Metrics) -> api::Stats {
    let commits = metrics.commits();
    let within = commits.within().map(|(time, commits)| api::CommitClass { us: us(time), commits });
    let oldest_wait = metrics.oldest_wait().map(|(execution, since)| {
        let api::Reference { flow, id } = reference(&execution);
        api::OldestWait { flow, id, since_ms: ms(since) }
    });
    api::Stats {
        executions: by_status(|status| metrics.executions(status)),
        flows: metrics.flows().iter().map(flow).collect(),
        uncounted: metrics.uncounted(),
        counted_ms: ms(metrics.counted()),
        oldest_wait,
        due: metrics.due() as u64,
        opened_ms: ms(metrics.opened()),
        checkpoints_run: metrics.checkpoints_run(),
        checkpoints_replayed: metrics.checkpoints_replayed(),
        retries: metrics.retries(),
        commits: api::CommitStats {
            count: commits.count(),
            failed: commits.failed(),
            took_us: us(commits.took()),
            within: within.collect(),
        },
        queued_writes: metrics.queued_writes() as u64,
        queued_bytes: metrics.queued_bytes() as u64,
        folder: metrics.folder().map(|folder| folder.display().to_string()),
        format: metrics.format(),
        bytes: metrics.bytes(),
    }
}

fn flow(flow: &FlowMetrics) -> api::FlowStats {
    let took = |share| flow.took(share).map(|took| us(took) / 1_000);
    api::FlowStats {
        flow: flow.flow().to_owned(),
        is_known: flow.is_known(),
        executions: by_status(|status| flow.executions(status)),
        looked_at: flow.looked_at(),
        reaches_ms: flow.reaches().map(ms),
        started_last_hour: flow.started_last_hour(),
        started_last_day: flow.started_last_day(),
        ended_last_hour: flow.ended_last_hour(),
        ended_last_day: flow.ended_last_day(),
        failed_last_hour: flow.failed_last_hour(),
        failed_last_day: flow.failed_last_day(),
        median_ms: took(0.5),
        p95_ms: took(0.95),
        last_failure: flow.last_failure().map(|failure| api::LastFailure {
            id: failure.execution().id().to_owned(),
            error: beginning(failure.error()),
            at_ms: ms(failure.time()),
        }),
    }
}

fn by_status(count: impl Fn(Status) -> u64) -> BTreeMap<String, u64> {
    Status::ALL.into_iter().map(|status| (status.to_string(), count(status))).collect()
}
