//! A generation that a test lays into its store. Must not know what for.

use std::collections::BTreeSet;

use crate::error::{Error, Kind, cannot};
use crate::journal::{Aside, EndFrame, Frame, Header, Indexed, Lineage, Packed, Status};
use crate::ledger::embedded::forking::kept;
use crate::ledger::embedded::{Ledger, rows};
use crate::ledger::{FirstAttempt, NewGeneration};
use crate::machine::Journal;
use crate::store::{Row, Table};

impl Ledger {
    /// Lays a generation with these records into the store, as one that never resumes.
    pub(crate) async fn lay(&self, header: Header, frames: Vec<Vec<u8>>, fork: Option<Lineage>) -> Result<(), Error> {
        let packed = Packed::error(&cannot!(Kind::Cancelled, "resume the execution", "it is there to be forked alone"));
        let ended = Frame::End(EndFrame {
            status: Status::Cancelled,
            attempt: 1,
            ended_ms: header.created_ms,
            duration_us: 0,
            preview: &packed.preview,
            payload: packed.payload(),
        });
        let mut records = Journal::default();
        for frame in frames.into_iter().chain([ended.write()]) {
            records.push(records.next(), &frame);
        }
        let tenure = self.new_tenure(&records);
        let journal = tenure.journal();
        let generation = NewGeneration {
            journal,
            header,
            first: FirstAttempt::Together,
            deadline_ms: None,
            tags: BTreeSet::new(),
            parent: None,
            waiters: Vec::new(),
            shape: None,
            over: None,
            fork: None,
        };
        let mut rows: Vec<Row> = generation.rows().into_iter().filter(|row| row.table != Table::Unfinished).collect();
        rows.extend(fork.map(|fork| rows::aside(journal, Aside::Fork, &[], Some(fork.write()))));
        rows.extend(kept(journal, &records));
        rows.push(rows::index(journal, Indexed::Status(Status::Cancelled)));
        self.write_rows(&tenure, rows, None).await
    }
}
