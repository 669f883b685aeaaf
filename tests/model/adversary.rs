//! Section 4, against an adversary: it decides which body ends next, and advances the clock at unexpected moments. Every
//! attempt still takes the path of the first one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, FuturesUnordered, StreamExt};
use kitaru::{Clock, Error, Kitaru, checkpoint, flow, race, signal, sleep, timeout};
use tokio::sync::oneshot;

use crate::support::{Log, chance, log};

const SECOND: Duration = Duration::from_secs(1);

/// Which of the bodies that have begun ends next.
#[derive(Clone, Copy, Debug)]
enum Favour {
    Oldest,
    Newest,
    Any,
    /// All of them, so that their outcomes are in one commit.
    All,
}

const FAVOURS: [Favour; 4] = [Favour::Oldest, Favour::Newest, Favour::Any, Favour::All];

/// Bodies that have begun and may not end yet.
#[derive(Clone, Default)]
struct Adversary(Arc<Mutex<Vec<oneshot::Sender<()>>>>);

fn adversary(name: &str) -> Adversary {
    static KNOWN: Mutex<BTreeMap<String, Adversary>> = Mutex::new(BTreeMap::new());
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
}

impl Adversary {
    async fn permits(&self) {
        let (permit, permitted) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(permit);
        let _ = permitted.await;
    }

    fn pick(&self, favour: Favour) -> Vec<oneshot::Sender<()>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A body that lost a race is dropped.
        held.retain(|permit| !permit.is_closed());
        match (held.len(), favour) {
            (0, _) => Vec::new(),
            (_, Favour::Oldest) => vec![held.remove(0)],
            (_, Favour::Newest) => held.pop().into_iter().collect(),
            (count, Favour::Any) => vec![held.swap_remove(chance() as usize % count)],
            (_, Favour::All) => std::mem::take(&mut *held),
        }
    }

    /// Decides until it is dropped.
    async fn rules(self, favour: Favour, clock: Clock) {
        loop {
            // By then, every body that can begin has begun.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            let picked = self.pick(favour);
            if picked.is_empty() || chance().is_multiple_of(8) {
                clock.advance(SECOND / 2);
            }
            for permit in picked {
                let _ = permit.send(());
            }
        }
    }
}

/// A body that ends when the adversary lets it, and returns a random number.
#[checkpoint(skip(name))]
async fn held(name: &str, tag: u32, n: u32) -> Result<u64, Error> {
    match tag {
        // The child of a call that lost its race begins at any time, during its parent's replay or not.
        CHILD => log(&children(name)).say(n.to_string()),
        _ => log(name).say("body"),
    }
    adversary(name).permits().await;
    Ok(chance() ^ u64::from(tag + n))
}

const CHILD: u32 = 10;

/// The log in which children note that their bodies have begun.
fn children(name: &str) -> String {
    format!("{name}: children")
}

/// A call that notes when the flow receives its outcome.
async fn told(name: &str, tag: u32, n: u32) -> Result<u64, Error> {
    let value = held(name, tag, n).await?;
    log(name).say(format!("{tag} {n} {value:x}"));
    Ok(value)
}

/// The calls of each shape.
const WIDE: u32 = 1_000;

