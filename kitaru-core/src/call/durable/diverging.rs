//! A call that contradicts a record. Owns the error and its effect.

use super::Durable;
use crate::call::body::Body;
use crate::call::meta::{Effect, Spec};
use crate::call::refusals::differences;
use crate::context::ForkOrigin;
use crate::director::{Divergence, Observation};
use crate::error::{Kind, cannot};
use crate::journal::{Arg, shown_checkpoint};
use crate::log;
use crate::machine::{Exit, RecordIx};
use crate::program::OnDivergence;
use crate::shown::short;

impl<B: Body> Durable<B> {
    pub(super) fn divergent(&self, spec: &Spec) -> Option<RecordIx> {
        if self.context.attempt.fork.as_ref().is_some_and(ForkOrigin::is_by_key) {
            return None;
        }
        self.context.replay().divergent(spec.name(), &self.claim)
    }

    /// The call contradicts a record: a warning, or the end of the attempt.
    pub(super) fn diverge(&self, spec: &Spec, at: RecordIx) -> Option<Exit> {
        let recorded = self.context.journal.call(at)?;
        let before = Arg::read_all(recorded.args).unwrap_or_default();
        let now = Arg::read_all(&self.args).unwrap_or_default();
        let differing: Vec<String> = differences(&before, &now);
        if differing.is_empty() {
            // Another version of the checkpoint is meant to run again.
            return None;
        }
        self.observe(|| {
            let (location, record) = (spec.location(), recorded.name());
            Observation::Diverged(Divergence { location, record, differing: &differing })
        });
        let default = match spec.meta().effect {
            Effect::AtMostOnce => OnDivergence::Fail,
            Effect::AtLeastOnce | Effect::Wait | Effect::Child => {
                let default =
                    if self.context.runtime.direction.is_some() { OnDivergence::Fail } else { OnDivergence::Rerun };
                self.context.attempt.on_divergence.unwrap_or(default)
            }
        };
        let rule = spec.meta().on_divergence.unwrap_or(default);
        let recorded = recorded.name();
        let (checkpoint, record) = (short(shown_checkpoint(spec.name())), short(&recorded));
        let (execution, differing) = (&self.context.attempt.execution, differing.join(", "));
        let error = match rule {
            OnDivergence::Rerun => cannot!(
                Kind::Diverged,
                "replay checkpoint `{checkpoint}` of execution {execution}",
                "it diverged from `{record}`: {differing}",
                "it runs again"
            ),
            // A new run of it could repeat what must not happen twice.
            OnDivergence::Fail if spec.meta().effect == Effect::AtMostOnce => cannot!(
                Kind::Diverged,
                "run checkpoint `{checkpoint}` of execution {execution}",
                "it diverged from `{record}`: {differing}",
                "keep the call of old executions with kitaru::patched(…)"
            ),
            OnDivergence::Fail => cannot!(
                Kind::Diverged,
                "run checkpoint `{checkpoint}` of execution {execution}",
                "it diverged from `{record}`: {differing}",
                "set on_divergence = \"rerun\", or use .fresh()"
            ),
        };
        match rule {
            OnDivergence::Rerun => {
                log::diverged(&error);
                None
            }
            OnDivergence::Fail => Some(Exit::Fail(error)),
        }
    }
}
