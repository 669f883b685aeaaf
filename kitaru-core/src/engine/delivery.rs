//! Answers and signals on their way from outside to executions. Owns that mail is durable before it is delivered, and that it
//! wakes the flow that waits for it; must not know what the flow does with it.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::context::Message;
use crate::engine::active::{Active, CallerView};
use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::id::{Actor, ExecutionId, JournalId};
use crate::journal::{ParentCall, Status};
use crate::ledger::{AFTER_FAULT, Addressee, Arrival, NewMessage, SentKey, Stored, blocking};
use crate::log;
use crate::machine::Cause;
use crate::value::{Key, bincode_size, shallow};

/// What the sender of an answer still awaits while the answer is on its way to an attempt.
struct PendingVerdict {
    verdict: oneshot::Receiver<Result<(), Error>>,
    journal: JournalId,
    bytes: u64,
}

/// An answer on its way to an execution.
pub(crate) struct AnswerToSend {
    pub(crate) message: NewMessage,
    /// The wait that it is for, if known.
    pub(crate) wait: Option<Key>,
}

impl Engine {
    /// As JSON, within the bound of a value.
    pub(crate) fn json<T: Serialize + ?Sized>(&self, what: &str, value: &T) -> Result<String, Error> {
        let json = serde_json::to_string(&shallow(value)).map_err(|why| {
            cannot!(Kind::Misuse, "send the {what}", "it cannot be serialized: {why}", "serialize it as another type")
        })?;
        let bound = self.runtime.max_outcome_bytes;
        // Counted as an outcome is, too: a flow that returns what it received gets no error for its size.
        let size = json.len().max(bincode_size(value));
        if size > bound {
            return Err(cannot!(
                Kind::TooLarge,
                "send the {what}",
                "it has {size} bytes, the bound is {bound}",
                "send a reference to the data"
            ));
        }
        Ok(json)
    }

    pub(crate) async fn answer(self: &Arc<Self>, answer: AnswerToSend) -> Result<(), Error> {
        self.check_open()?;
        let (send, receive) = oneshot::channel();
        let engine = self.clone();
        let (execution, by) = (answer.message.execution.clone(), answer.message.by.clone());
        // The sender may go away, and durable mail must still be delivered.
        self.keeper.spawn(async move { drop(send.send(engine.post_answer(answer).await)) });
        let posted = receive
            .await
            .unwrap_or_else(|_| Err(cannot!(Kind::Closed, "send", "the store was closed", "open it again")))?;
        self.trim_audit(&execution, by.as_ref()).await;
        let Some(PendingVerdict { verdict, journal, bytes }) = posted else { return Ok(()) };
        // If the attempt ends before it has looked, the answer is kept for the next attempt.
        let verdict = verdict.await.unwrap_or(Ok(()));
        if verdict.is_err() {
            self.runtime.ledger.taken_back(journal, bytes).await?;
        }
        verdict
    }

    /// Makes an answer durable and delivers it. Returns what tells the sender whether the answer fits, if an attempt decides
    /// that.
    async fn post_answer(self: &Arc<Self>, answer: AnswerToSend) -> Result<Option<PendingVerdict>, Error> {
        let AnswerToSend { message, wait } = answer;
        let (execution, bytes) = (message.execution.clone(), message.bytes());
        // Read before the check as well as after it: the flow may be parked in between.
        let was_active = self.registry.driven(&execution).is_some();
        let (engine, wanted) = (self.clone(), execution.clone());
        let driven = move || engine.driven(&wanted);
        let now_ms = self.runtime.clock.steady_ms();
        let arrived = |arrival: Arrival| {
            if let Err(fault) = arrival.landed {
                self.look_again(arrival.stored, arrival.key, &fault);
                return Err(fault);
            }
            let (stored, mut mail) = (arrival.stored, Message::from(arrival.sent));
            let journal = stored.journal;
            // The sender of an early answer, or of one to an execution that no task drives, does not learn whether it fits.
            let is_driven =
                was_active || stored.state.status == Status::Waiting || self.registry.driven(&execution).is_some();
            let mut told = None;
            if let Message::Answer { wait: Addressee::Wait(_), verdict, .. } = &mut mail
                && is_driven
            {
                let (send, receive) = oneshot::channel();
                *verdict = Some(send);
                told = Some(PendingVerdict { verdict: receive, journal, bytes });
            }
            self.hand_on(&stored, mail);
            Ok(told)
        };
        self.runtime.ledger.answer(message, wait, (driven, now_ms), arrived).await
    }

