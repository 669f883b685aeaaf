//! Histories against today's code: records answer, nothing runs. Owns the comparison; must not know how a history is kept.

use std::path::Path;
use std::sync::Arc;

use crate::client::FlowCall;
use crate::error::{Error, Kind, cannot};
use crate::id::{JournalId, Seq};
use crate::journal::{
    Aside, Frame, Header, Lineage, OutcomeFrame, SettledFrame, Status, Tally, UnfinishedRow, aside_key, generation_key,
    journal_key, name_key,
};
use crate::ledger::Archive;
use crate::pool;
use crate::program;
use crate::shown::short;
use crate::store::{Row, RowKey, Table, seal};
use crate::testkit::chance;
use crate::testkit::house::{House, ParkingMode};
use crate::testkit::process::{Process, runtime};
use crate::testkit::script::{Mismatch, Script};
use crate::testkit::shelf::Shelf;
use crate::view::History;

/// The replayed generation is the only one of the store.
const JOURNAL: JournalId = JournalId(1);

/// Replays a history against today's code. Panics if the code makes other calls than those recorded.
///
/// Records answer the calls, and no body runs. The message shows each difference like a compiler's error: the checkpoint, its
/// place in the code, what was recorded, what was asked, and the arguments that differ.
///
/// # Panics
///
/// With that message; when the call is of another flow or has another input; and when the history lacks the value of a
/// `sensitive` checkpoint, which was left out: set one with [`History::with_value`].
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// # use kitaru::{Error, dynamic::{checkpoint, flow}, testkit::{self, Testkit}};
/// # let report = || flow("report").run(|| async {
/// #     checkpoint("research").run(|| async { Ok::<_, Error>("notes".to_owned()) }).await
/// # });
/// let kit = Testkit::new();
/// kit.run(report().id("job")).await?;
/// let history = kit.kitaru().export(("report", "job")).await?;
/// // Kept, and read again:
/// testkit::replay(&history.to_string().parse()?, report());
/// # Ok(()) }
/// ```
#[track_caller]
pub fn replay<R: Send + 'static>(history: &History, call: FlowCall<R>) {
    if let Err(mismatch) = replay_report(history, call) {
        panic!("{mismatch}");
    }
}

/// As [`replay`], but returns the difference.
///
/// # Errors
///
/// The difference.
pub fn replay_report<R: Send + 'static>(history: &History, call: FlowCall<R>) -> Result<(), Mismatch> {
    check(history, Some(call))
}

/// Replays a history of a `#[flow]` of this program, read from a file. The tests of `testkit::histories!` call it.
///
/// # Panics
///
/// As [`replay`], and when the file cannot be read.
#[track_caller]
pub fn replay_file(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let read = std::fs::read_to_string(path).map_err(Error::msg).and_then(|text| text.parse::<History>());
    let history = read.unwrap_or_else(|why| panic!("{}: {why:#}", path.display()));
    if let Err(mismatch) = check(&history, None::<FlowCall<()>>) {
        panic!("{}\n{mismatch}", path.display());
    }
}

fn check<R: Send + 'static>(history: &History, call: Option<FlowCall<R>>) -> Result<(), Mismatch> {
    let explore = || {
        pool::work_inline();
        play(history, call)
    };
    // A thread of its own: this one may belong to a runtime, which cannot run another one.
    let played = std::thread::scope(|scope| scope.spawn(explore).join());
    played.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn play<R: Send + 'static>(history: &History, call: Option<FlowCall<R>>) -> Result<(), Mismatch> {
    let header = history.header().map_err(Mismatch::no_replay)?;
    refuse(history, call.is_none()).map_err(Mismatch::no_replay)?;
    let house = House::new(chance::seed(), ParkingMode::Plain);
    let script = Script::new(&header, history.frames()).map_err(Mismatch::no_replay)?;
    let fork = history.fork().map_err(Mismatch::no_replay)?;
    let laid = house.rows.store().commit(rows(&header, fork, history, call.is_none()));
    laid.map_err(Mismatch::no_replay)?;
    house.follow(script);
    let (runtime, idle) = runtime(&house);
    let (id, flow) = (header.execution.id.to_string(), history.flow());
    let refused = runtime.block_on(idle.foreground(async {
        let process = Process::open(&house, idle.clone()).await;
        let started = match call {
            Some(call) => call.id(id).on(&process.kitaru).start().await.map(drop),
            // It resumes by itself.
            None => Ok(()),
        };
        process.tasks.spawn(async move { process.idle.settled().await }).await.unwrap_or_default();
        started.err()
    }));
    drop(runtime);
    let script = house.script().expect("the script is taken once");
    let ends = Archive::of(Arc::new(Shelf(house.clone()))).generations().map_err(Mismatch::no_replay)?;
    script.compare(flow, ends.first(), refused)
}

/// Refuses what cannot be replayed.
fn refuse(history: &History, by_name: bool) -> Result<(), Error> {
    let flow = history.flow();
    if by_name && program::find(flow).is_none() {
        let flow = short(flow);
        return Err(cannot!(
            Kind::Misuse,
            "replay the history",
            "this program has no flow `{flow}`",
            "name its crate in the test, as in `use my_crate as _`"
        ));
    }
    match history.left_out() {
        Some(record) => Err({
            let record = short(record);
            cannot!(
                Kind::Misuse,
                "replay the history",
                "the value of `{record}` is sensitive and was left out",
                "set it with History::with_value(…)"
            )
        }),
        None => Ok(()),
    }
}

/// The rows of a store whose generation stopped where the history ends.
fn rows(header: &Header, fork: Option<Lineage>, history: &History, is_unfinished: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut lay = |table: Table, key: &[u8], mut value: Vec<u8>| {
        seal(table, key, &mut value);
        rows.push(Row { table, key: RowKey::from(key), value: Some(value) });
    };
    lay(Table::Execution, &generation_key(JOURNAL), header.write());
    lay(Table::Name, &name_key(&header.execution, header.generation), JOURNAL.0.to_be_bytes().to_vec());
    if let Some(fork) = fork {
        lay(Table::Aside, &aside_key(JOURNAL, Aside::Fork, &[]), fork.write());
    }
    let status = if is_unfinished { Status::Running } else { Status::Interrupted };
    let unfinished =
        UnfinishedRow { status, attempts: 1, updated_ms: header.created_ms, wake_ms: 0, tally: Tally::default() };
    lay(Table::Unfinished, &generation_key(JOURNAL), unfinished.write());
    for (seq, frame) in (1..).map(Seq).zip(history.frames()) {
        let frame = match Frame::read(frame) {
            // An empty record in its place, because a journal has no gaps.
            Ok(Frame::End(_)) => Frame::Settled(SettledFrame { errors: Vec::new() }).write(),
            // An error stays the error, even if another attempt would run the body again.
            Ok(Frame::Outcome(outcome)) => Frame::Outcome(OutcomeFrame { settled: true, ..outcome }).write(),
            Ok(_) | Err(_) => frame.to_vec(),
        };
        lay(Table::Journal, &journal_key(JOURNAL, seq), frame);
    }
    rows
}
