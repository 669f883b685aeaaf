//! The seat of an execution: the one place that decides which task drives it, and what happens to messages for it.
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
//! Each event is a method. It changes the state, and returns the one action that follows. So the return type lists
//! everything that an event can lead to, and a table in the tests lists when.

use std::collections::BTreeSet;
use std::mem;

use crate::id::JournalId;

/// The state of one execution in one process, with the messages that no attempt has taken in yet. `M` is a message.
///
/// It is kept until it is over, or [idle](Self::is_idle).
#[derive(Debug)]
pub(crate) struct Seat<M> {
    state: Occupant,
    /// How many tasks have had it.
    tasks: u64,
    /// How many callers wait for the execution.
    waiting: usize,
    cancelled: bool,
    draining: bool,
    /// Messages for a generation that no attempt has taken in.
    inbox: Vec<(JournalId, M)>,
    /// Wake-ups that met a task. They are due again if that task drives nothing.
    wakes: Wakes,
}

/// Which generations to wake, and why.
pub(crate) type Wakes = BTreeSet<(JournalId, Cause)>;

/// What has the seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Occupant {
    /// A task that was woken. It reads the records and may find nothing to do, so a caller may take the seat over.
    Looking { task: TaskId, generation: JournalId },
    /// A task that reads the records, or writes what an attempt begins with.
    Planning { task: TaskId, generation: Option<JournalId> },
    /// An attempt is in memory.
    Running { task: TaskId, generation: JournalId },
    /// No task: the flow is parked.
    Parked,
    /// No task, for good: this seat no longer belongs to the execution.
    Over,
}

/// One of the tasks that have had a seat, one after another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TaskId(u64);

/// Why an execution is woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Cause {
    /// Its time has come.
    Time,
    /// A message was sent to it.
    Mail,
    /// A fault of the store stopped it, or the end of its runtime.
    Fault,
    /// The store was opened, and the execution is unfinished.
    Opening,
}

/// What a caller wants from an execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SeatCall {
    /// Its result, from a new attempt or one that runs.
    Join,
    /// A new generation.
    BeginOver,
    /// An attempt at an execution that failed or is stuck.
    Resume,
    /// Its end, without an attempt.
    Abandon,
}

/// The effect of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallEffect {
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
pub(crate) struct AttemptStart<M> {
    /// What was sent to its generation before it began, in that order.
    pub(crate) messages: Vec<M>,
    pub(crate) cancelled: bool,
    pub(crate) draining: bool,
}

/// The effect of a message.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum SendEffect<M> {
    /// The attempt takes it in, or [gives it back](Seat::give_back).
    Deliver(M),
    /// It waits for the attempt that the task begins, or until the task parks.
    Keep,
    /// It waits, and the execution must be woken.
    Wake,
}

/// The effect of a cancellation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CancelEffect {
    /// The attempt unwinds.
    Unwind,
    /// The attempt that begins next unwinds.
    Keep,
    /// The execution must be called, because no task has it.
    Call,
}

/// What follows once a flow is parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ParkEffect {
    Rest,
    /// A cancellation arrived too late for the attempt.
    Cancel,
    /// A message arrived too late for the attempt.
    Wake,
}

/// What follows if a task is dropped where it is.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum LossEffect {
    /// Nothing: the seat no longer belonged to the task.
    Nothing,
    /// The execution is parked, and resumes on another runtime.
    Resume { generation: JournalId, cancelled: bool },
    /// The seat is over. These generations must still be woken.
    Over(Wakes),
}

impl<M> Seat<M> {
    /// The seat of an execution that is called.
    pub(crate) fn called() -> (Self, TaskId) {
        let mut seat = Self::of(Occupant::Parked);
        let task = seat.next_task();
        seat.state = Occupant::Planning { task, generation: None };
        (seat, task)
    }

    /// The seat of an execution that is woken.
    pub(crate) fn woken(generation: JournalId, cause: Cause) -> (Self, TaskId) {
        let mut seat = Self::of(Occupant::Parked);
        let task = seat.next_task();
        seat.state = Occupant::Looking { task, generation };
        seat.wakes.insert((generation, cause));
        (seat, task)
    }

