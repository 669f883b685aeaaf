//! Forks: what they share with their originals, and what is their own. Children, waits, keys, memos, undo, and the plan.

use std::time::Duration;

use kitaru::{Error, Kitaru, Status, checkpoint, flow, signal, undo, wait};

use crate::support::{ends, log, memory, names, until_it_holds};

#[checkpoint]
async fn step(path: &str, n: u32) -> Result<u32, Error> {
    log(path).say(format!("step {n}"));
    Ok(n)
}

#[checkpoint]
async fn notes_its_key(path: &str, n: u32) -> u32 {
    log(path).say(kitaru::idempotency_key());
    n
}

async fn until(kitaru: &Kitaru, (flow, id): (&str, &str), status: Status) {
    ends(until_it_holds(async || {
        kitaru.execution((flow, id)).await.unwrap().is_some_and(|found| found.status() == status)
    }))
    .await;
}

#[flow]
async fn keyed(path: String) -> Result<(), Error> {
    step(&path, 1).await?;
    notes_its_key(&path, 1).await;
    Ok(())
}

#[tokio::test]
async fn idempotency_keys_of_a_fork_are_new() {
    let (kitaru, _) = memory().await;
    let path = "forked: keys";
    keyed(path.into()).id("job").on(&kitaru).await.unwrap();
    let fork = kitaru.fork(("keyed", "job")).from("notes_its_key").start().await.unwrap();
    ends(keyed(path.into()).id(fork.id()).on(&kitaru)).await.unwrap();
    let said = log(path).take();
    assert_eq!(said.len(), 3, "{said:?}");
    assert_ne!(said[1], said[2]);
}

#[flow]
async fn child(path: String, n: u32) -> Result<u32, Error> {
    log(&path).say(format!("child {n}"));
    step(&path, n).await
}

#[flow]
async fn parent(path: String) -> Result<u32, Error> {
    let started = child(path.clone(), 1).start().await?;
    let awaited = child(path.clone(), 2).await?;
    step(&path, 10).await?;
    let behind = child(path.clone(), 3).await?;
    Ok(started.await? + awaited + behind)
}

#[tokio::test]
async fn child_that_was_begun_before_the_point_is_not_begun_again() {
    let (kitaru, _) = memory().await;
    let path = "forked: children";
    assert_eq!(parent(path.into()).id("job").on(&kitaru).await.unwrap(), 6);
    log(path).take();
    let before = kitaru.execution(("parent", "job")).await.unwrap().unwrap();
    let fork = kitaru.fork(("parent", "job")).from("step").start().await.unwrap();
    assert_eq!(ends(parent(path.into()).id(fork.id()).on(&kitaru)).await.unwrap(), 6);
    let said = log(path).take();
    let begun: Vec<_> = said.iter().filter(|line| line.starts_with("child")).collect();
    assert!(begun.iter().all(|line| *line == "child 3") && !begun.is_empty(), "{said:?}");
    let shown = kitaru.execution(&fork).await.unwrap().unwrap();
    assert_eq!(shown.children()[..2], before.children()[..2], "the original's");
    assert_ne!(shown.children()[2], before.children()[2]);
    let own = kitaru.execution(&shown.children()[2]).await.unwrap().unwrap();
    assert_eq!(own.parent(), Some(&fork));
    let taken = kitaru.execution(&shown.children()[0]).await.unwrap().unwrap();
    assert_eq!(taken.parent().map(|parent| parent.id().to_owned()).as_deref(), Some("job"));
    // The child's own record is the point: then it is begun again.
    let again = kitaru.fork(("parent", "job")).from("child_2").start().await.unwrap();
    assert_eq!(ends(parent(path.into()).id(again.id()).on(&kitaru)).await.unwrap(), 6);
    let said = log(path).take();
    assert!(said.contains(&"child 2".to_owned()) && !said.contains(&"child 1".to_owned()), "{said:?}");
}

#[flow]
async fn unlucky(path: String) -> Result<u32, Error> {
    log(&path).say("unlucky");
    Err(Error::msg("no luck"))
}

#[flow]
async fn has_an_unlucky_child(path: String) -> Result<u32, Error> {
    let child = unlucky(path.clone()).start().await?;
    step(&path, 1).await?;
    child.await
}

