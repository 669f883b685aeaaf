//! Mail of an execution, on its way to the calls that wait for it. Owns which call takes which signal; must not know
//! how mail arrives.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::task::Waker;

use tokio::sync::oneshot;

use crate::error::Error;
use crate::ledger::{Addressee, Sent};
use crate::sync::{Mutex, lock};
use crate::value::Key;

/// Mail of an execution. It is already durable.
#[derive(Debug)]
pub(crate) enum Message {
    Signal {
        number: u64,
        name: String,
        json: String,
    },
    Answer {
        wait: Addressee,
        json: String,
        /// If a fork took it over, the digest of the only question that it answers.
        question: Option<Key>,
        verdict: Option<FitReport>,
    },
    /// An execution for which this one may wait has ended.
    OtherEnded,
}

impl From<Sent> for Message {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Signal { number, name, json } => Message::Signal { number, name, json },
            Sent::Answer { wait, json, question } => Message::Answer { wait, json, question, verdict: None },
        }
    }
}

/// Reports to the sender of an answer whether it fits.
type FitReport = oneshot::Sender<Result<(), Error>>;

/// The mail of one attempt.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<State>);

#[derive(Default)]
struct State {
    /// Set when the flow is being parked.
    closed: Option<Awaits>,
    /// The highest signal number that arrived. Signals arrive in order, but the last ones may arrive twice: from the
    /// store and from their senders.
    newest: u64,
    /// Lower numbers that did not arrive. The store may have them although it reported a failure.
    missing: BTreeSet<u64>,
    /// Signals that no call has taken permanently.
    signals: BTreeMap<u64, HeldSignal>,
    /// Those that no call holds, by name. The lowest number is taken first.
    free: HashMap<String, BTreeSet<u64>>,
    /// By the identity of the wait.
    answers: HashMap<Key, HeldAnswer>,
    /// Answers that arrived before a wait opened under their name.
    early: HashMap<String, HeldAnswer>,
    /// The wait that opened first under a name. It takes what arrives under that name, and no later wait does.
    opened: HashMap<String, Key>,
    /// The waits that look for an answer now.
    listening: HashSet<Key>,
    waiting: HashMap<Topic, Vec<Waker>>,
}

/// For what a flow is parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Awaits {
    /// The end of another execution, among other things.
    Execution,
    Other,
}

/// What a waker waits for.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Topic {
    /// The next signal of this name.
    Signal(String),
    /// The answer to this wait.
    Answer(Key),
}

struct HeldSignal {
    name: String,
    json: String,
}

struct HeldAnswer {
    json: String,
    /// The digest of the only question that it answers, if it is for one alone.
    question: Option<Key>,
    verdict: Option<FitReport>,
}

impl Mailbox {
    /// The mail that was there when the attempt began. `taken` are the signals that records of earlier attempts hold.
    pub(crate) fn new(mail: Vec<Message>, taken: &HashSet<u64>) -> Self {
        let mut state = State::default();
        mail.into_iter().for_each(|mail| drop(state.add(mail, taken)));
        Mailbox(Mutex::new(state))
    }

    /// Takes mail in and wakes the call that waits for it, or gives the mail back if the flow is being parked.
    ///
    /// It wakes under its own lock: a flow that is being parked looks for woken bodies behind that lock. Only bodies of
    /// waits wait here, and their wakers lock nothing but the replay and the driver's waker.
    pub(crate) fn post(&self, mail: Message) -> Result<(), Message> {
        let mut state = lock(&self.0);
        match state.closed {
            // The end of a child matters only to a flow that waits for it.
            Some(Awaits::Other) if matches!(mail, Message::OtherEnded) => return Ok(()),
            Some(_) => return Err(mail),
            None => {}
        }
        if let Message::Signal { number, .. } = &mail {
            let next = state.newest.saturating_add(1);
            state.missing.extend(next..*number);
        }
        let topic = state.add(mail, &HashSet::new());
        let woken = topic.and_then(|topic| state.waiting.remove(&topic));
        woken.into_iter().flatten().for_each(Waker::wake);
        Ok(())
    }

    /// Forgets a waker.
    pub(crate) fn forget(&self, waker: &Waker) {
        lock(&self.0).waiting.retain(|_, wakers| {
            wakers.retain(|known| !known.will_wake(waker));
            !wakers.is_empty()
        });
    }

    /// Closes the mailbox, unless `stays` holds. `stays` runs while no mail can arrive. Returns whether the mailbox is
    /// closed.
    pub(crate) fn close_unless(&self, awaits: Awaits, stays: impl FnOnce() -> bool) -> bool {
        let mut state = lock(&self.0);
        state.closed = (!stays()).then_some(awaits);
        state.closed.is_some()
    }

    /// Closes the mailbox of a flow that waits for nothing.
    pub(crate) fn close(&self) {
        self.close_unless(Awaits::Other, || false);
    }

    /// Whether the flow is being parked until another execution ends, among other things.
    pub(crate) fn awaits_execution(&self) -> bool {
        lock(&self.0).closed == Some(Awaits::Execution)
    }

    // ---- signals ----

    /// The next signal of a name, which the call then holds. If there is none, the waker is kept.
    pub(crate) fn take_signal(&self, name: &str, waker: &Waker) -> Option<(u64, String)> {
        let mut state = lock(&self.0);
        let Some(number) = state.free.get_mut(name).and_then(BTreeSet::pop_first) else {
            state.wait(Topic::Signal(name.to_owned()), waker);
            return None;
        };
        let json = state.signals.get(&number).map(|signal| signal.json.clone())?;
        Some((number, json))
    }

