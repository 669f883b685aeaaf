//! The read model. Owns what is shown of executions, and its JSON; must not know who asks, nor what drives an execution.

mod audit;
mod bulk;
mod cursor;
mod diff;
mod execution;
mod filter;
mod fold;
mod fork;
mod history;
mod json;
mod list;
mod metrics;
mod metrics_json;
mod pauses;
mod record;
mod reference;
mod showing;
mod time;
mod wait;

pub use audit::AuditEntry;
pub use bulk::BulkReport;
pub use cursor::Cursor;
pub use diff::{Diff, DiffState, RecordDiff};
pub use execution::Execution;
pub(crate) use execution::read;
pub(crate) use filter::Filter;
#[cfg(feature = "testkit")]
pub(crate) use fold::records;
pub use fork::{ForkEffect, ForkLink, ForkPlan};
pub use history::History;
#[cfg(test)]
pub(crate) use history::MOST_HISTORY_BYTES;
pub use list::{Page, Summary, Unreadable};
pub use metrics::{CommitMetrics, FlowFailure, FlowMetrics, Metrics};
pub(crate) use metrics::{FlowSample, ProcessLoad, StoreCounts};
pub use pauses::Pause;
pub use record::{FailedTry, Record, RecordStatus};
pub use reference::ExecutionRef;
pub use showing::{NotShown, ShownValue};
pub use wait::OpenWait;
