//! The executions that this process drives, or that a caller here waits for: one seat each. Owns that the decisions of a seat
//! are carried out in order; must not know what a task does with its seat.
//!
//! The map is locked before a seat. A seat that is found in the map is locked before the map is released, so it is still
//! current. `tests/concurrency` runs this module in every order of threads.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::context::Message;
use crate::id::{ExecutionId, JournalId};
use crate::machine::{
    CallEffect, CancelEffect, Cause, LossEffect, ParkEffect, Seat, SeatCall, SendEffect, TaskId, Wakes,
};
use crate::sync::{Mutex, MutexGuard, lock};

/// An attempt, as far as others steer it.
pub(crate) trait Steered {
    /// The generation of the attempt.
    fn journal(&self) -> JournalId;

    /// Takes mail in, or gives it back if the flow is being parked.
    fn post(&self, mail: Message) -> Result<(), Message>;

    /// Drops the flow, undoes its work, and ends the execution as cancelled.
    fn cancel(self: &Arc<Self>);

    /// Starts nothing more of the attempt.
    fn drain(self: &Arc<Self>);
}

/// The seats of all executions in this process. `A` is an attempt; `P` is what callers learn of an execution.
pub(crate) struct Registry<A, P> {
    seats: Mutex<HashMap<ExecutionId, Arc<SeatEntry<A, P>>>>,
}

/// An execution in this process: its seat, its task, and what callers learn.
pub(crate) struct SeatEntry<A, P> {
    held: Mutex<SeatState<A>>,
    /// Whether the flow is parked.
    parks: watch::Sender<bool>,
    progress: P,
}

struct SeatState<A> {
    seat: Seat<Message>,
    /// The last attempt that began.
    attempt: Weak<A>,
    /// The task that has the seat.
    task: Option<AbortHandle>,
}

/// A caller that waits for an execution. Its seat is kept until then.
pub(crate) struct Waiter<A, P> {
    registry: Arc<Registry<A, P>>,
    execution: ExecutionId,
    seated: Arc<SeatEntry<A, P>>,
}

/// What a caller finds.
pub(crate) enum Seating<A, P> {
    /// A task that is to drive the execution has taken its seat, and `replaces` held the seat before.
    Seat { seated: Arc<SeatEntry<A, P>>, task: TaskId, replaces: Option<Arc<SeatEntry<A, P>>> },
    /// A task drives it already.
    Driven(Arc<SeatEntry<A, P>>),
    /// The call is refused. The execution is parked, or a task drives it.
    Refused { is_parked: bool },
}

impl<A, P> Default for Registry<A, P> {
    fn default() -> Self {
        Registry { seats: Mutex::default() }
    }
}

impl<A, P> Registry<A, P> {
    // ---- who drives an execution ----

    /// Seats a task that drives an execution, unless one does. `admits` may refuse the present state; `learns` makes what
    /// callers learn.
    pub(crate) fn call<E>(
        &self,
        execution: &ExecutionId,
        call: SeatCall,
        admits: impl FnOnce(&P) -> Result<(), E>,
        learns: impl FnOnce() -> P,
    ) -> Result<Seating<A, P>, E> {
        let mut seats = lock(&self.seats);
        let known = seats.get(execution).cloned();
        let Some(seated) = known else {
            let (seat, task) = Seat::called();
            let seated = SeatEntry::new(seat, learns());
            seats.insert(execution.clone(), seated.clone());
            return Ok(Seating::Seat { seated, task, replaces: None });
        };
        let mut held = lock(&seated.held);
        let is_parked = !held.seat.is_driven();
        if call != SeatCall::Resume {
            admits(&seated.progress)?;
        }
        Ok(match held.seat.call(call) {
            CallEffect::Refuse => Seating::Refused { is_parked },
            CallEffect::Join => {
                drop(held);
                Seating::Driven(seated)
            }
            CallEffect::Drive(task) => {
                seated.parks.send_replace(false);
                drop(held);
                Seating::Seat { seated, task, replaces: None }
            }
            CallEffect::Replace => {
                drop(held);
                let (seat, task) = Seat::called();
                let next = SeatEntry::new(seat, learns());
                seats.insert(execution.clone(), next.clone());
                Seating::Seat { seated: next, task, replaces: Some(seated) }
            }
        })
    }

