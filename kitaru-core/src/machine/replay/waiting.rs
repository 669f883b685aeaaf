//! Open waits. Owns when they end by themselves; must not know what they wait for.

use super::Replay;
use crate::machine::slot::{Due, Phase, SlotId};

impl Replay {
    /// A wait that may begin is open: its next poll polls what it waits for.
    pub(crate) fn open(&mut self, id: SlotId, due: Due) {
        let slot = self.slot(id);
        slot.phase = Phase::Woken;
        slot.due = Some(due);
        self.open += 1;
    }

    /// The time at which an open wait ends by itself has changed.
    pub(crate) fn set_due(&mut self, id: SlotId, due: Due) {
        let slot = self.slot(id);
        if slot.due.is_some() {
            slot.due = Some(due);
        }
    }

    /// Whether one of the open waits is for another execution.
    pub(crate) fn awaits_execution(&self) -> bool {
        self.slots.iter().any(|slot| slot.due == Some(Due::Execution))
    }

    /// When the first of the open waits ends by itself.
    pub(crate) fn due(&self) -> Due {
        self.slots.iter().filter_map(|slot| slot.due).min().unwrap_or(Due::Never)
    }
}
