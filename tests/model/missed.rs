//! Messages and wake-ups that reach an execution while another task reads it or has just called it.

use std::sync::atomic::{AtomicUsize, Ordering as Atomic};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use kitaru::testkit::store::{Durability, Memory, Order, Range, Row, Store, Table, Visit};
use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow, signal, wait};
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::support::ends;

const HOUR: Duration = Duration::from_secs(3_600);

/// A store that blocks one read, and completes or refuses it later.
#[derive(Clone, Default)]
struct Gate(Arc<Inside>);

#[derive(Default)]
struct Inside {
    memory: Memory,
    next: Mutex<Next>,
    changed: Condvar,
    commits_are_held_up: Mutex<bool>,
    /// After so many commits, one is written but reported as failed.
    misreported: Mutex<Option<usize>>,
    touched: AtomicUsize,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Next {
    #[default]
    Passes,
    IsHeldUp,
    Waits,
    IsRefused,
}

impl Gate {
    fn set(&self, next: Next) {
        *self.0.next.lock().unwrap() = next;
        self.0.changed.notify_all();
    }

    fn hold_commits_up(&self, held_up: bool) {
        *self.0.commits_are_held_up.lock().unwrap() = held_up;
        self.0.changed.notify_all();
    }

    fn read(&self) -> Result<&Memory, Error> {
        self.0.touched.fetch_add(1, Atomic::SeqCst);
        let mut next = self.0.next.lock().unwrap();
        if *next == Next::IsHeldUp {
            *next = Next::Waits;
            next = self.0.changed.wait_while(next, |next| *next == Next::Waits).unwrap();
            if std::mem::take(&mut *next) == Next::IsRefused {
                return Err(Error::store("the disk gives nothing"));
            }
        }
        Ok(&self.0.memory)
    }

    async fn waits(&self) {
        ends(async {
            while *self.0.next.lock().unwrap() != Next::Waits {
                yield_now().await;
            }
        })
        .await;
    }

