//! Tags of executions: what shows them, what finds them, how long they last.

use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, ListRequest, MAX_TAG_BYTES, MAX_TAGS, Status, dynamic, flow, signal};

use crate::retention::is_gone;
use crate::support::{Rows, memory};

#[flow]
async fn tagged(round: u32) -> Result<u32, Error> {
    Ok(round)
}

#[flow]
async fn tags_its_children() -> Result<u32, Error> {
    let awaited = tagged(1).id("awaited").tag("child").tag("awaited").await?;
    let started = tagged(2).id("started").tag("child").start().await?;
    Ok(awaited + started.await?)
}

/// Continues as new, with the tag that is sent.
#[flow]
async fn tagged_rounds(round: u32) -> Result<u32, Error> {
    match &*signal::<String>("next").await? {
        "" => tagged_rounds(round + 1).continue_as_new().await,
        tag => tagged_rounds(round + 1).tag(tag).continue_as_new().await,
    }
}

async fn ids(request: ListRequest) -> Vec<String> {
    request.await.unwrap().iter().map(|summary| summary.id().to_owned()).collect()
}

async fn tags(kitaru: &Kitaru, flow: &str, id: &str) -> Vec<String> {
    kitaru.execution((flow, id)).await.unwrap().unwrap().tags().to_vec()
}

#[tokio::test]
async fn tags_are_shown_and_filter_the_list() {
    let (kitaru, _) = memory().await;
    tagged(1).id("none").on(&kitaru).await.unwrap();
    tagged(1).id("one").tag("nightly").on(&kitaru).await.unwrap();
    tagged(1).id("two").tag("nightly").tag("customer: ACME").tag("nightly").on(&kitaru).await.unwrap();
    let own = dynamic::flow("tagged_by_hand").run(|| async { Ok::<_, Error>(7) });
    own.id("own").tag("customer: ACME").on(&kitaru).await.unwrap();
    tags_its_children().id("parent").on(&kitaru).await.unwrap();

    assert_eq!(ids(kitaru.executions().tag("nightly")).await, ["two", "one"]);
    assert_eq!(ids(kitaru.executions().tag("customer: ACME")).await, ["own", "two"]);
    assert_eq!(ids(kitaru.executions().tag("customer: ACME").tag("nightly")).await, ["two"]);
    assert_eq!(ids(kitaru.executions().tag("customer: ACME").flow("tagged")).await, ["two"]);
    assert_eq!(ids(kitaru.executions().tag("night")).await, [""; 0], "the whole tag counts");
    assert_eq!(ids(kitaru.executions().tag("")).await, [""; 0]);
    assert_eq!(ids(kitaru.executions().tag("child")).await, ["started", "awaited"]);

    assert_eq!(tags(&kitaru, "tagged", "none").await, [""; 0]);
    assert_eq!(tags(&kitaru, "tagged", "two").await, ["customer: ACME", "nightly"]);
    assert_eq!(tags(&kitaru, "tagged", "awaited").await, ["awaited", "child"]);
    let page = kitaru.executions().tag("awaited").await.unwrap();
    assert_eq!(page[0].tags(), ["awaited", "child"]);
    let json = |shown: serde_json::Value| shown["tags"].clone();
    assert_eq!(json(serde_json::to_value(&page[0]).unwrap()), serde_json::json!(["awaited", "child"]));
    let execution = kitaru.execution(&page[0]).await.unwrap().unwrap();
    assert_eq!(json(serde_json::to_value(&execution).unwrap()), serde_json::json!(["awaited", "child"]));
}

#[tokio::test]
async fn tags_belong_to_the_generation_that_a_call_begins() {
    let (kitaru, _) = memory().await;
    tagged(1).id("job").tag("first").on(&kitaru).await.unwrap();
    tagged(1).id("job").tag("again").on(&kitaru).await.unwrap();
    assert_eq!(tags(&kitaru, "tagged", "job").await, ["first"], "a recorded result gets no tag");
    tagged(1).id("job").tag("second").fresh().on(&kitaru).await.unwrap();
    assert_eq!(tags(&kitaru, "tagged", "job").await, ["second"]);
    tagged(1).id("job").fresh().on(&kitaru).await.unwrap();
    assert_eq!(tags(&kitaru, "tagged", "job").await, [""; 0]);
    let first = kitaru.executions().tag("first").await.unwrap();
    assert_eq!((first.len(), first[0].generation()), (1, 1), "an older generation keeps its own");
}

