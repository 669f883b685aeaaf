//! The flow that runs a program.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use futures::future::join_all;
use kitaru::{Error, FlowCall, checkpoint, flow};

use crate::program::{End, Map, Part, Policy, Program, Role, Step, Thrown, child};
use crate::trace;

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

thread_local! {
    /// The number of tries of each call, over all processes of a run.
    static TRIES: RefCell<HashMap<String, u32>> = RefCell::default();
}

/// Another run begins.
pub fn forget_tries() {
    TRIES.with_borrow_mut(HashMap::clear);
}

#[checkpoint(retries = 3, backoff = "100ms")]
async fn flaky(id: u32) -> Result<u64, Error> {
    let nth = TRIES.with_borrow_mut(|tries| {
        let tries = tries.entry(kitaru::idempotency_key()).or_default();
        *tries += 1;
        *tries
    });
    // Never more often than it has tries, over all attempts.
    if nth <= 1 + id % 2 { Err(Error::msg("not yet")) } else { Ok(u64::from(id) * 5) }
}

#[checkpoint]
async fn fails(id: u32) -> Result<u64, Error> {
    Err(Error::msg(format!("{id} fails")))
}

#[checkpoint(timeout = "1h")]
async fn slow(id: u32) -> Result<u64, Error> {
    pending::<()>().await;
    Ok(u64::from(id))
}

#[checkpoint]
async fn nested(id: u32) -> u64 {
    kitaru::publish(&shown(id), &id).unwrap();
    work(id, 1).await + work(id, 2).await
}

#[checkpoint(at_most_once)]
async fn once(id: u32) -> Result<u64, Error> {
    suspend(id % 2).await;
    Ok(u64::from(id))
}

#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn asked(id: u32) -> Result<u64, Error> {
    suspend(id % 3).await;
    Ok(u64::from(id) * 7)
}

/// The answer about an interrupted body: both answers lead to the same result.
pub fn said_of(id: u32) -> kitaru::Resolution {
    match id % 2 {
        0 => kitaru::Resolution::run_again(),
        _ => kitaru::Resolution::happened(&(u64::from(id) * 7)).unwrap(),
    }
}

#[checkpoint]
async fn keep(id: u32, value: u64) -> u64 {
    u64::from(id).wrapping_add(value)
}

#[checkpoint]
async fn undone(id: u32) -> u64 {
    u64::from(id)
}

/// The name under which a step publishes.
pub fn shown(id: u32) -> String {
    format!("shown {id}")
}

#[flow]
async fn program(nth: u64, round: u32) -> Result<u64, Error> {
    go(Part { nth, round, role: Role::Root }).await
}

#[flow]
async fn sub_program(nth: u64, round: u32) -> Result<u64, Error> {
    go(Part { nth, round, role: Role::Child }).await
}

/// The call of the flow or child that runs a part.
pub fn call(part: Part) -> FlowCall<Result<u64, Error>> {
    let call = match part.role {
        Role::Root => program(part.nth, part.round),
        Role::Child => sub_program(part.nth, part.round),
    };
    match part.program().end {
        End::Late(deadline) => call.deadline(deadline),
        _ => call,
    }
}

async fn go(part: Part) -> Result<u64, Error> {
    let scribe: Scribe = Arc::from(format!("{part:?}"));
    let Program { steps: first, end } = part.program();
    if part.meets_no_error() {
        trace::begin(&scribe);
    }
    let sum = steps(scribe, first).await?;
    match end {
        End::Returns => Ok(sum),
        End::Fails => Err(Error::msg(format!("it fails with {sum}"))),
        End::Panics => panic!("it panics with {sum}"),
        End::ContinuesAsNew(after) => {
            let next = call(part.next());
            match after {
                Some(after) => next.start_at(kitaru::now() + after).continue_as_new().await,
                None => next.continue_as_new().await,
            }
        }
        End::Cancelled(_) | End::Late(_) => kitaru::signal("never").await,
    }
}

/// Writes down the outcomes that a generation receives.
type Scribe = Arc<str>;
type Sum = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>;

fn steps(scribe: Scribe, steps: Vec<Step>) -> Sum {
    Box::pin(async move {
        let mut sum = 0u64;
        let mut branches = Vec::new();
        for step in steps {
            if let Step::Spawn(arm) = step {
                branches.push(kitaru::spawn(self::steps(scribe.clone(), arm)));
            } else {
                sum = sum.wrapping_mul(31).wrapping_add(self::step(&scribe, step).await?);
            }
        }
        for branch in branches {
            sum = sum.wrapping_add(branch.await?);
        }
        Ok(sum)
    })
}

