//! What a person says of a body that may or may not have run. Owns the question and what its answer means; must not know
//! how it is asked.

use serde::{Deserialize, Serialize};

use crate::call::Checkpoint;
use crate::call::outcome::Unpack;
use crate::call::wait::Question;
use crate::error::{Error, Kind};
use crate::journal::{Class, Payload};
use crate::value::{Codec, shallow};

/// What became of an `at_most_once` body with `on_interrupt = "ask"` whose process died in it: the answer to the wait that
/// goes by its checkpoint's visible name, given with [`Kitaru::answer`](crate::Kitaru::answer).
///
/// As JSON it is `{"happened": …}`, `"run_again"` or `{"fail": "why"}`.
///
/// # Examples
///
/// ```no_run
/// # extern crate kitaru_core as kitaru;
/// # async fn doc(kitaru: &kitaru::Kitaru) -> Result<(), kitaru::Error> {
/// use kitaru::Resolution;
///
/// // The bank says that it was paid, under this number.
/// kitaru.answer(&("order", "job-42"), "charge", &Resolution::happened(&"receipt 7")?).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resolution(Said);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    Happened(serde_json::Value),
    RunAgain,
    Fail(String),
}

impl Resolution {
    /// It ran, and this is what it came to: what is in the `Ok` of the checkpoint's result. It is recorded, and the body does
    /// not run again.
    ///
    /// # Errors
    ///
    /// When the value cannot be serialized.
    pub fn happened<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let value = serde_json::to_value(shallow(value));
        let value = value.map_err(|why| Error::new(Kind::Misuse, format!("what happened cannot be serialized: {why}")));
        Ok(Resolution(Said::Happened(value?)))
    }

    /// It did not run, or may run twice: it runs now.
    pub fn run_again() -> Self {
        Resolution(Said::RunAgain)
    }

    /// The flow is given an [interrupted](Error::is_interrupted) error with this reason.
    pub fn fail(why: impl Into<String>) -> Self {
        Resolution(Said::Fail(why.into()))
    }
}

/// What an answer has the call do.
pub(super) enum Resolved<R> {
    Happened(R),
    RunAgain,
    Fail(Error),
}

/// Reads an answer as what the checkpoint takes.
///
/// # Errors
///
/// Why it does not fit.
pub(super) fn resolve<B: Checkpoint>(name: &str, json: &str) -> Result<Resolved<B::Output>, String> {
    let Resolution(said) = serde_json::from_str(json).map_err(|why| {
        format!("{why}; it takes {{\"happened\": …}} with the value, \"run_again\", or {{\"fail\": \"why\"}}")
    })?;
    match said {
        Said::RunAgain => Ok(Resolved::RunAgain),
        Said::Fail(why) => Ok(Resolved::Fail(Error::new(
            Kind::Interrupted,
            format!("checkpoint `{name}` was interrupted, and a person had it fail: {why}"),
        ))),
        Said::Happened(value) => {
            let bytes = value.to_string().into_bytes();
            let payload = Payload { class: Class::Value, codec: Codec::Json, shape: 0, bytes: &bytes };
            match B::unpack(&payload) {
                Ok(value) => Ok(Resolved::Happened(value)),
                Err(Unpack::Unreadable(why)) => Err(why.to_string()),
                Err(Unpack::CannotHold(error)) => Err(error.to_string()),
            }
        }
    }
}

/// What is asked.
pub(super) fn question(name: &str) -> Question {
    let schema = serde_json::json!({
        "title": "Resolution",
        "oneOf": [
            { "type": "object", "required": ["happened"], "properties": { "happened": {} }, "additionalProperties": false },
            { "const": "run_again" },
            {
                "type": "object", "required": ["fail"], "properties": { "fail": { "type": "string" } },
                "additionalProperties": false
            },
        ],
    });
    Question {
        text: format!(
            "The process died while `{name}` ran, and it is to run at most once. Did it happen? Answer with what it came \
             to, have it run again, or have it fail."
        ),
        schema: schema.to_string(),
        metadata: "{}".to_owned(),
        due_ms: 0,
    }
}
