//! `kitaru::map`: one future for each of many items, with a limit, in any order of ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, Status, checkpoint, dynamic, flow};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::support::{chance, disk, ends, log, memory, names, reopen};

/// Lets a body through. The body drops the sender that it receives when it has ended.
type Pass = oneshot::Sender<oneshot::Sender<()>>;

/// Where a body announces its item, and its pass.
type Gate = mpsc::UnboundedSender<(u32, Pass)>;

/// Where the bodies of a test wait to be let through, by the name of the test.
static GATES: LazyLock<Mutex<HashMap<String, Gate>>> = LazyLock::new(Mutex::default);

/// In which order bodies are let through.
#[derive(Clone, Copy, Debug)]
enum Order {
    Oldest,
    Newest,
    /// By chance of this seed.
    Shuffled(u64),
}

impl Order {
    fn next(&mut self, waiting: usize) -> usize {
        match self {
            Order::Oldest => 0,
            Order::Newest => waiting - 1,
            Order::Shuffled(seed) => {
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (*seed >> 33) as usize % waiting
            }
        }
    }
}

/// Lets bodies of a test through one after another, each time when `window` bodies or all remaining ones wait, and stops
/// after some of them. Returns the most that ever waited concurrently.
fn guard(name: &str, mut order: Order, window: usize, items: usize, stop_after: usize) -> JoinHandle<usize> {
    let (send, mut receive) = mpsc::unbounded_channel();
    GATES.lock().unwrap().insert(name.to_owned(), send);
    tokio::spawn(async move {
        let mut waiting: Vec<(u32, Pass)> = Vec::new();
        let mut most = 0;
        for through in 0..stop_after {
            while waiting.len() < window.min(items - through) {
                waiting.push(receive.recv().await.expect("a body"));
            }
            waiting.extend(std::iter::from_fn(|| receive.try_recv().ok()));
            most = most.max(waiting.len());
            waiting.sort_by_key(|(n, _)| *n);
            let (_, pass) = waiting.remove(order.next(waiting.len()));
            let (through, ended) = oneshot::channel();
            // A dropped body has ended, too.
            drop(pass.send(through));
            let _ = ended.await;
        }
        most
    })
}

/// A body that ends when it is let through, with its item in the upper half of a random number.
#[checkpoint(skip(name))]
async fn item(name: &str, n: u32) -> Result<u64, Error> {
    log(name).say("body");
    let (pass, passed) = oneshot::channel();
    // Without a guard, bodies wait forever.
    let _ = GATES.lock().unwrap()[name].send((n, pass));
    match passed.await {
        Ok(_through) => Ok(u64::from(n) << 32 | chance() >> 32),
        Err(_) => std::future::pending().await,
    }
}

/// An item, its beginning and its end on the log.
async fn logged(name: &str, n: u32) -> Result<u64, Error> {
    let value = item(name, n).await?;
    log(name).say(format!("done {n}"));
    Ok(value)
}

static LIMIT: AtomicUsize = AtomicUsize::new(8);

#[flow]
async fn maps(name: String, items: u32) -> Result<(), Error> {
    let path = log(&name);
    let begin = |n| {
        path.say(format!("begun {n}"));
        logged(&name, n)
    };
    let values = kitaru::map(0..items).limit(LIMIT.load(Ordering::SeqCst)).run(begin).await?;
    assert!(values.iter().map(|value| value >> 32).eq(0..u64::from(items)), "in the order of the items: {values:x?}");
    path.say(format!("{values:x?}"));
    Err(Error::msg("the end"))
}

/// The path of a flow that fails at its end, without the lines of its bodies.
async fn path_of<C: Future<Output = Result<(), Error>>>(name: &str, call: C) -> Vec<String> {
    let error = call.await.unwrap_err();
    assert_eq!(error.to_string(), "the end");
    log(name).take().into_iter().filter(|line| line != "body").collect()
}

