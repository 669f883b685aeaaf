//! What flows do with other executions. Must not know how a flow waits for a child.

use std::sync::Arc;

use tokio::sync::watch;

use crate::context::{Child, Coming, Executions};
use crate::engine::active::{Awaited, Ended};
use crate::engine::state::Engine;
use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::{OwnedPayload, ParentCall};
use crate::ledger::blocking;
use crate::request::Request;
use crate::value::Key;

/// An execution that a flow waits for.
struct AwaitedChild {
    engine: Arc<Engine>,
    execution: ExecutionId,
    active: Awaited,
}

impl Executions for Engine {
    fn launch(self: Arc<Self>, request: Request) -> Coming<Result<Arc<dyn Child>, Error>> {
        let launched = Engine::launch(&self, request);
        Box::pin(async move {
            let (execution, active) = launched?.settled().await?;
            let child: Arc<dyn Child> = Arc::new(AwaitedChild { engine: self, execution, active });
            Ok(child)
        })
    }

    fn cancel(self: Arc<Self>, execution: ExecutionId) -> Coming<Result<(), Error>> {
        Box::pin(async move { self.cancel_with_undo(execution, None).await })
    }

    fn cancel_child(self: Arc<Self>, execution: ExecutionId, call: Key) -> Coming<Result<(), Error>> {
        Box::pin(async move {
            if !self.has_begun(call, &execution).await? {
                return Ok(());
            }
            match Engine::cancel(&self, execution, None).await {
                // It has ended in the meantime.
                Err(error) if error.is_misuse() => Ok(()),
                cancelled => cancelled,
            }
        })
    }
}

impl Engine {
    /// Whether this call began the newest generation of an execution. Otherwise the call may only have attached to it.
    async fn has_begun(self: &Arc<Self>, call: Key, execution: &ExecutionId) -> Result<bool, Error> {
        if let Some(active) = self.registry.driven(execution) {
            // Its header is on its way.
            let _ = active.recorded().await;
        }
        let (engine, execution) = (self.clone(), execution.clone());
        blocking(move || {
            let archive = &engine.runtime.archive;
            let newest = archive.newest(&execution)?;
            let parent = newest.map(|newest| archive.parent(&newest)).transpose()?.flatten();
            Ok(parent.is_some_and(|parent| parent.call == call))
        })
        .await?
    }
}

impl Child for AwaitedChild {
    fn recorded(self: Arc<Self>) -> Coming<Result<(), Error>> {
        Box::pin(async move { self.active.recorded().await })
    }

    fn ended(self: Arc<Self>) -> Coming<Result<Arc<OwnedPayload>, Error>> {
        Box::pin(async move {
            match self.active.ended().await {
                Ended::Outcome(payload) => Ok(payload),
                Ended::Fault(error) => Err(error),
                Ended::Parked { .. } | Ended::ContinuedAsNew { .. } => {
                    unreachable!("callers do not learn that an execution is parked or has continued as new")
                }
            }
        })
    }

    fn parks(&self) -> watch::Receiver<bool> {
        self.active.parks()
    }

    fn notifies(&self, parent: JournalId) -> bool {
        self.active.notifies(parent)
    }

    fn notify_when_ended(self: Arc<Self>, parent: ParentCall) -> Coming<()> {
        Box::pin(async move { self.engine.notify_when_ended(&self.active, &self.execution, parent).await })
    }
}
