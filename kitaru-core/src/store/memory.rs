//! A store that ends with its process. Owns nothing but maps; for tests and trials.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Kind, cannot};
use crate::store::{Order, Range, Row, RowKey, Store, Table, Visit, VisitAll};

/// A store in memory. It keeps the contract but for the one thing that it cannot: it does not survive its process.
#[derive(Debug)]
pub struct Memory {
    /// Nothing once it is closed.
    tables: Mutex<Option<Tables>>,
}

type Tables = [BTreeMap<RowKey, Vec<u8>>; Table::ALL.len()];

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Memory { tables: Mutex::new(Some(Tables::default())) }
    }

    fn with<R>(&self, work: impl FnOnce(&mut Tables) -> R) -> Result<R, Error> {
        let mut tables: MutexGuard<'_, _> = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables
            .as_mut()
            .map(work)
            .ok_or_else(|| cannot!(Kind::Closed, "use the store", "it was closed", "open it again"))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for Memory {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        self.with(|tables| {
            for Row { table, key, value } in rows {
                let table = &mut tables[table as usize];
                match value {
                    Some(value) => table.insert(key, value),
                    None => table.remove(&key),
                };
            }
        })
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.with(|tables| tables[table as usize].get(key).cloned())
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        // Copied, so that `visit` may come back to the store, and sees one state of it.
        let rows: Vec<(RowKey, Vec<u8>)> = self.with(|tables| {
            let rows = tables[table as usize].range::<[u8], _>(range);
            rows.map(|(key, value)| (key.clone(), value.clone())).collect()
        })?;
        let mut show = |(key, value): &(RowKey, Vec<u8>)| visit(key.as_bytes(), value).is_break();
        match order {
            Order::Ascending => rows.iter().any(&mut show),
            Order::Descending => rows.iter().rev().any(&mut show),
        };
        Ok(())
    }

    fn scan_all(&self, visit: VisitAll<'_>) -> Result<(), Error> {
        let all = self.with(|tables| tables.clone())?;
        for (table, rows) in Table::ALL.into_iter().zip(&all) {
            if rows.iter().any(|(key, value)| visit(table, key.as_bytes(), value).is_break()) {
                break;
            }
        }
        Ok(())
    }

    fn close(&self) -> Result<(), Error> {
        *self.tables.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}
