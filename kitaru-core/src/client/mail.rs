//! What is sent to executions from outside: answers and events. Owns that it is durable before it is handed on, and that
//! whoever waits for it hears of it; must not know what becomes of it in the flow.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::client::active::Active;
use crate::client::recovery::AFTER_FAULT;
use crate::client::sleepers::Cause;
use crate::client::{Inner, Kitaru, OpenWait, Target};
use crate::context::Mail;
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId, check_name};
use crate::journal::{ParentRow, Status};
use crate::ledger::{AT_ONCE_MS, Addressee, Arrival, Letter, SentKey, Stored, blocking};
use crate::log;
use crate::value::{Key, bincode_size, shallow};

impl Kitaru {
    /// Answers a wait of an execution, by its visible name: `approval`, `approval_2`. It is durable when this returns, and
    /// the flow goes on with it, wherever it stopped.
    ///
    /// It is the answer to the wait that is open under that name, and to no later one. An answer may come before its wait: it
    /// is kept for the first wait that opens under the name in this generation, or in those that follow it by restarts. One
    /// that does not fit then is shown in [`Execution::waits`](crate::Execution::waits), and the wait stays open for another.
    /// What became of a body that was cut off ([`Resolution`](crate::Resolution)) can be said only once it is asked.
    ///
    /// # Errors
    ///
    /// [Unreadable](Error::is_unreadable), when an open wait takes something else: nothing has happened, and it is still
    /// open. When there is no such execution, it has ended, or the wait has been answered or is over; when the name is that
    /// of a checkpoint which is no open wait; when two waits that an earlier version has begun go by it; when the answer cannot
    /// be serialized or is over the bound of an outcome; when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled the answer may be given, whether or not the future is polled to its end.
    ///
    /// # Examples
    ///
    /// See [`wait`](crate::wait).
    pub fn answer<T: Serialize + ?Sized>(
        &self,
        execution: &(impl Target + ?Sized),
        wait: &str,
        answer: &T,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let (flow, id) = execution.target();
        let checked = ExecutionId::new(flow, id).and_then(|execution| {
            check_name("wait", wait)?;
            let json = self.inner.json("answer", answer)?;
            Ok(Answer { letter: self.inner.letter(execution, wait, json), wait: None })
        });
        let inner = self.inner.clone();
        async move { inner.answer(checked?).await }
    }

    /// Answers a wait that somebody has looked at: this one and no other, whatever has become of its execution since. As
    /// [`answer`](Self::answer), which goes by the name alone.
    ///
    /// # Errors
    ///
    /// As [`answer`](Self::answer), and when the execution has gone on in another generation, whose waits are others.
    ///
    /// # Cancel safety
    ///
    /// As [`answer`](Self::answer).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), kitaru_core::Error> {
    /// # let kitaru = kitaru_core::Kitaru::builder().in_memory().open().await?;
    /// # let order = kitaru_core::dynamic::flow("order").run(|| async {
    /// #     kitaru_core::wait::<bool>("approval").question("Pay 100 € to ACME?").await });
    /// # let handle = order.id("job-42").on(&kitaru).start().await?;
    /// # while kitaru.execution("order", "job-42").await?.unwrap().waits().is_empty() { tokio::task::yield_now().await }
    /// let execution = kitaru.execution("order", "job-42").await?.unwrap();
    /// let open = &execution.waits()[0];
    /// println!("{}", open.question());
    /// kitaru.answer_wait(open, &true).await?;
    /// # assert!(handle.await?);
    /// # Ok(()) }
    /// ```
    pub fn answer_wait<T: Serialize + ?Sized>(
        &self,
        wait: &OpenWait,
        answer: &T,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let json = self.inner.json("answer", answer);
        let (execution, name, identity) = wait.addressed();
        let answer = json.map(|json| Answer { letter: self.inner.letter(execution, &name, json), wait: identity });
        let inner = self.inner.clone();
        async move { inner.answer(answer?).await }
    }

    /// Sends an event to an execution, which takes events of one name in the order in which they were sent, with
    /// [`event`](crate::event()). Awaited, it is durable, and neither lost nor seen twice, whatever crashes.
    ///
    /// # Errors
    ///
    /// When there is no such execution, or it has ended; when the event cannot be serialized or is over the bound of an
    /// outcome; when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled the event may be sent, whether or not the future is polled to its end. Send it again with the same
    /// [key](Sending::key) to be sure.
    ///
    /// # Examples
    ///
    /// See [`event`](crate::event()).
    pub fn send<T: Serialize + ?Sized>(&self, execution: &(impl Target + ?Sized), event: &str, value: &T) -> Sending {
        let (flow, id) = execution.target();
        let checked = ExecutionId::new(flow, id).and_then(|execution| {
            check_name("event", event)?;
            Ok((execution, self.inner.json("event", value)?))
        });
        Sending { inner: self.inner.clone(), checked, event: event.to_owned(), key: None }
    }
}

