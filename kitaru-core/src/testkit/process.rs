//! One process of a test: a runtime on one thread, and a store opened on it. Owns the detection that nothing moves any more;
//! must not know what runs.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::client::{Kitaru, TestStage};
use crate::director::Direction;
use crate::engine::Engine;
use crate::pool;
use crate::runtime::lock;
use crate::store::WriterOptions;
use crate::testkit::house::{House, ParkingMode};
use crate::testkit::shelf::Shelf;

/// A process's store, and the place of its tasks.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) kitaru: Kitaru,
    pub(super) tasks: Handle,
    pub(super) idle: Arc<Idle>,
}

impl Process {
    /// Opens the store on the runtime that this is called on.
    pub(super) async fn open(house: &Arc<House>, idle: Arc<Idle>) -> Self {
        let park_after = match house.parking {
            ParkingMode::Plain => Duration::from_secs(10),
            ParkingMode::Always => Duration::ZERO,
        };
        // In one mode queued writes land together, in the other one by one.
        let batch_count = match house.parking {
            ParkingMode::Plain => WriterOptions::default().batch_count,
            ParkingMode::Always => 1,
        };
        let writer = WriterOptions { batch_count, ..WriterOptions::default() };
        let opened = Kitaru::builder()
            .store(Shelf(house.clone()))
            .clock(house.clock.clone())
            .park_after(park_after)
            .staged(TestStage { direction: Direction::by(house.clone()), pace: house.clone(), writer })
            .open()
            .await;
        let kitaru = opened.unwrap_or_else(|error| panic!("cannot open the testkit's store: {error:#}"));
        Process { kitaru, tasks: Handle::current(), idle }
    }

    /// A process on a thread of its own. The thread ends when the sender is dropped.
    pub(super) fn on_a_thread(house: &Arc<House>) -> (Self, oneshot::Sender<()>) {
        let house = house.clone();
        let (opened, open) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let live = move || {
            let _logs = tracing::dispatcher::set_default(&dispatch);
            pool::work_inline();
            let (runtime, idle) = runtime(&house);
            runtime.block_on(async {
                let process = Process::open(&house, idle).await;
                if opened.send(process).is_ok() {
                    drop(ended.await);
                }
            });
        };
        let thread = std::thread::Builder::new().name("kitaru-testkit".to_owned()).spawn(live);
        drop(thread.expect("the system gives a thread for the testkit"));
        (open.recv().expect("the testkit's store opens"), end)
    }
}

/// Moves the clock to a time, and stops at each time that something waits for.
pub(super) async fn turn(house: &House, idle: &Idle, target_ms: u64) {
    let clock = &house.clock;
    let to = |unix_ms: u64| clock.advance(Duration::from_millis(unix_ms.saturating_sub(clock.steady_ms())));
    idle.settled().await;
    while let Some(due_ms) = clock.next_due_ms().filter(|due_ms| *due_ms <= target_ms) {
        to(due_ms);
        idle.settled().await;
    }
    to(target_ms);
    idle.settled().await;
}

/// Moves the clock to the next time that something waits for, if an attempt that begins alone after a crash holds up others: a
/// test does not know of that time. Returns whether it holds up others.
pub(super) fn admits(house: &House, engine: &Weak<Engine>) -> bool {
    let held_up = engine.upgrade().and_then(|engine| engine.admissions.next_ms());
    let Some(due_ms) = held_up.and_then(|_| house.clock.next_due_ms()) else { return false };
    house.clock.advance(Duration::from_millis(due_ms.saturating_sub(house.clock.steady_ms())));
    true
}

/// A runtime on this thread, and its idle detection.
pub(super) fn runtime(house: &Arc<House>) -> (Runtime, Arc<Idle>) {
    let idle = Arc::new(Idle::default());
    // The runtime holds weak references: both hold wakers of its tasks.
    let (resting, house) = (Arc::downgrade(&idle), Arc::downgrade(house));
    let rest = move || {
        if let (Some(idle), Some(house)) = (resting.upgrade(), house.upgrade()) {
            idle.rest(&house);
        }
    };
    let built = Builder::new_current_thread().enable_all().on_thread_park(rest).build();
    (built.expect("the system gives a runtime"), idle)
}

/// Detects that nothing moves any more. The runtime's one thread is about to sleep then: no task can run, and only something
/// outside can wake one.
#[derive(Default)]
pub(super) struct Idle {
    /// The foreground future was woken.
    woken: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    settled: Vec<oneshot::Sender<()>>,
    stuck: Vec<oneshot::Sender<()>>,
    abandoned: Vec<oneshot::Sender<()>>,
}

impl Idle {
    /// Waits until nothing moves, except bodies that wait for something outside. Await it on the process's runtime.
    pub(super) async fn settled(&self) {
        let (send, receive) = oneshot::channel();
        lock(&self.waiting).settled.push(send);
        drop(receive.await);
    }

    /// Waits until nothing moves, no other waiter exists, and no body could wait for anything outside.
    pub(super) async fn stuck(&self) {
        let (send, receive) = oneshot::channel();
        lock(&self.waiting).stuck.push(send);
        drop(receive.await);
    }

    /// Waits until nothing moves, and no waiter exists that could move something.
    pub(super) async fn abandoned(&self) {
        let (send, receive) = oneshot::channel();
        lock(&self.waiting).abandoned.push(send);
        drop(receive.await);
    }

    fn rest(&self, house: &House) {
        if self.woken.load(Ordering::SeqCst) {
            return;
        }
        let tell = {
            let mut waiting = lock(&self.waiting);
            let Waiting { settled, stuck, abandoned } = &mut *waiting;
            [&mut *settled, stuck, abandoned]
                .into_iter()
                .for_each(|waiters| waiters.retain(|waiter| !waiter.is_closed()));
            let next = match () {
                () if !settled.is_empty() => settled,
                () if house.has_presence() => return,
                () if !stuck.is_empty() => stuck,
                () => abandoned,
            };
            std::mem::take(next)
        };
        for waiter in tell {
            // It may have stopped waiting.
            let _ = waiter.send(());
        }
    }

    /// Makes the future the one that the thread polls in addition to its tasks. Its wake-ups count as moves.
    pub(super) fn foreground<F: Future>(self: &Arc<Self>, future: F) -> Foreground<F> {
        Foreground { idle: self.clone(), future: Box::pin(future) }
    }
}

/// Made by [`Idle::foreground`].
pub(super) struct Foreground<F> {
    idle: Arc<Idle>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Foreground<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.idle.woken.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::new(ForegroundWaker { idle: self.idle.clone(), outer: cx.waker().clone() }));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

struct ForegroundWaker {
    idle: Arc<Idle>,
    outer: Waker,
}

impl Wake for ForegroundWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.idle.woken.store(true, Ordering::SeqCst);
        self.outer.wake_by_ref();
    }
}
