//! A call that a director steers. Owns what the director learns of it.

use super::Durable;
use crate::call::body::Body;
use crate::call::meta::{Effect, Spec};
use crate::director::{Cue, CueStage, Observation};
use crate::journal::Arg;
use crate::machine::RecordState;

impl<B: Body> Durable<B> {
    /// The stage of a call that is about to start.
    pub(super) fn cue_stage(&self, spec: &Spec, intended: bool) -> CueStage {
        match spec.meta().effect {
            Effect::AtLeastOnce => CueStage::Body,
            Effect::AtMostOnce if intended => match self.claim.standing {
                // Its record is void, which only a person can cause.
                RecordState::Again(_) => CueStage::OnceMore,
                _ => CueStage::Once,
            },
            Effect::AtMostOnce => CueStage::Intent,
            Effect::Wait | Effect::Child => CueStage::Wait,
        }
    }

    /// Whether the director stops the call, which is about to start.
    pub(super) fn is_stopped(&self, spec: &Spec, stage: CueStage) -> bool {
        self.context.runtime.direction.stops_call(|| Cue {
            execution: &self.context.attempt.execution,
            generation: self.context.attempt.generation,
            attempt: self.context.attempt.number,
            checkpoint: spec.name(),
            name: self.claim.name(spec.shown()),
            location: spec.location(),
            place: self.claim.place,
            identity: self.identity(),
            args: Arg::read_all(&self.args).unwrap_or_default(),
            stage,
        })
    }

    /// Notifies the director, if there is one.
    pub(super) fn observe<'a>(&self, observation: impl FnOnce() -> Observation<'a>) {
        self.context.runtime.direction.observe(observation);
    }
}
