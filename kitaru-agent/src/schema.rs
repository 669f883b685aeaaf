//! JSON schemas: of types, and whether a value fits.
//!
//! Owns the check. Must not know what a value is for.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// How many things that are wrong with a value are told at once.
const MAX_COMPLAINTS: usize = 5;
/// A model is told no more than this of one thing that is wrong: what it wrote may be long, and it knows it.
const MAX_COMPLAINT_CHARS: usize = 300;

/// A JSON schema, ready to check values.
pub(crate) struct Schema(jsonschema::Validator);

impl Schema {
    /// Gives back what is wrong with a schema that is none.
    pub(crate) fn compile(schema: &Value) -> Result<Self, String> {
        jsonschema::validator_for(schema).map(Self).map_err(|error| error.to_string())
    }

    /// What is wrong with a value that does not fit, for the model to read.
    pub(crate) fn complaint(&self, value: &Value) -> Option<String> {
        let complaints: Vec<_> = self.0.iter_errors(value).take(MAX_COMPLAINTS).map(|error| shown(&error)).collect();
        (!complaints.is_empty()).then(|| complaints.join("; "))
    }
}

fn shown(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let text = if place.is_empty() { error.to_string() } else { format!("at {place}: {error}") };
    match text.char_indices().nth(MAX_COMPLAINT_CHARS) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

/// The schema of what `T` deserializes from, without what is said to people alone.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.meta_schema = None);
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value();
    if let Value::Object(schema) = &mut schema {
        // The name of a Rust type says nothing to a model.
        schema.remove("title");
    }
    schema
}

/// The name of the one property of an object around a value that is none itself.
pub(crate) const WRAPPED: &str = "result";

/// A schema of an object, which is all that providers take: `schema`, or that of an object around what it describes.
pub(crate) fn as_object(schema: Value) -> (Value, Wrapped) {
    if schema["type"] == "object" {
        return (schema, Wrapped::No);
    }
    let (definitions, schema) = match schema {
        Value::Object(mut schema) => (schema.remove("$defs"), Value::Object(schema)),
        other => (None, other),
    };
    let mut object = Map::new();
    object.insert("type".into(), "object".into());
    object.insert("properties".into(), json!({ WRAPPED: schema }));
    object.insert("required".into(), json!([WRAPPED]));
    object.insert("additionalProperties".into(), false.into());
    // References count from the root.
    object.extend(definitions.map(|definitions| ("$defs".to_owned(), definitions)));
    (Value::Object(object), Wrapped::Yes)
}

/// Whether [`as_object`] had to put an object around a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapped {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    struct Place {
        /// Where it is.
        city: String,
        size: Size,
    }

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    enum Size {
        Small,
        Large(u32),
    }

    #[test]
    fn a_schema_holds_what_a_model_needs_and_neither_title_nor_draft() {
        let schema = of::<Place>();
        assert_eq!(schema["properties"]["city"]["description"], "Where it is.");
        assert_eq!((schema.get("title"), schema.get("$schema")), (None, None));
    }

    #[test]
    fn what_is_no_object_is_put_into_one_and_its_references_still_hold() {
        assert_eq!(as_object(of::<Place>()).1, Wrapped::No);
        let (schema, wrapped) = as_object(of::<Vec<Place>>());
        assert_eq!(wrapped, Wrapped::Yes);
        let check = Schema::compile(&schema).unwrap();
        assert_eq!(check.complaint(&json!({ "result": [{ "city": "Brest", "size": { "Large": 3 } }] })), None);
        let complaint = check.complaint(&json!({ "result": [{ "city": 3, "size": "Small" }] })).unwrap();
        assert_eq!(complaint, r#"at /result/0/city: 3 is not of type "string""#);
    }

    #[test]
    fn complaints_are_bounded_in_number_and_length() {
        let check = Schema::compile(&json!({ "items": { "type": "integer" } })).unwrap();
        let complaint = check.complaint(&json!(vec!["x".repeat(10_000); 100])).unwrap();
        assert_eq!(complaint.split("; ").count(), MAX_COMPLAINTS);
        assert!(complaint.len() < 2 * MAX_COMPLAINTS * MAX_COMPLAINT_CHARS, "{}", complaint.len());
    }
}
