//! Current code replays the histories of released versions. `tests/golden/histories` holds the output of `Kitaru::export` for
//! the executions of the golden store, both where they stopped and where they ended. Values that were omitted as sensitive are
//! filled in by hand, except in one file outside the folder.

use std::fs;

use kitaru::{Clock, History, Kitaru, testkit};

use crate::programs::order;
use crate::rows::{file, kinds, restore};
use crate::{all_resume, input};

/// Each file of the folder is a test.
mod kept {
    kitaru::testkit::histories!("tests/golden/histories/*.json");
}

/// The history of an order in which a value was left out.
const WITHOUT_A_VALUE: &str = "order-without-its-rate.json";

/// The executions of the golden store that have a history to replay.
const EXECUTIONS: [(&str, &str); 9] = [
    ("order", "job-42"),
    ("cut_off", "job-43"),
    ("later", "job-45"),
    ("risky", "job-48"),
    ("trip", "job-50"),
    ("patient", "job-51"),
    ("patient", "job-52"),
    ("pages", "job-53"),
    ("mishap", "job-54"),
];

async fn write(kitaru: &Kitaru, when: &str) -> anyhow::Result<()> {
    for (flow, id) in EXECUTIONS {
        let history = kitaru.export(&(flow, id)).await?.with_value("rate", &1.0)?;
        fs::write(file(&format!("histories/{flow}-{id}-{when}.json")), history.to_string())?;
    }
    Ok(())
}

/// Writes the histories of this version.
async fn bless() -> anyhow::Result<()> {
    let dir = restore(&fs::read_to_string(file("store-1.txt"))?)?;
    let clock = Clock::manual();
    let kitaru =
        Kitaru::builder().dir(dir.path()).clock(clock.clone()).recovery(kitaru::Recovery::Manual).open().await?;
    write(&kitaru, "stopped").await?;
    fs::write(file(WITHOUT_A_VALUE), kitaru.export(("order", "job-42")).await?.to_string())?;
    all_resume(&kitaru, &clock).await?;
    write(&kitaru, "ended").await?;
    kitaru.close().await?;
    Ok(())
}

/// The bytes of each record, in hexadecimal digits.
fn frames(history: &str) -> Vec<String> {
    let history: serde_json::Value = serde_json::from_str(history).expect("JSON");
    let records = history["records"].as_array().expect("records").iter();
    records.map(|record| record["frame"].as_str().expect("a frame").to_owned()).collect()
}

/// Every kind of record in the histories of executions that are not stuck or undone.
const KINDS: &[&str] = &[
    // Values by either codec, by a signal or answer, at a later try; errors by their own serde and as ours.
    "outcome, flags 0, class 0, codec 0",
    "outcome, flags 0, class 0, codec 1",
    "outcome, flags 8, class 0, codec 1",
    "outcome, flags 4, class 1, codec 0",
    "outcome, flags 4, class 2, codec 1",
    // An intent, what was settled, a time.
    "frame 2",
    "frame 3",
    "frame 4",
    "frame 5, status 4",
    "frame 5, status 5",
    // A time, an answer, a signal, another execution, another try.
    "opening 0",
    "opening 1",
    "opening 2",
    "opening 3",
    "opening 4",
    // A change of code, what was forgotten.
    "frame 8",
    "frame 9, way 0",
    "frame 9, way 1",
];

#[tokio::test]
async fn the_golden_histories_are_those_of_every_kind_of_record() {
    if std::env::var("KITARU_BLESS").is_ok_and(|what| what == "histories") {
        bless().await.unwrap();
    }
    let texts =
        fs::read_dir(file("histories")).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    // As rows. Their checksums are not checked here.
    let rows: String =
        texts.flat_map(|text| frames(&text)).map(|frame| format!("journal 00 {frame}00000000\n")).collect();
    let found = kinds(&rows);
    let lacks: Vec<_> = KINDS.iter().filter(|kind| !found.contains(**kind)).collect();
    assert!(lacks.is_empty(), "the golden histories lack {lacks:?}, and have {found:#?}");
}

#[test]
fn golden_history_is_replayed_with_another_value_for_an_omitted_one() {
    let history: History = fs::read_to_string(file(WITHOUT_A_VALUE)).unwrap().parse().unwrap();
    let (customer, items) = input();
    let refused = testkit::replay_report(&history, order(customer.clone(), items.clone())).unwrap_err().to_string();
    assert!(refused.contains("`rate` is sensitive"), "{refused}");
    testkit::replay(&history.with_value("rate", &1.0).unwrap(), order(customer, items));
}
