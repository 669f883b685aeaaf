//! The numbers of a store and its process.

use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow};

use crate::support::{Rows, ends, memory, until_it_holds};

const HOUR: Duration = Duration::from_secs(3_600);

#[checkpoint(retries = 2, backoff = "0s")]
async fn weighs(grams: u32) -> Result<u32, Error> {
    if grams == 0 { Err(Error::msg("nothing is on the scale")) } else { Ok(grams) }
}

#[flow]
async fn parcel(grams: u32, seconds: u64) -> Result<u32, Error> {
    let weighed = weighs(grams).await?;
    if seconds > 0 {
        kitaru::sleep(Duration::from_secs(seconds)).await;
    }
    if seconds == 1 {
        kitaru::wait::<bool>("approval").await?;
    }
    Ok(weighed)
}

#[flow]
async fn envelope(grams: u32) -> Result<u32, Error> {
    weighs(grams).await
}

#[tokio::test]
async fn executions_are_counted_by_flow_and_status_as_the_list_shows_them() {
    let (kitaru, clock) = memory().await;
    for n in 0..3 {
        parcel(7, 0).id(format!("p{n}")).on(&kitaru).await.unwrap();
    }
    parcel(0, 0).id("empty").on(&kitaru).await.unwrap_err();
    envelope(0).id("empty").on(&kitaru).await.unwrap_err();
    envelope(1).fresh().id("empty").on(&kitaru).await.unwrap();
    drop(parcel(7, 7_200).id("slow").on(&kitaru).start().await.unwrap());
    until_it_holds(async || !kitaru.executions().status(Status::Waiting).await.unwrap().is_empty()).await;

    let metrics = kitaru.metrics().await.unwrap();
    for flow in metrics.flows() {
        for status in [Status::Completed, Status::Failed, Status::Waiting, Status::Running, Status::Interrupted] {
            let listed = kitaru.executions().flow(flow.flow()).status(status).await.unwrap().len() as u64;
            assert_eq!(flow.executions(status), listed, "{} {status}", flow.flow());
        }
    }
    assert_eq!(metrics.flows().iter().map(|flow| flow.flow()).collect::<Vec<_>>(), ["envelope", "parcel"]);
    assert_eq!((metrics.executions(Status::Failed), metrics.executions(Status::Waiting)), (2, 1));
    assert_eq!((metrics.uncounted(), metrics.counted()), (0, clock.now()));
}

#[tokio::test]
async fn rates_durations_and_the_last_failure_are_those_of_the_newest_executions() {
    let (kitaru, clock) = memory().await;
    for (n, seconds) in [0, 2, 4, 6, 100].into_iter().enumerate() {
        let call = parcel(7, seconds).id(format!("p{n}")).on(&kitaru).start().await.unwrap();
        until_it_holds(async || {
            let at = kitaru.execution(("parcel", &*format!("p{n}"))).await.unwrap().unwrap();
            at.status().is_final() || at.records().len() > 1
        })
        .await;
        clock.advance(Duration::from_secs(seconds));
        ends(call).await.unwrap();
    }
    clock.advance(2 * HOUR);
    parcel(0, 0).id("first").on(&kitaru).await.unwrap_err();
    clock.advance(Duration::from_secs(60));
    parcel(0, 0).id("last").on(&kitaru).await.unwrap_err();

    let metrics = kitaru.metrics().await.unwrap();
    let [flow] = metrics.flows() else { panic!("{metrics:?}") };
    assert_eq!((flow.started_last_hour(), flow.started_last_day(), flow.looked_at(), flow.reaches()), (2, 7, 7, None));
    assert_eq!((flow.ended_last_hour(), flow.ended_last_day()), (2, 7));
    assert_eq!((flow.failed_last_hour(), flow.failed_last_day()), (2, 2));
    assert_eq!((flow.took(0.5), flow.took(0.95)), (Some(Duration::from_secs(4)), Some(Duration::from_secs(100))));
    let last = flow.last_failure().unwrap();
    assert_eq!((last.execution().id(), last.error(), last.time()), ("last", "nothing is on the scale", clock.now()));
    clock.advance(23 * HOUR);
    let metrics = kitaru.metrics().await.unwrap();
    assert_eq!((metrics.flows()[0].failed_last_hour(), metrics.flows()[0].started_last_day()), (0, 2));
}