/// Runs a flow that fails at its end, and replays it: it takes the same path, and no body runs.
async fn replays_alike<C>(name: &str, call: impl Fn() -> C) -> Vec<String>
where
    C: Future<Output = Result<(), Error>>,
{
    let first = path_of(name, call()).await;
    GATES.lock().unwrap().remove(name);
    let replayed: Vec<_> = first.iter().filter(|line| !line.starts_with("cut")).collect();
    for replay in 0..3 {
        assert!(call().await.is_err());
        // With the lines of its bodies.
        assert_eq!(log(name).take().iter().collect::<Vec<_>>(), replayed, "replay {replay} of {name}");
    }
    first
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn map_gives_outcomes_in_the_order_of_its_items_whichever_body_ends_first() {
    let (kitaru, _) = memory().await;
    for order in [Order::Oldest, Order::Newest, Order::Shuffled(7)] {
        let name = format!("maps {order:?}");
        let guard = guard(&name, order, 8, 1_000, 1_000);
        let first = replays_alike(&name, || maps(name.clone(), 1_000).id(&name).on(&kitaru)).await;
        assert_eq!(guard.await.unwrap(), 8, "as many concurrently as the limit says");
        let begun: Vec<_> = first.iter().filter_map(|line| line.strip_prefix("begun ")).collect();
        assert!(begun.iter().map(|n| n.parse::<u32>().unwrap()).eq(0..1_000), "begun in the order of the items");
    }
}

#[tokio::test]
async fn the_call_for_the_nth_item_has_the_nth_name_whichever_is_recorded_first() {
    let (kitaru, _) = memory().await;
    guard("names", Order::Newest, 8, 40, 40);
    path_of("names", maps("names".into(), 40).id("names").on(&kitaru)).await;
    let number = |n: u32| if n == 0 { "item".to_owned() } else { format!("item_{}", n + 1) };
    let recorded: Vec<String> = (7..40).chain((0..7).rev()).map(number).collect();
    assert_eq!(names(&kitaru, "maps", "names").await, recorded, "one record for each item");
}

/// Each attempt lets some more bodies through, and is then dropped with its runtime, as a crash would end it.
#[test]
fn map_cut_off_repeatedly_repeats_no_recorded_item_and_takes_one_path() {
    let dir = tempfile::tempdir().unwrap();
    let name = "maps cut off";
    let attempt = |through: usize| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let kitaru = reopen(&dir).await;
            let guard = guard(name, Order::Shuffled(through as u64), 1, 100, through);
            // A replay needs no guard.
            let cut_off = async {
                guard.await.unwrap();
                if through == 0 {
                    std::future::pending::<()>().await;
                }
            };
            let ended = tokio::select! {
                biased;
                ended = maps(name.into(), 100).id("job").on(&kitaru) => Some(ended.unwrap_err().to_string()),
                () = cut_off => None,
            };
            let records = kitaru.execution(("maps", "job")).await.unwrap().unwrap().records().len();
            // Its bodies wait forever, so that a grace time is useless.
            kitaru.close().grace(Duration::ZERO).await.unwrap();
            (ended, records)
        })
    };
    let (mut ran, mut attempts, mut recorded) = (0, 0, 0);
    while recorded < 100 {
        attempts += 1;
        let (ended, records) = attempt(15);
        assert_eq!(ended.is_some(), records == 100);
        assert!(records > recorded, "attempt {attempts} resumes where the last one stopped");
        recorded = records;
        ran += log(name).take().iter().filter(|line| *line == "body").count();
    }
    assert!(
        ran <= 100 + attempts * 8,
        "{ran} bodies in {attempts} attempts, each of which had 8 at work when it ended"
    );
    let replays: Vec<_> = (0..3).map(|_| (attempt(0).0, log(name).take())).collect();
    let (ended, path) = &replays[0];
    assert!(ended.as_deref() == Some("the end") && path.len() == 201, "{path:?}");
    assert!(replays.iter().all(|replay| replay == &replays[0]), "{replays:?}");
}

#[tokio::test]
async fn the_limit_may_change_under_an_execution_that_runs() {
    let (kitaru, _) = memory().await;
    static WIDTH: AtomicUsize = AtomicUsize::new(5);
    let call = || {
        let flow = dynamic::flow("changes").run(|| async {
            let map = kitaru::map(0..60).limit(WIDTH.load(Ordering::SeqCst));
            log("changes").say(format!("{:x?}", map.run(|n| item("changes", n)).await?));
            Err::<(), _>(Error::msg("the end"))
        });
        flow.id("job").on(&kitaru)
    };
    guard("changes", Order::Shuffled(1), 5, 60, 60);
    let first = path_of("changes", call()).await;
    for limit in [1, 3, 59, 1_000] {
        WIDTH.store(limit, Ordering::SeqCst);
        assert!(call().await.is_err());
        assert_eq!(log("changes").take(), first, "with a limit of {limit}");
    }
}

