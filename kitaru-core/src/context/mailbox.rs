//! What has been sent to an execution, on the way to the calls that wait for it. Owns which signal is taken by whom; must
//! not know how it got here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::task::Waker;

use tokio::sync::oneshot;

use crate::error::Error;
use crate::ledger::{Addressee, Sent};
use crate::sync::{Mutex, lock};
use crate::value::Key;

/// Something that was sent to an execution. It is durable already.
#[derive(Debug)]
pub(crate) enum Mail {
    Signal {
        number: u64,
        name: String,
        json: String,
    },
    Answer {
        wait: Addressee,
        json: String,
        verdict: Option<Verdict>,
    },
    /// An execution that this one may have waited for has come to its end.
    Ended,
}

impl From<Sent> for Mail {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Signal { number, name, json } => Mail::Signal { number, name, json },
            Sent::Answer { wait, json } => Mail::Answer { wait, json, verdict: None },
        }
    }
}

/// Who sent an answer, and wants to know whether it fits.
type Verdict = oneshot::Sender<Result<(), Error>>;

/// The mail of one attempt.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<State>);

#[derive(Default)]
struct State {
    /// The flow is on its way out of memory.
    closed: bool,
    /// The highest number of a signal that has come. They come in order, but the last ones may come twice: from the store
    /// and from who sent them.
    newest: u64,
    /// Lower numbers that have not come: the store may have them although it has reported that it had failed.
    missing: BTreeSet<u64>,
    /// Signals that no call has been given for good.
    signals: BTreeMap<u64, Signal>,
    /// Those of them that no call holds, by their name. The lowest is taken first.
    free: HashMap<String, BTreeSet<u64>>,
    /// By the identity of the wait.
    answers: HashMap<Key, Answer>,
    /// Answers that came before a wait has opened under their name.
    early: HashMap<String, Answer>,
    /// Which wait has opened under a name: it takes what comes under that name, and no later one does.
    opened: HashMap<String, Key>,
    /// The waits that look for an answer now.
    listening: HashSet<Key>,
    waiting: HashMap<Topic, Vec<Waker>>,
}

/// What somebody waits for.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Topic {
    /// The next signal of this name.
    Signal(String),
    /// The answer to this wait.
    Answer(Key),
}

struct Signal {
    name: String,
    json: String,
}

struct Answer {
    json: String,
    verdict: Option<Verdict>,
}

impl Mailbox {
    /// The mail that was there when the attempt began. `taken` are the signals that a record of an earlier attempt holds.
    pub(crate) fn new(mail: Vec<Mail>, taken: &HashSet<u64>) -> Self {
        let mut state = State::default();
        mail.into_iter().for_each(|mail| drop(state.add(mail, taken)));
        Mailbox(Mutex::new(state))
    }

    /// Takes in what has been sent meanwhile, and wakes who waits for it; gives it back if the flow is on its way out of
    /// memory.
    ///
    /// Wakes under its lock: a flow that goes out of memory looks for bodies that were woken behind that lock. Only
    /// bodies of waits wait here, whose wakers lock nothing but the replay and the driver's waker.
    pub(crate) fn post(&self, mail: Mail) -> Result<(), Mail> {
        let mut state = lock(&self.0);
        if state.closed {
            return Err(mail);
        }
        if let Mail::Signal { number, .. } = &mail {
            let next = state.newest.saturating_add(1);
            state.missing.extend(next..*number);
        }
        let topic = state.add(mail, &HashSet::new());
        let woken = topic.and_then(|topic| state.waiting.remove(&topic));
        woken.into_iter().flatten().for_each(Waker::wake);
        Ok(())
    }

    /// Whoever waits with this waker waits no longer.
    pub(crate) fn forget(&self, waker: &Waker) {
        lock(&self.0).waiting.retain(|_, wakers| {
            wakers.retain(|known| !known.will_wake(waker));
            !wakers.is_empty()
        });
    }

