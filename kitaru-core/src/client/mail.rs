//! What is sent to executions from outside: answers and events. Owns that it is durable before it is handed on, and that
//! whoever waits for it hears of it; must not know what becomes of it in the flow.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{Mutex, oneshot, watch};

use crate::client::active::Active;
use crate::client::mailed::{kept, sent_so_far};
use crate::client::recovery::AFTER_FAULT;
use crate::client::rows::{self, Stored};
use crate::client::sleepers::Cause;
use crate::client::tally::{MailTotal, most_bytes};
use crate::client::waits;
use crate::client::{Inner, Kitaru, OpenWait, Target, blocking};
use crate::context::{AT_ONCE_MS, Addressee, Mail};
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId, Seq, check_name};
use crate::journal::{Aside, MailRow, ParentRow, Status, aside_key, sent_name};
use crate::log;
use crate::runtime::Numbers;
use crate::store::{Activity, Key as RowKey, Reader, Row, Table};
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
            Ok(Letter { execution, name: wait.to_owned(), wait: None, json: self.inner.json("answer", answer)? })
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
        let letter = json.map(|json| Letter { execution, name, wait: identity, json });
        let inner = self.inner.clone();
        async move { inner.answer(letter?).await }
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
            inner.send(execution, event, json, key).await
        })
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("event", &self.event).field("key", &self.key).finish_non_exhaustive()
    }
}

/// Who may look and write at a time: two that send to one execution would give one number twice. Executions share a few
/// locks, so that those of different ones seldom wait for each other's commit.
pub(crate) struct Doors {
    hash: RandomState,
    doors: [Mutex<()>; 256],
}

