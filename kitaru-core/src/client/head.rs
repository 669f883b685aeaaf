//! What a generation begins with. Owns the rows that record it; must not know when they are written.

use crate::client::attempt::cancel;
use crate::client::launch::{Place, begun_over};
use crate::client::request::Request;
use crate::client::rows::{self, Stored};
use crate::id::{JournalId, Seq};
use crate::journal::{Header, generation_key, name_key};
use crate::store::{Key as RowKey, Row, Table};
use std::time::Duration;

/// What a generation begins with.
pub(super) struct Head {
    pub(super) journal: JournalId,
    pub(super) deadline_ms: Option<u64>,
    pub(super) header: Header,
}

impl Head {
    pub(super) fn new(place: &Place, request: &Request, generation: u32) -> Self {
        let encoded = &request.input.encoded;
        let header = Header {
            execution: place.execution.clone(),
            generation,
            created_ms: place.inner.runtime.clock.now_ms(),
            seed: place.inner.seed(&place.execution, generation),
            version: request.spec.version.to_string(),
            source: request.spec.source,
            input_digest: request.input.digest,
            input_preview: request.input.preview.clone(),
            input_codec: encoded.codec,
            input_shape: encoded.shape.as_ref().map_or(0, |shape| shape.fingerprint),
            input: encoded.bytes.clone(),
        };
        let begins_in =
            Duration::from_millis(request.start_at_ms.unwrap_or_default().saturating_sub(header.created_ms));
        let clock = &place.inner.runtime.clock;
        let deadline_ms = request.deadline.map(|deadline| clock.due_ms(begins_in.saturating_add(deadline)));
        Head { journal: place.inner.new_journal(), deadline_ms, header }
    }

    /// The rows that record it.
    pub(super) fn own_rows(&self, unfinished: Row) -> Vec<Row> {
        let key = RowKey::from(generation_key(self.journal));
        let name = RowKey::from(name_key(&self.header.execution, self.header.generation));
        let mut rows = vec![
            Row { table: Table::Execution, key, value: Some(self.header.write()) },
            Row { table: Table::Name, key: name, value: Some(self.journal.0.to_be_bytes().to_vec()) },
            unfinished,
        ];
        rows.extend(self.deadline_ms.map(|deadline_ms| rows::deadline_row(self.journal, deadline_ms)));
        rows
    }

    /// The rows that record it, and end the generation that it is begun over.
    pub(super) fn rows(
        &self,
        place: &Place,
        request: &Request,
        unfinished: Row,
        cancelled: Option<Box<(Stored, Seq)>>,
    ) -> Vec<Row> {
        let runtime = &place.inner.runtime;
        let mut rows = self.own_rows(unfinished);
        rows.extend(request.parent.as_ref().map(|parent| rows::parent_row(self.journal, parent)));
        if cancelled.is_some() {
            // Whoever waits for the generation that this one is begun over waits for this one.
            rows.extend(place.active.waiters().iter().map(|parent| rows::waiter_row(self.journal, parent)));
        }
        rows.extend(cancelled.into_iter().flat_map(|over| cancel(runtime, &over.0, over.1, &begun_over())));
        let shape = request.input.encoded.shape.as_ref();
        rows.extend(shape.and_then(|shape| runtime.shape_row(shape.fingerprint, Some(shape.text.clone()))));
        rows
    }
}