/// Waits until this generation waits for its signal.
async fn waits(kitaru: &Kitaru, generation: u32) {
    loop {
        let job = kitaru.execution(("tagged_rounds", "job")).await.unwrap().unwrap();
        if (job.generation(), job.status()) == (generation, Status::Waiting) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_continuation_keeps_its_tags_unless_its_call_has_tags() {
    let (kitaru, _) = memory().await;
    let handle = tagged_rounds(1).id("job").tag("a").tag("b").on(&kitaru).start().await.unwrap();
    for (generation, (next, expected)) in (2..).zip([("", &["a", "b"][..]), ("c", &["c"]), ("", &["c"])]) {
        kitaru.signal(&handle, "next", next).await.unwrap();
        waits(&kitaru, generation).await;
        assert_eq!(tags(&kitaru, "tagged_rounds", "job").await, expected, "generation {generation}");
    }
    // A tag that cannot be one fails the flow, and not the store.
    kitaru.signal(&handle, "next", &"x".repeat(MAX_TAG_BYTES + 1)).await.unwrap();
    let ended = async {
        tokio::select! { ended = handle => ended, () = waits(&kitaru, 5) => panic!("the tag is taken") }
    };
    let error = ended.await.unwrap_err();
    assert!(error.is_too_large(), "{error}");
}

#[tokio::test]
async fn a_tag_over_its_bounds_is_refused() {
    let (kitaru, _) = memory().await;
    assert_eq!((MAX_TAGS, MAX_TAG_BYTES), (16, 128));
    let longest = "x".repeat(MAX_TAG_BYTES);
    let most = |more: usize| (0..MAX_TAGS + more).fold(tagged(1).id("most"), |call, n| call.tag(format!("{n}")));
    let error = tagged(1).id("long").tag(format!("{longest}x")).on(&kitaru).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot tag a call of flow `tagged`: a tag has 129 bytes, the bound is 128; shorten it"
    );
    assert!(error.is_too_large());
    let error = most(1).on(&kitaru).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot tag a call of flow `tagged`: it has 17 tags, the bound is 16; use fewer");
    for wrong in ["", "a\nb", "a\u{202e}b"] {
        let error = tagged(1).id("wrong").tag(wrong).on(&kitaru).await.unwrap_err();
        assert!(error.is_misuse() && !error.to_string().contains('\n'), "{error}");
    }
    assert!(kitaru.executions().await.unwrap().is_empty(), "nothing is recorded of what is refused");
    tagged(1).id("long").tag(&*longest).on(&kitaru).await.unwrap();
    most(0).on(&kitaru).await.unwrap();
    assert_eq!(tags(&kitaru, "tagged", "most").await.len(), MAX_TAGS);
    assert_eq!(ids(kitaru.executions().tag(longest)).await, ["long"]);
}

#[tokio::test]
async fn tags_survive_the_process_and_are_deleted_with_their_execution() {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.retention(WEEK).open().await.unwrap();
    let rows_of = async |id: &str, tags: usize| {
        let before = rows.len();
        let call = (0..tags).fold(tagged(1).id(id), |call, n| call.tag(format!("{id} {n}")));
        call.on(&kitaru).await.unwrap();
        rows.len() - before
    };
    rows_of("first", 0).await;
    let (plain, with_tags) = (rows_of("plain", 0).await, rows_of("tagged", 10).await);
    assert_eq!(with_tags, plain + 20, "each tag has a row of the execution and one in the index");
    life.dies(kitaru).await;

    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.retention(WEEK).open().await.unwrap();
    assert_eq!(ids(kitaru.executions().tag("tagged 7")).await, ["tagged"]);
    let before = rows.len();
    clock.advance(WEEK + Duration::from_secs(3_600));
    for id in ["first", "plain", "tagged"] {
        assert!(is_gone(&kitaru, &clock, "tagged", id).await);
    }
    assert_eq!(ids(kitaru.executions().tag("tagged 7")).await, [""; 0]);
    assert!(before - rows.len() >= 3 * plain + 20 - 2, "{} of {before} rows are left", rows.len());
}
