//! What all work on a database of redb's needs: the names of its tables, and how it is let go.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::redb::TableDefinition;

use crate::error::drop_payload;
use crate::store::Table;

pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// The names in the file, by the number of the table.
pub(super) const DEFINITIONS: [Definition; Table::ALL.len()] = [
    TableDefinition::new("meta"),
    TableDefinition::new("execution"),
    TableDefinition::new("name"),
    TableDefinition::new("unfinished"),
    TableDefinition::new("journal"),
    TableDefinition::new("shape"),
    TableDefinition::new("memo"),
    TableDefinition::new("aside"),
    TableDefinition::new("index"),
];

/// Drops a database, which after a failure, or where it is damaged, may panic.
pub(super) fn release<D>(database: D) {
    catch_unwind(AssertUnwindSafe(|| drop(database))).unwrap_or_else(drop_payload);
}
