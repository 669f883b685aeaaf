//! Timers. The time at which one ends is recorded, so that a restart waits only for the rest. Owns the wait; must not
//! know whether the flow stays in memory meanwhile.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::call::body::{self, Body, MoreTries, Site, sealed};
use crate::call::made::Call;
use crate::call::meta::{CheckpointMeta, Spec};
use crate::call::outcome::{Landing, Outcome, Packing, Unpack};
use crate::call::ways::Plain;
use crate::clock::{self, millis};
use crate::context::Ambient;
use crate::error::Error;
use crate::journal::{Opening, Payload};
use crate::ledger::Change;
use crate::machine::Due;
use crate::value::ArgSink;

/// Waits until `duration` has passed since the wait began, across crashes and restarts.
///
/// The time at which it ends is recorded when it begins, so a restart waits only for the rest. A part of a millisecond
/// counts as one. A flow that only waits for longer than
/// [`KitaruBuilder::park_after`](crate::KitaruBuilder::park_after) is parked, and resumes automatically.
///
/// # Panics
///
/// Outside a flow's own code: use `tokio::time::sleep` there.
///
/// # Cancel safety
///
/// Dropping it ends the wait, which then has no outcome. Its name stays taken.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// kitaru::sleep(std::time::Duration::from_millis(1)).await;
/// # });
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new("sleep", Until::After(duration))
}

/// Waits until a time, across crashes and restarts, as [`sleep`] does. A time in the past does not wait.
///
/// # Panics
///
/// Outside a flow's own code.
///
/// # Cancel safety
///
/// As [`sleep`].
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// let soon = kitaru::now() + std::time::Duration::from_millis(1);
/// kitaru::sleep_until(soon).await;
/// # });
/// ```
pub fn sleep_until(time: SystemTime) -> Sleep {
    let unix_ms = time.duration_since(UNIX_EPOCH).map_or(0, millis);
    Sleep::new("sleep_until", Until::Time(unix_ms))
}

/// A durable wait for a time. Made by [`sleep`] and [`sleep_until`].
#[must_use = "a flow waits only if this is awaited"]
pub struct Sleep {
    call: Call<Timer>,
}

impl Sleep {
    /// # Panics
    ///
    /// Outside a flow's own code. The message names the `function` that was called, and that of tokio which has its name.
    fn new(function: &'static str, until: Until) -> Self {
        Ambient::with(|ambient| match ambient {
            Ambient::Flow(_) => {}
            Ambient::Body(_) | Ambient::Outside => panic!(
                "cannot call kitaru::{function} outside a flow's own code: nothing could be recorded; use \
                 tokio::time::{function} there"
            ),
        });
        const META: CheckpointMeta = CheckpointMeta::dynamic().wait();
        let spec = Spec::own("kitaru::sleep".into(), "".into(), META);
        Sleep { call: Call::new(spec, Timer { until, due_ms: 0, wait: None }).named("sleep") }
    }

    /// The limit of [`timeout`](crate::timeout).
    ///
    /// # Panics
    ///
    /// Outside a flow's own code.
    pub(super) fn limit(duration: Duration) -> Self {
        Sleep::new("timeout", Until::After(duration)).named("timeout")
    }

    /// Shows its record under this name, numbered as names are, in place of `sleep`.
    pub fn named(self, name: impl Into<String>) -> Self {
        Sleep { call: self.call.named(name) }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        Pin::new(&mut self.call).poll(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sleep")
    }
}

/// When a timer is to end, as it was requested.
#[derive(Clone, Copy)]
enum Until {
    After(Duration),
    Time(u64),
}

/// What a [`Sleep`] waits with.
pub(crate) struct Timer {
    until: Until,
    due_ms: u64,
    wait: Option<clock::WaitUntil>,
}

impl sealed::Sealed for Timer {}

#[allow(private_interfaces)]
impl Body for Timer {
    type Output = ();

    fn describe(&self, sink: &mut ArgSink<'_>) {
        match &self.until {
            Until::After(duration) => sink.arg("for_ms", &millis(*duration)),
            Until::Time(ms) => sink.arg("until_ms", ms),
        }
    }

    fn as_wait(&mut self) -> Option<&mut dyn body::WaitBody> {
        Some(self)
    }

    fn begin(&mut self, _: MoreTries) -> bool {
        true
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        Pin::new(self.wait.as_mut().expect("a wait is polled after it was opened")).poll(cx)
    }

    fn end(&mut self) {
        self.wait = None;
    }

    fn pack(value: (), packing: &Packing) -> Landing<()> {
        Plain::pack(value, packing)
    }

    fn pack_error(error: Error) -> Landing<()> {
        <Plain as Outcome<()>>::pack_error(error)
    }

    fn unpack(payload: &Payload<'_>) -> Result<(), Unpack> {
        Plain::unpack(payload)
    }

    fn fail(error: Error) -> Result<(), Error> {
        Err(error)
    }

    fn failure(_: &()) -> Option<Error> {
        None
    }
}

#[allow(private_interfaces)]
impl body::WaitBody for Timer {
    fn opening(&mut self, site: &Site<'_>) -> Option<(Opening, Vec<Change>)> {
        self.due_ms = match self.until {
            Until::After(duration) => site.context.runtime.clock.due_ms(duration),
            Until::Time(ms) => ms,
        };
        Some((Opening::Timer { due_ms: self.due_ms }, Vec::new()))
    }

    fn open(&mut self, site: &Site<'_>, recorded: Option<Opening>) -> Due {
        if let Some(Opening::Timer { due_ms }) = recorded {
            self.due_ms = due_ms;
        }
        let clock = &site.context.runtime.clock;
        self.wait = Some(match self.until {
            Until::After(_) => clock.until(self.due_ms),
            Until::Time(_) => clock.until_shown(self.due_ms),
        });
        Due::At(self.due_ms)
    }
}
