//! How much effort a check takes.
//!
//! Owns the bounds on it: a schema may come from anybody, and one of a few lines can have a value looked at a billion
//! times, or deeper than the stack goes. The steps are counted before they are made. Must not know what a value has to
//! be like.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::references;

/// A check that takes more looks at parts of a value is not made. They take a fraction of a second, and the largest
/// answers of models some tenth of them.
const MAX_STEPS: usize = 300_000;
/// Nor is one whose looks are nested deeper, nor a schema compiled whose parts are. A recursive type whose values are as
/// deep as JSON may be takes some 400.
const MAX_DEPTH: usize = 512;

/// The words by which a schema has the same value looked at again.
const OF_THE_VALUE: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];
/// The same, where they hold schemas under names.
const OF_THE_VALUE_BY_NAME: [&str; 2] = ["dependentSchemas", "dependencies"];
/// The words by which it has each element looked at.
const OF_ELEMENTS: [&str; 5] = ["items", "additionalItems", "prefixItems", "contains", "unevaluatedItems"];
/// The words by which it has each value of a field looked at.
const OF_FIELDS: [&str; 3] = ["additionalProperties", "unevaluatedProperties", "propertyNames"];
/// The words by which it has the value looked at once more, to know what its other words have left.
const OF_THE_REST: [&str; 2] = ["unevaluatedItems", "unevaluatedProperties"];
/// The words that hold a list with which a value is compared, or whose elements it is asked for.
const LISTS: [&str; 2] = ["enum", "required"];
/// How many elements of such a list take as long as one look at a value.
const COMPARED_IN_A_STEP: usize = 16;

/// A schema, as far as it says what is looked at.
pub(super) struct Effort {
    /// Each of its references is a pointer from the root.
    schema: Value,
}

/// What is left of the bounds.
struct Left {
    steps: usize,
    depth: usize,
}

impl Effort {
    /// Gives back what is wrong with a schema that is nested too deep, or that refers to nothing.
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

    /// How deep its parts are nested. What refers to a part that is around it adds nothing.
    fn levels(&self) -> usize {
        enum Step<'a> {
            Enter(&'a Value),
            Leave(&'a Value, Vec<&'a Value>),
        }
        // Nothing while a part is entered and not left. By hand, for the stack is what is at stake.
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

    /// Says why a check of `value` would take too much.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let mut left = Left { steps: MAX_STEPS, depth: MAX_DEPTH };
        self.look(&self.schema, value, &mut left).map_err(|TooMuch| {
            format!(
                "a check takes more than {MAX_STEPS} steps or {MAX_DEPTH} levels: the value is too large, or nested too deep, \
                 for this schema"
            )
        })
    }

    /// Counts every look at `value` and its parts, whether or not a check would be over before it.
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

    /// The schemas that have the same value looked at.
    fn of_the_value<'a>(&'a self, words: &'a Map<String, Value>) -> impl Iterator<Item = &'a Value> {
        let by_name = OF_THE_VALUE_BY_NAME.iter().filter_map(|word| words.get(*word)?.as_object());
        self.targets(words).chain(held(words, &OF_THE_VALUE)).chain(by_name.flat_map(Map::values))
    }

    /// Counts the looks that find out what of a value the words of a schema have left: which of its schemas fit, and what
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

/// The schemas that these words of a schema hold, alone or in lists.
fn held<'a>(words: &'a Map<String, Value>, of: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    of.iter().filter_map(|word| words.get(*word)).flat_map(|held| match held {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    })
}
