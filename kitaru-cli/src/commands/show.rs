//! `kitaru show`.

use std::fmt::Write as _;

use kitaru_control::api;
use kitaru_control::text::duration;
use serde::Serialize;

use crate::args::Show;
use crate::failure::Failure;
use crate::output::{now_ms, print, print_json};
use crate::target::Store;
use crate::text::{self, Cell};

/// How many columns a value takes in a table.
const VALUE: usize = 60;

/// An execution with a page of its records.
#[derive(Serialize)]
struct Shown {
    execution: api::Execution,
    records: api::Records,
}

pub(super) async fn run(store: &Store, show: Show, json: bool) -> Result<(), Failure> {
    let target = store.find(&show.execution).await?;
    let execution = store.client.execution(&target.flow, &target.id).await?;
    let query =
        api::RecordsQuery { generation: Some(execution.generation), after: show.after, limit: Some(show.limit) };
    let records = store.client.records(&target.flow, &target.id, query).await?;
    if json {
        return print_json(&Shown { execution, records });
    }
    print(&written(&execution, &records, (show.values, store.is_free), now_ms()))
}

/// A value, on one line.
pub(super) fn value(value: &api::Shown) -> String {
    match value {
        api::Shown::Json { json } => text::plain(&json.to_string()),
        api::Shown::Preview { preview, bytes, reason } => format!("{} ({bytes} bytes; {reason})", text::plain(preview)),
        _ => "(sensitive)".to_owned(),
    }
}

/// What a checkpoint has returned.
pub(super) fn outcome(record: &api::Record) -> String {
    match &record.value {
        // The text of an error says more than its parts.
        Some(shown) if record.status != "failed" => value(shown),
        _ => text::plain(&record.preview),
    }
}

/// From which execution one was forked, and how.
fn forked(fork: &api::ForkLink) -> String {
    let mut text = text::name(&fork.original.flow, &fork.original.id);
    match (&fork.from, fork.by_key) {
        (Some(from), _) => text.push_str(&format!(", from {}", text::plain(from))),
        (None, true) => text.push_str(if fork.strict { ", by key, strict" } else { ", by key" }),
        (None, false) => {}
    }
    if !fork.set.is_empty() {
        text.push_str(&format!(", with another {}", text::plain(&fork.set.join(", "))));
    }
    text
}

fn written(execution: &api::Execution, records: &api::Records, (values, is_free): (bool, bool), now: u64) -> String {
    let mut text = String::new();
    let status = text::styled(text::colour(&execution.status), &execution.status);
    let name = text::styled(text::STRONG, &text::name(&execution.flow, &execution.id));
    let _ = writeln!(text, "{name}  {status}");
    let mut facts = vec![
        ("created", format!("{} ({})", text::time(execution.created_ms), text::when(execution.created_ms, now))),
        ("updated", format!("{} ({})", text::time(execution.updated_ms), text::when(execution.updated_ms, now))),
        ("attempts", execution.attempts.to_string()),
        ("input", value(&execution.input)),
    ];
    if execution.generation > 1 {
        facts.push(("generation", execution.generation.to_string()));
    }
    if !execution.version.is_empty() {
        facts.push(("version", text::plain(&execution.version)));
    }
    if !execution.tags.is_empty() {
        facts.push(("tags", text::plain(&execution.tags.join(", "))));
    }
    if let Some(parent) = &execution.parent {
        facts.push(("parent", text::name(&parent.flow, &parent.id)));
    }
    if let Some(fork) = &execution.fork {
        facts.push(("fork of", forked(fork)));
    }
    facts.extend(execution.children.iter().map(|child| ("child", text::name(&child.flow, &child.id))));
    if let Some(fields) = execution.metadata.as_object() {
        let fields = fields.iter().map(|(key, field)| ("logged", text::plain(&format!("{key} = {field}"))));
        facts.extend(fields);
    }
    if let Some(result) = execution.value.as_ref().filter(|_| execution.error.is_none()) {
        facts.push(("result", value(result)));
    }
    if let Some(error) = &execution.error {
        facts.push(("error", text::styled(text::BAD, &text::plain(error))));
    }
    for entry in &execution.audit {
        let about = match &*entry.about {
            "" => String::new(),
            about => format!("{} ", text::plain(about)),
        };
        facts.push((&*entry.action, format!("{about}by {}, {}", text::plain(&entry.by), text::when(entry.at_ms, now))));
    }
    if execution.undo_skipped {
        facts.push(("undo", "was skipped".to_owned()));
    }
    if !execution.is_known && !is_free {
        facts.push(("flow", "is not in the program that holds the store".to_owned()));
    }
    for (fact, is) in facts {
        let _ = writeln!(text, "  {}{is}", text::styled(text::FAINT, &format!("{fact:<12}")));
    }
    for wait in &execution.waits {
        let _ = writeln!(text, "\n{} {}", text::styled(text::colour("waiting"), "waits for"), text::plain(&wait.name));
        let _ = writeln!(text, "  {}", text::plain(&wait.question));
        if !wait.schema.is_null() {
            let _ =
                writeln!(text, "  {} {}", text::styled(text::FAINT, "schema"), text::plain(&wait.schema.to_string()));
        }
        if let Some(refused) = &wait.refused {
            let _ = writeln!(
                text,
                "  {} {}",
                text::styled(text::BAD, "the last answer was refused:"),
                text::plain(refused)
            );
        }
        let name = text::name(&wait.flow, &wait.id);
        let _ = writeln!(text, "  {}", text::styled(text::FAINT, &format!("answer it: kitaru answer '{name}' VALUE")));
    }
    for pause in &execution.pauses {
        let next = text::time(pause.next_try_ms);
        let _ =
            writeln!(text, "\n{} is tried again at {next}: {}", text::plain(&pause.record), text::plain(&pause.error));
    }
    if records.records.is_empty() {
        return text;
    }
    let rows = records.records.iter().map(|record| {
        let tries = match record.tries {
            0 | 1 => String::new(),
            tries => tries.to_string(),
        };
        let mut outcome = outcome(record);
        if record.from_memo {
            outcome.push_str(" (from another execution)");
        }
        if record.attempt == 0 {
            outcome.push_str(" (taken over)");
        }
        vec![
            Cell(record.number.to_string(), text::FAINT),
            Cell(record.status.clone(), text::colour(&record.status)),
            Cell::new(text::plain(&record.name)),
            Cell::new(duration(record.duration_us)),
            Cell::new(tries),
            Cell::new(if values { outcome } else { text::cut(&outcome, VALUE) }),
        ]
    });
    text.push('\n');
    text.push_str(&text::table(&["#", "STATUS", "RECORD", "TOOK", "TRIES", "OUTCOME"], rows.collect()));
    if let Some(after) = records.next_after {
        text.push_str(&text::styled(text::FAINT, &format!("more: --after {after}")));
        text.push('\n');
    }
    text
}