#[tokio::test]
async fn oldest_open_question_is_found_behind_executions_that_wait_for_a_time() {
    let (kitaru, clock) = memory().await;
    let asked =
        async |kitaru: &Kitaru, id: &str| kitaru.execution(("parcel", id)).await.unwrap().unwrap().waits().len();
    drop(parcel(7, 7_200).id("sleeps").on(&kitaru).start().await.unwrap());
    for id in ["asks", "asks-later"] {
        drop(parcel(7, 1).id(id).on(&kitaru).start().await.unwrap());
        until_it_holds(async || {
            clock.advance(Duration::from_secs(30));
            tokio::task::yield_now().await;
            asked(&kitaru, id).await == 1
        })
        .await;
        let waits = async || kitaru.execution(("parcel", id)).await.unwrap().unwrap().status() == Status::Waiting;
        until_it_holds(async || {
            clock.advance(Duration::from_secs(30));
            tokio::task::yield_now().await;
            waits().await
        })
        .await;
    }
    let metrics = kitaru.metrics().await.unwrap();
    let (oldest, since) = metrics.oldest_wait().unwrap();
    let shown = kitaru.execution(&oldest).await.unwrap().unwrap();
    assert_eq!((oldest.id(), since), ("asks", shown.updated()));
}

#[tokio::test]
async fn process_counts_what_it_ran_replayed_and_tried_again() {
    let rows = Rows::default();
    let clock = Clock::manual();
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.recovery(kitaru::Recovery::Manual).open().await.unwrap();
    envelope(7).id("job").on(&kitaru).await.unwrap();
    envelope(0).id("empty").on(&kitaru).await.unwrap_err();
    let metrics = kitaru.metrics().await.unwrap();
    assert_eq!((metrics.checkpoints_run(), metrics.checkpoints_replayed(), metrics.retries()), (2, 0, 2));
    let commits = metrics.commits();
    assert!(commits.count() >= 4 && commits.failed() == 0, "{commits:?}");
    let within: Vec<_> = commits.within().collect();
    assert!(within.is_sorted() && within.last().unwrap().1 <= commits.count(), "{within:?}");
    drop(parcel(7, 7_200).id("slow").on(&kitaru).start().await.unwrap());
    let recorded = async || kitaru.execution(("parcel", "slow")).await.unwrap().unwrap().records().len() == 2;
    until_it_holds(recorded).await;
    life.dies(kitaru).await;

    let kitaru = rows.process(&clock).0.open().await.unwrap();
    let opened = clock.now();
    clock.advance(2 * HOUR);
    until_it_holds(async || kitaru.metrics().await.unwrap().checkpoints_replayed() == 1).await;
    let metrics = kitaru.metrics().await.unwrap();
    assert_eq!((metrics.checkpoints_run(), metrics.opened()), (0, opened));
}

#[tokio::test]
async fn store_on_disk_says_where_it_is_and_how_large() {
    let (kitaru, dir) = crate::support::disk().await;
    envelope(7).id("job").on(&kitaru).await.unwrap();
    let metrics = kitaru.metrics().await.unwrap();
    assert_eq!(metrics.folder().unwrap().canonicalize().unwrap(), dir.path().join("store").canonicalize().unwrap());
    let files = ["store.redb", "store.log.0", "store.log.1"].map(|name| dir.path().join("store").join(name));
    let sum: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!((metrics.bytes(), metrics.format()), (sum, Some(2)));
    kitaru.close().await.unwrap();
    assert!(kitaru.metrics().await.unwrap_err().is_closed());

    let (kitaru, _) = memory().await;
    let metrics = kitaru.metrics().await.unwrap();
    assert_eq!((metrics.folder(), metrics.bytes(), metrics.flows().len()), (None, 0, 0));
}

#[tokio::test]
async fn execution_that_no_process_drives_is_counted_as_interrupted() {
    let rows = Rows::default();
    let clock = Clock::manual();
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    let hangs = kitaru::dynamic::flow("never_ends_here").run(|| async {
        let call = kitaru::dynamic::checkpoint("hangs");
        call.run(|| async { std::future::pending::<Result<u32, Error>>().await }).await
    });
    drop(hangs.id("job").on(&kitaru).start().await.unwrap());
    until_it_holds(async || kitaru.metrics().await.unwrap().executions(Status::Running) == 1).await;
    life.dies(kitaru).await;
    let kitaru = rows.process(&clock).0.open().await.unwrap();
    let metrics = kitaru.metrics().await.unwrap();
    assert_eq!((metrics.executions(Status::Running), metrics.executions(Status::Interrupted)), (0, 1));
    assert!(!metrics.flows()[0].is_known());
}

#[tokio::test]
async fn numbers_are_json() {
    let (kitaru, _) = memory().await;
    envelope(0).id("empty").on(&kitaru).await.unwrap_err();
    let json = serde_json::to_value(kitaru.metrics().await.unwrap()).unwrap();
    let flow = &json["flows"][0];
    assert_eq!((&json["executions"]["failed"], &flow["executions"]["failed"]), (&1.into(), &1.into()));
    assert_eq!((&flow["flow"], &flow["last_failure"]["id"]), (&"envelope".into(), &"empty".into()));
    assert_eq!(
        (&json["checkpoints_run"], &json["retries"], &json["folder"]),
        (&1.into(), &2.into(), &serde_json::Value::Null)
    );
    assert_eq!(json["commits"]["within"].as_array().unwrap().len(), 12);
}