/// Maps in a map, next to another map.
#[flow]
async fn maps_in_maps(name: String) -> Result<(), Error> {
    let path = log(&name);
    let inner = async |outer: u32| {
        let values = kitaru::map(0..7).limit(2).run(|n| logged(&name, outer * 100 + n)).await?;
        let more = kitaru::random() ^ item(&name, outer * 100 + 50).await?;
        path.say(format!("outer {outer}: {more:x}"));
        Ok::<_, Error>((values, more))
    };
    let outer = kitaru::map(0..6).limit(3).run(inner);
    let flat = kitaru::map(900..935).all().run(|n| logged(&name, n));
    let (nested, flat) = tokio::join!(outer, flat);
    path.say(format!("{:x?} {:x?}", nested?, flat.into_iter().collect::<Result<Vec<_>, _>>()?));
    Err(Error::msg("the end"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_and_concurrent_maps_take_the_path_they_took() {
    let (kitaru, _dir) = disk().await;
    for seed in 0..10 {
        let name = format!("nests {seed}");
        guard(&name, Order::Shuffled(seed), 1, 6 * 8 + 35, 6 * 8 + 35);
        replays_alike(&name, || maps_in_maps(name.clone()).id(&name).on(&kitaru)).await;
    }
}

/// Notes when it is dropped before its body has ended.
struct Cut<'a>(&'a str, u32);

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        log(self.0).say(format!("cut {}", self.1));
    }
}

/// Fails where the number is odd.
#[checkpoint(skip(name))]
async fn odd_fails(name: &str, n: u32) -> Result<u32, Error> {
    let cut = Cut(name, n);
    item(name, n).await?;
    std::mem::forget(cut);
    if n % 2 == 1 { Err(Error::msg(format!("{n} is odd"))) } else { Ok(n) }
}

#[checkpoint]
async fn after() {}

/// Notes the outcome of a map, and continues past it, so that its errors are settled.
async fn goes_past<T: std::fmt::Debug>(name: &str, map: impl Future<Output = T>) -> Result<(), Error> {
    let outcome = map.await;
    after().await;
    log(name).say(format!("{outcome:?}"));
    Err(Error::msg("the end"))
}

#[flow]
async fn ends_at_the_first_error(name: String) -> Result<(), Error> {
    goes_past(&name, kitaru::map(0..9).limit(4).run(|n| odd_fails(&name, n))).await
}

#[tokio::test]
async fn first_error_in_the_order_of_records_ends_a_map_and_cancels_the_others() {
    let (kitaru, _) = memory().await;
    let name = "first error";
    guard(name, Order::Newest, 4, 9, 1);
    let path = path_of(name, ends_at_the_first_error(name.into()).on(&kitaru)).await;
    assert_eq!(path, ["cut 0", "cut 1", "cut 2", "Err(3 is odd)"]);
    assert_eq!(names(&kitaru, "ends_at_the_first_error", &first_id(&kitaru).await).await, ["odd_fails_4", "after"]);
    assert!(ends_at_the_first_error(name.into()).on(&kitaru).await.is_err());
    assert_eq!(log(name).take(), ["Err(3 is odd)"], "settled, and nothing else is begun again");
}

async fn first_id(kitaru: &Kitaru) -> String {
    kitaru.executions().await.unwrap().iter().next().unwrap().id().to_owned()
}

#[flow]
async fn maps_all(name: String) -> Result<(), Error> {
    goes_past(&name, kitaru::map([0, 1, 2, 3]).limit(2).all().run(|n| odd_fails(&name, n))).await
}

#[tokio::test]
async fn map_of_all_gives_the_outcome_of_every_item() {
    let (kitaru, _) = memory().await;
    guard("all", Order::Newest, 2, 4, 4);
    let path = replays_alike("all", || maps_all("all".into()).on(&kitaru)).await;
    assert_eq!(path, ["[Ok(0), Err(1 is odd), Ok(2), Err(3 is odd)]"]);
}

#[flow]
async fn maps_at_least(name: String, least: usize) -> Result<(), Error> {
    goes_past(&name, kitaru::map(0..6).limit(3).at_least(least).run(|n| odd_fails(&name, n))).await
}

