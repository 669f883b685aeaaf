//! Resuming an execution that failed or is stuck. Must not know how an attempt is driven.

use std::sync::Arc;

use crate::engine::forget::cannot_resume;
use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::id::{Actor, ExecutionId};
use crate::journal::Status;
use crate::ledger::blocking;
use crate::machine::Ask;
use crate::program;
use crate::request::{Forget, Request};

impl Engine {
    pub(crate) async fn resume(
        self: &Arc<Self>,
        execution: ExecutionId,
        forget: Vec<Forget>,
        by: Option<Actor>,
    ) -> Result<(), Error> {
        self.check_open()?;
        let Some(meta) = program::find(&execution.flow) else {
            return Err(cannot!(
                Kind::Misuse,
                "resume execution {execution}",
                "this program has no such #[flow]",
                "run the program that has it, or use KitaruBuilder::register"
            ));
        };
        let (inner, wanted) = (self.clone(), execution.clone());
        // Before the seat is taken: callers that wait for an execution that cannot resume must not see this error.
        let found = blocking(move || inner.stands(|archive| archive.newest(&wanted))).await??;
        let stored = match found {
            Some((stored, Status::Failed | Status::Stuck | Status::Interrupted)) => stored,
            found => return Err(cannot_resume(&execution, found.map(|(_, status)| status))),
        };
        let request = Request { ask: Ask::Resume, forget, by, ..Request::resuming(meta, &stored) };
        let (_, active) = self.launch(request)?.settled().await?;
        active.recorded().await
    }
}
