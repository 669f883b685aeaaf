//! A disk that fails under a store, and the store on it, for tests of Kitaru itself. Owns what has to be there whenever it is
//! opened again; must not know what the rows mean, nor when a process crashes.

use std::io::ErrorKind;
use std::ops::{Bound, ControlFlow};
use std::sync::Mutex;

use crate::error::Error;
use crate::runtime::lock;
use crate::store::{Disk, Memory, Order, Platter, Range, Row, Sectors, Store, Table, Visit, last_commit};
use crate::testkit::chance::Chance;

/// Where the rows are.
pub(super) enum Rows {
    InMemory(Box<Memory>),
    OnDisk(Box<DiskStore>),
}

impl Rows {
    pub(super) fn store(&self) -> &dyn Store {
        match self {
            Rows::InMemory(rows) => &**rows,
            Rows::OnDisk(rows) => &**rows,
        }
    }

    /// Another process uses them. Gives the rows of a commit that the last one did not know to be there.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(super) fn open_again(&self) -> Result<Option<Vec<Row>>, String> {
        match self {
            Rows::InMemory(_) => Ok(None),
            Rows::OnDisk(rows) => rows.open_again(),
        }
    }
}

/// A store on a disk that fails on demand.
pub(super) struct DiskStore(Mutex<State>);

struct State {
    platter: Platter,
    /// Nothing while it is opened.
    store: Option<Disk>,
    chance: Chance,
    /// What was acknowledged.
    acknowledged: Memory,
    commits: u64,
    /// The commits that have failed since: a crash may leave one of them.
    unsure: Vec<Vec<Row>>,
    /// The process died before it learned that this one is durable.
    unheard: Option<Vec<Row>>,
}

impl DiskStore {
    pub(super) fn new(seed: u64) -> Self {
        let platter = Platter::default();
        let store = Some(platter.store().expect("a store on an empty disk"));
        let (chance, acknowledged) = (Chance::new(seed), Memory::new());
        DiskStore(Mutex::new(State {
            platter,
            store,
            chance,
            acknowledged,
            commits: 0,
            unsure: Vec::new(),
            unheard: None,
        }))
    }

    /// A commit in which a write or a sync fails, perhaps, and some before it have not.
    pub(super) fn commit_on_failing(&self, rows: Vec<Row>) -> Result<(), Error> {
        let mut state = lock(&self.0);
        state.fails(8);
        let done = state.commit(rows);
        state.platter.heals();
        done
    }

    /// The process dies before a commit, or during it.
    pub(super) fn die_before(&self, rows: Vec<Row>) {
        let mut state = lock(&self.0);
        if state.chance.below(2) == 0 {
            return;
        }
        state.fails(4);
        let done = state.commit(rows.clone());
        state.unheard = done.is_ok().then_some(rows);
    }

    /// Opens the store again after its process has died, with or without the power.
    fn open_again(&self) -> Result<Option<Vec<Row>>, String> {
        let mut state = lock(&self.0);
        state.crash();
        // The process may die while it opens the store, too.
        if state.chance.below(3) == 0 {
            state.fails(12);
            match state.platter.store() {
                Ok(store) => state.store = Some(store),
                Err(error) if error.is_store() => {}
                Err(error) => return Err(format!("the store is refused when its disk fails: {error:#}")),
            }
            state.crash();
        }
        let store = state.platter.store().map_err(|error| format!("the store does not open again: {error:#}"))?;
        let (last, commits) = (last_commit(&store), state.commits);
        state.store = Some(store);
        if last == commits {
            state.unsure.clear();
            let unheard = state.unheard.take();
            return state.compare(&state.acknowledged).map(|()| unheard);
        }
        if last != commits + 1 || state.unsure.is_empty() {
            return Err(format!("{commits} commits were acknowledged, and the store ends with commit {last}"));
        }
        state.commits = last;
        let mut wrong = String::new();
        for rows in std::mem::take(&mut state.unsure) {
            let before = copy(&state.acknowledged);
            keep(&state.acknowledged, rows.clone());
            match state.compare(&state.acknowledged) {
                Ok(()) => return Ok(Some(rows)),
                Err(why) => wrong = why,
            }
            state.acknowledged = before;
        }
        Err(wrong)
    }
}

