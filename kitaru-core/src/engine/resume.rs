//! Resuming an execution that failed or is stuck. Must not know how an attempt is driven.

use std::sync::Arc;

use crate::engine::active::Awaited;
use crate::engine::forget::cannot_resume;
use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::id::{Actor, ExecutionId};
use crate::journal::Status;
use crate::ledger::blocking;
use crate::machine::Ask;
use crate::program;
use crate::race::race;
use crate::request::{Forget, Request};

impl Engine {
    pub(crate) async fn resume(
        self: &Arc<Self>,
        execution: ExecutionId,
        forget: Vec<Forget>,
        by: Option<Actor>,
    ) -> Result<(), Error> {
        self.resumed(execution, forget, by).await.map(drop)
    }

    /// As [`resume`](Self::resume), once fewer executions are driven than may resume without a caller. The execution counts as
    /// one of them until it is parked or ends.
    pub(super) async fn resume_in_turn(
        self: &Arc<Self>,
        execution: ExecutionId,
        by: Option<Actor>,
    ) -> Result<(), Error> {
        // The semaphore is never closed.
        let permit = self.driving.clone().acquire_owned().await;
        let active = self.resumed(execution, Vec::new(), by).await?;
        self.keeper.spawn(async move {
            let mut parks = active.parks();
            let parked = async { drop(parks.wait_for(|is_parked| *is_parked).await) };
            race((parked, async { drop(active.ended().await) })).await;
            drop(permit);
        });
        Ok(())
    }

    /// Resumes an execution, and waits until that is durable.
    async fn resumed(
        self: &Arc<Self>,
        execution: ExecutionId,
        forget: Vec<Forget>,
        by: Option<Actor>,
    ) -> Result<Awaited, Error> {
        self.check_open()?;
        let meta = program::find(&execution.flow).ok_or_else(|| no_flow(&execution))?;
        let (inner, wanted) = (self.clone(), execution.clone());
        // Before the seat is taken: callers that wait for an execution that cannot resume must not see this error.
        let found = blocking(move || inner.stands(|archive| archive.newest(&wanted))).await??;
        let stored = match found {
            Some((stored, Status::Failed | Status::Stuck | Status::Interrupted)) => stored,
            found => return Err(cannot_resume(&execution, found.map(|(_, status)| status))),
        };
        let request = Request { ask: Ask::Resume, forget, by, ..Request::resuming(meta, &stored) };
        let (_, active) = self.launch(request)?.settled().await?;
        active.recorded().await?;
        Ok(active)
    }
}

/// The program cannot resume the execution.
pub(super) fn no_flow(execution: &ExecutionId) -> Error {
    cannot!(
        Kind::Misuse,
        "resume execution {execution}",
        "this program has no such #[flow]",
        "run the program that has it, or use KitaruBuilder::register"
    )
}
