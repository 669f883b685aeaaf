//! What was recorded, as JSON for whoever looks at an execution. Owns what is read for it, and what nobody is shown; must
//! not know how a value is taken apart.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::journal::{Frame, Payload};
use crate::ledger::{Archive, Stored};
use crate::machine::Journal;
use crate::value::{self, HIDDEN};

pub use crate::value::NotShown;

/// A recorded value, as far as it is shown. See [`Record::value`](crate::Record::value).
///
/// A value kept as JSON, as `#[checkpoint(codec = "json")]` does, is that JSON. Any other looks as serde_json writes it, from
/// what its type gives to formats that are not for people: an `IpAddr`, for one, is `{"V4":[127,0,0,1]}`. Names are those by
/// which its type is read, and all fields are there. What JSON cannot say is an object with one field:
///
/// | value | JSON |
/// |---|---|
/// | a number that fits neither `u64` nor `i64` | `{"$number":"340282366920938463463374607431768211455"}` |
/// | a float that is no number | `{"$number":"NaN"}`, `{"$number":"Infinity"}`, `{"$number":"-Infinity"}` |
/// | bytes | `{"$bytes":"00ff"}`, in hexadecimal digits |
/// | a map with keys that are no texts, whole numbers, `bool`, `char` or variants without content | `{"$map":[[key,value],…]}` |
/// | `Some` of what is `null`, such as `Some(None)` | `{"$some":null}` |
///
/// A list of `u8` is a list of numbers: serde tells it from bytes only if its type says so. What is not UTF-8 is there as its
/// type writes it, as bytes or a list of numbers. A struct with `#[serde(alias = "…")]` on a field is a list of its fields in
/// their order, and an enum with it on a variant has the numbers of its variants in place of their names, `"1"` or `{"1":7}`:
/// serde does not say which of the names is whose.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ShownValue {
    /// The value.
    Json(serde_json::Value),
    /// As much of it as is shown in one line, because all of it cannot be.
    #[non_exhaustive]
    Preview {
        /// The value or the error, shortened for people to read.
        preview: String,
        /// How many bytes it takes in the store.
        bytes: usize,
        /// Why that is all.
        reason: NotShown,
    },
    /// It is of a `sensitive` checkpoint: nobody is shown it.
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

/// As a line for people: the JSON, a preview, `(sensitive)`.
impl fmt::Display for ShownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShownValue::Json(value) => value.fmt(f),
            ShownValue::Preview { preview, bytes, reason } => write!(f, "{preview} ({bytes} bytes; {reason})"),
            ShownValue::Sensitive => f.write_str(HIDDEN),
        }
    }
}

/// What values are shown of: the records, and the texts of their shapes. It is read with the records, and nothing is made
/// of it before it is asked for.
#[derive(Default)]
pub(super) struct Kept {
    journal: Journal,
    shapes: HashMap<u64, String>,
}

/// Values are not shown by the way.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("records", &self.journal.len()).finish_non_exhaustive()
    }
}

impl Kept {
    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Keeps the journal, and the shapes of what may be shown of it. A shape that cannot be read hides no execution: what
    /// would be shown by it is not shown.
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
        Arc::new(Kept { journal, shapes })
    }

    pub(super) fn show(&self, payload: &Payload<'_>, preview: &str) -> ShownValue {
        let shape = self.shapes.get(&payload.shape).map(String::as_str);
        match value::show(payload.codec, shape, payload.bytes) {
            Ok(value) => ShownValue::Json(value),
            Err(reason) => ShownValue::Preview { preview: preview.to_owned(), bytes: payload.bytes.len(), reason },
        }
    }
}
