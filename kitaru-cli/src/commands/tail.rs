//! `kitaru tail`.

use std::collections::HashMap;
use std::time::Duration;

use kitaru_control::api;

use crate::commands::show::{outcome, value};
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::target::Store;
use crate::text;

/// How often the server is asked.
const AGAIN: Duration = Duration::from_millis(250);
/// How many records are asked for at a time.
const PAGE: u32 = 1_000;
/// How many columns a value takes.
const VALUE: usize = 80;

/// Prints each record once its checkpoint has an outcome or waits, until the execution has ended. As JSON, one record a line.
pub(super) async fn run(store: &Store, execution: &str, json: bool) -> Result<(), Failure> {
    let target = store.find(execution).await?;
    let (mut generation, mut printed) = (0, HashMap::new());
    loop {
        let execution = store.client.execution(&target.flow, &target.id).await?;
        if execution.generation != generation {
            generation = execution.generation;
            printed.clear();
        }
        let mut after = None;
        loop {
            let query = api::RecordsQuery { generation: Some(generation), after, limit: Some(PAGE) };
            let page = store.client.records(&target.flow, &target.id, query).await?;
            for record in page.records {
                if printed.get(&record.number) != Some(&record.status) {
                    print_record(&record, json)?;
                    printed.insert(record.number, record.status);
                }
            }
            after = page.next_after;
            if after.is_none() {
                break;
            }
        }
        if matches!(&*execution.status, "completed" | "failed" | "cancelled" | "stuck") {
            return print_end(&execution, json);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn print_record(record: &api::Record, json: bool) -> Result<(), Failure> {
    if json {
        return print_line(record);
    }
    let outcome = outcome(record);
    print(&format!(
        "{} {} {} {}\n",
        text::styled(text::FAINT, &format!("{:>5}", record.number)),
        text::styled(text::colour(&record.status), &format!("{:<9}", record.status)),
        text::plain(&record.name),
        text::styled(text::FAINT, &text::cut(&outcome, VALUE)),
    ))
}

fn print_end(execution: &api::Execution, json: bool) -> Result<(), Failure> {
    if json {
        return print_line(execution);
    }
    let status = text::styled(text::colour(&execution.status), &execution.status);
    let what = match (&execution.error, &execution.value) {
        (Some(error), _) => text::plain(error),
        (None, Some(result)) => value(result),
        (None, None) => String::new(),
    };
    print(&format!("{status} {what}\n"))
}

fn print_line(value: &impl serde::Serialize) -> Result<(), Failure> {
    match serde_json::to_string(value) {
        Ok(line) => print(&format!("{line}\n")),
        Err(_) => print_json(value),
    }
}
