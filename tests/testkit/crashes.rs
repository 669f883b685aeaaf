//! Crashes at every place: they find mistakes, and nothing else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use kitaru::testkit::{self, Report, Testkit};
use kitaru::{Error, Handle, checkpoint, flow};
use serde::{Deserialize, Serialize};

#[checkpoint]
async fn work(n: u32) -> u64 {
    for _ in 0..n % 3 {
        tokio::task::yield_now().await;
    }
    u64::from(n) * 10
}

#[checkpoint]
async fn tell(text: String) -> String {
    text
}

#[checkpoint(at_most_once)]
async fn charge(amount: u64) -> Result<u64, Error> {
    Ok(amount)
}

fn found(report: &Report, what: &str) {
    let text = report.to_string();
    assert!(!report.is_clean() && text.contains(what), "{text}");
    assert!(text.contains("run again with: KITARU_SEED="), "{text}");
}

// ---- correct flows ----

#[flow]
async fn thirty(name: String) -> Result<u64, Error> {
    let mut sum = 0;
    for n in 0..30 {
        sum += work(n).await;
    }
    tell(name).await;
    Ok(sum)
}

#[test]
fn flow_with_thirty_checkpoints_survives_a_crash_everywhere() {
    let report = testkit::crash_report(|kit| async move { kit.run(thirty("x".into())).await.unwrap() });
    assert!(report.is_clean(), "{report}");
    assert!(report.deaths() > 200, "{} deaths", report.deaths());
}

#[flow]
async fn branches(width: u32) -> Result<u64, Error> {
    let branches: Vec<_> =
        (0..width).map(|n| kitaru::spawn(async move { work(n).await + work(n + 10).await })).collect();
    let (left, right) = tokio::join!(work(100), async { work(101).await + work(102).await });
    let mut sum = left + right;
    for branch in branches {
        sum += branch.await;
    }
    Ok(sum + futures::future::join_all((0..4).map(|n| work(200 + n))).await.into_iter().sum::<u64>())
}

#[tokio::test]
async fn branches_and_joins_survive_a_crash_everywhere() {
    testkit::crash_everywhere(|kit| async move { kit.run(branches(3)).await });
}

#[flow]
async fn child(n: u32) -> Result<u64, Error> {
    kitaru::sleep(Duration::from_secs(60)).await;
    Ok(work(n).await)
}

#[flow]
async fn waits(name: String) -> Result<String, Error> {
    let id = kitaru::uuid();
    let begun = kitaru::now();
    let approved: bool = kitaru::wait("approval").await?;
    kitaru::sleep(Duration::from_secs(3_600)).await;
    let signal: u32 = kitaru::signal("news").await?;
    let children = tokio::join!(child(1), child(2));
    let spent = kitaru::now().duration_since(begun).unwrap_or_default().as_secs() / 3_600;
    Ok(format!("{name} {id} {approved} {signal} {} {} {spent}", children.0?, children.1?))
}

async fn wait_for_all(kit: Testkit) -> String {
    let waiting = kit.start(waits("x".into())).await.unwrap();
    kit.answer(&waiting, "approval", &true).await.unwrap();
    kit.advance(Duration::from_secs(3_600)).await;
    kit.signal(&waiting, "news", &7).await.unwrap();
    kit.advance(Duration::from_secs(60)).await;
    waiting.await.unwrap()
}

#[test]
fn waits_signals_timers_and_children_survive_a_crash_everywhere() {
    let report = testkit::crash_report(wait_for_all);
    assert!(report.is_clean(), "{report}");
    assert!(report.deaths() > 50, "{} deaths", report.deaths());
}

#[flow]
async fn reserves(name: String) -> Result<(), Error> {
    for n in 0..3 {
        kitaru::undo(move || async move { Ok::<_, Error>(tell(format!("release {n}")).await) });
        work(n).await;
    }
    Err(Error::msg(format!("{name} is sold out")))
}

