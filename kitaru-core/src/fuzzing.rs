//! The readers of all data that comes from a disk or from outside, as a fuzzer calls them. Owns what must hold of any bytes, in
//! addition to the absence of panics: a value that was read is written, and read again, as the same value. Built only for tests
//! and for the targets in `fuzz/`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::call::{self, Received};
use crate::chance;
use crate::client::FlowCall;
use crate::dynamic::{checkpoint, flow};
use crate::error::Error;
use crate::journal::{
    Arg, AuditLine, FailedTryFrame, Frame, Header, Heading, Lineage, MailRow, Malformed, MemoRow, Note, Opening,
    ParentCall, Payload, UnfinishedRow, WaitRow, aside_name,
};
use crate::testkit;
use crate::value::{Codec, CodecWish, DecodeError, NotShown, decode, encode, show};
use crate::view::History;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// Every target, by its name.
pub const TARGETS: [(&str, Target); 6] = [
    ("frames", frames),
    ("rows", rows),
    ("values", values),
    ("answers", answers),
    ("shapes", shapes),
    ("histories", histories),
];

/// The records of a journal.
pub fn frames(bytes: &[u8]) {
    let heading = Heading::read(bytes);
    let payload = Payload::of_outcome(bytes);
    let Ok(frame) = Frame::read(bytes) else { return };
    let again = frame.write();
    assert_eq!(Frame::read(&again).as_ref(), Ok(&frame));
    // The index and the fast path to a value see what the whole frame contains.
    assert_eq!(Heading::read(&again), heading);
    match &frame {
        Frame::Outcome(outcome) => {
            assert_eq!(payload, Ok(outcome.payload));
            let _ = (outcome.call.name(), outcome.payload.kitaru_error());
            args(outcome.call.args);
            tries(outcome.failed);
        }
        Frame::Intent(call) => args(call.args),
        Frame::Open(open) => {
            args(open.call.args);
            if let Opening::Pause { failed, .. } = &open.opening {
                tries(failed);
            }
        }
        Frame::End(end) | Frame::Unwind(end) => drop(end.payload.kitaru_error()),
        Frame::Settled(_) | Frame::Now(_) | Frame::Patched(_) | Frame::Forgot(_) => {}
    }
}

fn args(bytes: &[u8]) {
    if let Ok(args) = Arg::read_all(bytes) {
        assert_eq!(Arg::read_all(&Arg::write_all(&args)), Ok(args));
    }
}

fn tries(bytes: &[u8]) {
    if let Ok(tries) = FailedTryFrame::read_all(bytes) {
        assert_eq!(FailedTryFrame::read_all(&FailedTryFrame::write_all(&tries)), Ok(tries));
    }
}

/// The rows about an execution and next to its journal. The first byte chooses the row.
pub fn rows(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 8 {
        0 => row(bytes, Header::read, Header::write),
        1 => row(bytes, UnfinishedRow::read, UnfinishedRow::write),
        2 => {
            if let Ok(memo) = MemoRow::read(bytes) {
                assert_eq!(MemoRow::read(&memo.write()), Ok(memo));
            }
        }
        3 => row(bytes, MailRow::read, MailRow::write),
        4 => row(bytes, WaitRow::read, WaitRow::write),
        5 => row(bytes, ParentCall::read, ParentCall::write),
        6 => row(bytes, Note::read, Note::write),
        7 => row(bytes, AuditLine::read, AuditLine::write),
        _ => row(bytes, Lineage::read, Lineage::write),
    }
    let _ = aside_name(bytes);
}

fn row<R: PartialEq + Debug>(bytes: &[u8], read: fn(&[u8]) -> Result<R, Malformed>, write: fn(&R) -> Vec<u8>) {
    if let Ok(row) = read(bytes) {
        assert_eq!(read(&write(&row)), Ok(row));
    }
}

/// Encoded values, of some types. The first byte chooses the type, the second its codec.
pub fn values(bytes: &[u8]) {
    let [which, codec, bytes @ ..] = bytes else { return };
    let Some(codec) = Codec::from_u8(codec % 3) else { return };
    match which % 6 {
        0 => value::<Order>(codec, bytes),
        1 => value::<Vec<Tree>>(codec, bytes),
        2 => value::<BTreeMap<String, Option<(i64, f32, char)>>>(codec, bytes),
        3 => value::<(u128, i16, bool, Box<[u8; 3]>, ())>(codec, bytes),
        4 => value::<Vec<serde_json::Value>>(codec, bytes),
        _ => value::<Result<std::time::Duration, Error>>(codec, bytes),
    }
}

/// The most bytes of a value here.
const LIMIT: usize = 1 << 20;

