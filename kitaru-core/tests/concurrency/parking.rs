//! A flow that goes out of memory while it is being cancelled or sent something. What the client does around `Steering` is
//! played here, in the same steps: reserving an execution, driving it, parking it.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::context::{Mail, Mailbox};
use crate::engine::{Missed, Steered, Steering};
use crate::id::JournalId;
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
        JournalId(1)
    }

    fn post(&self, mail: Mail) -> Result<(), Mail> {
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

/// An execution that waits for so many events, the store that it is in, and the client that drives it.
struct World {
    steering: Steering<Attempt>,
    /// Whose turn it is to reserve or give up the execution.
    map: Mutex<()>,
    /// How many events the store has.
    stored: Mutex<u64>,
    wants: u64,
    driven: AtomicUsize,
    ended: Mutex<Option<Ended>>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl World {
    fn new(wants: u64) -> Arc<Self> {
        Arc::new(World {
            steering: Steering::new(),
            map: Mutex::new(()),
            stored: Mutex::new(0),
            wants,
            driven: AtomicUsize::new(0),
            ended: Mutex::new(None),
            threads: Mutex::new(Vec::new()),
        })
    }

    fn ended(&self) -> Option<Ended> {
        *lock(&self.ended)
    }

    fn spawn(self: &Arc<Self>, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let world = self.clone();
        let thread = thread::spawn(move || work(&world));
        lock(&self.threads).push(thread);
    }

    /// As `Inner::launch`: begins an attempt if the flow is out of memory.
    fn launch(self: &Arc<Self>) {
        let _turn = lock(&self.map);
        if self.ended().is_none() && self.steering.is_parked() {
            self.steering.set_parked(false);
            self.spawn(|world| world.drive());
        }
    }

    /// One attempt, as `Place::run` and the driver.
    fn drive(self: &Arc<Self>) {
        assert_eq!(self.driven.fetch_add(1, Ordering::SeqCst), 0, "it is driven twice at a time");
        let event = |number| Mail::Event { number, name: "paid".into(), json: String::new() };
        let stored = *lock(&self.stored);
        let mailbox = Mailbox::new((1..=stored).map(event).collect(), &HashSet::new());
        let attempt = Arc::new(Attempt { mailbox, cancelled: AtomicBool::new(false) });
        self.steering.driven_by(&attempt);
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut taken = 0;
        let ended = loop {
            if attempt.cancelled.load(Ordering::SeqCst) {
                break Some(Ended::Cancelled);
            }
            if attempt.mailbox.take_event("paid", &waker).is_some() {
                taken += 1;
                if taken == self.wants {
                    break Some(Ended::Completed);
                }
                continue;
            }
            // An event that came meanwhile has woken the flow.
            if attempt.mailbox.close_unless(|| woken.0.swap(false, Ordering::SeqCst)) {
                break None;
            }
        };
        drop(attempt);
        self.driven.fetch_sub(1, Ordering::SeqCst);
        {
            let _turn = lock(&self.map);
            match ended {
                Some(_) => *lock(&self.ended) = ended,
                None => self.steering.set_parked(true),
            }
        }
        if ended.is_none() {
            match self.steering.missed() {
                Missed::Cancel => self.spawn(|world| world.cancel()),
                Missed::Mail => self.launch(),
                Missed::Nothing => {}
            }
        }
    }

    /// As `Inner::cancel`.
    fn cancel(self: &Arc<Self>) {
        loop {
            self.launch();
            if self.steering.cancel() || self.ended().is_some() {
                return;
            }
        }
    }

    /// As `Kitaru::send`.
    fn send(self: &Arc<Self>) {
        let number = {
            let mut stored = lock(&self.stored);
            *stored += 1;
            *stored
        };
        let mail = Mail::Event { number, name: "paid".into(), json: String::new() };
        if self.steering.post(JournalId(1), mail).is_err() {
            self.launch();
        }
    }

    /// Waits until nobody does anything any more.
    fn rest(&self) {
        loop {
            let Some(thread) = lock(&self.threads).pop() else { return };
            thread.join().expect("it goes well");
        }
    }
}

#[test]
fn an_event_that_meets_a_flow_on_its_way_out_of_memory_wakes_it() {
    for events in 1..=2 {
        try_orders(move || {
            let world = World::new(events);
            world.spawn(|world| world.drive());
            // One at a time, as those who send to one execution do.
            (0..events).for_each(|_| world.send());
            world.rest();
            assert_eq!(world.ended(), Some(Ended::Completed), "{events} events were sent, and it waits");
        });
    }
}

#[test]
fn a_cancellation_that_meets_a_flow_on_its_way_out_of_memory_ends_it() {
    try_orders(|| {
        let world = World::new(u64::MAX);
        world.spawn(|world| world.drive());
        world.cancel();
        world.rest();
        assert_eq!(world.ended(), Some(Ended::Cancelled));
    });
}

#[test]
fn a_cancellation_and_an_event_at_once_end_it_one_way_or_the_other() {
    try_orders(|| {
        let world = World::new(1);
        world.spawn(|world| world.drive());
        world.spawn(|world| world.send());
        world.cancel();
        world.rest();
        assert!(world.ended().is_some());
    });
    try_orders(|| {
        let world = World::new(2);
        world.spawn(|world| world.drive());
        world.spawn(|world| world.send());
        world.cancel();
        world.rest();
        assert_eq!(world.ended(), Some(Ended::Cancelled), "the event is not enough");
    });
}