#[tokio::test]
async fn failed_child_of_the_original_is_not_tried_again_by_a_fork() {
    let (kitaru, _) = memory().await;
    let path = "forked: unlucky";
    has_an_unlucky_child(path.into()).id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(log(path).count("unlucky"), 1);
    let fork = kitaru.fork(("has_an_unlucky_child", "job")).from("step").start().await.unwrap();
    for _ in 0..2 {
        let error = ends(has_an_unlucky_child(path.into()).id(fork.id()).on(&kitaru)).await.unwrap_err();
        assert!(format!("{error:#}").contains("no luck"), "{error:#}");
    }
    assert_eq!(log(path).count("unlucky"), 1);
    log(path).take();
}

/// Asks about the second step. What it asks depends on the code.
#[flow]
async fn approved(path: String) -> Result<bool, Error> {
    step(&path, 1).await?;
    step(&path, 2).await?;
    let about = if log(&path).count("other words") > 0 { "May it go, this time?" } else { "May it go?" };
    let answer = wait::<bool>("approval").question(about).metadata("step", &2).await?;
    let amount = signal::<u32>("amount").await?;
    step(&path, amount).await?;
    Ok(answer)
}

async fn approve(kitaru: &Kitaru, path: &str) {
    let call = approved(path.into()).id("job").on(kitaru).start().await.unwrap();
    kitaru.signal(&call, "amount", &7).await.unwrap();
    until(kitaru, ("approved", "job"), Status::Waiting).await;
    kitaru.answer(&call, "approval", &true).await.unwrap();
    assert!(ends(call).await.unwrap());
    log(path).take();
}

#[tokio::test]
async fn wait_keeps_its_answer_in_a_fork_unless_it_asks_something_else() {
    let (kitaru, _) = memory().await;
    let path = "forked: answers";
    approve(&kitaru, path).await;
    for from in ["step_2", "approval"] {
        let fork = kitaru.fork(("approved", "job")).from(from).start().await.unwrap();
        assert!(ends(approved(path.into()).id(fork.id()).on(&kitaru)).await.unwrap(), "it does not wait");
    }
    assert_eq!(log(path).take(), ["step 2", "step 7", "step 7"]);

    log(path).say("other words");
    let fork = kitaru.fork(("approved", "job")).from("step_2").start().await.unwrap();
    until(&kitaru, ("approved", fork.id()), Status::Waiting).await;
    let shown = kitaru.execution(&fork).await.unwrap().unwrap();
    assert_eq!(shown.waits()[0].question(), "May it go, this time?");
    kitaru.answer(&fork, "approval", &false).await.unwrap();
    assert!(!ends(approved(path.into()).id(fork.id()).on(&kitaru)).await.unwrap());
}

