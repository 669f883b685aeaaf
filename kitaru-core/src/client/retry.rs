//! Having an execution go on that has failed or is stuck. Owns which records are forgotten; must not know how an attempt is
//! driven.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use crate::client::request::Request;
use crate::client::{Inner, Kitaru, Target, blocking};
use crate::error::{Error, Kind};
use crate::flow;
use crate::id::ExecutionId;
use crate::journal::{Ask, Forgotten, Status};
use crate::machine::{Journal, RecordIx};

impl Kitaru {
    /// Has an execution go on that has failed, is stuck or was interrupted, as if its flow were called: from where it
    /// stopped, by itself. That it does is durable when this returns.
    ///
    /// What it has recorded counts, also an error that its flow went past: such a job fails on it once more. A person may
    /// have records forgotten: [`forget`](Retrying::forget), [`after`](Retrying::after). A retry that can change nothing is
    /// an error: what a failed execution did may have been [undone](crate::undo), and then only
    /// [`fresh`](crate::FlowCall::fresh) begins it anew. Where a step that undoes has failed, a retry resumes at that step.
    ///
    /// # Errors
    ///
    /// When there is no such execution; when it runs, waits, is completed or was cancelled; when its flow is no `#[flow]` of
    /// this program; when there is no such record to be forgotten; when what it did has been undone; or when the store
    /// fails.
    ///
    /// # Cancel safety
    ///
    /// Once awaited the execution may go on, whether or not the future is polled to its end.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # extern crate kitaru_core as kitaru;
    /// # async fn doc(kitaru: &kitaru::Kitaru) -> Result<(), kitaru::Error> {
    /// // The card was topped up: what the flow has seen of it is not to count.
    /// kitaru.retry(&("order", "job-42")).forget("charge").await?;
    /// # Ok(()) }
    /// ```
    pub fn retry(&self, execution: &(impl Target + ?Sized)) -> Retrying {
        let (flow, id) = execution.target();
        Retrying { inner: self.inner.clone(), execution: ExecutionId::new(flow, id), forget: Vec::new() }
    }
}

/// An execution that is to go on; awaited, it gives `Result<(), Error>`. See [`Kitaru::retry`].
#[must_use = "an execution goes on only if this is awaited"]
pub struct Retrying {
    inner: Arc<Inner>,
    execution: Result<ExecutionId, Error>,
    forget: Vec<Forget>,
}

/// What is to be forgotten, by the visible name of a record.
#[derive(Clone)]
pub(crate) enum Forget {
    Error(String),
    After(String),
}

impl Retrying {
    /// Forgets the error that a checkpoint came to, by the visible name of its record: it runs again, under that name.
    pub fn forget(mut self, record: impl Into<String>) -> Self {
        self.forget.push(Forget::Error(record.into()));
        self
    }

    /// Forgets all that was recorded after the record of this visible name, values and times included: it is done again, and
    /// paid for again. Answers of people and events stay, and are taken once more.
    pub fn after(mut self, record: impl Into<String>) -> Self {
        self.forget.push(Forget::After(record.into()));
        self
    }
}

impl IntoFuture for Retrying {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.inner.retry(self.execution?, self.forget).await })
    }
}

impl fmt::Debug for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying").field("execution", &self.execution).finish_non_exhaustive()
    }
}

impl Inner {
    async fn retry(self: &Arc<Self>, execution: ExecutionId, forget: Vec<Forget>) -> Result<(), Error> {
        self.check_open()?;
        let Some(meta) = flow::find(&execution.flow) else {
            return Err(Error::new(
                Kind::Misuse,
                format!(
                    "cannot retry execution {execution}: its flow is no #[flow] of this program; name it with \
                     Builder::register if a library has it, or call the flow"
                ),
            ));
        };
        let (inner, wanted) = (self.clone(), execution.clone());
        // Before it is reserved: whoever waits for one that cannot be retried is not to hear of this.
        let found = blocking(move || inner.stands(|archive| archive.newest(&wanted))).await??;
        let stored = match found {
            Some((stored, Status::Failed | Status::Stuck | Status::Interrupted)) => stored,
            found => return Err(cannot_retry(&execution, found.map(|(_, status)| status))),
        };
        let request = Request { ask: Ask::Retry, forget, ..Request::resuming(meta, &stored) };
        let (_, active) = self.launch(request, None)?;
        active.recorded().await
    }
}

