//! `kitaru list`.

use std::time::Duration;

use kitaru_control::api;
use kitaru_control::text::count;

use crate::args::List;
use crate::failure::Failure;
use crate::output::{now_ms, print, print_json};
use crate::target::Store;
use crate::text::{self, Cell};

/// How often a watched list is printed.
const AGAIN: Duration = Duration::from_secs(1);
/// Clears a terminal, and begins at its top.
const CLEAR: &str = "\x1b[2J\x1b[H";
/// How many columns an input and a list of tags take.
const INPUT: usize = 40;
/// How many columns an error takes.
const ERROR: usize = 60;

pub(super) async fn run(store: &Store, list: List, json: bool) -> Result<(), Failure> {
    let List { word, filter, limit, cursor, watch } = list;
    let mut query = api::ListQuery { cursor, limit: Some(limit), ..filter.query() };
    query.search = query.search.or(word);
    loop {
        let page = store.client.executions(&query).await?;
        if json {
            return print_json(&page);
        }
        let text = written(&page, now_ms());
        if !watch {
            return print(&text);
        }
        print(&format!("{CLEAR}{text}"))?;
        tokio::time::sleep(AGAIN).await;
    }
}

fn written(page: &api::Page, now: u64) -> String {
    let listed = (page.executions.len() + page.unreadable.len()) as u64;
    if listed == 0 {
        return match &page.next_cursor {
            None => "no executions\n".to_owned(),
            Some(cursor) => format!("no executions among {}\n", more(page.looked_at, cursor)),
        };
    }
    let has_errors = page.executions.iter().any(|execution| execution.error.is_some());
    let rows = page.executions.iter().map(|execution| {
        let mut row = vec![
            Cell(execution.status.clone(), text::colour(&execution.status)),
            Cell::new(text::name(&execution.flow, &execution.id)),
            Cell::new(execution.attempts.to_string()),
            Cell::new(text::when(execution.created_ms, now)),
            Cell::new(text::when(execution.updated_ms, now)),
            Cell::new(text::cut(&text::plain(&execution.tags.join(" ")), INPUT)),
            Cell::new(text::cut(&text::plain(&execution.input), INPUT)),
        ];
        if has_errors {
            let error = execution.error.as_deref().unwrap_or_default();
            row.push(Cell(text::cut(&text::plain(error), ERROR), text::FAINT));
        }
        row
    });
    let head = ["STATUS", "EXECUTION", "ATTEMPTS", "CREATED", "UPDATED", "TAGS", "INPUT", "ERROR"];
    let head = if has_errors { &head[..] } else { &head[..head.len() - 1] };
    let mut written = text::table(head, rows.collect());
    for unreadable in &page.unreadable {
        let name = match (&unreadable.flow, &unreadable.id) {
            (Some(flow), Some(id)) => text::name(flow, id),
            _ => "an execution".to_owned(),
        };
        let error = text::plain(&unreadable.error);
        written.push_str(&format!("{} {name}: {error}\n", text::styled(text::BAD, "unreadable")));
    }
    if let Some(cursor) = &page.next_cursor {
        let text = match page.looked_at > listed {
            true => format!("looked at {}", more(page.looked_at, cursor)),
            false => format!("more: --cursor {cursor}"),
        };
        written.push_str(&text::styled(text::FAINT, &text));
        written.push('\n');
    }
    written
}

/// How far it was looked, and how to continue.
fn more(looked_at: u64, cursor: &str) -> String {
    format!("{} executions; continue with --cursor {cursor}", count(looked_at))
}
