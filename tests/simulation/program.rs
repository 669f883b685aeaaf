//! Random programs: what a flow does, as data.

use std::time::Duration;

/// What a flow does.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub steps: Vec<Step>,
    pub end: End,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A checkpoint whose body is suspended so often.
    Work {
        id: u32,
        turns: u32,
    },
    /// The same call, wherever it is made.
    Same {
        id: u32,
        turns: u32,
    },
    /// A checkpoint whose body fails now and then, and is tried again.
    Flaky {
        id: u32,
    },
    /// A checkpoint that fails, which is caught.
    Fails {
        id: u32,
    },
    /// A checkpoint that calls another one in its body.
    Nested {
        id: u32,
    },
    /// An `at_most_once` checkpoint.
    Once {
        id: u32,
    },
    Sleep {
        id: u32,
        time: Duration,
    },
    Event {
        id: u32,
    },
    Answer {
        id: u32,
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
    Join(Vec<Vec<Step>>),
    /// Its losers are dropped, whoever they are.
    Race(Vec<Vec<Step>>),
    /// A branch that is awaited.
    Spawn(Vec<Step>),
    /// A branch that goes on for as long as the flow does.
    Leave(Vec<Step>),
    Undo {
        id: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Returns,
    Fails,
    Panics,
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

/// Makes one program.
struct Maker {
    chance: Chance,
    ids: u32,
    /// How many more steps it takes.
    budget: u32,
    is_child: bool,
}

impl Program {
    pub fn of(nth: u64, is_child: bool) -> Self {
        let mut chance = Chance(nth);
        let budget = if is_child { 1 + chance.below(4) } else { 2 + chance.below(14) } as u32;
        let mut maker = Maker { chance, ids: 0, budget, is_child };
        let mut steps = Vec::new();
        while maker.budget > 0 {
            steps.push(maker.step(0));
        }
        let end = match maker.chance.below(12) {
            0 => End::Fails,
            1 => End::Panics,
            _ => End::Returns,
        };
        Program { steps, end }
    }

    /// Whether it meets no error: one that was not settled is tried again by the next attempt, which may then take another path.
    pub fn meets_no_error(&self) -> bool {
        let may_fail = |step: &Step| match step {
            Step::Fails { id } | Step::Once { id } => Some(*id),
            Step::Child { id, nth } => {
                let child = Program::of(*nth, true);
                (child.end != End::Returns || !child.meets_no_error()).then_some(*id)
            }
            _ => None,
        };
        self.ids(may_fail).is_empty()
    }

    /// The steps of this kind, however deep.
    pub fn ids(&self, wanted: impl Fn(&Step) -> Option<u32> + Copy) -> Vec<u32> {
        fn look(steps: &[Step], wanted: impl Fn(&Step) -> Option<u32> + Copy, found: &mut Vec<u32>) {
            for step in steps {
                found.extend(wanted(step));
                match step {
                    Step::Join(arms) | Step::Race(arms) => arms.iter().for_each(|arm| look(arm, wanted, found)),
                    Step::Spawn(arm) | Step::Leave(arm) => look(arm, wanted, found),
                    _ => {}
                }
            }
        }
        let mut found = Vec::new();
        look(&self.steps, wanted, &mut found);
        found
    }
}

impl Maker {
    fn arm(&mut self, depth: u32) -> Vec<Step> {
        (0..=self.chance.below(2)).map(|_| self.step(depth + 1)).collect()
    }

    fn arms(&mut self, depth: u32) -> Vec<Vec<Step>> {
        (0..2 + self.chance.below(2)).map(|_| self.arm(depth)).collect()
    }

    fn step(&mut self, depth: u32) -> Step {
        self.budget = self.budget.saturating_sub(1);
        self.ids += 1;
        let id = self.ids;
        let turns = self.chance.below(4) as u32;
        match self.chance.below(if depth < 3 { 26 } else { 18 }) {
            0..=3 => Step::Work { id, turns },
            4 | 5 => Step::Same { id, turns },
            6 => Step::Flaky { id },
            7 => Step::Fails { id },
            8 => Step::Nested { id },
            9 if depth == 0 => Step::Once { id },
            10 | 11 => Step::Sleep { id, time: Duration::from_secs(self.chance.below(40)) },
            12 if !self.is_child => Step::Event { id },
            13 if !self.is_child => Step::Answer { id },
            14 => Step::Chance { id },
            15 => Step::Now { id },
            16 if !self.is_child => Step::Child { id, nth: self.chance.next() },
            17 => Step::Undo { id },
            18..=20 => Step::Join(self.arms(depth)),
            21 | 22 => Step::Race(self.arms(depth)),
            23 | 24 => Step::Spawn(self.arm(depth)),
            25 => Step::Leave(self.arm(depth)),
            _ => Step::Work { id, turns },
        }
    }
}
