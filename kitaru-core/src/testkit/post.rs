//! What a test has sent, over all processes of it: each thing is sent once. Owns which of them is which; must not know how
//! they are sent.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::error::Error;
use crate::runtime::lock;

/// What is known of it to all processes.
#[derive(Default)]
pub(super) struct Posted(Mutex<State>);

#[derive(Default)]
struct State {
    /// Perhaps it is there: its process died before that was known.
    begun: HashSet<Letter>,
    done: HashSet<Letter>,
}

/// What one process has sent, or is sending.
#[derive(Default)]
pub(super) struct Outbox(Mutex<HashSet<Letter>>);

/// Something that is sent: to whom, under which name, and how many of that name came before it. One that is sent again,
/// because the store had refused it, is the same as before.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Letter {
    to: (String, String),
    what: What,
    name: String,
    pub(super) nth: u64,
}

/// What kind of thing is sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Answer,
    Signal,
    Cancellation,
    Resume,
}

/// Whether something is still to be sent.
pub(super) enum Stands {
    Sent,
    /// An earlier process may have sent it.
    Perhaps,
    Unsent,
}

impl Outbox {
    /// The next thing of this name that this process has not sent.
    pub(super) fn next(&self, to: &(String, String), what: What, name: &str) -> Letter {
        let mut sent = lock(&self.0);
        let mut letter = Letter { to: to.clone(), what, name: name.to_owned(), nth: 0 };
        while sent.contains(&letter) {
            letter.nth += 1;
        }
        sent.insert(letter.clone());
        letter
    }

    /// It was not sent: the next one is this one again.
    fn take_back(&self, letter: &Letter) {
        lock(&self.0).remove(letter);
    }
}

impl Posted {
    /// A process is about to send this.
    pub(super) fn begin(&self, letter: &Letter) -> Stands {
        let mut state = lock(&self.0);
        match () {
            () if state.done.contains(letter) => Stands::Sent,
            () if !state.begun.insert(letter.clone()) => Stands::Perhaps,
            () => Stands::Unsent,
        }
    }

    /// What came of it.
    pub(super) fn end(&self, outbox: &Outbox, letter: Letter, sent: &Result<(), Error>) {
        let mut state = lock(&self.0);
        match sent {
            Ok(()) => drop(state.done.insert(letter)),
            Err(error) => {
                // Where the store or the process failed it may be there all the same.
                if !error.is_store() && !error.is_closed() {
                    state.begun.remove(&letter);
                }
                outbox.take_back(&letter);
            }
        }
    }
}