    /// The seat of an execution that is recorded and not in memory: a caller waits for it, or a message was sent to it.
    pub(crate) fn parked() -> Self {
        Self::of(Occupant::Parked)
    }

    fn of(state: Occupant) -> Self {
        let (waiting, cancelled, draining, inbox) = (0, false, false, Vec::new());
        Seat { state, tasks: 0, waiting, cancelled, draining, inbox, wakes: Wakes::new() }
    }

    fn next_task(&mut self) -> TaskId {
        self.tasks += 1;
        TaskId(self.tasks)
    }

    #[cfg(test)]
    pub(super) fn state(&self) -> Occupant {
        self.state
    }

    // ---- which task drives it ----

    pub(crate) fn call(&mut self, call: SeatCall) -> CallEffect {
        let is_free = matches!(self.state, Occupant::Looking { .. } | Occupant::Parked);
        match call {
            SeatCall::Resume => CallEffect::Refuse,
            SeatCall::Join | SeatCall::Abandon if is_free => {
                let task = self.next_task();
                self.state = Occupant::Planning { task, generation: None };
                CallEffect::Drive(task)
            }
            SeatCall::BeginOver if is_free => {
                self.state = Occupant::Over;
                CallEffect::Replace
            }
            SeatCall::Join => CallEffect::Join,
            SeatCall::BeginOver | SeatCall::Abandon => CallEffect::Refuse,
        }
    }

    /// Wakes the execution, by a new task if none has it. A task that has it learns of the wake-up if it drives
    /// nothing.
    pub(crate) fn wake(&mut self, generation: JournalId, cause: Cause) -> Option<TaskId> {
        self.wakes.insert((generation, cause));
        (self.state == Occupant::Parked).then(|| {
            let task = self.next_task();
            self.state = Occupant::Looking { task, generation };
            task
        })
    }

    /// A task has read the records, and carries out its decision. False if another task has the seat by now.
    pub(crate) fn confirm(&mut self, task: TaskId) -> bool {
        if let Occupant::Looking { task: looking, generation } = self.state
            && looking == task
        {
            self.state = Occupant::Planning { task, generation: Some(generation) };
        }
        self.is_of(task)
    }

    /// A task drives this generation.
    pub(crate) fn plan(&mut self, task: TaskId, generation: JournalId) {
        if self.is_of(task) {
            self.state = Occupant::Planning { task, generation: Some(generation) };
        }
    }

    /// An attempt of a task is in memory. `None` if the seat no longer belongs to that task.
    pub(crate) fn begin(&mut self, task: TaskId, generation: JournalId) -> Option<AttemptStart<M>> {
        if !self.is_of(task) {
            return None;
        }
        self.state = Occupant::Running { task, generation };
        // Messages to an older generation do not concern this one. The others were carried over to it.
        let inbox = mem::take(&mut self.inbox).into_iter();
        let messages = inbox.filter(|(known, _)| *known == generation).map(|(_, message)| message).collect();
        Some(AttemptStart { messages, cancelled: self.cancelled, draining: self.draining })
    }

    /// The flow of a task is parked, and that is durable. `None` if the seat no longer belongs to that task.
    pub(crate) fn park(&mut self, task: TaskId) -> Option<ParkEffect> {
        if !self.is_of(task) {
            return None;
        }
        self.state = Occupant::Parked;
        // The attempt has just checked all of these.
        self.wakes.clear();
        Some(match (mem::take(&mut self.cancelled), self.inbox.is_empty()) {
            (true, _) => ParkEffect::Cancel,
            (false, false) => ParkEffect::Wake,
            (false, true) => ParkEffect::Rest,
        })
    }

    /// A task has ended. If it drove nothing, or `failed` because of a fault of the store, this returns the generations
    /// that must still be woken.
    pub(crate) fn end(&mut self, task: TaskId, failed: bool) -> Wakes {
        if !self.is_of(task) {
            return Wakes::new();
        }
        let has_driven = self.generation().is_some();
        let wakes = self.over();
        if failed || !has_driven { wakes } else { Wakes::new() }
    }

