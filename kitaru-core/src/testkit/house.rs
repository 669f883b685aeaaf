//! What outlives the processes of a test: the rows, the clock, the stubs, the counters, and where the process crashes next.
//! Owns the direction of executions; must not know what a test makes of it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::clock::{Clock, millis};
use crate::director::{Clearance, Cue, CueStage, Director, Divergence, Moment, Observation, Outside, Part, Turn};
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::ledger::first_rows;
use crate::runtime::lock;
use crate::store::{Before, Pace};
use crate::testkit::chance::Chance;
use crate::testkit::disk::Rows;
use crate::testkit::invariants::Invariants;
use crate::testkit::script::Script;

/// A test's stub of a checkpoint.
pub(super) type Stub = Arc<dyn Fn(Value) -> Result<Value, Error> + Send + Sync>;

pub(super) struct House {
    pub(super) clock: Clock,
    pub(super) rows: Rows,
    pub(super) seed: u64,
    pub(super) parking: ParkingMode,
    start_ms: u64,
    /// Rings when the process dies.
    pub(super) died: Notify,
    /// The wakers of the running bodies.
    outside: Mutex<Vec<Weak<Outside>>>,
    /// How often a body has moved.
    moves: AtomicU64,
    /// How many milliseconds of real time a body may wait for something outside without a move.
    patience_ms: AtomicU64,
    state: Mutex<State>,
    /// A separate lock: it is taken while the other is held, and never the other way round.
    invariants: Mutex<Invariants>,
}

/// When waiting flows are parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParkingMode {
    /// As in any program.
    Plain,
    /// Wherever possible.
    Always,
}

#[derive(Default)]
struct State {
    executed: BTreeMap<String, u64>,
    replayed: BTreeMap<String, u64>,
    stubs: HashMap<String, Stub>,
    /// What happens to the next tries of a body instead.
    faults: HashMap<String, VecDeque<Fault>>,
    store: StoreFaults,
    chance: Chance,
    dead: bool,
    plan: CrashPlan,
    findings: Findings,
    script: Option<Script>,
    /// What is wrong with a stub of the test.
    mistake: Option<String>,
}

/// A fault of a try that the test has ordered.
#[derive(Clone)]
pub(super) enum Fault {
    Fails(Error),
    Panics(String),
    Hangs,
}

/// Faults of the store that the test has ordered.
#[derive(Default)]
pub(super) struct StoreFaults {
    /// The errors of the next commits.
    pub(super) refusals: VecDeque<Error>,
    /// One of this many commits is refused, at random; none if this is `None`.
    odds: Option<u64>,
    pub(super) commit_delay: Duration,
    pub(super) acknowledgement_delay: Duration,
    /// Each operation of the store takes up to this many turns of all other tasks, and of several tasks that wait for one
    /// commit, any may learn of it first.
    most_turns: Option<usize>,
}

/// What happens at the points at which a process could crash.
#[derive(Default)]
enum CrashPlan {
    #[default]
    Nothing,
    Learn(Vec<String>),
    DieAt {
        nth: usize,
        seen: usize,
    },
}

/// What was seen of executions that must never be seen of correct ones.
#[derive(Clone, Default)]
pub(super) struct Findings {
    /// Where the process crashed.
    pub(super) died: Option<String>,
    /// Bodies that ran although their outcome is recorded.
    pub(super) ran_again: Vec<String>,
    /// The call of each `at_most_once` body that has begun: execution, generation, checkpoint, occurrence.
    once: HashSet<(ExecutionId, u32, String, u32)>,
    /// Those that began twice.
    pub(super) ran_twice: Vec<String>,
    pub(super) diverged: Vec<String>,
    /// Checkpoints whose values have another digest whenever they are read back.
    pub(super) unsteady: Vec<String>,
    /// What is wrong with the rows.
    pub(super) broken: Vec<String>,
    /// Checkpoints of which a call got the error that it may have run.
    pub(super) interrupted: Vec<String>,
}

/// How much real time a body may wait for something outside without a move, unless a test sets it.
const PATIENCE_MS: u64 = 10_000;

impl House {
    pub(super) fn new(seed: u64, parking: ParkingMode) -> Arc<Self> {
        Self::over(Rows::InMemory(Box::default()), seed, parking)
    }