    /// Seats a task that checks whether an execution resumes. None if a task drives the execution: that task then receives the
    /// wake-up if it drives nothing.
    pub(crate) fn wake(
        &self,
        execution: &ExecutionId,
        (generation, cause): (JournalId, Cause),
        learns: impl FnOnce() -> P,
    ) -> Option<(Arc<SeatEntry<A, P>>, TaskId)> {
        let mut seats = lock(&self.seats);
        match seats.entry(execution.clone()) {
            Entry::Vacant(vacant) => {
                let (seat, task) = Seat::woken(generation, cause);
                let seated = SeatEntry::new(seat, learns());
                vacant.insert(seated.clone());
                Some((seated, task))
            }
            Entry::Occupied(occupied) => {
                let seated = occupied.get().clone();
                let task = lock(&seated.held).seat.wake(generation, cause)?;
                seated.parks.send_replace(false);
                Some((seated, task))
            }
        }
    }

    /// The flow of a task is parked, and that is durable. `parks` is called before the execution can be woken. None if the task
    /// no longer holds the seat.
    pub(crate) fn park(
        &self,
        execution: &ExecutionId,
        (seated, task): (&Arc<SeatEntry<A, P>>, TaskId),
        parks: impl FnOnce(),
    ) -> Option<ParkEffect> {
        let mut seats = lock(&self.seats);
        let mut held = lock(&seated.held);
        parks();
        let parked = held.seat.park(task)?;
        self.vacate(&mut seats, execution, seated, held);
        Some(parked)
    }

    /// A task has ended. Returns the wake-ups that remain.
    pub(crate) fn end(
        &self,
        execution: &ExecutionId,
        (seated, task): (&Arc<SeatEntry<A, P>>, TaskId),
        failed: bool,
    ) -> Wakes {
        let mut seats = lock(&self.seats);
        let mut held = lock(&seated.held);
        if !held.seat.is_of(task) {
            return Wakes::new();
        }
        let wakes = held.seat.end(task, failed);
        drop(held);
        remove(&mut seats, execution, seated);
        wakes
    }

    /// A task is dropped before its end. The execution resumes on another runtime if `resumes` allows it for the generation.
    pub(crate) fn lose(
        &self,
        execution: &ExecutionId,
        (seated, task): (&Arc<SeatEntry<A, P>>, TaskId),
        resumes: impl FnOnce(JournalId) -> bool,
    ) -> LossEffect {
        let mut seats = lock(&self.seats);
        let mut held = lock(&seated.held);
        let generation = held.seat.generation().filter(|_| held.seat.is_of(task));
        let resumes = generation.is_some_and(resumes);
        let lost = held.seat.lose(task, resumes);
        match &lost {
            LossEffect::Nothing => {}
            LossEffect::Resume { .. } => {
                held.attempt = Weak::new();
                self.vacate(&mut seats, execution, seated, held);
            }
            LossEffect::Over(_) => {
                drop(held);
                remove(&mut seats, execution, seated);
            }
        }
        lost
    }

    /// A seat is parked. It stays only if there is a reason to keep it.
    fn vacate(
        &self,
        seats: &mut HashMap<ExecutionId, Arc<SeatEntry<A, P>>>,
        execution: &ExecutionId,
        seated: &Arc<SeatEntry<A, P>>,
        mut held: MutexGuard<'_, SeatState<A>>,
    ) {
        held.task = None;
        let is_idle = held.seat.is_idle();
        drop(held);
        if is_idle {
            remove(seats, execution, seated);
        } else {
            seated.parks.send_replace(true);
        }
    }

    // ---- what reaches it ----

    /// Delivers durable mail to a generation. True if the execution must be woken for it.
    pub(crate) fn send(
        &self,
        execution: &ExecutionId,
        (generation, mail): (JournalId, Message),
        learns: impl FnOnce() -> P,
    ) -> bool
    where
        A: Steered,
    {
        let mut seats = lock(&self.seats);
        let seated = seats.entry(execution.clone()).or_insert_with(|| SeatEntry::new(Seat::parked(), learns())).clone();
        let held = lock(&seated.held);
        drop(seats);
        post(held, generation, mail)
    }

