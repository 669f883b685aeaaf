//! What a person says about a body that may or may not have run. Owns the question and the meaning of its answer; must
//! not know how it is asked.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::body::Body;
use crate::call::outcome::Unpack;
use crate::error::{Error, Kind, cannot};
use crate::journal::{Arg, Class, Payload};
use crate::ledger::Question;
use crate::shown::short;
use crate::value::{Codec, Key, Sensitivity, shallow};

/// What happened to an `at_most_once` body with `on_interrupt = "ask"` whose process died while it ran. It is the
/// answer to the wait with the visible name of the checkpoint, given with [`Kitaru::answer`](crate::Kitaru::answer).
///
/// As JSON it is `{"happened": …}`, `"run_again"` or `{"fail": "why"}`. The wait's [schema](crate::OpenWait::schema)
/// says so. It includes the type that the checkpoint returns, if that has a JSON schema (`schemars::JsonSchema`). The
/// wait's [metadata](crate::OpenWait::metadata) identifies the call: its `arguments`, as a record shows them and unless
/// the checkpoint is `sensitive`, and the `idempotency_key` by which a service may know it.
///
/// # Examples
///
/// ```no_run
/// # extern crate kitaru_core as kitaru;
/// # async fn doc(kitaru: &kitaru::Kitaru) -> Result<(), kitaru::Error> {
/// use kitaru::Resolution;
///
/// // The bank says that it was paid, under this number.
/// kitaru.answer(("order", "job-42"), "charge", &Resolution::happened(&"receipt 7")?).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resolution(ResolutionForm);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ResolutionForm {
    Happened(Value),
    RunAgain,
    Fail(String),
}

impl Resolution {
    /// It ran with this outcome: the value in the `Ok` of the checkpoint's result. It is recorded, and the body does
    /// not run again.
    ///
    /// # Errors
    ///
    /// If the value cannot be serialized.
    pub fn happened<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let value = serde_json::to_value(shallow(value));
        let value = value.map_err(|why| {
            cannot!(Kind::Misuse, "give this outcome", "it cannot be serialized: {why}", "serialize it as another type")
        });
        Ok(Resolution(ResolutionForm::Happened(value?)))
    }

    /// It did not run, or may run twice: it runs now.
    pub fn run_again() -> Self {
        Resolution(ResolutionForm::RunAgain)
    }

    /// The flow gets an [interrupted](Error::is_interrupted) error with this reason.
    pub fn fail(why: impl Into<String>) -> Self {
        Resolution(ResolutionForm::Fail(why.into()))
    }
}

/// What an answer makes the call do.
pub(super) enum Resolved<R> {
    Happened(R),
    RunAgain,
    Fail(Error),
}

/// The form in which a person gives the outcome of a body.
pub(crate) enum Happened<R> {
    /// As the checkpoint's record would contain it.
    Recorded,
    /// The same, with its JSON schema if there is one.
    Described(fn() -> Option<Value>),
    /// As this JSON schema describes it, read by this function.
    Read(Box<(Value, Box<ReadHappened<R>>)>),
}

type ReadHappened<R> = dyn Fn(Value) -> Result<R, String> + Send + Sync;

impl<R> Happened<R> {
    /// The JSON schema of what a person gives. Any value, if it is unknown.
    fn schema(&self) -> Value {
        let known = match self {
            Happened::Recorded => None,
            Happened::Described(schema) => schema(),
            Happened::Read(read) => Some(read.0.clone()),
        };
        known.unwrap_or_else(|| serde_json::json!({}))
    }
}

/// Reads an answer as what the checkpoint takes.
///
/// # Errors
///
/// Why it does not fit.
pub(super) fn resolve<B: Body>(
    name: &str,
    json: &str,
    happened: &Happened<B::Output>,
) -> Result<Resolved<B::Output>, String> {
    let Resolution(said) = serde_json::from_str(json).map_err(|why| {
        format!("{why}; give {{\"happened\": …}} with the value, \"run_again\", or {{\"fail\": \"why\"}}")
    })?;
    match said {
        ResolutionForm::RunAgain => Ok(Resolved::RunAgain),
        ResolutionForm::Fail(why) => Ok(Resolved::Fail({
            let name = short(name);
            cannot!(
                Kind::Interrupted,
                "finish checkpoint `{name}`",
                "it was interrupted, and a person decided that it fails: {why}"
            )
        })),
        ResolutionForm::Happened(value) => match happened {
            Happened::Read(read) => read.1(value).map(Resolved::Happened),
            Happened::Recorded | Happened::Described(_) => {
                let bytes = value.to_string().into_bytes();
                let payload = Payload { class: Class::Value, codec: Codec::Json, shape: 0, bytes: &bytes };
                match B::unpack(&payload) {
                    Ok(value) => Ok(Resolved::Happened(value)),
                    Err(Unpack::Unreadable(why)) => Err(why.to_string()),
                    Err(Unpack::CannotHold(error)) => Err(error.to_string()),
                }
            }
        },
    }
}

/// The question. `metadata` identifies the call.
pub(super) fn question<R>(name: &str, metadata: String, happened: &Happened<R>) -> Question {
    Question {
        text: format!(
            "The process died while `{name}` ran, and it may run at most once. Did it happen? Answer with its \
             outcome, have it run again, or have it fail."
        ),
        schema: schema(happened.schema()).to_string(),
        metadata,
        due_ms: 0,
    }
}

/// The JSON schema of an answer, made of that of an outcome.
fn schema(mut outcome: Value) -> Value {
    // Its references are paths from the root of a schema.
    let definitions = outcome.as_object_mut().and_then(|outcome| {
        outcome.remove("$schema");
        outcome.remove("$defs")
    });
    let mut schema = serde_json::json!({
        "title": "Resolution",
        "oneOf": [
            {
                "type": "object", "required": ["happened"], "properties": { "happened": outcome },
                "additionalProperties": false
            },
            { "const": "run_again" },
            {
                "type": "object", "required": ["fail"], "properties": { "fail": { "type": "string" } },
                "additionalProperties": false
            },
        ],
    });
    if let Some(definitions) = definitions {
        schema["$defs"] = definitions;
    }
    schema
}

/// What identifies the call to a person: its arguments, as far as a record shows them, and the key by which a service
/// knows it. A JSON object.
pub(super) fn metadata(args: &[u8], sensitivity: Sensitivity, identity: Key) -> String {
    let mut metadata = serde_json::json!({ "idempotency_key": identity.hex() });
    if sensitivity == Sensitivity::Shown {
        let args = Arg::read_all(args).unwrap_or_default();
        // A preview is JSON unless it was cut.
        let shown = |preview: String| serde_json::from_str(&preview).unwrap_or(Value::String(preview));
        metadata["arguments"] = args.into_iter().map(|arg| (arg.name, shown(arg.preview))).collect();
    }
    metadata.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_of_an_outcomes_schema_are_where_its_references_look() {
        let outcome = serde_json::json!({ "$schema": "x", "$ref": "#/$defs/Receipt", "$defs": { "Receipt": {} } });
        let schema = schema(outcome);
        assert_eq!(schema["oneOf"][0]["properties"]["happened"], serde_json::json!({ "$ref": "#/$defs/Receipt" }));
        assert_eq!(schema["$defs"], serde_json::json!({ "Receipt": {} }));
    }
}