#[test]
fn undo_survives_a_crash_everywhere() {
    testkit::crash_everywhere(|kit| async move { kit.run(reserves("x".into())).await });
}

#[flow]
async fn pays(amount: u64) -> Result<u64, Error> {
    work(1).await;
    let paid = charge(amount).await?;
    Ok(paid + work(2).await)
}

#[test]
fn at_most_once_body_is_not_run_again_and_its_result_is_not_a_mistake() {
    let report = testkit::crash_report(|kit| async move { kit.run(pays(12)).await });
    assert!(report.is_clean(), "{report}");
    assert!(report.to_string().contains("left it open whether an at_most_once body had run"), "{report}");
}

#[flow]
async fn quick(n: u32) -> Result<u64, Error> {
    Ok(work(n).await)
}

#[flow]
async fn looks_at_a_child(n: u32) -> Result<u64, Error> {
    let child = async { quick(n).await.unwrap_or_default() };
    // The child is begun, and has no caller.
    let first = kitaru::race((child, async { 7 })).await;
    kitaru::sleep(Duration::from_secs(3_600)).await;
    Ok(first)
}

#[tokio::test]
async fn a_parked_flow_is_not_woken_for_a_child_that_it_does_not_wait_for() {
    for kit in [Testkit::new(), Testkit::always_parking()] {
        assert_eq!(kit.fast_forward(looks_at_a_child(1).id("job")).await.unwrap(), 7);
        let attempts = kit.kitaru().execution(("looks_at_a_child", "job")).await.unwrap().unwrap().attempts();
        assert!(attempts <= 3, "{attempts} attempts");
    }
}

#[flow]
async fn waits_for_a_child(n: u32) -> Result<u64, Error> {
    Ok(child(n).await? + child(n + 1).await?)
}

/// A person starts a job once, and checks it a day later.
async fn starts_and_looks(kit: Testkit) -> String {
    if kit.kitaru().execution(("waits_for_a_child", "job")).await.unwrap().is_none() {
        drop(kit.start(waits_for_a_child(1).id("job")).await.unwrap());
    }
    kit.advance(Duration::from_secs(86_400)).await;
    kit.kitaru().execution(("waits_for_a_child", "job")).await.unwrap().unwrap().status().to_string()
}

#[test]
fn parent_resumes_automatically_wherever_it_and_its_child_crashed() {
    testkit::crash_everywhere(starts_and_looks);
}

#[flow]
async fn is_answered_twice(name: String) -> Result<String, Error> {
    let first: u32 = kitaru::wait("first").await?;
    let second: u32 = kitaru::wait("second").await?;
    Ok(format!("{name} {first} {second}"))
}

/// The store refuses the first answer, and it is sent again.
async fn answers_again(kit: Testkit) -> Result<String, Error> {
    let (target, refused) = (("is_answered_twice", "job"), |error: &Error| error.is_store());
    let job = || is_answered_twice("x".into()).id("job");
    let is_first = kit.kitaru().execution((target.0, target.1)).await?.is_none();
    while kit.start(job()).await.is_err_and(|error| refused(&error)) {}
    kit.refuse_writes(usize::from(is_first));
    while kit.answer(&target, "first", &1).await.is_err_and(|error| refused(&error)) {}
    while kit.answer(&target, "second", &2).await.is_err_and(|error| refused(&error)) {}
    loop {
        match kit.run(job()).await {
            // If the process crashed first, the refusal is still to come.
            Err(error) if refused(&error) => {}
            came => break came,
        }
    }
}

#[test]
fn answer_that_is_sent_again_after_a_crash_is_not_taken_for_the_next_one() {
    testkit::crash_everywhere(answers_again);
}

#[flow]
async fn pays_in_each_generation(round: u64) -> Result<u64, Error> {
    // The same place in each of them.
    charge(round).await?;
    if round < 2 { pays_in_each_generation(round + 1).continue_as_new().await } else { Ok(round) }
}

