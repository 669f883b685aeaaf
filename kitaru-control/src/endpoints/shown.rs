//! What the library shows, in the shapes of the API. Must not know how it is asked for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kitaru_core::{AuditEntry, Checkup, Execution, ExecutionRef, OpenWait, Page, Record, ShownValue};

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
        next_cursor: page.next_cursor().map(|cursor| cursor.to_string()),
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
