//! The numbers in the docs match those in the code.

use std::fs;
use std::path::Path;

use crate::client::{builder, executions};
use crate::context::{MOST_NAMES, MOST_NOTES_BYTES};
use crate::engine;
use crate::error::{Error, MAX_MESSAGE_BYTES, MAX_MESSAGES};
use crate::id::{MAX_ID_BYTES, MAX_NAME_BYTES};
use crate::journal::FailedTryFrame;
use crate::journal::PREVIEW_BYTES;
use crate::ledger;
use crate::machine::{Backoff, MAX_CALLS, MOST_DEATHS};
use crate::publish;
use crate::request::{MAX_TAG_BYTES, MAX_TAGS};
use crate::runtime::DEFAULT_MAX_OUTCOME_BYTES;
use crate::store::WriterOptions;
use crate::value::{MOST_LEVELS, MOST_WRAPS};

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}

fn kibibytes(bytes: usize) -> String {
    assert!(bytes.is_multiple_of(1 << 10));
    format!("{} KiB", bytes >> 10)
}

fn mebibytes(bytes: u64) -> String {
    assert!(bytes.is_multiple_of(1 << 20));
    if bytes.is_multiple_of(1 << 30) { format!("{} GiB", bytes >> 30) } else { format!("{} MiB", bytes >> 20) }
}

/// The row of a table that begins like this, which must contain all of these.
fn check(file: &str, what: &str, numbers: &[String]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    let text = fs::read_to_string(path).expect("a page of the docs");
    let row = text.lines().find(|line| line.starts_with(&format!("| {what} |")));
    let row = row.unwrap_or_else(|| panic!("{file} has no row `{what}`"));
    for number in numbers {
        assert!(row.contains(number), "{file}: `{row}` lacks {number}");
    }
}

#[test]
fn the_numbers_in_the_docs_are_those_of_the_code() {
    let writer = WriterOptions::default();
    let id_and_name = [format!("{MAX_ID_BYTES} bytes"), format!("{MAX_NAME_BYTES} bytes")];
    let tags = [format!("{MAX_TAG_BYTES} bytes"), MAX_TAGS.to_string()];
    let outcome = mebibytes(DEFAULT_MAX_OUTCOME_BYTES as u64);
    let (mail, early) = (mebibytes(ledger::MOST_MAIL_BYTES), grouped(ledger::MOST_EARLY_ANSWERS));
    let waiting = mebibytes(writer.queue_bytes as u64);

    let model = |what: &str, numbers: &[String]| check("model.md", what, numbers);
    model("an id; a name", &id_and_name);
    model("a tag; tags of an execution", &tags);
    model("an encoded outcome or input", std::slice::from_ref(&outcome));
    model("the depth of a value", &[format!("{MOST_LEVELS} levels"), format!("{MOST_WRAPS} options")]);
    model("an error", &[format!("{MAX_MESSAGES} messages"), kibibytes(MAX_MESSAGE_BYTES)]);
    let shown = [mebibytes(publish::MOST_BYTES as u64), kibibytes(MOST_NOTES_BYTES), grouped(MOST_NAMES as u64)];
    model("a published value; the metadata of a record; names in an execution", &shown);
    let (cap, first) = (Backoff::DEFAULT_CAP, Backoff::DEFAULT_FIRST);
    let pauses = [format!("{} s", cap.as_secs()), format!("{} ms", first.as_millis())];
    model("a pause between tries", &pauses);
    assert_eq!(Error::MOST_RETRY_AFTER.as_secs(), 24 * 3_600);
    model("a pause set by an error with `retry_after`", &["a day".to_owned()]);
    model("a preview", &[format!("{PREVIEW_BYTES} bytes")]);
    assert_eq!((ledger::MOST_SIGNALS, MAX_CALLS), (1 << 20, 1 << 24));
    model(
        "signals sent to a generation; answers that arrive before their wait opens",
        &["2²⁰".to_owned(), early.clone()],
    );
    model("signals and answers sent to a generation, in bytes", std::slice::from_ref(&mail));
    model("calls of one attempt", &["2²⁴".to_owned()]);
    model("failed tries that a record shows", &[format!("the last {}", FailedTryFrame::MOST)]);
    let commit = [grouped(writer.batch_count as u64), mebibytes(writer.batch_bytes as u64)];
    model("a commit", &commit);
    model("what waits for a commit, what the commit has taken included", std::slice::from_ref(&waiting));
    model("a page of executions", &[grouped(executions::MAX_LIMIT as u64)]);
    model("generations that a page looks at", &[grouped(engine::MOST_LOOKED_AT as u64)]);
    model("index entries that a page passes over", &[grouped(ledger::MOST_PASSED as u64)]);
    model("generations that the beginning of an id leads to", &[grouped(ledger::MOST_NAMED as u64)]);
    model("executions that resume automatically and concurrently", &[builder::DEFAULT_RECOVERY.to_string()]);
    model("consecutive crashes without a lasting record", &[MOST_DEATHS.to_string()]);

    let security = |what: &str, numbers: &[String]| check("security.md", what, numbers);
    security("a value: an outcome, a signal, an answer", &[outcome]);
    security("an id; a name", &id_and_name);
    security("signals to a generation", &[grouped(ledger::MOST_SIGNALS)]);
    security("signals and answers to a generation, in bytes", &[mail]);
    security("answers that arrive before their wait opens", &[early]);
    let loaded = mebibytes(ledger::most_loaded_bytes(DEFAULT_MAX_OUTCOME_BYTES));
    security("signals and answers that an attempt loads from its store", &[loaded]);
    security("calls, places and occurrences in a journal", &[grouped(MAX_CALLS.into())]);
    assert_eq!(ledger::MOST_JOURNALS, 1 << 62);
    security("the number of a journal, a record, a commit", &["2⁶²".to_owned()]);
    security("a history", &[mebibytes(crate::view::MOST_HISTORY_BYTES as u64)]);
    security("what waits for a commit, and what a commit has taken", &[waiting]);
}