#[tokio::test]
async fn answer_is_taken_over_by_a_fork_that_does_not_begin_with_the_first_generation() {
    let (rows, clock) = (crate::support::Rows::default(), kitaru::Clock::manual());
    let day = Duration::from_secs(86_400);
    let kitaru = rows.process(&clock).0.retention(day).open().await.unwrap();
    let path = "forked: later";
    approve(&kitaru, path).await;
    clock.advance(day * 2);
    until_it_holds(async || {
        clock.advance(Duration::from_secs(3_600));
        kitaru.executions().await.unwrap().is_empty()
    })
    .await;
    // No number of a deleted generation comes again.
    approve(&kitaru, path).await;
    let fork = kitaru.fork(("approved", "job")).from("step_2").start().await.unwrap();
    assert!(ends(approved(path.into()).id(fork.id()).on(&kitaru)).await.unwrap());
    assert!(kitaru.execution(&fork).await.unwrap().unwrap().generation() > 1);
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn answers_and_signals_are_forgotten_in_a_fork_if_asked() {
    let (kitaru, _) = memory().await;
    let path = "forked: forgotten";
    approve(&kitaru, path).await;
    let prefix = kitaru.fork(("approved", "job")).from("step_2").forget_answers().start().await.unwrap();
    let by_key = kitaru.fork(("approved", "job")).by_key().forget_answers().start().await.unwrap();
    for fork in [&prefix, &by_key] {
        until(&kitaru, ("approved", fork.id()), Status::Waiting).await;
        kitaru.answer(fork, "approval", &false).await.unwrap();
        until_it_holds(async || names(&kitaru, "approved", fork.id()).await.contains(&"amount".to_owned())).await;
        kitaru.signal(fork, "amount", &8).await.unwrap();
        assert!(!ends(approved(path.into()).id(fork.id()).on(&kitaru)).await.unwrap());
    }
    assert_eq!(log(path).take(), ["step 2", "step 8", "step 8"]);
}

#[tokio::test]
async fn answer_that_a_fork_took_over_gives_way_to_one_that_a_person_gives() {
    let (kitaru, _) = memory().await;
    let path = "forked: gives way";
    approve(&kitaru, path).await;
    log(path).say("other words");
    let fork = kitaru.fork(("approved", "job")).from("approval").start().await.unwrap();
    until(&kitaru, ("approved", fork.id()), Status::Waiting).await;
    kitaru.answer(&fork, "approval", &false).await.unwrap();
    let refused = kitaru.answer(&fork, "approval", &true).await.unwrap_err();
    assert!(refused.is_misuse(), "{refused}");
    assert!(!ends(approved(path.into()).id(fork.id()).on(&kitaru)).await.unwrap());
}

#[checkpoint(memo)]
async fn lookup(path: &str) -> u32 {
    log(path).say("lookup");
    1
}

#[flow]
async fn looks_up(path: String) -> Result<u32, Error> {
    step(&path, 1).await?;
    Ok(lookup(&path).await)
}

#[tokio::test]
async fn memo_of_the_original_does_not_answer_in_a_fork() {
    let (kitaru, _) = memory().await;
    let path = "forked: memo";
    looks_up(path.into()).id("job").on(&kitaru).await.unwrap();
    looks_up(path.into()).id("other").on(&kitaru).await.unwrap();
    assert_eq!(log(path).count("lookup"), 1);
    let fork = kitaru.fork(("looks_up", "job")).from("lookup").start().await.unwrap();
    ends(looks_up(path.into()).id(fork.id()).on(&kitaru)).await.unwrap();
    assert_eq!(log(path).count("lookup"), 2);
}

#[checkpoint]
async fn release(path: &str) -> Result<(), Error> {
    log(path).say("release");
    Ok(())
}

#[flow]
async fn books_a_seat(path: String) -> Result<u32, Error> {
    let first = step(&path, 1).await?;
    let own = path.clone();
    undo(move || async move { release(&own).await });
    if log(&path).count("sold out") > 0 {
        return Err(Error::msg("sold out"));
    }
    Ok(first)
}

#[tokio::test]
async fn fork_of_an_undone_execution_has_nothing_of_the_undo() {
    let (kitaru, _) = memory().await;
    let path = "forked: undone";
    log(path).say("sold out");
    books_a_seat(path.into()).id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(log(path).take(), ["sold out", "step 1", "release"]);
    let unknown = kitaru.fork(("books_a_seat", "job")).from("release").start().await.unwrap_err();
    assert!(unknown.to_string().contains("its records are `step`"), "{unknown}");
    for by_key in [false, true] {
        log(path).say("sold out");
        let fork = kitaru.fork(("books_a_seat", "job"));
        let fork = if by_key { fork.by_key() } else { fork }.start().await.unwrap();
        ends(books_a_seat(path.into()).id(fork.id()).on(&kitaru)).await.unwrap_err();
        assert_eq!(log(path).take(), ["sold out", "release"], "it is undone itself");
    }
    let fork = kitaru.fork(("books_a_seat", "job")).start().await.unwrap();
    assert_eq!(ends(books_a_seat(path.into()).id(fork.id()).on(&kitaru)).await.unwrap(), 1);
}

#[checkpoint]
async fn guarded(path: &str) -> bool {
    log(path).say(format!("body {}", kitaru::is_fork()));
    true
}

#[flow]
async fn inner(path: String) -> Result<(), Error> {
    log(&path).say(format!("child {}", kitaru::is_fork()));
    Ok(())
}

#[flow]
async fn knows(path: String, round: u32) -> Result<(), Error> {
    log(&path).say(format!("flow {}", kitaru::is_fork()));
    guarded(&path).await;
    inner(path.clone()).await?;
    if round == 0 { knows(path, 1).continue_as_new().await } else { Ok(()) }
}

#[tokio::test]
async fn flow_body_child_and_next_generation_know_that_they_belong_to_a_fork() {
    let (kitaru, _) = memory().await;
    let path = "forked: knows";
    knows(path.into(), 1).id("job").on(&kitaru).await.unwrap();
    let said = log(path).take();
    assert!(said.iter().all(|line| line.ends_with("false")), "{said:?}");
    let fork = kitaru.fork(("knows", "job")).input((path, 0)).start().await.unwrap();
    ends(knows(path.into(), 0).id(fork.id()).on(&kitaru)).await.unwrap();
    let said = log(path).take();
    assert!(said.iter().all(|line| line.ends_with("true")), "{said:?}");
    for what in ["flow true", "body true", "child true"] {
        assert!(said.iter().filter(|line| *line == what).count() >= 2, "in both generations: {said:?}");
    }
    let newest = kitaru.execution(&fork).await.unwrap().unwrap();
    assert_eq!((newest.generation(), newest.fork().unwrap().original().id()), (2, "job"));
    assert_eq!(newest.fork().unwrap().taken_over(), 0);
    assert!(!kitaru::is_fork());
}

#[tokio::test]
async fn plan_of_a_fork_lists_what_runs_again_and_what_may_and_begins_nothing() {
    let (kitaru, _) = memory().await;
    let path = "forked: plan";
    parent(path.into()).id("job").on(&kitaru).await.unwrap();
    approve(&kitaru, path).await;
    log(path).take();
    let before = kitaru.executions().await.unwrap().len();
    let shown = |effects: &[kitaru::ForkEffect]| -> Vec<(String, bool)> {
        effects.iter().map(|effect| (effect.name().to_owned(), effect.is_child())).collect()
    };
    let plan = kitaru.fork(("parent", "job")).from("step").plan().await.unwrap();
    assert_eq!((plan.original().id(), plan.fork().id()), ("job", "job-fork-1"));
    assert_eq!(shown(plan.runs_again())[..2], [("step".to_owned(), false), ("child_3".to_owned(), true)]);
    assert!(shown(plan.may_run_again()).is_empty());
    assert_eq!(plan.runs_again()[0].checkpoint(), "step");

    let plan = kitaru.fork(("approved", "job")).from("step_2").plan().await.unwrap();
    assert_eq!(shown(plan.runs_again()), [("step_2".to_owned(), false), ("step_3".to_owned(), false)]);
    assert_eq!((plan.taken_over(), plan.answers()), (1, 2), "an answer and a signal");
    let plan = kitaru.fork(("approved", "job")).by_key().plan().await.unwrap();
    assert!(plan.runs_again().is_empty());
    assert_eq!(shown(plan.may_run_again()).len(), 3);
    let plan = kitaru.fork(("approved", "job")).from("step_3").set("step", 5).plan().await.unwrap();
    assert_eq!(shown(plan.may_run_again()), [("step_2".to_owned(), false)]);
    assert_eq!(shown(plan.runs_again()), [("step_3".to_owned(), false)]);
    assert_eq!(kitaru.executions().await.unwrap().len(), before);
    assert!(log(path).take().is_empty());
    assert!(serde_json::to_value(&plan).unwrap()["runs_again"][0]["name"] == "step_3");
}

#[tokio::test]
async fn rows_of_a_deleted_fork_are_all_gone() {
    let rows = crate::support::Rows::default();
    let clock = kitaru::Clock::manual();
    let day = Duration::from_secs(86_400);
    let kitaru = rows.process(&clock).0.retention(day).open().await.unwrap();
    let path = "forked: deleted";
    approve(&kitaru, path).await;
    let forks = [kitaru.fork(("approved", "job")), kitaru.fork(("approved", "job")).from("step_2")];
    for fork in forks {
        let fork = fork.start().await.unwrap();
        ends(approved(path.into()).id(fork.id()).on(&kitaru)).await.unwrap();
    }
    clock.advance(day * 2);
    until_it_holds(async || {
        clock.advance(Duration::from_secs(3_600));
        kitaru.executions().await.unwrap().is_empty()
    })
    .await;
    kitaru.close().await.unwrap();
    use kitaru::testkit::store::Table;
    for table in [Table::Journal, Table::Aside, Table::Name, Table::Execution, Table::Index] {
        assert!(rows.keys(table).is_empty(), "{table:?}");
    }
}
