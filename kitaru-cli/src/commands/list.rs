//! `kitaru list`.

use std::time::Duration;

use kitaru_control::api;

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

pub(super) async fn run(store: &Store, list: List, json: bool) -> Result<(), Failure> {
    let List { flow, status, id, tag, parent, limit, cursor, watch } = list;
    let query =
        api::ListQuery { flow, id_prefix: id, status, tag, parent, cursor, limit: Some(limit), ..Default::default() };
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
    if page.executions.is_empty() && page.unreadable.is_empty() {
        return "no executions\n".to_owned();
    }
    let rows = page.executions.iter().map(|execution| {
        vec![
            Cell(execution.status.clone(), text::colour(&execution.status)),
            Cell::new(text::name(&execution.flow, &execution.id)),
            Cell::new(execution.attempts.to_string()),
            Cell::new(text::when(execution.created_ms, now)),
            Cell::new(text::when(execution.updated_ms, now)),
            Cell::new(text::cut(&text::plain(&execution.tags.join(" ")), INPUT)),
            Cell::new(text::cut(&text::plain(&execution.input), INPUT)),
        ]
    });
    let head = ["STATUS", "EXECUTION", "ATTEMPTS", "CREATED", "UPDATED", "TAGS", "INPUT"];
    let mut written = text::table(&head, rows.collect());
    for unreadable in &page.unreadable {
        let name = match (&unreadable.flow, &unreadable.id) {
            (Some(flow), Some(id)) => text::name(flow, id),
            _ => "an execution".to_owned(),
        };
        let error = text::plain(&unreadable.error);
        written.push_str(&format!("{} {name}: {error}\n", text::styled(text::BAD, "unreadable")));
    }
    if let Some(cursor) = &page.next_cursor {
        written.push_str(&text::styled(text::FAINT, &format!("more: --cursor {cursor}")));
        written.push('\n');
    }
    written
}
