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
    /// One of several, as an enum of Rust is.
    OneOf(Vec<Variant<'a>>),
    /// Anything else is written as JSON.
    Json,
}

/// One way to answer.
struct Variant<'a> {
    name: &'a str,
    what: Option<&'a str>,
    /// The value that it holds; none if its name is all.
    holds: Option<&'a Value>,
}

/// The variants of a schema, if each is a text or an object with one field, whose name is the variant.
fn variants(schema: &Value) -> Option<Vec<Variant<'_>>> {
    let all = schema["oneOf"].as_array()?;
    let mut variants = Vec::new();
    for one in all {
        let what = one["description"].as_str();
        if let Some(name) = one["const"].as_str() {
            variants.push(Variant { name, what, holds: None });
        } else if let Some(names) = one["enum"].as_array() {
            for name in names {
                variants.push(Variant { name: name.as_str()?, what, holds: None });
            }
        } else {
            let mut properties = one["properties"].as_object()?.iter();
            let (Some((name, holds)), None) = (properties.next(), properties.next()) else { return None };
            variants.push(Variant { name, what, holds: Some(holds) });
        }
    }
    (!variants.is_empty()).then_some(variants)
}

fn field(schema: &Value) -> Field<'_> {
    if let Some(variants) = variants(schema) {
        return Field::OneOf(variants);
    }
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
    !matches!(field(schema), Field::Object(_) | Field::OneOf(_))
}

/// The name of the field that says which variant is meant.
const VARIANT: &str = "variant";
/// The name of the field that holds a whole answer, and the beginning of the names of its parts.
const WHOLE: &str = "value";

/// The fields of an answer, and its buttons. `metadata` is what the flow says with the question: an argument of the same name as
/// a field is what the field begins with.
pub(super) fn fields(schema: &Value, metadata: &Value, id: &str) -> Markup {
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
                    (input(part, &format!("{WHOLE}.{name}"), &id, required, None, name))
                }
                p { button.main type="submit" { "Answer" } }
            },
            Field::OneOf(variants) => {
                @for (nth, variant) in variants.iter().enumerate() {
                    fieldset {
                        label { input type="radio" name=(VARIANT) value=(variant.name) checked[nth == 0]; " " (variant.name.replace('_', " ")) }
                        @if let Some(what) = variant.what { p.faint { (what) } }
                        @if let Some(holds) = variant.holds {
                            (input(holds, &format!("{WHOLE}.{}", variant.name), &format!("{id}-{nth}"), false, begins(holds, metadata), variant.name))
                        }
                    }
                }
                p { button.main type="submit" { "Answer" } }
            },
            _ => {
                label for=(id) { "Answer" }
                (input(schema, WHOLE, id, true, None, "Answer"))
                p { button.main type="submit" { "Answer" } }
            },
        }
    }
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|all| all.iter().any(|required| required == name))
}

/// What a field of any JSON begins with: the arguments that the question is about.
fn begins(schema: &Value, metadata: &Value) -> Option<String> {
    let arguments = metadata.get("arguments").filter(|_| matches!(field(schema), Field::Json))?;
    serde_json::to_string_pretty(arguments).ok()
}

fn input(schema: &Value, name: &str, id: &str, required: bool, begins: Option<String>, label: &str) -> Markup {
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
            Field::Text => textarea id=(id) name=(name) aria-label=(label) {},
            Field::Object(_) | Field::OneOf(_) | Field::Json => {
                textarea id=(id) name=(name) aria-label=(label) required[required] spellcheck="false" placeholder="JSON" rows="5" { (begins.unwrap_or_default()) }
                @if !schema.is_boolean() { details { summary.faint { "Its schema" } pre { (serde_json::to_string_pretty(schema).unwrap_or_default()) } } }
            },
        }
    }
}

/// The value that a form holds.
pub(super) fn read(schema: &Value, fields: &[(String, String)]) -> Result<Value, Problem> {
    let get = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let properties = match field(schema) {
        Field::Object(properties) => properties,
        Field::OneOf(variants) => {
            let meant = get(VARIANT).unwrap_or_default();
            let Some(variant) = variants.iter().find(|variant| variant.name == meant) else {
                return Err(Problem::misuse("cannot read the form: it has no choice; go back and choose"));
            };
            let Some(holds) = variant.holds else { return Ok(Value::String(meant.to_owned())) };
            let held = part(holds, get(&format!("{WHOLE}.{meant}")).unwrap_or_default(), meant)?;
            return Ok(Value::Object(Map::from_iter([(meant.to_owned(), held)])));
        }
        _ => return part(schema, get(WHOLE).unwrap_or_default(), "the answer"),
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
    fn form_of_an_enum_gives_the_variant_that_is_chosen_with_what_it_holds() {
        let schema = json!({ "oneOf": [
            { "const": "approve" },
            { "type": "object", "properties": { "approve_with": true }, "required": ["approve_with"] },
            { "type": "object", "properties": { "deny": { "type": "string" } }, "required": ["deny"] },
        ] });
        let chosen =
            |variant: &str| given(&[("variant", variant), ("value.approve_with", "{\"n\":1}"), ("value.deny", "why")]);
        assert_eq!(read(&schema, &chosen("approve")).unwrap(), json!("approve"));
        assert_eq!(read(&schema, &chosen("approve_with")).unwrap(), json!({ "approve_with": { "n": 1 } }));
        assert_eq!(read(&schema, &chosen("deny")).unwrap(), json!({ "deny": "why" }));
        assert!(read(&schema, &chosen("other")).is_err());
        let form = fields(&schema, &json!({ "arguments": { "euros": 250 } }), "a").into_string();
        assert!(form.contains("&quot;euros&quot;: 250"), "the field begins with the model's arguments: {form}");
    }

    #[test]
    fn text_of_a_schema_is_escaped() {
        let schema = json!({ "type": "object", "properties": { "<script>": { "type": "string", "title": "<b>" } } });
        let form = fields(&schema, &Value::Null, "a").into_string();
        assert!(!form.contains("<script>") && !form.contains("<b>"), "{form}");
    }
}
