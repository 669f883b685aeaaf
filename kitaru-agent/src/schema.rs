//! JSON schemas: of types, and whether a value fits.
//!
//! Owns the check. Must not know the purpose of a value.

mod effort;
mod references;
#[cfg(test)]
mod tests;

use effort::Effort;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// How many mistakes in a value are reported together.
const MAX_COMPLAINTS: usize = 5;
/// The longest report of one mistake: the model's text may be long, and the model knows it.
const MAX_COMPLAINT_CHARS: usize = 300;

/// A JSON schema, ready to check values.
pub(crate) struct Schema {
    validator: jsonschema::Validator,
    effort: Effort,
}

impl Schema {
    /// Fails with what is wrong with an invalid schema, or if the schema takes too much effort for any value.
    pub(crate) fn compile(schema: &Value) -> Result<Self, String> {
        let effort = Effort::of(schema)?;
        // Every check begins with the effort of an empty value.
        effort.check(&Value::Null)?;
        let validator = jsonschema::validator_for(schema).map_err(|error| error.to_string())?;
        Ok(Self { validator, effort })
    }

    /// What is wrong with a value, for the model to read.
    pub(crate) fn complaint(&self, value: &Value) -> Option<String> {
        if let Err(too_much) = self.effort.check(value) {
            return Some(too_much);
        }
        let complaints: Vec<_> =
            self.validator.iter_errors(value).take(MAX_COMPLAINTS).map(|error| shown(&error)).collect();
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

/// The schema of what `T` deserializes from, without the parts for people.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.meta_schema = None);
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value();
    if let Value::Object(schema) = &mut schema {
        // The name of a Rust type tells a model nothing.
        schema.remove("title");
    }
    schema
}

/// The name of the one property of an object around a value that is not an object.
pub(crate) const WRAPPED: &str = "result";

/// The schema of an object, which is all that providers accept: `schema`, or that of an object around what it describes.
pub(crate) fn as_object(schema: Value) -> (Value, Wrapped) {
    if schema["type"] == "object" {
        return (schema, Wrapped::No);
    }
    let mut definitions = Map::new();
    let mut schema = schema;
    if let Some(Value::Object(known)) = schema.as_object_mut().and_then(|schema| schema.remove("$defs")) {
        definitions = known;
    }
    // References start from the root, which is another one now. If something refers to the root, or to a place in it, the root
    // needs a name.
    let mut name = WRAPPED.to_owned();
    while definitions.contains_key(&name) {
        name.push('_');
    }
    let place = format!("#/$defs/{name}");
    let moved = std::iter::once(&mut schema).chain(definitions.values_mut()).map(|schema| move_root(schema, &place));
    if moved.fold(false, std::ops::BitOr::bitor) {
        definitions.insert(name, schema);
        schema = json!({ "$ref": place });
    }
    let mut object = Map::new();
    object.insert("type".into(), "object".into());
    object.insert("properties".into(), json!({ WRAPPED: schema }));
    object.insert("required".into(), json!([WRAPPED]));
    object.insert("additionalProperties".into(), false.into());
    if !definitions.is_empty() {
        object.insert("$defs".into(), definitions.into());
    }
    (Value::Object(object), Wrapped::Yes)
}

/// Redirects references to the root, and to places in it that are not definitions, to `place`. Returns whether there are any.
fn move_root(schema: &mut Value, place: &str) -> bool {
    let mut found = false;
    let visit: &mut references::Visit<'_> = &mut |words, _, _| {
        for word in references::REFERENCES {
            let Some(Value::String(reference)) = words.get_mut(word) else { continue };
            if reference == "#" || reference.starts_with("#/") && !reference.starts_with("#/$defs/") {
                *reference = format!("{place}{}", &reference[1..]);
                found = true;
            }
        }
        Ok(())
    };
    // The visit never fails.
    let _ = references::walk(schema, "", "", visit);
    found
}

/// Whether [`as_object`] put an object around a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapped {
    Yes,
    No,
}
