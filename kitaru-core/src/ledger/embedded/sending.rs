//! What is sent to executions, on its way into the store. Owns that what is sent to one generation lands in order; must not know
//! who takes it.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Aside, AuditAction, ParentCall};
use crate::ledger::embedded::senders::{Admitted, SentBefore};
use crate::ledger::embedded::tally::{MailTotal, most_bytes};
use crate::ledger::embedded::{CarryOver, Ledger};
use crate::ledger::{
    Addressee, Arrival, AttemptEnd, Change, NewGeneration, NewMessage, Sent, SentKey, Stored, Tenure, blocking,
};
use crate::value::Key;

impl Ledger {
    #[cfg(test)]
    pub(crate) fn tallies(&self) -> &crate::ledger::embedded::tally::Tallies {
        &self.senders.tallies
    }

    /// Sends a signal. It is durable when this returns; `arrived` learns of it, whether or not the sender still waits. What is
    /// sent to one generation lands in the order of its numbers. `driven` is the generation that is under way in this process.
    pub(crate) async fn signal(
        &self,
        message: NewMessage,
        key: Option<String>,
        driven: impl Fn() -> Option<JournalId> + Send + Sync + 'static,
        arrived: impl FnOnce(Arrival) + Send + 'static,
    ) -> Result<(), Error> {
        let driven = Arc::new(driven);
        let landed = loop {
            let locked = self.senders.locks.of(&message.execution).await;
            let (archive, senders, driven) = (self.archive.clone(), self.senders.clone(), driven.clone());
            let (wanted, name, key) = (message.execution.clone(), message.name.clone(), key.clone());
            match blocking(move || senders.admit(&archive, &wanted, &name, key, driven())).await?? {
                Admitted::Known => return Ok(()),
                Admitted::OnItsWay(mut arrives) => {
                    drop(locked);
                    // It is looked for again, whether it has landed or is lost.
                    let _ = arrives.changed().await;
                }
                Admitted::New { stored, so_far, sent } => break self.post(message, *stored, so_far, sent, arrived)?,
            }
        };
        // Other senders to this execution share the commit.
        landed.await.unwrap_or_else(|_| Err(cannot!(Kind::Closed, "send", "the store was closed", "open it again")))
    }

    /// Submits a signal. The writer keeps the order of what is sent to one generation, so that the numbers ascend.
    fn post(
        &self,
        message: NewMessage,
        stored: Stored,
        so_far: MailTotal,
        sent: Option<SentBefore>,
        arrived: impl FnOnce(Arrival) + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let (journal, bytes) = (stored.journal, message.bytes());
        let execution = &stored.header.execution;
        let number = self.senders.tallies.add(
            execution,
            journal,
            so_far,
            Aside::Signal,
            bytes,
            most_bytes(self.max_outcome_bytes),
        )?;
        let NewMessage { name, json, sent_ms, .. } = &message;
        let mut changes = vec![Change::Signal { number, name: name.clone(), json: json.clone(), sent_ms: *sent_ms }];
        let idempotency = sent.map(|SentBefore { first, key, row }| {
            self.senders.tallies.key_leaves(row.clone());
            changes.push(Change::Sent { first, signal: message.name.clone(), key, number });
            row
        });
        changes.extend(message.audit(AuditAction::Sent).map(Change::Audit));
        let (tell, landed) = oneshot::channel();
        let senders = self.senders.clone();
        // A tenure of its own: what the execution's own attempt has lost does not concern it.
        let tenure = Arc::new(Tenure::of_changes(journal));
        self.write_then(&tenure, changes, move |result| {
            senders.tallies.arrived(journal, bytes, result.is_ok());
            if let Some(key) = &idempotency {
                senders.tallies.key_arrived(key);
            }
            let NewMessage { name, json, .. } = message;
            let (key, sent) = (SentKey::Signal(number), Sent::Signal { number, name, json });
            arrived(Arrival { stored, key, sent, landed: result.clone() });
            // The sender may have gone away.
            let _ = tell.send(result);
        });
        Ok(landed)
    }