    pub(super) fn over(rows: Rows, seed: u64, parking: ParkingMode) -> Arc<Self> {
        let state = State { chance: Chance::new(seed), ..State::default() };
        let laid = rows.store().commit(first_rows(secret(seed)).to_vec());
        laid.expect("an empty store takes a row");
        let clock = Clock::manual();
        let house = House {
            start_ms: clock.now_ms(),
            clock,
            rows,
            seed,
            parking,
            died: Notify::new(),
            outside: Mutex::default(),
            moves: AtomicU64::new(0),
            patience_ms: AtomicU64::new(PATIENCE_MS),
            state: Mutex::new(state),
            invariants: Mutex::default(),
        };
        Arc::new(house)
    }

    /// The time at which the test began.
    pub(super) fn start_ms(&self) -> u64 {
        self.start_ms
    }

    // ---- what a test orders and reads ----

    pub(super) fn stub(&self, checkpoint: &str, stub: Stub) {
        lock(&self.state).stubs.insert(checkpoint.to_owned(), stub);
    }

    pub(super) fn fault(&self, checkpoint: &str, times: u32, fault: &Fault) {
        let mut state = lock(&self.state);
        let faults = state.faults.entry(checkpoint.to_owned()).or_default();
        faults.extend((0..times).map(|_| fault.clone()));
    }

    pub(super) fn store_faults<R>(&self, order: impl FnOnce(&mut StoreFaults) -> R) -> R {
        order(&mut lock(&self.state).store)
    }

    /// Refuses one of this many commits, at random; none if this is 0.
    pub(super) fn refuse_some(&self, of: u64) {
        lock(&self.state).store.odds = (of > 0).then_some(of);
    }

    /// Delays the store by up to this many turns of all other tasks, at random, and notifies the submitters of a commit in any
    /// order.
    pub(super) fn dawdle(&self, most_turns: usize) {
        lock(&self.state).store.most_turns = (most_turns > 0).then_some(most_turns);
    }

    /// The error of the next commit, if it must fail.
    pub(super) fn refusal(&self) -> Option<Error> {
        let State { store, chance, .. } = &mut *lock(&self.state);
        if let Some(refusal) = store.refusals.pop_front() {
            return Some(refusal);
        }
        let refused = store.odds.is_some_and(|of| chance.next() % of == 0);
        refused.then(|| cannot!(Kind::Store, "write", "the store of the testkit refuses to, at random"))
    }

    pub(super) fn executed(&self, checkpoint: &str) -> u64 {
        lock(&self.state).executed.get(checkpoint).copied().unwrap_or_default()
    }

    pub(super) fn replayed(&self, checkpoint: &str) -> u64 {
        lock(&self.state).replayed.get(checkpoint).copied().unwrap_or_default()
    }

    /// Whether a body may be woken from outside: something other than the clock holds its waker.
    pub(super) fn has_presence(&self) -> bool {
        let mut outside = lock(&self.outside);
        outside.retain(|outside| outside.strong_count() > 0);
        outside.iter().filter_map(Weak::upgrade).any(|outside| {
            // Its call holds one reference, and this check another.
            let holders = Arc::strong_count(&outside).saturating_sub(2);
            outside.is_open() && holders > self.clock.wakers_of(Arc::as_ptr(&outside).cast())
        })
    }

