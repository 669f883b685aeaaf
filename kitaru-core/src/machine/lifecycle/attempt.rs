//! An attempt in memory: what it has reported to the store, and whether its flow stays.
//!
//! ```text
//!              bodies begin, or
//!              another record             lands
//!   Unlisted ─┐
//!   Listed    ├──────────────► Announced ────────► Known
//!   Counted   │                    │                 │
//!   Reopened ─┘                    │ lasting record  │ lasting record
//!       │       lasting record     ▼                 ▼
//!       └──────────────────────► Proving ─────────► Proved
//!                                          lands
//! ```
//!
//! A reopened attempt that unwinds is counted from then on.
//!
//! The two halves have no event in common. They are one state because both are read without a lock, while the flow runs:
//! before a body begins, and before an outcome is released.

/// What an attempt is for the store and for its driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AttemptState {
    pub(super) reported: Reported,
    pub(super) flow: Flow,
}

/// What an attempt has reported to the store. A generation that does not end with a result is on the list of unfinished ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reported {
    /// Nothing. The generation has ended before, and is not on the list.
    Unlisted,
    /// Nothing. An earlier attempt has put the generation on the list.
    Listed,
    /// That it is under way. No body of it may run yet.
    Counted,
    /// That it is under way over a generation that has ended, and keeps its result.
    Reopened,
    /// That bodies may run. That is on its way.
    Announced,
    /// That bodies may run. That is durable.
    Known,
    /// That it makes progress: its first lasting record is on its way, and so is that bodies may run.
    Proving,
    /// That it makes progress: its first lasting record is sent, behind what is durable.
    Proved,
}

/// What becomes of the flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// The driver polls it.
    Stays,
    /// It must be dropped, since the attempt ends.
    Leaves,
    /// It is being dropped because it ends here. It is not dropped by its own code, nor to resume later.
    Abandoned,
}

/// What happens to an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// A body is to begin.
    BodiesBegin,
    /// A record is sent.
    Records(Progress),
    /// What announces or proves the attempt is durable.
    Lands,
    /// There is a reason to end the attempt.
    Leaves,
    /// There is none any more.
    Stays,
    /// The flow ends here, and is being dropped.
    Abandons,
    /// It is dropped.
    Dropped,
}

/// Whether a record is progress of its attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    Made,
    /// No: it is an error that the next attempt tries again.
    ToBeTriedAgain,
    /// No: it says that the flow will end at a point that it has not reached.
    Unwinds,
}

/// What the attempt reports to the store, in the same commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AttemptReport {
    Nothing,
    /// That it runs.
    Runs,
    /// That bodies of it may run.
    Announces,
    /// That it makes progress.
    Proves,
    AnnouncesAndProves,
}

impl AttemptReport {
    pub(crate) fn announces(self) -> bool {
        match self {
            AttemptReport::Announces | AttemptReport::AnnouncesAndProves => true,
            AttemptReport::Nothing | AttemptReport::Runs | AttemptReport::Proves => false,
        }
    }

    pub(crate) fn proves(self) -> bool {
        match self {
            AttemptReport::Proves | AttemptReport::AnnouncesAndProves => true,
            AttemptReport::Nothing | AttemptReport::Runs | AttemptReport::Announces => false,
        }
    }
}

impl AttemptState {
    /// An attempt that begins, and has reported this.
    pub(crate) fn new(reported: Reported) -> Self {
        AttemptState { reported, flow: Flow::Stays }
    }

    /// The state after an event, and what the attempt reports. One whose state stays the same reports nothing.
    pub(crate) fn after(self, event: Event) -> (Self, AttemptReport) {
        let AttemptState { reported, flow } = self;
        let ((reported, says), flow) = match event {
            Event::BodiesBegin => (reported.bodies_begin(), flow),
            Event::Records(Progress::Made) => (reported.proves(), flow),
            Event::Records(Progress::ToBeTriedAgain) => (reported.bodies_begin(), flow),
            Event::Records(Progress::Unwinds) => (reported.unwinds(), flow),
            Event::Lands => ((reported.lands(), AttemptReport::Nothing), flow),
            Event::Leaves | Event::Stays | Event::Abandons | Event::Dropped => {
                ((reported, AttemptReport::Nothing), flow.after(event))
            }
        };
        (AttemptState { reported, flow }, says)
    }

    /// Whether the generation is on the list of unfinished ones, or that is on its way.
    pub(crate) fn is_listed(self) -> bool {
        self.reported != Reported::Unlisted
    }

    /// Whether the store counts the attempt, or that is on its way.
    pub(crate) fn is_counted(self) -> bool {
        match self.reported {
            Reported::Unlisted | Reported::Listed => false,
            Reported::Counted
            | Reported::Reopened
            | Reported::Announced
            | Reported::Known
            | Reported::Proving
            | Reported::Proved => true,
        }
    }

