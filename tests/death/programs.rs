//! The programs that are killed. They note what they do in a file, which outlives them.

use std::time::{Duration, UNIX_EPOCH};

use futures::future::join_all;
use kitaru::{Error, Kitaru, Status, Summary, checkpoint, flow};

#[cfg(feature = "openai")]
use crate::agents;
use crate::crash_loops;
use crate::notes::{here, note, step};
use crate::process::{PROGRAM, STOP, say};
use crate::{folder, waits};

/// The entry of the other process. In the process of the tests it does nothing.
#[test]
fn program() {
    let Ok(program) = std::env::var(PROGRAM) else { return };
    note("process");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // The test harness has printed the beginning of a line.
    say("");
    let ended = runtime.block_on(async {
        match program.as_str() {
            "steps" => say(format!("result {}", steps(12).await?)),
            "crowd" => crowd().await?,
            "errors" => say(format!("result {}", errors(0).await?)),
            "pays" => say(format!("result {}", pays(5).await?)),
            "chances" => say(format!("result {}", chances(0).await?)),
            "naps" => {
                tokio::spawn(killed_in_the_nap());
                say(format!("result {}", naps(0).await?));
            }
            "answers" => answers().await?,
            "undoes" => {
                let error = undoes(3).await.expect_err("it fails");
                say(format!("result {error}"));
            }
            "recovers" => recovers(Kitaru::builder().dir("store").open().await?).await?,
            "wakes" => recovers(waits::open().await?).await?,
            "holds" => holds().await?,
            "fills" => fills().await?,
            "overflows" => overflows().await?,
            #[cfg(feature = "openai")]
            other if agents::program(other).await? => {}
            other if folder::program(other).await? => {}
            other if crash_loops::program(other).await? => {}
            other => assert!(waits::program(other).await?, "there is no program `{other}`"),
        }
        Ok::<(), Error>(())
    });
    if let Err(error) = ended {
        say(format!("error {error:#}"));
        std::process::exit(1);
    }
    std::process::exit(0);
}

#[flow]
async fn steps(count: u32) -> Result<u64, Error> {
    let mut sum = 0;
    for n in 0..count {
        sum += step(n).await;
        note(&format!("seen {n}"));
        here(&format!("after {n}")).await;
    }
    Ok(sum)
}

#[checkpoint]
async fn work(execution: u32, name: &str, n: u64) -> Result<u64, Error> {
    note(&format!("ran {execution} {name} {n}"));
    for _ in 0..(n * 7 + u64::from(execution)) % 5 {
        tokio::task::yield_now().await;
    }
    // The flow receives errors and continues.
    if n % 4 == 3 { Err(Error::msg(format!("{n} is refused"))) } else { Ok(n * 2 + u64::from(execution)) }
}

/// Prints, notes and counts the outcome.
async fn seen(execution: u32, name: &str, n: u64) -> u64 {
    let outcome = work(execution, name, n).await;
    let verb = if outcome.is_ok() { "seen" } else { "caught" };
    note(&format!("{verb} {execution} {name} {n}"));
    say("seen");
    outcome.unwrap_or(1_000)
}

#[flow]
async fn member(execution: u32) -> Result<u64, Error> {
    let mut sum = 0;
    for round in 0..3 {
        let branch = kitaru::spawn(async move {
            let first = seen(execution, "branch", round).await;
            first + seen(execution, "then", first).await
        });
        let (left, right) = tokio::join!(seen(execution, "left", round), seen(execution, "right", round + 1));
        let all = join_all((0..4).map(|n| seen(execution, "all", round * 4 + n))).await;
        sum = seen(execution, "sum", sum + left + right + all.iter().sum::<u64>() + branch.await).await;
        // The winner may differ from execution to execution.
        let _ = kitaru::race([round, round + 7].map(|n| Box::pin(work(execution, "race", n)))).await;
    }
    Ok(sum)
}

async fn crowd() -> Result<(), Error> {
    let members = (0..16).map(|execution| async move { (execution, member(execution).await) });
    for (execution, sum) in join_all(members).await {
        say(format!("result {execution} {}", sum?));
    }
    Ok(())
}

#[checkpoint]
async fn fails_once(n: u32) -> Result<u32, Error> {
    let first = !std::fs::read_to_string("notes").unwrap_or_default().contains("ran fails_once");
    note("ran fails_once");
    if first { Err(Error::msg("no luck")) } else { Ok(n) }
}

#[flow]
async fn errors(n: u32) -> Result<u64, Error> {
    let said = match fails_once(n).await {
        Ok(_) => 1,
        Err(_) => 2,
    };
    here("seen").await;
    // A body that starts after the error was seen settles it.
    Ok(step(100).await + said)
}

#[checkpoint(at_most_once)]
async fn pay(cents: u64) -> Result<u64, Error> {
    note("ran pay");
    here("in pay").await;
    Ok(cents)
}

#[flow]
async fn pays(cents: u64) -> Result<String, Error> {
    Ok(match pay(cents).await {
        Ok(cents) => format!("paid {cents}"),
        Err(error) if error.is_interrupted() => "interrupted".to_owned(),
        Err(error) => format!("{error:#}"),
    })
}

