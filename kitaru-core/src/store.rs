//! TEMPORARY
#![allow(missing_docs)]
use crate::error::{Error, Kind};
use redb::{Database, ReadableDatabase, TableDefinition};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, atomic::*};
use std::{ops::{Bound, ControlFlow}, sync::Arc, time::Duration, path::Path};
fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> { m.lock().unwrap_or_else(PoisonError::into_inner) }
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)] pub enum Table { Meta, Execution, Name, State, Unfinished, Journal, Shape, Memo }
#[derive(Clone, Debug)] pub struct Key(Vec<u8>);
impl<T: AsRef<[u8]>> From<T> for Key { fn from(t: T) -> Self { Key(t.as_ref().to_vec()) } }
impl Key { pub fn as_bytes(&self) -> &[u8] { &self.0 } }
#[derive(Clone, Debug)] pub struct Row { pub table: Table, pub key: Key, pub value: Option<Vec<u8>> }
pub enum Durability { Fast, QuickRepair }
pub enum Order { Ascending, Descending }
type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);
pub trait Store: Send + Sync + 'static {
    fn commit(&self, rows: &[Row], durability: Durability) -> Result<(), Error>;
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<(), Error>;
    fn close(&self) -> Result<(), Error>;
}
fn crc(t: Table, k: &[u8], v: &[u8]) -> [u8; 4] { let mut h = crc32fast::Hasher::new(); h.update(&[t as u8]); h.update(k); h.update(v); h.finalize().to_le_bytes() }
pub(crate) fn seal(t: Table, k: &[u8], v: &mut Vec<u8>) { let c = crc(t, k, v); v.extend_from_slice(&c) }
fn unseal<'a>(t: Table, k: &[u8], v: &'a [u8]) -> Result<&'a [u8], Error> {
    match v.split_last_chunk::<4>() { Some((v, c)) if crc(t, k, v) == *c => Ok(v), _ => Err(Error::new(Kind::Store, "row damaged")) } }
pub(crate) struct Reader(Arc<dyn Store>);
impl Reader { pub(crate) fn new(s: Arc<dyn Store>) -> Self { Reader(s) }
 pub(crate) fn get(&self, t: Table, k: &[u8]) -> Result<Option<Vec<u8>>, Error> { Ok(match self.0.get(t, k)? { Some(v) => Some(unseal(t, k, &v)?.to_vec()), None => None }) }
 pub(crate) fn scan(&self, t: Table, r: Range<'_>, o: Order, f: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<(), Error> {
    let mut e = None;
    self.0.scan(t, r, o, &mut |k, v| match unseal(t, k, v) { Ok(v) => f(k, v), Err(x) => { e = Some(x); ControlFlow::Break(()) } })?;
    e.map_or(Ok(()), Err) } }
pub(crate) trait Owner: Send + Sync { fn journal(&self) -> u64; fn number(&self) -> u64; fn landed(&self, token: u64, result: Result<u64, Error>); }
#[derive(PartialEq)] pub(crate) enum Activity { GoesOn, Ends }
pub(crate) struct Submission { pub owner: Arc<dyn Owner>, pub token: u64, pub rows: Vec<Row>, pub frame: Option<Vec<u8>>, pub activity: Activity }
#[derive(Default)] struct Q { items: Vec<Submission>, stop: bool }
struct W { store: Arc<dyn Store>, q: Mutex<Q>, cv: Condvar, running: AtomicUsize }
pub(crate) struct Writer(Arc<W>, Mutex<Option<std::thread::JoinHandle<()>>>);
#[derive(Default)] pub(crate) struct WriterOptions;
impl Writer {
 pub(crate) fn start(store: Arc<dyn Store>, _: WriterOptions) -> Self { let w = Arc::new(W { store, q: Default::default(), cv: Condvar::new(), running: 0.into() }); let w2 = w.clone(); let h = std::thread::spawn(move || w2.run()); Writer(w, Mutex::new(Some(h))) }
 pub(crate) fn submit(&self, s: Submission) -> Result<(), Error> { let mut q = lock(&self.0.q); if q.stop { return Err(Error::new(Kind::Closed, "closed")) } q.items.push(s); let n = q.items.len(); drop(q); if n == 1 { self.0.cv.notify_one() } Ok(()) }
 pub(crate) fn enter(&self) { self.0.running.fetch_add(1, Ordering::SeqCst); } pub(crate) fn leave(&self) { self.0.running.fetch_sub(1, Ordering::SeqCst); }
 pub(crate) fn close(&self) -> Result<(), Error> { lock(&self.0.q).stop = true; self.0.cv.notify_one(); if let Some(h) = lock(&self.1).take() { h.join().ok(); } self.0.store.close() } }
