//! Flows that continue as new: what differs between generations, and what moves to the next one.

use std::time::{Duration, UNIX_EPOCH};

use kitaru::testkit::store::Table;
use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow};

use crate::faulty::Faulty;
use crate::support::{lets_others_move, log, memory};

const HOUR: Duration = Duration::from_secs(3_600);

#[checkpoint]
async fn notes_its_key(path: &str) -> u32 {
    log(path).say(kitaru::idempotency_key());
    1
}

#[flow]
async fn reports(path: String) -> Result<(), Error> {
    notes_its_key(&path).await;
    Ok(())
}

/// Does the same in each generation, except for the number of the round.
#[flow]
async fn repeats(path: String, round: u32) -> Result<u32, Error> {
    let at = kitaru::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    log(&path).say(format!("{at} {} {}", kitaru::random(), kitaru::uuid()));
    notes_its_key(&path).await;
    reports(path.clone()).await?;
    if round == 3 { Ok(round) } else { repeats(path, round + 1).continue_as_new().await }
}

#[tokio::test]
async fn keys_children_times_and_random_values_differ_between_continuations() {
    let (kitaru, clock) = memory().await;
    let path = "generations: differ";
    let call = repeats(path.into(), 1).id("job").on(&kitaru).start().await.unwrap();
    assert_eq!(call.await.unwrap(), 3);
    let said = log(path).take();
    let distinct: std::collections::HashSet<_> = said.iter().collect();
    assert_eq!((said.len(), distinct.len()), (9, 9), "{said:#?}");
    let mut children = std::collections::HashSet::new();
    for generation in 1..=3 {
        let job = kitaru.execution(("repeats", "job")).generation(generation).await.unwrap().unwrap();
        assert_eq!(job.children().len(), 1);
        children.extend(job.children().iter().map(|child| child.id().to_owned()));
    }
    assert_eq!(children.len(), 3, "a child of an older generation is none of the next one's");
    // Without random values and times: the clock stands still.
    for nth in [0, 1, 2] {
        let words: std::collections::HashSet<_> =
            said.iter().filter(|line| line.contains(' ')).map(|line| line.split(' ').nth(nth).unwrap()).collect();
        assert_eq!(words.len(), if nth == 0 { 1 } else { 3 }, "{said:#?}");
    }
    drop(clock);
}

#[flow]
async fn keeps_the_hour(path: String, round: u32) -> Result<(), Error> {
    log(&path).say(kitaru::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string());
    kitaru::sleep(HOUR).await;
    log(&path).say(kitaru::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string());
    if round == 2 { Ok(()) } else { keeps_the_hour(path, round + 1).continue_as_new().await }
}

#[tokio::test]
async fn now_is_that_of_its_own_generation() {
    let kit = kitaru::testkit::Testkit::new();
    let path = "generations: now";
    kit.fast_forward(keeps_the_hour(path.into(), 1).id("job")).await.unwrap();
    let said: Vec<u64> = log(path).take().iter().map(|line| line.parse().unwrap()).collect();
    let (first, last) = (said[0], said[said.len() - 1]);
    assert!(last - first >= 2 * HOUR.as_secs(), "{said:?}");
}

#[flow]
async fn shows_each(round: u32) -> Result<u32, Error> {
    kitaru::publish("round", &round)?;
    kitaru::publish("half", &(round * 10))?;
    if round == 2 {
        kitaru::signal::<()>("end").await?;
    }
    if round == 3 { Ok(round) } else { shows_each(round + 1).continue_as_new().await }
}

#[tokio::test]
async fn watch_that_reads_while_a_flow_continues_as_new_sees_the_next_generation() {
    let store = Faulty::new(i64::MAX, false);
    let kitaru = kitaru::testkit::store::builder(store.clone()).open().await.unwrap();
    let handle = shows_each(2).id("read meanwhile").on(&kitaru).start().await.unwrap();
    let mut rounds = kitaru.watch::<u32>(&handle, "round");
    assert_eq!(rounds.next().await.unwrap(), Some(2));
    store.gate.shut(Table::Name);
    let reading = tokio::spawn(async move { rounds.next().await });
    // It has found the second generation.
    store.gate.until_arrived(1).await;
    kitaru.signal(&handle, "end", &()).await.unwrap();
    assert_eq!(handle.await.unwrap(), 3);
    store.gate.open();
    assert_eq!(reading.await.unwrap().unwrap(), Some(3));
}