    /// How often a body has moved.
    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Ordering::SeqCst)
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms.load(Ordering::SeqCst))
    }

    pub(super) fn be_patient(&self, patience: Duration) {
        self.patience_ms.store(millis(patience), Ordering::SeqCst);
    }

    /// What is wrong with a stub, if anything.
    pub(super) fn mistake(&self) -> Option<String> {
        lock(&self.state).mistake.clone()
    }

    /// Fails the test if one of its stubs is wrong.
    ///
    /// # Panics
    ///
    /// In that case.
    pub(super) fn check_stubs(&self) {
        if let Some(mistake) = self.mistake() {
            panic!("{mistake}");
        }
    }

    // ---- the crash of a process ----

    pub(super) fn learn(&self) {
        lock(&self.state).plan = CrashPlan::Learn(Vec::new());
    }

    /// The points at which the process could have crashed.
    pub(super) fn learned(&self) -> Vec<String> {
        match std::mem::take(&mut lock(&self.state).plan) {
            CrashPlan::Learn(points) => points,
            CrashPlan::Nothing | CrashPlan::DieAt { .. } => Vec::new(),
        }
    }

    pub(super) fn die_at(&self, nth: usize) {
        lock(&self.state).plan = CrashPlan::DieAt { nth, seen: 0 };
    }

    pub(super) fn is_dead(&self) -> bool {
        lock(&self.state).dead
    }

    /// Allows reads of the rows again, and another process.
    pub(super) fn revive(&self) {
        let revive = |state: &mut State| (state.dead, state.plan) = (false, CrashPlan::Nothing);
        revive(&mut lock(&self.state));
        match self.rows.open_again() {
            Ok(unheard) => unheard.iter().for_each(|rows| self.invariants(|seen| seen.committed(rows))),
            Err(what) => self.is_broken(what),
        }
    }

    /// Notes what is wrong with the rows.
    pub(super) fn is_broken(&self, what: String) {
        lock(&self.state).findings.broken.push(what);
    }

    pub(super) fn findings(&self) -> Findings {
        let mut findings = lock(&self.state).findings.clone();
        findings.broken.extend(self.invariants(|seen| seen.breaches().to_vec()));
        findings
    }

    /// What must hold after every commit, and whenever a flow receives something or begins something.
    pub(super) fn invariants<R>(&self, look: impl FnOnce(&mut Invariants) -> R) -> R {
        look(&mut lock(&self.invariants))
    }

    /// The process could crash here.
    pub(super) fn point(&self, place: impl FnOnce() -> String) -> Clearance {
        let mut state = lock(&self.state);
        if state.dead {
            return Clearance::Refused;
        }
        match &mut state.plan {
            CrashPlan::Nothing => Clearance::Given,
            CrashPlan::Learn(points) => {
                points.push(place());
                Clearance::Given
            }
            CrashPlan::DieAt { nth, seen } => {
                *seen += 1;
                if *seen <= *nth {
                    return Clearance::Given;
                }
                state.dead = true;
                state.findings.died = Some(place());
                self.died.notify_one();
                Clearance::Refused
            }
        }
    }

    // ---- the replay of a history ----

    pub(super) fn follow(&self, script: Script) {
        lock(&self.state).script = Some(script);
    }

    /// Takes the script, with what the replay asked for.
    pub(super) fn script(&self) -> Option<Script> {
        lock(&self.state).script.take()
    }
}

/// The key of the executions' own randomness, the same for the same seed.
fn secret(seed: u64) -> [u8; 32] {
    let mut secret = [0; 32];
    secret[..8].copy_from_slice(&seed.to_le_bytes());
    secret
}

impl Director for House {
    fn starts(&self, cue: &Cue<'_>) -> Clearance {
        let mut state = lock(&self.state);
        if state.dead {
            return Clearance::Refused;
        }
        let State { findings, script, .. } = &mut *state;
        if let Some(script) = script {
            return script.starts(cue);
        }
        let stands = self.invariants(|seen| {
            seen.starts(cue.execution, &cue.name);
            if matches!(cue.stage, CueStage::Body | CueStage::Once | CueStage::OnceMore) {
                seen.body_begins(cue);
            }
            seen.stands(cue.identity)
        });
        if cue.stage != CueStage::Intent && stands {
            findings.ran_again.push(cue.name.clone());
        }
        if matches!(cue.stage, CueStage::Once | CueStage::OnceMore) {
            let place = (cue.execution.clone(), cue.generation, cue.checkpoint.to_owned(), cue.place);
            let is_first = findings.once.insert(place);
            if !is_first && cue.stage == CueStage::Once {
                findings.ran_twice.push(cue.checkpoint.to_owned());
            }
        }
        Clearance::Given
    }

    fn moment(&self, checkpoint: &str, moment: Moment) -> Clearance {
        self.moves.fetch_add(1, Ordering::SeqCst);
        match moment {
            Moment::Continues if self.is_dead() => Clearance::Refused,
            Moment::Continues => Clearance::Given,
            Moment::Begins => {
                let goes = self.point(|| format!("in `{checkpoint}`, at its start"));
                if goes == Clearance::Given {
                    *lock(&self.state).executed.entry(checkpoint.to_owned()).or_default() += 1;
                }
                goes
            }
            Moment::Suspends => self.point(|| format!("in `{checkpoint}`, where it is suspended")),
            Moment::Ends => self.point(|| format!("in `{checkpoint}`, at its end")),
        }
    }

