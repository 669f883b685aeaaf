//! Two executions, record by record.

use maud::{Markup, html};

use super::layout::{News, Place, page as whole};
use super::text::link;
use crate::api::{Diff, DiffSide, RecordDiff, Reference};
use crate::text::duration;

pub(super) fn page(diff: &Diff) -> Markup {
    let name = |execution: &Reference| format!("{}/{}", execution.flow, execution.id);
    let linked = |execution: &Reference| html! { a href=(link(&execution.flow, &execution.id)) { (name(execution)) } };
    let differing = diff.records.iter().filter(|record| record.state != "equal").count();
    let same = |is_same: bool| if is_same { "the same" } else { "different" };
    let body = html! {
        h1 { "Compare" }
        p { (linked(&diff.first)) " and " (linked(&diff.second)) }
        section.card {
            dl {
                dt { "Input" } dd { (same(diff.same_input)) }
                dt { "Result" } dd { (same(diff.same_result)) }
                dt { "Records" } dd { (differing) " of " (diff.records.len()) " differ" }
            }
        }
        @if diff.records.is_empty() { p.empty { "Neither has a record." } } @else {
            table {
                thead { tr { th { "State" } th { "Record" } th { "Took" } th { "Tokens" } th { (name(&diff.first)) } th { (name(&diff.second)) } } }
                tbody { @for record in &diff.records { (row(record)) } }
            }
        }
    };
    whole("Compare", Place::Elsewhere, None, &News::None, &body)
}

fn row(record: &RecordDiff) -> Markup {
    let [first, second] = [record.first.as_ref(), record.second.as_ref()];
    html! {
        tr {
            td { span class={ "badge " (badge(&record.state)) } { (record.state) } }
            td.name {
                (record.name)
                @for argument in &record.arguments {
                    " " span.faint { (argument.name) ": " code { (or_none(&argument.first)) } " → " code { (or_none(&argument.second)) } }
                }
            }
            td.number data-name="took" { (took(first)) " → " (took(second)) }
            td.number data-name="tokens" { (tokens(first, second)) }
            td { (outcome(first)) }
            td { (outcome(second)) }
        }
    }
}

/// The colour of a state is that of a status.
fn badge(state: &str) -> &'static str {
    match state {
        "equal" => "queued",
        "changed" => "waiting",
        "missing" => "failed",
        _ => "completed",
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn took(side: Option<&DiffSide>) -> String {
    match side {
        None => "–".to_owned(),
        Some(side) if side.taken_over => "taken over".to_owned(),
        Some(side) => duration(side.duration_us),
    }
}

fn tokens(first: Option<&DiffSide>, second: Option<&DiffSide>) -> String {
    let used = |side: Option<&DiffSide>| {
        let usage = side?.usage.as_ref()?;
        let count = |name: &str| usage[name].as_u64().unwrap_or_default();
        Some(count("input_tokens") + count("output_tokens"))
    };
    match (used(first), used(second)) {
        (None, None) => String::new(),
        (first, second) => {
            let shown = |used: Option<u64>| used.map_or_else(|| "–".to_owned(), |used| used.to_string());
            format!("{} → {}", shown(first), shown(second))
        }
    }
}

fn outcome(side: Option<&DiffSide>) -> Markup {
    html! {
        @match side {
            None => { span.faint { "no record" } }
            Some(side) if side.status == "failed" => { span.error { (side.preview) } }
            Some(side) if side.preview.is_empty() => { span.faint { (side.status) } }
            Some(side) => { code { (side.preview) } }
        }
    }
}