    /// Waits until reads and writes have stopped.
    async fn is_quiet(&self) {
        let mut known = usize::MAX;
        loop {
            let touched = self.0.touched.load(Atomic::SeqCst);
            if touched == known {
                return;
            }
            known = touched;
            // Other threads are still working.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

impl Store for Gate {
    fn commit(&self, rows: &[Row], durability: Durability) -> Result<(), Error> {
        self.0.touched.fetch_add(1, Atomic::SeqCst);
        let held_up = self.0.commits_are_held_up.lock().unwrap();
        drop(self.0.changed.wait_while(held_up, |held_up| *held_up).unwrap());
        self.0.memory.commit(rows, durability)?;
        let mut misreported = self.0.misreported.lock().unwrap();
        match *misreported {
            Some(0) => {
                *misreported = None;
                Err(Error::store("the disk does not say whether it has it"))
            }
            Some(left) => {
                *misreported = Some(left - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.read()?.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        self.read()?.scan(table, range, order, visit)
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[flow]
async fn sleeps_for_missed(hours: u32) -> Result<u32, Error> {
    kitaru::sleep(HOUR * hours).await;
    Ok(hours)
}

#[flow]
async fn asks_for_missed(n: u32) -> Result<u32, Error> {
    Ok(n + wait::<u32>("more").await?)
}

async fn opened() -> (Kitaru, Gate, Clock) {
    let (gate, clock) = (Gate::default(), Clock::manual());
    let kitaru = kitaru::testkit::store::builder(gate.clone()).clock(clock.clone()).open().await.unwrap();
    (kitaru, gate, clock)
}

async fn until(kitaru: &Kitaru, flow: &str, status: Status) {
    ends(async {
        while kitaru.execution((flow, "x")).await.unwrap().unwrap().status() != status {
            yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flow_is_woken_whose_timer_ends_while_a_call_looks_that_is_refused() {
    let (kitaru, gate, clock) = opened().await;
    drop(sleeps_for_missed(1).id("x").on(&kitaru).start().await.unwrap());
    until(&kitaru, "sleeps_for_missed", Status::Waiting).await;
    gate.is_quiet().await;
    gate.set(Next::IsHeldUp);
    let call = tokio::spawn(sleeps_for_missed(2).id("x").on(&kitaru).into_future());
    gate.waits().await;
    clock.advance(HOUR);
    gate.is_quiet().await;
    gate.set(Next::Passes);
    assert!(call.await.unwrap().unwrap_err().to_string().contains("has another input"));
    until(&kitaru, "sleeps_for_missed", Status::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flow_is_woken_whose_timer_ends_while_a_call_looks_that_the_store_fails() {
    let (kitaru, gate, clock) = opened().await;
    drop(sleeps_for_missed(1).id("x").on(&kitaru).start().await.unwrap());
    until(&kitaru, "sleeps_for_missed", Status::Waiting).await;
    gate.is_quiet().await;
    gate.set(Next::IsHeldUp);
    let call = tokio::spawn(sleeps_for_missed(1).id("x").on(&kitaru).into_future());
    gate.waits().await;
    clock.advance(HOUR);
    gate.is_quiet().await;
    gate.set(Next::IsRefused);
    assert!(call.await.unwrap().unwrap_err().is_store());
    gate.is_quiet().await;
    clock.advance(Duration::from_secs(10));
    until(&kitaru, "sleeps_for_missed", Status::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_is_woken_that_is_answered_while_a_call_looks_that_is_refused() {
    let (kitaru, gate, _clock) = opened().await;
    drop(asks_for_missed(1).id("x").on(&kitaru).start().await.unwrap());
    until(&kitaru, "asks_for_missed", Status::Waiting).await;
    gate.is_quiet().await;
    gate.set(Next::IsHeldUp);
    let call = tokio::spawn(asks_for_missed(2).id("x").on(&kitaru).into_future());
    gate.waits().await;
    let answers = kitaru.clone();
    let answer = tokio::spawn(async move { answers.answer(("asks_for_missed", "x"), "more", &1).await });
    gate.is_quiet().await;
    gate.set(Next::Passes);
    assert!(call.await.unwrap().is_err());
    answer.await.unwrap().unwrap();
    until(&kitaru, "asks_for_missed", Status::Completed).await;
}

#[test]
fn flow_is_woken_whose_timer_ends_while_a_call_looks_whose_runtime_ends() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let (kitaru, gate, clock) = first.block_on(opened());
    first.block_on(async {
        drop(sleeps_for_missed(1).id("x").on(&kitaru).start().await.unwrap());
        until(&kitaru, "sleeps_for_missed", Status::Waiting).await;
        gate.is_quiet().await;
        gate.set(Next::IsHeldUp);
        second.spawn(sleeps_for_missed(1).id("x").on(&kitaru).into_future());
        gate.waits().await;
        clock.advance(HOUR);
        gate.is_quiet().await;
        second.shutdown_background();
        gate.set(Next::Passes);
        until(&kitaru, "sleeps_for_missed", Status::Completed).await;
    });
}

#[checkpoint]
async fn fails_once() -> Result<(), Error> {
    static FAILED: AtomicUsize = AtomicUsize::new(0);
    if FAILED.fetch_add(1, Atomic::SeqCst) == 0 { Err(Error::msg("not yet")) } else { Ok(()) }
}

#[flow]
async fn asks_again_for_missed(n: u32) -> Result<u32, Error> {
    fails_once().await?;
    Ok(n + wait::<u32>("more").await? + signal::<u32>("most").await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_execution_accepts_answers_and_signals_once_it_is_started_again() {
    let (kitaru, gate, _clock) = opened().await;
    let call = || asks_again_for_missed(1).id("x").on(&kitaru);
    call().await.unwrap_err();
    let target = ("asks_again_for_missed", "x");
    for refused in [kitaru.answer(&target, "more", &1).await, kitaru.signal(target, "most", &1).await] {
        assert!(refused.unwrap_err().to_string().contains("is failed"));
    }
    gate.hold_commits_up(true);
    let handle = call().start().await.unwrap();
    let (to_answer, to_send) = (kitaru.clone(), kitaru.clone());
    let answer = tokio::spawn(async move { to_answer.answer(&target, "more", &10).await });
    gate.is_quiet().await;
    let signal = tokio::spawn(async move { to_send.signal(target, "most", &100).await });
    gate.is_quiet().await;
    gate.hold_commits_up(false);
    answer.await.unwrap().unwrap();
    signal.await.unwrap().unwrap();
    assert_eq!(ends(handle).await.unwrap(), 111);
}

#[flow]
async fn part_for_missed(n: u32) -> Result<u32, Error> {
    kitaru::sleep(HOUR).await;
    Ok(n)
}

#[flow]
async fn continues_for_missed(left: u32) -> Result<u32, Error> {
    part_for_missed(left).await?;
    kitaru::sleep(HOUR).await;
    if left == 0 { Ok(7) } else { continues_for_missed(left - 1).continue_as_new().await }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn execution_resumes_whichever_of_its_commits_was_wrongly_reported_as_failed() {
    for nth in 0.. {
        let (kitaru, gate, clock) = opened().await;
        let call = || continues_for_missed(2).id("x").on(&kitaru);
        *gate.0.misreported.lock().unwrap() = Some(nth);
        // It may be the first commit of the execution.
        drop(call().start().await);
        ends(async {
            while kitaru.execution(("continues_for_missed", "x")).await.unwrap().unwrap().status() != Status::Completed
            {
                clock.advance(HOUR / 2);
                yield_now().await;
            }
        })
        .await;
        // A call may still meet the attempt whose last commit was reported as failed.
        let came = ends(async {
            loop {
                match call().await {
                    Err(error) if error.is_store() => yield_now().await,
                    came => break came,
                }
            }
        });
        assert_eq!(came.await.unwrap(), 7);
        if gate.0.misreported.lock().unwrap().is_some() {
            assert!(nth > 10, "only {nth} commits");
            return;
        }
    }
}

/// Lets the next commit be written and reported as failed.
fn misreport(gate: &Gate) {
    *gate.0.misreported.lock().unwrap() = Some(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_reported_as_failed_but_written_reaches_its_flow() {
    let (kitaru, gate, clock) = opened().await;
    let handle = asks_for_missed(1).id("x").on(&kitaru).start().await.unwrap();
    until(&kitaru, "asks_for_missed", Status::Waiting).await;
    gate.is_quiet().await;
    misreport(&gate);
    assert!(kitaru.answer(&handle, "more", &1).await.unwrap_err().is_store());
    let again = kitaru.answer(&handle, "more", &1).await.unwrap_err();
    assert!(again.to_string().contains("has been answered already"), "{again}");
    gate.is_quiet().await;
    clock.advance(Duration::from_secs(10));
    assert_eq!(ends(handle).await.unwrap(), 2);
}

/// Keeps its flow in memory.
#[checkpoint]
async fn stays() -> Result<(), Error> {
    ENDS.notified().await;
    Ok(())
}

static ENDS: Notify = Notify::const_new();

#[flow]
async fn hears_for_missed(n: u32) -> Result<u32, Error> {
    let both = async { Ok::<_, Error>(signal::<u32>("e").await? + signal::<u32>("e").await?) };
    let (stayed, both) = tokio::join!(stays(), both);
    stayed?;
    Ok(n + both?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signal_reported_as_failed_but_written_is_taken_after_a_later_one() {
    let (kitaru, gate, clock) = opened().await;
    let handle = hears_for_missed(1).id("x").on(&kitaru).start().await.unwrap();
    gate.is_quiet().await;
    misreport(&gate);
    let send = |n: u32| kitaru.signal(&handle, "e", &n).key(n.to_string());
    assert!(send(10).await.unwrap_err().is_store());
    // Its key identifies it, so that it is sent once.
    send(10).await.unwrap();
    send(100).await.unwrap();
    gate.is_quiet().await;
    clock.advance(Duration::from_secs(10));
    gate.is_quiet().await;
    ENDS.notify_one();
    assert_eq!(ends(handle).await.unwrap(), 111);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_whose_sender_goes_away_in_the_middle_reaches_its_flow() {
    let (kitaru, gate, _clock) = opened().await;
    let handle = asks_for_missed(1).id("x").on(&kitaru).start().await.unwrap();
    until(&kitaru, "asks_for_missed", Status::Waiting).await;
    gate.is_quiet().await;
    gate.hold_commits_up(true);
    let (sender, execution) = (kitaru.clone(), ("asks_for_missed", "x"));
    let sender = tokio::spawn(async move { sender.answer(&execution, "more", &1).await });
    gate.is_quiet().await;
    sender.abort();
    assert!(sender.await.unwrap_err().is_cancelled());
    gate.hold_commits_up(false);
    assert_eq!(ends(handle).await.unwrap(), 2);
}
