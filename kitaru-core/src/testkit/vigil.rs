//! What a test waits for, without waiting in vain: when nothing moves any more, nothing will arrive. Owns the message for the
//! test; must not know what it waits for.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinError, JoinHandle, yield_now};

use crate::engine::Engine;
use crate::testkit::house::House;
use crate::testkit::process::{Idle, Process, admits};
use crate::testkit::table::JournalTable;

/// How often a test must be found waiting in vain before it fails: another branch of it may be about to move something.
const TIMES: u32 = 3;

/// How a test waits for its process.
#[derive(Clone)]
pub(super) struct Vigil {
    house: Arc<House>,
    tasks: Handle,
    idle: Arc<Idle>,
    /// How many requests the test has made.
    asked: Arc<AtomicU64>,
    /// The process's executions. This may outlive the process.
    engine: Weak<Engine>,
    /// The real time between two checks for a wait in vain.
    grace: Duration,
}

/// Why nothing will arrive.
#[derive(Clone, Copy)]
enum Vain {
    /// Nothing moves.
    Still,
    /// Bodies wait for something outside, for longer than the test's patience.
    Outside,
}

impl Vigil {
    pub(super) fn new(house: &Arc<House>, process: &Process) -> Self {
        Vigil {
            house: house.clone(),
            tasks: process.tasks.clone(),
            idle: process.idle.clone(),
            asked: Arc::default(),
            engine: Arc::downgrade(&process.kitaru.inner),
            grace: Duration::ZERO,
        }
    }

    /// A vigil that leaves other threads of the test this much real time.
    pub(super) fn with_grace(&self, grace: Duration) -> Self {
        Vigil { grace, ..self.clone() }
    }

    /// Counts a request of the test.
    pub(super) fn ask(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits for a task of the process.
    pub(super) async fn task<T>(&self, task: JoinHandle<T>) -> T {
        self.until_moved(task, || false).await
    }

    /// Waits for a task of the process. If nothing moves before it ends, `moves_on` may move something.
    pub(super) async fn until_moved<T>(&self, task: JoinHandle<T>, moves_on: impl FnMut() -> bool) -> T {
        unwound(self.until(task, moves_on).await)
    }

    /// Waits until nothing moves, except bodies that wait for something outside.
    pub(super) async fn settled(&self) {
        let (idle, engine) = (self.idle.clone(), self.engine.clone());
        let settled = async move {
            idle.settled().await;
            if let Some(engine) = engine.upgrade() {
                engine.recount_permits();
            }
        };
        unwound(self.tasks.spawn(settled).await);
        self.house.check_stubs();
    }

    /// Waits until nothing moves, and no body waits for anything outside.
    pub(super) async fn quiet(&self) {
        let idle = self.idle.clone();
        self.task(self.tasks.spawn(async move { idle.stuck().await })).await;
        self.house.check_stubs();
    }

    /// Waits for a future. If nothing moves before it is ready, `moves_on` may move something.
    ///
    /// # Panics
    ///
    /// When it will never be ready.
    pub(super) async fn until<T>(&self, awaited: impl Future<Output = T>, mut moves_on: impl FnMut() -> bool) -> T {
        let mut awaited = pin!(awaited);
        let mut times = 0;
        loop {
            let asked = self.asked.load(Ordering::SeqCst);
            let mut alarm = Alarm::of(self);
            let came = poll_fn(|cx| match awaited.as_mut().poll(cx) {
                Poll::Ready(came) => Poll::Ready(Ok(came)),
                Poll::Pending => Pin::new(&mut alarm.task).poll(cx).map(Err),
            });
            let vain = match came.await {
                Ok(came) => {
                    self.house.check_stubs();
                    return came;
                }
                // The process has ended.
                Err(Err(_)) => return awaited.await,
                Err(Ok(vain)) => vain,
            };
            self.house.check_stubs();
            if moves_on() || admits(&self.house, &self.engine) || self.asked.load(Ordering::SeqCst) != asked {
                times = 0;
            } else if times < TIMES {
                times += 1;
                self.pause().await;
            } else {
                panic!("{}", self.in_vain(vain));
            }
        }
    }

    async fn pause(&self) {
        if self.grace.is_zero() {
            return yield_now().await;
        }
        let grace = self.grace;
        drop(self.tasks.spawn(async move { tokio::time::sleep(grace).await }).await);
    }

    fn in_vain(&self, vain: Vain) -> String {
        let why = match vain {
            Vain::Still => {
                "nothing moves any more, and what the test waits for has not arrived. To end a wait for a time, use \
                            kit.advance(…) or kit.fast_forward(…). For a wait for an answer or a signal, use \
                            kit.start(…), then kit.answer(…) or kit.signal(…)."
                    .to_owned()
            }
            Vain::Outside => format!(
                "a body waits for something outside (a socket, a thread, real time) that has not arrived for {:?}. Replace \
                 the body with kit.stub(…), let it hang with kit.hang(…), or wait longer with \
                 kit.patience(…).",
                self.house.patience()
            ),
        };
        format!("{why} These are the journals:\n\n{}", JournalTable::of(&self.house))
    }
}

/// A task of the process that ends when a test waits in vain.
struct Alarm {
    task: JoinHandle<Vain>,
    abort: AbortHandle,
}

impl Alarm {
    fn of(vigil: &Vigil) -> Self {
        let (idle, house) = (vigil.idle.clone(), vigil.house.clone());
        let task = vigil.tasks.spawn(async move {
            let mut still = pin!(idle.stuck());
            let mut outside = pin!(impatient(&house));
            poll_fn(|cx| match still.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Vain::Still),
                Poll::Pending => outside.as_mut().poll(cx).map(|()| Vain::Outside),
            })
            .await
        });
        Alarm { abort: task.abort_handle(), task }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// Waits until bodies have waited for something outside for longer than the test's patience.
async fn impatient(house: &House) {
    loop {
        let moves = house.moves();
        tokio::time::sleep(house.patience()).await;
        if house.has_presence() && house.moves() == moves {
            return;
        }
    }
}

fn unwound<T>(came: Result<T, JoinError>) -> T {
    came.unwrap_or_else(|failed| match failed.is_panic() {
        true => std::panic::resume_unwind(failed.into_panic()),
        false => panic!("cannot wait: the testkit was dropped; keep it until the test ends"),
    })
}
