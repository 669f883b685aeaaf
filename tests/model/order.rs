//! Section 4: replay follows the order of the first run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use kitaru::{Error, Kitaru, checkpoint, flow};

use crate::support::{Log, chance, disk, log, memory};

/// A body that takes a random time and returns a random number.
#[checkpoint(skip(bodies))]
async fn work(bodies: &Log, tag: u32, n: u32) -> Result<u64, Error> {
    bodies.say("body");
    let pause = chance() % 3_000;
    if pause > 400 {
        tokio::time::sleep(Duration::from_micros(pause)).await;
    }
    Ok(chance() ^ u64::from(tag + n))
}

/// As `work`, but immediately.
#[checkpoint]
async fn quick(n: u32) -> u64 {
    u64::from(n).wrapping_add(chance())
}

/// A body that takes a known time and returns a random number.
#[checkpoint]
async fn slow(ms: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    chance()
}

/// Runs a flow that fails at its end, so that each further call replays it. Fails unless each replay logs the same path
/// without running a body.
async fn replays_alike<C>(kitaru: &Kitaru, name: &str, replays: usize, call: impl Fn(String) -> C)
where
    C: Future<Output = Result<(), Error>>,
{
    let path = log(name);
    let _ = (kitaru, path.take());
    assert!(call(name.to_owned()).await.is_err());
    let first = path.take();
    let ran = first.iter().filter(|line| *line == "body").count();
    assert!(ran > 0, "the first run runs bodies");
    let steps = |lines: Vec<String>| lines.into_iter().filter(|line| line != "body").collect::<Vec<_>>();
    let first = steps(first);
    for replay in 0..replays {
        assert!(call(name.to_owned()).await.is_err());
        assert_eq!(steps(path.take()), first, "replay {replay} of {name}");
    }
}

/// `select!` in a loop, `FuturesUnordered` that grows, a loser kept by reference, nested joins that talk to each other.
async fn mixed(path: &Log) -> Result<u64, Error> {
    let mut sum = 0u64;
    for n in 0..5 {
        let value = tokio::select! {
            value = work(path, 1, n) => { path.say(format!("select {n} a")); value? }
            value = work(path, 2, n) => { path.say(format!("select {n} b")); value? }
            value = work(path, 3, n) => { path.say(format!("select {n} c")); value? }
        };
        sum = sum.rotate_left(5) ^ value;
    }
    let mut unordered = FuturesUnordered::new();
    let pair = |n: u32| async move { (n, work(path, 7, n % 3).await, work(path, 8, n).await) };
    for n in 0..10 {
        unordered.push(pair(n));
    }
    let mut more = 0;
    while let Some((n, a, b)) = unordered.next().await {
        path.say(format!("unordered {n}"));
        sum = sum.rotate_left(5) ^ a? ^ b?;
        if sum.is_multiple_of(3) && more < 5 {
            more += 1;
            unordered.push(pair(100 + more));
        }
    }
    let mut loser = work(path, 20, 0);
    let mut late = None;
    for n in 0..4 {
        tokio::select! {
            value = &mut loser, if late.is_none() => { path.say(format!("late at {n}")); late = Some(value?); }
            value = work(path, 21, n) => { path.say(format!("early {n}")); sum ^= value?; }
        }
    }
    sum ^= match late {
        Some(late) => late,
        None => loser.await?,
    };
    let (send, mut receive) = tokio::sync::mpsc::channel::<u64>(1);
    let talks = async {
        for n in 0..4 {
            let value = work(path, 30, n).await?;
            send.send(value).await.map_err(Error::msg)?;
        }
        drop(send);
        Ok::<_, Error>(())
    };
    let listens = async {
        let mut heard = 0u64;
        while let Some(value) = receive.recv().await {
            heard = heard.rotate_left(3) ^ work(path, 31, (value % 5) as u32).await?;
        }
        Ok::<_, Error>(heard)
    };
    let equal = async {
        let (a, (b, c)) = tokio::join!(work(path, 32, 0), async { tokio::join!(work(path, 33, 0), work(path, 33, 0)) });
        Ok::<_, Error>(a? ^ b?.rotate_left(1) ^ c?.rotate_left(2))
    };
    let (talked, heard, equal) = tokio::join!(talks, listens, equal);
    talked?;
    sum ^= heard?.wrapping_add(equal?);
    path.say(format!("{sum:x}"));
    Ok(sum)
}

