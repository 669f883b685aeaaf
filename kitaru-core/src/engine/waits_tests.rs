//! Which wait an answer is for, in stores of an earlier version, where two calls may have the same visible name.

use std::sync::Arc;

use super::forget;
use crate::error::Error;
use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::{
    Aside, CallFrame, Class, Frame, Header, MailRow, OpenFrame, Opening, OutcomeFrame, Payload, Status, Tally,
    UnfinishedRow, WaitRow, aside_key, call_identity, generation_key, journal_key, name_key,
};
use crate::ledger::{Addressee, Archive, Sent};
use crate::request::Forget;
use crate::store::{Memory, Row, RowKey, Store as _, Table, seal};
use crate::value::{Codec, Key};

const JOURNAL: JournalId = JournalId(1);

fn execution() -> ExecutionId {
    ExecutionId::new("order", "job").unwrap()
}

/// What an earlier version wrote: records, and rows without the identity of a wait.
struct Written {
    rows: Vec<Row>,
    next: u64,
}

impl Written {
    fn new() -> Self {
        let header = Header {
            execution: execution(),
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
        let unfinished =
            UnfinishedRow { status: Status::Waiting, attempts: 1, updated_ms: 1, wake_ms: 0, tally: Tally::default() };
        let key = || generation_key(JOURNAL).to_vec();
        let mut written = Written { rows: Vec::new(), next: 1 };
        written.put(Table::Execution, key(), header.write());
        written.put(Table::Name, name_key(&execution(), 1), key());
        written.put(Table::Unfinished, key(), unfinished.write());
        written
    }

    fn put(&mut self, table: Table, key: Vec<u8>, mut value: Vec<u8>) {
        seal(table, &key, &mut value);
        self.rows.push(Row { table, key: RowKey::from(key), value: Some(value) });
    }

    fn record(&mut self, frame: &Frame<'_>) {
        self.put(Table::Journal, journal_key(JOURNAL, Seq(self.next)).to_vec(), frame.write());
        self.next += 1;
    }

    fn wait(&mut self, name: &str) {
        self.put(Table::Aside, aside_key(JOURNAL, Aside::Wait, name.as_bytes()), WaitRow::default().write());
    }

    fn answer(&mut self, name: &str) {
        let row = MailRow { sent_ms: 1, name: name.to_owned(), json: "1".to_owned(), wait: None, question: None };
        self.put(Table::Aside, aside_key(JOURNAL, Aside::Answer, name.as_bytes()), row.write());
    }

    fn archive(self) -> Archive {
        let memory = Memory::default();
        memory.commit(self.rows.clone()).unwrap();
        Archive::of(Arc::new(memory))
    }
}

/// A call whose visible name is made of these parts.
fn call<'a>(label: &'a str, number: u32) -> CallFrame<'a> {
    let (occurrence, place) = (number - 1, number - 1);
    let key = Key([label.len() as u8; 16]);
    CallFrame { key, occurrence, place, number, attempt: 1, source: 0, checkpoint: "wait", label, args: &[] }
}

