//! A flow that parks while it is cancelled or sent something. What the engine does around `Registry` is played here, in the same
//! steps: a task takes the seat, drives the execution and parks it.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::context::{Awaits, Mailbox, Message};
use crate::engine::{Registry, SeatEntry, Seating, Steered, Waiter};
use crate::id::{ExecutionId, JournalId};
use crate::machine::{Cause, ParkEffect, SeatCall, TaskId};
use crate::orders::try_orders;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, lock, thread};

/// One attempt.
struct Attempt {
    mailbox: Mailbox,
    cancelled: AtomicBool,
}

impl Steered for Attempt {
    fn journal(&self) -> JournalId {
        GENERATION
    }

    fn post(&self, mail: Message) -> Result<(), Message> {
        self.mailbox.post(mail)
    }

    fn cancel(self: &Arc<Self>) {
        self.cancelled.store(true, Ordering::SeqCst);
    }

    fn drain(self: &Arc<Self>) {}
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Ended {
    Completed,
    Cancelled,
}

/// Whether the flow was woken.
#[derive(Default)]
struct Woken(std::sync::atomic::AtomicBool);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

type Seat = Arc<SeatEntry<Attempt, ()>>;

const EXECUTION: ExecutionId = ExecutionId(1);
const GENERATION: JournalId = JournalId(1);

/// An execution that waits for so many signals, the store that it is in, and the engine that drives it.
struct World {
    seats: Arc<Registry<Attempt, ()>>,
    /// How many signals the store has.
    stored: Mutex<u64>,
    wants: u64,
    driven: AtomicUsize,
    ended: Mutex<Option<Ended>>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl World {
    /// The execution is driven.
    fn new(wants: u64) -> Arc<Self> {
        let world = Arc::new(World {
            seats: Arc::default(),
            stored: Mutex::new(0),
            wants,
            driven: AtomicUsize::new(0),
            ended: Mutex::new(None),
            threads: Mutex::new(Vec::new()),
        });
        world.call();
        world
    }

    fn ended(&self) -> Option<Ended> {
        *lock(&self.ended)
    }

    fn spawn(self: &Arc<Self>, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let world = self.clone();
        let thread = thread::spawn(move || work(&world));
        lock(&self.threads).push(thread);
    }

    /// As `Engine::launch`.
    fn call(self: &Arc<Self>) -> Waiter<Attempt, ()> {
        let found = self.seats.call::<()>(&EXECUTION, SeatCall::Join, |()| Ok(()), || ());
        let seated = match found.expect("nothing is refused") {
            Seating::Driven(seated) => seated,
            Seating::Seat { seated, task, .. } => {
                let mine = seated.clone();
                self.spawn(move |world| world.drive(&mine, task));
                seated
            }
            Seating::Refused { .. } => unreachable!("who joins is not refused"),
        };
        self.seats.joins(&EXECUTION, &seated)
    }

    /// As `Engine::wake`.
    fn wake(self: &Arc<Self>) {
        if self.ended().is_none()
            && let Some((seated, task)) = self.seats.wake(&EXECUTION, (GENERATION, Cause::Mail), || ())
        {
            self.spawn(move |world| world.drive(&seated, task));
        }
        self.seats.rest(&EXECUTION);
    }

    /// One task, as `Task::run` and the driver.
    fn drive(self: &Arc<Self>, seated: &Seat, task: TaskId) {
        if !seated.confirm(task) {
            // It only looked, and a caller has taken its seat.
            return;
        }
        assert_eq!(self.driven.fetch_add(1, Ordering::SeqCst), 0, "it is driven twice at a time");
        let ended = self.ended().or_else(|| self.attempt(seated, task));
        self.driven.fetch_sub(1, Ordering::SeqCst);
        if ended.is_some() {
            *lock(&self.ended) = ended;
            self.seats.end(&EXECUTION, (seated, task), false);
            return;
        }
        match self.seats.park(&EXECUTION, (seated, task), || ()).expect("it has the seat") {
            ParkEffect::Cancel => self.spawn(|world| world.cancel()),
            ParkEffect::Wake => self.wake(),
            ParkEffect::Rest => {}
        }
    }

    fn attempt(&self, seated: &Seat, task: TaskId) -> Option<Ended> {
        let signal = |number| Message::Signal { number, name: "paid".into(), json: String::new() };
        let stored = *lock(&self.stored);
        let mailbox = Mailbox::new((1..=stored).map(signal).collect(), &HashSet::new());
        let attempt = Arc::new(Attempt { mailbox, cancelled: AtomicBool::new(false) });
        seated.begin(task, &attempt);
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut taken = 0;
        loop {
            if attempt.cancelled.load(Ordering::SeqCst) {
                return Some(Ended::Cancelled);
            }
            if attempt.mailbox.take_signal("paid", &waker).is_some() {
                taken += 1;
                if taken == self.wants {
                    return Some(Ended::Completed);
                }
                continue;
            }
            // A signal that came meanwhile has woken the flow.
            if attempt.mailbox.close_unless(Awaits::Other, || woken.0.swap(false, Ordering::SeqCst)) {
                return None;
            }
        }
    }

    /// As `Engine::cancel`.
    fn cancel(self: &Arc<Self>) {
        while self.ended().is_none() {
            if self.call().cancel() {
                return;
            }
        }
    }

    /// As `Kitaru::signal`.
    fn send(self: &Arc<Self>) {
        let number = {
            let mut stored = lock(&self.stored);
            *stored += 1;
            *stored
        };
        let mail = Message::Signal { number, name: "paid".into(), json: String::new() };
        if self.seats.send(&EXECUTION, (GENERATION, mail), || ()) {
            self.wake();
        }
    }

    /// Waits until all threads are idle.
    fn rest(&self) {
        loop {
            let Some(thread) = lock(&self.threads).pop() else { break };
            thread.join().expect("it goes well");
        }
        assert!(self.ended().is_none() || !self.seats.has(&EXECUTION), "a seat is left without a task");
    }
}

#[test]
fn signal_that_meets_a_flow_that_parks_wakes_it() {
    for signals in 1..=2 {
        try_orders(move || {
            let world = World::new(signals);
            // One at a time, as those who send to one execution do.
            (0..signals).for_each(|_| world.send());
            world.rest();
            assert_eq!(world.ended(), Some(Ended::Completed), "{signals} signals were sent, and it waits");
        });
    }
}

#[test]
fn cancellation_that_meets_a_flow_that_parks_ends_it() {
    try_orders(|| {
        let world = World::new(u64::MAX);
        world.cancel();
        world.rest();
        assert_eq!(world.ended(), Some(Ended::Cancelled));
    });
}

#[test]
fn cancellation_with_a_signal_ends_it_one_way_or_the_other() {
    try_orders(|| {
        let world = World::new(1);
        world.spawn(|world| world.send());
        world.cancel();
        world.rest();
        assert!(world.ended().is_some());
    });
    try_orders(|| {
        let world = World::new(2);
        world.spawn(|world| world.send());
        world.cancel();
        world.rest();
        assert_eq!(world.ended(), Some(Ended::Cancelled), "the signal is not enough");
    });
}
