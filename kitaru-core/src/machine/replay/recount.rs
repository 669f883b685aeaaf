//! Compares the counters of a replay with the calls that determine them. Builds with debug assertions do so at every
//! step. Must not know why a counter differs.

use super::Replay;
use crate::machine::claims::MOST_RECOUNTED;
use crate::machine::slot::{Behind, Phase, Slot};

impl Replay {
    /// Recounts what is otherwise counted incrementally.
    ///
    /// # Panics
    ///
    /// In builds with debug assertions, if a counter differs.
    pub(super) fn recount(&self) {
        if cfg!(debug_assertions) && self.slots.len() <= MOST_RECOUNTED {
            let count = |is_counted: fn(&Slot) -> bool| self.slots.iter().filter(|slot| is_counted(slot)).count();
            assert_eq!(self.busy, count(Slot::is_busy), "bodies that run or have outcomes on the way");
            assert_eq!(self.open, count(|slot| slot.due.is_some()), "waits that are open");
            assert_eq!(self.napping, count(|slot| slot.napping), "bodies that wait for another try");
            assert_eq!(self.free.len(), count(|slot| slot.phase == Phase::Free), "slots that are free");
            assert_eq!(count(|slot| slot.napping && !slot.is_busy()), 0, "a body that waits for another try is busy");
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
