//! Recorded values as JSON. Owns what is read for that, and what is never shown; must not know how a value is decoded.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::journal::{Frame, Payload};
use crate::ledger::{Archive, Stored};
use crate::machine::Journal;
use crate::value::{self, HIDDEN};

pub use crate::value::NotShown;

/// A recorded value, as far as it can be shown. See [`Record::value`](crate::Record::value).
///
/// A value that is stored as JSON, by `#[checkpoint(codec = "json")]`, is that JSON. Any other value looks as serde_json writes
/// it, from what its type serializes for binary formats: an `IpAddr`, for example, is `{"V4":[127,0,0,1]}`. Names are those
/// that deserialization uses, and all fields are present. What JSON cannot express is an object with one field:
///
/// | value | JSON |
/// |---|---|
/// | a number that fits neither `u64` nor `i64` | `{"$number":"340282366920938463463374607431768211455"}` |
/// | a float that is not a number | `{"$number":"NaN"}`, `{"$number":"Infinity"}`, `{"$number":"-Infinity"}` |
/// | bytes | `{"$bytes":"00ff"}`, in hexadecimal digits |
/// | a map whose keys are not texts, whole numbers, `bool`, `char` or variants without content | `{"$map":[[key,value],…]}` |
/// | `Some` of what is `null`, such as `Some(None)` | `{"$some":null}` |
///
/// A list of `u8` is a list of numbers: serde tells it from bytes only if its type says so. Text that is not UTF-8 appears as
/// its type writes it, as bytes or a list of numbers. A struct with `#[serde(alias = "…")]` on a field is a list of its fields
/// in order. An enum with an alias on a variant shows variant numbers instead of names, `"1"` or `{"1":7}`: serde does not say
/// which name belongs to which variant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ShownValue {
    /// The whole value.
    Json(serde_json::Value),
    /// One line of the value, because the whole value cannot be shown.
    #[non_exhaustive]
    Preview {
        /// The value or the error, shortened for people to read.
        preview: String,
        /// How many bytes it takes in the store.
        bytes: usize,
        /// Why the whole value is not shown.
        reason: NotShown,
    },
    /// A value of a `sensitive` checkpoint, which is never shown.
    Sensitive,
}

impl ShownValue {
    /// The value, if it is shown as a whole.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # use kitaru::{Error, Execution};
    /// fn total(order: &Execution) -> Option<u64> {
    ///     order.value()?.json()?.get("total")?.as_u64()
    /// }
    /// # #[tokio::main] async fn main() -> Result<(), Error> {
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Order { total: u64 }
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let flow = kitaru::dynamic::flow("order").run(|| async { Ok::<_, Error>(Order { total: 7 }) });
    /// # flow.id("job-42").on(&kitaru).await?;
    /// # assert_eq!(total(&kitaru.execution(("order", "job-42")).await?.unwrap()), Some(7));
    /// # Ok(()) }
    /// ```
    pub fn json(&self) -> Option<&serde_json::Value> {
        match self {
            ShownValue::Json(value) => Some(value),
            ShownValue::Preview { .. } | ShownValue::Sensitive => None,
        }
    }
}

/// A line for people: the JSON, a preview, or `(sensitive)`.
impl fmt::Display for ShownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShownValue::Json(value) => value.fmt(f),
            ShownValue::Preview { preview, bytes, reason } => write!(f, "{preview} ({bytes} bytes; {reason})"),
            ShownValue::Sensitive => f.write_str(HIDDEN),
        }
    }
}

/// The sources of values: the records, and the texts of their shapes. They are read with the records, and decoded only on
/// request.
#[derive(Default)]
pub(super) struct ValueSources {
    journal: Journal,
    shapes: HashMap<u64, String>,
}

/// Debug output shows no values.
impl fmt::Debug for ValueSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueSources").field("records", &self.journal.len()).finish_non_exhaustive()
    }
}

impl ValueSources {
    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Keeps the journal, and the shapes of what it may show. An unreadable shape does not hide the execution: only the values
    /// of that shape are not shown.
    pub(super) fn of(archive: &Archive, stored: &Stored, journal: Journal) -> Arc<Self> {
        let mut shapes = HashMap::new();
        let mut need = |codec, shape| {
            if value::needs_shape(codec) {
                shapes.insert(shape, String::new());
            }
        };
        need(stored.header.input_codec, stored.header.input_shape);
        for at in journal.indices() {
            match journal.frame(at) {
                Ok(Frame::Outcome(outcome)) if outcome.is_sensitive() => {}
                Ok(Frame::Outcome(outcome)) => need(outcome.payload.codec, outcome.payload.shape),
                Ok(Frame::End(end)) => need(end.payload.codec, end.payload.shape),
                _ => {}
            }
        }
        for (shape, text) in &mut shapes {
            *text = archive.shape_text(*shape).unwrap_or_default();
        }
        Arc::new(ValueSources { journal, shapes })
    }

    pub(super) fn show(&self, payload: &Payload<'_>, preview: &str) -> ShownValue {
        let shape = self.shapes.get(&payload.shape).map(String::as_str);
        match value::show(payload.codec, shape, payload.bytes) {
            Ok(value) => ShownValue::Json(value),
            Err(reason) => ShownValue::Preview { preview: preview.to_owned(), bytes: payload.bytes.len(), reason },
        }
    }
}
