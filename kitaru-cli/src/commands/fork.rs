//! `kitaru fork` and `kitaru diff`.

use std::fmt::Write as _;

use kitaru_control::api;
use serde_json::Value;

use crate::args;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::target::Store;
use crate::text::{self, Cell};
use crate::typed::value_of;
use kitaru_control::text as number;

/// How many columns an outcome takes in a table.
const VALUE: usize = 40;

pub(super) async fn fork(store: &Store, fork: args::Fork, json: bool) -> Result<(), Failure> {
    let target = store.find(&fork.execution).await?;
    let args::Fork { execution: _, from, set, input, by_key, strict, id, tag, forget_answers, dry_run } = fork;
    let set = set.into_iter().map(|(record, value)| (record, value_of(&value))).collect();
    let input: Option<Value> = input.map(|input| value_of(&input));
    let by_key = by_key || strict;
    let asked = api::Fork { from, set, input, by_key, strict, id, tags: tag, forget_answers, dry_run };
    let forked = store.client.fork(&target.flow, &target.id, &asked).await?;
    if json {
        return print_json(&forked);
    }
    print(&planned(&forked))
}

fn planned(forked: &api::Forked) -> String {
    let mut out = String::new();
    let name = text::name(&forked.flow, &forked.id);
    let original = text::name(&forked.original.flow, &forked.original.id);
    let _ = match forked.begun {
        true => writeln!(out, "forked {original} as {}", text::styled(text::STRONG, &name)),
        false => writeln!(out, "would fork {original} as {}", text::styled(text::STRONG, &name)),
    };
    let _ = writeln!(
        out,
        "  takes over {}, {}",
        count(forked.taken_over, "record"),
        count(forked.answers, "answer or signal")
    );
    let lists = [
        ("runs again, with new idempotency keys", &forked.runs_again),
        ("may run again, with new idempotency keys", &forked.may_run_again),
    ];
    for (what, effects) in lists {
        if effects.is_empty() {
            continue;
        }
        let _ = writeln!(out, "  {what}:");
        for effect in effects {
            let child = if effect.child { " (a child)" } else { "" };
            let number = text::styled(text::FAINT, &format!("#{}", effect.number));
            let _ = writeln!(out, "    {} {number}{child}", text::plain(&effect.name));
        }
    }
    out
}

fn count(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!(
            "{count} {}",
            what.replacen("record", "records", 1).replacen("answer or signal", "answers and signals", 1)
        ),
    }
}

pub(super) async fn diff(store: &Store, first: &str, second: &str, all: bool, json: bool) -> Result<(), Failure> {
    let (first, second) = (store.find(first).await?, store.find(second).await?);
    let query = api::DiffQuery { with: second.reference() };
    let diff = store.client.diff(&first.flow, &first.id, &query).await?;
    if json {
        return print_json(&diff);
    }
    print(&compared(&diff, all))
}

fn compared(diff: &api::Diff, all: bool) -> String {
    let mut out = String::new();
    let name = |execution: &api::Reference| text::name(&execution.flow, &execution.id);
    let _ = writeln!(out, "{} and {}", name(&diff.first), name(&diff.second));
    let same = |is_same: bool| if is_same { "the same" } else { "different" };
    let _ = writeln!(out, "  input {}, result {}", same(diff.same_input), same(diff.same_result));
    let shown = diff.records.iter().filter(|record| all || record.state != "equal");
    let rows: Vec<Vec<Cell>> = shown.map(row).collect();
    let equal = diff.records.iter().filter(|record| record.state == "equal").count();
    if rows.is_empty() {
        let _ = writeln!(out, "  all {equal} records are equal");
        return out;
    }
    out.push('\n');
    out.push_str(&text::table(&["STATE", "RECORD", "TOOK", "TOKENS", "FIRST", "SECOND"], rows));
    if !all && equal > 0 {
        let _ = writeln!(out, "{}", text::styled(text::FAINT, &format!("{equal} equal: --all shows them")));
    }
    out
}

fn row(record: &api::RecordDiff) -> Vec<Cell> {
    let colour = match &*record.state {
        "equal" => text::FAINT,
        "changed" => text::colour("waiting"),
        "missing" => text::BAD,
        _ => text::colour("completed"),
    };
    let side = |side: &Option<api::DiffSide>| match side {
        None => String::new(),
        Some(side) if side.preview.is_empty() => side.status.clone(),
        Some(side) => text::cut(&text::plain(&side.preview), VALUE),
    };
    let took = |side: &Option<api::DiffSide>| match side {
        None => "-".to_owned(),
        Some(side) if side.taken_over => "taken over".to_owned(),
        Some(side) => number::duration(side.duration_us),
    };
    vec![
        Cell(record.state.clone(), colour),
        Cell::new(text::plain(&record.name)),
        Cell::new(format!("{} → {}", took(&record.first), took(&record.second))),
        Cell::new(tokens(record)),
        Cell::new(side(&record.first)),
        Cell::new(side(&record.second)),
    ]
}

/// The tokens of both, if a model was asked.
fn tokens(record: &api::RecordDiff) -> String {
    let used = |side: &Option<api::DiffSide>| {
        let usage = side.as_ref()?.usage.as_ref()?;
        let count = |name: &str| usage[name].as_u64().unwrap_or_default();
        Some(count("input_tokens") + count("output_tokens"))
    };
    match (used(&record.first), used(&record.second)) {
        (None, None) => String::new(),
        (first, second) => {
            let shown = |used: Option<u64>| used.map_or_else(|| "-".to_owned(), |used| used.to_string());
            format!("{} → {}", shown(first), shown(second))
        }
    }
}
