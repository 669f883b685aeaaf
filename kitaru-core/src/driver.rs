//! The future that drives one attempt: it polls the flow and its branches, and releases outcomes to them one at a time.
//! Owns quiescence, the model's section 4; must not know the calls, nor what happens to the result.

use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use tokio::task::{coop, yield_now};

use crate::context::{Advance, Ambient, Branch, Context, FlowWaker, UndoStep};
use crate::error::{Error, drop_payload};
use crate::journal::Packed;
use crate::journal::{Class, Status};
use crate::machine::Exit;
use crate::program::FlowFuture;

/// How often the flow's code may wake itself before other tasks of the runtime have their turn.
const POLLS_PER_TURN: u32 = 1_024;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Driven<T> {
    /// The flow returned.
    Returned(T),
    /// The flow or a branch of it panicked.
    Panicked(Error),
    /// It was dropped before it returned.
    Left(Exit),
    /// It ended early, and its work was undone, or could not be.
    Undone(Result<(), Error>),
}

/// What is polled as the flow's own code.
enum Code {
    Flow(FlowFuture),
    /// The undo steps.
    Undo(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>),
    Over,
}

pub(crate) struct Driver {
    context: Arc<Context>,
    code: Code,
    branches: Vec<Branch>,
    flow_waker: Arc<FlowWaker>,
    waker: Waker,
    barrier: Barrier,
    /// Reused from one release to the next.
    wake: Vec<Waker>,
}

impl Driver {
    pub(crate) fn new(context: Arc<Context>, flow: FlowFuture) -> Self {
        let flow_waker = context.flow_waker();
        let waker = Waker::from(flow_waker.clone());
        Driver {
            context,
            code: Code::Flow(flow),
            branches: Vec::new(),
            flow_waker,
            waker,
            barrier: Barrier::Passed,
            wake: Vec::new(),
        }
    }

    /// Polls the flow and the branches that were woken, with the flow as the ambient.
    fn poll_flow(&mut self) -> Option<Driven<Packed>> {
        let _entered = Ambient::Flow(self.context.clone()).enter();
        let cx = &mut TaskContext::from_waker(&self.waker);
        let polled = catch_unwind(AssertUnwindSafe(|| match &mut self.code {
            Code::Flow(flow) => flow.as_mut().poll(cx).map(Driven::Returned),
            Code::Undo(steps) => steps.as_mut().poll(cx).map(Driven::Undone),
            Code::Over => Poll::Pending,
        }));
        match polled {
            Ok(Poll::Ready(driven)) => return Some(driven),
            Ok(Poll::Pending) => {}
            Err(panic) => {
                let what = format!("execution {}", self.context.attempt.execution);
                return Some(Driven::Panicked(Error::panicked(&what, panic)));
            }
        }
        let mut nth = 0;
        loop {
            self.branches.extend(self.context.take_branches());
            let Some(branch) = self.branches.get_mut(nth) else { break };
            if let Err(error) = branch.poll() {
                return Some(Driven::Panicked(error));
            }
            nth += 1;
        }
        self.branches.retain(|branch| !branch.is_done());
        None
    }

    /// Whether only the driver, and the calls that it knows of, hold a waker of the flow: then no wake of the flow's
    /// own code can be under way.
    fn is_plainly_quiescent(&self) -> bool {
        // This `Arc`, the one in `waker`, and a clone in each call that waits.
        let known = self.context.replay().count_wakers(&self.waker).map(|calls| calls + 2);
        self.branches.is_empty() && known == Some(Arc::strong_count(&self.flow_waker)) && coop::has_budget_remaining()
    }

