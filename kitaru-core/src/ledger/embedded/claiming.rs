//! Claiming, loading and leaving executions. Owns that a claim sees everything that an earlier attempt wrote, and that this
//! attempt writes nothing more; must not know who claims.

use std::sync::Arc;

use crate::error::Error;
use crate::id::ExecutionId;
use crate::ledger::embedded::inbox::most_loaded_bytes;
use crate::ledger::embedded::{Archive, Ledger};
use crate::ledger::{Change, ClaimedGeneration, GenerationState, Left, Loaded, Tenure, brief};
use crate::machine::Journal;

impl Ledger {
    /// The right to write to a new journal, whose number it gives out. A generation [begins](Self::begin) with it.
    ///
    /// `begun` are the records that it has from its begin.
    pub(crate) fn new_tenure(&self, begun: &Journal) -> Arc<Tenure> {
        Arc::new(Tenure::new(self.new_journal(), begun.next()))
    }

    /// Claims the newest generation of an execution, and decides on the pool what to do with it. The claim waits until
    /// everything has landed that an attempt of this process left on its way. One that is known to be there does not hold up
    /// those that may be new.
    pub(crate) async fn claim<R: Send + 'static>(
        &self,
        (execution, is_known): (&ExecutionId, bool),
        decide: impl FnOnce(&Archive, Option<ClaimedGeneration>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.flush_left(execution).await?;
        let (archive, claims, execution) = (self.archive.clone(), self.claims.clone(), execution.clone());
        brief(&self.lookups, move |turn| {
            if is_known {
                turn.takes_long();
            }
            let newest = archive.newest(&execution)?;
            if newest.is_some() {
                // Its journal may be read whole.
                turn.takes_long();
            }
            decide(&archive, newest.map(|stored| claims.claim(stored)))
        })
        .await?
    }

    /// Waits until everything has landed that an attempt of this process left on its way.
    pub(crate) async fn flush_left(&self, execution: &ExecutionId) -> Result<(), Error> {
        if self.claims.left(execution).is_some() { self.flush().await } else { Ok(()) }
    }

    /// Loads what an attempt continues from. Its records follow those of the journal. Blocks.
    pub(crate) fn load(&self, claimed: &ClaimedGeneration) -> Result<Loaded, Error> {
        let (archive, stored) = (&self.archive, &claimed.stored);
        let journal = archive.journal(stored)?;
        claimed.tenure.follow(journal.next());
        self.forget_time(stored);
        // After the journal: a signal that a record has taken is still there.
        let sent = archive.inbox(stored, most_loaded_bytes(self.max_outcome_bytes))?;
        Ok(Loaded {
            journal,
            sent,
            notes: archive.notes(stored)?,
            deadline_ms: archive.deadline(stored)?,
            fork: archive.fork(stored)?,
        })
    }

    /// Records that a claimed generation keeps its status, which it has since another time.
    pub(crate) async fn restate(&self, claimed: ClaimedGeneration, at_ms: u64) -> Result<(), Error> {
        let ClaimedGeneration { stored, tenure, recorded, .. } = claimed;
        let state = GenerationState { status: recorded, ..stored.state };
        self.write(&tenure, vec![Change::Since { at_ms, state }], None).await
    }

    /// An attempt leaves its generation. What it sends from now on is not written: the next claim may read the journal.
    pub(crate) fn leave(&self, execution: &ExecutionId, tenure: &Arc<Tenure>, left: Left) {
        let said = match left {
            Left::Done => return self.claims.done(execution),
            // Nothing is written behind the last word.
            Left::Unsure => None,
            Left::CutOff(change) => Some(change.into_iter().collect()),
        };
        self.claims.leave(execution, tenure.journal());
        if let Some(said) = said {
            // If it cannot be written, this process remembers it.
            drop(self.write_last(tenure, said));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::id::{JournalId, Seq};
    use crate::journal::Tally;
    use crate::ledger::Earlier;
    use crate::ledger::embedded::fixture;
    use crate::machine::Due;
    use crate::store::{Memory, Store};

    fn open(store: &Arc<dyn Store>) -> Ledger {
        fixture::open(store, Clock::system())
    }

    fn execution() -> ExecutionId {
        fixture::execution("job")
    }

    async fn begin(ledger: &Ledger) -> Arc<Tenure> {
        fixture::begin(ledger, execution()).await
    }

    async fn claim(ledger: &Ledger) -> ClaimedGeneration {
        let claimed = ledger.claim((&execution(), false), |_, newest| Ok(newest)).await.unwrap();
        claimed.expect("the execution is recorded")
    }

    /// What is claimed of it, with the number of its next record.
    async fn load(ledger: &Ledger) -> (ClaimedGeneration, Seq) {
        let claimed = claim(ledger).await;
        let next = ledger.load(&claimed).unwrap().journal.next();
        (claimed, next)
    }

    #[tokio::test]
    async fn claim_says_whether_the_attempt_before_it_crashed() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let ledger = open(&store);
        let tenure = begin(&ledger).await;
        // Another process has the store from now on.
        let ledger = open(&store);
        let claimed = claim(&ledger).await;
        assert_eq!((claimed.stored.journal, claimed.earlier), (tenure.journal(), Earlier::Crashed));
        // A fault stopped the attempt, and the store could not record that.
        ledger.leave(&execution(), &claimed.tenure, Left::CutOff(None));
        assert_eq!(claim(&ledger).await.earlier, Earlier::CutOff);
        let claimed = claim(&ledger).await;
        let parked = Change::Parked { attempts: 1, at_ms: 2, due: Due::Never };
        ledger.write_last(&claimed.tenure, vec![parked]).await.unwrap();
        ledger.leave(&execution(), &claimed.tenure, Left::Done);
        assert_eq!(claim(&ledger).await.earlier, Earlier::Ended);
        // This process has not left what another one leaves.
        let claimed = claim(&ledger).await;
        let running = Change::Running { attempts: 2, at_ms: 3, tally: Tally::default() };
        ledger.write(&claimed.tenure, vec![running], None).await.unwrap();
        assert_eq!(claim(&ledger).await.earlier, Earlier::Crashed);
    }

    #[tokio::test]
    async fn claim_sees_what_was_left_on_its_way_and_nothing_is_written_behind_it() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let ledger = open(&store);
        let older = begin(&ledger).await;
        for _ in 0..100 {
            drop(ledger.write(&older, Vec::new(), Some(vec![0])));
        }
        ledger.leave(&execution(), &older, Left::CutOff(None));
        let (claimed, next) = load(&ledger).await;
        assert_eq!(next, Seq(101));
        assert!(ledger.write(&older, Vec::new(), Some(vec![0])).await.unwrap_err().is_store());
        ledger.write(&claimed.tenure, Vec::new(), Some(vec![0])).await.unwrap();
        assert_eq!(load(&ledger).await.1, Seq(102));
    }

    #[tokio::test]
    async fn claim_of_an_unknown_execution_finds_nothing() {
        let ledger = open(&(Arc::new(Memory::new()) as Arc<dyn Store>));
        assert!(ledger.claim((&execution(), false), |_, newest| Ok(newest)).await.unwrap().is_none());
        assert_eq!(ledger.new_tenure(&Journal::default()).journal(), JournalId(1));
    }
}