    /// Nothing is taken in any more, unless something came that is a reason to stay; that is asked where nothing can come
    /// meanwhile. Whether it is closed.
    pub(crate) fn close_unless(&self, stays: impl FnOnce() -> bool) -> bool {
        let mut state = lock(&self.0);
        state.closed = !stays();
        state.closed
    }

    /// Nothing is taken in any more.
    pub(crate) fn close(&self) {
        self.close_unless(|| false);
    }

    // ---- signals ----

    /// The next signal of a name, which is then held by the call that asks; or the waker is kept.
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

    /// The flow has been given the signal.
    pub(crate) fn release_signal(&self, number: u64) {
        lock(&self.0).signals.remove(&number);
    }

    /// Whether the flow has been given the signal.
    pub(crate) fn took(&self, number: u64) -> bool {
        let state = lock(&self.0);
        number <= state.newest && !state.signals.contains_key(&number) && !state.missing.contains(&number)
    }

    /// The call that held the signal was dropped before the flow was given it: it is the next one again.
    pub(crate) fn return_signal(&self, number: u64) {
        let state = &mut *lock(&self.0);
        let Some(signal) = state.signals.get(&number) else { return };
        state.free.entry(signal.name.clone()).or_default().insert(number);
        let topic = Topic::Signal(signal.name.clone());
        state.waiting.remove(&topic).into_iter().flatten().for_each(Waker::wake);
    }

    // ---- answers ----

    /// The answer to a wait; or the waker is kept.
    pub(crate) fn answer(&self, wait: Key, waker: &Waker) -> Option<String> {
        let mut state = lock(&self.0);
        let json = state.answers.get(&wait).map(|answer| answer.json.clone());
        if json.is_none() {
            state.wait(Topic::Answer(wait), waker);
        }
        json
    }

    /// A wait looks for its answer from now on. One with a name takes what came early under that name, if it is the first
    /// that opens under it.
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

    /// A wait looks for an answer no longer.
    pub(crate) fn leave(&self, wait: Key) {
        lock(&self.0).listening.remove(&wait);
    }

    /// The flow is where it is: whoever has sent an answer that no wait looks for is not told whether it fits. It is kept.
    pub(crate) fn dismiss(&self) {
        let State { answers, listening, .. } = &mut *lock(&self.0);
        answers.iter_mut().filter(|(wait, _)| !listening.contains(*wait)).for_each(|(_, answer)| answer.verdict = None);
    }

    /// The answer fits, or does not: whoever has sent it is told.
    pub(crate) fn judge(&self, wait: Key, verdict: Result<(), Error>) {
        let answer = lock(&self.0).answers.remove(&wait);
        if let Some(sender) = answer.and_then(|answer| answer.verdict) {
            // The sender may have gone away.
            let _ = sender.send(verdict);
        }
    }
}

impl State {
    /// Takes something in. Gives what it is that somebody may wait for.
    fn add(&mut self, mail: Mail, taken: &HashSet<u64>) -> Option<Topic> {
        match mail {
            Mail::Signal { number, name, json } => {
                if number > self.newest || self.missing.remove(&number) {
                    self.newest = self.newest.max(number);
                    if !taken.contains(&number) {
                        self.free.entry(name.clone()).or_default().insert(number);
                    }
                    self.signals.insert(number, Signal { name: name.clone(), json });
                }
                Some(Topic::Signal(name))
            }
            // Who waits for it in memory has heard of it.
            Mail::Ended => None,
            Mail::Answer { wait, json, verdict } => {
                let wait = match wait {
                    Addressee::Named(name) => match self.opened.get(&name) {
                        // It has opened while the answer was on its way.
                        Some(wait) => *wait,
                        None => {
                            self.early.entry(name).or_insert(Answer { json, verdict });
                            return None;
                        }
                    },
                    Addressee::Wait(wait) => wait,
                };
                let known = self.answers.entry(wait).or_insert(Answer { json, verdict: None });
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
