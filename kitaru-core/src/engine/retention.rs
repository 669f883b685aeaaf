//! Finished executions that are kept for a limited time. Owns which generations are deleted; must not know what is in their
//! records.

use std::cell::Cell;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::clock::millis;
use crate::engine::indexed::check_is_indexed;
use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::id::{Actor, JournalId};
use crate::journal::{AuditAction, Status};
use crate::ledger::{Archive, Stored, blocking};
use crate::log;

/// How many generations are read at a time.
const PAGE: usize = 256;
/// The longest time between two sweeps.
const EVERY: Duration = Duration::from_secs(3_600);
/// The shortest pause between two sweeps. It is at least `REST` times as long as the last sweep read executions that stay,
/// because each sweep reads the whole store. The time for deleted ones does not count: a sweep that rested for them would find
/// more of them the next time, and rest for longer, without end.
const PAUSE: Duration = Duration::from_secs(1);
const REST: u32 = 4;

/// Deletes executions that were finished this long ago, again and again, until the store is closed.
pub(crate) async fn retire(engine: Weak<Engine>, keep: Duration) {
    loop {
        let Some(strong) = engine.upgrade().filter(|engine| !engine.is_closed()) else { return };
        let looked = match strong.sweep(keep).await {
            Ok(swept) => swept.looked,
            Err(error) => {
                if !error.is_closed() {
                    log::retention_failed(&error);
                }
                Duration::ZERO
            }
        };
        let clock = strong.runtime.clock.clone();
        drop(strong);
        let pause = looked.saturating_mul(REST).max(PAUSE);
        clock.sleep(keep.min(EVERY).max(pause)).await;
    }
}

/// What a collection has deleted, or would delete. See [`Kitaru::gc`](crate::Kitaru::gc).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    generations: u64,
    bytes: u64,
}

impl Collected {
    /// How many generations of executions.
    pub fn generations(&self) -> u64 {
        self.generations
    }

    /// How many bytes their rows have, about.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// One sweep.
#[derive(Default)]
struct Swept {
    /// How long it read executions that stay.
    looked: Duration,
    collected: Collected,
}

impl Engine {
    /// Deletes executions that were finished this long ago, or as long ago as the store keeps them.
    pub(crate) async fn collect(
        self: &Arc<Self>,
        older_than: Option<Duration>,
        by: Option<Actor>,
    ) -> Result<Collected, Error> {
        let keep = self.kept_for(older_than)?;
        let collected = self.sweep(keep).await?.collected;
        if let Some(by) = by.filter(|_| collected.generations > 0) {
            let about = format!("generations: {}, older than {} s", collected.generations, keep.as_secs());
            let entry = by.did(AuditAction::Collected, &about, self.runtime.clock.now_ms());
            self.runtime.ledger.audit_store(entry).await?;
        }
        Ok(collected)
    }

    /// What [`collect`](Self::collect) would delete.
    pub(crate) async fn count_expired(self: &Arc<Self>, older_than: Option<Duration>) -> Result<Collected, Error> {
        let keep = self.kept_for(older_than)?;
        self.pass(keep, Fate::Stays).await.map(|swept| swept.collected)
    }

    fn kept_for(&self, older_than: Option<Duration>) -> Result<Duration, Error> {
        check_is_indexed(&self.runtime.archive)?;
        older_than.or_else(|| self.retention.get().copied()).ok_or_else(|| {
            cannot!(
                Kind::Misuse,
                "delete old executions",
                "the store has no retention",
                "say how old they are, or set KitaruBuilder::retention"
            )
        })
    }

    /// Sweeps once.
    async fn sweep(self: &Arc<Self>, keep: Duration) -> Result<Swept, Error> {
        self.pass(keep, Fate::Goes).await
    }