    /// Whether the store says that the generation has ended, and keeps its result.
    pub(crate) fn is_reopened(self) -> bool {
        self.reported == Reported::Reopened
    }

    /// Whether the store knows that bodies may run, or that is on its way.
    pub(crate) fn is_announced(self) -> bool {
        match self.reported {
            Reported::Unlisted | Reported::Listed | Reported::Counted | Reported::Reopened => false,
            Reported::Announced | Reported::Known | Reported::Proving | Reported::Proved => true,
        }
    }

    /// Whether a body may begin: the store knows that bodies may run.
    pub(crate) fn is_known(self) -> bool {
        match self.reported {
            Reported::Known | Reported::Proved => true,
            Reported::Unlisted
            | Reported::Listed
            | Reported::Counted
            | Reported::Reopened
            | Reported::Announced
            | Reported::Proving => false,
        }
    }

    /// Whether there is a reason to end the attempt.
    pub(crate) fn leaves(self) -> bool {
        self.flow == Flow::Leaves
    }

    /// Whether the flow is being dropped because it ends here.
    pub(crate) fn is_abandoned(self) -> bool {
        self.flow == Flow::Abandoned
    }

    /// The number by which an atomic keeps it.
    pub(crate) fn to_bits(self) -> u8 {
        self.flow as u8 * REPORTED.len() as u8 + self.reported as u8
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        let (flow, reported) = (usize::from(bits) / REPORTED.len(), usize::from(bits) % REPORTED.len());
        AttemptState { reported: REPORTED[reported], flow: FLOWS[flow] }
    }
}

/// In the order of their numbers.
pub(super) const REPORTED: [Reported; 8] = [
    Reported::Unlisted,
    Reported::Listed,
    Reported::Counted,
    Reported::Reopened,
    Reported::Announced,
    Reported::Known,
    Reported::Proving,
    Reported::Proved,
];

/// In the order of their numbers.
pub(super) const FLOWS: [Flow; 3] = [Flow::Stays, Flow::Leaves, Flow::Abandoned];

impl Reported {
    fn bodies_begin(self) -> (Self, AttemptReport) {
        match self {
            Reported::Unlisted | Reported::Listed | Reported::Counted | Reported::Reopened => {
                (Reported::Announced, AttemptReport::Announces)
            }
            Reported::Announced | Reported::Known | Reported::Proving | Reported::Proved => {
                (self, AttemptReport::Nothing)
            }
        }
    }

    fn proves(self) -> (Self, AttemptReport) {
        match self {
            Reported::Unlisted | Reported::Listed | Reported::Counted | Reported::Reopened => {
                (Reported::Proving, AttemptReport::AnnouncesAndProves)
            }
            Reported::Announced => (Reported::Proving, AttemptReport::Proves),
            Reported::Known => (Reported::Proved, AttemptReport::Proves),
            Reported::Proving | Reported::Proved => (self, AttemptReport::Nothing),
        }
    }

    fn unwinds(self) -> (Self, AttemptReport) {
        match self {
            // No attempt is counted that this record could be of.
            Reported::Unlisted | Reported::Listed => (Reported::Announced, AttemptReport::Announces),
            // The journal no longer ends with the result.
            Reported::Reopened => (Reported::Counted, AttemptReport::Runs),
            Reported::Counted | Reported::Announced | Reported::Known | Reported::Proving | Reported::Proved => {
                (self, AttemptReport::Nothing)
            }
        }
    }

    fn lands(self) -> Self {
        match self {
            Reported::Announced => Reported::Known,
            Reported::Proving => Reported::Proved,
            Reported::Unlisted
            | Reported::Listed
            | Reported::Counted
            | Reported::Reopened
            | Reported::Known
            | Reported::Proved => self,
        }
    }
}

impl Flow {
    fn after(self, event: Event) -> Self {
        match (self, event) {
            // While it is dropped, the driver looks at nothing else. The replay keeps the reason.
            (Flow::Abandoned, Event::Leaves | Event::Stays) => Flow::Abandoned,
            (Flow::Stays | Flow::Leaves, Event::Leaves) => Flow::Leaves,
            (Flow::Stays | Flow::Leaves, Event::Stays) => Flow::Stays,
            (Flow::Stays | Flow::Leaves | Flow::Abandoned, Event::Abandons) => Flow::Abandoned,
            (Flow::Abandoned, Event::Dropped) => Flow::Stays,
            (Flow::Stays | Flow::Leaves, Event::Dropped) => self,
            (_, Event::BodiesBegin | Event::Records(_) | Event::Lands) => self,
        }
    }
}
