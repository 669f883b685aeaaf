//! `kitaru logs`.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::Style;
use kitaru_control::{ClientError, api};
use serde_json::Value;

use crate::args::Logs;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::target::{Store, Target};
use crate::text;

/// How often the server is asked.
const AGAIN: Duration = Duration::from_millis(250);

/// Prints each event in its order. As JSON, one event a line if they are followed.
pub(super) async fn run(store: &Store, logs: Logs, json: bool) -> Result<(), Failure> {
    let target = store.find(&logs.execution).await?;
    if store.is_free {
        return Err(Failure::Failed(format!(
            "cannot show the log of {}: no process holds the store, and logs are kept in its memory; start the program",
            target.name()
        )));
    }
    let level = logs.level.as_deref().and_then(api::LogLevel::of_name);
    let query = api::LogsQuery { level, ..Default::default() };
    if !logs.follow && json {
        return print_json(&store.client.logs(&target.flow, &target.id, query).await?);
    }
    let (mut after, mut had_ended) = (0, !logs.follow);
    loop {
        // The last line is logged once the end is recorded.
        let ends = had_ended;
        had_ended = had_ended || has_ended(store, &target).await?;
        let page = page(store, &target, api::LogsQuery { after: Some(after), ..query }).await?;
        if after == 0 && page.dropped > 0 && !json {
            print(&text::styled(text::FAINT, &format!("{} older events are no longer kept\n", page.dropped)))?;
        }
        for event in &page.events {
            match json {
                true => print(&format!("{}\n", serde_json::to_string(event).unwrap_or_default()))?,
                false => print(&line(event))?,
            }
        }
        after = page.events.last().map_or(after, |last| last.number);
        if ends && page.next_after.is_none() {
            return Ok(());
        }
        if page.next_after.is_none() {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn has_ended(store: &Store, target: &Target) -> Result<bool, Failure> {
    let execution = store.client.execution(&target.flow, &target.id).await?;
    Ok(matches!(&*execution.status, "completed" | "failed" | "cancelled" | "stuck"))
}

async fn page(store: &Store, target: &Target, query: api::LogsQuery) -> Result<api::Logs, ClientError> {
    store.client.logs(&target.flow, &target.id, query).await
}

/// `2026-11-30T05:04:55.120Z INFO  draft: writing words=700`.
fn line(event: &api::LogEvent) -> String {
    let mut line = text::styled(text::FAINT, &text::moment(event.time_ms));
    let level = event.level.name().to_uppercase();
    // Writing to a string does not fail.
    let _ = write!(line, " {}", text::styled(colour(event.level), &format!("{level:<5}")));
    if let Some(checkpoint) = &event.checkpoint {
        let _ = write!(line, " {}", text::styled(text::STRONG, &format!("{}:", text::plain(checkpoint))));
    }
    let _ = write!(line, " {}", text::plain(&event.message));
    for (name, value) in event.fields.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) if !text.contains([' ', '"', '=']) && !text.is_empty() => text.clone(),
            other => other.to_string(),
        };
        let field = format!(" {}={}", text::plain(name), text::plain(&value));
        line.push_str(&text::styled(text::FAINT, &field));
    }
    line.push('\n');
    line
}

fn colour(level: api::LogLevel) -> Style {
    match level {
        api::LogLevel::Error => text::BAD,
        api::LogLevel::Warn => text::WAITS,
        api::LogLevel::Info => Style::new(),
        api::LogLevel::Debug | api::LogLevel::Trace => text::FAINT,
    }
}
