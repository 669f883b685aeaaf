//! Schemas of types, around values, and hostile ones.

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
fn schema_that_is_not_an_object_is_put_into_one_and_keeps_its_references() {
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

/// Whether a schema accepts a value of `T`, as its own JSON, and refuses `other`.
fn takes<T>(value: &T, other: &serde_json::Value)
where
    T: JsonSchema + serde::Serialize,
{
    let (schema, wrapped) = as_object(of::<T>());
    let check = Schema::compile(&schema).unwrap();
    let of = |value: serde_json::Value| if wrapped == Wrapped::Yes { json!({ WRAPPED: value }) } else { value };
    let value = serde_json::to_value(value).unwrap();
    assert_eq!(check.complaint(&of(value.clone())), None, "{value} in {schema}");
    assert!(check.complaint(&of(other.clone())).is_some(), "{other} in {schema}");
}

#[test]
fn a_type_that_holds_itself_is_checked_as_what_it_is_in_every_form() {
    use serde::Serialize;

    #[derive(Serialize, JsonSchema)]
    enum External {
        Number(f64),
        Of(Vec<External>),
        Pair { one: Box<External>, other: Option<Box<External>> },
    }
    #[derive(Serialize, JsonSchema)]
    #[serde(tag = "type")]
    enum Internal {
        Leaf { n: u8 },
        Node { of: Vec<Internal> },
    }
    #[derive(Serialize, JsonSchema)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        Leaf(u8),
        Node(Vec<Adjacent>),
    }
    #[derive(Serialize, JsonSchema)]
    #[serde(untagged)]
    enum Untagged {
        Leaf(u8),
        Node(Vec<Untagged>),
        Named(std::collections::BTreeMap<String, Untagged>),
    }
    #[derive(Serialize, JsonSchema)]
    struct List(Vec<List>);
    #[derive(Serialize, JsonSchema)]
    struct Tree {
        of: Vec<Tree>,
        sum: Option<Box<External>>,
    }

    let pair = External::Pair { one: Box::new(External::Number(1.0)), other: None };
    takes(&External::Of(vec![External::Number(1.0), External::Of(vec![pair])]), &json!({ "Of": [{ "Number": "x" }] }));
    let node = Internal::Node { of: vec![Internal::Leaf { n: 1 }, Internal::Node { of: vec![] }] };
    takes(&node, &json!({ "type": "Node", "of": [{ "type": "Leaf" }] }));
    takes(&Adjacent::Node(vec![Adjacent::Leaf(1)]), &json!({ "t": "Node", "c": [{ "t": "Leaf", "c": [] }] }));
    let named = Untagged::Named([("a".to_owned(), Untagged::Leaf(1))].into());
    takes(&Untagged::Node(vec![Untagged::Leaf(1), named]), &json!([1, ["x"]]));
    takes(&List(vec![List(vec![])]), &json!([[1]]));
    takes(&vec![Tree { of: vec![], sum: Some(Box::new(External::Number(2.0))) }], &json!([{ "of": [1], "sum": null }]));
    takes(&Some(External::Number(1.0)), &json!({ "Number": [] }));
}

#[test]
fn references_to_places_in_the_root_still_lead_there_and_texts_that_look_so_stay() {
    let schema = json!({
        "type": "array",
        "items": { "anyOf": [{ "type": "integer" }, { "$ref": "#" }, { "$ref": "#/$defs/Word" }, { "$ref": "#/items/anyOf/0" }] },
        "$defs": { "Word": { "enum": ["a", { "$ref": "#" }] }, "result": { "type": "null" } },
    });
    let (schema, _) = as_object(schema);
    let check = Schema::compile(&schema).unwrap();
    assert_eq!(check.complaint(&json!({ "result": [1, [2, ["a"]], { "$ref": "#" }] })), None);
    assert!(check.complaint(&json!({ "result": ["b"] })).is_some());
    assert!(check.complaint(&json!({ "result": [null] })).is_some(), "a definition keeps its name: {schema}");
}

#[test]
fn schema_without_references_to_the_root_stays_the_same() {
    let (schema, _) = as_object(of::<Vec<Place>>());
    assert_eq!(schema["properties"]["result"]["items"], json!({ "$ref": "#/$defs/Place" }));
    let (plain, _) = as_object(json!({ "type": "integer" }));
    let around = json!({ "type": "object", "properties": { "result": { "type": "integer" } }, "required": ["result"], "additionalProperties": false });
    assert_eq!(plain, around);
}

/// `count` definitions, each of which is `refers` applied to the next one.
fn chain(count: usize, refers: impl Fn(serde_json::Value) -> serde_json::Value) -> serde_json::Value {
    let mut definitions = serde_json::Map::new();
    for nth in 0..count {
        definitions.insert(format!("d{nth}"), refers(json!({ "$ref": format!("#/$defs/d{}", nth + 1) })));
    }
    definitions.insert(format!("d{count}"), json!({ "type": ["object", "null"] }));
    definitions.into()
}

fn twice(next: serde_json::Value) -> serde_json::Value {
    json!({ "allOf": [next, next] })
}

#[test]
fn a_schema_that_looks_at_a_value_a_billion_times_is_refused_when_it_is_compiled() {
    for word in ["allOf", "anyOf", "oneOf"] {
        let bomb = json!({ "$ref": "#/$defs/d0", "$defs": chain(31, |next| json!({ word: [next, next] })) });
        let refused = Schema::compile(&bomb).err().unwrap();
        assert!(refused.contains("more than 300000 steps"), "{refused}");
    }
}

