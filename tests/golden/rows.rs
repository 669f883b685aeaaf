//! A store's rows as text, and a store made of such a text; and as much of the format as tells what kinds of rows a text
//! holds, read as `docs/format.md` describes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const TABLES: [&str; 9] = ["meta", "execution", "name", "unfinished", "journal", "shape", "memo", "aside", "index"];

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn table(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

/// A store's rows as text.
pub(crate) fn dump(store: &Path) -> Result<String, redb::Error> {
    let database = Database::open(store.join("store.redb"))?;
    let transaction = database.begin_read()?;
    let mut text = String::new();
    for name in TABLES {
        // A store of format 1 lacks one.
        let Ok(table) = transaction.open_table(table(name)) else { continue };
        for row in table.iter()? {
            let (key, value) = row?;
            text += &format!("{name} {} {}\n", hex(key.value()), hex(value.value()));
        }
    }
    Ok(text)
}

/// A store made of rows, with the tables that they are in. Its log is empty, if its format has one.
pub(crate) fn restore(text: &str) -> anyhow::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    let database = Database::create(dir.path().join("store.redb"))?;
    let transaction = database.begin_write()?;
    for line in text.lines() {
        let [name, key, value] = line.split(' ').collect::<Vec<_>>()[..] else {
            anyhow::bail!("not a table, a key and a value: {line}")
        };
        let mut table = transaction.open_table(table(name))?;
        table.insert(unhex(key).as_slice(), unhex(value).as_slice())?;
    }
    transaction.commit()?;
    if kinds(text).contains("meta log") {
        ["store.log.0", "store.log.1"].into_iter().try_for_each(|log| std::fs::write(dir.path().join(log), []))?;
    }
    Ok(dir)
}

/// Reads the front of a value.
struct Front<'a>(&'a [u8]);

impl<'a> Front<'a> {
    fn raw(&mut self, length: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(length);
        self.0 = rest;
        front
    }

    fn byte(&mut self) -> u8 {
        self.raw(1)[0]
    }

    fn varint(&mut self) -> u64 {
        let byte = u64::from(self.byte());
        if byte < 0x80 { byte } else { (byte & 0x7f) | self.varint() << 7 }
    }

    fn text(&mut self) -> &'a [u8] {
        let length = self.varint();
        self.raw(length as usize)
    }

    fn call(&mut self) {
        self.raw(16);
        for _ in 0..4 {
            self.varint();
        }
        self.raw(8);
        for _ in 0..3 {
            self.text();
        }
    }
}

/// The kinds of rows that a text holds: its tables, the keys of `meta`, the kinds of frames with what they say of theirs, the
/// letters of `aside`, and the statuses.
pub(crate) fn kinds(text: &str) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for line in text.lines() {
        let [table, key, value] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("no row: {line}") };
        let (key, value) = (unhex(key), unhex(value));
        let mut front = Front(value.get(1..value.len() - 4).unwrap_or_default());
        kinds.insert(match table {
            "meta" => format!("meta {}", String::from_utf8_lossy(&key)),
            "aside" => format!("aside {}", char::from(key[8])),
            "index" => format!("index {}", char::from(key[0])),
            "unfinished" => format!("unfinished {}", front.byte()),
            "journal" => match front.byte() {
                1 => {
                    front.call();
                    let flags = front.byte();
                    if flags & 8 != 0 {
                        front.varint();
                    }
                    for flag in [16, 32] {
                        if flags & flag != 0 {
                            front.text();
                        }
                    }
                    for _ in 0..3 {
                        front.varint();
                    }
                    front.text();
                    format!("outcome, flags {flags}, class {}, codec {}", front.byte(), front.byte())
                }
                6 => {
                    front.call();
                    format!("opening {}", front.byte())
                }
                kind @ (5 | 7) => format!("frame {kind}, status {}", front.byte()),
                9 => format!("frame 9, way {}", front.byte()),
                kind => format!("frame {kind}"),
            },
            table => table.to_owned(),
        });
    }
    kinds
}
