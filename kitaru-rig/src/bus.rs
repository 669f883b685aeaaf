//! The bus of an agent that was taken apart. It serves the agent's effects, and the runs that wait for them poll it.
//!
//! Owns the driver and the wakers of the runs that share it. Must not know what is served, nor that records exist.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

use rig_agent::bus::BusDriver;

/// Serves the effects of every run of one agent, while one of them is polled.
pub(crate) struct Bus {
    driver: Mutex<BusDriver>,
    wakers: Arc<Wakers>,
    runs: AtomicU64,
}

impl Bus {
    pub(crate) fn new(driver: BusDriver) -> Self {
        Bus { driver: Mutex::new(driver), wakers: Arc::default(), runs: AtomicU64::new(0) }
    }

    /// The run, which serves its own effects, and those of other runs, whenever it is polled.
    ///
    /// The requests of a run are served before its poll returns, so a flow that looks quiescent is quiescent.
    pub(crate) fn drive<F: Future + Send>(&self, run: F) -> Driven<'_, F> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        Driven { bus: self, number, run: Some(Box::pin(run)) }
    }

    fn serve(&self) -> Service {
        let mut driver = match self.driver.try_lock() {
            Ok(driver) => driver,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Service::ByAnother,
        };
        let waker = Waker::from(self.wakers.clone());
        // It ends only when no run can ask any more.
        let _ = Pin::new(&mut *driver).poll(&mut Context::from_waker(&waker));
        Service::Here
    }
}

#[derive(PartialEq)]
enum Service {
    Here,
    /// Another run serves, or this one does, around a tool that runs the agent again.
    ByAnother,
}

/// A run on a [`Bus`].
pub(crate) struct Driven<'a, F> {
    bus: &'a Bus,
    number: u64,
    run: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Driven<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.bus.wakers.register(self.number, cx.waker());
        let run = self.run.as_mut().expect("a run is not polled after its end");
        let polled = run.as_mut().poll(cx);
        if polled.is_ready() {
            self.run = None;
        } else if self.bus.serve() == Service::ByAnother {
            // The present driver may not have seen the latest requests of this run. Until it has, the flow around the run must
            // not look quiescent.
            cx.waker().wake_by_ref();
        }
        polled
    }
}

impl<F> Drop for Driven<'_, F> {
    fn drop(&mut self) {
        // Its requests are withdrawn when it is dropped, and end when the driver notices.
        let was_under_way = self.run.take().is_some();
        self.bus.wakers.forget(self.number);
        if was_under_way {
            self.bus.serve();
        }
        // A run that found the driver taken by this run continues with it.
        self.bus.wakers.wake_by_ref();
    }
}

/// The wakers of all runs: the driver's work may be what any of them waits for.
#[derive(Default)]
struct Wakers(Mutex<Vec<(u64, Waker)>>);

impl Wakers {
    fn register(&self, number: u64, waker: &Waker) {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match wakers.iter_mut().find(|(known, _)| *known == number) {
            Some((_, known)) => known.clone_from(waker),
            None => wakers.push((number, waker.clone())),
        }
    }

    fn forget(&self, number: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| *known != number);
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Cloned first: a woken run may be polled immediately, and registers again.
        let wakers: Vec<Waker> = {
            let wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            wakers.iter().map(|(_, waker)| waker.clone()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
