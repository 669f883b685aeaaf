//! Each check of the invariants, with rows that violate it and rows that do not.

use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::{
    Aside, CallFrame, Class, EndFrame, Forgotten, Frame, Header, Indexed, Note, OpenFrame, Opening, OutcomeFrame,
    ParentCall, Payload, SettledFrame, Status, aside_key, call_identity, generation_key, journal_key,
};
use crate::store::{Row, RowKey, Table};
use crate::testkit::invariants::Invariants;
use crate::value::{Codec, Key};

const JOURNAL: JournalId = JournalId(7);
const CHILD: JournalId = JournalId(8);

fn execution(id: &str) -> ExecutionId {
    ExecutionId::new("report", id).unwrap()
}

/// As in the store: with its checksum.
fn row(table: Table, key: impl AsRef<[u8]>, value: Option<Vec<u8>>) -> Row {
    let sealed = value.map(|value| [value, vec![0; 4]].concat());
    Row { table, key: RowKey::from(key), value: sealed }
}

/// The row by which a list finds a generation.
fn found_by(journal: JournalId, by: Indexed<'_>) -> Row {
    row(Table::Index, by.key(journal), Some(Vec::new()))
}

/// A header, and the row by which a list finds the generation.
fn header(journal: JournalId, id: &str) -> [Row; 2] {
    let header = Header {
        execution: execution(id),
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
    let header = row(Table::Execution, generation_key(journal), Some(header.write()));
    [header, found_by(journal, Indexed::Flow("report"))]
}

fn listed(journal: JournalId) -> Row {
    row(Table::Unfinished, generation_key(journal), Some(vec![1]))
}

fn unlisted(journal: JournalId) -> Row {
    row(Table::Unfinished, generation_key(journal), None)
}

fn record(seq: u64, frame: Frame<'_>) -> Row {
    row(Table::Journal, journal_key(JOURNAL, Seq(seq)), Some(frame.write()))
}

fn call(key: u8, attempt: u32) -> CallFrame<'static> {
    CallFrame {
        key: Key([key; 16]),
        occurrence: 0,
        place: 0,
        number: 1,
        attempt,
        source: 0,
        checkpoint: "draft",
        label: "",
        args: &[],
    }
}

fn payload(class: Class) -> Payload<'static> {
    Payload { class, codec: Codec::Json, shape: 0, bytes: b"1" }
}

fn outcome(seq: u64, call: CallFrame<'static>, class: Class) -> Row {
    let outcome = OutcomeFrame {
        call,
        settled: false,
        from_memo: false,
        sensitive: false,
        message: None,
        tries: 1,
        failed: &[],
        metadata: "",
        started_ms: 0,
        duration_us: 0,
        preview: "",
        payload: payload(class),
    };
    record(seq, Frame::Outcome(outcome))
}

fn end(seq: u64, status: Status) -> [Row; 2] {
    let payload = payload(Class::Value);
    let end = EndFrame { status, attempt: 1, ended_ms: 0, duration_us: 0, preview: "", payload };
    [record(seq, Frame::End(end)), found_by(JOURNAL, Indexed::Status(status))]
}

/// An execution in the store that is on the list of unfinished ones.
fn begun() -> Invariants {
    let mut invariants = Invariants::default();
    invariants.committed(&[&header(JOURNAL, "job")[..], &[listed(JOURNAL)]].concat());
    invariants
}

fn identity(key: u8) -> Key {
    call_identity(&execution("job"), 1, Key([key; 16]), 0)
}

#[track_caller]
fn holds(invariants: &Invariants) {
    assert_eq!(invariants.breaches(), [""; 0]);
}

#[track_caller]
fn breaks(invariants: &Invariants, what: &str) {
    assert!(invariants.breaches().iter().any(|breach| breach.contains(what)), "{:?}", invariants.breaches());
}

#[test]
fn invariants_hold_of_an_execution_from_its_begin_to_its_end() {
    let mut invariants = begun();
    invariants.committed(&[outcome(1, call(1, 1), Class::Value)]);
    invariants.given(&execution("job"), "draft", identity(1));
    invariants.committed(&[outcome(2, call(2, 1), Class::Error)]);
    invariants.given(&execution("job"), "draft", identity(2));
    invariants.committed(&[record(3, Frame::Settled(SettledFrame { errors: vec![Seq(2)] }))]);
    invariants.starts(&execution("job"), "review");
    invariants.committed(&[&end(4, Status::Completed)[..], &[unlisted(JOURNAL)]].concat());
    holds(&invariants);
    assert!(invariants.stands(identity(1)) && invariants.stands(identity(2)));
}

