//! [`Metrics`] as JSON. Owns the names of the fields, as `json` does those of the other views.

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use crate::clock::{micros, millis, unix_ms};
use crate::journal::Status;
use crate::view::metrics::{CommitMetrics, FlowFailure, FlowMetrics, Metrics};

/// Counts by status: every status has one.
struct StatusMap<F>(F);

impl<F: Fn(Status) -> u64> Serialize for StatusMap<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Status::ALL.len()))?;
        for status in Status::ALL {
            map.serialize_entry(&status, &self.0(status))?;
        }
        map.end()
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a, E: Serialize> {
            executions: E,
            flows: &'a [FlowMetrics],
            uncounted: u64,
            counted_ms: u64,
            oldest_wait: Option<Oldest<'a>>,
            due: usize,
            opened_ms: u64,
            checkpoints_run: u64,
            checkpoints_replayed: u64,
            retries: u64,
            commits: CommitMetrics,
            queued_writes: usize,
            queued_bytes: usize,
            folder: Option<String>,
            format: Option<u32>,
            bytes: u64,
        }
        #[derive(Serialize)]
        struct Oldest<'a> {
            flow: &'a str,
            id: &'a str,
            since_ms: u64,
        }
        let oldest_wait = self.oldest_wait();
        let form = Form {
            executions: StatusMap(|status| self.executions(status)),
            flows: self.flows(),
            uncounted: self.uncounted(),
            counted_ms: unix_ms(self.counted()),
            oldest_wait: oldest_wait.as_ref().map(|(execution, since)| Oldest {
                flow: execution.flow(),
                id: execution.id(),
                since_ms: unix_ms(*since),
            }),
            due: self.due(),
            opened_ms: unix_ms(self.opened()),
            checkpoints_run: self.checkpoints_run(),
            checkpoints_replayed: self.checkpoints_replayed(),
            retries: self.retries(),
            commits: self.commits(),
            queued_writes: self.queued_writes(),
            queued_bytes: self.queued_bytes(),
            folder: self.folder().map(|folder| folder.display().to_string()),
            format: self.format(),
            bytes: self.bytes(),
        };
        form.serialize(serializer)
    }
}

impl Serialize for CommitMetrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<W: Serialize> {
            count: u64,
            failed: u64,
            took_us: u64,
            within: W,
        }
        let form = Form {
            count: self.count(),
            failed: self.failed(),
            took_us: micros(self.took()),
            within: CommitClasses(self),
        };
        form.serialize(serializer)
    }
}

/// How many commits took at most how long.
struct CommitClasses<'a>(&'a CommitMetrics);

impl Serialize for CommitClasses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Class {
            us: u64,
            commits: u64,
        }
        let mut classes = serializer.serialize_seq(None)?;
        for (bound, commits) in self.0.within() {
            classes.serialize_element(&Class { us: micros(bound), commits })?;
        }
        classes.end()
    }
}

impl Serialize for FlowMetrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a, E: Serialize> {
            flow: &'a str,
            is_known: bool,
            executions: E,
            looked_at: u64,
            reaches_ms: Option<u64>,
            started_last_hour: u64,
            started_last_day: u64,
            ended_last_hour: u64,
            ended_last_day: u64,
            failed_last_hour: u64,
            failed_last_day: u64,
            median_ms: Option<u64>,
            p95_ms: Option<u64>,
            last_failure: Option<&'a FlowFailure>,
        }
        let form = Form {
            flow: self.flow(),
            is_known: self.is_known(),
            executions: StatusMap(|status| self.executions(status)),
            looked_at: self.looked_at(),
            reaches_ms: self.reaches().map(unix_ms),
            started_last_hour: self.started_last_hour(),
            started_last_day: self.started_last_day(),
            ended_last_hour: self.ended_last_hour(),
            ended_last_day: self.ended_last_day(),
            failed_last_hour: self.failed_last_hour(),
            failed_last_day: self.failed_last_day(),
            median_ms: self.took(0.5).map(millis),
            p95_ms: self.took(0.95).map(millis),
            last_failure: self.last_failure(),
        };
        form.serialize(serializer)
    }
}

impl Serialize for FlowFailure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            id: &'a str,
            error: &'a str,
            at_ms: u64,
        }
        Form { id: self.execution().id(), error: self.error(), at_ms: unix_ms(self.time()) }.serialize(serializer)
    }
}
