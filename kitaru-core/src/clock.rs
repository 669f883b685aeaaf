//! Time. Owns the one place that reads the system's clock and waits, and a clock that tests turn by hand. Must not know
//! what the waits are for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where a [`Kitaru`](crate::Kitaru) takes its time from: the system, or a clock that a test turns.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// use std::time::Duration;
/// use kitaru::Clock;
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
    /// With the runtime whose timers it uses, once a store is open on it. Before that, the timers of the runtime that
    /// waits.
    System(Option<tokio::runtime::Handle>),
    Manual(Arc<Mutex<Manual>>),
}

#[derive(Debug)]
pub(crate) struct Manual {
    /// Milliseconds since the Unix epoch, if the clock had never been set back.
    steady_ms: u64,
    /// By how much it was set back.
    back_ms: u64,
    /// The waits and their times. The number keeps waits for the same time in the order in which they began.
    sleepers: BinaryHeap<Reverse<ClockSleeper>>,
    next: u64,
}

#[derive(Debug)]
struct ClockSleeper {
    due_ms: u64,
    number: u64,
    waker: Waker,
}

/// How long a wait for the system's clock pauses before it checks whether the clock was set forward.
const LOOK: Duration = Duration::from_secs(60);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Clock(Inner::System(None))
    }

    /// A clock that stands still, at 2026-01-01 00:00 UTC, until [`advance`](Clock::advance) turns it.
    pub fn manual() -> Self {
        const START_MS: u64 = 1_767_225_600_000;
        let manual = Manual { steady_ms: START_MS, back_ms: 0, sleepers: BinaryHeap::new(), next: 0 };
        Clock(Inner::Manual(Arc::new(Mutex::new(manual))))
    }

    /// The same clock, whose waits use the timers of this runtime, on any runtime that polls them.
    pub(crate) fn with_timers(self, timers: tokio::runtime::Handle) -> Self {
        match self.0 {
            Inner::System(_) => Clock(Inner::System(Some(timers))),
            manual @ Inner::Manual(_) => Clock(manual),
        }
    }

    /// The time now.
    pub fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.now_ms())
    }

    /// Turns a manual clock forward, and wakes the waits that are due.
    ///
    /// # Panics
    ///
    /// On the system's clock.
    pub fn advance(&self, by: Duration) {
        let due: Vec<Waker> = {
            let mut manual = self.manually();
            manual.steady_ms = manual.steady_ms.saturating_add(millis(by));
            let steady_ms = manual.steady_ms;
            std::iter::from_fn(|| {
                let Reverse(next) = manual.sleepers.peek()?;
                (next.due_ms <= steady_ms)
                    .then(|| manual.sleepers.pop().map(|Reverse(sleeper)| sleeper.waker))
                    .flatten()
            })
            .collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    /// Sets a manual clock back, as a person or a time server does with the system's. A wait for a duration still takes
    /// as long. A wait for a time of day waits until the clock shows that time.
    ///
    /// # Panics
    ///
    /// On the system's clock.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// use std::time::Duration;
    /// use kitaru::Clock;
    ///
    /// let clock = Clock::manual();
    /// let before = clock.now();
    /// clock.set_back(Duration::from_secs(3600));
    /// assert_eq!(before.duration_since(clock.now()).unwrap(), Duration::from_secs(3600));
    /// ```
    pub fn set_back(&self, by: Duration) {
        let mut manual = self.manually();
        manual.back_ms = manual.back_ms.saturating_add(millis(by));
    }

    fn manually(&self) -> MutexGuard<'_, Manual> {
        let Inner::Manual(manual) = &self.0 else {
            panic!("cannot set the clock: it is the system's; use Clock::manual()")
        };
        lock(manual)
    }

    /// When the first wait on a manual clock must be woken, in its [steady](Self::steady_ms) time.
    #[cfg(feature = "testkit")]
    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        let Inner::Manual(manual) = &self.0 else { return None };
        lock(manual).sleepers.peek().map(|Reverse(next)| next.due_ms)
    }

    /// How many waits on a manual clock hold a waker of this data.
    #[cfg(feature = "testkit")]
    pub(crate) fn wakers_of(&self, data: *const ()) -> usize {
        let Inner::Manual(manual) = &self.0 else { return 0 };
        lock(manual).sleepers.iter().filter(|Reverse(sleeper)| sleeper.waker.data() == data).count()
    }

    /// The time that the clock shows.
    pub(crate) fn now_ms(&self) -> u64 {
        match &self.0 {
            Inner::System(_) => system_ms(),
            Inner::Manual(manual) => {
                let manual = lock(manual);
                manual.steady_ms.saturating_sub(manual.back_ms)
            }
        }
    }

    /// The time that the clock would show if it had not been set back while this process runs. Durations are measured
    /// with it, so that setting the clock back does not extend them. Shown and recorded times do not use it.
    pub(crate) fn steady_ms(&self) -> u64 {
        match &self.0 {
            Inner::System(_) => Steady::of_this_process(),
            Inner::Manual(manual) => lock(manual).steady_ms,
        }
    }

    /// When the clock shows this time, in steady time, as far as that is known now: the clock may be set meanwhile.
    pub(crate) fn steady_when_shown(&self, shown_ms: u64) -> u64 {
        self.steady_ms().saturating_add(shown_ms.saturating_sub(self.now_ms()))
    }

    /// A shown time in steady time, as the clock stands now. Unlike [`steady_when_shown`](Self::steady_when_shown), for a time that
    /// may be over.
    pub(crate) fn steady_since_shown(&self, shown_ms: u64) -> u64 {
        shown_ms.saturating_add(self.steady_ms().saturating_sub(self.now_ms()))
    }

    /// A time in steady time as the clock would show it now.
    pub(crate) fn shown_of_steady(&self, steady_ms: u64) -> u64 {
        steady_ms.saturating_sub(self.steady_ms().saturating_sub(self.now_ms()))
    }

    /// When this duration from now ends, in steady time. A part of a millisecond counts as one.
    pub(crate) fn due_ms(&self, duration: Duration) -> u64 {
        self.steady_ms().saturating_add(millis_up(duration))
    }

    /// Waits for a duration that ends at `due_ms`, in steady time.
    pub(crate) fn until(&self, due_ms: u64) -> WaitUntil {
        WaitUntil::new(self, Reading::Steady, due_ms)
    }

    /// Waits until the clock shows `due_ms`.
    pub(crate) fn until_shown(&self, due_ms: u64) -> WaitUntil {
        WaitUntil::new(self, Reading::Shown, due_ms)
    }

    /// Waits for `duration`, which begins when this is called.
    pub(crate) fn sleep(&self, duration: Duration) -> ClockWait {
        match &self.0 {
            Inner::System(timers) => {
                let _timers = timers.as_ref().map(tokio::runtime::Handle::enter);
                ClockWait::System(Box::pin(tokio::time::sleep(duration)))
            }
            Inner::Manual(manual) => {
                let due_ms = lock(manual).steady_ms.saturating_add(millis_up(duration));
                ClockWait::Manual { clock: manual.clone(), due_ms }
            }
        }
    }

    /// As [`sleep`](Self::sleep), in the time of the runtime that polls it. For waits that are not recorded.
    pub(crate) fn sleep_here(&self, duration: Duration) -> ClockWait {
        match &self.0 {
            Inner::System(_) => ClockWait::System(Box::pin(tokio::time::sleep(duration))),
            Inner::Manual(_) => self.sleep(duration),
        }
    }

    /// Whether a wait of a store would continue here although the time of this runtime stands still: a test would seem
    /// to hang.
    pub(crate) fn is_paused_here(&self) -> bool {
        matches!(self.0, Inner::System(Some(_))) && is_time_paused()
    }
}

