//! Flows that call other flows.

use std::time::Duration;

use futures::future::join_all;
use kitaru::{Clock, Error, Kitaru, Status, checkpoint, dynamic, flow, undo};

use crate::support::{Rows, disk, log, memory, names, reopen};

const HOUR: Duration = Duration::from_secs(3_600);

#[checkpoint]
async fn work(path: &str, n: u32) -> Result<u32, Error> {
    log(path).say(format!("work {n}"));
    if path.contains("hangs") {
        std::future::pending::<()>().await;
    }
    if path.contains("fails") && log(path).count(&format!("work {n}")) == 1 {
        return Err(Error::msg("no luck"));
    }
    Ok(n * 10)
}

/// A child of any parent.
#[flow]
async fn part(path: String, n: u32) -> Result<u32, Error> {
    let at = path.clone();
    undo(move || async move {
        log(&at).say(format!("undone {n}"));
        Ok::<_, Error>(())
    });
    if path.contains("asks") {
        kitaru::wait::<bool>("continue").await?;
    }
    if path.contains("sleeps") {
        kitaru::sleep(HOUR).await;
    }
    work(&path, n).await
}

#[flow]
async fn whole(path: String, parts: u32) -> Result<u32, Error> {
    let at = path.clone();
    undo(move || async move {
        log(&at).say("undone");
        Ok::<_, Error>(())
    });
    let calls: Vec<_> = (0..parts).map(|n| part(path.clone(), n)).collect();
    let mut sum = 0;
    for came in join_all(calls).await {
        sum += came?;
    }
    Ok(sum)
}

async fn until_parked(kitaru: &Kitaru, flow: &str, id: &str) {
    loop {
        if kitaru.execution((flow, id)).await.unwrap().is_some_and(|execution| execution.status() == Status::Waiting) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_flow_called_in_a_flow_is_an_execution_of_its_own_linked_both_ways() {
    let (kitaru, _) = memory().await;
    let path = "children: several";
    assert_eq!(whole(path.into(), 3).id("job").on(&kitaru).await.unwrap(), 30);
    let parent = kitaru.execution(("whole", "job")).await.unwrap().unwrap();
    assert_eq!(names(&kitaru, "whole", "job").await, ["part", "part_2", "part_3"]);
    assert!(parent.parent().is_none());
    assert_eq!(parent.children().len(), 3);
    for child in parent.children() {
        assert_eq!(child.flow(), "part");
        let child = kitaru.execution((child.flow(), child.id())).await.unwrap().unwrap();
        assert_eq!((child.status(), child.records().len()), (Status::Completed, 1));
        let link = child.parent().unwrap();
        assert_eq!((link.flow(), link.id()), ("whole", "job"));
    }
    let shown = parent.records()[1].arguments().next().unwrap();
    assert!(shown.0 == "input" && shown.1.contains("n=1"), "{shown:?}");

    // Another parent with the same input for its children does not share them; neither does the next generation.
    log(path).take();
    assert_eq!(whole(path.into(), 3).id("another").on(&kitaru).await.unwrap(), 30);
    assert_eq!(whole(path.into(), 3).id("job").fresh().on(&kitaru).await.unwrap(), 30);
    assert_eq!(log(path).take().len(), 6);
    assert_eq!(whole(path.into(), 3).id("job").on(&kitaru).await.unwrap(), 30);
    assert!(log(path).take().is_empty(), "it is recorded");
}

#[tokio::test]
async fn parent_of_a_parked_child_is_parked_and_resumes_with_it() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).open().await.unwrap();
    let path = "children: sleeps";
    let handle = whole(path.into(), 2).id("job").on(&kitaru).start().await.unwrap();
    until_parked(&kitaru, "whole", "job").await;
    for child in kitaru.execution(("whole", "job")).await.unwrap().unwrap().children() {
        assert_eq!(kitaru.execution((child.flow(), child.id())).await.unwrap().unwrap().status(), Status::Waiting);
    }
    clock.advance(HOUR);
    assert_eq!(handle.await.unwrap(), 10);
    assert_eq!(log(path).take().len(), 2);
}

