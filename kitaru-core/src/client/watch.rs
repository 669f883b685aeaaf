//! Reading what executions publish. Owns the wait for the next value; must not know how a value gets to the store.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::client::kitaru::Kitaru;
use crate::engine::{Engine, Published, closed};
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::shown::short;
use crate::value::clip;
use crate::view::ExecutionRef;

impl Kitaru {
    /// The latest value that an execution has published under a name with [`publish`](crate::publish()), if any.
    ///
    /// # Errors
    ///
    /// [Unreadable](Error::is_unreadable) when the value is not a `T`; when the execution does not exist; when the store cannot
    /// be read.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    ///
    /// # Examples
    ///
    /// See [`publish`](crate::publish()).
    pub fn published<T: DeserializeOwned>(
        &self,
        execution: impl Into<ExecutionRef>,
        name: &str,
    ) -> impl Future<Output = Result<Option<T>, Error>> + Send {
        let execution = execution.into().checked();
        async move {
            let Published { json, .. } = self.inner.clone().published(execution?, name).await?;
            json.map(|json| read(name, &json)).transpose()
        }
    }

    /// Watches what an execution publishes under a name with [`publish`](crate::publish()): first the latest value, then each
    /// later one. If values follow one another quickly, only the last may be seen.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let report = kitaru::dynamic::flow("report").run(|| async {
    /// #     kitaru::publish("progress", &1)?;
    /// #     Ok::<_, kitaru::Error>(())
    /// # });
    /// let handle = report.id("job-42").on(&kitaru).start().await?;
    /// let mut progress = kitaru.watch::<u32>(&handle, "progress");
    /// while let Some(page) = progress.next().await? {
    ///     println!("page {page}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn watch<T: DeserializeOwned>(&self, execution: impl Into<ExecutionRef>, name: &str) -> Watch<T> {
        let execution = execution.into().checked();
        let changes = execution.as_ref().ok().map(|execution| self.inner.changes(execution));
        Watch {
            inner: Arc::downgrade(&self.inner),
            execution,
            name: name.to_owned(),
            changes,
            seen: None,
            value: PhantomData,
        }
    }
}

/// The values that an execution publishes under a name, one after another. Made by [`Kitaru::watch`]. It does not keep the
/// store open.
pub struct Watch<T> {
    inner: Weak<Engine>,
    execution: Result<ExecutionId, Error>,
    name: String,
    changes: Option<watch::Receiver<u64>>,
    seen: Option<String>,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Watch<T> {
    /// The next value. `None` when the execution has ended and the last value was seen.
    ///
    /// # Errors
    ///
    /// As [`Kitaru::published`], and when the store was closed.
    ///
    /// # Cancel safety
    ///
    /// No value is lost.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        let execution = self.execution.clone()?;
        loop {
            // Before the read, so that a later change is noticed.
            self.changes.iter_mut().for_each(|changes| drop(changes.borrow_and_update()));
            let inner = self.inner.upgrade().filter(|inner| !inner.is_closed()).ok_or_else(closed)?;
            let Published { json, is_last } = inner.published(execution.clone(), &self.name).await?;
            if let Some(json) = json.filter(|json| self.seen.as_ref() != Some(json)) {
                let value = read(&self.name, &json);
                self.seen = Some(json);
                return value.map(Some);
            }
            if is_last {
                return Ok(None);
            }
            match &mut self.changes {
                // Only a closing store ends the watchers.
                Some(changes) => changes.changed().await.map_err(|_| closed())?,
                None => return Ok(None),
            }
        }
    }
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        self.changes = None;
        if let (Some(inner), Ok(execution)) = (self.inner.upgrade(), &self.execution) {
            inner.forget_changes(execution);
        }
    }
}

impl<T> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("execution", &self.execution).field("name", &self.name).finish_non_exhaustive()
    }
}

fn read<T: DeserializeOwned>(name: &str, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|why| {
        let (name, json) = (short(name), clip(json));
        cannot!(
            Kind::Unreadable,
            "read the value published as `{name}`",
            "{json} has another type: {why}",
            "read it as its own type"
        )
    })
}
