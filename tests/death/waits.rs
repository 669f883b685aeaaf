//! Programs that wait for something, and stop in their wait, to be killed there by `waits_killed`.

use std::time::Duration;

use kitaru::{Error, Execution, Kitaru, RecordStatus, Resolution, Status, checkpoint, flow};

use crate::notes::{here, note, step};
use crate::process::{STOP, say};

/// Longer than the parking threshold, and short enough for a test.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs one of the programs, if it is one.
pub(crate) async fn program(name: &str) -> Result<bool, Error> {
    match name {
        "persists" => runs(persists(false), "persists", in_pause).await?,
        "persists concurrently" => runs(persists(true), "persists", in_pause).await?,
        "parents" => runs(parents(2), "parents", child_waits).await?,
        "continues" => runs(continues(0), "continues", |job| job.status() == Status::Queued).await?,
        "rounds" => runs(rounds(0), "rounds", |_| false).await?,
        "charges" => runs(charges(5), "charges", |job| !job.waits().is_empty()).await?,
        "resolves" => resolves().await?,
        "collects" => collecting().await?,
        _ => return Ok(false),
    }
    Ok(true)
}

pub(crate) async fn open() -> Result<Kitaru, Error> {
    Kitaru::builder().dir("store").park_after(Duration::from_millis(20)).open().await
}

/// Calls a flow; stops at `waiting` when its execution satisfies the condition.
async fn runs<T: std::fmt::Display>(
    call: kitaru::FlowCall<Result<T, Error>>,
    flow: &str,
    looks: impl Fn(&Execution) -> bool,
) -> Result<(), Error> {
    let kitaru = open().await?;
    let handle = call.id("job").on(&kitaru).start().await?;
    if std::env::var(STOP).is_ok_and(|stop| stop == "waiting") {
        until(&kitaru, flow, looks).await?;
        here("waiting").await;
    }
    say(format!("result {}", handle.await?));
    kitaru.close().await
}

async fn until(kitaru: &Kitaru, flow: &str, looks: impl Fn(&Execution) -> bool) -> Result<(), Error> {
    while !kitaru.execution((flow, "job")).await?.is_some_and(|job| looks(&job)) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

#[checkpoint(retries = 3, backoff = "200ms", max_backoff = "200ms")]
async fn refused(n: u32) -> Result<u32, Error> {
    note(&format!("ran refused {n}"));
    Err(Error::msg(format!("{n} is refused")))
}

/// Whether it is in the second pause between tries: the number of tries must survive.
fn in_pause(job: &Execution) -> bool {
    job.records().iter().any(|record| record.status() == RecordStatus::Waiting && record.tries() == 2)
}

#[flow]
async fn persists(concurrently: bool) -> Result<String, Error> {
    let error = if concurrently {
        // Another running body keeps the flow in memory.
        let hangs = kitaru::dynamic::checkpoint("hangs").run(std::future::pending::<Result<u32, Error>>);
        kitaru::race((hangs, refused(1))).await
    } else {
        refused(1).await
    };
    let error = error.expect_err("it is refused");
    Ok(format!("{error}, {}", step(500).await))
}

#[flow]
async fn part(n: u32) -> Result<u64, Error> {
    step(510 + n).await;
    kitaru::sleep(PAUSE).await;
    Ok(step(520 + n).await)
}

fn child_waits(job: &Execution) -> bool {
    job.status() == Status::Waiting
}

#[flow]
async fn parents(parts: u32) -> Result<u64, Error> {
    let started = part(9).start().await?;
    let mut sum = step(530).await;
    for came in futures::future::join_all((0..parts).map(part)).await {
        sum += came?;
    }
    here("between").await;
    sum += started.await?;
    Ok(sum + step(531).await)
}

#[flow]
async fn continues(round: u32) -> Result<String, Error> {
    let value = step(540 + round).await;
    if round == 2 {
        return Ok(format!("{value}"));
    }
    here(&format!("continuing {round}")).await;
    continues(round + 1).start_at(kitaru::now() + PAUSE).continue_as_new().await
}

/// The number of generations of `rounds`.
pub(crate) const ROUNDS: u32 = 40;

#[flow]
async fn rounds(round: u32) -> Result<u32, Error> {
    step(1_000 + round).await;
    say("round");
    if round + 1 == ROUNDS { Ok(round) } else { rounds(round + 1).continue_as_new().await }
}

#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn charge(cents: u64) -> Result<u64, Error> {
    note("ran charge");
    here("in charge").await;
    Ok(cents + 1)
}

#[flow]
async fn charges(cents: u64) -> Result<u64, Error> {
    step(550).await;
    let receipt = charge(cents).await?;
    Ok(receipt + step(551).await)
}

/// Opens the store, and answers its open questions.
async fn resolves() -> Result<(), Error> {
    let kitaru = open().await?;
    until(&kitaru, "charges", |job| !job.waits().is_empty()).await?;
    here("asked").await;
    kitaru.answer(("charges", "job"), "charge", &Resolution::happened(&6u64)?).await?;
    here("resolved").await;
    let handle = kitaru.handle::<u64, Error>(("charges", "job")).await?;
    say(format!("result {}", handle.await?));
    kitaru.close().await
}

#[flow]
async fn collects(round: u32, sum: u64) -> Result<u64, Error> {
    let more: u64 = kitaru::signal("more").await?;
    let sum = sum + more + step(560 + round).await;
    if round == 2 { Ok(sum) } else { collects(round + 1, sum).continue_as_new().await }
}

/// Sends the signals that `collects` takes: two before its third generation waits, and one there, each with a key and more
/// than once.
async fn collecting() -> Result<(), Error> {
    let kitaru = open().await?;
    let handle = collects(0, 0).id("job").on(&kitaru).start().await?;
    for (key, more) in [("one", 1u64), ("two", 20)] {
        send(&kitaru, key, more).await?;
    }
    until(&kitaru, "collects", |job| job.generation() == 3 && job.status() != Status::Running).await?;
    here("waiting").await;
    for (key, more) in [("one", 999), ("two", 999), ("three", 300)] {
        send(&kitaru, key, more).await?;
    }
    here("sent").await;
    say(format!("result {}", handle.await?));
    kitaru.close().await
}

async fn send(kitaru: &Kitaru, key: &str, more: u64) -> Result<(), Error> {
    match kitaru.signal(("collects", "job"), "more", &more).key(key).await {
        // Another process has sent all of them.
        Err(error) if error.is_misuse() => Ok(()),
        sent => sent,
    }
}