#[flow]
async fn fails_after_mixed(name: String) -> Result<(), Error> {
    mixed(&log(&name)).await?;
    Err(Error::msg("the end"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_selects_and_streams_take_the_same_path_on_every_replay() {
    let (kitaru, _dir) = disk().await;
    for execution in 0..8 {
        let name = format!("mixed-{execution}");
        replays_alike(&kitaru, &name, 12, |name| fails_after_mixed(name).on(&kitaru)).await;
    }
}

#[tokio::test]
async fn the_same_path_is_taken_on_a_current_thread_runtime() {
    let (kitaru, _) = memory().await;
    for execution in 0..8 {
        let name = format!("mixed-current-{execution}");
        replays_alike(&kitaru, &name, 12, |name| fails_after_mixed(name).on(&kitaru)).await;
    }
}

#[flow]
async fn completes_after_mixed(name: String) -> Result<u64, Error> {
    mixed(&log(&name)).await
}

/// The runtime is dropped in the middle, again and again, as a crash would end it.
#[test]
fn execution_cut_off_anywhere_resumes_and_takes_one_path() {
    let dir = tempfile::tempdir().unwrap();
    let open = || async { Kitaru::builder().dir(dir.path()).open().await.unwrap() };
    for execution in 0..10u64 {
        let name = format!("cut-{execution}");
        let path = log(&name);
        let mut budget = 2;
        let result = loop {
            path.take();
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let done = runtime.block_on(async {
                let kitaru = open().await;
                let call = completes_after_mixed(name.clone()).on(&kitaru);
                let done = tokio::time::timeout(Duration::from_millis(budget), call).await;
                kitaru.close().await.unwrap();
                done
            });
            drop(runtime);
            if let Ok(result) = done {
                break result.unwrap();
            }
            budget += 3;
        };
        let steps: Vec<String> = path.take().into_iter().filter(|line| line != "body").collect();
        // It may have completed just before the interruption: then this call only read the result.
        assert!(steps.is_empty() || steps.last() == Some(&format!("{result:x}")), "{steps:?}");
        // A result of several attempts belongs to one path: a replay of all of it gives the same.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kitaru = open().await;
            assert_eq!(completes_after_mixed(name.clone()).on(&kitaru).await.unwrap(), result);
            kitaru.close().await.unwrap();
        });
    }
}

#[flow]
async fn joins_many(width: u32, fail: String) -> Result<u128, Error> {
    let path = log(&fail);
    let values = futures::future::join_all((0..width).map(|n| work(&path, 50, n))).await;
    let sum = values.into_iter().map(|value| value.map(u128::from)).sum::<Result<u128, _>>()?;
    path.say(sum.to_string());
    Err(Error::msg("the end"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_all_over_more_than_thirty_futures_replays_without_running_a_body() {
    let (kitaru, _) = memory().await;
    for width in [29, 31, 100, 1_000] {
        let name = format!("wide-{width}");
        let path = log(&name);
        assert!(joins_many(width, name.clone()).on(&kitaru).await.is_err());
        let first = path.take();
        assert_eq!(first.iter().filter(|line| *line == "body").count(), width as usize);
        assert!(joins_many(width, name).on(&kitaru).await.is_err());
        assert_eq!(path.take(), first[first.len() - 1..], "the replay sums the same and runs nothing");
    }
}

#[flow]
async fn buffers(name: String) -> Result<(), Error> {
    let path = log(&name);
    let calls: Vec<_> = (0..60).map(|n| work(&path, 51, n)).collect();
    let mut values = futures::stream::iter(calls).buffer_unordered(7);
    while let Some(value) = values.next().await {
        path.say(format!("{:x}", value?));
    }
    Err(Error::msg("the end"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffer_unordered_gives_its_items_in_the_order_of_the_first_run() {
    let (kitaru, _) = memory().await;
    replays_alike(&kitaru, "buffers", 10, |name| buffers(name).on(&kitaru)).await;
}

#[flow]
async fn keeps_a_landed_loser(name: String) -> Result<(), Error> {
    let path = log(&name);
    let (winner, value) = tokio::select! {
        value = work(&path, 60, 0) => (0, value?),
        value = work(&path, 61, 0) => (1, value?),
    };
    let after = work(&path, 62, 0).await?;
    path.say(format!("{winner} {value:x} {after:x}"));
    Err(Error::msg("the end"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loser_whose_record_landed_does_no_harm() {
    let (kitaru, _dir) = disk().await;
    for execution in 0..40 {
        let name = format!("loser-{execution}");
        replays_alike(&kitaru, &name, 3, |name| keeps_a_landed_loser(name).on(&kitaru)).await;
    }
}

/// Two branches that make the same call, so that only their order distinguishes them: `a` makes it later than its outcome
/// allows, because its own code takes a detour that the runtime does not see.
macro_rules! detour {
    ($flow:ident, $test:ident, $detour:expr) => {
        #[flow]
        async fn $flow(name: String) -> Result<(), Error> {
            let a = async {
                slow(1).await;
                $detour;
                quick(9).await
            };
            let b = async {
                slow(3).await;
                quick(9).await
            };
            let (b, a) = futures::join!(b, a);
            let path = log(&name);
            path.say("body");
            path.say(format!("{a:x} {b:x}"));
            Err(Error::msg("the end"))
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let (kitaru, _) = memory().await;
            for execution in 0..25 {
                let name = format!("{}-{execution}", stringify!($flow));
                replays_alike(&kitaru, &name, 2, |name| $flow(name).on(&kitaru)).await;
            }
        }
    };
}

detour!(yields, a_yield_of_the_flows_own_code_is_waited_for, tokio::task::yield_now().await);
detour!(spends_its_budget, the_runtimes_budget_does_not_look_like_quiescence, {
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    (0..1_000).for_each(|n| send.send(n).unwrap());
    drop(send);
    while receive.recv().await.is_some() {}
});
detour!(wakes_itself, a_flow_that_wakes_itself_is_polled_until_it_is_quiescent, {
    for _ in 0..600 {
        let mut polled = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut polled, true) {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
    }
});

#[flow]
async fn tells_another_branch(name: String) -> Result<(), Error> {
    let told = tokio::sync::Notify::new();
    let a = async {
        slow(1).await;
        told.notify_one();
    };
    let b = async {
        slow(2).await;
        quick(9).await
    };
    let c = async {
        told.notified().await;
        quick(9).await
    };
    let ((), b, c) = futures::join!(a, b, c);
    let path = log(&name);
    path.say("body");
    path.say(format!("{b:x} {c:x}"));
    Err(Error::msg("the end"))
}

/// Answering a recorded call at its first poll because its number is next would swap the two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_calls_of_branches_that_wake_each_other_keep_their_values() {
    let (kitaru, _) = memory().await;
    for execution in 0..25 {
        let name = format!("tells-{execution}");
        replays_alike(&kitaru, &name, 2, |name| tells_another_branch(name).on(&kitaru)).await;
    }
}

#[flow]
async fn spawns(name: String) -> Result<(), Error> {
    let path = log(&name);
    let branches: Vec<_> = (0..5)
        .map(|branch| {
            let path = path.clone();
            kitaru::spawn(async move {
                for n in 0..3 {
                    let value = work(&path, 70, n).await?;
                    path.say(format!("branch {branch}: {value:x}"));
                }
                Ok::<_, Error>(branch)
            })
        })
        .collect();
    for branch in branches {
        branch.await?;
    }
    Err(Error::msg("the end"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_branches_take_the_path_they_took() {
    let (kitaru, _) = memory().await;
    for execution in 0..5 {
        let name = format!("spawns-{execution}");
        replays_alike(&kitaru, &name, 5, |name| spawns(name).on(&kitaru)).await;
    }
}

#[flow]
async fn races(name: String) -> Result<(), Error> {
    let path = log(&name);
    for n in 0..6 {
        // Equal calls made inside the arms: an unbiased select! would leave their order to chance.
        let (arm, value) =
            kitaru::race((async { (0, work(&path, 80, 0).await) }, async { (1, work(&path, 80, 0).await) }, async {
                (2, work(&path, 80, 0).await)
            }))
            .await;
        path.say(format!("race {n}: {arm} {:x}", value?));
    }
    Err(Error::msg("the end"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_has_the_same_winner_on_every_replay() {
    let (kitaru, _) = memory().await;
    for execution in 0..10 {
        let name = format!("races-{execution}");
        replays_alike(&kitaru, &name, 4, |name| races(name).on(&kitaru)).await;
    }
}

static LIVE: AtomicBool = AtomicBool::new(false);

#[checkpoint(skip(path))]
async fn recorded(path: &Log, n: u32) -> u32 {
    path.say(format!("ran {n}"));
    n
}

#[flow]
async fn starts_live_work_last(name: String) -> Result<(), Error> {
    let path = log(&name);
    let known = async {
        let first = recorded(&path, 1).await;
        path.say(format!("released {first}"));
        let second = recorded(&path, 2).await;
        path.say(format!("released {second}"));
    };
    let new = async {
        if LIVE.load(Ordering::SeqCst) {
            recorded(&path, 3).await;
        }
    };
    futures::join!(new, known);
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn a_call_without_a_record_starts_when_no_awaited_record_is_left() {
    let (kitaru, _) = memory().await;
    let name = "live".to_owned();
    let path = log(&name);
    assert!(starts_live_work_last(name.clone()).on(&kitaru).await.is_err());
    path.take();
    LIVE.store(true, Ordering::SeqCst);
    assert!(starts_live_work_last(name).on(&kitaru).await.is_err());
    assert_eq!(path.take(), ["released 1", "released 2", "ran 3"]);
}