    /// Sends an answer to the wait that is open under a visible name, or to the one that is `meant`. `arrived` learns of it
    /// while no other sender can send to the execution.
    pub(crate) async fn answer<R>(
        &self,
        message: NewMessage,
        meant: Option<Key>,
        (driven, now_ms): (impl Fn() -> Option<JournalId> + Send + 'static, u64),
        arrived: impl FnOnce(Arrival) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let _locked = self.senders.locks.of(&message.execution).await;
        let (archive, senders) = (self.archive.clone(), self.senders.clone());
        let (wanted, named) = (message.execution.clone(), message.name.clone());
        let look = move || {
            let (stored, wait) = archive.addressed((&wanted, driven()), &named, meant, now_ms)?;
            let so_far = senders.so_far(&archive, stored.journal)?;
            Ok::<_, Error>((stored, wait, so_far))
        };
        let (stored, wait, so_far) = blocking(look).await??;
        let (journal, bytes) = (stored.journal, message.bytes());
        let most = most_bytes(self.max_outcome_bytes);
        self.senders.tallies.add(&message.execution, journal, so_far, Aside::Answer, bytes, most)?;
        let identity = match &wait {
            Addressee::Wait(wait) => Some(*wait),
            Addressee::Named(_) => None,
        };
        let (name, json) = (message.name.clone(), message.json.clone());
        let answer = Change::Answered { name, json, sent_ms: message.sent_ms, wait: identity, question: None };
        let audit = message.audit(AuditAction::Answered).map(Change::Audit);
        let changes = std::iter::once(answer).chain(audit).collect();
        let landed = self.write(&Arc::new(Tenure::of_changes(journal)), changes, None).await;
        self.senders.tallies.arrived(journal, bytes, landed.is_ok());
        let (key, sent) = (SentKey::Answer(message.name), Sent::Answer { wait, json: message.json, question: None });
        arrived(Arrival { stored, key, sent, landed })
    }

    /// An answer was taken back by the execution it was sent to. It may be sent another one when this returns.
    pub(crate) async fn taken_back(&self, journal: JournalId, bytes: u64) -> Result<(), Error> {
        // That it was taken back is on its way: another one is not to find it.
        self.flush().await?;
        self.senders.tallies.taken_back(journal, bytes);
        Ok(())
    }

    /// Records that a parent is notified of an execution's end, in the generation that is the newest then.
    ///
    /// # Errors
    ///
    /// When it has ended, or that cannot be recorded.
    pub(crate) async fn add_waiter(
        &self,
        execution: &ExecutionId,
        parent: ParentCall,
        driven: impl Fn() -> Option<JournalId> + Send + 'static,
    ) -> Result<(), Error> {
        // As what is sent: the next generation keeps it, or it is written to that one.
        let _locked = self.senders.locks.of(execution).await;
        let (archive, wanted) = (self.archive.clone(), execution.clone());
        let newest = blocking(move || archive.addressee(&wanted, driven())).await??;
        self.write(&Arc::new(Tenure::of_changes(newest.journal)), vec![Change::AwaitedBy(parent)], None).await
    }

    /// Records that a generation has ended and the next one has begun, in one commit. `takes` says which signals a record of the
    /// older one holds, `next` gives the new one and the last record of the older one, and `submitted` is called when they are on
    /// their way. What is sent meanwhile is for the next generation, and its sender waits for that to be there.
    pub(crate) async fn continue_as_new(
        &self,
        tenure: &Arc<Tenure>,
        execution: &ExecutionId,
        takes: impl Fn(u64) -> bool + Send + 'static,
        next: impl FnOnce(Stored, &CarryOver) -> (NewGeneration, AttemptEnd),
        submitted: impl FnOnce(),
    ) -> Result<JournalId, Error> {
        let _locked = self.senders.locks.of(execution).await;
        // What the flow has shown, and the header, may be on their way.
        self.flush().await?;
        let (archive, older, execution) = (self.archive.clone(), tenure.journal(), execution.clone());
        let (stored, carried) = blocking(move || {
            let stored = archive.stored(older)?;
            let missing = || {
                cannot!(
                    Kind::Store,
                    "continue execution {execution} as new",
                    "its header is missing",
                    "restore the store from a backup"
                )
            };
            let stored = stored.ok_or_else(missing)?;
            let carried = archive.carry_over(&stored, takes)?;
            Ok::<_, Error>((stored, carried))
        })
        .await??;
        let (next, ended) = next(stored, &carried);
        let journal = next.journal;
        let landed = self.write_continuation(tenure, next, carried, ended);
        submitted();
        landed.await.map(|()| journal)
    }
}