#[test]
fn a_schema_that_looks_so_often_at_some_values_refuses_those_alone() {
    let within = json!({ "properties": { "a": { "$ref": "#/$defs/d0" } }, "$defs": chain(31, twice) });
    let check = Schema::compile(&within).unwrap();
    assert_eq!(check.complaint(&json!({ "b": 1 })), None);
    assert!(check.complaint(&json!({ "a": 1 })).unwrap().contains("more than 300000 steps"));

    // Each level of the value doubles the effort.
    let doubling = json!({ "properties": { "a": { "allOf": [{ "$ref": "#" }, { "$ref": "#" }] } } });
    let check = Schema::compile(&doubling).unwrap();
    let nested = |depth| (0..depth).fold(json!({}), |value, _| json!({ "a": value }));
    assert_eq!(check.complaint(&nested(8)), None);
    assert!(check.complaint(&nested(40)).unwrap().contains("more than 300000 steps"));
}

#[test]
fn a_check_of_what_other_words_have_left_counts_each_look_of_it() {
    let nested = |levels, of: &dyn Fn(serde_json::Value) -> serde_json::Value| {
        (0..levels).fold(json!({ "properties": { "a": { "type": "string" } } }), |schema, _| of(schema))
    };
    let all: [&dyn Fn(serde_json::Value) -> serde_json::Value; 3] = [
        &|schema| json!({ "if": schema, "unevaluatedProperties": false }),
        &|schema| json!({ "anyOf": [schema], "unevaluatedItems": false }),
        &|schema| json!({ "dependentSchemas": { "a": schema }, "unevaluatedProperties": true }),
    ];
    for of in all {
        let refused = Schema::compile(&nested(40, of)).err().unwrap();
        assert!(refused.contains("more than 300000 steps"), "{refused}");
        assert!(Schema::compile(&nested(5, of)).is_ok(), "people write such");
    }
    let itself = json!({ "anyOf": [{ "$ref": "#" }], "unevaluatedProperties": false });
    assert!(Schema::compile(&itself).err().unwrap().contains("512 levels"));
}

#[test]
fn a_long_list_that_each_value_is_compared_with_counts_by_its_length() {
    let known: Vec<_> = (0..4_000).map(|number| json!([number])).collect();
    let check = Schema::compile(&json!({ "items": { "enum": known } })).unwrap();
    let given = |elements| (0..elements).map(|number| json!([number])).collect::<Vec<_>>().into();
    assert_eq!(check.complaint(&given(500)), None);
    assert!(check.complaint(&given(4_000)).unwrap().contains("more than 300000 steps"));
}

#[test]
fn a_schema_that_is_nested_deeper_than_the_stack_goes_is_refused() {
    for refers in [|next| json!({ "allOf": [next] }), |next| json!({ "properties": { "a": next } }), |next| next] {
        let deep = json!({ "$ref": "#/$defs/d0", "$defs": chain(10_000, refers) });
        let refused = Schema::compile(&deep).err().unwrap();
        assert!(refused.contains("nested deeper than 512 levels"), "{refused}");
    }
    // A schema within the bound is compiled and checked on a thread as small as those of a runtime.
    let near = json!({ "$ref": "#/$defs/d0", "$defs": chain(120, |next| json!({ "allOf": [next] })) });
    let check = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || Schema::compile(&near).unwrap().complaint(&json!(1)));
    assert!(check.unwrap().join().unwrap().unwrap().contains("not of type"));
}

#[test]
fn a_value_as_deep_as_json_may_be_is_checked_by_a_recursive_type() {
    let schema = json!({ "anyOf": [{ "type": "integer" }, { "type": "array", "items": { "$ref": "#" } }] });
    let deep: serde_json::Value = serde_json::from_str(&("[".repeat(125) + &"]".repeat(125))).unwrap();
    let check = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let check = Schema::compile(&as_object(schema).0).unwrap();
        (check.complaint(&json!({ "result": deep })), check.complaint(&json!({ "result": [["x"]] })).is_some())
    });
    assert_eq!(check.unwrap().join().unwrap(), (None, true));
}

#[test]
fn references_by_anchor_identity_and_percent_encoding_are_followed() {
    let named = json!({
        "$id": "https://example.org/root",
        "properties": {
            "a": { "$ref": "#word" }, "b": { "$ref": "part" }, "c": { "$ref": "#/$defs/a%20b~1c" }, "d": { "$ref": "https://example.org/root" },
        },
        "$defs": {
            "w": { "$anchor": "word", "type": "string" },
            "p": { "$id": "https://example.org/part", "$ref": "#/$defs/n", "$defs": { "n": { "type": "integer" } } },
            "a b/c": { "type": "boolean" },
        },
    });
    let check = Schema::compile(&named).unwrap();
    assert_eq!(check.complaint(&json!({ "a": "x", "b": 1, "c": true, "d": {} })), None);
    assert_eq!(check.complaint(&json!({ "a": 1, "b": "x", "c": 1, "d": { "a": 1 } })).unwrap().split("; ").count(), 4);
    for nowhere in ["#/$defs/x", "#x", "https://example.org/other", "file:///etc/passwd"] {
        let refused = Schema::compile(&json!({ "$ref": nowhere })).err().unwrap();
        assert!(refused.contains("leads nowhere"), "{refused}");
    }
}
