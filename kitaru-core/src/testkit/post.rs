//! What a test has sent, over all its processes: each letter is sent once. Owns which letter is which; must not know how one is
//! sent.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::error::Error;
use crate::runtime::lock;

/// The letters of all processes.
#[derive(Default)]
pub(super) struct Posted(Mutex<State>);

#[derive(Default)]
struct State {
    /// Perhaps sent: the process crashed before it knew.
    begun: HashSet<Letter>,
    done: HashSet<Letter>,
}

/// What one process has sent, or is sending.
#[derive(Default)]
pub(super) struct Outbox(Mutex<HashSet<Letter>>);

/// Something that is sent: to which execution, under which name, and how many of that name were sent before. A letter that is
/// sent again, because the store refused it, is the same letter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Letter {
    to: (String, String),
    what: What,
    name: String,
    pub(super) nth: u64,
}

/// The kind of a letter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Answer,
    Signal,
    Cancellation,
    Resume,
}

/// Whether a letter must still be sent.
pub(super) enum Stands {
    Sent,
    /// An earlier process may have sent it.
    Perhaps,
    Unsent,
}

impl Outbox {
    /// The next letter of this name that this process has not sent.
    pub(super) fn next(&self, to: &(String, String), what: What, name: &str) -> Letter {
        let mut sent = lock(&self.0);
        let mut letter = Letter { to: to.clone(), what, name: name.to_owned(), nth: 0 };
        while sent.contains(&letter) {
            letter.nth += 1;
        }
        sent.insert(letter.clone());
        letter
    }

    /// The letter was not sent: the next one is this one again.
    fn take_back(&self, letter: &Letter) {
        lock(&self.0).remove(letter);
    }
}

impl Posted {
    /// A process is about to send this letter.
    pub(super) fn begin(&self, letter: &Letter) -> Stands {
        let mut state = lock(&self.0);
        match () {
            () if state.done.contains(letter) => Stands::Sent,
            () if !state.begun.insert(letter.clone()) => Stands::Perhaps,
            () => Stands::Unsent,
        }
    }

    /// The result of sending.
    pub(super) fn end(&self, outbox: &Outbox, letter: Letter, sent: &Result<(), Error>) {
        let mut state = lock(&self.0);
        match sent {
            Ok(()) => drop(state.done.insert(letter)),
            Err(error) => {
                // If the store or the process failed, the letter may have been sent.
                if !error.is_store() && !error.is_closed() {
                    state.begun.remove(&letter);
                }
                outbox.take_back(&letter);
            }
        }
    }
}