    fn turn(&self, execution: &ExecutionId, turn: Turn) -> Clearance {
        if lock(&self.state).script.as_ref().is_some_and(|script| !script.is_of(execution)) {
            return Clearance::Refused;
        }
        let flow = &execution.flow;
        match turn {
            Turn::Counted => self.point(|| format!("where an attempt of `{flow}` is counted")),
            Turn::Begins => {
                self.invariants(|seen| seen.begins(execution));
                self.point(|| format!("where an attempt of `{flow}` begins"))
            }
            Turn::Parks => self.point(|| format!("where `{flow}` is parked")),
        }
    }

    fn cast(&self, checkpoint: &str, args: &mut dyn FnMut() -> Value) -> Part {
        let stub = {
            let mut state = lock(&self.state);
            match state.faults.get_mut(checkpoint).and_then(VecDeque::pop_front) {
                Some(Fault::Fails(error)) => return Part::Gives(Err(error)),
                Some(Fault::Panics(message)) => return Part::Panics(message),
                Some(Fault::Hangs) => return Part::Hangs,
                None => state.stubs.get(checkpoint).cloned(),
            }
        };
        // Outside the lock: the stub is the test's own code.
        let Some(stub) = stub else { return Part::Itself };
        match catch_unwind(AssertUnwindSafe(|| stub(args()))) {
            Ok(given) => Part::Gives(given),
            Err(panic) => {
                let mistake = Error::panicked(&format!("the stub of checkpoint `{checkpoint}`"), panic);
                self.observe(&Observation::Mistaken { what: &mistake.to_string() });
                Part::Hangs
            }
        }
    }

    fn observe(&self, observation: &Observation<'_>) {
        let State { replayed, script, findings, mistake, .. } = &mut *lock(&self.state);
        match observation {
            Observation::Given { execution, checkpoint, identity } => {
                self.invariants(|seen| seen.given(execution, checkpoint, *identity));
            }
            Observation::Replayed { checkpoint, identity } => {
                *replayed.entry((*checkpoint).to_owned()).or_default() += 1;
                script.iter_mut().for_each(|script| script.replayed(*identity));
            }
            Observation::Interrupted { checkpoint } => findings.interrupted.push((*checkpoint).to_owned()),
            Observation::Diverged(Divergence { record, differing, location }) => {
                let differing = differing.join(", ");
                findings.diverged.push(format!("record `{record}`, at {location}: {differing}"));
            }
            Observation::Unsteady { checkpoint } => {
                if !findings.unsteady.iter().any(|known| known == checkpoint) {
                    findings.unsteady.push((*checkpoint).to_owned());
                }
            }
            Observation::Watched { outside } => lock(&self.outside).push(Arc::downgrade(outside)),
            Observation::Mistaken { what } => {
                mistake.get_or_insert_with(|| (*what).to_owned());
            }
        }
    }

    fn order(&self, wake: &mut [Waker]) {
        if wake.len() > 1 {
            lock(&self.state).chance.shuffle(wake);
        }
    }

    fn chance(&self) -> u64 {
        lock(&self.state).chance.next()
    }
}

impl Pace for House {
    fn wait(&self, before: Before) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (delay, turns) = {
            let State { store, chance, .. } = &mut *lock(&self.state);
            let delay = match before {
                Before::Commit => store.commit_delay,
                Before::Acknowledgement => store.acknowledgement_delay,
                Before::NextAcknowledgement => Duration::ZERO,
            };
            (delay, store.most_turns.map_or(0, |most| chance.below(most)))
        };
        if delay.is_zero() && turns == 0 {
            return Box::pin(std::future::ready(()));
        }
        let sleep = (!delay.is_zero()).then(|| self.clock.sleep(delay));
        Box::pin(async move {
            for _ in 0..turns {
                yield_now().await;
            }
            if let Some(sleep) = sleep {
                sleep.await;
            }
        })
    }

    fn first_of(&self, journals: usize) -> usize {
        let State { store, chance, .. } = &mut *lock(&self.state);
        if store.most_turns.is_some() { chance.below(journals) } else { 0 }
    }
}
