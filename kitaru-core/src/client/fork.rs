//! Forking an execution. Owns what a caller sets; must not know which records are taken over.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::client::kitaru::Kitaru;
use crate::engine::Engine;
use crate::error::{Error, Kind, cannot};
use crate::journal::ForkWay;
use crate::request::{ForkOrder, MailWish};
use crate::shown::short;
use crate::value::shallow;
use crate::view::{ExecutionRef, ForkPlan};

impl Kitaru {
    /// Begins a new execution with records of another one, which stays as it is.
    ///
    /// A fork has the records of the original up to a point: [`from`](ForkRequest::from) names the first record that runs again.
    /// Values may be [`set`](ForkRequest::set) in the place of recorded ones, and the [`input`](ForkRequest::input) may be
    /// another one. Or it has all records [`by key`](ForkRequest::by_key), and runs only calls that none of them answers.
    ///
    /// Random values and times are the original's before the point, and the fork's own after it. Idempotency keys are new:
    /// services do not take an effect that happens again for a repetition. [`is_fork`](crate::is_fork) lets effects guard
    /// themselves, and [`plan`](ForkRequest::plan) lists them before anything begins. Children that were begun before the point
    /// are not begun again. A wait that asks again what it asked before has the answer that it got, unless answers are
    /// [forgotten](ForkRequest::forget_answers).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # extern crate kitaru_core as kitaru;
    /// # async fn doc(kitaru: &kitaru::Kitaru) -> Result<(), kitaru::Error> {
    /// let better = "notes that a person has corrected";
    /// let fork = kitaru.fork(("write_report", "job-42")).set("research", better).start().await?;
    /// assert_eq!(fork.id(), "job-42-fork-1");
    /// # Ok(()) }
    /// ```
    pub fn fork(&self, original: impl Into<ExecutionRef>) -> ForkRequest {
        let by = self.by.clone();
        let order = original.into().checked().map(|original| ForkOrder { by, ..ForkOrder::of(original) });
        ForkRequest { inner: self.inner.clone(), order }
    }
}

/// A request to fork an execution. See [`Kitaru::fork`].
#[must_use = "a fork begins only if this is started"]
pub struct ForkRequest {
    inner: Arc<Engine>,
    order: Result<ForkOrder, Error>,
}

impl ForkRequest {
    /// The first record that runs again, by its visible name. All records behind it run again too. Without a point, a fork takes over
    /// what comes before the last value that is [`set`](Self::set); if none is set, all records, or none with a new
    /// [`input`](Self::input).
    pub fn from(self, record: impl Into<String>) -> Self {
        let record = record.into();
        self.with(|order| order.from = Some(record))
    }

    /// Sets the value of a record, by its visible name, in the place of the recorded one: of a checkpoint, a wait, a signal or a
    /// child. The value is written as JSON, and must be one of the checkpoint's type.
    pub fn set(self, record: impl Into<String>, value: impl Serialize) -> Self {
        let (record, json) = (record.into(), serde_json::to_value(shallow(&value)));
        self.fallible(|order| {
            let value = json.map_err(|why| {
                let record = short(&record);
                cannot!(
                    Kind::Unreadable,
                    "set the value of record `{record}`",
                    "it cannot be serialized: {why}",
                    "serialize it as another type"
                )
            })?;
            order.set.push((record, value));
            Ok(())
        })
    }

    /// Replaces the input: the list of the flow's arguments, or an object with their names. A record answers only a call with the
    /// arguments that it was made with, before the point too.
    pub fn input(self, arguments: impl Serialize) -> Self {
        let json = serde_json::to_value(shallow(&arguments));
        self.fallible(|order| {
            let flow = short(&order.original.flow);
            let read = json.map_err(|why| {
                cannot!(
                    Kind::Unreadable,
                    "set the input of flow `{flow}`",
                    "it cannot be serialized: {why}",
                    "serialize it as another type"
                )
            });
            order.input = Some(read?);
            Ok(())
        })
    }

    /// Takes over all records: each answers the call of its checkpoint with its arguments, wherever that is made. Other calls run.
    pub fn by_key(self) -> Self {
        self.with(|order| {
            if order.way == ForkWay::Prefix {
                order.way = ForkWay::ByKey;
            }
        })
    }

    /// As [`by_key`](Self::by_key), and a checkpoint or a child without a record fails the execution before it runs.
    pub fn strict(self) -> Self {
        self.with(|order| order.way = ForkWay::Strict)
    }

    /// The id of the fork. Unless set, it is the original's with `-fork-1`, `-fork-2`, ….
    pub fn id(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.with(|order| order.id = Some(id))
    }

    /// A tag of the fork. It does not have those of the original.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        let tag = tag.into();
        self.with(|order| {
            order.tags.insert(tag);
        })
    }

    /// Waits behind the point ask again, and signals that the original was sent are not there for the fork.
    pub fn forget_answers(self) -> Self {
        self.with(|order| order.mail = MailWish::Forget)
    }

    /// What the fork would take over, and which recorded effects would happen again. Nothing begins.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), but for values and an input that do not fit: only a start reads them.
    pub async fn plan(self) -> Result<ForkPlan, Error> {
        self.inner.plan_fork(self.order?).await
    }

    /// Begins the fork in the background. It is durable when this returns.
    ///
    /// The flow is first replayed from what the fork has, and nothing of it runs. If a value or the input does not fit its type, or
    /// the flow does not ask for a value that was set before it would run anything, the fork is refused and nothing is left of it.
    ///
    /// # Errors
    ///
    /// When the original does not exist; when its flow is not a `#[flow]` of this program; when a name is unknown, or is that of two
    /// records; when a value or the input does not fit; when the id belongs to another execution; or when the store fails.
    ///
    /// # Cancel safety
    ///
    /// The fork may begin, whether or not the future is polled to its end.
    pub async fn start(self) -> Result<ExecutionRef, Error> {
        let fork = self.inner.fork(self.order?).await?;
        Ok(ExecutionRef::of(&fork))
    }

    fn with(self, change: impl FnOnce(&mut ForkOrder)) -> Self {
        self.fallible(|order| {
            change(order);
            Ok(())
        })
    }

    fn fallible(mut self, change: impl FnOnce(&mut ForkOrder) -> Result<(), Error>) -> Self {
        if let Ok(order) = &mut self.order
            && let Err(error) = change(order)
        {
            self.order = Err(error);
        }
        self
    }
}

impl fmt::Debug for ForkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let original = self.order.as_ref().map(|order| &order.original);
        f.debug_struct("ForkRequest").field("original", &original).finish_non_exhaustive()
    }
}
