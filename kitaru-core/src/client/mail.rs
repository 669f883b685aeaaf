//! What is sent to executions from outside: answers and events. Owns that it is durable before it is handed on, and that
//! whoever waits for it hears of it; must not know what becomes of it in the flow.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::hash::{BuildHasher, RandomState};
use std::ops::{Bound, ControlFlow};
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{Mutex, oneshot};

use crate::client::active::Active;
use crate::client::rows::{self, Stored};
use crate::client::sleepers::Cause;
use crate::client::{Inner, Kitaru, Target, blocking};
use crate::context::{AT_ONCE_MS, Mail};
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId, Seq, check_name};
use crate::journal::{Aside, MailRow, ParentRow, Status, WaitRow, aside_key, aside_name, aside_range, sent_name};
use crate::log;
use crate::runtime::Numbers;
use crate::store::{Activity, Key as RowKey, Order, Reader, Row, Table};

impl Kitaru {
    /// Answers a wait of an execution, by its visible name: `approval`, `approval_2`. It is durable when this returns, and
    /// the flow goes on with it, wherever it stopped.
    ///
    /// An answer may come before its wait: it is kept, and looked at when the flow comes to the wait. One that does not
    /// fit then is shown in [`Execution::waits`](crate::Execution::waits), and the wait stays open for another.
    ///
    /// # Errors
    ///
    /// [Unreadable](Error::is_unreadable), when an open wait takes something else: nothing has happened, and it is still
    /// open. When there is no such execution, it has ended, or the wait has been answered or is over; when the answer
    /// cannot be serialized or is over the bound of an outcome; when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled the answer may be given, whether or not the future is polled to its end.
    ///
    /// # Examples
    ///
    /// See [`wait`](crate::wait).
    pub async fn answer<T: Serialize + ?Sized>(
        &self,
        execution: &(impl Target + ?Sized),
        wait: &str,
        answer: &T,
    ) -> Result<(), Error> {
        let (flow, id) = execution.target();
        let execution = ExecutionId::new(flow, id)?;
        check_name("wait", wait)?;
        let json = self.inner.json("answer", answer)?;
        self.inner.answer(execution, wait.to_owned(), json).await
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

/// Whether the wait that an answer is for has begun.
#[derive(Clone, Copy, PartialEq)]
enum Answerable {
    Open,
    Early,
}

impl Inner {
    fn json<T: Serialize + ?Sized>(&self, what: &str, value: &T) -> Result<String, Error> {
        let json = serde_json::to_string(value).map_err(|why| {
            Error::new(Kind::Misuse, format!("the {what} cannot be serialized: {why}; nothing was sent"))
        })?;
        let bound = self.runtime.max_outcome_bytes;
        if json.len() > bound {
            let size = json.len();
            let message = format!("the {what} has {size} bytes, the bound is {bound}; send where the data is");
            return Err(Error::new(Kind::TooLarge, message));
        }
        Ok(json)
    }

    async fn answer(self: &Arc<Self>, execution: ExecutionId, wait: String, json: String) -> Result<(), Error> {
        self.check_open()?;
        let told = {
            let _turn = self.doors.of(&execution).lock().await;
            // Asked before it is looked as well as behind: it may go out of memory in between.
            let was_active = self.active(&execution).is_some();
            let inner = self.clone();
            let (wanted, name) = (execution.clone(), wait.clone());
            let (stored, door) =
                blocking(move || answerable(&inner.runtime.reader, &wanted, &name, inner.runtime.clock.steady_ms()))
                    .await??;
            self.store_mail(stored.journal, Aside::Answer, wait.as_bytes(), &wait, &json, Vec::new()).await?;
            // Who comes early, or to an execution that nobody drives, is not told whether it fits.
            let is_driven = was_active || stored.state.status == Status::Waiting || self.active(&execution).is_some();
            let (verdict, told) = if door == Answerable::Open && is_driven {
                let (send, receive) = oneshot::channel();
                (Some(send), Some(receive))
            } else {
                (None, None)
            };
            self.hand_on(&stored, Mail::Answer { name: wait, json, verdict });
            told
        };
        let Some(told) = told else { return Ok(()) };
        // Where the attempt ends before it has looked, the answer is kept for the next.
        let verdict = told.await.unwrap_or(Ok(()));
        if verdict.is_err() {
            // That it was taken back is on its way: another one is not to find it.
            self.runtime.settle().await?;
        }
        verdict
    }

    async fn send(
        self: &Arc<Self>,
        execution: ExecutionId,
        event: String,
        json: String,
        key: Option<String>,
    ) -> Result<(), Error> {
        self.check_open()?;
        let _turn = self.doors.of(&execution).lock().await;
        let inner = self.clone();
        let (wanted, name) = (execution.clone(), event.clone());
        let known = blocking(move || {
            let reader = &inner.runtime.reader;
            let stored = addressee(reader, &wanted)?;
            // A key counts for all the generations that follow one another by restarts.
            let first = rows::first_of_chain(reader, stored.journal)?;
            let sent = key.map(|key| aside_key(first, Aside::Sent, &sent_name(&name, &key).0));
            if let Some(sent) = &sent
                && reader.get(Table::Aside, sent)?.is_some()
            {
                return Ok(None);
            }
            let number = next_event(reader, stored.journal)?;
            if number > MOST_EVENTS {
                return Err(too_many(&wanted, MOST_EVENTS, "events"));
            }
            Ok::<_, Error>(Some((stored, sent, number)))
        });
        let Some((stored, sent, number)) = known.await?? else { return Ok(()) };
        let sent = sent.map(|key| Row {
            table: Table::Aside,
            key: RowKey::from(key),
            value: Some(number.to_be_bytes().to_vec()),
        });
        let rows = sent.into_iter().collect();
        self.store_mail(stored.journal, Aside::Event, &number.to_be_bytes(), &event, &json, rows).await?;
        self.hand_on(&stored, Mail::Event { number, name: event, json });
        Ok(())
    }

    async fn store_mail(
        &self,
        journal: JournalId,
        aside: Aside,
        key: &[u8],
        name: &str,
        json: &str,
        mut rows: Vec<Row>,
    ) -> Result<(), Error> {
        let row = MailRow { sent_ms: self.runtime.clock.now_ms(), name: name.to_owned(), json: json.to_owned() };
        let key = RowKey::from(aside_key(journal, aside, key));
        rows.push(Row { table: Table::Aside, key, value: Some(row.write()) });
        // Numbers of its own: what the execution's own attempt has lost does not concern it.
        let numbers = Arc::new(Numbers::new(journal, Seq(0)));
        self.runtime.write(&numbers, rows, None, Activity::GoesOn).await
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
        let newest = blocking(move || addressee(&inner.runtime.reader, &wanted));
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

    /// Has a waiting execution go on, whatever time it waits for.
    pub(crate) fn wake_soon(self: &Arc<Self>, journal: JournalId) {
        let inner = self.clone();
        self.keeper.spawn(async move { inner.wake(journal, Cause::Mail).await });
    }
}

/// The generation that takes what is sent to an execution.
fn addressee(reader: &Reader, execution: &ExecutionId) -> Result<Stored, Error> {
    let Some(stored) = rows::newest(reader, execution)? else {
        return Err(Error::new(Kind::Misuse, format!("there is no execution {execution}; nothing was sent")));
    };
    if stored.state.status.is_final() {
        let status = stored.state.status;
        let message = format!("execution {execution} is {status} and takes nothing any more; nothing was sent");
        return Err(Error::new(Kind::Misuse, message));
    }
    Ok(stored)
}

fn answerable(
    reader: &Reader,
    execution: &ExecutionId,
    wait: &str,
    now_ms: u64,
) -> Result<(Stored, Answerable), Error> {
    let stored = addressee(reader, execution)?;
    let journal = stored.journal;
    let refuse = |why: &str| Error::new(Kind::Misuse, format!("the wait `{wait}` of execution {execution} {why}"));
    if reader.get(Table::Aside, &aside_key(journal, Aside::Answer, wait.as_bytes()))?.is_some() {
        return Err(refuse("has been answered already; the first answer counts"));
    }
    let Some(row) = reader.get(Table::Aside, &aside_key(journal, Aside::Wait, wait.as_bytes()))? else {
        if early_answers(reader, journal)? >= MOST_EARLY_ANSWERS {
            return Err(too_many(execution, MOST_EARLY_ANSWERS, "answers to waits that have not begun"));
        }
        return Ok((stored, Answerable::Early));
    };
    let row = WaitRow::read(&row).map_err(|why| rows::malformed(execution, "wait", why))?;
    let is_late = (1..=now_ms).contains(&row.due_ms);
    if row.over || is_late { Err(refuse("is over: its deadline has passed")) } else { Ok((stored, Answerable::Open)) }
}

/// So many events may be sent to one generation: an attempt has all of them in memory.
const MOST_EVENTS: u64 = 1 << 20;
/// So many answers may come before anybody has asked.
const MOST_EARLY_ANSWERS: u64 = 1_000;

fn too_many(execution: &ExecutionId, bound: u64, what: &str) -> Error {
    Error::new(
        Kind::TooLarge,
        format!(
            "execution {execution} has been sent {bound} {what}, which is the bound; have its flow go on in a new generation \
             from time to time, with .restart(). Nothing was sent"
        ),
    )
}

/// How many answers came before anybody had asked.
fn early_answers(reader: &Reader, journal: JournalId) -> Result<u64, Error> {
    let mut names = Vec::new();
    let (first, end) = aside_range(journal, Aside::Answer);
    let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
    reader.scan(Table::Aside, range, Order::Ascending, &mut |key, _| {
        names.push(aside_name(key).to_vec());
        ControlFlow::Continue(())
    })?;
    let mut early = 0;
    for name in names {
        early += u64::from(reader.get(Table::Aside, &aside_key(journal, Aside::Wait, &name))?.is_none());
    }
    Ok(early)
}

fn next_event(reader: &Reader, journal: JournalId) -> Result<u64, Error> {
    let (first, end) = aside_range(journal, Aside::Event);
    let mut next = 1;
    let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
    reader.scan(Table::Aside, range, Order::Descending, &mut |key, _| {
        next = event_number(key) + 1;
        ControlFlow::Break(())
    })?;
    Ok(next)
}

fn event_number(key: &[u8]) -> u64 {
    aside_name(key).first_chunk().map_or(0, |number| u64::from_be_bytes(*number))
}

/// What has been sent to a generation.
pub(crate) fn mail(reader: &Reader, stored: &Stored) -> Result<Vec<Mail>, Error> {
    let mut mail = Vec::new();
    let mut malformed = None;
    for aside in [Aside::Answer, Aside::Event] {
        let (first, end) = aside_range(stored.journal, aside);
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        reader.scan(Table::Aside, range, Order::Ascending, &mut |key, row| {
            match MailRow::read(row) {
                Ok(MailRow { name, json, .. }) => mail.push(match aside {
                    Aside::Event => Mail::Event { number: event_number(key), name, json },
                    _ => Mail::Answer { name, json, verdict: None },
                }),
                Err(why) => malformed = Some(why),
            }
            ControlFlow::Continue(())
        })?;
    }
    match malformed {
        Some(why) => Err(rows::malformed(&stored.header.execution, "mail", why)),
        None => Ok(mail),
    }
}

/// Whether anything was ever sent to a generation.
pub(crate) fn any(reader: &Reader, journal: JournalId) -> Result<bool, Error> {
    let mut any = false;
    for aside in [Aside::Answer, Aside::Event] {
        let (first, end) = aside_range(journal, aside);
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        reader.scan(Table::Aside, range, Order::Ascending, &mut |_, _| {
            any = true;
            ControlFlow::Break(())
        })?;
    }
    Ok(any)
}

/// The waits of a generation, by their names.
pub(crate) fn waits(reader: &Reader, stored: &Stored) -> Result<Vec<(String, WaitRow)>, Error> {
    let (first, end) = aside_range(stored.journal, Aside::Wait);
    let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
    let mut waits = Vec::new();
    let mut malformed = None;
    reader.scan(Table::Aside, range, Order::Ascending, &mut |key, row| {
        match WaitRow::read(row) {
            Ok(row) => waits.push((String::from_utf8_lossy(aside_name(key)).into_owned(), row)),
            Err(why) => malformed = Some(why),
        }
        ControlFlow::Continue(())
    })?;
    match malformed {
        Some(why) => Err(rows::malformed(&stored.header.execution, "wait", why)),
        None => Ok(waits),
    }
}