#[tokio::test]
async fn parent_whose_process_ended_resumes_with_its_childrens_results() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let open = || Kitaru::builder().dir(dir.path().join("store")).clock(clock.clone()).open();
    let kitaru = open().await.unwrap();
    let path = "children: asks";
    drop(whole(path.into(), 2).id("job").on(&kitaru).start().await.unwrap());
    until_parked(&kitaru, "whole", "job").await;
    let children = kitaru.execution(("whole", "job")).await.unwrap().unwrap().children().to_vec();
    kitaru.close().await.unwrap();

    let kitaru = open().await.unwrap();
    for child in &children {
        kitaru.answer(child, "continue", &true).await.unwrap();
    }
    let handle = kitaru.handle::<u32, Error>(("whole", "job")).await.unwrap();
    assert_eq!(tokio::time::timeout(HOUR, handle).await.expect("it resumes").unwrap(), 10);
    assert_eq!(log(path).take().len(), 2);
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn failed_child_fails_its_parent_and_resumes_with_it() {
    let (kitaru, _) = memory().await;
    let path = "children: fails";
    let solo = || dynamic::flow("solo").run(move || part(path.into(), 7)).id("job").on(&kitaru);
    // The child was undone, so that its result stays.
    let error = solo().await.unwrap_err();
    assert_eq!(error.to_string(), "no luck");
    assert_eq!(log(path).count("undone 7"), 1);
    assert_eq!(solo().await.unwrap_err().to_string(), "no luck");

    let again =
        || dynamic::flow("again").run(|| async { plain("children: plain fails".into()).await }).id("job").on(&kitaru);
    assert_eq!(again().await.unwrap_err().to_string(), "no luck");
    assert_eq!(again().await.unwrap(), 10, "it was tried again, in the child");
    let children = kitaru.execution(("again", "job")).await.unwrap().unwrap().children().to_vec();
    assert_eq!(children.len(), 1);
}

/// A child that undoes nothing.
#[flow]
async fn plain(path: String) -> Result<u32, Error> {
    work(&path, 1).await
}

#[tokio::test]
async fn children_are_cancelled_with_their_parent_unless_they_are_detached() {
    let (kitaru, dir) = disk().await;
    let path = "children: hangs";
    let handle = whole(path.into(), 2).id("runs").on(&kitaru).start().await.unwrap();
    log(path).until("work 1").await;
    handle.cancel().await.unwrap();
    let lines = log(path).take();
    assert_eq!(lines.last().unwrap(), "undone", "the children come first: {lines:?}");
    for child in kitaru.execution(("whole", "runs")).await.unwrap().unwrap().children() {
        assert_eq!(kitaru.execution((child.flow(), child.id())).await.unwrap().unwrap().status(), Status::Cancelled);
    }

    // Both are parked, in a process that did not begin them.
    let path = "children: asks in vain";
    drop(whole(path.into(), 2).id("parked").on(&kitaru).start().await.unwrap());
    until_parked(&kitaru, "whole", "parked").await;
    kitaru.close().await.unwrap();
    let kitaru = reopen(&dir).await;
    kitaru.cancel(("whole", "parked")).await.unwrap();
    for child in kitaru.execution(("whole", "parked")).await.unwrap().unwrap().children() {
        assert_eq!(kitaru.execution((child.flow(), child.id())).await.unwrap().unwrap().status(), Status::Cancelled);
    }

    let path = "children: detached asks";
    let call = dynamic::flow("lets go").run(move || part(path.into(), 1).detached());
    let handle = call.id("job").on(&kitaru).start().await.unwrap();
    let child = loop {
        let children = kitaru.execution(("lets go", "job")).await.unwrap().unwrap().children().to_vec();
        match children.first() {
            Some(child) => break child.clone(),
            None => tokio::task::yield_now().await,
        }
    };
    until_parked(&kitaru, child.flow(), child.id()).await;
    handle.cancel().await.unwrap();
    kitaru.answer(&child, "continue", &true).await.unwrap();
    assert_eq!(kitaru.handle::<u32, Error>((child.flow(), child.id())).await.unwrap().await.unwrap(), 10);
    kitaru.close().await.unwrap();
}

/// Starts a child, and awaits its result if `awaits` is set.
#[flow]
async fn starts(path: String, awaits: bool) -> Result<u32, Error> {
    let handle = part(path.clone(), 3).start().await?;
    log(&path).say(format!("started {}", handle.id()));
    if awaits { handle.await } else { Ok(0) }
}

#[tokio::test]
async fn a_flow_may_start_another_one_and_await_it_later_or_never() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).open().await.unwrap();
    let path = "children: started sleeps";
    let handle = starts(path.into(), true).id("awaits").on(&kitaru).start().await.unwrap();
    until_parked(&kitaru, "starts", "awaits").await;
    clock.advance(HOUR);
    assert_eq!(handle.await.unwrap(), 30);
    assert_eq!(names(&kitaru, "starts", "awaits").await, ["part", "part.result"]);
    let lines = log(path).take();
    let told: Vec<_> = lines.iter().filter(|line| line.starts_with("started")).collect();
    assert!(told.len() == 2 && told[0] == told[1], "the same on replay: {lines:?}");

    assert_eq!(starts(path.into(), false).id("leaves").on(&kitaru).await.unwrap(), 0);
    let child = kitaru.execution(("starts", "leaves")).await.unwrap().unwrap().children()[0].clone();
    until_parked(&kitaru, child.flow(), child.id()).await;
    clock.advance(HOUR);
    assert_eq!(kitaru.handle::<u32, Error>((child.flow(), child.id())).await.unwrap().await.unwrap(), 30);
}

