//! One checkpoint's record, as it is shown.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::id::Seq;
use crate::journal::{self, Arg};
use crate::value::HIDDEN;
use crate::view::showing::{ShownValue, ValueSources};
use crate::view::time::{object, time};

/// The record of one checkpoint or wait.
#[derive(Clone, Debug)]
pub struct Record {
    pub(super) name: String,
    pub(super) checkpoint: String,
    pub(super) status: RecordStatus,
    pub(super) settled: bool,
    pub(super) forgotten: bool,
    pub(super) from_memo: bool,
    /// Its outcome must not be shown.
    pub(super) sensitive: bool,
    /// The source of its value.
    pub(super) kept: Option<Arc<ValueSources>>,
    pub(super) seq: Seq,
    pub(super) attempt: u32,
    pub(super) tries: u32,
    pub(super) failed: Vec<journal::FailedTryFrame>,
    pub(super) metadata: String,
    pub(super) started_ms: u64,
    pub(super) duration_us: u64,
    pub(super) preview: String,
    pub(super) args: Vec<Arg>,
    /// When the next try begins; 0 if none is due.
    pub(super) due_ms: u64,
    /// What it waits for, or empty.
    pub(super) awaited: String,
}

/// The status of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordStatus {
    /// Its outcome is a value.
    Completed,
    /// Its outcome is an error.
    Failed,
    /// An `at_most_once` body was about to run, and no outcome is known.
    Begun,
    /// It waits.
    Waiting,
}

/// `completed`, `failed`, `begun` or `waiting`.
impl fmt::Display for RecordStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordStatus::Completed => "completed",
            RecordStatus::Failed => "failed",
            RecordStatus::Begun => "begun",
            RecordStatus::Waiting => "waiting",
        })
    }
}

impl Record {
    /// Sets the source of its value.
    pub(super) fn show(&mut self, kept: &Arc<ValueSources>) {
        self.kept = Some(kept.clone());
    }

    /// The visible name: `draft`, `draft_2`, …, or the name set by `.named("…")`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The checkpoint's name.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Its status.
    pub fn status(&self) -> RecordStatus {
        self.status
    }

    /// Whether an error is the same on every further attempt. The next attempt runs the body again for one that is not settled.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether a person has had it forgotten, with [`Kitaru::resume`](crate::Kitaru::resume). A forgotten record no longer
    /// counts.
    pub fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    /// Whether the value was copied from another execution.
    pub fn is_from_memo(&self) -> bool {
        self.from_memo
    }

    /// Its number in the journal. Numbers ascend, with gaps.
    pub fn number(&self) -> u64 {
        self.seq.0
    }

    /// The attempt that made it. The first one is 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How often the body was tried.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// The tries that failed before the last one, at most the last 16 of them.
    pub fn failed_tries(&self) -> impl Iterator<Item = FailedTry<'_>> {
        self.failed.iter().map(FailedTry)
    }

    /// What its body attached with [`log`](crate::log()), as a JSON object.
    pub fn metadata(&self) -> serde_json::Value {
        object(&self.metadata)
    }

    /// When its body started.
    pub fn started(&self) -> SystemTime {
        time(self.started_ms)
    }

    /// How long its body took, with all its tries.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.duration_us)
    }

    /// The value or the error, shortened for people to read.
    pub fn preview(&self) -> &str {
        &self.preview
    }

    /// The arguments in its key, by name, each shortened for people to read.
    pub fn arguments(&self) -> impl Iterator<Item = (&str, &str)> {
        self.args.iter().map(|arg| (&*arg.name, &*arg.preview))
    }

    /// Its outcome as JSON, without its type: the value, or the content of `Err`. A [`kitaru::Error`](crate::Error), and any
    /// error that is kept as one, is `["failed",["what failed","why"]]`: its kind, and its messages, the outermost first.
    /// `None` if no outcome is recorded.
    ///
    /// [`ShownValue`] describes the JSON. It is made by this call, within bounds on its size.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::{Error, dynamic::{checkpoint, flow}};
    /// # use serde::{Deserialize, Serialize};
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// use kitaru::ShownValue;
    /// use serde_json::json;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Quote {
    ///     price: u32,
    ///     currency: Option<String>,
    /// }
    ///
    /// # let report = flow("report").run(|| async {
    /// #     let quote = || async { Ok::<_, Error>(Quote { price: 300, currency: Some("EUR".into()) }) };
    /// #     let quote: Quote = checkpoint("quote").run(quote).await?;
    /// #     let token: String = checkpoint("token").sensitive().run(|| async { Ok::<_, Error>("s3cr3t".into()) }).await?;
    /// #     Ok::<_, Error>((quote, token.len()))
    /// # });
    /// # report.id("job-42").on(&kitaru).await?;
    /// let execution = kitaru.execution(("report", "job-42")).await?.expect("it is there");
    /// let [quote, token] = execution.records() else { panic!("two checkpoints") };
    /// assert_eq!(quote.value(), Some(ShownValue::Json(json!({ "price": 300, "currency": "EUR" }))));
    /// assert_eq!(token.value(), Some(ShownValue::Sensitive));
    /// # Ok(()) }
    /// ```
    pub fn value(&self) -> Option<ShownValue> {
        if !matches!(self.status, RecordStatus::Completed | RecordStatus::Failed) {
            return None;
        }
        if self.sensitive {
            return Some(ShownValue::Sensitive);
        }
        let kept = self.kept.as_ref()?;
        let payload = kept.journal().payload(kept.journal().find(self.seq)?).ok()?;
        Some(kept.show(&payload, &self.preview))
    }

    /// Whether its checkpoint was `sensitive` when it was recorded, so that its arguments and its outcome are not shown. Before
    /// the outcome, only the arguments in the record show it, so a call without arguments counts as not sensitive. An older
    /// version did not record it; there the preview shows it.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::{Error, dynamic::{checkpoint, flow}};
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let login = flow("login").run(|| async {
    /// #     checkpoint("token").sensitive().run(|| async { Ok::<_, Error>("s3cr3t".to_owned()) }).await.map(|_| ())
    /// # });
    /// # login.id("job-42").on(&kitaru).await?;
    /// let execution = kitaru.execution(("login", "job-42")).await?.expect("it is there");
    /// assert!(execution.records()[0].is_sensitive());
    /// assert_eq!(execution.records()[0].preview(), "(sensitive)");
    /// # Ok(()) }
    /// ```
    pub fn is_sensitive(&self) -> bool {
        self.sensitive || self.args.iter().any(|arg| arg.preview == HIDDEN)
    }
}

/// A try of a body that failed and was followed by another one.
#[derive(Clone, Copy, Debug)]
pub struct FailedTry<'a>(&'a journal::FailedTryFrame);

impl<'a> FailedTry<'a> {
    /// The error, shortened for people to read.
    pub fn error(&self) -> &'a str {
        &self.0.error
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.0.took_us)
    }

    /// How long the next one waited.
    pub fn pause(&self) -> Duration {
        Duration::from_millis(self.0.pause_ms)
    }
}
