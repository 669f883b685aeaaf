//! The counters of a replay beside the calls that determine them. Owns the comparison, which builds with debug assertions
//! make at every step; must not know how a counter comes to differ.

use super::Replay;
use crate::machine::slot::{Behind, Phase, Slot};

/// With more calls at once they are not counted: each step would look at all of them.
const MOST_RECOUNTED: usize = 256;

impl Replay {
    /// Counts anew what is counted as it comes and goes.
    ///
    /// # Panics
    ///
    /// In builds with debug assertions, where a counter has come to differ.
    pub(super) fn recount(&self) {
        if cfg!(debug_assertions) && self.slots.len() <= MOST_RECOUNTED {
            let count = |is_counted: fn(&Slot) -> bool| self.slots.iter().filter(|slot| is_counted(slot)).count();
            assert_eq!(self.busy, count(Slot::is_busy), "bodies that run or have outcomes on the way");
            assert_eq!(self.open, count(|slot| slot.due.is_some()), "waits that are open");
            assert_eq!(self.napping, count(|slot| slot.napping), "bodies that wait for another try");
            assert_eq!(self.free.len(), count(|slot| slot.phase == Phase::Free), "slots that are free");
            assert_eq!(count(|slot| slot.napping && !slot.is_busy()), 0, "who waits for another try is busy");
            assert_eq!(count(|slot| slot.due.is_some() && !slot.is_polled()), 0, "a wait that is open is polled");
            assert!(self.started >= count(Slot::has_body) as u64, "a body that runs was started");
        }
    }
}

impl Slot {
    /// Its body runs, if it is not a wait.
    fn is_polled(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Woken)
    }

    fn has_body(&self) -> bool {
        self.is_polled() && self.due.is_none() || self.phase == Phase::Gated(Behind::Try)
    }

    fn is_busy(&self) -> bool {
        self.has_body() || matches!(self.phase, Phase::Intending | Phase::Landing | Phase::Orphan)
    }
}
