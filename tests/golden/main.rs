//! Stores of released formats stay readable. `tests/golden/store-1.txt` holds every row of a store of format 1, and
//! `store-2.txt` those of one of format 2, as `docs/format.md` describes it: table, key and value in hexadecimal. A store is
//! made of them, and a program like the one that wrote them resumes its executions.
//!
//! `KITARU_BLESS=1 cargo test --test golden of_format_2` writes the store again, for a new format;
//! `KITARU_BLESS=histories cargo test --test golden are_those_of` writes the histories of its executions.

mod histories;
mod programs;
mod rows;

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, future::Future};

use anyhow::Context as _;
use kitaru::{Clock, Error, Kitaru, NotShown, RecordStatus, ShownValue, Status};

use programs::{
    CHANGED, Done, HOUR, Quote, Validity, WRITES, companion, cut_off, later, mishap, order, outgrown, pages, patient,
    risky, spoiled, trip,
};
use rows::{dump, file, hex, kinds, restore};

fn input() -> (String, Vec<u32>) {
    ("Ada".to_owned(), vec![3, 500])
}

/// Waits until the condition holds.
async fn until<F: Future<Output = Result<bool, Error>>>(mut is_so: impl FnMut() -> F) -> Result<(), Error> {
    while !is_so().await? {
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn records(kitaru: &Kitaru, flow: &str, id: &str) -> Result<usize, Error> {
    Ok(kitaru.execution((flow, id)).await?.map_or(0, |execution| execution.records().len()))
}

async fn status(kitaru: &Kitaru, flow: &str, id: &str) -> Result<Option<Status>, Error> {
    Ok(kitaru.execution((flow, id)).await?.map(|execution| execution.status()))
}

/// When the store was written.
fn written_at() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

/// Writes the store again, for a new format.
async fn bless() -> anyhow::Result<()> {
    WRITES.store(true, Ordering::SeqCst);
    // The chance of its executions is that of the first one.
    let secret = format!("meta {} ", hex(b"secret"));
    let format = format!("meta {} ", hex(b"format"));
    let first = fs::read_to_string(file("store-1.txt"))?;
    let empty: String = first
        .lines()
        .filter(|line| line.starts_with(&secret) || line.starts_with(&format))
        .map(|line| format!("{line}\n"))
        .collect();
    let dir = restore(&empty)?;
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().dir(dir.path()).clock(clock.clone()).park_after(Duration::ZERO).open().await?;

    let (customer, items) = input();
    anyhow::ensure!(order(customer, items).id("job-42").on(&kitaru).await.is_err(), "the van came");
    drop(cut_off("Ada".to_owned()).id("job-43").on(&kitaru).start().await?);
    until(async || Ok(records(&kitaru, "cut_off", "job-43").await? > 0)).await?;
    drop(cut_off("Eve".to_owned()).id("job-44").on(&kitaru).start().await?);
    kitaru.cancel(("cut_off", "job-44")).await?;
    later(1).id("job-45").on(&kitaru).await?;
    drop(later(2).id("job-46").start_at(written_at() + 24 * HOUR).on(&kitaru).start().await?);
    anyhow::ensure!(spoiled("milk".to_owned()).id("job-47").on(&kitaru).await.is_err(), "it was not spoiled");
    drop(risky(7).id("job-48").on(&kitaru).start().await?);
    until(async || Ok(records(&kitaru, "risky", "job-48").await? > 0)).await?;

    CHANGED.store(false, Ordering::SeqCst);
    anyhow::ensure!(outgrown(7).id("job-49").on(&kitaru).await.is_err(), "it failed");
    CHANGED.store(true, Ordering::SeqCst);
    let stuck = outgrown(7).id("job-49").on(&kitaru).await.expect_err("another shape is asked for");
    anyhow::ensure!(stuck.is_stuck(), "{stuck:#}");

    drop(patient(1).id("job-51").on(&kitaru).start().await?);
    until(async || Ok(status(&kitaru, "patient", "job-51").await? == Some(Status::Waiting))).await?;
    anyhow::ensure!(pages(1).id("job-53").on(&kitaru).await? == 2, "there are two");
    for n in 1..=2 {
        let failed = async || Ok(status(&kitaru, "mishap", "job-54").await? == Some(Status::Failed));
        match n {
            1 => drop(mishap(1).id("job-54").on(&kitaru).await.expect_err("it stumbles")),
            _ => kitaru.resume(("mishap", "job-54")).after("stumble").await?,
        }
        until(failed).await?;
        kitaru.resume(("mishap", "job-54")).forget("stumble").await?;
        until(failed).await?;
    }
    let call = trip("Ada".to_owned()).id("job-50").tag("travel").deadline(1_000 * HOUR);
    drop(call.on(&kitaru).start().await?);
    let waits = async || Ok(status(&kitaru, "trip", "job-50").await? == Some(Status::Waiting));
    until(waits).await?;
    clock.advance(HOUR);
    let job = ("trip", "job-50");
    until(async || Ok(status(&kitaru, "patient", "job-51").await? == Some(Status::Completed))).await?;
    drop(patient(2).id("job-52").on(&kitaru).start().await?);
    until(async || Ok(status(&kitaru, "patient", "job-52").await? == Some(Status::Waiting))).await?;
    kitaru.signal(job, "paid", &300u32).key("once").await?;
    let asks = async |name: &str| {
        let execution = kitaru.execution(("trip", "job-50")).await?;
        Ok(execution.is_some_and(|execution| execution.waits().iter().any(|wait| wait.name() == name)))
    };
    until(|| asks("nights")).await?;
    kitaru.answer(&job, "nights", &2u32).await?;
    until(|| asks("breakfast")).await?;
    until(waits).await?;
    drop(companion("Ada".to_owned()).id("job-55").on(&kitaru).start().await?);
    until(async || Ok(status(&kitaru, "companion", "job-55").await? == Some(Status::Waiting))).await?;

    // Closing interrupts the bodies that hang.
    kitaru.close().grace(Duration::ZERO).await?;
    fs::write(file("store-2.txt"), dump(dir.path())?)?;
    WRITES.store(false, Ordering::SeqCst);
    Ok(())
}

/// Every kind of row that a store of format 1 has, as `docs/format.md` has them.
const KINDS: &[&str] = &[
    "meta format",
    "meta secret",
    "meta commit",
    "execution",
    "name",
    "shape",
    "memo",
    // Queued, running, waiting.
    "unfinished 0",
    "unfinished 1",
    "unfinished 2",
    // Values by either codec, from a memo, by a signal, at a later try; errors by their own serde and as ours.
    "outcome, flags 0, class 0, codec 0",
    "outcome, flags 0, class 0, codec 1",
    "outcome, flags 2, class 0, codec 0",
    "outcome, flags 8, class 0, codec 1",
    "outcome, flags 16, class 0, codec 0",
    "outcome, flags 32, class 0, codec 0",
    "outcome, flags 4, class 1, codec 0",
    "outcome, flags 4, class 2, codec 1",
    // An intent, what was settled, a time.
    "frame 2",
    "frame 3",
    "frame 4",
    // Completed, failed, cancelled, stuck, continued as new.
    "frame 5, status 4",
    "frame 5, status 5",
    "frame 5, status 6",
    "frame 5, status 7",
    "frame 5, status 8",
    // A time, an answer, a signal, another execution, another try.
    "opening 0",
    "opening 1",
    "opening 2",
    "opening 3",
    "opening 4",
    // The undo of a failed execution and of a cancelled one.
    "frame 7, status 5",
    "frame 7, status 6",
    "frame 8",
    "frame 9, way 0",
    "frame 9, way 1",
    "aside a",
    "aside d",
    "aside e",
    "aside f",
    "aside k",
    "aside l",
    "aside p",
    "aside q",
    "aside u",
    "aside w",
];

/// Of these, what a store of format 2 does not have: shapes in the plain form, and attempts whose process does not say that it
/// cuts them off.
fn is_of_earlier_versions(kind: &str) -> bool {
    kind.ends_with("codec 0") || kind == "unfinished 1"
}

/// What a store of format 2 has in their place, and besides.
const KINDS_OF_FORMAT_2: &[&str] = &[
    "meta unindexed",
    "meta log",
    "unfinished 3",
    "outcome, flags 0, class 0, codec 2",
    "outcome, flags 16, class 0, codec 2",
    "outcome, flags 32, class 0, codec 2",
    "outcome, flags 4, class 1, codec 2",
    // Of a `sensitive` checkpoint, from a memo too.
    "outcome, flags 64, class 0, codec 2",
    "outcome, flags 66, class 0, codec 2",
    "aside t",
    // By flow, status, tag and parent.
    "index f",
    "index s",
    "index t",
    "index u",
];

/// A golden store, if it has just these kinds of rows.
fn golden(name: &str, kinds_of_rows: &[&str]) -> tempfile::TempDir {
    let text = fs::read_to_string(file(name)).expect("a text");
    let found = kinds(&text);
    let lacks: Vec<_> = kinds_of_rows.iter().filter(|kind| !found.contains(**kind)).collect();
    assert!(lacks.is_empty(), "the golden store lacks {lacks:?}, and has {found:#?}");
    assert_eq!(found.len(), kinds_of_rows.len(), "the golden store has kinds that are not listed: {found:#?}");
    restore(&text).expect("a store is made of it")
}

#[tokio::test]
async fn store_of_format_1_resumes_where_it_stopped() {
    resumes(golden("store-1.txt", KINDS)).await;
}

#[tokio::test]
async fn store_of_format_2_resumes_where_it_stopped() {
    if std::env::var("KITARU_BLESS").is_ok_and(|what| what == "1") {
        bless().await.unwrap();
    }
    let earlier = KINDS.iter().copied().filter(|kind| !is_of_earlier_versions(kind));
    let kinds: Vec<_> = earlier.chain(KINDS_OF_FORMAT_2.iter().copied()).collect();
    resumes(golden("store-2.txt", &kinds)).await;
}

/// Every filter finds what the whole list has of it.
async fn filters_find_what_there_is(kitaru: &Kitaru) -> anyhow::Result<()> {
    let all = kitaru.executions().await?;
    let found = |page: kitaru::Page| page.iter().map(|one| (one.reference(), one.generation())).collect::<Vec<_>>();
    for one in all.iter() {
        let (flow, status) = (one.flow(), one.status());
        let fit = |fits: &dyn Fn(&kitaru::Summary) -> bool| {
            all.iter().filter(|one| fits(one)).map(|one| (one.reference(), one.generation())).collect::<Vec<_>>()
        };
        anyhow::ensure!(found(kitaru.executions().flow(flow).await?) == fit(&|one| one.flow() == flow), "{flow}");
        anyhow::ensure!(
            found(kitaru.executions().status(status).await?) == fit(&|one| one.status() == status),
            "{status}"
        );
        let both = kitaru.executions().flow(flow).status(status).await?;
        anyhow::ensure!(found(both) == fit(&|one| one.flow() == flow && one.status() == status), "{flow}, {status}");
    }
    Ok(())
}

#[tokio::test]
async fn a_store_of_format_1_is_listed_before_and_when_it_has_indexes() {
    let dir = golden("store-1.txt", KINDS);
    let is_complete = || {
        let unindexed = format!("meta {} 0000000000000000", hex(b"unindexed"));
        dump(dir.path()).unwrap().lines().any(|line| line.starts_with(&unindexed))
    };
    loop {
        let was_complete = dump(dir.path()).is_ok() && is_complete();
        let kitaru = Kitaru::builder().dir(dir.path()).recovery(kitaru::Recovery::Manual).open().await.unwrap();
        filters_find_what_there_is(&kitaru).await.unwrap();
        kitaru.close().await.unwrap();
        if was_complete {
            break;
        }
    }
    let rows = dump(dir.path()).unwrap();
    let count = |table: &str| rows.lines().filter(|line| line.starts_with(table)).count();
    assert!(count("index 66") == count("execution ") && count("index 73") > 0 && count("index 75") > 0, "{rows}");
}

/// Every execution of a golden store ends.
async fn resumes(dir: tempfile::TempDir) {
    let clock = Clock::manual();
    let builder = Kitaru::builder().dir(dir.path()).clock(clock.clone()).recovery(kitaru::Recovery::Manual);
    let kitaru = builder.open().await.expect("the store opens");
    all_resume(&kitaru, &clock).await.expect("all executions resume");
    kitaru.close().await.expect("it closes");
}

#[tokio::test]
async fn a_sensitive_record_of_an_earlier_version_is_known_by_its_preview() {
    let dir = restore(&fs::read_to_string(file("store-1.txt")).unwrap()).unwrap();
    let kitaru = Kitaru::builder()
        .dir(dir.path())
        .clock(Clock::manual())
        .recovery(kitaru::Recovery::Manual)
        .open()
        .await
        .unwrap();
    let order = kitaru.execution(("order", "job-42")).await.unwrap().unwrap();
    let shown = |name: &str| {
        let record = order.records().iter().find(|record| record.name() == name).unwrap();
        (record.is_sensitive(), record.value().unwrap())
    };
    assert_eq!(shown("rate"), (true, ShownValue::Sensitive));
    // The shape does not distinguish a variant from a struct.
    let (false, ShownValue::Preview { preview, reason: NotShown::Earlier, .. }) = shown("quote") else {
        panic!("a value")
    };
    assert!(preview.starts_with(r#"{"cents":200"#), "{preview}");
    assert_eq!(shown("describe").1.json().unwrap()["notes"][1], 1.5);
    assert_eq!(shown("ship").1.json().unwrap()[1][0], order.error().unwrap());
    kitaru.close().await.unwrap();
}

/// Every execution of the store resumes and ends.
async fn all_resume(kitaru: &Kitaru, clock: &Clock) -> anyhow::Result<()> {
    the_order_goes_on(kitaru).await?;
    what_ended_stays_so_and_what_was_cut_off_goes_on(kitaru).await?;
    what_waits_is_answered(kitaru).await?;
    clock.advance(24 * HOUR);
    assert_eq!(patient(1).id("job-51").on(kitaru).await?, 1);
    assert_eq!(patient(2).id("job-52").on(kitaru).await?, 2, "an hour is over");
    assert_eq!(later(2).id("job-46").on(kitaru).await?, 3);
    Ok(())
}

async fn the_order_goes_on(kitaru: &Kitaru) -> anyhow::Result<()> {
    let before = kitaru.execution(("order", "job-42")).await?.context("it is there")?;
    assert_eq!((before.status(), before.attempts()), (Status::Failed, 1));
    let names: Vec<&str> = before.records().iter().map(|record| record.name()).collect();
    assert_eq!(names, ["quote", "leg", "credit", "describe", "pay", "rate", "ship"]);
    assert_eq!(before.records().last().map(|record| record.status()), Some(RecordStatus::Failed));

    let (customer, items) = input();
    let done = order(customer, items).id("job-42").on(kitaru).await?;
    let by_item = |items: &[u32]| items.iter().map(|item| (*item, *item as f32 / 2.0)).collect();
    let expected = Done {
        quotes: (
            Quote { cents: 200, valid: Validity::Always, by_item: by_item(&[3, 500]) },
            Quote { cents: 100, valid: Validity::Days(3), by_item: by_item(&[3]) },
        ),
        refusal: "no credit for Ada".to_owned(),
        notes: r#"{"notes":[null,1.5,"fragile"],"order":42}"#.to_owned(),
        paid: "paid 200".to_owned(),
        rate: 1.0,
        at: written_at(),
        // Derived from the store's secret: it differs when the store is written again.
        shipped: "shipped 645f1365-fd58-4664-948d-019a20d25b09".to_owned(),
    };
    assert_eq!(done, expected);
    Ok(())
}

async fn what_ended_stays_so_and_what_was_cut_off_goes_on(kitaru: &Kitaru) -> anyhow::Result<()> {
    let cut = kitaru.execution(("cut_off", "job-43")).await?.context("it is there")?;
    assert_eq!((cut.status(), cut.records()[0].is_from_memo()), (Status::Interrupted, true));
    assert_eq!(cut_off("Ada".to_owned()).id("job-43").on(kitaru).await?, 4);

    assert_eq!(status(kitaru, "cut_off", "job-44").await?, Some(Status::Cancelled));
    assert_eq!(later(1).id("job-45").on(kitaru).await?, 2);
    assert_eq!(status(kitaru, "later", "job-46").await?, Some(Status::Queued));

    assert_eq!(status(kitaru, "spoiled", "job-47").await?, Some(Status::Failed));
    let error = spoiled("milk".to_owned()).id("job-47").on(kitaru).await.expect_err("it fails");
    assert_eq!(error.to_string(), "it is spoiled", "and what it has done is undone now");

    assert_eq!(pages(1).id("job-53").on(kitaru).await?, 2);
    assert_eq!(mishap(1).id("job-54").on(kitaru).await?, 1);

    assert_eq!(risky(7).id("job-48").on(kitaru).await?, "who knows");

    let stuck = outgrown(7).id("job-49").on(kitaru).await.expect_err("it fails");
    assert!(stuck.is_stuck() && stuck.to_string().contains("outgrown"), "{stuck:#}");
    Ok(())
}

async fn what_waits_is_answered(kitaru: &Kitaru) -> anyhow::Result<()> {
    let execution = kitaru.execution(("trip", "job-50")).await?.context("it is there")?;
    assert_eq!(execution.status(), Status::Waiting);
    let wait = &execution.waits()[0];
    assert_eq!((wait.name(), wait.question()), ("breakfast", "With breakfast?"));
    assert_eq!(wait.metadata(), serde_json::json!({"room": "room 3 for 2"}));
    let companion = kitaru.handle::<String, Error>(("companion", "job-55")).await?;
    // This signal was sent before.
    kitaru.signal(("trip", "job-50"), "paid", &999u32).key("once").await?;
    kitaru.answer(("trip", "job-50"), "breakfast", &true).await?;
    let told = trip("Ada".to_owned()).id("job-50").on(kitaru).await?;
    assert_eq!(told, "welcome Ada, room 3 for 2, 300 paid, breakfast: true");
    assert_eq!(companion.await?, told, "it learns of it");
    Ok(())
}

#[tokio::test]
async fn store_of_the_first_version_without_a_table_or_commit_count_resumes() {
    let text = fs::read_to_string(file("store-1.txt")).unwrap();
    let later = format!("meta {}", hex(b"commit"));
    let first: String = text
        .lines()
        .filter(|line| !line.starts_with("aside ") && !line.starts_with(&later))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let dir = restore(&first).unwrap();
    let kitaru = Kitaru::builder().dir(dir.path()).recovery(kitaru::Recovery::Manual).open().await.unwrap();
    the_order_goes_on(&kitaru).await.unwrap();
    kitaru.close().await.unwrap();
}
