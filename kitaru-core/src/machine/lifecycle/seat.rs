//! The seat of an execution: the one place that decides which task drives it, and what becomes of what is sent to it.
//!
//! ```text
//!            call                    begin                  park
//!   (none) ───────► Planning ───────────────► Running ───────────────► Parked ──┐
//!      │               ▲  │                      │                       ▲  │   │ call
//!      │ wake  confirm │  │ end                  │ end, lose             │  │   │
//!      └────────► Looking │                      ▼              send,    │  │   ▼
//!                      ▲  └───────────────────► Over            await ───┘  │  Planning
//!                      └──────────────────────────────── wake ──────────────┘
//! ```
//!
//! Each event is a method. It changes the state, and returns the one thing that is to be done about it. So the type of what it
//! returns lists all that an event can lead to, and a table in the tests lists when.

use std::collections::BTreeSet;
use std::mem;

use crate::id::JournalId;

/// The state of one execution in one process, with what was sent to it and not taken in yet. `M` is what is sent.
///
/// It is kept until it is over, or [idle](Self::is_idle).
#[derive(Debug)]
pub(crate) struct Seat<M> {
    state: State,
    /// How many tasks have had it.
    tasks: u64,
    /// How many callers wait for the execution.
    waiting: usize,
    cancelled: bool,
    draining: bool,
    /// What was sent to a generation, and no attempt has taken in.
    inbox: Vec<(JournalId, M)>,
    /// Wake-ups that met a task: they are due again if that task drives nothing.
    wakes: Wakes,
}

/// Which generations are to be woken, and why.
pub(crate) type Wakes = BTreeSet<(JournalId, Cause)>;

/// Who has the seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// A task that was woken. It reads what is recorded, and may find nothing to do; so a caller may take the seat over.
    Looking { task: TaskId, generation: JournalId },
    /// A task that reads what is recorded, or writes what an attempt begins with.
    Planning { task: TaskId, generation: Option<JournalId> },
    /// An attempt is in memory.
    Running { task: TaskId, generation: JournalId },
    /// Nobody: the flow is not in memory.
    Parked,
    /// Nobody, and nobody will: this seat is not the execution's any more.
    Over,
}

/// One of the tasks that have had a seat, one after another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TaskId(u64);

/// Why an execution is woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Cause {
    /// The time has come that it waits for.
    Time,
    /// Something was sent to it.
    Mail,
    /// The store has stopped it, or the end of the runtime that it ran on.
    Fault,
    /// The store was opened, and the execution is unfinished.
    Opening,
}

/// What a caller wants of an execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// Its result, from a new attempt or one that runs.
    Join,
    /// A new generation.
    BeginOver,
    /// An attempt at what has failed or is stuck.
    Resume,
    /// Its end, without an attempt.
    Abandon,
}

/// What a call does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Called {
    /// A new task drives the execution.
    Drive(TaskId),
    /// It waits for the task that drives the execution.
    Join,
    /// A new seat takes the place of this one, which is over.
    Replace,
    /// Nothing: the execution runs, or is parked.
    Refuse,
}

/// What an attempt begins with.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Begun<M> {
    /// What was sent to its generation before it began, in that order.
    pub(crate) messages: Vec<M>,
    pub(crate) cancelled: bool,
    pub(crate) draining: bool,
}

/// What becomes of a message.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Sent<M> {
    /// The attempt takes it in. If it does not, it [gives it back](Seat::give_back).
    Deliver(M),
    /// It waits for the attempt that the task begins, or for the task to park.
    Keep,
    /// It waits, and the execution is to be woken.
    Wake,
}

/// What becomes of a cancellation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cancel {
    /// The attempt unwinds.
    Unwind,
    /// The attempt that begins next unwinds.
    Keep,
    /// The execution is to be called for it: no task has it.
    Call,
}

/// What follows once a flow is parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parked {
    Rest,
    /// A cancellation came too late for the attempt.
    Cancel,
    /// A message came too late for the attempt.
    Wake,
}

/// What follows if a task is dropped where it is.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// Nothing: the seat was not its any more.
    Nothing,
    /// The execution is parked, and resumes on another runtime.
    Resume { generation: JournalId, cancelled: bool },
    /// The seat is over. These are to be woken all the same.
    Over(Wakes),
}

