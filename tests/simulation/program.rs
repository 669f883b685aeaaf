//! Random programs: the code of a flow, as data.

use std::time::Duration;

/// The steps of a flow in one generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub steps: Vec<Step>,
    pub end: End,
}

/// Which program: the generations of an execution run one after another, of which each has a program of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    pub nth: u64,
    pub round: u32,
    pub role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    Root,
    Child,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A checkpoint whose body yields so often.
    Work {
        id: u32,
        turns: u32,
    },
    /// A call that is equal to others of this kind.
    Same {
        id: u32,
        turns: u32,
    },
    /// A checkpoint whose body fails now and then, and is tried again.
    Flaky {
        id: u32,
    },
    /// A checkpoint that fails. The flow catches the error.
    Fails {
        id: u32,
    },
    /// A checkpoint whose body ends only by its timeout.
    Slow {
        id: u32,
        time: Duration,
    },
    /// A checkpoint that calls another one in its body, and publishes there.
    Nested {
        id: u32,
    },
    /// An `at_most_once` checkpoint, which fails if it may have run.
    Once {
        id: u32,
    },
    /// One about which a person is asked in that case.
    Asked {
        id: u32,
    },
    Sleep {
        id: u32,
        time: Duration,
    },
    Signal {
        id: u32,
    },
    Answer {
        id: u32,
    },
    /// A wait without an answer.
    Unanswered {
        id: u32,
        time: Duration,
    },
    Chance {
        id: u32,
    },
    Now {
        id: u32,
    },
    Child {
        id: u32,
        nth: u64,
    },
    /// A child that is started, and perhaps awaited later.
    Start {
        id: u32,
        nth: u64,
        awaits: bool,
    },
    Publish {
        id: u32,
    },
    Join(Vec<Vec<Step>>),
    Map(Map),
    /// Its losers are dropped.
    Race(Vec<Vec<Step>>),
    /// Its losers are branches, which keep running.
    RaceSpawned(Vec<Vec<Step>>),
    /// Dropped when the time is over.
    Within {
        time: Duration,
        arm: Vec<Step>,
    },
    /// A branch that is awaited.
    Spawn(Vec<Step>),
    /// A branch that runs as long as the flow.
    Leave(Vec<Step>),
    Undo {
        id: u32,
    },
    /// The end of an item of a map, which has failed.
    Throw {
        id: u32,
        by: Thrown,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    pub items: Vec<Vec<Step>>,
    pub limit: usize,
    pub policy: Policy,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    FirstError,
    All,
    AtLeast(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Thrown {
    Flow,
    Checkpoint,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Returns,
    Fails,
    Panics,
    /// The next generation begins, perhaps after so long.
    ContinuesAsNew(Option<Duration>),
    /// It does not end by itself: it is cancelled after so long.
    Cancelled(Duration),
    /// It ends only by its deadline.
    Late(Duration),
}

/// SplitMix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl Part {
    pub fn next(self) -> Self {
        Part { round: self.round + 1, ..self }
    }
}

pub fn child(nth: u64) -> Part {
    Part { nth, round: 0, role: Role::Child }
}

impl Program {
    /// The steps of this kind, however deep.
    pub fn ids(&self, wanted: impl Fn(&Step) -> Option<u32> + Copy) -> Vec<u32> {
        let mut found = Vec::new();
        look(&self.steps, Sure::No, wanted, &mut found);
        found
    }

    /// The steps of this kind that run whichever arm wins or fails.
    pub fn sure_ids(&self, wanted: impl Fn(&Step) -> Option<u32> + Copy) -> Vec<u32> {
        let mut found = Vec::new();
        if !matches!(self.end, End::Cancelled(_) | End::Late(_)) {
            look(&self.steps, Sure::Yes, wanted, &mut found);
        }
        found
    }
}

/// Whether to visit only steps that run for sure.
#[derive(Clone, Copy, PartialEq)]
enum Sure {
    Yes,
    No,
}

fn look(steps: &[Step], sure: Sure, wanted: impl Fn(&Step) -> Option<u32> + Copy, found: &mut Vec<u32>) {
    for step in steps {
        found.extend(wanted(step));
        let mut all = |arms: &[Vec<Step>]| arms.iter().for_each(|arm| look(arm, sure, wanted, found));
        match step {
            Step::Join(arms) => all(arms),
            Step::Map(map) if sure == Sure::No => all(&map.items),
            Step::Map(map) if map.policy == Policy::All => {
                // Code that has failed does not await a branch.
                let throws = |step: &Step| matches!(step, Step::Throw { .. });
                map.items
                    .iter()
                    .filter(|item| !item.iter().any(throws))
                    .for_each(|item| look(item, sure, wanted, found));
            }
            Step::Race(arms) | Step::RaceSpawned(arms) if sure == Sure::No => all(arms),
            Step::Spawn(arm) => look(arm, sure, wanted, found),
            Step::Leave(arm) | Step::Within { arm, .. } if sure == Sure::No => look(arm, sure, wanted, found),
            _ => {}
        }
    }
}
