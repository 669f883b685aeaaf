//! Time. Owns the one place that reads the system's clock and waits, and a clock that tests turn by hand. Must not
//! know what is waited for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a [`Kitaru`](crate::Kitaru) takes its time from: the system, or a clock that a test turns.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use kitaru_core::Clock;
///
/// let clock = Clock::manual();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now().duration_since(before).unwrap(), Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Inner);

#[derive(Clone, Debug)]
enum Inner {
    System,
    Manual(Arc<Mutex<Manual>>),
}

#[derive(Debug)]
pub(crate) struct Manual {
    /// Milliseconds since the Unix epoch.
    now_ms: u64,
    /// Who waits for when. The number keeps sleepers of one instant in the order in which they fell asleep.
    sleepers: BinaryHeap<Reverse<Sleeper>>,
    next: u64,
}

#[derive(Debug)]
struct Sleeper {
    due_ms: u64,
    number: u64,
    waker: Waker,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Clock(Inner::System)
    }

    /// A clock that stands still, at 2026-01-01 00:00 UTC, until [`advance`](Clock::advance) turns it.
    pub fn manual() -> Self {
        const START_MS: u64 = 1_767_225_600_000;
        Clock(Inner::Manual(Arc::new(Mutex::new(Manual { now_ms: START_MS, sleepers: BinaryHeap::new(), next: 0 }))))
    }

    /// The time now.
    pub fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.now_ms())
    }

    /// Turns a manual clock forward, waking what is due.
    ///
    /// # Panics
    ///
    /// On the system's clock, which nobody turns.
    pub fn advance(&self, by: Duration) {
        let Inner::Manual(manual) = &self.0 else { panic!("the system's clock cannot be turned; use Clock::manual()") };
        let due: Vec<Waker> = {
            let mut manual = lock(manual);
            manual.now_ms = manual.now_ms.saturating_add(millis(by));
            let now_ms = manual.now_ms;
            std::iter::from_fn(|| {
                let Reverse(next) = manual.sleepers.peek()?;
                (next.due_ms <= now_ms).then(|| manual.sleepers.pop().map(|Reverse(sleeper)| sleeper.waker)).flatten()
            })
            .collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    /// When the first of those who wait is to be woken, on a manual clock.
    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        let Inner::Manual(manual) = &self.0 else { return None };
        lock(manual).sleepers.peek().map(|Reverse(next)| next.due_ms)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        match &self.0 {
            Inner::System => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
            Inner::Manual(manual) => lock(manual).now_ms,
        }
    }

    /// Waits until the clock shows `due_ms`.
    pub(crate) fn until(&self, due_ms: u64) -> Until {
        Until { clock: self.clone(), due_ms, sleep: self.left(due_ms) }
    }

    fn left(&self, due_ms: u64) -> Sleep {
        self.sleep(Duration::from_millis(due_ms.saturating_sub(self.now_ms())))
    }

    /// Waits for `duration`. It starts to count when it is made.
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        match &self.0 {
            Inner::System => Sleep::System(Box::pin(tokio::time::sleep(duration))),
            Inner::Manual(manual) => {
                let due_ms = lock(manual).now_ms.saturating_add(millis(duration));
                Sleep::Manual { clock: manual.clone(), due_ms }
            }
        }
    }
}

/// A wait until a time of a clock that may be set.
pub(crate) struct Until {
    clock: Clock,
    due_ms: u64,
    sleep: Sleep,
}

impl Future for Until {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        while Pin::new(&mut this.sleep).poll(cx).is_ready() {
            // A clock that was set back meanwhile has some of the time before it again.
            if this.clock.now_ms() >= this.due_ms {
                return Poll::Ready(());
            }
            this.sleep = this.clock.left(this.due_ms);
        }
        Poll::Pending
    }
}

/// A wait for a time.
pub(crate) enum Sleep {
    System(Pin<Box<tokio::time::Sleep>>),
    Manual { clock: Arc<Mutex<Manual>>, due_ms: u64 },
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self {
            Sleep::System(sleep) => sleep.as_mut().poll(cx),
            Sleep::Manual { clock, due_ms } => {
                let mut manual = lock(clock);
                if manual.now_ms >= *due_ms {
                    return Poll::Ready(());
                }
                let number = manual.next;
                manual.next += 1;
                manual.sleepers.push(Reverse(Sleeper { due_ms: *due_ms, number, waker: cx.waker().clone() }));
                Poll::Pending
            }
        }
    }
}

/// A duration in whole milliseconds, at most `u64::MAX`.
/// A time of day, for people: `14:02:30 UTC`.
#[derive(Clone, Copy)]
pub(crate) struct At(pub(crate) u64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000 % 86_400;
        write!(f, "{:02}:{:02}:{:02} UTC", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_ms, self.number).cmp(&(other.due_ms, other.number))
    }
}