fn waits(call: CallFrame<'_>) -> Frame<'_> {
    Frame::Open(OpenFrame { call, opening: Opening::Answer { due_ms: 0 } })
}

fn ended(call: CallFrame<'_>, class: Class) -> Frame<'_> {
    Frame::Outcome(OutcomeFrame {
        call,
        settled: true,
        from_memo: false,
        sensitive: false,
        message: None,
        tries: 1,
        failed: &[],
        metadata: "",
        started_ms: 1,
        duration_us: 1,
        preview: "",
        payload: Payload { class, codec: Codec::Json, shape: 0, bytes: b"1" },
    })
}

fn identity(call: &CallFrame<'_>) -> Key {
    call_identity(&execution(), 1, call.key, call.occurrence)
}

fn to(archive: &Archive, name: &str) -> Result<Addressee, Error> {
    archive.addressed((&execution(), None), name, None, 1).map(|(_, addressee)| addressee)
}

#[test]
fn a_wait_of_an_earlier_version_is_answered_if_it_alone_is_open_under_its_name() {
    let mut written = Written::new();
    written.record(&waits(call("approval", 1)));
    written.record(&ended(call("approval", 1), Class::Value));
    written.record(&ended(call("approval_2", 1), Class::Value));
    written.record(&waits(call("approval", 2)));
    written.wait("approval_2");
    let archive = written.archive();
    assert_eq!(to(&archive, "approval_2").unwrap(), Addressee::Wait(identity(&call("approval", 2))));
    let stored = archive.newest(&execution()).unwrap().unwrap();
    assert_eq!(archive.open_waits(&stored).unwrap().len(), 1);
}

#[test]
fn two_open_waits_of_an_earlier_version_with_one_name_are_not_answered_by_it() {
    let mut written = Written::new();
    written.record(&waits(call("approval_2", 1)));
    written.record(&waits(call("approval", 2)));
    written.wait("approval_2");
    let error = to(&written.archive(), "approval_2").unwrap_err().to_string();
    assert!(error.contains("one of `wait` and one of `wait` are open") && error.contains(".fresh()"), "{error}");
}

#[test]
fn kept_answer_of_an_earlier_version_is_for_the_one_open_wait_of_its_name() {
    let given = |mut written: Written| {
        written.answer("approval_2");
        let archive = written.archive();
        let stored = archive.newest(&execution()).unwrap().unwrap();
        let mail = archive.inbox(&stored, u64::MAX).unwrap();
        mail.into_iter()
            .map(|mail| match mail {
                Sent::Answer { wait, .. } => wait,
                mail => panic!("{mail:?}"),
            })
            .collect::<Vec<_>>()
    };
    let mut one = Written::new();
    one.record(&waits(call("approval_2", 1)));
    one.wait("approval_2");
    one.answer("approval_2");
    assert_eq!(given(one), [Addressee::Wait(identity(&call("approval_2", 1)))]);
    // The first takes it, and the second gets nothing.
    let mut taken = Written::new();
    taken.record(&waits(call("approval_2", 1)));
    taken.record(&ended(call("approval_2", 1), Class::Value));
    taken.wait("approval_2");
    taken.answer("approval_2");
    assert_eq!(given(taken), []);
    let mut taken_before = Written::new();
    taken_before.record(&waits(call("approval_2", 1)));
    taken_before.record(&ended(call("approval_2", 1), Class::Value));
    taken_before.record(&waits(call("approval", 2)));
    taken_before.wait("approval_2");
    taken_before.answer("approval_2");
    assert_eq!(given(taken_before), [], "the second is asked on");
    let mut two = Written::new();
    two.record(&waits(call("approval_2", 1)));
    two.record(&waits(call("approval", 2)));
    two.wait("approval_2");
    two.answer("approval_2");
    assert_eq!(given(two), []);
    assert_eq!(given(Written::new()), [Addressee::Named("approval_2".to_owned())], "it is early");
}

#[test]
fn wait_of_an_earlier_version_stays_open_if_another_of_its_name_was_answered() {
    let mut written = Written::new();
    written.record(&waits(call("approval_2", 1)));
    written.record(&ended(call("approval_2", 1), Class::Value));
    written.record(&waits(call("approval", 2)));
    written.wait("approval_2");
    written.answer("approval_2");
    let archive = written.archive();
    let stored = archive.newest(&execution()).unwrap().unwrap();
    assert_eq!(archive.open_waits(&stored).unwrap().len(), 1);
    assert_eq!(to(&archive, "approval_2").unwrap(), Addressee::Wait(identity(&call("approval", 2))));
}

#[test]
fn a_record_is_not_forgotten_by_a_name_that_an_earlier_version_gave_twice() {
    let mut written = Written::new();
    written.record(&ended(call("step", 1), Class::Error));
    written.record(&ended(call("step", 2), Class::Error));
    written.record(&ended(call("step_2", 1), Class::Error));
    let archive = written.archive();
    let journal = archive.journal(&archive.newest(&execution()).unwrap().unwrap()).unwrap();
    for forget in [Forget::Error("step_2".to_owned()), Forget::After("step_2".to_owned())] {
        let error = forget::find(&journal, &[forget], &execution()).unwrap_err().to_string();
        assert!(error.contains("records 2 of `wait` and 3 of `wait`"), "{error}");
    }
    assert_eq!(forget::find(&journal, &[Forget::Error("step".to_owned())], &execution()).unwrap().len(), 1);
}