#[test]
fn an_at_most_once_body_may_begin_in_each_generation() {
    let report = testkit::crash_report(|kit| async move { kit.run(pays_in_each_generation(0).id("job")).await });
    assert!(report.is_clean(), "{report}");
}

#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn charge_or_ask(amount: u64) -> Result<u64, Error> {
    Ok(amount)
}

#[flow]
async fn pays_and_asks(amount: u64) -> Result<u64, Error> {
    Ok(charge_or_ask(amount).await? + 1)
}

/// A person lets every interrupted body run again.
async fn has_it_run_again(kit: Testkit) -> u64 {
    let paying = kit.start(pays_and_asks(12).id("job")).await.unwrap();
    loop {
        let execution = kit.kitaru().execution(("pays_and_asks", "job")).await.unwrap().unwrap();
        let Some(wait) = execution.waits().first() else { break paying.await.unwrap() };
        kit.answer(&paying, wait.name(), &kitaru::Resolution::run_again()).await.unwrap();
    }
}

#[test]
fn an_at_most_once_body_that_a_person_has_run_again_may_begin_again() {
    testkit::crash_everywhere(has_it_run_again);
}

// ---- flows with mistakes ----

#[flow]
async fn in_the_order_of_a_map(name: String) -> Result<String, Error> {
    let words: HashMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
    let first = words.into_keys().next().unwrap_or_default();
    work(first).await;
    Ok(name)
}

#[test]
fn a_flow_that_goes_by_the_order_of_a_map_is_found() {
    let report = testkit::crash_report(|kit| async move { kit.run(in_the_order_of_a_map("x".into())).await });
    found(&report, "a call contradicts its record `work`, at tests/testkit/crashes.rs:");
    found(&report, "`n` was ");
}

#[flow]
async fn by_raw_chance(name: String) -> Result<u64, Error> {
    use std::hash::{BuildHasher, RandomState};
    Ok(work(3).await + RandomState::new().hash_one(name) % 1_000_000_000)
}

#[test]
fn flow_that_depends_on_raw_randomness_is_found_without_a_crash() {
    found(
        &testkit::crash_report(|kit| async move { kit.run(by_raw_chance("x".into())).await }),
        "without a crash\n     - it has another output",
    );
}

/// Whether it was paid, as a program without `at_most_once` would keep it.
static PAID: AtomicBool = AtomicBool::new(false);

#[checkpoint]
async fn pay_and_note(amount: u64) -> u64 {
    PAID.store(true, Ordering::SeqCst);
    amount
}

#[flow]
async fn pays_once_by_hand(amount: u64) -> Result<Option<u64>, Error> {
    if PAID.load(Ordering::SeqCst) { Ok(None) } else { Ok(Some(pay_and_note(amount).await)) }
}

#[test]
fn an_effect_that_is_kept_to_once_by_hand_is_found() {
    let scenario = |kit: Testkit| async move {
        // It belongs to the world: a crash does not change it.
        if kit.kitaru().execution(("pays_once_by_hand", "job")).await.unwrap().is_none()
            && kit.executed("pay_and_note") == 0
        {
            PAID.store(false, Ordering::SeqCst);
        }
        kit.run(pays_once_by_hand(12).id("job")).await
    };
    found(&testkit::crash_report(scenario), "in `pay_and_note`, at its end");
}

#[flow]
#[allow(deprecated, reason = "the warning is right")]
async fn selects(name: String) -> Result<String, Error> {
    let mut path = name;
    for n in 0..6 {
        // Equal calls in the arms of an unbiased select!, which begins with a random one.
        path += tokio::select! {
            _ = async { work(n).await } => "a",
            _ = async { work(n).await } => "b",
        };
    }
    Ok(path)
}

