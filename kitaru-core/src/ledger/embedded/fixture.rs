//! Ledgers and executions for tests. Must not know what is tested.

use std::sync::Arc;

use crate::clock::Clock;
use crate::id::ExecutionId;
use crate::journal::Header;
use crate::ledger::embedded::Ledger;
use crate::ledger::embedded::opening::{self, LedgerOptions};
use crate::ledger::{FirstAttempt, NewGeneration, Tenure};
use crate::machine::Journal;
use crate::store::{Memory, Reader, Row, RowKey, Store, Table, WriterOptions, seal};
use crate::value::{Codec, Key};

/// The ledger of a process that opens the store.
pub(super) fn open(store: &Arc<dyn Store>, clock: Clock) -> Ledger {
    let options = LedgerOptions {
        max_outcome_bytes: 1_000,
        clock,
        writer: WriterOptions::default(),
        #[cfg(feature = "testkit")]
        pace: None,
    };
    opening::open(store.clone(), options).unwrap().1
}

/// A sealed row.
pub(super) fn row(table: Table, key: &[u8], mut value: Vec<u8>) -> Row {
    seal(table, key, &mut value);
    Row { table, key: RowKey::from(key), value: Some(value) }
}

/// A reader of a store with these rows.
pub(super) fn reader(rows: &[Row]) -> Reader {
    let store = Memory::new();
    store.commit(rows.to_vec()).unwrap();
    Reader::new(Arc::new(store))
}

pub(super) fn execution(id: &str) -> ExecutionId {
    ExecutionId::new("order", id).unwrap()
}

/// Begins an execution, whose first attempt runs.
pub(super) async fn begin(ledger: &Ledger, execution: ExecutionId) -> Arc<Tenure> {
    let tenure = ledger.new_tenure(&Journal::default());
    let header = Header {
        execution,
        generation: 1,
        created_ms: 1,
        seed: [0; 32],
        version: String::new(),
        source: 0,
        input_digest: Key([0; 16]),
        input_preview: String::new(),
        input_codec: Codec::Json,
        input_shape: 0,
        input: Vec::new(),
    };
    let generation = NewGeneration {
        journal: tenure.journal(),
        header,
        first: FirstAttempt::Together,
        deadline_ms: None,
        tags: Default::default(),
        parent: None,
        waiters: Vec::new(),
        shape: None,
        over: None,
        fork: None,
    };
    ledger.begin(&tenure, None, generation).await.unwrap();
    tenure
}