/// Whether the time of the current runtime stands still. Only a test does that.
fn is_time_paused() -> bool {
    let before = tokio::time::Instant::now();
    let begun = Instant::now();
    // If the system's clock does not move, tokio's clock cannot be judged.
    let has_moved = (0..100_000).any(|_| !begun.elapsed().is_zero());
    has_moved && tokio::time::Instant::now() == before
}

fn system_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// The system's clock, except that it never goes back.
struct Steady {
    begun: Instant,
    /// The most by which the system's clock was ahead of the time since then.
    ahead_ms: AtomicU64,
}

impl Steady {
    fn of_this_process() -> u64 {
        static STEADY: OnceLock<Steady> = OnceLock::new();
        let steady = STEADY.get_or_init(|| Steady { begun: Instant::now(), ahead_ms: AtomicU64::new(0) });
        steady.at(millis(steady.begun.elapsed()), system_ms())
    }

    /// The time `since_ms` after it began, if the system's clock shows `system_ms`.
    fn at(&self, since_ms: u64, system_ms: u64) -> u64 {
        let ahead_ms = system_ms.saturating_sub(since_ms);
        since_ms.saturating_add(self.ahead_ms.fetch_max(ahead_ms, Ordering::Relaxed).max(ahead_ms))
    }
}

/// Which reading of the clock a wait is for.
#[derive(Clone, Copy)]
enum Reading {
    Steady,
    Shown,
}

