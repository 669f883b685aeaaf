//! Programs run: the flow that does what a program says, and the test that gives it what it waits for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use futures::future::join_all;
use kitaru::testkit::Testkit;
use kitaru::{Error, checkpoint, flow};

use crate::program::{End, Program, Step};
use crate::trace;

pub fn ask(nth: u64) -> Program {
    Program::of(nth, false)
}

async fn suspend(turns: u32) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

#[checkpoint]
async fn work(id: u32, turns: u32) -> u64 {
    suspend(turns).await;
    u64::from(id) * 3
}

#[checkpoint(skip(turns))]
async fn same(turns: u32) -> u64 {
    suspend(turns).await;
    1
}

#[checkpoint(retries = 3, backoff = "100ms")]
async fn flaky(id: u32) -> Result<u64, Error> {
    thread_local!(static TRIES: RefCell<HashMap<u32, u32>> = RefCell::default());
    let nth = TRIES.with_borrow_mut(|tries| {
        let tries = tries.entry(id).or_default();
        *tries += 1;
        *tries
    });
    // Never twice in a row.
    if nth % 2 == 1 { Err(Error::msg("not yet")) } else { Ok(u64::from(id) * 5) }
}

#[checkpoint]
async fn fails(id: u32) -> Result<u64, Error> {
    Err(Error::msg(format!("{id} fails")))
}

#[checkpoint]
async fn nested(id: u32) -> u64 {
    work(id, 1).await + work(id, 2).await
}

#[checkpoint(at_most_once)]
async fn once(id: u32) -> Result<u64, Error> {
    suspend(id % 2).await;
    Ok(u64::from(id))
}

#[checkpoint]
async fn keep(id: u32, value: u64) -> u64 {
    u64::from(id).wrapping_add(value)
}

#[checkpoint]
async fn undone(id: u32) -> u64 {
    u64::from(id)
}

#[flow]
async fn program(nth: u64) -> Result<u64, Error> {
    go("program", Program::of(nth, false)).await
}

#[flow]
async fn child(nth: u64) -> Result<u64, Error> {
    go(&format!("child {nth}"), Program::of(nth, true)).await
}

async fn go(execution: &str, program: Program) -> Result<u64, Error> {
    if program.meets_no_error() {
        trace::begin(execution);
    }
    let sum = steps(execution.to_owned(), program.steps).await?;
    match program.end {
        End::Returns => Ok(sum),
        End::Fails => Err(Error::msg(format!("it fails with {sum}"))),
        End::Panics => panic!("it panics with {sum}"),
    }
}

type Sum = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>;

fn steps(execution: String, steps: Vec<Step>) -> Sum {
    Box::pin(async move {
        let mut sum = 0u64;
        let mut branches = Vec::new();
        for step in steps {
            if let Step::Spawn(arm) = step {
                branches.push(kitaru::spawn(self::steps(execution.clone(), arm)));
            } else {
                sum = sum.wrapping_mul(31).wrapping_add(self::step(&execution, step).await?);
            }
        }
        for branch in branches {
            sum = sum.wrapping_add(branch.await?);
        }
        Ok(sum)
    })
}

async fn step(execution: &str, step: Step) -> Result<u64, Error> {
    let given = |id: u32, what: u64| {
        trace::given(execution, format!("{id}: {what}"));
        what
    };
    Ok(match step {
        Step::Work { id, turns } => given(id, work(id, turns).await),
        Step::Same { id, turns } => given(id, same(turns).await),
        Step::Flaky { id } => given(id, flaky(id).await?),
        // An error that was not settled may be given later the next time.
        Step::Fails { id } => fails(id).await.unwrap_or(7),
        Step::Nested { id } => given(id, nested(id).await),
        Step::Once { id } => once(id).await?,
        Step::Sleep { id, time } => {
            kitaru::sleep(time).named(format!("sleep {id}")).await;
            given(id, 0)
        }
        Step::Event { id } => given(id, kitaru::event::<u64>(format!("event {id}")).await?),
        Step::Answer { id } => given(id, kitaru::wait::<u64>(format!("answer {id}")).await?),
        // What depends on them stands in a record: another value on another attempt contradicts that.
        Step::Chance { id } => {
            keep(id, kitaru::random()).await;
            0
        }
        Step::Now { id } => {
            let now = kitaru::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            keep(id, now.as_millis() as u64).await;
            0
        }
        Step::Child { id, nth } => match child(nth).await {
            Ok(sum) => given(id, sum),
            Err(_) => 11,
        },
        Step::Join(arms) => {
            let sums = join_all(arms.into_iter().map(|arm| steps(execution.to_owned(), arm))).await;
            sums.into_iter().try_fold(0u64, |all, sum| sum.map(|sum| all.wrapping_mul(17).wrapping_add(sum)))?
        }
        Step::Race(arms) => {
            // Who wins is the world's business.
            kitaru::race(arms.into_iter().map(|arm| steps(execution.to_owned(), arm)).collect::<Vec<_>>()).await?;
            0
        }
        Step::Leave(arm) => {
            drop(kitaru::spawn(steps(execution.to_owned(), arm)));
            0
        }
        Step::Undo { id } => {
            kitaru::undo(move || async move { Ok::<_, Error>(undone(id).await) });
            0
        }
        Step::Spawn(_) => unreachable!("a branch that is awaited is split off by whoever awaits it"),
    })
}

/// Runs a program to its end, and gives it what it waits for, however often the store refuses.
pub async fn run(kit: &Testkit, nth: u64) -> String {
    if kit.journal().to_string().is_empty() {
        trace::clear();
    }
    let target = ("program", "job");
    while kit.start(program(nth).id("job")).await.is_err_and(|error| again(&error)) {}
    let program = ask(nth);
    for id in program.ids(|step| if let Step::Event { id } = step { Some(*id) } else { None }) {
        while kit.send(&target, &format!("event {id}"), &id).await.is_err_and(|error| again(&error)) {}
    }
    for id in program.ids(|step| if let Step::Answer { id } = step { Some(*id) } else { None }) {
        while kit.answer(&target, &format!("answer {id}"), &id).await.is_err_and(|error| again(&error)) {}
    }
    let came = loop {
        match kit.fast_forward(self::program(nth).id("job")).await {
            Err(error) if again(&error) => kit.advance(Duration::from_secs(60)).await,
            came => break came,
        }
    };
    if let Some(breach) = trace::breach() {
        panic!("{breach}");
    }
    format!("{came:?}")
}

fn again(error: &Error) -> bool {
    error.is_store()
}