#[test]
fn invariants_find_an_outcome_that_a_flow_is_given_before_it_is_durable() {
    let mut invariants = begun();
    invariants.given(&execution("job"), "draft", identity(1));
    breaks(&invariants, "before it was durable");
}

#[test]
fn invariants_find_a_start_behind_an_error_that_is_not_settled() {
    let mut invariants = begun();
    invariants.committed(&[outcome(1, call(1, 1), Class::Error)]);
    invariants.given(&execution("job"), "draft", identity(1));
    invariants.starts(&execution("job"), "review");
    breaks(&invariants, "before the error of `draft` was settled");
    // A new attempt has received nothing yet.
    let mut invariants = begun();
    invariants.committed(&[outcome(1, call(1, 1), Class::Error)]);
    invariants.given(&execution("job"), "draft", identity(1));
    invariants.begins(&execution("job"));
    invariants.starts(&execution("job"), "draft");
    holds(&invariants);
}

#[test]
fn invariants_find_an_unfinished_journal_that_is_not_listed() {
    let mut invariants = Invariants::default();
    invariants.committed(&[&header(JOURNAL, "job")[..], &[outcome(1, call(1, 1), Class::Value)]].concat());
    breaks(&invariants, "is not listed");
    let mut invariants = Invariants::default();
    invariants.committed(&[listed(JOURNAL), outcome(1, call(1, 1), Class::Value)]);
    breaks(&invariants, "no header");
    let mut invariants = begun();
    invariants.committed(&end(1, Status::Completed));
    breaks(&invariants, "still on the list");
}

#[test]
fn invariants_find_a_hole_in_a_journal() {
    let mut invariants = begun();
    invariants.committed(&[outcome(2, call(1, 1), Class::Value)]);
    breaks(&invariants, "behind record 0");
}

#[test]
fn invariants_find_a_record_behind_the_end() {
    for status in [Status::Completed, Status::Cancelled, Status::ContinuedAsNew] {
        let mut invariants = begun();
        invariants.committed(&[&end(1, status)[..], &[unlisted(JOURNAL)]].concat());
        invariants.committed(&[listed(JOURNAL), outcome(2, call(1, 2), Class::Value)]);
        breaks(&invariants, "was written although it is");
    }
    let mut invariants = begun();
    invariants.committed(&[&end(1, Status::Failed)[..], &[unlisted(JOURNAL)]].concat());
    invariants.committed(&[listed(JOURNAL), outcome(2, call(1, 2), Class::Value)]);
    holds(&invariants);
}

#[test]
fn invariants_find_two_outcomes_of_one_call() {
    let mut invariants = begun();
    invariants.committed(&[outcome(1, call(1, 1), Class::Error), outcome(2, call(1, 1), Class::Value)]);
    holds(&invariants);
    invariants.committed(&[outcome(3, call(1, 1), Class::Value)]);
    breaks(&invariants, "two outcomes that stand");
}

#[test]
fn invariants_find_a_record_of_an_older_attempt() {
    let mut invariants = begun();
    invariants.committed(&[outcome(1, call(1, 2), Class::Value), outcome(2, call(2, 1), Class::Value)]);
    breaks(&invariants, "was recorded by attempt 1, behind attempt 2");
    let mut invariants = begun();
    invariants.committed(&[record(1, Frame::Intent(call(1, 2))), record(2, Frame::Intent(call(2, 1)))]);
    breaks(&invariants, "was recorded by attempt 1, behind attempt 2");
}

#[test]
fn invariants_find_a_settled_record_that_is_not_an_error() {
    let mut invariants = begun();
    let settled = record(2, Frame::Settled(SettledFrame { errors: vec![Seq(1)] }));
    invariants.committed(&[outcome(1, call(1, 1), Class::Value), settled]);
    breaks(&invariants, "settled, but not an error");
}