impl<M> Seat<M> {
    /// The seat of an execution that is called.
    pub(crate) fn called() -> (Self, TaskId) {
        let mut seat = Self::of(State::Parked);
        let task = seat.next_task();
        seat.state = State::Planning { task, generation: None };
        (seat, task)
    }

    /// The seat of an execution that is woken.
    pub(crate) fn woken(generation: JournalId, cause: Cause) -> (Self, TaskId) {
        let mut seat = Self::of(State::Parked);
        let task = seat.next_task();
        seat.state = State::Looking { task, generation };
        seat.wakes.insert((generation, cause));
        (seat, task)
    }

    /// The seat of an execution that is recorded and not in memory: somebody waits for it, or has sent something to it.
    pub(crate) fn parked() -> Self {
        Self::of(State::Parked)
    }

    fn of(state: State) -> Self {
        let (waiting, cancelled, draining, inbox) = (0, false, false, Vec::new());
        Seat { state, tasks: 0, waiting, cancelled, draining, inbox, wakes: Wakes::new() }
    }

    fn next_task(&mut self) -> TaskId {
        self.tasks += 1;
        TaskId(self.tasks)
    }

    #[cfg(test)]
    pub(super) fn state(&self) -> State {
        self.state
    }

    // ---- who drives it ----

    pub(crate) fn call(&mut self, call: Call) -> Called {
        let is_free = matches!(self.state, State::Looking { .. } | State::Parked);
        match call {
            Call::Resume => Called::Refuse,
            Call::Join | Call::Abandon if is_free => {
                let task = self.next_task();
                self.state = State::Planning { task, generation: None };
                Called::Drive(task)
            }
            Call::BeginOver if is_free => {
                self.state = State::Over;
                Called::Replace
            }
            Call::Join => Called::Join,
            Call::BeginOver | Call::Abandon => Called::Refuse,
        }
    }

    /// Wakes the execution, by a new task if none has it. A task that has it learns of the wake-up when it drives nothing.
    pub(crate) fn wake(&mut self, generation: JournalId, cause: Cause) -> Option<TaskId> {
        self.wakes.insert((generation, cause));
        (self.state == State::Parked).then(|| {
            let task = self.next_task();
            self.state = State::Looking { task, generation };
            task
        })
    }

    /// A task has read what is recorded, and carries out what it has decided. False if another one has the seat by now.
    pub(crate) fn confirm(&mut self, task: TaskId) -> bool {
        if let State::Looking { task: looking, generation } = self.state
            && looking == task
        {
            self.state = State::Planning { task, generation: Some(generation) };
        }
        self.is_of(task)
    }

    /// A task drives this generation.
    pub(crate) fn plan(&mut self, task: TaskId, generation: JournalId) {
        if self.is_of(task) {
            self.state = State::Planning { task, generation: Some(generation) };
        }
    }

    /// An attempt of a task is in memory. None if the seat is not that task's any more.
    pub(crate) fn begin(&mut self, task: TaskId, generation: JournalId) -> Option<Begun<M>> {
        if !self.is_of(task) {
            return None;
        }
        self.state = State::Running { task, generation };
        // What was sent to an older generation is nothing to this one, which has taken the rest along.
        let inbox = mem::take(&mut self.inbox).into_iter();
        let messages = inbox.filter(|(known, _)| *known == generation).map(|(_, message)| message).collect();
        Some(Begun { messages, cancelled: self.cancelled, draining: self.draining })
    }

    /// The flow of a task is parked, and that is durable. None if the seat is not that task's any more.
    pub(crate) fn park(&mut self, task: TaskId) -> Option<Parked> {
        if !self.is_of(task) {
            return None;
        }
        self.state = State::Parked;
        // The attempt has just looked for all of that.
        self.wakes.clear();
        Some(match (mem::take(&mut self.cancelled), self.inbox.is_empty()) {
            (true, _) => Parked::Cancel,
            (false, false) => Parked::Wake,
            (false, true) => Parked::Rest,
        })
    }