#[test]
fn an_unbiased_select_over_equal_calls_is_found() {
    found(&testkit::crash_report(|kit| async move { kit.run(selects(String::new())).await }), "it has another output");
}

/// A set whose `Serialize` is hand-written: its order counts.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<u32>")]
struct Bag(std::collections::HashSet<u32>);

impl From<Vec<u32>> for Bag {
    fn from(list: Vec<u32>) -> Self {
        Bag(list.into_iter().collect())
    }
}

impl Serialize for Bag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.iter().collect::<Vec<_>>().serialize(serializer)
    }
}

#[checkpoint]
async fn gather(count: u32) -> Bag {
    Bag((0..count).collect())
}

#[checkpoint]
async fn weigh(bag: Bag) -> usize {
    bag.0.len()
}

#[flow]
async fn carries_a_bag(count: u32) -> Result<usize, Error> {
    Ok(weigh(gather(count).await).await)
}

#[test]
fn a_set_with_an_order_of_its_own_is_found() {
    let report = testkit::crash_report(|kit| async move { kit.run(carries_a_bag(2)).await });
    found(&report, "what `gather` returns has another order whenever it is read back");
}

#[checkpoint(at_most_once, on_divergence = "rerun")]
async fn charge_some(amount: u64) -> Result<u64, Error> {
    Ok(amount)
}

#[flow]
async fn pays_by_chance(name: String) -> Result<String, Error> {
    use std::hash::{BuildHasher, RandomState};
    charge_some(RandomState::new().hash_one(&name)).await?;
    Ok(name)
}

#[test]
fn a_payment_that_is_another_one_on_every_attempt_is_found() {
    let report = testkit::crash_report(|kit| async move { kit.run(pays_by_chance("x".into())).await });
    found(&report, "`charge_some` is at_most_once, and its body began twice");
}

#[test]
fn scenario_that_stops_moving_or_panics_is_found() {
    let waits = |kit: Testkit| async move { kit.start(waits("x".into())).await.unwrap().await.unwrap() };
    found(&testkit::crash_report(waits), "no progress: nothing moved any more");
    let panics = |kit: Testkit| async move {
        let done = kit.run(thirty("x".into())).await.unwrap();
        assert_eq!(done, 1, "it is not that");
    };
    found(&testkit::crash_report(panics), "it is not that");
}

#[checkpoint(timeout = "60s")]
async fn linger() -> Result<u32, Error> {
    std::future::pending().await
}

#[flow]
async fn lingers(name: String) -> Result<u32, Error> {
    tell(name).await;
    Ok(linger().await.unwrap_or(60))
}

#[test]
fn flow_that_begins_alone_after_crashes_blocks_no_scenario() {
    // Despite refusals of the store; through the kit, or not.
    async fn start(kit: &Testkit, name: &str) -> Handle<Result<u32, Error>> {
        loop {
            let lingers = lingers(name.to_owned());
            let started = match name {
                "one" => kit.start(lingers).await,
                _ => lingers.on(kit.kitaru()).start().await,
            };
            match started {
                Err(error) if error.is_store() => {}
                // A scenario has several crashes, and a person who resumes the execution.
                Err(error) if error.is_stuck() => drop(kit.kitaru().resume(("lingers", name)).await),
                started => break started.unwrap(),
            }
        }
    }
    let report = testkit::crash_randomly(60, |kit| async move {
        let mut ended = Vec::new();
        for name in ["one", "other"] {
            // No time passes between them, and the first may begin alone.
            ended.push(start(&kit, name).await);
        }
        for (handle, name) in ended.iter_mut().zip(["one", "other"]) {
            loop {
                match futures::poll!(&mut *handle) {
                    Poll::Ready(Ok(_)) => break,
                    Poll::Ready(Err(_)) => *handle = start(&kit, name).await,
                    Poll::Pending => kit.advance(Duration::from_secs(20)).await,
                }
            }
        }
    });
    assert!(report.is_clean(), "{report}");
}