#[tokio::test]
async fn published_value_of_a_later_generation_replaces_an_older_one() {
    let (kitaru, _) = memory().await;
    let handle = shows_each(1).id("job").on(&kitaru).start().await.unwrap();
    let mut rounds = kitaru.watch::<u32>(&handle, "round");
    let mut seen = Vec::new();
    let watched = async {
        while seen.last() != Some(&2) {
            seen.extend(rounds.next().await.unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), watched).await.expect("the second round is shown");
    assert_eq!(kitaru.published::<u32>(&handle, "round").await.unwrap(), Some(2));
    kitaru.signal(&handle, "end", &()).await.unwrap();
    assert_eq!(rounds.next().await.unwrap(), Some(3));
    assert_eq!(handle.await.unwrap(), 3);
    assert_eq!(kitaru.published::<u32>(&("shows_each", "job"), "half").await.unwrap(), Some(30));
    assert_eq!(rounds.next().await.unwrap(), None);
}

/// Waits for ever in its last generation, and for an hour in the others.
#[flow]
async fn lingers(round: u32, rounds: u32) -> Result<u32, Error> {
    if round == rounds {
        kitaru::signal::<()>("never").await?;
    }
    kitaru::sleep(HOUR).await;
    lingers(round + 1, rounds).continue_as_new().await
}

#[flow]
async fn lingers_with_another_deadline(round: u32) -> Result<u32, Error> {
    if round == 2 {
        kitaru::signal::<()>("never").await?;
    }
    kitaru::sleep(HOUR).await;
    lingers_with_another_deadline(round + 1).deadline(5 * HOUR).start_at(kitaru::now() + HOUR).continue_as_new().await
}

async fn store() -> (Kitaru, Clock) {
    let clock = Clock::manual();
    (Kitaru::builder().in_memory().clock(clock.clone()).open().await.unwrap(), clock)
}

async fn until(kitaru: &Kitaru, flow: &str, status: Status, generation: u32) {
    let arrived = async {
        loop {
            let job = kitaru.execution((flow, "job")).await.unwrap().unwrap();
            if job.status() == status && job.generation() == generation {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let hint = format!("{flow} is never {status} in generation {generation}");
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect(&hint);
}

/// Whether the job ends exactly when the clock has advanced by this duration, and not 1 ms earlier.
async fn ends_after(kitaru: &Kitaru, clock: &Clock, flow: &str, time: Duration, generation: u32) {
    clock.advance(time - Duration::from_millis(1));
    lets_others_move(kitaru).await;
    let job = kitaru.execution((flow, "job")).await.unwrap().unwrap();
    assert!(!job.status().is_final(), "{flow}: {}", job.status());
    clock.advance(Duration::from_millis(1));
    until(kitaru, flow, Status::Failed, generation).await;
    let job = kitaru.execution((flow, "job")).await.unwrap().unwrap();
    assert!(job.error().unwrap().contains("deadline"), "{:?}", job.error());
}

#[tokio::test]
async fn deadline_counts_from_the_time_at_which_the_execution_is_to_start() {
    let (kitaru, clock) = store().await;
    let at = UNIX_EPOCH + clock.now().duration_since(UNIX_EPOCH).unwrap() + 3 * HOUR;
    let handle = lingers(1, 1).id("job").start_at(at).deadline(2 * HOUR).on(&kitaru).start().await.unwrap();
    clock.advance(3 * HOUR);
    until(&kitaru, "lingers", Status::Waiting, 1).await;
    ends_after(&kitaru, &clock, "lingers", 2 * HOUR, 1).await;
    assert!(handle.await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn deadline_holds_over_all_continuations() {
    let (kitaru, clock) = store().await;
    let handle = lingers(1, 3).id("job").deadline(4 * HOUR).on(&kitaru).start().await.unwrap();
    for generation in [1, 2] {
        until(&kitaru, "lingers", Status::Waiting, generation).await;
        clock.advance(HOUR);
    }
    until(&kitaru, "lingers", Status::Waiting, 3).await;
    ends_after(&kitaru, &clock, "lingers", 2 * HOUR, 3).await;
    assert!(handle.await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn deadline_of_a_continuation_counts_from_its_begin() {
    let (kitaru, clock) = store().await;
    let flow = "lingers_with_another_deadline";
    let handle = lingers_with_another_deadline(1).id("job").deadline(2 * HOUR).on(&kitaru).start().await.unwrap();
    until(&kitaru, flow, Status::Waiting, 1).await;
    clock.advance(HOUR);
    until(&kitaru, flow, Status::Queued, 2).await;
    clock.advance(HOUR);
    until(&kitaru, flow, Status::Waiting, 2).await;
    ends_after(&kitaru, &clock, flow, 5 * HOUR, 2).await;
    assert!(handle.await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn deadline_counts_from_the_start_although_the_clock_is_set_back_before_it() {
    let (kitaru, clock) = store().await;
    let at = clock.now() + 3 * HOUR;
    let handle = lingers(1, 2).id("job").start_at(at).deadline(2 * HOUR).on(&kitaru).start().await.unwrap();
    clock.set_back(5 * HOUR);
    clock.advance(8 * HOUR);
    until(&kitaru, "lingers", Status::Waiting, 1).await;
    // Another attempt has the same deadline.
    clock.advance(HOUR);
    until(&kitaru, "lingers", Status::Waiting, 2).await;
    ends_after(&kitaru, &clock, "lingers", HOUR, 2).await;
    assert!(handle.await.unwrap_err().is_timeout());

    let flow = "lingers_with_another_deadline";
    let handle = lingers_with_another_deadline(1).id("job").on(&kitaru).start().await.unwrap();
    until(&kitaru, flow, Status::Waiting, 1).await;
    clock.advance(HOUR);
    until(&kitaru, flow, Status::Queued, 2).await;
    clock.set_back(7 * HOUR);
    clock.advance(8 * HOUR);
    until(&kitaru, flow, Status::Waiting, 2).await;
    ends_after(&kitaru, &clock, flow, 5 * HOUR, 2).await;
    assert!(handle.await.unwrap_err().is_timeout());
}
