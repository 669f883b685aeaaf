//! Paths into values.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::*;

#[test]
fn a_path_into_json_ends_where_its_error_is() {
    let json = br#"{"a":[{"b":1},{"c \"]":{"d":[2,3]}}],"e":4}"#;
    let at = |text: &str| {
        let found = json.windows(text.len()).position(|window| window == text.as_bytes());
        text::path(json, found.unwrap_or_default() + text.len())
    };
    assert_eq!(at("{"), "");
    assert_eq!(at("{\"b\":1"), ".a[0].b");
    assert_eq!(at("{\"b\":1}"), ".a[0]");
    assert_eq!(at("[2"), ".a[1][\"c \\\"]\"].d[0]");
    assert_eq!(at("3]"), ".a[1][\"c \\\"]\"].d");
    assert_eq!(at("\"e\":"), ".e");
    for end in 0..100 {
        let _ = text::path(json, end);
        let _ = text::path(&json[..end.min(json.len())], 100);
    }
}

#[test]
fn parts_that_json_cannot_express_are_found_the_worst_first() {
    let value = (f32::NAN, u128::MAX, Some(()), BTreeMap::from([("k", vec![Some(f64::INFINITY)])]), Some(1));
    let walked = walk::walk(&value);
    assert_eq!(walked.worst("").map(|found| &*found.at), Some("[0]"));
    assert_eq!(walked.worst("[3]").map(|found| &*found.at), Some("[3].k[0]"));
    assert_eq!(walked.found_at("[2]"), Some(Inexpressible::Nothing));
    assert_eq!(walked.found_at("[1]"), Some(Inexpressible::Large));
    assert_eq!(walked.found_at("[4]"), None);
    let keys = walk::walk(&HashMap::from([(Some(vec![1]), f64::NAN)]));
    assert_eq!(keys.worst("").map(|found| found.found), Some(Inexpressible::Key));
    assert!(walk::walk(&BTreeMap::from([(7, 'a')])).worst("").is_none());
}

#[test]
fn the_first_difference_of_two_values_is_found() {
    let difference = |a: serde_json::Value, b: serde_json::Value| walk::walk(&a).first_difference(&walk::walk(&b));
    assert_eq!(difference(json!({"a": [1, 2]}), json!({"a": [1, 3]})).as_deref(), Some(".a[1]"));
    assert_eq!(difference(json!({"a": [1]}), json!({"a": [1, 3]})).as_deref(), Some(".a[1]"));
    assert_eq!(difference(json!({"a b": 1}), json!({})).as_deref(), Some("[\"a b\"]"));
    assert_eq!(difference(json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1})), None);
}

#[test]
fn a_type_is_named_without_the_paths_to_it() {
    assert_eq!(type_name::<Vec<(Misfit, [Option<&str>; 2])>>(), "Vec<(Misfit, [Option<&str>; 2])>");
    assert_eq!(type_name::<u8>(), "u8");
    assert_eq!(type_name::<HashMap<String, serde_json::Value>>(), "HashMap<String, Value>");
}