/// An event on its way to an execution; awaited, it gives `Result<(), Error>`. See [`Kitaru::send`].
#[must_use = "an event is sent only if this is awaited"]
pub struct Sending {
    inner: Arc<Inner>,
    checked: Result<(ExecutionId, String), Error>,
    event: String,
    key: Option<String>,
}

impl Sending {
    /// An idempotency key: of the events of one name that are sent to a generation with the same key, the first counts, and
    /// the others are no error.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl IntoFuture for Sending {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Sending { inner, checked, event, key } = self;
            let (execution, json) = checked?;
            let letter = inner.letter(execution, &event, json);
            inner.send(letter, key).await
        })
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("event", &self.event).field("key", &self.key).finish_non_exhaustive()
    }
}

/// What is left to its sender of an answer that is on its way to an attempt.
struct Judged {
    verdict: oneshot::Receiver<Result<(), Error>>,
    journal: JournalId,
    bytes: u64,
}

/// An answer on its way to an execution.
struct Answer {
    letter: Letter,
    /// Which wait it is to be, where that is known.
    wait: Option<Key>,
}

impl Inner {
    fn json<T: Serialize + ?Sized>(&self, what: &str, value: &T) -> Result<String, Error> {
        let json = serde_json::to_string(&shallow(value)).map_err(|why| {
            Error::new(Kind::Misuse, format!("the {what} cannot be serialized: {why}; nothing was sent"))
        })?;
        let bound = self.runtime.max_outcome_bytes;
        // As an outcome is counted, too: a flow that gives on what it was given comes to no error for its size.
        let size = json.len().max(bincode_size(value));
        if size > bound {
            let message = format!("the {what} has {size} bytes, the bound is {bound}; send where the data is");
            return Err(Error::new(Kind::TooLarge, message));
        }
        Ok(json)
    }

    async fn answer(self: &Arc<Self>, answer: Answer) -> Result<(), Error> {
        self.check_open()?;
        let (send, receive) = oneshot::channel();
        let inner = self.clone();
        // Its sender may go away, and what is durable is to be handed on all the same.
        self.keeper.spawn(async move { drop(send.send(inner.post_answer(answer).await)) });
        let posted = receive.await.unwrap_or_else(|_| Err(Error::new(Kind::Closed, "the store was closed")))?;
        let Some(Judged { verdict, journal, bytes }) = posted else { return Ok(()) };
        // Where the attempt ends before it has looked, the answer is kept for the next.
        let verdict = verdict.await.unwrap_or(Ok(()));
        if verdict.is_err() {
            self.runtime.ledger.taken_back(journal, bytes).await?;
        }
        verdict
    }

    /// Makes an answer durable and hands it on; what tells its sender whether it fits, if somebody does.
    async fn post_answer(self: &Arc<Self>, answer: Answer) -> Result<Option<Judged>, Error> {
        let Answer { letter, wait } = answer;
        let (execution, bytes) = (letter.execution.clone(), letter.bytes());
        // Asked before it is looked as well as behind: it may be parked in between.
        let was_active = self.active(&execution).is_some();
        let (inner, wanted) = (self.clone(), execution.clone());
        let driven = move || inner.driven(&wanted);
        let now_ms = self.runtime.clock.steady_ms();
        let arrived = |arrival: Arrival| {
            if let Err(fault) = arrival.landed {
                self.look_again(arrival.stored, arrival.key, &fault);
                return Err(fault);
            }
            let (stored, mut mail) = (arrival.stored, Mail::from(arrival.sent));
            let journal = stored.journal;
            // Who comes early, or to an execution that nobody drives, is not told whether it fits.
            let is_driven = was_active || stored.state.status == Status::Waiting || self.active(&execution).is_some();
            let mut told = None;
            if let Mail::Answer { wait: Addressee::Wait(_), verdict, .. } = &mut mail
                && is_driven
            {
                let (send, receive) = oneshot::channel();
                *verdict = Some(send);
                told = Some(Judged { verdict: receive, journal, bytes });
            }
            self.hand_on(&stored, mail);
            Ok(told)
        };
        self.runtime.ledger.answer(&self.runtime.archive, letter, wait, (driven, now_ms), arrived).await
    }

