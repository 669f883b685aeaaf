//! The rehearsal of a fork: its flow replays what the fork has, and nothing runs or is written. Owns the judgement of whether a fork can
//! begin; must not know how its records are chosen.

use std::sync::{Arc, Weak};

use tokio::sync::oneshot;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::context::{Attempt, Context, Executions, ForkOrigin, Ground, Notes, Parking};
use crate::driver::{Driven, Driver};
use crate::engine::attempt::flow_future;
use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::journal::{Lineage, Tally};
use crate::ledger::{Listing, Tenure, malformed};
use crate::machine::{Exit, Journal, Replay};
use crate::program::FlowMeta;
use crate::request::FlowBody;
use crate::shown::short;
use crate::value::{Encoded, Key};

/// What is rehearsed.
pub(super) struct Rehearsal {
    pub(super) meta: &'static FlowMeta,
    pub(super) fork: ExecutionId,
    pub(super) row: Lineage,
    pub(super) journal: Arc<Journal>,
    pub(super) input: Encoded,
    pub(super) seed: [u8; 32],
    pub(super) set: Vec<SetCall>,
}

/// A call whose value is set, by its visible name.
pub(super) struct SetCall {
    pub(super) name: String,
    pub(super) key: Key,
    pub(super) occurrence: u32,
}

impl Engine {
    /// Replays what a fork begins with, where flows run, until it would run something.
    ///
    /// # Errors
    ///
    /// When a record or the input does not fit today's code, or when the flow does not ask for a value that is set.
    pub(super) async fn rehearse(self: &Arc<Self>, rehearsal: Rehearsal) -> Result<(), Error> {
        let (send, judged) = oneshot::channel();
        let engine = self.clone();
        // What it logs would be there twice.
        let play =
            async move { drop(send.send(engine.play(rehearsal).await)) }.with_subscriber(NoSubscriber::default());
        self.keeper.drive(play);
        judged.await.unwrap_or_else(|_| Err(ended()))
    }

    async fn play(self: Arc<Self>, rehearsal: Rehearsal) -> Result<(), Error> {
        let Rehearsal { meta, fork, row, journal, input, seed, set } = rehearsal;
        let admission = self.admit(Tally::default()).await?;
        let replay = Replay::new(journal.clone()).map_err(|why| malformed(&fork, "journal", why))?;
        let attempt = Attempt {
            execution: fork.clone(),
            generation: 1,
            number: 1,
            after_crash: false,
            after_cut: false,
            after_park: false,
            seed,
            created_ms: self.runtime.clock.now_ms(),
            fresh: false,
            fork: Some(ForkOrigin::new(row, &journal)),
            on_divergence: meta.on_divergence,
            parking: Parking::Never,
            deadline_ms: None,
        };
        let ground = Ground {
            tenure: Tenure::of_nothing(),
            journal,
            replay,
            listing: Listing::Current,
            tally: Tally::default(),
            admission,
            mail: Vec::new(),
            notes: Notes::default(),
        };
        let executions: Arc<dyn Executions> = self.clone();
        let executions: Weak<dyn Executions> = Arc::downgrade(&executions);
        let context = Context::new(attempt, executions, self.runtime.clone(), ground);
        // Records answer, and nothing starts.
        context.drain(ended());
        let shape = input.shape.as_ref().map_or(0, |shape| shape.fingerprint);
        let flow = flow_future(&context, FlowBody::Registered(meta), (input.codec, shape, &input.bytes))?;
        match Driver::new(context.clone(), flow).await {
            Driven::Left(Exit::Stuck { error, .. }) => return Err(error),
            // The first attempt shows it.
            Driven::Panicked(_) => return Ok(()),
            Driven::Returned(_) | Driven::Undone(_) | Driven::Left(_) => {}
        }
        let unmet = set.iter().find(|set| !context.replay().has_met(set.key, set.occurrence));
        match unmet {
            None => Ok(()),
            Some(SetCall { name, .. }) => {
                let name = short(name);
                Err(cannot!(
                    Kind::Misuse,
                    "begin the fork {fork}",
                    "its flow runs something before it asks for `{name}`, which is set",
                    "set what it has by then"
                ))
            }
        }
    }
}

fn ended() -> Error {
    cannot!(Kind::Closed, "rehearse a fork", "its runtime has ended", "fork it again")
}
