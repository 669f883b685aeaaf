//! Answers that were found before the bus is asked.
//!
//! Owns the handlers that replace models and tools, and return the answers. Must not know how an answer was found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rig_core::effect::{EffectId, EffectKind, FamilyDescriptor, HandlerDescriptor, HandlerKey, Outcome, family};
use rig_core::error::{ErrorKind, ErrorReport};
use rig_core::serve::{Dispatch, Reply, Serve};
use rig_core::tool::{PublishedContext, ToolContext, ToolResultContext};

/// The mark of these handlers.
const LAYER: &str = "kitaru";

/// The answers to effects that are about to be dispatched. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<HashMap<EffectId, Answer>>>);

/// The outcome of an effect.
pub(crate) struct Answer {
    pub(crate) outcome: Result<Outcome, ErrorReport>,
    /// What a tool has published with its result.
    pub(crate) published: Option<ToolResultContext>,
}

impl Answers {
    pub(crate) fn give(&self, id: EffectId, answer: Answer) {
        self.lock().insert(id, answer);
    }

    pub(crate) fn take(&self, id: EffectId) -> Option<Answer> {
        self.lock().remove(&id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EffectId, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handler under `key` that looks like the one that `family` describes.
    pub(crate) fn handler(&self, key: HandlerKey, family: FamilyDescriptor) -> Answering {
        Answering {
            descriptor: HandlerDescriptor { key, family, layers: vec![LAYER.to_owned()] },
            answers: self.clone(),
        }
    }
}

/// Replaces a model or a tool, and returns the answer.
pub(crate) struct Answering {
    descriptor: HandlerDescriptor,
    answers: Answers,
}

impl Answering {
    pub(crate) fn is_described_by(descriptor: &HandlerDescriptor) -> bool {
        descriptor.layers.iter().any(|layer| layer == LAYER)
    }
}

impl Serve for Answering {
    type Family = family::Dynamic;

    fn descriptor(&self) -> HandlerDescriptor {
        self.descriptor.clone()
    }

    async fn serve(&self, kind: EffectKind, dispatch: Dispatch) -> Reply {
        let Some(Answer { outcome, published }) = self.answers.take(dispatch.id()) else {
            let message = format!("a {} effect was dispatched past kitaru's hook", kind.name());
            return Reply::Outcome(Err(ErrorReport::new(ErrorKind::HandlerUnavailable, message)));
        };
        if let (Some(published), Some(slot)) = (published, dispatch.scope::<PublishedContext>()) {
            let inbound = dispatch.scope::<ToolContext>().map(|context| context.for_dispatch()).unwrap_or_default();
            slot.publish(inbound.with_result_context(published));
        }
        Reply::Outcome(outcome)
    }
}