async fn shape(name: &str, shape: &str, path: &Log) -> Result<(), Error> {
    let thirds = |third: u32| (0..WIDE / 3).map(move |n| told(name, third, n));
    match shape {
        "join!" => {
            // Nested, and each wider than the number of futures that `join_all` polls one by one.
            let (a, (b, c)) =
                tokio::join!(join_all(thirds(0)), async { futures::join!(join_all(thirds(1)), join_all(thirds(2))) });
            path.say(
                a.into_iter().chain(b).chain(c).try_fold(0, |sum, value| value.map(|value| sum ^ value))?.to_string(),
            );
        }
        "join_all" => {
            for value in join_all((0..WIDE).map(|n| told(name, 3, n))).await {
                path.say(value?.to_string());
            }
        }
        "FuturesUnordered" => {
            let mut unordered: FuturesUnordered<_> = (0..WIDE).map(|n| held(name, 4, n)).collect();
            while let Some(value) = unordered.next().await {
                path.say(value?.to_string());
            }
        }
        "buffer_unordered" => {
            // The order in which equal calls are made distinguishes them.
            let mut values = stream::iter((0..WIDE).map(|n| held(name, 5, n % 7))).buffer_unordered(37);
            while let Some(value) = values.next().await {
                path.say(value?.to_string());
            }
        }
        "select! biased" => {
            for n in 0..WIDE / 2 {
                // The other call is dropped, and made again.
                let value = tokio::select! {
                    biased;
                    value = held(name, 6, 0) => { path.say("first"); value? }
                    value = held(name, 6, n % 5) => { path.say("second"); value? }
                };
                path.say(value.to_string());
            }
        }
        "select! of calls made beforehand" => {
            for _ in 0..WIDE / 2 {
                // Equal ones, at arms that are tried in any order.
                let (mut a, mut b) = (held(name, 7, 0), held(name, 7, 0));
                let (mut a_is_open, mut b_is_open) = (true, true);
                while a_is_open || b_is_open {
                    tokio::select! {
                        value = &mut a, if a_is_open => { path.say(format!("a {}", value?)); a_is_open = false; }
                        value = &mut b, if b_is_open => { path.say(format!("b {}", value?)); b_is_open = false; }
                    }
                }
            }
        }
        "race" => {
            for n in 0..WIDE / 2 {
                let arm = |arm: u32| Box::pin(async move { (arm, held(name, 8, 0).await) });
                let (arm, value) = race((0..2 + n % 2).map(arm).collect::<Vec<_>>()).await;
                path.say(format!("{arm} {}", value?));
            }
        }
        "timeout" => {
            let calls = (0..WIDE).map(|n| async move { (n, timeout(SECOND * (n % 5), told(name, 9, n)).await) });
            let mut unordered: FuturesUnordered<_> = calls.collect();
            while let Some((n, value)) = unordered.next().await {
                path.say(format!("{n} {}", value.is_ok()));
            }
        }
        "all of it" => {
            let mut branches: FuturesUnordered<_> = (0..60).map(|n| tangled(name.to_owned(), n)).collect();
            while let Some(came) = branches.next().await {
                path.say(came?.to_string());
            }
        }
        other => panic!("there is no shape `{other}`"),
    }
    Ok(())
}

/// A child, whose own path is not checked.
#[flow]
async fn leaf(name: String, n: u32) -> Result<u64, Error> {
    sleep(SECOND * (n % 3)).await;
    held(&name, CHILD, n).await
}

/// Nested waits, children, branches and bodies.
async fn tangled(name: String, n: u32) -> Result<u64, Error> {
    let path = log(&name);
    let branch = {
        let name = name.clone();
        kitaru::spawn(async move {
            sleep(SECOND * (n % 4)).await;
            told(&name, 11, n).await
        })
    };
    let first = async {
        // Each call takes the next signal.
        let signal: u64 = signal("signal").await?;
        path.say(format!("signal {signal} to {n}"));
        Ok::<_, Error>(signal)
    };
    let child = async {
        let came = timeout(SECOND * 2, leaf(name.clone(), n)).await;
        path.say(format!("child {n}: {}", came.is_ok()));
        came.unwrap_or(Ok(0))
    };
    let raced = race((Box::pin(told(&name, 12, n % 3)) as futures::future::BoxFuture<'_, _>, {
        Box::pin(async {
            sleep(SECOND).await;
            Ok(1)
        })
    }));
    let (first, child, raced, branch) = tokio::join!(first, child, raced, branch);
    Ok(first? ^ child? ^ raced? ^ branch?)
}

#[flow]
async fn ordered(name: String, of: String) -> Result<(), Error> {
    let path = log(&name);
    path.say("begins");
    shape(&name, &of, &path).await?;
    Err(Error::msg("the end"))
}