    /// Drops the flow and its branches, in its ambient: what they drop may be calls.
    fn drop_flow(&mut self) {
        let _entered = Ambient::Flow(self.context.clone()).enter();
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            self.code = Code::Over;
            self.branches.clear();
            drop(self.context.take_branches());
        }));
        // The end of the attempt is already decided.
        dropped.unwrap_or_else(drop_payload);
    }

    /// Also drops the undo steps: they may hold calls of this context.
    fn drop_all(&mut self) {
        self.drop_flow();
        let _entered = Ambient::Flow(self.context.clone()).enter();
        catch_unwind(AssertUnwindSafe(|| drop(self.context.take_undo()))).unwrap_or_else(drop_payload);
    }

    /// How the attempt ends, unless the flow ends here and its work must be undone first.
    fn ends(&mut self, driven: Driven<Packed>) -> Option<Driven<Packed>> {
        let (is_undoing, is_unwinding) = {
            let replay = self.context.replay();
            (replay.is_undoing(), replay.is_unwinding())
        };
        let failure = match &driven {
            Driven::Returned(packed) if packed.class == Class::Value => None,
            Driven::Returned(packed) => Some(packed.payload().kitaru_error()),
            Driven::Panicked(error) | Driven::Left(Exit::Fail(error)) => Some(Some(error.clone())),
            Driven::Left(Exit::ContinueAsNew) => None,
            Driven::Left(_) | Driven::Undone(_) => return Some(driven),
        };
        if is_undoing {
            // The steps give no value, so this is an error of Kitaru's.
            return Some(Driven::Undone(Err(failure.flatten()?)));
        }
        if is_unwinding {
            // It ends here, with any result.
            self.stop();
            return None;
        }
        // Wrong code must be fixed, and the execution resumes then.
        let is_wrong = |error: &Error| error.is_misuse() || error.is_divergence();
        match failure {
            Some(error) if !error.as_ref().is_some_and(is_wrong) && self.context.has_undo() => {
                self.stop();
                let packed = match driven {
                    Driven::Returned(packed) => packed,
                    _ => Packed::error(&error?),
                };
                let shape = self.context.runtime.ledger.shape(packed.fingerprint, packed.text.clone());
                let changes = shape.into_iter().collect();
                self.context.unwind(Status::Failed, &packed.payload(), &packed.preview, || changes);
                None
            }
            _ => Some(driven),
        }
    }

    /// The flow has ended, but the attempt has not.
    fn stop(&mut self) {
        self.abandon();
        self.context.stay();
    }

    /// Drops the flow because it ends here.
    fn abandon(&mut self) {
        let context = self.context.clone();
        context.abandon(|| self.drop_flow());
    }

    /// The flow ends here: it is dropped, and its work is undone.
    fn undo(&mut self) {
        self.abandon();
        self.code = Code::Undo(Box::pin(undo(self.context.take_undo())));
        self.context.wake_flow();
    }

    fn step(&mut self, cx: &mut TaskContext<'_>) -> DriverStep {
        let mut polls = 0;
        loop {
            if let Some(exit) = self.context.exit() {
                match self.ends(Driven::Left(exit)) {
                    Some(driven) => return DriverStep::Done(driven),
                    None => continue,
                }
            }
            if self.context.take_woken() {
                if polls == POLLS_PER_TURN {
                    self.context.wake_flow();
                    cx.waker().wake_by_ref();
                    return DriverStep::Resumes;
                }
                polls += 1;
                self.barrier = Barrier::Ahead;
                if let Some(driven) = self.poll_flow().and_then(|driven| self.ends(driven)) {
                    return DriverStep::Done(driven);
                }
                continue;
            }
            if !self.is_behind_barrier(cx) {
                return DriverStep::Resumes;
            }
            // Quiescent.
            let mut wake = mem::take(&mut self.wake);
            let advance = self.context.advance(&mut wake);
            self.wake = wake;
            match advance {
                Advance::Rests if !self.context.is_woken() => return DriverStep::Idle,
                Advance::Continues | Advance::Rests => {}
                Advance::Unwinds => self.undo(),
            }
        }
    }

    /// Whether every wake that the flow's last poll deferred has arrived.
    ///
    /// tokio's budget and `yield_now` defer a wake until after the poll, on a list of the worker, so that a flow that
    /// is about to continue looks quiescent. A yield of the driver is put on that list behind theirs: when it arrives
    /// on the same worker, the whole list has been processed. (The list is processed from its end, so the driver's
    /// yield comes first. But the worker polls no task before it has finished the list, and if another worker stole
    /// this task, the driver yields once more.)
    fn is_behind_barrier(&mut self, cx: &mut TaskContext<'_>) -> bool {
        loop {
            match &self.barrier {
                Barrier::Passed => return true,
                Barrier::Ahead if self.is_plainly_quiescent() => self.barrier = Barrier::Passed,
                Barrier::Ahead => {
                    let passing = Arc::new(Passing { arrived: AtomicBool::new(false), driver: cx.waker().clone() });
                    let waker = Waker::from(passing.clone());
                    let _ = pin!(yield_now()).poll(&mut TaskContext::from_waker(&waker));
                    self.barrier = Barrier::Passing { passing, worker: thread::current().id() };
                    return false;
                }
                Barrier::Passing { passing, .. } if !passing.arrived.load(Ordering::Acquire) => return false,
                Barrier::Passing { worker, .. } if *worker == thread::current().id() => self.barrier = Barrier::Passed,
                Barrier::Passing { .. } => self.barrier = Barrier::Ahead,
            }
        }
    }
}

/// Runs the undo steps, the last one first, until one fails.
async fn undo(mut steps: Vec<UndoStep>) -> Result<(), Error> {
    while let Some(step) = steps.pop() {
        step().await?;
    }
    Ok(())
}

/// How far the driver got in one stretch.
enum DriverStep {
    Done(Driven<Packed>),
    /// It is polled again, and a wake for that is under way.
    Resumes,
    /// It waits for something outside.
    Idle,
}

/// How far deferred wakes have been observed.
enum Barrier {
    /// Some may be under way.
    Ahead,
    /// A yield of the driver is under way, behind them, on this worker.
    Passing { passing: Arc<Passing>, worker: ThreadId },
    /// None is under way.
    Passed,
}

struct Passing {
    arrived: AtomicBool,
    driver: Waker,
}

impl Wake for Passing {
    fn wake(self: Arc<Self>) {
        self.arrived.store(true, Ordering::Release);
        self.driver.wake_by_ref();
    }
}

impl Future for Driver {
    type Output = Driven<Packed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.context.attend(cx.waker());
        loop {
            match this.step(cx) {
                DriverStep::Done(driven) => {
                    this.drop_all();
                    return Poll::Ready(driven);
                }
                DriverStep::Resumes => {
                    this.context.rest();
                    return Poll::Pending;
                }
                // What arrived while it was polling has not woken it.
                DriverStep::Idle if this.context.rest() => this.context.attend(cx.waker()),
                DriverStep::Idle => return Poll::Pending,
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.drop_all();
        self.context.forget_driver();
    }
}
