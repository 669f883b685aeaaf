//! The effort of a check.
//!
//! Owns the bounds on it. A schema may come from anywhere, and a few lines can visit a value a billion times, or deeper than
//! the stack allows. The steps are counted before they are made. Must not know what makes a value valid.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::references;

/// A check with more visits to parts of a value is not made. They take a fraction of a second; the largest answers of models
/// need a tenth of them.
const MAX_STEPS: usize = 300_000;
/// Nor is a check whose visits are nested deeper, nor a schema compiled whose parts are. A recursive type whose values are as
/// deep as JSON allows needs some 400.
const MAX_DEPTH: usize = 512;

/// The keywords that check the same value again.
const OF_THE_VALUE: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];
/// The same, for keywords that hold schemas under names.
const OF_THE_VALUE_BY_NAME: [&str; 2] = ["dependentSchemas", "dependencies"];
/// The keywords that check each element.
const OF_ELEMENTS: [&str; 5] = ["items", "additionalItems", "prefixItems", "contains", "unevaluatedItems"];
/// The keywords that check each value of a field.
const OF_FIELDS: [&str; 3] = ["additionalProperties", "unevaluatedProperties", "propertyNames"];
/// The keywords that check the value once more, to find what the other keywords have left.
const OF_THE_REST: [&str; 2] = ["unevaluatedItems", "unevaluatedProperties"];
/// The keywords with a list that is compared with a value, or that names its fields.
const LISTS: [&str; 2] = ["enum", "required"];
/// How many elements of such a list cost as much as one visit.
const COMPARED_IN_A_STEP: usize = 16;

/// The parts of a schema that decide what is visited.
pub(super) struct Effort {
    /// Each reference in it is a pointer from the root.
    schema: Value,
}

/// The rest of the bounds.
struct Left {
    steps: usize,
    depth: usize,
}

impl Effort {
    /// Fails with what is wrong with a schema that is nested too deep, or that refers to nothing.
    pub(super) fn of(schema: &Value) -> Result<Self, String> {
        let effort = Effort { schema: references::as_pointers(schema)? };
        if effort.levels() > MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH} levels, references included"));
        }
        Ok(effort)
    }

    fn targets<'a>(&'a self, words: &'a Map<String, Value>) -> impl Iterator<Item = &'a Value> {
        references::of(words).filter_map(|pointer| self.schema.pointer(pointer))
    }

    /// How deep its parts are nested. A reference to a surrounding part adds nothing.
    fn levels(&self) -> usize {
        enum Step<'a> {
            Enter(&'a Value),
            Leave(&'a Value, Vec<&'a Value>),
        }
        // `None` while a part is being visited. An explicit stack, because the call stack is what could overflow.
        let mut levels: HashMap<*const Value, usize> = HashMap::new();
        let mut todo = vec![Step::Enter(&self.schema)];
        while let Some(step) = todo.pop() {
            match step {
                Step::Enter(schema) => {
                    if levels.contains_key(&std::ptr::from_ref(schema)) {
                        continue;
                    }
                    levels.insert(schema, 0);
                    let within: Vec<_> = match schema {
                        Value::Array(schemas) => schemas.iter().collect(),
                        Value::Object(words) => words.values().chain(self.targets(words)).collect(),
                        _ => continue,
                    };
                    todo.push(Step::Leave(schema, within.clone()));
                    todo.extend(within.into_iter().map(Step::Enter));
                }
                Step::Leave(schema, within) => {
                    let within = within.into_iter().filter_map(|part| levels.get(&std::ptr::from_ref(part)));
                    let deepest = within.max().copied().unwrap_or(0);
                    levels.insert(schema, deepest + 1);
                }
            }
        }
        levels.into_values().max().unwrap_or(0)
    }

    /// Fails with the reason if a check of `value` would take too much.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let mut left = Left { steps: MAX_STEPS, depth: MAX_DEPTH };
        self.look(&self.schema, value, &mut left).map_err(|TooMuch| {
            format!(
                "a check takes more than {MAX_STEPS} steps or {MAX_DEPTH} levels: the value is too large, or nested too deep, \
                 for this schema"
            )
        })
    }

    /// Counts every visit to `value` and its parts, even if a check would end before it.
    fn look(&self, schema: &Value, value: &Value, left: &mut Left) -> Result<(), TooMuch> {
        let Value::Object(words) = schema else { return Ok(()) };
        left.steps = left.steps.checked_sub(1).ok_or(TooMuch)?;
        left.depth = left.depth.checked_sub(1).ok_or(TooMuch)?;
        let compared: usize = LISTS.iter().filter_map(|word| words.get(*word)?.as_array()).map(Vec::len).sum();
        left.steps = left.steps.checked_sub(compared / COMPARED_IN_A_STEP).ok_or(TooMuch)?;
        for schema in self.of_the_value(words) {
            self.look(schema, value, left)?;
        }
        if OF_THE_REST.iter().any(|word| words.contains_key(*word)) {
            self.look_what_is_left(words, value, left)?;
        }
        match value {
            Value::Array(elements) => {
                let of_elements: Vec<_> = held(words, &OF_ELEMENTS).collect();
                for element in elements.iter().filter(|_| !of_elements.is_empty()) {
                    of_elements.iter().try_for_each(|schema| self.look(schema, element, left))?;
                }
            }
            Value::Object(fields) => {
                let by_name = |word| words.get(word).and_then(Value::as_object);
                let by_pattern = by_name("patternProperties").into_iter().flat_map(Map::values);
                let of_fields: Vec<_> = held(words, &OF_FIELDS).chain(by_pattern).collect();
                for (name, field) in fields {
                    if let Some(schema) = by_name("properties").and_then(|known| known.get(name)) {
                        self.look(schema, field, left)?;
                    }
                    of_fields.iter().try_for_each(|schema| self.look(schema, field, left))?;
                }
            }
            _ => {}
        }
        left.depth += 1;
        Ok(())
    }

    /// The schemas that check the same value.
    fn of_the_value<'a>(&'a self, words: &'a Map<String, Value>) -> impl Iterator<Item = &'a Value> {
        let by_name = OF_THE_VALUE_BY_NAME.iter().filter_map(|word| words.get(*word)?.as_object());
        self.targets(words).chain(held(words, &OF_THE_VALUE)).chain(by_name.flat_map(Map::values))
    }

    /// Counts the visits that find what the keywords of a schema have left of a value: which of its schemas match, and what
    /// each of those has left.
    fn look_what_is_left(&self, words: &Map<String, Value>, value: &Value, left: &mut Left) -> Result<(), TooMuch> {
        left.depth = left.depth.checked_sub(1).ok_or(TooMuch)?;
        for schema in self.of_the_value(words) {
            self.look(schema, value, left)?;
            if let Value::Object(words) = schema {
                self.look_what_is_left(words, value, left)?;
            }
        }
        left.depth += 1;
        Ok(())
    }
}

struct TooMuch;

/// The schemas in these keywords of a schema, alone or in lists.
fn held<'a>(words: &'a Map<String, Value>, of: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    of.iter().filter_map(|word| words.get(*word)).flat_map(|held| match held {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    })
}