async fn step(scribe: &Scribe, step: Step) -> Result<u64, Error> {
    let given = |id: u32, what: u64| {
        trace::given(scribe, format!("{id}: {what}"));
        what
    };
    let all = |arms: Vec<Vec<Step>>| arms.into_iter().map(|arm| steps(scribe.clone(), arm));
    Ok(match step {
        Step::Work { id, turns } => given(id, work(id, turns).await),
        Step::Same { id, turns } => given(id, same(turns).await),
        Step::Flaky { id } => given(id, flaky(id).await?),
        // An error that was not settled may arrive later in the next attempt.
        Step::Fails { id } => fails(id).await.unwrap_or(7),
        Step::Slow { id, time } => slow(id).timeout(time).await.unwrap_or(23),
        Step::Nested { id } => given(id, nested(id).await),
        Step::Once { id } => once(id).await?,
        Step::Asked { id } => given(id, asked(id).named(format!("asked {id}")).await?),
        Step::Sleep { id, time } => {
            kitaru::sleep(time).named(format!("sleep {id}")).await;
            given(id, 0)
        }
        Step::Signal { id } => given(id, kitaru::signal::<u64>(format!("signal {id}")).await?),
        Step::Answer { id } => given(id, kitaru::wait::<u64>(format!("answer {id}")).await?),
        Step::Unanswered { id, time } => {
            given(id, kitaru::wait::<u64>(format!("unanswered {id}")).deadline(time).await.unwrap_or(29))
        }
        // A record depends on them: another value in another attempt diverges.
        Step::Chance { id } => {
            keep(id, kitaru::random()).await;
            0
        }
        Step::Now { id } => {
            let now = kitaru::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            keep(id, now.as_millis() as u64).await;
            0
        }
        Step::Child { id, nth } => match call(child(nth)).await {
            Ok(sum) => given(id, sum),
            Err(_) => 11,
        },
        Step::Start { id, nth, awaits } => {
            let handle = call(child(nth)).start().await?;
            match awaits {
                true => handle.await.map_or(11, |sum| given(id, sum)),
                false => 0,
            }
        }
        Step::Publish { id } => {
            kitaru::publish(&shown(id), &id)?;
            0
        }
        Step::Join(arms) => {
            let sums = join_all(all(arms)).await;
            sums.into_iter().try_fold(0u64, |all, sum| sum.map(|sum| all.wrapping_mul(17).wrapping_add(sum)))?
        }
        Step::Map(map) => self::map(scribe, map).await,
        // The world decides who wins, here and below.
        Step::Race(arms) => {
            kitaru::race(all(arms).collect::<Vec<_>>()).await?;
            0
        }
        Step::RaceSpawned(arms) => {
            kitaru::race(all(arms).map(kitaru::spawn).collect::<Vec<_>>()).await?;
            0
        }
        Step::Within { time, arm } => {
            drop(kitaru::timeout(time, steps(scribe.clone(), arm)).await);
            0
        }
        Step::Leave(arm) => {
            drop(kitaru::spawn(steps(scribe.clone(), arm)));
            0
        }
        Step::Undo { id } => {
            kitaru::undo(move || async move { Ok::<_, Error>(undone(id).await) });
            0
        }
        Step::Throw { id, by: Thrown::Checkpoint } => fails(id).await?,
        Step::Throw { id, by: Thrown::Flow } => return Err(Error::msg(format!("{id} is thrown"))),
        Step::Spawn(_) => unreachable!("an awaited branch is spawned where it is awaited"),
    })
}

/// The outcome of a map, which is the same whichever item fails first.
async fn map(scribe: &Scribe, Map { items, limit, policy }: Map) -> u64 {
    let map = kitaru::map(items).limit(limit);
    let run = |item| steps(scribe.clone(), item);
    let outcomes = match policy {
        Policy::FirstError => map.run(run).await.map(|sums| sums.into_iter().map(Ok).collect()),
        Policy::All => Ok(map.all().run(run).await),
        Policy::AtLeast(least) => map.at_least(least).run(run).await,
    };
    let Ok(outcomes) = outcomes else { return 19 };
    outcomes.into_iter().fold(0u64, |all, sum| all.wrapping_mul(17).wrapping_add(sum.unwrap_or(13)))
}
