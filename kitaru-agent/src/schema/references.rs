//! References of a schema to its own parts.
//!
//! Owns their forms: pointers, names of anchors, the identity of a part. Must not know what a check visits.

use std::collections::HashMap;

use serde_json::{Map, Value};

pub(super) const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// The keywords that hold values, not schemas.
const VALUES: [&str; 4] = ["const", "enum", "default", "examples"];
/// The keywords that hold schemas under names, which are not keywords.
const NAMED: [&str; 6] =
    ["properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"];

/// The pointers to which these keywords refer, after [`as_pointers`].
pub(super) fn of(words: &Map<String, Value>) -> impl Iterator<Item = &str> {
    REFERENCES.into_iter().filter_map(|word| words.get(word)?.as_str())
}

/// The same schema, with each reference as a JSON pointer from the root. Fails with what is wrong if a reference leads nowhere
/// within the schema: nothing is fetched.
pub(super) fn as_pointers(schema: &Value) -> Result<Value, String> {
    let mut names = HashMap::new();
    walk(&mut schema.clone(), "", "", &mut |words, at, base| {
        for (word, name) in [("$id", None), ("$anchor", Some(base)), ("$dynamicAnchor", Some(base))] {
            if let Some(said) = words.get(word).and_then(Value::as_str) {
                let name = match name {
                    Some(base) => format!("{base}#{said}"),
                    None if said.starts_with('#') => format!("{base}{said}"),
                    None => said.trim_end_matches('#').to_owned(),
                };
                names.insert(name, at.to_owned());
            }
        }
        Ok(())
    })?;
    let mut pointers = schema.clone();
    walk(&mut pointers, "", "", &mut |words, _, base| {
        for word in REFERENCES {
            let Some(Value::String(reference)) = words.get_mut(word) else { continue };
            let pointer = pointer_of(reference, base, &names).filter(|pointer| schema.pointer(pointer).is_some());
            *reference = pointer.ok_or_else(|| format!("its reference `{reference}` leads nowhere within it"))?;
        }
        Ok(())
    })?;
    Ok(pointers)
}

/// The target of a reference in the part at `base`, which has an identity of its own.
fn pointer_of(reference: &str, base: &str, names: &HashMap<String, String>) -> Option<String> {
    let (identity, place) = reference.split_once('#').unwrap_or((reference, ""));
    let base = if identity.is_empty() {
        base
    } else {
        let relative = format!("/{identity}");
        let known = names.iter().find(|(name, _)| *name == identity || name.ends_with(&relative));
        known.map(|(_, at)| at.as_str())?
    };
    if place.is_empty() || place.starts_with('/') {
        return Some(format!("{base}{}", decoded(place)));
    }
    names.get(&format!("{base}#{place}")).cloned()
}

/// A pointer in a reference may be percent-encoded.
fn decoded(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let [first, others @ ..] = rest {
        let hex = others.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) type Visit<'a> = dyn FnMut(&mut Map<String, Value>, &str, &str) -> Result<(), String> + 'a;

/// Visits the keywords of each schema, with its place, and the place of the part whose identity applies.
pub(super) fn walk(schema: &mut Value, at: &str, base: &str, visit: &mut Visit<'_>) -> Result<(), String> {
    let below = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
    match schema {
        Value::Array(schemas) => {
            for (nth, schema) in schemas.iter_mut().enumerate() {
                walk(schema, &format!("{at}/{nth}"), base, visit)?;
            }
        }
        Value::Object(words) => {
            let is_identity = words.get("$id").and_then(Value::as_str).is_some_and(|id| !id.starts_with('#'));
            let base = if is_identity { at } else { base };
            visit(words, at, base)?;
            for (word, held) in words {
                if VALUES.contains(&word.as_str()) {
                    continue;
                }
                let at = below(word);
                match held {
                    Value::Object(named) if NAMED.contains(&word.as_str()) => {
                        for (name, schema) in named {
                            let name = name.replace('~', "~0").replace('/', "~1");
                            walk(schema, &format!("{at}/{name}"), base, visit)?;
                        }
                    }
                    held => walk(held, &at, base, visit)?,
                }
            }
        }
        _ => {}
    }
    Ok(())
}