impl State {
    fn commit(&mut self, rows: Vec<Row>) -> Result<(), Error> {
        let Some(store) = &self.store else { unreachable!("it is open") };
        match store.commit(rows.clone()) {
            Ok(()) => {
                self.commits += 1;
                self.unsure.clear();
                keep(&self.acknowledged, rows);
                Ok(())
            }
            Err(error) => {
                self.unsure.push(rows);
                Err(error)
            }
        }
    }

    /// Lets the disk fail from one of the next writes and syncs on.
    fn fails(&mut self, within: usize) {
        let kind = [ErrorKind::Other, ErrorKind::StorageFull][self.chance.below(2)];
        let (after, torn) = (self.chance.below(within) as u64, self.sectors());
        self.platter.tears_after(after, kind, torn);
    }

    /// Few sectors, half of them, or most.
    fn sectors(&mut self) -> Sectors {
        let (often, mut chance) = ([1, 8, 15][self.chance.below(3)], Chance::new(self.chance.next()));
        Box::new(move || chance.below(16) < often)
    }

    /// The process is dead, and perhaps the power is gone.
    fn crash(&mut self) {
        let left = match self.chance.below(2) {
            0 => self.platter.after_a_kill(),
            _ => {
                let sectors = self.sectors();
                self.platter.after_a_cut(sectors)
            }
        };
        // The old store has no say any more.
        let old = std::mem::replace(&mut self.platter, left);
        old.tears_after(0, ErrorKind::Other, Box::new(|| false));
        self.store = None;
    }

    fn compare(&self, expected: &Memory) -> Result<(), String> {
        let Some(store) = &self.store else { unreachable!("it is open") };
        for table in Table::ALL {
            let (found, expected) = (rows(store, table), rows(expected, table));
            let (found, expected) =
                found.and_then(|found| Ok((found, expected?))).map_err(|error| format!("{error:#}"))?;
            if found != expected {
                let (found, expected) = (found.len(), expected.len());
                return Err(format!(
                    "table {table:?} has not the rows that were acknowledged: {found}, {expected} of them"
                ));
            }
        }
        Ok(())
    }
}

fn keep(rows: &Memory, commit: Vec<Row>) {
    rows.commit(commit).expect("a store in memory takes rows");
}

fn copy(from: &Memory) -> Memory {
    let copy = Memory::new();
    for table in Table::ALL {
        let rows = rows(from, table).expect("a store in memory can be read");
        keep(&copy, rows.into_iter().map(|(key, value)| Row { table, key: key.into(), value: Some(value) }).collect());
    }
    copy
}

/// Keys and values.
type ReadRows = Vec<(Vec<u8>, Vec<u8>)>;

/// The rows of a table, but for what a store on disk says of itself.
fn rows(store: &dyn Store, table: Table) -> Result<ReadRows, Error> {
    let mut rows = Vec::new();
    store.scan(table, (Bound::Unbounded, Bound::Unbounded), Order::Ascending, &mut |key, value| {
        if table != Table::Meta || !matches!(key, b"format" | b"commit" | b"log") {
            rows.push((key.to_vec(), value.to_vec()));
        }
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

impl Store for DiskStore {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        lock(&self.0).commit(rows)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let state = lock(&self.0);
        let Some(store) = &state.store else { unreachable!("it is open") };
        store.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        // Copied: `visit` may come back to the store.
        let rows = {
            let state = lock(&self.0);
            let Some(store) = &state.store else { unreachable!("it is open") };
            let mut rows = Vec::new();
            store.scan(table, range, order, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })?;
            rows
        };
        let _ = rows.iter().try_for_each(|(key, value)| visit(key, value));
        Ok(())
    }

    fn close(&self) -> Result<(), Error> {
        // The next process opens it again.
        Ok(())
    }
}
