//! Closing a store. Owns what happens to running attempts; must not know how an attempt ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engine::active::{Active, Ended, interrupted};
use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::ledger::blocking;
use crate::log;
use crate::race::race;

/// How long interrupted attempts have to release their threads.
const LETTING_GO: Duration = Duration::from_millis(250);

impl Engine {
    /// Closes the store. Continues if the caller is dropped, which may itself be an interrupted attempt.
    pub(crate) async fn shut_down(self: Arc<Self>, grace: Duration) -> Result<(), Error> {
        self.closed.store(true, Ordering::SeqCst);
        self.runtime.ledger.end_waking();
        self.admissions.close();
        self.runtime.watchers.notify_all();
        // Here, before the caller runs on: no body begins once the store is being closed.
        let running = self.drain();
        let (send, receive) = oneshot::channel();
        let closing = self.clone();
        self.keeper.spawn(async move { drop(send.send(closing.close(running, grace).await)) });
        drop(self);
        receive.await.unwrap_or_else(|_| {
            Err(cannot!(Kind::Closed, "continue", "the runtime is shutting down", "open the store in another runtime"))
        })
    }

    /// Has running attempts begin nothing more, and ends those that are not driven. Gives all of them.
    fn drain(&self) -> Vec<(ExecutionId, Arc<Active>)> {
        let running = self.registry.all();
        for (execution, active) in &running {
            if active.is_driven() {
                active.drain();
            } else {
                active.end(Ended::Fault(interrupted(execution)));
                self.registry.rest(execution);
            }
        }
        running
    }

    async fn close(self: Arc<Self>, running: Vec<(ExecutionId, Arc<Active>)>, grace: Duration) -> Result<(), Error> {
        let ended = async {
            for (_, active) in &running {
                active.ended().await;
            }
        };
        let time_is_over = self.runtime.clock.sleep(grace);
        race((ended, time_is_over)).await;
        running.iter().for_each(|(_, active)| active.interrupt());
        let ended = async {
            for (_, active) in &running {
                active.ended().await;
            }
        };
        // An async flow releases its thread. A body that blocks keeps it for an unbounded time.
        if timeout(LETTING_GO, ended).await.is_err() {
            for (execution, active) in running.iter().filter(|(_, active)| !active.has_ended()) {
                log::runs_behind_close(execution);
                active.end(Ended::Fault(interrupted(execution)));
            }
        }
        let engine = self.clone();
        let close = move || {
            engine.companions.end();
            engine.runtime.ledger.close()
        };
        blocking(close).await?
    }
}