fn value<T: Serialize + DeserializeOwned>(codec: Codec, bytes: &[u8]) {
    let read = match decode::<T>(codec, 0, bytes) {
        // Its shape is the one that its record would have had.
        Err(DecodeError::Shape { found }) => decode(codec, fingerprint(&found), bytes),
        read => read,
    };
    let value: T = match read {
        Ok(value) => value,
        Err(why) => return drop(why.to_string()),
    };
    let Ok((encoded, back)) = encode(&value, CodecWish::Bincode, LIMIT) else { return };
    let (again, _) = encode(&back, CodecWish::Bincode, LIMIT).expect("what was read back can be written");
    assert_eq!(again.bytes, encoded.bytes);
    let shape = encoded.shape.as_ref().map_or(0, |shape| shape.fingerprint);
    assert!(decode::<T>(encoded.codec, shape, &encoded.bytes).is_ok());
    // A value this small is shown, as JSON that other readers accept.
    let shown = show(encoded.codec, encoded.shape.as_ref().map(|shape| &*shape.text), &encoded.bytes);
    match shown {
        Ok(shown) => is_json(&shown),
        Err(why) => assert!(why == NotShown::Cut || bytes.len() > 1_000, "{why}"),
    }
}

fn is_json(shown: &serde_json::Value) {
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown.to_string()).expect("JSON"), *shown);
}

/// A shape and the bytes of a value: any text and any bytes. The first two bytes are the length of the text.
pub fn shapes(bytes: &[u8]) {
    let [low, high, bytes @ ..] = bytes else { return };
    let (text, bytes) = bytes.split_at(bytes.len().min(u16::from_le_bytes([*low, *high]).into()));
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(shown) = show(Codec::Bincode, Some(text), bytes) {
        is_json(&shown);
        assert_eq!(show(Codec::Bincode, Some(text), bytes), Ok(shown));
        assert!(show(Codec::Bincode, Some(text), &[bytes, &[0]].concat()).is_err(), "no byte is left over");
    }
    if let Ok(shown) = show(Codec::Json, None, bytes) {
        is_json(&shown);
    }
}

fn fingerprint(shape: &str) -> u64 {
    let digest = blake3::hash(shape.as_bytes());
    digest.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// What people and other programs send, from its row in the store to the type that a flow asks for.
pub fn answers(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let json = match MailRow::read(bytes) {
        Ok(mail) => mail.json,
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    };
    match which % 4 {
        0 => answer::<Order>(json),
        1 => answer::<Vec<Tree>>(json),
        2 => answer::<serde_json::Value>(json),
        _ => answer::<Option<f64>>(json),
    }
}

fn answer<T: DeserializeOwned>(json: String) {
    match Received::<T>::read(json.clone()) {
        Ok(_) => assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "what is recorded can be shown"),
        Err((why, kept)) => {
            assert_eq!(kept, json);
            assert!(!why.is_empty());
            assert!(crate::value::clip(&kept).len() <= 200, "what is shown of it is bounded");
        }
    }
}

/// Exported histories, as they are read and replayed.
pub fn histories(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let history = match text.parse::<History>() {
        Ok(history) => history,
        Err(why) => {
            assert!(why.is_unreadable() && why.to_string().contains("cannot read the history"), "{why:#}");
            return;
        }
    };
    let again = history.to_string().parse::<History>();
    assert_eq!(again.expect("what was written can be read"), history);
    let filled = history.with_value("research", &[7u32]).expect("a list can be serialized");
    if let Err(mismatch) = testkit::replay_report(&filled, report()) {
        assert!(mismatch.to_string().starts_with("error: "), "{mismatch}");
    }
}

/// The flow that histories are replayed with. It leaves a record of every kind.
fn report() -> FlowCall<Result<String, Error>> {
    flow("report").input("topic", "tides").run(|| async {
        let research = checkpoint("research").arg("topic", "tides").sensitive();
        let facts: Vec<u32> = research.run(|| async { Ok::<_, Error>(vec![7]) }).await?;
        let pay = checkpoint("pay").at_most_once().run(|| async { Err::<u32, _>(Error::msg("no credit")) });
        let refusal = pay.await.expect_err("it fails");
        let greeting = if chance::patched("greeting") { "welcome" } else { "hello" };
        let at = chance::now();
        call::sleep(Duration::from_secs(60)).await;
        let paid: u32 = call::signal("paid").await?;
        let approved: bool = call::wait("approve").await?;
        let child = flow("part").input("n", &paid).run(move || async move { Ok::<_, Error>(paid + 1) });
        Ok(format!("{greeting}, {facts:?}, {refusal}, {at:?}, {approved}, {}", child.await?))
    })
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Order {
    id: u64,
    price: f64,
    lines: Vec<(String, Option<i16>)>,
    by_name: BTreeMap<String, State>,
    initial: char,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum State {
    Open,
    Paid(u32),
    Lost { by: String },
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Tree {
    leaf: u8,
    below: Vec<Tree>,
}
