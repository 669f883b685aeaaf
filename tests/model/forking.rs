//! Forks: what one takes over of its original, what runs again, and what is refused.

use std::time::{Duration, UNIX_EPOCH};

use kitaru::{Clock, Error, Kitaru, Recovery, Status, checkpoint, flow};

use crate::support::{Rows, disk, ends, log, memory, names, reopen, until_it_holds};

#[checkpoint]
async fn research(path: &str, topic: &str) -> Result<String, Error> {
    log(path).say(format!("research {topic}"));
    Ok(format!("notes on {topic}"))
}

#[checkpoint]
async fn draft(path: &str, notes: &str) -> Result<String, Error> {
    log(path).say(format!("draft {notes}"));
    Ok(format!("draft of {notes}"))
}

#[checkpoint]
async fn publish(path: &str, draft: &str) -> Result<u32, Error> {
    log(path).say(format!("publish {draft}"));
    if log(path).count("no paper") > 0 { Err(Error::msg("no paper")) } else { Ok(7) }
}

#[flow]
async fn report(path: String, topic: String) -> Result<String, Error> {
    let notes = research(&path, &topic).await?;
    let draft = draft(&path, &notes).await?;
    let page = publish(&path, &draft).await?;
    Ok(format!("{draft} on page {page}"))
}

async fn begin(kitaru: &Kitaru, path: &str) -> String {
    let done = report(path.into(), "tides".into()).id("job").on(kitaru).await.unwrap();
    log(path).take();
    done
}

/// The result of a fork of `report`.
async fn result(kitaru: &Kitaru, path: &str, id: &str) -> Result<String, Error> {
    ends(report(path.into(), "tides".into()).id(id).on(kitaru)).await
}

#[tokio::test]
async fn fork_takes_over_the_records_before_its_point_and_runs_the_rest() {
    let (kitaru, _) = memory().await;
    let path = "forking: point";
    let done = begin(&kitaru, path).await;
    let before = kitaru.execution(("report", "job")).await.unwrap().unwrap();
    let fork = kitaru.fork(("report", "job")).from("draft").start().await.unwrap();
    assert_eq!((fork.flow(), fork.id()), ("report", "job-fork-1"));
    assert_eq!(result(&kitaru, path, "job-fork-1").await.unwrap(), done);
    assert_eq!(log(path).take(), ["draft notes on tides", "publish draft of notes on tides"]);
    assert_eq!(names(&kitaru, "report", "job-fork-1").await, ["research", "draft", "publish"]);

    let shown = kitaru.execution(&fork).await.unwrap().unwrap();
    let link = shown.fork().unwrap();
    assert_eq!((link.original().id(), link.generation(), link.from()), ("job", 1, Some("draft")));
    assert_eq!((link.taken_over(), link.is_by_key(), link.set().len()), (1, false, 0));
    let attempts: Vec<_> = shown.records().iter().map(|record| record.attempt()).collect();
    assert_eq!(attempts, [0, 1, 1], "what is taken over is of none of its attempts");
    let after = kitaru.execution(("report", "job")).await.unwrap().unwrap();
    assert_eq!(serde_json::to_value(&before).unwrap(), serde_json::to_value(&after).unwrap(), "it stays as it is");
    assert!(after.fork().is_none());

    // Nothing is left to run.
    let whole = kitaru.fork(("report", "job")).id("whole").start().await.unwrap();
    assert_eq!(result(&kitaru, path, whole.id()).await.unwrap(), done);
    assert!(log(path).take().is_empty());
}

#[tokio::test]
async fn fork_of_a_failed_execution_runs_its_failed_checkpoint_again() {
    let (kitaru, _) = memory().await;
    let path = "forking: failed";
    log(path).say("no paper");
    report(path.into(), "tides".into()).id("job").on(&kitaru).await.unwrap_err();
    log(path).take();
    kitaru.fork(("report", "job")).id("again").start().await.unwrap();
    assert!(result(&kitaru, path, "again").await.unwrap().ends_with("on page 7"));
    assert_eq!(log(path).take(), ["publish draft of notes on tides"]);
    // The value of a call that only failed can be set.
    kitaru.fork(("report", "job")).set("publish", 9).id("set").start().await.unwrap();
    assert!(result(&kitaru, path, "set").await.unwrap().ends_with("on page 9"));
    assert!(log(path).take().is_empty());
}

