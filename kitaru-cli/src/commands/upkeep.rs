//! The upkeep of a store: deleting, collecting, looking at all of it, and copies of it.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, BufReader, Read as _, Write as _};
use std::path::Path;

use kitaru_control::api;
use kitaru_control::text as number;
use kitaru_core::{History, Kitaru};
use serde::Serialize;

use crate::args::{Delete, Gc, Import};
use crate::failure::Failure;
use crate::output::{now_ms, print, print_json};
use crate::target::Store;
use crate::text::{self, Cell};

/// The longest name of a file without its ending, in bytes.
const LONGEST_NAME: usize = 120;

pub(super) async fn delete(store: &Store, delete: &Delete, json: bool) -> Result<(), Failure> {
    let target = store.find(&delete.execution).await?;
    let name = target.name();
    if delete.dry_run {
        let execution = store.client.execution(&target.flow, &target.id).await?;
        return done(json, &format!("would delete {name}, which is {}", execution.status));
    }
    store.client.delete(&target.flow, &target.id).await?;
    done(json, &format!("deleted {name}"))
}

/// Says what was done.
fn done(json: bool, what: &str) -> Result<(), Failure> {
    match json {
        true => print_json(&api::Done {}),
        false => print(&format!("{what}\n")),
    }
}

pub(super) async fn gc(store: &Store, gc: &Gc, json: bool) -> Result<(), Failure> {
    let older_than_ms = gc.older_than.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    let collected = store.client.gc(api::Gc { older_than_ms, dry_run: gc.dry_run }).await?;
    if json {
        return print_json(&collected);
    }
    let api::Collected { generations, bytes } = collected;
    let executions = if generations == 1 { "1 execution".to_owned() } else { format!("{generations} executions") };
    let size = number::bytes(bytes);
    print(&match (generations, gc.dry_run) {
        (0, _) => "nothing is old enough to be deleted\n".to_owned(),
        (_, true) => format!("would delete {executions} with {size} of rows\n"),
        (_, false) => format!("deleted {executions}; {size} of the file are free for new rows\n"),
    })
}

pub(super) async fn audit(store: &Store, json: bool) -> Result<(), Failure> {
    let audit = store.client.audit().await?;
    if json {
        return print_json(&audit);
    }
    if audit.entries.is_empty() {
        return print("no deletions\n");
    }
    let now = now_ms();
    let rows = audit.entries.iter().map(|entry| {
        vec![
            Cell::new(text::when(entry.at_ms, now)),
            Cell::new(entry.action.clone()),
            Cell::new(text::plain(&entry.about)),
            Cell::new(text::plain(&entry.by)),
        ]
    });
    print(&text::table(&["WHEN", "ACTION", "WHAT", "BY"], rows.collect()))
}

pub(super) async fn doctor(store: &Store, json: bool) -> Result<(), Failure> {
    let checkup = store.client.checkup().await?;
    match json {
        true => print_json(&checkup)?,
        false => print(&written(&checkup))?,
    }
    let problems = checkup.found.iter().filter(|found| found.is_problem).map(|found| found.count).sum();
    if checkup.is_well { Ok(()) } else { Err(Failure::Unwell(problems)) }
}

