//! What the store knows of an attempt. Owns the row that says it, and when it must be written; must not know the course
//! of the attempt.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::journal::Tally;
use crate::ledger::{Change, Listing};
use crate::runtime::lock;

/// Whether a record is progress of its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Made,
    /// No: it is an error that the next attempt tries again.
    ToBeTriedAgain,
    /// No: it says that the flow will end at a point that it has not reached.
    Unwinds,
}

/// What the store knows of an attempt.
pub(super) struct Presence {
    /// Whether the generation is on the list of unfinished ones.
    listed: AtomicBool,
    /// Whether the attempt was on it when it began.
    counted: bool,
    /// Whether the row says that the generation has ended. From the attempt's first record on, the row says that the
    /// attempt runs.
    ended: AtomicBool,
    /// Whether the row that says that bodies may run was sent. Later submissions land behind it.
    told: AtomicBool,
    /// Whether that row is durable.
    known: AtomicBool,
    /// Whether a lasting record of the attempt has been sent.
    proved: AtomicBool,
    tally: Mutex<Tally>,
}

/// What a submission also says of the attempt.
#[derive(Default)]
pub(super) struct Says {
    /// Whether it contains the attempt's row.
    pub(super) row: bool,
    /// Whether that row says that bodies of the attempt may run.
    pub(super) tells: bool,
    /// Whether it is the first lasting record.
    pub(super) proves: bool,
}

impl Presence {
    pub(super) fn new(listing: Listing, tally: Tally) -> Self {
        let told = listing == Listing::Current && !tally.replays;
        Presence {
            listed: AtomicBool::new(listing != Listing::Off),
            counted: matches!(listing, Listing::Current | Listing::Ended),
            ended: AtomicBool::new(listing == Listing::Ended),
            told: AtomicBool::new(told),
            known: AtomicBool::new(told),
            proved: AtomicBool::new(false),
            tally: Mutex::new(tally),
        }
    }

    pub(super) fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Relaxed)
    }

    /// Whether the attempt is counted in the store, or that is on its way.
    pub(super) fn is_counted(&self) -> bool {
        self.counted || self.is_told()
    }

    pub(super) fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Whether a body may begin.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    pub(super) fn set_known(&self) {
        debug_assert!(self.is_told(), "the store knows an attempt only after its row was sent");
        self.known.store(true, Ordering::Release);
    }

    /// Bodies are to begin.
    pub(super) fn bodies_begin(&self) -> Says {
        let tells = self.tell();
        Says { row: tells, tells, proves: false }
    }

    /// A record is sent. A journal that does not end with a result is on the list of unfinished ones.
    pub(super) fn records(&self, progress: Progress) -> Says {
        if progress == Progress::Unwinds && self.counted {
            let row = self.ended.swap(false, Ordering::Relaxed);
            return Says { row, ..Says::default() };
        }
        let proves = progress == Progress::Made
            && !self.proved.load(Ordering::Relaxed)
            && !self.proved.swap(true, Ordering::Relaxed);
        let tells = self.tell();
        let resets = proves && std::mem::take(&mut *lock(&self.tally)).counts();
        Says { row: tells || resets, tells, proves }
    }

    fn tell(&self) -> bool {
        let told = self.told.load(Ordering::Relaxed) || self.told.swap(true, Ordering::Relaxed);
        if !told {
            self.listed.store(true, Ordering::Relaxed);
            lock(&self.tally).replays = false;
        }
        !told
    }

    /// The presumption about the earlier attempt was wrong.
    pub(super) fn clear(&self) {
        let mut tally = lock(&self.tally);
        *tally = Tally { replays: tally.replays, ..Tally::default() };
    }

    /// From now on other attempts may begin. Returns whether the row says otherwise.
    pub(super) fn has_company(&self) -> bool {
        std::mem::take(&mut lock(&self.tally).alone)
    }

    /// That the attempt runs.
    pub(super) fn running(&self, attempts: u32, at_ms: u64) -> Change {
        Change::Running { attempts, at_ms, tally: *lock(&self.tally) }
    }

    /// That it was interrupted in a process that lives.
    pub(super) fn cut_off(&self, attempts: u32, at_ms: u64) -> Change {
        let tally = Tally { alone: false, replays: false, ..*lock(&self.tally) };
        Change::Interrupted { attempts, at_ms, tally }
    }
}

impl Tally {
    /// Whether a lasting record makes a difference to it.
    fn counts(self) -> bool {
        self.deaths > 0 || self.together > 0 || self.alone
    }
}