#[tokio::test]
async fn map_of_at_least_k_runs_all_items_and_fails_when_k_cannot_succeed() {
    let (kitaru, _) = memory().await;
    let call = |name: &'static str, least| maps_at_least(name.into(), least).id(name).on(&kitaru);

    guard("at least 3", Order::Newest, 3, 6, 6);
    let path = replays_alike("at least 3", || call("at least 3", 3)).await;
    assert_eq!(
        path,
        ["[Ok(0), Err(1 is odd), Ok(2), Err(3 is odd), Ok(4), Err(5 is odd)]"].map(|all| format!("Ok({all})"))
    );

    // 2, 3, 4, 5 are let through. A third failure would be too many; the second one comes among the first four.
    guard("at least 5", Order::Newest, 3, 6, 4);
    let path = ends(replays_alike("at least 5", || call("at least 5", 5))).await;
    assert_eq!(path, ["cut 0", "cut 1", "Err(cannot have 5 of 6 items succeed: 2 failed: 5 is odd)"]);

    let path = replays_alike("at least 7", || call("at least 7", 7)).await;
    assert_eq!(path, ["Err(cannot have 7 items succeed: there are only 6; ask for fewer)"], "and none is begun");
}

#[tokio::test]
async fn a_map_of_nothing_gives_nothing() {
    let (kitaru, _) = memory().await;
    let flow = dynamic::flow("nothing").run(|| async {
        let none = kitaru::map([0; 0]).limit(3).run(|n| item("nothing", n)).await?;
        let all = kitaru::map(None).all().run(|n| item("nothing", n)).await;
        let enough = kitaru::map(Vec::new()).at_least(0).run(|n| item("nothing", n)).await?;
        Ok::<_, Error>(none.len() + all.len() + enough.len())
    });
    assert_eq!(flow.on(&kitaru).await.unwrap(), 0);
}

static PANICS: AtomicBool = AtomicBool::new(true);

#[tokio::test]
async fn panic_for_an_item_or_a_limit_of_0_fails_the_attempt_and_the_next_resumes() {
    let (kitaru, _) = memory().await;
    let none = dynamic::flow("none concurrently").run(|| async {
        let values = kitaru::map(0..3).limit(0).run(|n| item("panics", n)).await?;
        Ok::<_, Error>(values.len())
    });
    let error = none.on(&kitaru).await.unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("a limit of 0"), "{error}");

    let call = || {
        let flow = dynamic::flow("panics").run(|| async {
            let begin = |n| {
                assert!(n < 5 || !PANICS.load(Ordering::SeqCst), "no item {n}");
                item("panics", n)
            };
            Ok::<_, Error>(kitaru::map(0..8).limit(2).run(begin).await?.len())
        });
        flow.id("job").on(&kitaru)
    };
    guard("panics", Order::Oldest, 2, 8, 4);
    let error = call().await.unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("no item 5"), "{error}");
    PANICS.store(false, Ordering::SeqCst);
    log("panics").take();
    guard("panics", Order::Oldest, 1, 4, 4);
    assert_eq!(call().await.unwrap(), 8);
    assert_eq!(log("panics").take().len(), 4, "the four that were recorded do not run again");
}

#[flow]
async fn maps_naps(name: String) -> Result<Vec<u64>, Error> {
    let nap = async |n: u64| {
        kitaru::sleep(Duration::from_secs(600 * (10 - n) * (10 - n))).await;
        log(&name).say(format!("awake {n}"));
        Ok::<_, Error>(n)
    };
    kitaru::map(0..6).limit(3).run(nap).await
}

#[tokio::test]
async fn a_map_over_waits_is_parked_with_them_and_gives_the_same() {
    for park_after in [Duration::ZERO, Duration::MAX] {
        let clock = Clock::manual();
        let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).park_after(park_after).open().await.unwrap();
        let name = format!("naps {park_after:?}");
        let mut handle = maps_naps(name.clone()).id("naps").on(&kitaru).start().await.unwrap();
        // No time passes while any of its threads works.
        let rests = async || {
            tokio::time::sleep(Duration::from_millis(1)).await;
            while park_after.is_zero()
                && kitaru.execution(("maps_naps", "naps")).await.unwrap().unwrap().status() == Status::Running
            {
                tokio::task::yield_now().await;
            }
        };
        let values = loop {
            tokio::select! {
                values = &mut handle => break values.unwrap(),
                () = rests() => clock.advance(Duration::from_secs(300)),
            }
        };
        assert_eq!(values, [0, 1, 2, 3, 4, 5]);
        let mut path = log(&name).take();
        path.dedup();
        let last: Vec<_> = path.iter().rev().take(6).rev().collect();
        assert_eq!(last, ["awake 2", "awake 1", "awake 0", "awake 3", "awake 4", "awake 5"], "{path:?}");
    }
}
