//! What a generation begins with. Owns what is recorded of it; must not know when they are written.

use std::sync::Arc;

use crate::clock::millis_up;
use crate::engine::control::{begun_over, cancel};
use crate::engine::task::Task;
use crate::id::Seq;
use crate::journal::Header;
use crate::ledger::{ClaimedGeneration, FirstAttempt, ForkStart, NewGeneration, Tenure};
use crate::machine::Journal;
use crate::request::Request;

/// What a generation begins with.
pub(super) struct Head {
    pub(super) tenure: Arc<Tenure>,
    pub(super) deadline_ms: Option<u64>,
    pub(super) header: Header,
}

impl Head {
    /// `begun` are the records that the generation has from its begin.
    pub(super) fn new(task: &Task, request: &Request, generation: u32, begun: &Journal) -> Self {
        let encoded = &request.input.encoded;
        let header = Header {
            execution: task.execution.clone(),
            generation,
            created_ms: task.engine.runtime.clock.now_ms(),
            seed: task.engine.runtime.ledger.seed(&task.execution, generation),
            version: request.spec.version.to_string(),
            source: request.spec.source,
            input_digest: request.input.digest,
            input_preview: request.input.preview.clone(),
            input_codec: encoded.codec,
            input_shape: encoded.shape.as_ref().map_or(0, |shape| shape.fingerprint),
            input: encoded.bytes.clone(),
        };
        let clock = &task.engine.runtime.clock;
        let deadline_ms = request.deadline.map(|deadline| match request.start_at_ms {
            // The start waits until the clock shows that time. Until then the deadline is a shown time too.
            Some(start_ms) if start_ms > header.created_ms => start_ms.saturating_add(millis_up(deadline)),
            _ => clock.due_ms(deadline),
        });
        Head { tenure: task.engine.runtime.ledger.new_tenure(begun), deadline_ms, header }
    }

    /// The generation that begins with this head. It ends the generation that it replaces.
    pub(super) fn begins(
        self,
        task: &Task,
        request: &Request,
        first: FirstAttempt,
        (cancelled, fork): (Option<Box<(ClaimedGeneration, Seq)>>, Option<ForkStart>),
    ) -> NewGeneration {
        let runtime = &task.engine.runtime;
        // The callers of the replaced generation wait for this one.
        let waiters = if cancelled.is_some() { task.active.parents() } else { Vec::new() };
        let over = cancelled.map(|over| {
            let (claimed, next) = *over;
            cancel(runtime, claimed, next, &begun_over(&task.execution))
        });
        let shape = request.input.encoded.shape.as_ref();
        // The store has the text of what a fork takes over.
        let shape = shape.filter(|shape| !shape.text.is_empty());
        let shape = shape.and_then(|shape| runtime.ledger.shape(shape.fingerprint, Some(shape.text.clone())));
        let Head { tenure, deadline_ms, header } = self;
        let journal = tenure.journal();
        let (parent, tags) = (request.parent.clone(), request.tags.clone());
        NewGeneration { journal, header, first, deadline_ms, tags, parent, waiters, shape, over, fork }
    }
}
