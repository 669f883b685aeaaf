//! Faults of the server at every event of a stream, and a process that ends or is killed there.

use serde_json::{Value, json};

use super::house::{House, How, QUESTIONS, Recorded};
use super::wire::Hold;
use crate::noted;
use crate::process::folder;

/// The faults of a stream.
const FAULTS: [&str; 4] = ["disconnect", "truncate", "malformed", "stall"];

/// The number of the broken answer: in the middle of a turn, with words and with tool calls.
const BROKEN: usize = 2;

/// A stream that breaks after so many events. A stall is longer than a hasty program waits.
fn fault(kind: &str, events: usize) -> Value {
    json!({ "type": "stream_fault", "kind": kind, "after_chunks": events, "stall_seconds": 0.5 })
}

/// How many events an answer can lack and still be whole: usage and the last event follow the finish reason.
fn ends_whole(kind: &str) -> usize {
    if kind == "truncate" { 2 } else { 0 }
}

/// Kills a process as soon as its answer has met the fault.
async fn is_killed(house: &House, trouble: (usize, Value)) {
    let what = format!("{} killed after {trouble:?}", house.program);
    let dir = folder();
    let process =
        house.begin(dir.path(), How { hold: Some(Hold::Over(trouble.0)), trouble: Some(trouble), ..How::default() });
    assert!(house.wire.is_held(), "{what}: it does not come there");
    process.kill();
    let left = house.left(dir.path(), &Recorded::default(), &noted(dir.path()), &what).await;
    house.goes_on(dir.path(), &left, How::default(), &what).await;
}

#[tokio::test]
async fn stream_that_breaks_at_any_event_is_requested_again_and_nothing_else_is() {
    let Some(house) = House::open("compares granular streamed").await else { return };
    for kind in FAULTS {
        // One job whose processes fail, each at another event; the last process is undisturbed.
        let (dir, mut left) = (folder(), Recorded::default());
        for event in 0..house.events[BROKEN - 1] - ends_whole(kind) {
            let what = format!("{} after a {kind} behind event {event}", house.program);
            let notes = noted(dir.path()).len();
            let trouble = (BROKEN - left.questions, fault(kind, event));
            let (said, code) =
                house.begin(dir.path(), How { word: "hasty", trouble: Some(trouble), ..How::default() }).end();
            assert_eq!(code, Some(1), "{what}: {said:?}");
            left = house.left(dir.path(), &left, &noted(dir.path())[notes..], &what).await;
            assert!(left.questions < BROKEN, "{what}: a part of it was taken for the answer");
        }
        house.goes_on(dir.path(), &left, How::default(), kind).await;
    }
}

#[tokio::test]
async fn process_that_repeats_a_request_pays_for_one_answer() {
    for program in ["compares granular streamed", "compares coarse streamed"] {
        let Some(house) = House::open(program).await else { return };
        // The process would wait out a stall.
        for trouble in FAULTS[..3].iter().map(|kind| fault(kind, 4)) {
            let what = format!("{program} through {trouble}");
            let how = How { trouble: Some((BROKEN, trouble)), ..How::default() };
            house.goes_on(folder().path(), &Recorded::default(), how, &what).await;
        }
    }
}

#[tokio::test]
async fn process_killed_at_a_broken_stream_leaves_no_part_of_it() {
    for program in ["compares granular streamed", "compares coarse streamed"] {
        let Some(house) = House::open(program).await else { return };
        let events = house.events[BROKEN - 1];
        for event in 0..events {
            // A stall does not end the stream.
            let kind = FAULTS[event % 3];
            let kind = if event + ends_whole(kind) < events { kind } else { "disconnect" };
            is_killed(&house, (BROKEN, fault(kind, event))).await;
        }
    }
}

#[tokio::test]
async fn process_killed_while_a_server_makes_it_wait_repeats_only_that_request() {
    for program in ["compares granular", "compares coarse streamed"] {
        let Some(house) = House::open(program).await else { return };
        for nth in 1..=QUESTIONS {
            is_killed(&house, (nth, json!({ "type": "fail", "status": 429, "retry_after": 30 }))).await;
        }
    }
}
