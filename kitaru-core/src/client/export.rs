//! Executions on their way out of the store, whole. Owns what is read of them; must not know what becomes of it.

use std::future::Future;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::client::execution::{Record, records};
use crate::client::history::History;
use crate::client::rows::{self, Stored};
use crate::client::{Inner, Kitaru, Target, blocking};
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Frame, Header, Status};
use crate::machine::Journal;
use crate::store::{Order, Reader, Table};

impl Kitaru {
    /// The history of an execution's newest generation: what it was asked, and all that it has recorded, but for the values
    /// of `sensitive` checkpoints. Kept as JSON beside the code it is a test of later code; see
    /// [`testkit::replay`](crate::testkit::replay).
    ///
    /// # Errors
    ///
    /// When there is no such execution, or the store cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::{Error, dynamic::flow};
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let report = || flow("report").run(|| async { Ok::<_, Error>(7) });
    /// let handle = report().id("job-42").on(&kitaru).start().await?;
    /// let (flow, id) = (handle.flow().to_owned(), handle.id().to_owned());
    /// handle.await?;
    /// let history = kitaru.export(&(&*flow, &*id)).await?;
    /// assert!(history.to_string().contains(r#""flow": "report""#));
    /// # Ok(()) }
    /// ```
    pub fn export(&self, execution: &(impl Target + ?Sized)) -> impl Future<Output = Result<History, Error>> + Send {
        let (flow, id) = execution.target();
        let wanted = ExecutionId::new(flow, id);
        let inner = self.inner.clone();
        async move { inner.history(wanted?).await }
    }
}

impl Inner {
    async fn history(self: Arc<Self>, wanted: ExecutionId) -> Result<History, Error> {
        blocking(move || {
            let reader = &self.runtime.reader;
            let stored = rows::newest(reader, &wanted)?;
            let stored = stored.ok_or_else(|| Error::new(Kind::Misuse, format!("there is no execution {wanted}")))?;
            let generation = whole(reader, stored)?;
            History::of(&generation).map_err(|why| rows::malformed(&generation.header.execution, "journal", why))
        })
        .await?
    }
}

/// One generation of an execution, with all its records.
pub(crate) struct Generation {
    pub(crate) header: Header,
    pub(crate) status: Status,
    /// Why it failed, was cancelled or is stuck.
    pub(crate) reason: String,
    pub(crate) journal: Journal,
}

impl Generation {
    /// What it came to, for people; nothing, if its last record does not say.
    pub(crate) fn outcome(&self) -> String {
        match self.journal.indices().last().map(|last| self.journal.frame(last)) {
            Some(Ok(Frame::End(end))) => end.preview.to_owned(),
            _ => String::new(),
        }
    }

    /// What its checkpoints came to.
    pub(crate) fn records(&self) -> Result<Vec<Record>, Error> {
        let read = records(&self.journal);
        read.map(|(records, _)| records).map_err(|why| rows::malformed(&self.header.execution, "journal", why))
    }
}

/// Every generation of a store, in the order in which they began.
pub(crate) fn generations(reader: &Reader) -> Result<Vec<Generation>, Error> {
    let mut journals = Vec::new();
    let all = (Bound::Unbounded, Bound::Unbounded);
    reader.scan(Table::Execution, all, Order::Ascending, &mut |key, _| {
        journals.extend(key.first_chunk().map(|key| JournalId(u64::from_be_bytes(*key))));
        ControlFlow::Continue(())
    })?;
    let stored = journals.into_iter().filter_map(|journal| rows::stored(reader, journal).transpose());
    stored.map(|stored| whole(reader, stored?)).collect()
}

fn whole(reader: &Reader, stored: Stored) -> Result<Generation, Error> {
    let journal = rows::journal(reader, &stored)?;
    let Stored { header, state, .. } = stored;
    Ok(Generation { header, status: state.status, reason: state.reason, journal })
}