/// The path of each attempt. An attempt that was parked or dropped took a part of it.
fn paths(lines: Vec<String>) -> Vec<Vec<String>> {
    let lines: Vec<String> = lines.into_iter().filter(|line| line != "body").collect();
    lines.split(|line| line == "begins").skip(1).map(<[String]>::to_vec).collect()
}

fn alike(one: &[String], other: &[String], what: &str) {
    let at = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let (one, other) = (&one[at..], &other[at..]);
    let few = |path: &[String]| path.iter().take(4).cloned().collect::<Vec<_>>();
    assert!(one == other, "{what} is {:?}… from step {at} on, and not {:?}…", few(one), few(other));
}

async fn takes_one_path(kitaru: &Kitaru, clock: &Clock, of: &str, favour: Favour, parks: &str) {
    let name = format!("{of}, {favour:?}{parks}");
    let rules = tokio::spawn(adversary(&name).rules(favour, clock.clone()));
    let call = || ordered(name.clone(), of.to_owned()).id(name.as_str()).on(kitaru);
    let handle = call().start().await.unwrap();
    if of == "all of it" {
        for n in 0..60u64 {
            kitaru.signal(&handle, "signal", &n).await.unwrap();
        }
    }
    assert_eq!(handle.await.unwrap_err().to_string(), "the end", "{name}");
    let took = paths(log(&name).take());
    let path = took.last().cloned().unwrap_or_default();
    assert!(path.len() >= 60, "{name}: {path:?}");
    for (nth, attempt) in took.iter().enumerate() {
        alike(attempt, &path[..attempt.len().min(path.len())], &format!("{name}: attempt {nth}"));
    }
    for replay in 0..2 {
        assert_eq!(call().await.unwrap_err().to_string(), "the end", "{name}");
        let lines = log(&name).take();
        assert!(!lines.contains(&"body".to_owned()), "{name}: replay {replay} runs a body");
        let again = paths(lines);
        alike(&again.concat(), &path, &format!("{name}: replay {replay}"));
    }
    rules.abort();
    let mut begun = log(&children(&name)).take();
    begun.sort_unstable();
    assert!(begun.windows(2).all(|two| two[0] != two[1]), "{name}: a child's body has begun twice: {begun:?}");
}

async fn takes_one_path_under_every_favour(of: &str) {
    for (parks, park_after) in [("", SECOND * 86_400), (", parked", Duration::ZERO)] {
        for favour in FAVOURS {
            let clock = Clock::manual();
            let open = Kitaru::builder().in_memory().clock(clock.clone()).park_after(park_after);
            let kitaru = open.open().await.unwrap();
            takes_one_path(&kitaru, &clock, of, favour, parks).await;
        }
    }
}

#[tokio::test]
async fn nested_joins_take_one_path_whichever_ends_first() {
    takes_one_path_under_every_favour("join!").await;
}

#[tokio::test]
async fn join_all_of_a_thousand_calls_takes_one_path_whichever_ends_first() {
    takes_one_path_under_every_favour("join_all").await;
}

#[tokio::test]
async fn thousand_unordered_futures_take_one_path_whichever_ends_first() {
    takes_one_path_under_every_favour("FuturesUnordered").await;
}

#[tokio::test]
async fn thousand_buffered_calls_take_one_path_whichever_ends_first() {
    takes_one_path_under_every_favour("buffer_unordered").await;
}

#[tokio::test]
async fn biased_select_takes_one_path_whichever_ends_first() {
    takes_one_path_under_every_favour("select! biased").await;
}

#[tokio::test]
async fn select_of_calls_made_beforehand_takes_one_path_whichever_ends_first() {
    takes_one_path_under_every_favour("select! of calls made beforehand").await;
}

#[tokio::test]
async fn race_takes_one_path_whichever_ends_first() {
    takes_one_path_under_every_favour("race").await;
}

#[tokio::test]
async fn thousand_timeouts_take_one_path_whichever_ends_first() {
    takes_one_path_under_every_favour("timeout").await;
}

#[tokio::test]
async fn nested_waits_children_and_branches_take_one_path_whichever_ends_first() {
    takes_one_path_under_every_favour("all of it").await;
}