/// A wait until a time of a clock that may be set.
pub(crate) struct WaitUntil {
    clock: Clock,
    reading: Reading,
    due_ms: u64,
    sleep: ClockWait,
}

impl WaitUntil {
    fn new(clock: &Clock, reading: Reading, due_ms: u64) -> Self {
        let sleep = Self::rest(clock, reading, due_ms);
        WaitUntil { clock: clock.clone(), reading, due_ms, sleep }
    }

    fn now_ms(clock: &Clock, reading: Reading) -> u64 {
        match reading {
            Reading::Steady => clock.steady_ms(),
            Reading::Shown => clock.now_ms(),
        }
    }

    /// The rest, or a part of it if the clock may be set forward meanwhile.
    fn rest(clock: &Clock, reading: Reading, due_ms: u64) -> ClockWait {
        let left = Duration::from_millis(due_ms.saturating_sub(Self::now_ms(clock, reading)));
        clock.sleep(if let Inner::System(Some(_)) = clock.0 { left.min(LOOK) } else { left })
    }
}

impl Future for WaitUntil {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        while Pin::new(&mut this.sleep).poll(cx).is_ready() {
            // Outside a store the runtime's time counts, which a test may have paused.
            let counts = !matches!(this.clock.0, Inner::System(None));
            if !counts || Self::now_ms(&this.clock, this.reading) >= this.due_ms {
                return Poll::Ready(());
            }
            this.sleep = Self::rest(&this.clock, this.reading, this.due_ms);
        }
        Poll::Pending
    }
}

/// A wait for a time.
pub(crate) enum ClockWait {
    System(Pin<Box<tokio::time::Sleep>>),
    Manual { clock: Arc<Mutex<Manual>>, due_ms: u64 },
}

impl Future for ClockWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self {
            ClockWait::System(sleep) => sleep.as_mut().poll(cx),
            ClockWait::Manual { clock, due_ms } => {
                let mut manual = lock(clock);
                if manual.steady_ms >= *due_ms {
                    return Poll::Ready(());
                }
                let number = manual.next;
                manual.next += 1;
                manual.sleepers.push(Reverse(ClockSleeper { due_ms: *due_ms, number, waker: cx.waker().clone() }));
                Poll::Pending
            }
        }
    }
}

/// A time of day, for people: `14:02:30 UTC`.
#[derive(Clone, Copy)]
pub(crate) struct At(pub(crate) u64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000 % 86_400;
        write!(f, "{:02}:{:02}:{:02} UTC", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

/// A time as milliseconds since 1970; 0 for one before that.
pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, millis)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration in whole milliseconds, rounded up.
pub(crate) fn millis_up(duration: Duration) -> u64 {
    millis(duration.saturating_add(Duration::from_nanos(999_999)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PartialEq for ClockSleeper {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ClockSleeper {}

impl PartialOrd for ClockSleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ClockSleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_ms, self.number).cmp(&(other.due_ms, other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_time_is_the_systems_and_never_goes_back() {
        let steady = Steady { begun: Instant::now(), ahead_ms: AtomicU64::new(0) };
        assert_eq!(steady.at(0, 1_000_000), 1_000_000);
        assert_eq!(steady.at(10, 1_000_010), 1_000_010);
        // Set back by 500 s, and 5 ms later.
        assert_eq!(steady.at(15, 500_015), 1_000_015);
        // Set forward.
        assert_eq!(steady.at(20, 2_000_020), 2_000_020);
        assert_eq!(steady.at(30, 1_500_000), 2_000_030);
    }

    #[test]
    fn a_part_of_a_millisecond_counts_as_one() {
        let up = |nanos| millis_up(Duration::from_nanos(nanos));
        assert_eq!([up(0), up(1), up(999_999), up(1_000_000), up(1_000_001)], [0, 1, 1, 1, 2]);
        assert_eq!(millis_up(Duration::MAX), u64::MAX);
    }

    #[test]
    fn the_time_of_a_runtime_is_paused_or_not() {
        let runtime =
            |paused| tokio::runtime::Builder::new_current_thread().enable_all().start_paused(paused).build().unwrap();
        assert!(runtime(true).block_on(async { is_time_paused() }));
        assert!(!runtime(false).block_on(async { is_time_paused() }));
    }
}