impl W { fn run(&self) { loop {
    let items = { let mut q = lock(&self.q); while q.items.is_empty() { if q.stop { return } q = self.cv.wait(q).unwrap_or_else(PoisonError::into_inner) } std::mem::take(&mut q.items) };
    let mut rows = vec![]; let mut acks = vec![];
    for s in items { for mut r in s.rows { if let Some(v) = &mut r.value { seal(r.table, &r.key.0, v) } rows.push(r) }
        let mut n = 0; if let Some(mut f) = s.frame { n = s.owner.number(); let mut k = s.owner.journal().to_be_bytes().to_vec(); k.extend(n.to_be_bytes()); seal(Table::Journal, &k, &mut f); rows.push(Row { table: Table::Journal, key: Key(k), value: Some(f) }) }
        if s.activity == Activity::Ends { self.running.fetch_sub(1, Ordering::SeqCst); }
        acks.push((s.owner, s.token, n)) }
    let d = if self.running.load(Ordering::SeqCst) == 0 { Durability::QuickRepair } else { Durability::Fast };
    let r = self.store.commit(&rows, d);
    for (o, t, n) in acks { o.landed(t, r.clone().map(|()| n)) }
} } }
#[derive(Default)] pub struct Memory(Mutex<BTreeMap<(Table, Vec<u8>), Vec<u8>>>); impl Memory { pub fn new() -> Self { Self::default() } }
impl Store for Memory {
    fn commit(&self, rows: &[Row], _: Durability) -> Result<(), Error> { let mut m = lock(&self.0); for r in rows { match &r.value { Some(v) => m.insert((r.table, r.key.0.clone()), v.clone()), None => m.remove(&(r.table, r.key.0.clone())) }; } Ok(()) }
    fn get(&self, t: Table, k: &[u8]) -> Result<Option<Vec<u8>>, Error> { Ok(lock(&self.0).get(&(t, k.to_vec())).cloned()) }
    fn scan(&self, t: Table, (a, b): Range<'_>, o: Order, f: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<(), Error> {
        let m = lock(&self.0); let it: Vec<_> = m.iter().filter(|((tt, k), _)| *tt == t && (match a { Bound::Included(a) => &k[..] >= a, Bound::Excluded(a) => &k[..] > a, _ => true }) && (match b { Bound::Included(b) => &k[..] <= b, Bound::Excluded(b) => &k[..] < b, _ => true })).map(|((_, k), v)| (k.clone(), v.clone())).collect(); drop(m);
        match o { Order::Ascending => for (k, v) in it { if f(&k, &v).is_break() { break } }, Order::Descending => for (k, v) in it.into_iter().rev() { if f(&k, &v).is_break() { break } } } Ok(()) }
    fn close(&self) -> Result<(), Error> { Ok(()) } }
pub struct Redb(Mutex<Option<Arc<Database>>>); #[derive(Clone)] pub struct OpenOptions { pub lock_timeout: Duration } impl Default for OpenOptions { fn default() -> Self { OpenOptions { lock_timeout: Duration::from_secs(5) } } }
const T: [TableDefinition<'static, &[u8], &[u8]>; 8] = [TableDefinition::new("meta"), TableDefinition::new("exec"), TableDefinition::new("name"), TableDefinition::new("state"), TableDefinition::new("unf"), TableDefinition::new("journal"), TableDefinition::new("shape"), TableDefinition::new("memo")];
fn e(x: impl std::fmt::Display) -> Error { Error::new(Kind::Store, x) }
impl Redb { pub fn open(p: &Path, _: OpenOptions) -> Result<Self, Error> { std::fs::create_dir_all(p).map_err(e)?; std::fs::write(p.join(".gitignore"), "*\n").map_err(e)?; let db = Database::create(p.join("store.redb")).map_err(e)?; let w = db.begin_write().map_err(e)?; for t in T { w.open_table(t).map_err(e)?; } w.commit().map_err(e)?; Ok(Redb(Mutex::new(Some(Arc::new(db))))) }
 fn db(&self) -> Result<Arc<Database>, Error> { lock(&self.0).clone().ok_or_else(|| Error::new(Kind::Closed, "closed")) } }
impl Store for Redb {
    fn commit(&self, rows: &[Row], d: Durability) -> Result<(), Error> { let db = self.db()?; let mut w = db.begin_write().map_err(e)?; if let Durability::QuickRepair = d { w.set_quick_repair(true) }
        { let mut open: Vec<Option<redb::Table<'_, &[u8], &[u8]>>> = (0..8).map(|_| None).collect();
          for r in rows { let t = r.table as usize; if open[t].is_none() { open[t] = Some(w.open_table(T[t]).map_err(e)?) } let tab = open[t].as_mut().expect("opened");
            match &r.value { Some(v) => { tab.insert(&r.key.0[..], &v[..]).map_err(e)?; } None => { tab.remove(&r.key.0[..]).map_err(e)?; } } } }
        w.commit().map_err(e) }
    fn get(&self, t: Table, k: &[u8]) -> Result<Option<Vec<u8>>, Error> { let db = self.db()?; let r = db.begin_read().map_err(e)?; Ok(r.open_table(T[t as usize]).map_err(e)?.get(k).map_err(e)?.map(|v| v.value().to_vec())) }
    fn scan(&self, t: Table, range: Range<'_>, o: Order, f: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<(), Error> {
        let db = self.db()?; let r = db.begin_read().map_err(e)?; let tab = r.open_table(T[t as usize]).map_err(e)?; let mut it = tab.range::<&[u8]>(range).map_err(e)?;
        loop { let n = match o { Order::Ascending => it.next(), Order::Descending => it.next_back() }; let Some(n) = n else { return Ok(()) }; let (k, v) = n.map_err(e)?; if f(k.value(), v.value()).is_break() { return Ok(()) } } }
    fn close(&self) -> Result<(), Error> { lock(&self.0).take(); Ok(()) } }