    /// A task is dropped. `resumes` says whether the execution can resume, on another runtime.
    pub(crate) fn lose(&mut self, task: TaskId, resumes: bool) -> LossEffect {
        if !self.is_of(task) {
            return LossEffect::Nothing;
        }
        match self.generation() {
            Some(generation) if resumes => {
                self.state = Occupant::Parked;
                self.wakes.clear();
                LossEffect::Resume { generation, cancelled: mem::take(&mut self.cancelled) }
            }
            Some(_) => {
                self.over();
                LossEffect::Over(Wakes::new())
            }
            None => LossEffect::Over(self.over()),
        }
    }

    /// The seat is over. Returns what must still be woken: the wake-ups that met a task, and the last generation that
    /// got a message. The messages themselves are dropped; the store has them.
    pub(crate) fn over(&mut self) -> Wakes {
        self.state = Occupant::Over;
        let mut wakes = mem::take(&mut self.wakes);
        wakes.extend(mem::take(&mut self.inbox).pop().map(|(generation, _)| (generation, Cause::Mail)));
        wakes
    }

    /// The generation that the task drives, once that is known.
    pub(crate) fn generation(&self) -> Option<JournalId> {
        match self.state {
            Occupant::Looking { generation, .. } | Occupant::Running { generation, .. } => Some(generation),
            Occupant::Planning { generation, .. } => generation,
            Occupant::Parked | Occupant::Over => None,
        }
    }

    /// Whether a task has it.
    pub(crate) fn is_driven(&self) -> bool {
        matches!(self.state, Occupant::Looking { .. } | Occupant::Planning { .. } | Occupant::Running { .. })
    }

    pub(crate) fn is_of(&self, task: TaskId) -> bool {
        match self.state {
            Occupant::Looking { task: own, .. }
            | Occupant::Planning { task: own, .. }
            | Occupant::Running { task: own, .. } => own == task,
            Occupant::Parked | Occupant::Over => false,
        }
    }

    // ---- what reaches it ----

    /// A durable message was sent to this generation.
    pub(crate) fn send(&mut self, generation: JournalId, message: M) -> SendEffect<M> {
        match self.state {
            Occupant::Running { generation: running, .. } if running == generation => SendEffect::Deliver(message),
            Occupant::Looking { .. } | Occupant::Planning { .. } | Occupant::Running { .. } => {
                self.inbox.push((generation, message));
                SendEffect::Keep
            }
            Occupant::Parked => {
                self.inbox.push((generation, message));
                SendEffect::Wake
            }
            Occupant::Over => SendEffect::Wake,
        }
    }

    /// The attempt does not take a message in, because it parks or is gone: [`park`](Self::park) or the next attempt
    /// finds it.
    pub(crate) fn give_back(&mut self, generation: JournalId, message: M) {
        self.inbox.push((generation, message));
    }

    /// A wake-up for a message found nothing to do. Returns the messages, which are dropped; the store has them.
    pub(crate) fn rest(&mut self) -> Vec<(JournalId, M)> {
        match self.state {
            Occupant::Parked => mem::take(&mut self.inbox),
            Occupant::Looking { .. } | Occupant::Planning { .. } | Occupant::Running { .. } | Occupant::Over => {
                Vec::new()
            }
        }
    }

    /// The execution is being cancelled.
    pub(crate) fn cancel(&mut self) -> CancelEffect {
        match self.state {
            Occupant::Parked => CancelEffect::Call,
            Occupant::Running { .. } => {
                self.cancelled = true;
                CancelEffect::Unwind
            }
            Occupant::Looking { .. } | Occupant::Planning { .. } | Occupant::Over => {
                self.cancelled = true;
                CancelEffect::Keep
            }
        }
    }

    /// Nothing of the execution starts any more, in this attempt or the next.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    // ---- which callers wait for it ----

    /// A caller starts to wait for the execution.
    pub(crate) fn join(&mut self) {
        self.waiting += 1;
    }

    /// A caller stops waiting.
    pub(crate) fn part(&mut self) {
        debug_assert!(self.waiting > 0, "a caller joins before it parts");
        self.waiting -= 1;
    }

    /// Whether it need not be kept: no task has it, no caller waits, and it contains no message.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == Occupant::Parked && self.waiting == 0 && self.inbox.is_empty()
    }
}
