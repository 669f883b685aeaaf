//! The generator of random programs. Owns the frequency of each kind of step, and the program of each generation.

use std::time::Duration;

use crate::program::{Chance, End, Map, Part, Policy, Program, Role, Step, Thrown, child};

/// The most generations of one execution.
const ROUNDS: u32 = 3;

/// Makes one program.
struct Maker {
    chance: Chance,
    ids: u32,
    /// The number of steps that it may still add.
    budget: u32,
    role: Role,
}

impl Maker {
    fn program(part: Part) -> Program {
        let Part { nth, round, role } = part;
        let mut chance = Chance(nth ^ u64::from(round).wrapping_mul(0x9e6d_62d0_6f6a_9a9b));
        let budget = match (role, round) {
            (Role::Root, 0) => 2 + chance.below(14),
            (Role::Root, _) => 1 + chance.below(6),
            (Role::Child, _) => 1 + chance.below(4),
        };
        // No two generations ask for the same signal or answer.
        let mut maker = Maker { chance, ids: round * 1_000, budget: budget as u32, role };
        let mut steps = Vec::new();
        while maker.budget > 0 {
            steps.push(maker.step(0));
        }
        Program { steps, end: maker.end(round) }
    }

    fn end(&mut self, round: u32) -> End {
        match self.chance.below(16) {
            0 => End::Fails,
            1 => End::Panics,
            2 | 3 if round + 1 < ROUNDS => End::ContinuesAsNew(None),
            4 if round + 1 < ROUNDS => End::ContinuesAsNew(Some(self.time())),
            5 if round == 0 => End::Late(self.time() * 2),
            6 | 7 if round == 0 && self.role == Role::Root => End::Cancelled(self.time()),
            _ => End::Returns,
        }
    }

    fn time(&mut self) -> Duration {
        Duration::from_secs(1 + self.chance.below(40))
    }

    fn arm(&mut self, depth: u32) -> Vec<Step> {
        (0..=self.chance.below(2)).map(|_| self.step(depth + 1)).collect()
    }

    fn arms(&mut self, depth: u32) -> Vec<Vec<Step>> {
        (0..2 + self.chance.below(2)).map(|_| self.arm(depth)).collect()
    }

    fn map(&mut self, depth: u32) -> Map {
        let mut items: Vec<_> = (0..1 + self.chance.below(4)).map(|_| self.arm(depth)).collect();
        let limit = 1 + self.chance.below(3) as usize;
        let policy = match self.chance.below(3) {
            0 => Policy::FirstError,
            1 => Policy::All,
            _ => Policy::AtLeast(self.chance.below(items.len() as u64 + 1) as usize),
        };
        for item in &mut items {
            let by = if self.chance.below(2) == 0 { Thrown::Flow } else { Thrown::Checkpoint };
            if self.chance.below(5) == 0 {
                self.ids += 1;
                item.push(Step::Throw { id: self.ids, by });
            }
        }
        Map { items, limit, policy }
    }

    fn step(&mut self, depth: u32) -> Step {
        self.budget = self.budget.saturating_sub(1);
        self.ids += 1;
        let id = self.ids;
        let turns = self.chance.below(4) as u32;
        let is_root = self.role == Role::Root;
        match self.chance.below(if depth < 3 { 37 } else { 24 }) {
            0..=2 => Step::Work { id, turns },
            3 | 4 => Step::Same { id, turns },
            5 => Step::Flaky { id },
            6 => Step::Fails { id },
            7 => Step::Nested { id },
            8 if depth == 0 => Step::Once { id },
            9 => Step::Asked { id },
            10 | 11 => Step::Sleep { id, time: Duration::from_secs(self.chance.below(40)) },
            12 if is_root => Step::Signal { id },
            13 | 14 if is_root => Step::Answer { id },
            15 => Step::Unanswered { id, time: self.time() },
            16 => Step::Chance { id },
            17 => Step::Now { id },
            18 if is_root => Step::Child { id, nth: self.chance.next() },
            19 if is_root => Step::Start { id, nth: self.chance.next(), awaits: self.chance.below(2) == 0 },
            20 | 21 => Step::Publish { id },
            22 => Step::Undo { id },
            23 => Step::Slow { id, time: self.time() },
            24..=26 => Step::Join(self.arms(depth)),
            27 | 28 => Step::Map(self.map(depth)),
            29 | 30 => Step::Race(self.arms(depth)),
            31 => Step::RaceSpawned(self.arms(depth)),
            32 => Step::Within { time: self.time(), arm: self.arm(depth) },
            33 | 34 => Step::Spawn(self.arm(depth)),
            35 => Step::Leave(self.arm(depth)),
            _ => Step::Work { id, turns },
        }
    }
}

impl Part {
    pub fn program(self) -> Program {
        Maker::program(self)
    }

    /// All generations, to the last one.
    pub fn programs(self) -> Vec<Program> {
        let (mut part, mut programs) = (self, Vec::new());
        loop {
            let program = part.program();
            let goes_on = matches!(program.end, End::ContinuesAsNew(_));
            programs.push(program);
            if !goes_on {
                return programs;
            }
            part = part.next();
        }
    }

    /// The end of its last generation.
    pub fn end(self) -> End {
        self.programs().last().map_or(End::Returns, |program| program.end)
    }

    /// Whether it has no errors: the next attempt tries an unsettled error again, and may then take another path.
    pub fn meets_no_error(self) -> bool {
        self.programs().iter().all(meets_no_error)
    }
}

fn meets_no_error(program: &Program) -> bool {
    let may_fail = |step: &Step| match step {
        Step::Fails { id } | Step::Once { id } | Step::Slow { id, .. } => Some(*id),
        Step::Throw { id, by: Thrown::Checkpoint } => Some(*id),
        Step::Child { id, nth } | Step::Start { id, nth, awaits: true } => {
            let child = child(*nth);
            (child.end() != End::Returns || !child.meets_no_error()).then_some(*id)
        }
        _ => None,
    };
    program.ids(may_fail).is_empty()
}