#[tokio::test]
async fn value_that_is_set_answers_in_the_place_of_the_recorded_one() {
    let (kitaru, _) = memory().await;
    let path = "forking: set";
    begin(&kitaru, path).await;
    let corrected = "better notes".to_owned();
    let fork = kitaru.fork(("report", "job")).set("research", &corrected).start().await.unwrap();
    assert_eq!(result(&kitaru, path, fork.id()).await.unwrap(), "draft of better notes on page 7");
    assert_eq!(log(path).take(), ["draft better notes", "publish draft of better notes"]);
    let shown = kitaru.execution(&fork).await.unwrap().unwrap();
    assert_eq!(shown.fork().unwrap().set(), ["research"]);
    let [set, ..] = shown.records() else { panic!("it has records") };
    assert_eq!((set.preview(), set.tries()), ("\"better notes\"", 0));

    // The point itself may be set, and then the rest runs again.
    let fork = kitaru.fork(("report", "job")).from("draft").set("draft", "a haiku").start().await.unwrap();
    assert_eq!(result(&kitaru, path, fork.id()).await.unwrap(), "a haiku on page 7");
    assert_eq!(log(path).take(), ["publish a haiku"]);
    // What follows a value that is set was made of another one.
    let fork = kitaru.fork(("report", "job")).from("publish").set("research", "rain").start().await.unwrap();
    assert_eq!(result(&kitaru, path, fork.id()).await.unwrap(), "draft of rain on page 7");
    assert_eq!(log(path).take(), ["draft rain", "publish draft of rain"]);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Chapter {
    pages: Vec<u32>,
}

#[checkpoint]
async fn chapter() -> Chapter {
    Chapter { pages: vec![1, 2] }
}

#[checkpoint(sensitive)]
async fn password() -> u32 {
    7
}

#[flow]
async fn book(path: String) -> Result<usize, Error> {
    let pages = chapter().await.pages.len();
    password().await;
    log(&path).say("printed");
    Ok(pages)
}

#[tokio::test]
async fn value_that_does_not_fit_is_refused_with_type_and_path_and_leaves_no_fork() {
    let (kitaru, _) = memory().await;
    let path = "forking: misfit";
    book(path.into()).id("job").on(&kitaru).await.unwrap();
    log(path).take();
    let wrong = serde_json::json!({ "pages": [1, "two"] });
    let refused = kitaru.fork(("book", "job")).set("chapter", &wrong).start().await.unwrap_err();
    assert!(refused.is_unreadable(), "{refused:?}");
    let said = refused.to_string();
    for part in ["`chapter`", "invalid type: string \"two\"", "u32", "`Chapter` at `.pages[1]`"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(log(path).take().is_empty(), "nothing behind it ran");
    assert!(kitaru.execution(("book", "job-fork-1")).await.unwrap().is_none());
    assert_eq!(kitaru.executions().await.unwrap().len(), 1);
    // The id is free.
    let fork = kitaru.fork(("book", "job")).set("chapter", &Chapter { pages: vec![1] }).start().await.unwrap();
    assert_eq!(fork.id(), "job-fork-1");
    assert_eq!(ends(book(path.into()).id("job-fork-1").on(&kitaru)).await.unwrap(), 1);
}

#[tokio::test]
async fn value_set_for_a_sensitive_checkpoint_is_quoted_nowhere() {
    let (kitaru, _) = memory().await;
    let path = "forking: sensitive";
    book(path.into()).id("job").on(&kitaru).await.unwrap();
    let refused = kitaru.fork(("book", "job")).set("password", "hunter2").start().await.unwrap_err();
    assert!(refused.to_string().contains("`password`") && !format!("{refused:#?}").contains("hunter2"), "{refused:?}");
    let fork = kitaru.fork(("book", "job")).set("password", 4_711).start().await.unwrap();
    ends(book(path.into()).id(fork.id()).on(&kitaru)).await.unwrap();
    let shown = kitaru.execution(&fork).await.unwrap().unwrap();
    assert!(!format!("{shown:?}{}", serde_json::to_string(&shown).unwrap()).contains("4711"));
}

#[flow]
async fn changed(path: String) -> Result<u32, Error> {
    if log(&path).count("new code") > 0 {
        draft(&path, "nothing").await?;
    }
    research(&path, "rain").await?;
    publish(&path, "rain").await
}

#[tokio::test]
async fn value_that_a_flow_does_not_ask_for_before_it_runs_something_is_refused() {
    let (kitaru, _) = memory().await;
    let path = "forking: unasked";
    changed(path.into()).id("job").on(&kitaru).await.unwrap();
    log(path).take();
    log(path).say("new code");
    let refused = kitaru.fork(("changed", "job")).set("research", "notes").start().await.unwrap_err();
    assert!(refused.is_misuse() && refused.to_string().contains("before it asks for `research`"), "{refused}");
    assert_eq!(log(path).take(), ["new code"], "no body ran");
    assert_eq!(kitaru.executions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn name_of_no_record_is_refused_with_the_names_that_there_are() {
    let (kitaru, _) = memory().await;
    let path = "forking: names";
    begin(&kitaru, path).await;
    let fork = || kitaru.fork(("report", "job"));
    let refused = |error: Error, why: &str| assert!(error.is_misuse() && error.to_string().contains(why), "{error}");
    let candidates = "no record `darft`; its records are `research`, `draft`, `publish`";
    refused(fork().from("darft").start().await.unwrap_err(), candidates);
    refused(fork().from("darft").plan().await.unwrap_err(), candidates);
    refused(fork().set("darft", 1).start().await.unwrap_err(), candidates);
    refused(fork().from("draft").set("publish", 1).start().await.unwrap_err(), "`publish` is behind the point");
    refused(fork().set("draft", "a").set("draft", "b").start().await.unwrap_err(), "two values are set for `draft`");
    refused(fork().by_key().from("draft").start().await.unwrap_err(), "takes over all records");
    refused(kitaru.fork(("report", "absent")).start().await.unwrap_err(), "no execution of this flow and id");
    let own = kitaru::dynamic::flow("own").run(|| async { Ok::<_, Error>(()) });
    own.id("job").on(&kitaru).await.unwrap();
    refused(kitaru.fork(("own", "job")).start().await.unwrap_err(), "no such #[flow]");
    assert!(log(path).take().is_empty());
}

#[tokio::test]
async fn fork_with_another_input_runs_from_the_start_unless_a_point_is_named() {
    let (kitaru, _) = memory().await;
    let path = "forking: input";
    begin(&kitaru, path).await;
    let fork = kitaru.fork(("report", "job")).input((path, "rain")).start().await.unwrap();
    // It is found by the input that it has.
    let call = report(path.into(), "rain".into()).id(fork.id()).on(&kitaru);
    assert_eq!(ends(call).await.unwrap(), "draft of notes on rain on page 7");
    assert_eq!(log(path).take().len(), 3);
    let other = report(path.into(), "tides".into()).id(fork.id()).on(&kitaru).await.unwrap_err();
    assert!(other.is_conflict(), "{other}");

    let named = serde_json::json!({ "topic": "rain", "path": path });
    let fork = kitaru.fork(("report", "job")).from("publish").input(named).start().await.unwrap();
    let call = report(path.into(), "rain".into()).id(fork.id()).on(&kitaru);
    assert_eq!(ends(call).await.unwrap(), "draft of notes on rain on page 7");
    assert_eq!(log(path).take().len(), 3, "no record has its arguments");
}

#[tokio::test]
async fn input_that_does_not_fit_is_refused_with_what_the_flow_takes() {
    let (kitaru, _) = memory().await;
    let path = "forking: wrong input";
    begin(&kitaru, path).await;
    let cases = [
        (serde_json::json!(["one"]), "it has 1 arguments; give a list or an object of its arguments: `path`, `topic`"),
        (serde_json::json!({ "title": "x" }), "it has no argument `title`"),
        (serde_json::json!("tides"), "neither a list nor an object"),
        (serde_json::json!([path, 7]), "invalid type: integer `7`, expected a string"),
    ];
    for (input, why) in cases {
        let refused = kitaru.fork(("report", "job")).input(&input).start().await.unwrap_err();
        assert!(refused.is_unreadable() && refused.to_string().contains(why), "{refused}");
    }
    assert_eq!(kitaru.executions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn fork_by_key_answers_calls_with_equal_arguments_and_runs_the_others() {
    let (kitaru, _) = memory().await;
    let path = "forking: by key";
    begin(&kitaru, path).await;
    let fork = kitaru.fork(("report", "job")).by_key().start().await.unwrap();
    result(&kitaru, path, fork.id()).await.unwrap();
    assert!(log(path).take().is_empty(), "each call has a record");
    // A value in the middle: what depends on it runs, and nothing else.
    let fork = kitaru.fork(("report", "job")).by_key().set("draft", "a haiku").start().await.unwrap();
    assert_eq!(result(&kitaru, path, fork.id()).await.unwrap(), "a haiku on page 7");
    assert_eq!(log(path).take(), ["publish a haiku"]);
    let shown = kitaru.execution(&fork).await.unwrap().unwrap();
    assert!(shown.fork().unwrap().is_by_key() && shown.fork().unwrap().from().is_none());
}

#[checkpoint(at_most_once)]
async fn pay(path: &str, sum: u32) -> Result<u32, Error> {
    log(path).say(format!("pay {sum}"));
    Ok(sum)
}

#[flow]
async fn pays_twice(path: String) -> Result<u32, Error> {
    let more = log(&path).count("dearer") as u32;
    let paid = pay(&path, 1 + more).await?;
    pay(&path, 10).await?;
    Ok(paid)
}

#[tokio::test]
async fn strict_fork_fails_before_a_body_that_no_record_answers() {
    let rows = Rows::default();
    let clock = Clock::manual();
    let kitaru = rows.process(&clock).0.open().await.unwrap();
    let path = "forking: strict";
    pays_twice(path.into()).id("job").on(&kitaru).await.unwrap();
    log(path).take();
    log(path).say("dearer");
    // At any price: no divergence from what the original paid.
    let fork = kitaru.fork(("pays_twice", "job")).by_key().start().await.unwrap();
    assert_eq!(ends(pays_twice(path.into()).id(fork.id()).on(&kitaru)).await.unwrap(), 2);
    assert_eq!(log(path).take(), ["dearer", "pay 2"]);
    log(path).say("dearer");
    let fork = kitaru.fork(("pays_twice", "job")).strict().start().await.unwrap();
    let error = ends(pays_twice(path.into()).id(fork.id()).on(&kitaru)).await.unwrap_err();
    assert!(error.is_divergence() && error.to_string().contains("no record answers it"), "{error}");
    kitaru.close().await.unwrap();
    // So it does in every process.
    let kitaru = rows.process(&clock).0.open().await.unwrap();
    ends(pays_twice(path.into()).id(fork.id()).on(&kitaru)).await.unwrap_err();
    assert_eq!(log(path).take(), ["dearer"]);
}

#[flow]
async fn draws_lots(path: String) -> Result<(), Error> {
    let at = || kitaru::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let (early, first) = (at(), kitaru::random());
    research(&path, &first.to_string()).await?;
    let (middle, second) = (at(), kitaru::uuid());
    draft(&path, &format!("{middle} {second}")).await?;
    let (late, third) = (at(), kitaru::random());
    publish(&path, &third.to_string()).await?;
    log(&path).say(format!("{early} {first}|{middle} {second}|{late} {third}"));
    Ok(())
}

/// What `draws_lots` has drawn: before `research`, before `draft` and behind it.
async fn drawn(kitaru: &Kitaru, path: &str, id: &str) -> [String; 3] {
    ends(draws_lots(path.into()).id(id).on(kitaru)).await.unwrap();
    let said = log(path).take().into_iter().rfind(|line| line.contains('|')).unwrap();
    let parts: Vec<_> = said.split('|').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

#[tokio::test]
async fn random_values_and_times_are_the_originals_before_the_point_and_new_behind_it() {
    let (kitaru, clock) = memory().await;
    let path = "forking: draws_lots";
    let original = drawn(&kitaru, path, "job").await;
    clock.advance(Duration::from_secs(3_600));
    kitaru.fork(("draws_lots", "job")).from("draft").start().await.unwrap();
    let fork = drawn(&kitaru, path, "job-fork-1").await;
    assert_eq!((&fork[0], &fork[1]), (&original[0], &original[1]), "what its calls were made with");
    let [own, others] = [&fork[2], &original[2]].map(|drawn| drawn.split_once(' ').unwrap());
    assert!(own.0 != others.0 && own.1 != others.1, "{fork:?} {original:?}");

    kitaru.fork(("draws_lots", "job")).from("research").start().await.unwrap();
    let fork = drawn(&kitaru, path, "job-fork-2").await;
    assert_eq!(fork[0], original[0]);
    assert_ne!(fork[1].split_once(' ').unwrap().1, original[1].split_once(' ').unwrap().1);
    // By key they are the original's, so that its records answer.
    kitaru.fork(("draws_lots", "job")).by_key().start().await.unwrap();
    assert_eq!(drawn(&kitaru, path, "job-fork-3").await, original);
}

#[tokio::test]
async fn random_values_of_a_fork_of_a_fork_are_those_of_each_original_in_turn() {
    let (kitaru, _) = memory().await;
    let path = "forking: twice";
    let original = drawn(&kitaru, path, "job").await;
    kitaru.fork(("draws_lots", "job")).from("draft").id("first").start().await.unwrap();
    let first = drawn(&kitaru, path, "first").await;
    assert_ne!(first[2], original[2]);
    kitaru.fork(("draws_lots", "first")).from("publish").id("second").start().await.unwrap();
    assert_eq!(drawn(&kitaru, path, "second").await, first, "it differs behind its last record only");
    kitaru.fork(("draws_lots", "second")).from("draft").id("third").start().await.unwrap();
    let third = drawn(&kitaru, path, "third").await;
    assert_eq!(third[..2], original[..2]);
    assert!(third[2] != first[2] && third[2] != original[2]);
    kitaru.fork(("draws_lots", "first")).by_key().id("fourth").start().await.unwrap();
    assert_eq!(drawn(&kitaru, path, "fourth").await, first);
}

#[tokio::test]
async fn fork_resumes_in_another_process_although_its_original_was_deleted() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (builder, life) = rows.process(&clock);
    let day = Duration::from_secs(86_400);
    let kitaru = builder.retention(day).recovery(Recovery::Manual).open().await.unwrap();
    let path = "forking: process";
    let original = drawn(&kitaru, path, "job").await;
    log(path).say("no paper");
    let fork = kitaru.fork(("draws_lots", "job")).from("publish").start().await.unwrap();
    ends(draws_lots(path.into()).id(fork.id()).on(&kitaru)).await.unwrap_err();
    log(path).take();
    clock.advance(day * 2);
    let is_gone = async || kitaru.execution(("draws_lots", "job")).await.unwrap().is_none();
    until_it_holds(async || {
        clock.advance(Duration::from_secs(3_600));
        is_gone().await
    })
    .await;
    life.dies(kitaru).await;

    let kitaru = rows.process(&clock).0.recovery(Recovery::Manual).open().await.unwrap();
    assert_eq!(drawn(&kitaru, path, fork.id()).await, original, "the record of the draft answers");
    let shown = kitaru.execution(&fork).await.unwrap().unwrap();
    assert_eq!((shown.status(), shown.fork().unwrap().original().id()), (Status::Completed, "job"));
}

#[tokio::test]
async fn id_of_a_fork_is_the_next_free_number_unless_it_is_set() {
    let (kitaru, dir) = disk().await;
    let path = "forking: ids";
    begin(&kitaru, path).await;
    for expected in ["job-fork-1", "job-fork-2"] {
        let fork = kitaru.fork(("report", "job")).tag("tried").start().await.unwrap();
        assert_eq!(fork.id(), expected);
        result(&kitaru, path, fork.id()).await.unwrap();
    }
    let refused = kitaru.fork(("report", "job")).id("job").start().await.unwrap_err();
    assert!(refused.is_conflict() && refused.to_string().contains("has an execution of this id"), "{refused}");
    let tagged = kitaru.executions().tag("tried").await.unwrap();
    assert_eq!(tagged.len(), 2);
    kitaru.close().await.unwrap();
    let kitaru = reopen(&dir).await;
    // Many begin at the same time.
    let forks = (0..8).map(|_| kitaru.fork(("report", "job")).start());
    let mut ids: Vec<String> =
        futures::future::join_all(forks).await.into_iter().map(|fork| fork.unwrap().id().into()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "{ids:?}");
    kitaru.close().await.unwrap();
}