impl Default for Doors {
    fn default() -> Self {
        Doors { hash: RandomState::new(), doors: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Doors {
    pub(crate) fn of(&self, execution: &ExecutionId) -> &Mutex<()> {
        let nth = self.hash.hash_one(execution) % self.doors.len() as u64;
        &self.doors[nth as usize]
    }
}

/// Whether an event is to be sent.
enum Admitted {
    /// One with its key was sent before.
    Known,
    /// One with its key is on its way. This changes when it has landed or is lost.
    OnItsWay(watch::Receiver<()>),
    /// It is, and under this key for its idempotency key.
    New { stored: Box<Stored>, so_far: MailTotal, sent: Option<Vec<u8>> },
}

/// What is left to its sender of an answer that is on its way to an attempt.
struct Judged {
    verdict: oneshot::Receiver<Result<(), Error>>,
    journal: JournalId,
    bytes: u64,
}

/// An answer on its way to an execution.
struct Letter {
    execution: ExecutionId,
    /// The visible name of the wait.
    name: String,
    /// Which wait it is to be, where that is known.
    wait: Option<Key>,
    json: String,
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

    async fn answer(self: &Arc<Self>, letter: Letter) -> Result<(), Error> {
        self.check_open()?;
        let (send, receive) = oneshot::channel();
        let inner = self.clone();
        // Its sender may go away, and what is durable is to be handed on all the same.
        self.keeper.spawn(async move { drop(send.send(inner.post_answer(letter).await)) });
        let posted = receive.await.unwrap_or_else(|_| Err(Error::new(Kind::Closed, "the store was closed")))?;
        let Some(Judged { verdict, journal, bytes }) = posted else { return Ok(()) };
        // Where the attempt ends before it has looked, the answer is kept for the next.
        let verdict = verdict.await.unwrap_or(Ok(()));
        if verdict.is_err() {
            // That it was taken back is on its way: another one is not to find it.
            self.runtime.settle().await?;
            self.tallies.taken_back(journal, bytes);
        }
        verdict
    }

    /// Makes an answer durable and hands it on; what tells its sender whether it fits, if somebody does.
    async fn post_answer(self: &Arc<Self>, letter: Letter) -> Result<Option<Judged>, Error> {
        let Letter { execution, name, wait, json } = letter;
        let _turn = self.doors.of(&execution).lock().await;
        // Asked before it is looked as well as behind: it may go out of memory in between.
        let was_active = self.active(&execution).is_some();
        let (inner, wanted, named) = (self.clone(), execution.clone(), name.clone());
        let look = move || {
            let now_ms = inner.runtime.clock.steady_ms();
            let (stored, addressee) =
                waits::addressed(&inner.runtime.reader, (&wanted, inner.driven(&wanted)), &named, wait, now_ms)?;
            let so_far = inner.sent_so_far(stored.journal)?;
            Ok::<_, Error>((stored, addressee, so_far))
        };
        let (stored, addressee, so_far) = blocking(look).await??;
        let (journal, bytes) = (stored.journal, mail_bytes(&name, &json));
        let most_bytes = most_bytes(self.runtime.max_outcome_bytes);
        self.tallies.add(&execution, journal, so_far, Aside::Answer, bytes, most_bytes)?;
        let wait = match addressee {
            Addressee::Wait(wait) => Some(wait),
            Addressee::Named(_) => None,
        };
        let rows = vec![self.mail_row(journal, Aside::Answer, name.as_bytes(), &name, &json, wait)];
        let numbers = Arc::new(Numbers::new(journal, Seq(0)));
        let landed = self.runtime.write(&numbers, rows, None, Activity::GoesOn).await;
        self.tallies.arrived(journal, bytes, landed.is_ok());
        if let Err(fault) = landed {
            self.look_again(stored, Aside::Answer, name.into_bytes(), &fault);
            return Err(fault);
        }
        // Who comes early, or to an execution that nobody drives, is not told whether it fits.
        let is_driven = was_active || stored.state.status == Status::Waiting || self.active(&execution).is_some();
        let (verdict, told) = if matches!(addressee, Addressee::Wait(_)) && is_driven {
            let (send, receive) = oneshot::channel();
            (Some(send), Some(receive))
        } else {
            (None, None)
        };
        self.hand_on(&stored, Mail::Answer { wait: addressee, json, verdict });
        Ok(told.map(|verdict| Judged { verdict, journal, bytes }))
    }

    /// The store has failed to take something in that was sent, and may have it all the same: who sends it again is then told
    /// that it is there, and nobody hands it on. So that is done when the store may have recovered.
    fn look_again(self: &Arc<Self>, stored: Stored, aside: Aside, name: Vec<u8>, fault: &Error) {
        if !fault.is_store() {
            return;
        }
        let (inner, clock) = (Arc::downgrade(self), self.runtime.clock.clone());
        self.keeper.spawn(async move {
            loop {
                clock.sleep(AFTER_FAULT).await;
                let Some(inner) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
                let (reading, journal, name) = (inner.clone(), stored.journal, name.clone());
                match blocking(move || kept(&reading.runtime.reader, journal, aside, &name)).await {
                    Ok(Ok(mail)) => return mail.into_iter().for_each(|mail| inner.hand_on(&stored, mail)),
                    Ok(Err(error)) | Err(error) if error.is_store() => log::recovery_failed(&error),
                    Ok(Err(_)) | Err(_) => return,
                }
            }
        });
    }

    async fn send(
        self: &Arc<Self>,
        execution: ExecutionId,
        event: String,
        json: String,
        key: Option<String>,
    ) -> Result<(), Error> {
        self.check_open()?;
        let landed = loop {
            let _turn = self.doors.of(&execution).lock().await;
            let inner = self.clone();
            let (wanted, name, key) = (execution.clone(), event.clone(), key.clone());
            match blocking(move || inner.admit_event(&wanted, &name, key.as_deref())).await?? {
                Admitted::Known => return Ok(()),
                Admitted::OnItsWay(mut arrives) => {
                    drop(_turn);
                    // It is looked for again, whether it has landed or is lost.
                    let _ = arrives.changed().await;
                }
                Admitted::New { stored, so_far, sent } => break self.send_event(stored, so_far, sent, event, json)?,
            }
        };
        // Whoever else sends to this execution meanwhile shares the commit.
        landed.await.unwrap_or_else(|_| Err(Error::new(Kind::Closed, "the store was closed; nothing was sent")))
    }

    /// Looks whether an event may be sent. Blocks.
    fn admit_event(&self, execution: &ExecutionId, event: &str, key: Option<&str>) -> Result<Admitted, Error> {
        let reader = &self.runtime.reader;
        let stored = addressee(reader, execution, self.driven(execution))?;
        // A key counts for all the generations that follow one another by restarts.
        let first = rows::first_of_chain(reader, stored.journal)?;
        let sent = key.map(|key| aside_key(first, Aside::Sent, &sent_name(event, key).0));
        if let Some(sent) = &sent {
            // In this order: what lands in between is found behind it.
            if let Some(arrives) = self.tallies.key_arrives(sent) {
                return Ok(Admitted::OnItsWay(arrives));
            }
            if reader.get(Table::Aside, sent)?.is_some() {
                return Ok(Admitted::Known);
            }
        }
        let so_far = self.sent_so_far(stored.journal)?;
        Ok(Admitted::New { stored: Box::new(stored), so_far, sent })
    }

    /// What has been sent to a generation, counted in the store the first time that something is sent to it. Asked while nobody
    /// else can send to it.
    fn sent_so_far(&self, journal: JournalId) -> Result<MailTotal, Error> {
        match self.tallies.known(journal) {
            Some(tally) => Ok(tally),
            None => sent_so_far(&self.runtime.reader, journal),
        }
    }

    /// Has an event on its way. It is handed on when it has landed, whether or not its sender still waits for that: the writer
    /// keeps the order of what is sent to one generation, so that the numbers ascend.
    fn send_event(
        self: &Arc<Self>,
        stored: Box<Stored>,
        so_far: MailTotal,
        sent: Option<Vec<u8>>,
        event: String,
        json: String,
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let (journal, bytes) = (stored.journal, mail_bytes(&event, &json));
        let most_bytes = most_bytes(self.runtime.max_outcome_bytes);
        let execution = &stored.header.execution;
        let number = self.tallies.add(execution, journal, so_far, Aside::Event, bytes, most_bytes)?;
        let mut rows = vec![self.mail_row(journal, Aside::Event, &number.to_be_bytes(), &event, &json, None)];
        if let Some(key) = &sent {
            self.tallies.key_leaves(key.clone());
            let value = Some(number.to_be_bytes().to_vec());
            rows.push(Row { table: Table::Aside, key: RowKey::from(key.clone()), value });
        }
        let (tell, landed) = oneshot::channel();
        let inner = Arc::downgrade(self);
        // Numbers of its own: what the execution's own attempt has lost does not concern it.
        let numbers = Arc::new(Numbers::new(journal, Seq(0)));
        self.runtime.write_then(&numbers, rows, None, Activity::GoesOn, move |result| {
            if let Some(inner) = inner.upgrade() {
                inner.tallies.arrived(journal, bytes, result.is_ok());
                if let Some(key) = &sent {
                    inner.tallies.key_arrived(key);
                }
                match &result {
                    Ok(()) => inner.hand_on(&stored, Mail::Event { number, name: event, json }),
                    Err(fault) => inner.look_again(*stored, Aside::Event, number.to_be_bytes().to_vec(), fault),
                }
            }
            // The sender may have gone away.
            let _ = tell.send(result);
        });
        Ok(landed)
    }

    fn mail_row(&self, journal: JournalId, aside: Aside, key: &[u8], name: &str, json: &str, wait: Option<Key>) -> Row {
        let sent_ms = self.runtime.clock.now_ms();
        let row = MailRow { sent_ms, name: name.to_owned(), json: json.to_owned(), wait };
        Row { table: Table::Aside, key: RowKey::from(aside_key(journal, aside, key)), value: Some(row.write()) }
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
        // As what is sent: the next generation takes it along, or it is written to that one.
        let _turn = self.doors.of(execution).lock().await;
        let (inner, wanted) = (self.clone(), execution.clone());
        let newest = blocking(move || addressee(&inner.runtime.reader, &wanted, inner.driven(&wanted)));
        let Ok(Ok(newest)) = newest.await else { return };
        let numbers = Arc::new(Numbers::new(newest.journal, Seq(0)));
        let rows = vec![rows::waiter_row(newest.journal, &parent)];
        if self.runtime.write(&numbers, rows, None, Activity::GoesOn).await.is_ok() {
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
            let reading = inner.clone();
            match blocking(move || rows::stored(&reading.runtime.reader, journal)).await {
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

/// The generation that takes what is sent to an execution. One that has failed takes it where it is `driven` again.
pub(super) fn addressee(reader: &Reader, execution: &ExecutionId, driven: Option<JournalId>) -> Result<Stored, Error> {
    let Some(stored) = rows::newest(reader, execution)? else {
        return Err(Error::new(
            Kind::Misuse,
            format!("cannot send: there is no execution {execution}; start it first"),
        ));
    };
    if stored.state.status.is_final() && driven != Some(stored.journal) {
        let status = stored.state.status;
        let message = match status {
            Status::Failed | Status::Stuck => format!(
                "cannot send to execution {execution}: it is {status} and takes nothing until Kitaru::retry has it resume"
            ),
            _ => format!(
                "cannot send to execution {execution}: it is {status} and takes nothing more; begin it with .fresh()"
            ),
        };
        return Err(Error::new(Kind::Misuse, message));
    }
    Ok(stored)
}

/// What an event or an answer counts for, in the store and in memory.
fn mail_bytes(name: &str, json: &str) -> u64 {
    (name.len() + json.len()) as u64
}