pub(crate) fn cannot_retry(execution: &ExecutionId, status: Option<Status>) -> Error {
    let message = match status {
        Some(Status::Completed | Status::Cancelled) => {
            format!("cannot retry execution {execution}: it has ended; begin it anew with .fresh()")
        }
        Some(status) => format!(
            "cannot retry execution {execution}: it is {status}, and resumes without that; Execution::waits and \
             Execution::pauses show what it waits for"
        ),
        None => format!("cannot retry: there is no execution {execution}; call the flow to begin it"),
    };
    Error::new(Kind::Misuse, message)
}

/// Whether all that the generation did has been undone, where its flow goes no further since `unwound`. A step that failed
/// left an end of its own.
pub(crate) fn is_undone(journal: &Journal, unwound: RecordIx) -> bool {
    let ended = journal.indices().rev().find_map(|at| journal.end(at));
    let (Some(ended), Some(unwound)) = (ended, journal.unwind(unwound)) else { return false };
    ended.status == unwound.status && ended.payload == unwound.payload
}

pub(crate) fn undone(execution: &ExecutionId) -> Error {
    Error::new(
        Kind::Misuse,
        format!(
            "cannot retry execution {execution}: what it did was undone when it failed, so that nothing is left to continue; \
             begin it anew with .fresh()"
        ),
    )
}

/// Finds what is to be forgotten.
pub(crate) fn find(journal: &Journal, forget: &[Forget], execution: &ExecutionId) -> Result<Vec<Forgotten>, Error> {
    let refuse =
        |why: String| Err(Error::new(Kind::Misuse, format!("{why}; nothing of execution {execution} was touched")));
    let mut found = Vec::with_capacity(forget.len());
    for wanted in forget {
        let (Forget::Error(name) | Forget::After(name)) = wanted;
        let named = |at: &RecordIx| journal.call(*at).filter(|call| call.name() == *name);
        // The latest stands for the call.
        let Some(at) = journal.indices().rev().find(|at| named(at).is_some()) else {
            return refuse(format!("there is no record `{name}` to be forgotten; the records are {}", names(journal)));
        };
        let last = named(&at).map(|call| (call.key, call.occurrence));
        let mut calls = journal.indices().filter_map(|at| Some((at, named(&at)?)));
        if let Some((other, call)) = calls.find(|(_, call)| Some((call.key, call.occurrence)) != last) {
            return refuse(format!(
                "two calls go by the name `{name}`, which an earlier version gave twice: record {} of `{}` and record {} of \
                 `{}`; name a record before both with .after(…), or begin anew with .fresh()",
                journal.seq(other).0,
                call.checkpoint,
                journal.seq(at).0,
                journal.call(at).map_or_else(String::new, |call| call.checkpoint.to_owned()),
            ));
        }
        found.push(match wanted {
            Forget::After(_) => Forgotten::After(journal.seq(at)),
            Forget::Error(_) if journal.outcome(at).is_some_and(|outcome| outcome.payload.is_error()) => {
                Forgotten::This(journal.seq(at))
            }
            Forget::Error(_) => {
                return refuse(format!(
                    "the record `{name}` holds no error; .after(…) of the record before it forgets values too"
                ));
            }
        });
    }
    Ok(found)
}

/// The names that there are, the last of them.
fn names(journal: &Journal) -> String {
    const MOST: usize = 20;
    let names = journal.indices().rev().filter_map(|at| journal.outcome(at)).map(|outcome| outcome.call.name());
    let mut names: Vec<String> = names.take(MOST + 1).map(|name| format!("`{name}`")).collect();
    if names.len() > MOST {
        names[MOST] = "…".to_owned();
    }
    names.reverse();
    names.join(", ")
}