    /// Whether there is a signal of a name that no call holds.
    pub(crate) fn has_signal(&self, name: &str) -> bool {
        lock(&self.0).free.get(name).is_some_and(|free| !free.is_empty())
    }

    /// A record of an earlier attempt holds the signal.
    pub(crate) fn hold_signal(&self, number: u64) {
        let state = &mut *lock(&self.0);
        if let Some(free) = state.signals.get(&number).and_then(|signal| state.free.get_mut(&signal.name)) {
            free.remove(&number);
        }
    }

    /// The flow received the signal.
    pub(crate) fn release_signal(&self, number: u64) {
        lock(&self.0).signals.remove(&number);
    }

    /// Whether the flow received the signal.
    pub(crate) fn took(&self, number: u64) -> bool {
        let state = lock(&self.0);
        number <= state.newest && !state.signals.contains_key(&number) && !state.missing.contains(&number)
    }

    /// The call that held the signal was dropped before the flow received it. The signal is the next one again.
    pub(crate) fn return_signal(&self, number: u64) {
        let state = &mut *lock(&self.0);
        let Some(signal) = state.signals.get(&number) else { return };
        state.free.entry(signal.name.clone()).or_default().insert(number);
        let topic = Topic::Signal(signal.name.clone());
        state.waiting.remove(&topic).into_iter().flatten().for_each(Waker::wake);
    }

    // ---- answers ----

    /// A wait is about to ask this. An answer that a fork took over is dropped if it was given to another question.
    pub(crate) fn asks(&self, wait: Key, question: impl FnOnce() -> Key) {
        let answers = &mut lock(&self.0).answers;
        if let Some(given_to) = answers.get(&wait).and_then(|answer| answer.question)
            && given_to != question()
        {
            answers.remove(&wait);
        }
    }

    /// The answer to a wait. If there is none, the waker is kept.
    pub(crate) fn answer(&self, wait: Key, waker: &Waker) -> Option<String> {
        let mut state = lock(&self.0);
        let json = state.answers.get(&wait).map(|answer| answer.json.clone());
        if json.is_none() {
            state.wait(Topic::Answer(wait), waker);
        }
        json
    }

    /// A wait looks for its answer from now on. The first wait that opens under a name takes an early answer for that
    /// name.
    pub(crate) fn listen(&self, wait: Key, name: Option<&str>) {
        let state = &mut *lock(&self.0);
        state.listening.insert(wait);
        let Some(name) = name else { return };
        if *state.opened.entry(name.to_owned()).or_insert(wait) == wait
            && let Some(answer) = state.early.remove(name)
        {
            state.answers.entry(wait).or_insert(answer);
        }
    }

    /// A wait no longer looks for an answer.
    pub(crate) fn leave(&self, wait: Key) {
        lock(&self.0).listening.remove(&wait);
    }

    /// The flow waits. Senders of answers that no wait looks for do not learn whether they fit. The answers are kept.
    pub(crate) fn dismiss(&self) {
        let State { answers, listening, .. } = &mut *lock(&self.0);
        answers.iter_mut().filter(|(wait, _)| !listening.contains(*wait)).for_each(|(_, answer)| answer.verdict = None);
    }

    /// Notifies the sender whether the answer fits.
    pub(crate) fn judge(&self, wait: Key, verdict: Result<(), Error>) {
        let answer = lock(&self.0).answers.remove(&wait);
        if let Some(sender) = answer.and_then(|answer| answer.verdict) {
            // The sender may be gone.
            let _ = sender.send(verdict);
        }
    }
}

impl State {
    /// Takes mail in. Returns the topic for which a call may wait.
    fn add(&mut self, mail: Message, taken: &HashSet<u64>) -> Option<Topic> {
        match mail {
            Message::Signal { number, name, json } => {
                if number > self.newest || self.missing.remove(&number) {
                    self.newest = self.newest.max(number);
                    if !taken.contains(&number) {
                        self.free.entry(name.clone()).or_default().insert(number);
                    }
                    self.signals.insert(number, HeldSignal { name: name.clone(), json });
                }
                Some(Topic::Signal(name))
            }
            // A call that waits for it in memory has already received it.
            Message::OtherEnded => None,
            Message::Answer { wait, json, question, verdict } => {
                let wait = match wait {
                    Addressee::Named(name) => match self.opened.get(&name) {
                        // The wait opened while the answer was on its way.
                        Some(wait) => *wait,
                        None => {
                            self.early.entry(name).or_insert(HeldAnswer { json, question, verdict });
                            return None;
                        }
                    },
                    Addressee::Wait(wait) => wait,
                };
                if question.is_none() && self.answers.get(&wait).is_some_and(|known| known.question.is_some()) {
                    // A person has answered what is asked now.
                    self.answers.remove(&wait);
                }
                let known = self.answers.entry(wait).or_insert(HeldAnswer { json, question, verdict: None });
                known.verdict = verdict.or(known.verdict.take());
                Some(Topic::Answer(wait))
            }
        }
    }

    fn wait(&mut self, topic: Topic, waker: &Waker) {
        let waiting = self.waiting.entry(topic).or_default();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}
