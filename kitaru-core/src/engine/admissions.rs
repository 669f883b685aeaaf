//! Which attempts may begin next to one another. Owns the rule that an execution whose attempts have crashed twice begins
//! alone, one such execution after another; must not know how an attempt is driven, nor what it does.

use std::sync::Arc;
use std::time::Duration;

use std::sync::Mutex as Lock;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

use crate::error::{Error, Kind, cannot};
use crate::runtime::lock;

/// How many unproven attempts may exist. An attempt that begins alone holds all permits.
pub(super) const ALL: u32 = 1 << 24;
/// How long to wait before the next check of an attempt that has been alone for long enough and is still being loaded.
pub(super) const LOADING: Duration = Duration::from_secs(1);

/// The right to begin. It is given in the order of the requests.
pub(crate) struct Admissions {
    pub(super) begins: Arc<Semaphore>,
    pub(super) trials: Arc<Mutex<()>>,
    /// Until when the attempt that began alone stays alone, in steady time.
    pub(super) alone_until_ms: watch::Sender<u64>,
    /// Until when attempts are held up, in steady time.
    held_up: Lock<Vec<u64>>,
}

/// An attempt is held up until a time, or until something changes.
pub(super) struct HeldUp<'a> {
    admissions: &'a Admissions,
    until_ms: u64,
}

impl Default for Admissions {
    fn default() -> Self {
        Admissions {
            begins: Arc::new(Semaphore::new(ALL as usize)),
            trials: Arc::default(),
            alone_until_ms: watch::Sender::new(u64::MAX),
            held_up: Lock::default(),
        }
    }
}

impl Admissions {
    /// Nothing begins after this.
    pub(crate) fn close(&self) {
        self.begins.close();
    }

    pub(super) async fn admit(&self, count: u32) -> Result<OwnedSemaphorePermit, Error> {
        self.begins.clone().acquire_many_owned(count).await.map_err(|_| {
            cannot!(Kind::Closed, "begin an attempt", "the store is being closed", "open it again, and call the flow")
        })
    }

    pub(super) fn held_up(&self, until_ms: u64) -> HeldUp<'_> {
        lock(&self.held_up).push(until_ms);
        HeldUp { admissions: self, until_ms }
    }

    /// When the next held-up attempt checks again, if there is such a time.
    #[cfg(feature = "testkit")]
    pub(crate) fn next_ms(&self) -> Option<u64> {
        lock(&self.held_up).iter().copied().min().filter(|until_ms| *until_ms != u64::MAX)
    }
}

impl Drop for HeldUp<'_> {
    fn drop(&mut self) {
        let mut held_up = lock(&self.admissions.held_up);
        let at = held_up.iter().position(|known| *known == self.until_ms);
        debug_assert!(at.is_some(), "an attempt that was held up is on the list");
        if let Some(at) = at {
            held_up.swap_remove(at);
        }
    }
}