fn written(checkup: &api::Checkup) -> String {
    let (rows, bytes) =
        checkup.tables.iter().fold((0, 0), |(rows, bytes), table| (rows + table.rows, bytes + table.bytes));
    let format = checkup.format.map_or_else(String::new, |format| format!("format {format}, "));
    let mut written = format!("{format}{rows} rows with {}\n", number::bytes(bytes));
    if !checkup.statuses.is_empty() {
        let counts = checkup
            .statuses
            .iter()
            .map(|status| format!("{} {}", status.count, text::styled(text::colour(&status.status), &status.status)));
        let _ = writeln!(written, "executions: {}", counts.collect::<Vec<_>>().join(", "));
    }
    let row = |name: String, numbers: [u64; 2], bytes| {
        let [first, second] = numbers.map(|number| Cell::new(number.to_string()));
        vec![Cell::new(name), first, second, Cell::new(number::bytes(bytes))]
    };
    if !checkup.flows.is_empty() {
        let flows =
            checkup.flows.iter().map(|flow| row(text::plain(&flow.flow), [flow.generations, flow.records], flow.bytes));
        let _ = write!(written, "\n{}", text::table(&["FLOW", "EXECUTIONS", "RECORDS", "SIZE"], flows.collect()));
    }
    if !checkup.largest.is_empty() {
        let largest = checkup.largest.iter().map(|large| {
            let name = text::name(&large.flow, &large.id);
            row(name, [large.generation.into(), large.records], large.bytes)
        });
        let _ = write!(written, "\n{}", text::table(&["LARGEST", "GENERATION", "RECORDS", "SIZE"], largest.collect()));
    }
    for found in &checkup.found {
        let style = if found.is_problem { text::BAD } else { text::FAINT };
        let _ = writeln!(written, "\n{} {}: {}", found.count, text::styled(style, &found.kind), found.advice);
        for finding in &found.findings {
            let place = text::plain(&finding.place);
            let _ = match &*finding.detail {
                "" => writeln!(written, "  {place}"),
                detail => writeln!(written, "  {place}: {}", text::plain(detail)),
            };
        }
        if found.count > found.findings.len() as u64 {
            let _ = writeln!(written, "  … and {} more", found.count - found.findings.len() as u64);
        }
    }
    if checkup.is_well {
        let _ = writeln!(written, "\n{}", text::styled(text::colour("completed"), "all is well"));
    }
    written
}

pub(super) async fn backup(store: &Store, file: &Path, json: bool) -> Result<(), Failure> {
    let path = std::path::absolute(file).map_err(|why| cannot_use(file, &why))?;
    let Some(name) = path.to_str() else {
        return Err(Failure::Failed(format!(
            "cannot write {}: its name is not UTF-8; name another file",
            file.display()
        )));
    };
    let backup = store.client.backup(name).await?;
    match json {
        true => print_json(&backup),
        false => {
            let (rows, size) = (backup.rows, number::bytes(backup.bytes));
            print(&format!("wrote {}: {rows} rows with {size}\n", text::plain(name)))
        }
    }
}

/// Makes a store of a backup. No store need be there.
pub(crate) async fn restore(dir: &Path, file: &Path, json: bool) -> Result<(), Failure> {
    let opened = fs::File::open(file).map_err(|why| cannot_use(file, &why))?;
    let backup =
        Kitaru::restore(BufReader::new(opened), dir).await.map_err(|error| Failure::Failed(format!("{error:#}")))?;
    let (rows, bytes) = (backup.rows(), backup.bytes());
    match json {
        true => print_json(&api::Backup { rows, bytes }),
        false => print(&format!("restored {rows} rows to {}\n", dir.display())),
    }
}

/// Where a history was put.
#[derive(Serialize)]
struct Imported {
    file: String,
}

/// Puts a history into the folder of a test.
pub(crate) fn import(import: &Import, json: bool) -> Result<(), Failure> {
    let Import { file, to, force } = import;
    let text = match file.as_os_str() == "-" {
        true => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => fs::read_to_string(file),
    };
    let text = text.map_err(|why| cannot_use(file, &why))?;
    let history: History = text.parse().map_err(|error| Failure::Failed(format!("{error:#}")))?;
    let path = to.join(format!("{}.json", name_of(&history)));
    let written = fs::create_dir_all(to).and_then(|()| {
        let mut options = OpenOptions::new();
        options.write(true).truncate(true);
        let mut out = if *force { options.create(true).open(&path) } else { options.create_new(true).open(&path) }?;
        out.write_all(history.to_string().as_bytes())
    });
    match written {
        Ok(()) if json => print_json(&Imported { file: path.display().to_string() }),
        Ok(()) => print(&format!("wrote {}\n", text::plain(&path.display().to_string()))),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Err(Failure::Failed(format!(
            "cannot write {}: it exists; replace it with --force, or rename it",
            path.display()
        ))),
        Err(why) => Err(cannot_use(&path, &why)),
    }
}

/// The flow, the id and the status, as a name of a file and of a test.
fn name_of(history: &History) -> String {
    let id = history.execution().map_or_else(String::new, |execution| execution.id().to_owned());
    let name = [history.flow(), &*id, history.status()].join("-");
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let mut name: String = name.chars().map(|char| if is_plain(char) { char } else { '_' }).collect();
    name.truncate(LONGEST_NAME);
    name
}

fn cannot_use(file: &Path, why: &io::Error) -> Failure {
    Failure::Failed(format!("cannot use {}: {why}; name another file", file.display()))
}
