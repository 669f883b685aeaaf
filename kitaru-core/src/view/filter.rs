//! Which executions a list shows.

use std::time::SystemTime;

use crate::clock::unix_ms;
use crate::error::Error;
use crate::journal::{Header, Status};
use crate::ledger::{Archive, Narrow, Stored};
use crate::view::reference::ExecutionRef;

/// Which executions a list shows: those that match all conditions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) flow: Option<String>,
    pub(crate) id_prefix: Option<String>,
    /// Any of these; without one, every status.
    pub(crate) statuses: Vec<Status>,
    pub(crate) created_from: Option<SystemTime>,
    pub(crate) created_before: Option<SystemTime>,
    pub(crate) parent: Option<ExecutionRef>,
    /// All of these.
    pub(crate) tags: Vec<String>,
    pub(crate) search: Option<String>,
}

impl Filter {
    /// Where to look for what fits, wherever it stands.
    pub(crate) fn narrow(&self) -> Narrow<'_> {
        Narrow {
            flow: self.flow.as_deref(),
            id_prefix: self.id_prefix.as_deref(),
            parent: self.parent.as_ref().map(|parent| (parent.flow(), parent.id())),
            tags: &self.tags,
            by_status: None,
            search: self.search.as_deref(),
        }
    }

    /// Whether the tags and the parent of a generation match. Blocks.
    pub(crate) fn fits_aside(&self, archive: &Archive, stored: &Stored) -> Result<bool, Error> {
        for tag in &self.tags {
            if !archive.has_tag(stored, tag)? {
                return Ok(false);
            }
        }
        let Some(wanted) = &self.parent else { return Ok(true) };
        let parent = archive.parent(stored)?;
        Ok(parent.is_some_and(|parent| ExecutionRef::of(&parent.execution) == *wanted))
    }

    /// Whether the header of a generation matches.
    pub(crate) fn fits_header(&self, header: &Header) -> bool {
        let Header { execution, created_ms, .. } = header;
        self.flow.as_ref().is_none_or(|flow| *flow == *execution.flow)
            && self.id_prefix.as_ref().is_none_or(|prefix| execution.id.starts_with(&**prefix))
            && self.created_from.is_none_or(|from| unix_ms(from) <= *created_ms)
            && self.created_before.is_none_or(|before| *created_ms < unix_ms(before))
    }

    /// Whether a generation with these tags has what is searched for.
    pub(crate) fn fits_search(&self, stored: &Stored, tags: &[String]) -> bool {
        let Some(word) = &self.search else { return true };
        let execution = &stored.header.execution;
        let is_in = |error: &str| error.to_lowercase().contains(&word.to_lowercase());
        execution.id.starts_with(&**word)
            || *execution.flow == **word
            || tags.contains(word)
            || stored.state.error().is_some_and(is_in)
    }

    /// Whether a generation with this status matches.
    pub(crate) fn fits_status(&self, status: Status) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }
}
