//! The face of a store: opening it, running flows on it, looking at what is in it. Must not know how an execution is driven or
//! how rows are kept.

mod builder;
mod cancel;
mod closing;
mod continue_as_new;
mod execution;
mod executions;
mod export;
mod flow_call;
mod handle;
mod history;
mod implicit;
mod mail;
mod resume;
mod watch;

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod outside_tests;

use std::sync::Arc;

use crate::engine::{Engine, closed};
use crate::error::Error;

pub(crate) use builder::Stage;
pub use builder::{KitaruBuilder, Recovery};
pub use cancel::{CancelRequest, Target};
pub use closing::CloseRequest;
pub use continue_as_new::ContinueAsNew;
pub use execution::{
    Execution, ExecutionQuery, NotShown, OpenWait, Pause, Record, RecordStatus, Relative, ShownValue, Try,
};
pub use executions::{Cursor, Executions, Page, Summary, Unreadable};
pub use flow_call::{FlowCall, flow_call, refused_flow};
pub use handle::Handle;
pub use history::History;
pub use mail::SignalRequest;
pub use resume::ResumeRequest;
pub use watch::Watch;

/// An open store, and the executions that this process drives on it.
///
/// A cheap handle: clones stand for the same store. The store is closed by [`close`](Kitaru::close); dropping the last
/// handle closes it too, in the background, so that another process may find it held a moment longer.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// use kitaru::Kitaru;
///
/// let kitaru = Kitaru::builder().in_memory().open().await?;
/// assert!(kitaru.execution("write_report", "job-42").await?.is_none());
/// kitaru.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct Kitaru {
    pub(crate) inner: Arc<Engine>,
}

impl Kitaru {
    /// Options for opening a store.
    pub fn builder() -> KitaruBuilder {
        KitaruBuilder::default()
    }

    fn check_open(&self) -> Result<(), Error> {
        self.inner.check_open()
    }
}
