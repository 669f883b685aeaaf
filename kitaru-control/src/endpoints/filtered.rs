//! The list that a query narrows. Must not know what is done with the executions on it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kitaru_core::{Cursor, ExecutionRef, Kitaru, ListRequest, Status};

use crate::api;
use crate::problem::Problem;

/// The list that a query narrows.
pub(super) fn filtered(kitaru: &Kitaru, query: &api::ListQuery) -> Result<ListRequest, Problem> {
    let mut request = kitaru.executions();
    if let Some(flow) = &query.flow {
        request = request.flow(flow);
    }
    if let Some(prefix) = &query.id_prefix {
        request = request.id_prefix(prefix);
    }
    for status in &query.status {
        request = request.status(status.parse::<Status>()?);
    }
    for tag in &query.tag {
        request = request.tag(tag);
    }
    if let Some(parent) = &query.parent {
        request = request.parent(parent.parse::<ExecutionRef>()?);
    }
    if let Some(from) = query.created_from_ms {
        request = request.created_from(time(from)?);
    }
    if let Some(before) = query.created_before_ms {
        request = request.created_before(time(before)?);
    }
    if let Some(word) = &query.search {
        request = request.search(word);
    }
    if let Some(cursor) = &query.cursor {
        request = request.after(cursor.parse::<Cursor>()?);
    }
    if let Some(limit) = query.limit {
        request = request.limit(limit as usize);
    }
    Ok(request)
}

fn time(ms: u64) -> Result<SystemTime, Problem> {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(ms))
        .ok_or_else(|| Problem::misuse(format!("cannot read {ms} as a time: it is too far away")))
}
