//! Forms made from the JSON schema of an answer. Owns how a schema becomes fields and the fields a value again; must not know
//! what is asked.

use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::problem::Problem;

/// How a value is asked for.
enum Field<'a> {
    Boolean,
    Choice(Vec<&'a str>),
    Number {
        integer: bool,
    },
    Text,
    Object(&'a Map<String, Value>),
    /// Anything else is written as JSON.
    Json,
}

fn field(schema: &Value) -> Field<'_> {
    let choices = schema["enum"].as_array().map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    match (choices, schema["type"].as_str()) {
        (Some(choices), _)
            if !choices.is_empty() && schema["enum"].as_array().is_some_and(|all| all.len() == choices.len()) =>
        {
            Field::Choice(choices)
        }
        (_, Some("boolean")) => Field::Boolean,
        (_, Some("integer")) => Field::Number { integer: true },
        (_, Some("number")) => Field::Number { integer: false },
        (_, Some("string")) => Field::Text,
        (_, Some("object")) => match schema["properties"].as_object() {
            Some(properties) if properties.values().all(is_flat) && !properties.is_empty() => Field::Object(properties),
            _ => Field::Json,
        },
        _ => Field::Json,
    }
}

fn is_flat(schema: &Value) -> bool {
    !matches!(field(schema), Field::Object(_))
}

/// The name of the field that holds a whole answer, and the beginning of the names of its parts.
const WHOLE: &str = "value";

/// The fields of an answer, and its buttons.
pub(super) fn fields(schema: &Value, id: &str) -> Markup {
    html! {
        @match field(schema) {
            Field::Boolean => div.row {
                button.main type="submit" name=(WHOLE) value="true" { "Yes" }
                button type="submit" name=(WHOLE) value="false" { "No" }
            },
            Field::Object(properties) => {
                @for (name, part) in properties {
                    @let (id, required) = (format!("{id}-{name}"), is_required(schema, name));
                    label for=(id) { (part["title"].as_str().unwrap_or(name)) @if !required { span.faint { " (may be left out)" } } }
                    @if let Some(what) = part["description"].as_str() { p.faint { (what) } }
                    (input(part, &format!("{WHOLE}.{name}"), &id, required))
                }
                p { button.main type="submit" { "Answer" } }
            },
            _ => {
                label for=(id) { "Answer" }
                (input(schema, WHOLE, id, true))
                p { button.main type="submit" { "Answer" } }
            },
        }
    }
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|all| all.iter().any(|required| required == name))
}

fn input(schema: &Value, name: &str, id: &str, required: bool) -> Markup {
    html! {
        @match field(schema) {
            Field::Boolean => select id=(id) name=(name) {
                @if !required { option value="" { "" } }
                option value="true" { "yes" }
                option value="false" { "no" }
            },
            Field::Choice(choices) => select id=(id) name=(name) {
                @if !required { option value="" { "" } }
                @for choice in choices { option value=(choice) { (choice) } }
            },
            Field::Number { integer } => input id=(id) type="number" name=(name) step=(if integer { "1" } else { "any" }) required[required];,
            Field::Text => textarea id=(id) name=(name) {},
            Field::Object(_) | Field::Json => {
                textarea id=(id) name=(name) required[required] spellcheck="false" placeholder="JSON" {}
                details { summary.faint { "Its schema" } pre { (serde_json::to_string_pretty(schema).unwrap_or_default()) } }
            },
        }
    }
}

/// The value that a form holds.
pub(super) fn read(schema: &Value, fields: &[(String, String)]) -> Result<Value, Problem> {
    let get = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let Field::Object(properties) = field(schema) else {
        return part(schema, get(WHOLE).unwrap_or_default(), "the answer");
    };
    let mut object = Map::new();
    for (name, schema_of_part) in properties {
        let given = get(&format!("{WHOLE}.{name}")).unwrap_or_default();
        if given.is_empty() && !is_required(schema, name) {
            continue;
        }
        object.insert(name.clone(), part(schema_of_part, given, name)?);
    }
    Ok(Value::Object(object))
}

fn part(schema: &Value, given: &str, name: &str) -> Result<Value, Problem> {
    match field(schema) {
        Field::Text | Field::Choice(_) => Ok(Value::String(given.replace("\r\n", "\n"))),
        _ => serde_json::from_str(given)
            .map_err(|why| Problem::misuse(format!("cannot read {name:?} as JSON: {why}; go back and correct it"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn form_of_a_schema_gives_a_value_that_fits_it() {
        assert_eq!(read(&json!({ "type": "boolean" }), &given(&[("value", "true")])).unwrap(), json!(true));
        assert_eq!(read(&json!({ "type": "string" }), &given(&[("value", "7\r\n8")])).unwrap(), json!("7\n8"));
        assert_eq!(read(&json!({ "enum": ["a", "b"] }), &given(&[("value", "b")])).unwrap(), json!("b"));
        assert_eq!(read(&json!({}), &given(&[("value", "[1]")])).unwrap(), json!([1]));
        let object = json!({
            "type": "object",
            "properties": { "n": { "type": "integer" }, "why": { "type": "string" }, "any": {} },
            "required": ["n"],
        });
        let fields = given(&[("value.n", "3"), ("value.why", ""), ("value.any", "{\"a\":1}")]);
        assert_eq!(read(&object, &fields).unwrap(), json!({ "n": 3, "any": { "a": 1 } }));
        assert!(read(&object, &given(&[("value.n", "three")])).unwrap_err().body().detail.contains("\"n\""));
    }

    #[test]
    fn text_of_a_schema_is_escaped() {
        let schema = json!({ "type": "object", "properties": { "<script>": { "type": "string", "title": "<b>" } } });
        let form = fields(&schema, "a").into_string();
        assert!(!form.contains("<script>") && !form.contains("<b>"), "{form}");
    }
}