    /// Passes over the store once.
    async fn pass(self: &Arc<Self>, keep: Duration, fate: Fate) -> Result<Swept, Error> {
        let until_ms = self.runtime.clock.now_ms().saturating_sub(millis(keep));
        let (mut after, mut swept) = (JournalId(0), Swept::default());
        loop {
            self.check_open()?;
            let engine = self.clone();
            let begun = Instant::now();
            let read = move || {
                let (archive, stay) = (&engine.runtime.archive, Cell::new(0));
                let page = archive.expired(after, PAGE, |stored| {
                    let expires = expires(&engine, stored, until_ms)?;
                    stay.set(stay.get() + u32::from(!expires));
                    Ok(expires)
                });
                page.map(|page| (page, stay.get()))
            };
            let (page, stay) = blocking(read).await??;
            swept.looked += share(begun.elapsed(), stay, page.found.len() as u32);
            swept.collected.generations += page.found.len() as u64;
            swept.collected.bytes += page.found.iter().map(|expired| expired.bytes).sum::<u64>();
            // These stay, and the others are still deleted.
            page.unread.iter().for_each(|unread| log::retention_failed(&unread.error));
            if fate == Fate::Goes {
                self.runtime.ledger.delete(page.found, None).await?;
            }
            let Some(last) = page.last else { return Ok(swept) };
            after = last;
        }
    }
}

/// What becomes of an execution whose retention is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Goes,
    /// It is only counted.
    Stays,
}

/// The part of a time that was spent on executions that stay, next to so many that are deleted.
fn share(time: Duration, stay: u32, deleted: u32) -> Duration {
    match stay + deleted {
        0 => Duration::ZERO,
        all => time.mul_f64(f64::from(stay) / f64::from(all)),
    }
}

/// Whether a generation is deleted now.
fn expires(engine: &Engine, stored: &Stored, until_ms: u64) -> Result<bool, Error> {
    let (archive, status) = (&engine.runtime.archive, stored.state.status);
    if !status.is_final() || stored.state.updated_ms > until_ms {
        return Ok(false);
    }
    if status != Status::ContinuedAsNew && is_replaced_or_gone(archive, stored)? {
        // With any status: if the generation after it is deleted, this one must not reappear as the newest.
        return Ok(true);
    }
    let has_ended = match status {
        Status::ContinuedAsNew => true,
        // A call may be about to return its result.
        Status::Completed | Status::Cancelled => !engine.registry.has(&stored.header.execution),
        _ => false,
    };
    Ok(has_ended && !is_awaited(archive, stored)?)
}

/// Whether a newer generation replaces it, for calls, retries and parents ask for the newest; or its execution has none any more:
/// a process has ended while it deleted it.
fn is_replaced_or_gone(archive: &Archive, stored: &Stored) -> Result<bool, Error> {
    Ok(archive.newest(&stored.header.execution)?.is_none_or(|newest| newest.journal > stored.journal))
}

/// Whether one of its parents may still ask for its result.
pub(super) fn is_awaited(archive: &Archive, stored: &Stored) -> Result<bool, Error> {
    for parent in archive.waiters(stored)? {
        let parent = archive.stored(parent.journal)?;
        if parent.is_some_and(|parent| !matches!(parent.state.status, Status::Completed | Status::Cancelled)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_grows_with_executions_that_stay_and_not_with_deleted_ones() {
        let second = Duration::from_secs(1);
        assert_eq!(share(second, 5, 0), second);
        assert_eq!(share(second, 1, 3), second / 4);
        assert_eq!(share(second, 0, 9), Duration::ZERO);
        assert_eq!(share(second, 0, 0), Duration::ZERO);
        // A store that gets executions so fast that reading them takes half of the time, all of which are deleted after a second.
        // Those that came since the last sweep are deleted by the next one.
        let (mut pause, mut reads) = (Duration::ZERO, Vec::new());
        for _ in 0..50 {
            let (stay, deleted) = (1_000, 1_000 * pause.as_secs() as u32);
            let read = Duration::from_micros(500) * (stay + deleted);
            pause = share(read, stay, deleted).saturating_mul(REST).max(PAUSE);
            reads.push(read);
        }
        assert!(reads.iter().all(|read| *read < 3 * second), "{reads:?}");
    }
}
