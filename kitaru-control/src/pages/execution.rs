//! One execution: what it is, what it waits for, and its records along a line of time.

use maud::{Markup, html};

use super::fork;
use super::layout::{News, Place, page as whole};
use super::text::{badge, link, time};
use super::value::value;
use super::waits;
use crate::api::{self, Execution, Record, Records};
use crate::query::encode;
use crate::text::duration;

pub(super) fn page(execution: &Execution, records: &Records, query: api::RecordsQuery, actions: bool) -> Markup {
    let of = link(&execution.flow, &execution.id);
    let ends = matches!(&*execution.status, "completed" | "failed" | "cancelled" | "stuck" | "continued_as_new");
    let body = html! {
        h1 { (execution.flow) "/" (execution.id) " " (badge(&execution.status)) @if !ends { " " small.faint.live { "live" } } }
        @if let Some(error) = &execution.error { p.error { (error) } }
        @for (nth, wait) in execution.waits.iter().enumerate() { (waits::question(wait, actions, nth)) }
        section.card { (facts(execution, ends)) }
        @if actions { (steer(execution, &of, ends)) }
        @if actions && execution.is_known { (fork::form(&of, records)) }
        h2 #records { "Records" }
        @if records.records.is_empty() { p.empty { "No records yet." } } @else { (table(records)) }
        @if let Some(after) = records.next_after {
            p { a href={ (of) "?" (next(query, after)) "#records" } rel="next" { "Later records" } }
        }
    };
    // The page of an older generation stays as it is.
    let news = if query.generation.is_some() || ends { News::None } else { News::Live(format!("{of}/live")) };
    whole(&format!("{}/{}", execution.flow, execution.id), Place::Elsewhere, None, &news, &body)
}

fn next(query: api::RecordsQuery, after: u64) -> String {
    api::RecordsQuery { after: Some(after), ..query }.write()
}

fn facts(execution: &Execution, ends: bool) -> Markup {
    html! {
        dl {
            dt { "Input" } dd { (value(&execution.input, "input")) }
            @if let (Some(result), None) = (&execution.value, &execution.error) { dt { "Result" } dd { (value(result, "result")) } }
            dt { "Created" } dd { (time(execution.created_ms)) }
            dt { @if ends { "Ended" } @else { "Updated" } } dd { (time(execution.updated_ms)) }
            dt { "Attempts" } dd { (execution.attempts) }
            @if execution.generation > 1 {
                dt { "Generation" }
                dd { (execution.generation) " " a href={ (link(&execution.flow, &execution.id)) "?generation=" (execution.generation - 1) } { "the one before" } }
            }
            @if !execution.version.is_empty() { dt { "Version" } dd { (execution.version) } }
            @if !execution.tags.is_empty() { dt { "Tags" } dd { @for tag in &execution.tags { span.tag { (tag) } } } }
            @if let Some(parent) = &execution.parent { dt { "Parent" } dd { a href=(link(&parent.flow, &parent.id)) { (parent.flow) "/" (parent.id) } } }
            @if let Some(fork) = &execution.fork {
                dt { "Fork of" }
                dd {
                    a href=(link(&fork.original.flow, &fork.original.id)) { (fork.original.flow) "/" (fork.original.id) }
                    @if let Some(from) = &fork.from { " from " code { (from) } }
                    @if fork.by_key { " by key" }
                    @if fork.strict { ", strict" }
                    @if !fork.set.is_empty() { ", with another " code { (fork.set.join(", ")) } }
                    " · " a href={ (link(&fork.original.flow, &fork.original.id)) "/diff?with=" (encode(&reference(execution))) } { "compare" }
                }
            }
            @if !execution.children.is_empty() {
                dt { "Children" }
                dd { @for child in &execution.children { a href=(link(&child.flow, &child.id)) { (child.flow) "/" (child.id) } " " } }
            }
            @if let Some(fields) = execution.metadata.as_object() {
                @for (name, logged) in fields { dt { (name) } dd { code { (logged) } } }
            }
            @if execution.undo_skipped { dt { "Undo" } dd { "was skipped" } }
            @for entry in &execution.audit {
                dt { (entry.action) } dd { (entry.about) " by " (entry.by) " " span.faint { (time(entry.at_ms)) } }
            }
            @if !execution.is_known { dt { "Flow" } dd { "is not in the program that holds the store, so it does not resume there" } }
            @for pause in &execution.pauses {
                dt { (pause.record) } dd { "is tried again at " (time(pause.next_try_ms)) ": " (pause.error) }
            }
        }
    }
}