#[tokio::test]
async fn child_may_have_an_id_of_its_own_and_refuses_unsupported_options() {
    let (kitaru, _) = memory().await;
    let path = "children: named";
    let run =
        |name: &'static str, id: &'static str| dynamic::flow(name).run(move || part(path.into(), 1).id(id)).on(&kitaru);
    assert_eq!((run("one", "shared").await.unwrap(), run("two", "shared").await.unwrap()), (10, 10));
    assert_eq!(log(path).count("work 1"), 1, "they share the child that they name");

    let fresh = dynamic::flow("fresh").run(move || part(path.into(), 1).fresh());
    let error = fresh.on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("only that flow can begin both again"), "{error}");
    let (other, _) = memory().await;
    let elsewhere = dynamic::flow("elsewhere").run(move || part(path.into(), 1).on(&other));
    let error = elsewhere.on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("another store"), "{error}");
    let unnamed = dynamic::flow("unnamed")
        .run(|| async { dynamic::flow("own").run(|| async { Ok::<_, Error>(1) }).start().await.map(drop) });
    let error = unnamed.on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("has no #[flow]"), "{error}");
    let awaited = dynamic::flow("awaited").run(|| dynamic::flow("own").run(|| async { Ok::<_, Error>(1) }));
    assert_eq!(awaited.on(&kitaru).await.unwrap(), 1);
}

/// Children of children and waits, parked at any time.
#[flow]
async fn nested(path: String, depth: u32) -> Result<u32, Error> {
    if depth == 0 {
        return part(path, 1).await;
    }
    let left = nested(format!("{path}/l"), depth - 1);
    let right = nested(format!("{path}/r"), depth - 1);
    let (left, right) = tokio::join!(left, right);
    kitaru::sleep(Duration::from_secs(1)).await;
    Ok(left? + right?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grandchildren_have_the_same_results_in_memory_and_parked_everywhere() {
    for park_after in [Duration::ZERO, HOUR * 24] {
        let clock = Clock::manual();
        let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).park_after(park_after).open().await.unwrap();
        let path = format!("children: nested sleeps {park_after:?}");
        let mut handle = nested(path.clone(), 4).id("job").on(&kitaru).start().await.unwrap();
        let sum = loop {
            tokio::select! {
                sum = &mut handle => break sum.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(1)) => clock.advance(Duration::from_secs(600)),
            }
        };
        assert_eq!(sum, 160);
    }
}

#[checkpoint]
async fn dies(path: &str) -> u32 {
    log(path).say("dies");
    std::future::pending().await
}

#[flow]
async fn dying(path: String) -> Result<u32, Error> {
    Ok(dies(&path).await)
}

#[flow]
async fn of_dying(path: String) -> Result<u32, Error> {
    dying(path).id("child").await
}

#[tokio::test]
async fn child_that_keeps_crashing_is_held_back_from_its_parent_and_then_stuck() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let path = "children: dying";
    let (builder, mut life) = rows.process(&clock);
    let mut kitaru = builder.open().await.unwrap();
    drop(of_dying(path.into()).id("parent").on(&kitaru).start().await.unwrap());
    let mut pause = Duration::ZERO;
    for deaths in 1..=8 {
        pause = Duration::ZERO;
        while log(path).count("dies") < deaths {
            clock.advance(Duration::from_millis(500));
            pause += Duration::from_millis(500);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        life.dies(kitaru).await;
        let (builder, next) = rows.process(&clock);
        (kitaru, life) = (builder.open().await.unwrap(), next);
    }
    assert!(pause > Duration::from_secs(30), "{pause:?}");
    let ended = async |flow, id, status| {
        while kitaru.execution((flow, id)).await.unwrap().unwrap().status() != status {
            tokio::task::yield_now().await;
        }
    };
    let ended =
        async { tokio::join!(ended("dying", "child", Status::Stuck), ended("of_dying", "parent", Status::Failed)) };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("both have ended");
    let parent = kitaru.execution(("of_dying", "parent")).await.unwrap().unwrap();
    assert!(parent.error().unwrap().contains("8 attempts crashed"), "{:?}", parent.error());
    assert_eq!(log(path).count("dies"), 8);
}