    /// The store has failed to take in something that was sent, and may have it nevertheless. A sender that repeats it then
    /// learns that it is there, and nothing delivers it. So it is delivered when the store may have recovered.
    fn look_again(self: &Arc<Self>, stored: Stored, key: SentKey, fault: &Error) {
        if !fault.is_store() {
            return;
        }
        let (engine, clock, key) = (Arc::downgrade(self), self.runtime.clock.clone(), Arc::new(key));
        self.keeper.spawn(async move {
            loop {
                clock.sleep(AFTER_FAULT).await;
                let Some(engine) = engine.upgrade().filter(|engine| !engine.is_closed()) else { return };
                let (archive, journal, key) = (engine.runtime.archive.clone(), stored.journal, key.clone());
                match blocking(move || archive.sent(journal, &key)).await {
                    Ok(Ok(sent)) => return sent.into_iter().for_each(|sent| engine.hand_on(&stored, sent.into())),
                    Ok(Err(error)) | Err(error) if error.is_store() => log::recovery_failed(&error),
                    Ok(Err(_)) | Err(_) => return,
                }
            }
        });
    }

    /// Sends a signal. It is delivered when it has landed, whether or not its sender still waits.
    pub(crate) async fn signal(self: &Arc<Self>, message: NewMessage, key: Option<String>) -> Result<(), Error> {
        self.check_open()?;
        let (engine, wanted, own) = (self.clone(), message.execution.clone(), Arc::downgrade(self));
        let driven = move || engine.driven(&wanted);
        let arrived = move |arrival: Arrival| {
            let Some(engine) = own.upgrade() else { return };
            let Arrival { stored, key, sent, landed } = arrival;
            match landed {
                Ok(()) => engine.hand_on(&stored, sent.into()),
                Err(fault) => engine.look_again(stored, key, &fault),
            }
        };
        let (execution, by) = (message.execution.clone(), message.by.clone());
        self.runtime.ledger.signal(message, key, driven, arrived).await?;
        self.trim_audit(&execution, by.as_ref()).await;
        Ok(())
    }

    pub(crate) fn message(&self, execution: ExecutionId, name: &str, json: String, by: Option<Actor>) -> NewMessage {
        NewMessage { execution, name: name.to_owned(), json, sent_ms: self.runtime.clock.now_ms(), by }
    }

    /// The generation that an attempt of this process continues, and that may still take mail.
    fn driven(&self, execution: &ExecutionId) -> Option<JournalId> {
        let attempt = self.registry.driven(execution)?.attempt()?;
        (attempt.ending().is_none() && !attempt.tenure.is_cut()).then(|| attempt.tenure.journal())
    }

    /// Delivers durable mail to the running attempt, or resumes the execution.
    fn hand_on(self: &Arc<Self>, stored: &Stored, mail: Message) {
        let (execution, journal) = (&stored.header.execution, stored.journal);
        if self.registry.send(execution, (journal, mail), || CallerView::of(stored)) {
            self.wake_for_mail(execution, journal);
        }
    }

    /// Registers a parent to notify when a child ends, in any attempt of the child. Does nothing if the child has ended, or if
    /// that cannot be recorded.
    pub(crate) async fn notify_when_ended(
        self: &Arc<Self>,
        child: &Active,
        execution: &ExecutionId,
        parent: ParentCall,
    ) {
        let (engine, wanted) = (self.clone(), execution.clone());
        let driven = move || engine.driven(&wanted);
        let added = self.runtime.ledger.add_waiter(execution, parent.clone(), driven).await;
        if added.is_ok() {
            child.add_parent(parent);
        }
    }

    /// A child has ended: its parent resumes, if it is parked and waits for the child.
    pub(crate) fn notify_parent(self: &Arc<Self>, parent: &ParentCall) {
        if self.is_closed() {
            // The parent looks for itself when the store is opened again.
            return;
        }
        if self.registry.send_if_driven(&parent.execution, parent.journal, Message::OtherEnded) {
            return;
        }
        let (engine, journal) = (self.clone(), parent.journal);
        self.keeper.spawn(async move {
            let archive = engine.runtime.archive.clone();
            match blocking(move || archive.stored(journal)).await {
                // A parent that waits for something else is not woken.
                Ok(Ok(Some(stored))) if stored.state.awaits_execution() => engine.hand_on(&stored, Message::OtherEnded),
                Ok(Ok(_)) => {}
                Ok(Err(error)) | Err(error) => {
                    log::recovery_failed(&error);
                    engine.wake_after_fault(journal, Cause::Time);
                }
            }
        });
    }
}
