//! What has been sent to an execution, on the way to the calls that wait for it. Owns which event is taken by whom; must
//! not know how it got here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::task::Waker;

use tokio::sync::oneshot;

use crate::error::Error;
use crate::sync::{Mutex, lock};

/// Something that was sent to an execution. It is durable already.
#[derive(Debug)]
pub(crate) enum Mail {
    Event {
        number: u64,
        name: String,
        json: String,
    },
    Answer {
        name: String,
        json: String,
        verdict: Option<Verdict>,
    },
    /// An execution that this one may have waited for has come to its end.
    Ended,
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
    /// The highest number of an event that has come. They come in order, but the last ones may come twice: from the store
    /// and from who sent them.
    newest: u64,
    /// Events that no call has been given for good.
    events: BTreeMap<u64, Event>,
    /// Those of them that no call holds, by their name. The lowest is taken first.
    free: HashMap<String, BTreeSet<u64>>,
    answers: HashMap<String, Answer>,
    /// The waits that look for an answer now.
    listening: HashSet<String>,
    waiting: HashMap<String, Vec<Waker>>,
}

struct Event {
    name: String,
    json: String,
}

struct Answer {
    json: String,
    verdict: Option<Verdict>,
}

impl Mailbox {
    /// The mail that was there when the attempt began. `taken` are the events that a record of an earlier attempt holds.
    pub(crate) fn new(mail: Vec<Mail>, taken: &HashSet<u64>) -> Self {
        let mut state = State::default();
        mail.into_iter().for_each(|mail| state.add(mail, taken));
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
        let name = match &mail {
            Mail::Event { name, .. } | Mail::Answer { name, .. } => name.clone(),
            // Who waits for it in memory has heard of it.
            Mail::Ended => return Ok(()),
        };
        state.add(mail, &HashSet::new());
        state.waiting.remove(&name).into_iter().flatten().for_each(Waker::wake);
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

    // ---- events ----

    /// The next event of a name, which is then held by the call that asks; or the waker is kept.
    pub(crate) fn take_event(&self, name: &str, waker: &Waker) -> Option<(u64, String)> {
        let mut state = lock(&self.0);
        let Some(number) = state.free.get_mut(name).and_then(BTreeSet::pop_first) else {
            state.wait(name, waker);
            return None;
        };
        let json = state.events.get(&number).map(|event| event.json.clone())?;
        Some((number, json))
    }

    /// Whether there is an event of a name that no call holds.
    pub(crate) fn has_event(&self, name: &str) -> bool {
        lock(&self.0).free.get(name).is_some_and(|free| !free.is_empty())
    }

    /// A record of an earlier attempt holds the event.
    pub(crate) fn hold_event(&self, number: u64) {
        let state = &mut *lock(&self.0);
        if let Some(free) = state.events.get(&number).and_then(|event| state.free.get_mut(&event.name)) {
            free.remove(&number);
        }
    }

    /// The flow has been given the event.
    pub(crate) fn release_event(&self, number: u64) {
        lock(&self.0).events.remove(&number);
    }

    /// Whether the flow has been given the event.
    pub(crate) fn took(&self, number: u64) -> bool {
        let state = lock(&self.0);
        number <= state.newest && !state.events.contains_key(&number)
    }

    /// The call that held the event was dropped before the flow was given it: it is the next one again.
    pub(crate) fn return_event(&self, number: u64) {
        let state = &mut *lock(&self.0);
        let Some(event) = state.events.get(&number) else { return };
        state.free.entry(event.name.clone()).or_default().insert(number);
        state.waiting.remove(&event.name).into_iter().flatten().for_each(Waker::wake);
    }

    // ---- answers ----

    /// The answer to a wait; or the waker is kept.
    pub(crate) fn answer(&self, name: &str, waker: &Waker) -> Option<String> {
        let mut state = lock(&self.0);
        let json = state.answers.get(name).map(|answer| answer.json.clone());
        if json.is_none() {
            state.wait(name, waker);
        }
        json
    }

    /// A wait looks for its answer from now on.
    pub(crate) fn listen(&self, name: &str) {
        lock(&self.0).listening.insert(name.to_owned());
    }

    /// A wait looks for an answer no longer.
    pub(crate) fn leave(&self, name: &str) {
        lock(&self.0).listening.remove(name);
    }

    /// The flow is where it is: whoever has sent an answer that no wait looks for is not told whether it fits. It is kept.
    pub(crate) fn dismiss(&self) {
        let State { answers, listening, .. } = &mut *lock(&self.0);
        answers.iter_mut().filter(|(name, _)| !listening.contains(*name)).for_each(|(_, answer)| answer.verdict = None);
    }

    /// The answer fits, or does not: whoever has sent it is told.
    pub(crate) fn judge(&self, name: &str, verdict: Result<(), Error>) {
        let answer = lock(&self.0).answers.remove(name);
        if let Some(sender) = answer.and_then(|answer| answer.verdict) {
            // The sender may have gone away.
            let _ = sender.send(verdict);
        }
    }
}

impl State {
    fn add(&mut self, mail: Mail, taken: &HashSet<u64>) {
        match mail {
            Mail::Event { number, name, json } => {
                if number <= self.newest {
                    return;
                }
                self.newest = number;
                if !taken.contains(&number) {
                    self.free.entry(name.clone()).or_default().insert(number);
                }
                self.events.insert(number, Event { name, json });
            }
            Mail::Ended => {}
            Mail::Answer { name, json, verdict } => {
                let known = self.answers.entry(name).or_insert(Answer { json, verdict: None });
                known.verdict = verdict.or(known.verdict.take());
            }
        }
    }

    fn wait(&mut self, name: &str, waker: &Waker) {
        let waiting = self.waiting.entry(name.to_owned()).or_default();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}