    /// As [`send`](Self::send), if a task drives the execution. False if none does.
    pub(crate) fn send_if_driven(&self, execution: &ExecutionId, generation: JournalId, mail: Message) -> bool
    where
        A: Steered,
    {
        let seats = lock(&self.seats);
        let Some(seated) = seats.get(execution).cloned() else { return false };
        let held = lock(&seated.held);
        drop(seats);
        if !held.seat.is_driven() {
            return false;
        }
        post(held, generation, mail);
        true
    }

    /// A wake-up for mail is over.
    pub(crate) fn rest(&self, execution: &ExecutionId) {
        let mut seats = lock(&self.seats);
        let Some(seated) = seats.get(execution).cloned() else { return };
        let mut held = lock(&seated.held);
        let left = held.seat.rest();
        let is_idle = held.seat.is_idle();
        drop(held);
        if is_idle {
            remove(&mut seats, execution, &seated);
        }
        // Outside the locks: this wakes the senders.
        drop(seats);
        drop(left);
    }

    // ---- who waits for it ----

    /// Waits for what a call found.
    pub(crate) fn joins(self: &Arc<Self>, execution: &ExecutionId, seated: &Arc<SeatEntry<A, P>>) -> Waiter<A, P> {
        lock(&seated.held).seat.join();
        Waiter { registry: self.clone(), execution: execution.clone(), seated: seated.clone() }
    }

    /// Waits for an execution, if a task drives it or a caller waits for it.
    pub(crate) fn join(self: &Arc<Self>, execution: &ExecutionId) -> Option<Waiter<A, P>> {
        let seats = lock(&self.seats);
        seats.get(execution).map(|seated| self.joins(execution, seated))
    }

    /// Waits for an execution that was found parked.
    pub(crate) fn join_parked(self: &Arc<Self>, execution: &ExecutionId, learns: impl FnOnce() -> P) -> Waiter<A, P> {
        let mut seats = lock(&self.seats);
        let seated = seats.entry(execution.clone()).or_insert_with(|| SeatEntry::new(Seat::parked(), learns()));
        self.joins(execution, seated)
    }

    /// An execution may be parked, and its last caller has stopped waiting.
    fn forget(&self, execution: &ExecutionId, seated: &Arc<SeatEntry<A, P>>) {
        let mut seats = lock(&self.seats);
        if lock(&seated.held).seat.is_idle() {
            remove(&mut seats, execution, seated);
        }
    }

    // ---- what is there ----

    /// Whether a task drives the execution, or a caller waits for it.
    pub(crate) fn has(&self, execution: &ExecutionId) -> bool {
        lock(&self.seats).contains_key(execution)
    }

    /// The execution, if a task drives it.
    pub(crate) fn driven(&self, execution: &ExecutionId) -> Option<Arc<SeatEntry<A, P>>> {
        lock(&self.seats).get(execution).filter(|seated| seated.is_driven()).cloned()
    }

    /// All executions that are driven or awaited.
    pub(crate) fn all(&self) -> Vec<(ExecutionId, Arc<SeatEntry<A, P>>)> {
        lock(&self.seats).iter().map(|(execution, seated)| (execution.clone(), seated.clone())).collect()
    }
}

/// Delivers mail. True if the execution must be woken for it.
fn post<A: Steered>(mut held: MutexGuard<'_, SeatState<A>>, generation: JournalId, mail: Message) -> bool {
    match held.seat.send(generation, mail) {
        SendEffect::Keep => false,
        SendEffect::Wake => true,
        SendEffect::Deliver(mail) => {
            let left = match held.attempt.upgrade() {
                Some(attempt) => attempt.post(mail).err(),
                None => Some(mail),
            };
            left.into_iter().for_each(|mail| held.seat.give_back(generation, mail));
            false
        }
    }
}

/// Removes a seat, unless another one has its place.
fn remove<A, P>(
    seats: &mut HashMap<ExecutionId, Arc<SeatEntry<A, P>>>,
    execution: &ExecutionId,
    seated: &Arc<SeatEntry<A, P>>,
) {
    if seats.get(execution).is_some_and(|known| Arc::ptr_eq(known, seated)) {
        seats.remove(execution);
    }
}