/// The execution, as a parameter names it.
fn reference(execution: &Execution) -> String {
    format!("{}/{}", execution.flow.replace('%', "%25").replace('/', "%2F"), execution.id)
}

/// What can be done with it.
fn steer(execution: &Execution, of: &str, ends: bool) -> Markup {
    let resumes = matches!(&*execution.status, "failed" | "stuck" | "interrupted");
    html! {
        div.row {
            @if resumes {
                form method="post" action={ (of) "/resume" } { button.main type="submit" { "Resume" } }
            }
            @if !ends || resumes {
                form method="post" action={ (of) "/cancel" } { button.danger type="submit" { "Cancel" } }
            }
        }
    }
}

fn table(records: &Records) -> Markup {
    // A wait has no time of its own: it begins where the record before it ends.
    let begin = records.records.iter().map(|record| record.started_ms).filter(|ms| *ms > 0).min().unwrap_or(0);
    let end = records.records.iter().map(end_ms).max().unwrap_or(begin).max(begin + 1);
    html! {
        table {
            thead { tr { th { "#" } th { "Record" } th { "Status" } th { "Time" } th { "Took" } th { "Outcome" } } }
            tbody {
                @for record in &records.records {
                    tr id={ "r" (record.number) } {
                        td.number { a href={ "#r" (record.number) } { (record.number) } }
                        td.name {
                            (record.name)
                            @if record.attempt > 1 { " " span.faint { "attempt " (record.attempt) } }
                            @if record.attempt == 0 { " " span.faint { "taken over" } }
                            @if record.from_memo { " " span.faint { "from another execution" } }
                            @if record.forgotten { " " span.faint { "forgotten" } }
                        }
                        td { (badge(&record.status)) }
                        td.bar { (bar(record, begin, end)) }
                        td.number data-name="took" { @if record.status == "waiting" { "" } @else { (duration(record.duration_us)) } @if record.tries > 1 { ", " (record.tries) " tries" } }
                        td { (outcome(record)) }
                    }
                }
            }
        }
    }
}

fn end_ms(record: &Record) -> u64 {
    record.started_ms.saturating_add(record.duration_us / 1_000)
}

/// When a record began and how long it took, between the first record of the page and the last.
fn bar(record: &Record, begin: u64, end: u64) -> Markup {
    if record.started_ms == 0 {
        return html! { svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" { rect class={ "took " (record.status) } x="98" y="2" width="2" height="6" {} } };
    }
    let share = |ms: u64| (ms.saturating_sub(begin)) as f64 * 100.0 / (end - begin) as f64;
    let from = share(record.started_ms).clamp(0.0, 99.0);
    let until = if record.status == "waiting" || record.status == "begun" { 100.0 } else { share(end_ms(record)) };
    let wide = (until - from).clamp(1.0, 100.0);
    html! {
        svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.track x="0" y="4.5" width="100" height="1" {}
            rect class={ "took " (record.status) } x={ (format!("{from:.2}")) } y="2" width={ (format!("{wide:.2}")) } height="6" {}
        }
    }
}

fn outcome(record: &Record) -> Markup {
    let id = format!("v{}", record.number);
    html! {
        @match &record.value {
            Some(shown) if record.status != "failed" => { (value(shown, &id)) }
            _ if record.status == "failed" => { span.error { (record.preview) } }
            _ => { code { (record.preview) } }
        }
        @if !record.arguments.is_empty() || !record.failed_tries.is_empty() {
            details id={ "a" (record.number) } {
                summary.faint { "details" }
                dl {
                    @for argument in &record.arguments { dt { (argument.name) } dd { code { (argument.preview) } } }
                    @for failed in &record.failed_tries {
                        dt { "failed try" } dd { (failed.error) " " span.faint { "after " (duration(failed.duration_us)) } }
                    }
                    @if let Some(fields) = record.metadata.as_object() { @for (name, logged) in fields { dt { (name) } dd { code { (logged) } } } }
                    dt { "started" } dd { (time(record.started_ms)) }
                }
            }
        }
    }
}