#[flow]
async fn chances(n: u32) -> Result<u64, Error> {
    let at = kitaru::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    say(format!("chance {} {} {}", at.as_millis(), kitaru::random(), kitaru::uuid()));
    Ok(step(200 + n).await)
}

/// How long `naps` sleeps.
pub(crate) const NAP: Duration = Duration::from_millis(400);

/// Runs outside the flow, which may be parked by then.
async fn killed_in_the_nap() {
    while !std::fs::read_to_string("notes").unwrap_or_default().contains("lies down") {
        tokio::time::sleep(NAP / 100).await;
    }
    // Long enough for the wait to be recorded, but shorter than the wait.
    tokio::time::sleep(NAP / 4).await;
    here("asleep").await;
}

#[flow]
async fn naps(n: u32) -> Result<u64, Error> {
    let before = kitaru::now();
    note("lies down");
    kitaru::sleep(NAP).await;
    note("gets up");
    step(300 + n).await;
    Ok(kitaru::now().duration_since(before).unwrap_or_default().as_millis() as u64)
}

#[checkpoint]
async fn take_back(n: u32) -> Result<(), Error> {
    note(&format!("ran take_back {n}"));
    here(&format!("in take_back {n}")).await;
    Ok(())
}

#[flow]
async fn undoes(count: u32) -> Result<(), Error> {
    for n in 0..count {
        kitaru::undo(move || take_back(n));
        step(n).await;
    }
    here("failing").await;
    Err(Error::msg("sold out"))
}

#[flow]
async fn asks(n: u32) -> Result<u64, Error> {
    let answer: u64 = kitaru::wait("answer").await?;
    let signal: u64 = kitaru::signal("signal").await?;
    let more: u64 = kitaru::signal("signal").await?;
    Ok(answer + signal + more + step(400 + n).await)
}

/// Sends the messages that `asks` waits for, one in each process, and stops after it.
async fn answers() -> Result<(), Error> {
    let kitaru = Kitaru::builder().dir("store").open().await?;
    let handle = asks(0).id("job").on(&kitaru).start().await?;
    match std::env::var(STOP).unwrap_or_default().as_str() {
        "asked" => {
            while kitaru.execution(("asks", "job")).await?.is_none_or(|execution| execution.waits().is_empty()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        "answered" => kitaru.answer(&handle, "answer", &10u64).await?,
        "told" => kitaru.signal(&handle, "signal", &200u64).key("once").await?,
        _ => {
            kitaru.signal(&handle, "signal", &999u64).key("once").await?;
            kitaru.signal(&handle, "signal", &3000u64).key("another").await?;
        }
    }
    for place in ["asked", "answered", "told"] {
        here(place).await;
    }
    say(format!("result {}", handle.await?));
    kitaru.close().await
}

/// Calls nothing: unfinished executions resume automatically.
async fn recovers(kitaru: Kitaru) -> Result<(), Error> {
    loop {
        let page = kitaru.executions().await?;
        let has_ended = |execution: &Summary| match execution.status() {
            Status::Completed => true,
            // It may continue as new while the list is read: then the next look finds its next generation.
            Status::ContinuedAsNew => {
                page.iter().any(|next| next.id() == execution.id() && next.generation() == execution.generation() + 1)
            }
            _ => false,
        };
        if page.iter().all(has_ended) {
            return kitaru.close().await;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn holds() -> Result<(), Error> {
    let lock_timeout = Duration::from_millis(std::env::var(STOP).unwrap_or_default().parse().unwrap_or(60_000));
    let _kitaru = Kitaru::builder().dir("store").lock_timeout(lock_timeout).open().await?;
    say("held");
    std::future::pending().await
}

/// The number of records of `fills` before it is killed.
pub(crate) const FILLED: u32 = 60_000;

#[flow]
async fn filler(count: u32) -> Result<(), Error> {
    for chunk in 0..count / 1_000 {
        join_all((0..1_000).map(|n| quiet(chunk * 1_000 + n))).await;
    }
    say("filled");
    // So that the last commit is one under load.
    loop {
        quiet(0).await;
    }
}

#[checkpoint]
async fn quiet(n: u32) -> u32 {
    n
}

async fn fills() -> Result<(), Error> {
    filler(FILLED).await
}

/// The size of each outcome, in bytes.
const LARGE: usize = 200 << 10;

#[checkpoint]
async fn large(n: u32) -> Vec<u8> {
    note(&format!("ran large {n}"));
    vec![n as u8; LARGE]
}

#[flow]
async fn grows(count: u32) -> Result<u64, Error> {
    let mut sum = 0;
    for n in 0..count {
        sum += large(n).await.len() as u64;
        note(&format!("seen large {n}"));
    }
    Ok(sum)
}

/// Fills its disk, makes room, and resumes, in one process.
async fn overflows() -> Result<(), Error> {
    let error = grows(100).await.expect_err("the disk is too small");
    say(format!("full {} {error:#}", error.is_storage_full()));
    note("full");
    std::fs::remove_file("ballast").expect("there is ballast");
    say(format!("result {}", grows(100).await?));
    Ok(())
}