    /// The store has failed to take something in that was sent, and may have it all the same: who sends it again is then told
    /// that it is there, and nobody hands it on. So that is done when the store may have recovered.
    fn look_again(self: &Arc<Self>, stored: Stored, key: SentKey, fault: &Error) {
        if !fault.is_store() {
            return;
        }
        let (inner, clock, key) = (Arc::downgrade(self), self.runtime.clock.clone(), Arc::new(key));
        self.keeper.spawn(async move {
            loop {
                clock.sleep(AFTER_FAULT).await;
                let Some(inner) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
                let (archive, journal, key) = (inner.runtime.archive.clone(), stored.journal, key.clone());
                match blocking(move || archive.sent(journal, &key)).await {
                    Ok(Ok(sent)) => return sent.into_iter().for_each(|sent| inner.hand_on(&stored, sent.into())),
                    Ok(Err(error)) | Err(error) if error.is_store() => log::recovery_failed(&error),
                    Ok(Err(_)) | Err(_) => return,
                }
            }
        });
    }

    /// Sends an event. It is handed on when it has landed, whether or not its sender still waits for that.
    async fn send(self: &Arc<Self>, letter: Letter, key: Option<String>) -> Result<(), Error> {
        self.check_open()?;
        let (inner, wanted, own) = (self.clone(), letter.execution.clone(), Arc::downgrade(self));
        let driven = move || inner.driven(&wanted);
        let arrived = move |arrival: Arrival| {
            let Some(inner) = own.upgrade() else { return };
            let Arrival { stored, key, sent, landed } = arrival;
            match landed {
                Ok(()) => inner.hand_on(&stored, sent.into()),
                Err(fault) => inner.look_again(stored, key, &fault),
            }
        };
        self.runtime.ledger.send(&self.runtime.archive, letter, key, driven, arrived).await
    }

    fn letter(&self, execution: ExecutionId, name: &str, json: String) -> Letter {
        Letter { execution, name: name.to_owned(), json, sent_ms: self.runtime.clock.now_ms() }
    }

    /// The generation that an attempt of this process goes on with, which may yet take what is sent to it.
    fn driven(&self, execution: &ExecutionId) -> Option<JournalId> {
        let attempt = self.active(execution)?.steering.attempt()?;
        (attempt.ending().is_none() && !attempt.numbers.is_cut()).then(|| attempt.numbers.journal())
    }

    /// What is durable now is handed to the attempt that runs, or has the execution go on.
    fn hand_on(self: &Arc<Self>, stored: &Stored, mail: Mail) {
        let active = self.await_parked(stored);
        // Else it has it, or notices when it is parked that there is more.
        let Err(posted) = active.steering.post(stored.journal, mail) else { return };
        let (inner, execution, journal) = (self.clone(), stored.header.execution.clone(), stored.journal);
        self.keeper.spawn(async move {
            inner.wake(journal, Cause::Mail).await;
            if active.steering.is_parked() {
                active.steering.take_back(posted);
            }
            drop(active);
            inner.forget_parked(&execution);
        });
    }

    /// Has a parent told when a child ends, whoever drives it then. Not where it has ended, or that cannot be recorded.
    pub(crate) async fn tell_when_ended(self: &Arc<Self>, child: &Active, execution: &ExecutionId, parent: ParentRow) {
        let (inner, wanted) = (self.clone(), execution.clone());
        let driven = move || inner.driven(&wanted);
        let added = self.runtime.ledger.add_waiter(&self.runtime.archive, execution, parent.clone(), driven).await;
        if added.is_ok() {
            child.add_waiter(parent);
        }
    }

    /// A child has come to its end: its parent goes on, if it waits for that out of memory.
    pub(crate) fn tell_parent(self: &Arc<Self>, parent: &ParentRow) {
        if self.is_closed() {
            // It looks for itself when the store is opened again.
            return;
        }
        if let Some(active) = self.awaited(&parent.execution)
            && !active.steering.is_parked()
            && active.steering.post(parent.journal, Mail::Ended).is_ok()
        {
            return;
        }
        let (inner, journal) = (self.clone(), parent.journal);
        self.keeper.spawn(async move {
            let archive = inner.runtime.archive.clone();
            match blocking(move || archive.stored(journal)).await {
                // One that waits for something else is not woken.
                Ok(Ok(Some(stored)))
                    if stored.state.status == Status::Waiting && stored.state.wake_ms == AT_ONCE_MS =>
                {
                    inner.hand_on(&stored, Mail::Ended);
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) | Err(error) => {
                    log::recovery_failed(&error);
                    inner.wake_after_fault(journal, Cause::Time);
                }
            }
        });
    }

    /// Has an execution woken as soon as can be.
    pub(crate) fn wake_soon(self: &Arc<Self>, journal: JournalId, cause: Cause) {
        let inner = self.clone();
        self.keeper.spawn(async move { inner.wake(journal, cause).await });
    }
}
