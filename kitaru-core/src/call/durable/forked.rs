//! A call in a fork. Owns what it has of the original; must not know which records were taken over.

use super::Durable;
use crate::call::body::Body;
use crate::call::meta::{Effect, Spec};
use crate::context::ForkOrigin;
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::journal::shown_checkpoint;
use crate::machine::{Exit, RecordIx};
use crate::shown::short;
use crate::value::{DecodeError, Sensitivity};

impl<B: Body> Durable<B> {
    /// The execution that the original began with this call.
    pub(crate) fn begun_by_original(&self) -> Option<ExecutionId> {
        let fork = self.context.attempt.fork.as_ref()?;
        fork.child(self.claim.key, self.claim.occurrence).cloned()
    }

    /// Why a value is refused that a person has set for this record, if one has.
    pub(super) fn unfit(&self, spec: &Spec, name: &str, at: RecordIx, why: &DecodeError) -> Option<Error> {
        let fork = self.context.attempt.fork.as_ref()?;
        if !fork.has_set(name, self.context.journal.seq(at)) {
            return None;
        }
        let (name, execution) = (short(name), &self.context.attempt.execution);
        Some(match spec.meta().sensitivity {
            Sensitivity::Shown => cannot!(
                Kind::Unreadable,
                "set `{name}` in the fork {execution}",
                "the value does not fit: {why}",
                "set one of its type"
            ),
            // The reason may quote it.
            Sensitivity::Hidden => cannot!(
                Kind::Unreadable,
                "set `{name}` in the fork {execution}",
                "the value does not fit, and is sensitive",
                "set one of its type"
            ),
        })
    }

    /// The end of the attempt, if this call may run only with a record of the original. A wait has no effect, and the steps of an
    /// undo are for what this execution has done.
    pub(super) fn lacks_a_record(&self, spec: &Spec) -> Option<Exit> {
        let is_strict = self.context.attempt.fork.as_ref().is_some_and(ForkOrigin::is_strict);
        if !is_strict || spec.meta().effect == Effect::Wait || self.begun_by_original().is_some() {
            return None;
        }
        if self.context.replay().is_undoing() {
            return None;
        }
        let name = self.claim.name(spec.shown());
        let (checkpoint, execution) = (short(shown_checkpoint(&name)), &self.context.attempt.execution);
        Some(Exit::Fail(cannot!(
            Kind::Diverged,
            "run checkpoint `{checkpoint}` of execution {execution}",
            "no record answers it, and the fork is strict",
            "fork it without .strict()"
        )))
    }
}