#[test]
fn invariants_let_what_was_forgotten_run_again() {
    for forgotten in [Forgotten::This(Seq(1)), Forgotten::After(Seq(0))] {
        let mut invariants = begun();
        invariants.committed(&[outcome(1, call(1, 1), Class::Value), record(2, Frame::Forgot(forgotten))]);
        assert!(!invariants.stands(identity(1)));
        invariants.committed(&[outcome(3, call(1, 1), Class::Value)]);
        holds(&invariants);
    }
    // The records before it stay.
    let mut invariants = begun();
    let forgot = record(2, Frame::Forgot(Forgotten::After(Seq(1))));
    invariants.committed(&[outcome(1, call(1, 1), Class::Value), forgot, outcome(3, call(1, 1), Class::Value)]);
    breaks(&invariants, "two outcomes that stand");
}

#[test]
fn invariants_find_a_child_that_its_parent_has_not_called() {
    let parent = ParentCall { journal: JOURNAL, generation: 1, execution: execution("job"), call: Key([1; 16]) };
    let link = row(Table::Aside, aside_key(CHILD, Aside::Parent, &[]), Some(parent.write()));
    let found_by_parent = found_by(CHILD, Indexed::parent(&parent.execution));
    let child = [&header(CHILD, "child")[..], &[listed(CHILD), link, found_by_parent]].concat();
    let mut invariants = begun();
    invariants.committed(&child);
    breaks(&invariants, "records the call");
    let mut invariants = begun();
    let open = OpenFrame { call: call(1, 1), opening: Opening::Execution(execution("child")) };
    invariants.committed(&[record(1, Frame::Open(open))]);
    invariants.committed(&child);
    holds(&invariants);
}

#[test]
fn invariants_find_a_published_value_that_goes_back() {
    for aside in [Aside::Published, Aside::Logged] {
        let says = |nth| {
            let note = Note { nth, updated_ms: 0, json: "1".into() };
            [row(Table::Aside, aside_key(JOURNAL, aside, b"progress"), Some(note.write()))]
        };
        let mut invariants = begun();
        invariants.committed(&says(2));
        invariants.committed(&says(2));
        holds(&invariants);
        invariants.committed(&says(1));
        breaks(&invariants, "went back from value 2 to 1");
    }
}

#[test]
fn invariants_find_an_index_that_says_something_else() {
    let by = |status| found_by(JOURNAL, Indexed::Status(status));
    let not_by = |by: Indexed<'_>| row(Table::Index, by.key(JOURNAL), None);
    let mut invariants = begun();
    invariants.committed(&end(1, Status::Failed)[..1]);
    breaks(&invariants, "is to be found by");
    let mut invariants = begun();
    invariants.committed(&[&end(1, Status::Failed)[..], &[unlisted(JOURNAL)]].concat());
    // It is found by that until it ends otherwise.
    invariants.committed(&[listed(JOURNAL)]);
    let ends = |others: &[Row]| [&end(2, Status::Completed)[..], &[unlisted(JOURNAL)], others].concat();
    let mut ended = invariants.clone();
    ended.committed(&ends(&[not_by(Indexed::Status(Status::Failed))]));
    holds(&ended);
    invariants.committed(&ends(&[]));
    breaks(&invariants, "is to be found by");
    let mut invariants = begun();
    invariants.committed(&[by(Status::Completed)]);
    breaks(&invariants, "is to be found by");
    let tag = row(Table::Aside, aside_key(JOURNAL, Aside::Tag, b"nightly"), Some(vec![1]));
    let mut invariants = begun();
    invariants.committed(&[tag.clone(), found_by(JOURNAL, Indexed::Tag("nightly"))]);
    holds(&invariants);
    let mut invariants = begun();
    invariants.committed(&[tag]);
    breaks(&invariants, "is to be found by");
    let gone = row(Table::Execution, generation_key(JOURNAL), None);
    let mut invariants = begun();
    invariants.committed(&[gone.clone(), not_by(Indexed::Flow("report"))]);
    holds(&invariants);
    let mut invariants = begun();
    invariants.committed(&[gone]);
    breaks(&invariants, "which is not there");
}

#[test]
fn invariants_find_rows_that_cannot_be_read() {
    let mut invariants = Invariants::default();
    invariants.committed(&[row(Table::Execution, generation_key(JOURNAL), Some(vec![1, 255]))]);
    breaks(&invariants, "cannot be read");
    let mut invariants = begun();
    invariants.committed(&[row(Table::Journal, journal_key(JOURNAL, Seq(1)), Some(vec![1, 200]))]);
    breaks(&invariants, "cannot be read");
}
