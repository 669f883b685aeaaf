//! What a test has sent, over all its processes: each command is sent once. Owns which command is which; must not know how one is
//! sent.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::error::Error;
use crate::runtime::lock;

/// The commands of all processes.
#[derive(Default)]
pub(super) struct Posted(Mutex<State>);

#[derive(Default)]
struct State {
    /// Perhaps sent: the process crashed before it knew.
    begun: HashSet<Command>,
    done: HashSet<Command>,
}

/// What one process has sent, or is sending.
#[derive(Default)]
pub(super) struct Outbox(Mutex<HashSet<Command>>);

/// Something that is sent: to which execution, under which name, and how many of that name were sent before. A command that is
/// sent again, because the store refused it, is the same command.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Command {
    to: (String, String),
    what: What,
    name: String,
    pub(super) nth: u64,
}

/// The kind of a command.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Answer,
    Signal,
    Cancellation,
    Resume,
}

/// Whether a command must still be sent.
pub(super) enum Delivery {
    Sent,
    /// An earlier process may have sent it.
    Perhaps,
    Unsent,
}

impl Outbox {
    /// The next command of this name that this process has not sent.
    pub(super) fn next(&self, to: &(String, String), what: What, name: &str) -> Command {
        let mut sent = lock(&self.0);
        let mut command = Command { to: to.clone(), what, name: name.to_owned(), nth: 0 };
        while sent.contains(&command) {
            command.nth += 1;
        }
        sent.insert(command.clone());
        command
    }

    /// The command was not sent: the next one is this one again.
    fn take_back(&self, command: &Command) {
        lock(&self.0).remove(command);
    }
}

impl Posted {
    /// A process is about to send this command.
    pub(super) fn begin(&self, command: &Command) -> Delivery {
        let mut state = lock(&self.0);
        match () {
            () if state.done.contains(command) => Delivery::Sent,
            () if !state.begun.insert(command.clone()) => Delivery::Perhaps,
            () => Delivery::Unsent,
        }
    }

    /// The result of sending.
    pub(super) fn end(&self, outbox: &Outbox, command: Command, sent: &Result<(), Error>) {
        let mut state = lock(&self.0);
        match sent {
            Ok(()) => drop(state.done.insert(command)),
            Err(error) => {
                // If the store or the process failed, the command may have been sent.
                if !error.is_store() && !error.is_closed() {
                    state.begun.remove(&command);
                }
                outbox.take_back(&command);
            }
        }
    }
}