impl<A, P> SeatEntry<A, P> {
    fn new(seat: Seat<Message>, progress: P) -> Arc<Self> {
        let parks = watch::Sender::new(!seat.is_driven());
        let held = SeatState { seat, attempt: Weak::new(), task: None };
        Arc::new(SeatEntry { held: Mutex::new(held), parks, progress })
    }

    /// Sets the handle of this task. The task can be [interrupted](Self::interrupt) while it holds the seat.
    pub(crate) fn driven_by(&self, task: TaskId, handle: AbortHandle) {
        let mut held = lock(&self.held);
        if held.seat.is_of(task) {
            held.task = Some(handle);
        }
    }

    /// A task has read what is recorded. False if another task now holds the seat.
    pub(crate) fn confirm(&self, task: TaskId) -> bool {
        lock(&self.held).seat.confirm(task)
    }

    /// A task drives this generation.
    pub(crate) fn plan(&self, task: TaskId, generation: JournalId) {
        lock(&self.held).seat.plan(task, generation);
    }

    /// An attempt begins, and receives the mail so far.
    pub(crate) fn begin(&self, task: TaskId, attempt: &Arc<A>)
    where
        A: Steered,
    {
        let generation = attempt.journal();
        let (cancelled, draining) = {
            let mut held = lock(&self.held);
            let Some(begun) = held.seat.begin(task, generation) else { return };
            held.attempt = Arc::downgrade(attempt);
            for mail in begun.messages {
                // Under the lock, so that later mail does not overtake it.
                if let Err(mail) = attempt.post(mail) {
                    held.seat.give_back(generation, mail);
                }
            }
            (begun.cancelled, begun.draining)
        };
        if cancelled {
            attempt.cancel();
        }
        if draining {
            attempt.drain();
        }
    }

    /// Ends the execution as cancelled, by the running attempt or the next one. False if no task holds the seat: then the
    /// caller must launch one.
    pub(crate) fn cancel(&self) -> bool
    where
        A: Steered,
    {
        let attempt = {
            let mut held = lock(&self.held);
            match held.seat.cancel() {
                CancelEffect::Call => return false,
                CancelEffect::Keep => return true,
                CancelEffect::Unwind => held.attempt.upgrade(),
            }
        };
        // Outside the lock: the flow may be parked in the meantime, and then finds that it was cancelled.
        if let Some(attempt) = attempt {
            attempt.cancel();
        }
        true
    }

    /// Starts nothing more, in this attempt or the next.
    pub(crate) fn drain(&self)
    where
        A: Steered,
    {
        let attempt = {
            let mut held = lock(&self.held);
            held.seat.drain();
            held.attempt.upgrade()
        };
        if let Some(attempt) = attempt {
            attempt.drain();
        }
    }

    /// Drops the flow immediately. Its records stay.
    pub(crate) fn interrupt(&self) {
        if let Some(task) = lock(&self.held).task.take() {
            task.abort();
        }
    }

    /// The running attempt.
    pub(crate) fn attempt(&self) -> Option<Arc<A>> {
        lock(&self.held).attempt.upgrade()
    }

    /// The generation that the task drives, once known.
    pub(crate) fn generation(&self) -> Option<JournalId> {
        lock(&self.held).seat.generation()
    }

    pub(crate) fn is_driven(&self) -> bool {
        lock(&self.held).seat.is_driven()
    }

    /// Reports when the flow is parked, and when a task drives it again.
    pub(crate) fn parks(&self) -> watch::Receiver<bool> {
        self.parks.subscribe()
    }
}

impl<A, P> Deref for SeatEntry<A, P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.progress
    }
}

impl<A, P> Deref for Waiter<A, P> {
    type Target = SeatEntry<A, P>;

    fn deref(&self) -> &SeatEntry<A, P> {
        &self.seated
    }
}

impl<A, P> Drop for Waiter<A, P> {
    fn drop(&mut self) {
        let is_idle = {
            let mut held = lock(&self.seated.held);
            held.seat.part();
            held.seat.is_idle()
        };
        if is_idle {
            self.registry.forget(&self.execution, &self.seated);
        }
    }
}