    /// A task has come to an end. If it has driven nothing, or `failed` for a fault of the store, it returns what is still to
    /// be woken.
    pub(crate) fn end(&mut self, task: TaskId, failed: bool) -> Wakes {
        if !self.is_of(task) {
            return Wakes::new();
        }
        let has_driven = self.generation().is_some();
        let wakes = self.over();
        if failed || !has_driven { wakes } else { Wakes::new() }
    }

    /// A task is dropped where it is. It `resumes` if the execution can, on another runtime.
    pub(crate) fn lose(&mut self, task: TaskId, resumes: bool) -> Lost {
        if !self.is_of(task) {
            return Lost::Nothing;
        }
        match self.generation() {
            Some(generation) if resumes => {
                self.state = State::Parked;
                self.wakes.clear();
                Lost::Resume { generation, cancelled: mem::take(&mut self.cancelled) }
            }
            Some(_) => {
                self.over();
                Lost::Over(Wakes::new())
            }
            None => Lost::Over(self.over()),
        }
    }

    /// The seat is over. Returns what is still to be woken: the wake-ups that met a task, and the last generation that something
    /// was sent to. The messages themselves are dropped; the store has them.
    pub(crate) fn over(&mut self) -> Wakes {
        self.state = State::Over;
        let mut wakes = mem::take(&mut self.wakes);
        wakes.extend(mem::take(&mut self.inbox).pop().map(|(generation, _)| (generation, Cause::Mail)));
        wakes
    }

    /// The generation that the task drives, once that is known.
    pub(crate) fn generation(&self) -> Option<JournalId> {
        match self.state {
            State::Looking { generation, .. } | State::Running { generation, .. } => Some(generation),
            State::Planning { generation, .. } => generation,
            State::Parked | State::Over => None,
        }
    }

    /// Whether a task has it.
    pub(crate) fn is_driven(&self) -> bool {
        matches!(self.state, State::Looking { .. } | State::Planning { .. } | State::Running { .. })
    }

    pub(crate) fn is_of(&self, task: TaskId) -> bool {
        match self.state {
            State::Looking { task: own, .. } | State::Planning { task: own, .. } | State::Running { task: own, .. } => {
                own == task
            }
            State::Parked | State::Over => false,
        }
    }

    // ---- what reaches it ----

    /// Something that is durable was sent to this generation.
    pub(crate) fn send(&mut self, generation: JournalId, message: M) -> Sent<M> {
        match self.state {
            State::Running { generation: running, .. } if running == generation => Sent::Deliver(message),
            State::Looking { .. } | State::Planning { .. } | State::Running { .. } => {
                self.inbox.push((generation, message));
                Sent::Keep
            }
            State::Parked => {
                self.inbox.push((generation, message));
                Sent::Wake
            }
            State::Over => Sent::Wake,
        }
    }

    /// The attempt does not take a message in, since it parks or is gone: [`park`](Self::park) or the next attempt finds it.
    pub(crate) fn give_back(&mut self, generation: JournalId, message: M) {
        self.inbox.push((generation, message));
    }

    /// A wake-up for what was sent has found nothing to do. Returns the messages, which are dropped; the store has them.
    pub(crate) fn rest(&mut self) -> Vec<(JournalId, M)> {
        match self.state {
            State::Parked => mem::take(&mut self.inbox),
            State::Looking { .. } | State::Planning { .. } | State::Running { .. } | State::Over => Vec::new(),
        }
    }

    /// The execution is to end as cancelled.
    pub(crate) fn cancel(&mut self) -> Cancel {
        match self.state {
            State::Parked => Cancel::Call,
            State::Running { .. } => {
                self.cancelled = true;
                Cancel::Unwind
            }
            State::Looking { .. } | State::Planning { .. } | State::Over => {
                self.cancelled = true;
                Cancel::Keep
            }
        }
    }

    /// Nothing of the execution starts any more, in this attempt or the next.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    // ---- who waits for it ----

    /// Somebody waits for the execution.
    pub(crate) fn join(&mut self) {
        self.waiting += 1;
    }

    /// Somebody waits no longer.
    pub(crate) fn part(&mut self) {
        debug_assert!(self.waiting > 0, "whoever parts has joined");
        self.waiting -= 1;
    }

    /// Whether there is no reason to keep it: no task has it, nobody waits, and no message lies in it.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Parked && self.waiting == 0 && self.inbox.is_empty()
    }
}
