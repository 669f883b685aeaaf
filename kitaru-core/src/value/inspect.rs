//! Which part of a value is not given back, and why, for the message that refuses it. Owns the paths into values. Must
//! not know the rest of the message. Nothing here runs for a value that is recorded.

#[cfg(test)]
mod tests;
mod text;
mod walk;

use serde::Serialize;

use super::depth::TooDeep;
use walk::{Inexpressible, walk};

pub(super) const OTHER_VALUE: &str = "what was written reads as another value";

/// Why a value is not given back.
#[derive(Debug)]
pub(super) struct Misfit {
    /// The path to the part; empty for the whole value.
    pub(super) at: Option<String>,
    pub(super) why: String,
}

/// JSON cannot write the value.
pub(super) fn unwritten<T: Serialize>(value: &T, why: &serde_json::Error) -> Misfit {
    let walked = walk(value);
    // serde_json refuses only keys of maps. Any other error is from the value's own `Serialize`.
    match walked.worst("").filter(|found| found.found == Inexpressible::Key) {
        Some(found) => Misfit { at: Some(found.at.clone()), why: found.found.in_words().to_owned() },
        None => Misfit { at: walked.refused_at, why: why.to_string() },
    }
}

/// The type does not read the JSON that it wrote.
pub(super) fn unread<T: Serialize>(value: &T, bytes: &[u8], why: &serde_json::Error) -> Misfit {
    let around = text::path(bytes, why.column());
    let mut why = json_in_words(why);
    if numbers_are_texts() {
        why.push_str(ARBITRARY_PRECISION);
    }
    match walk(value).worst(&around) {
        Some(found) => Misfit { at: Some(found.at.clone()), why: format!("{} ({why})", found.found.in_words()) },
        None => Misfit { at: Some(around), why },
    }
}

/// The type reads another value than it wrote.
pub(super) fn changed<T: Serialize>(value: &T, back: &T) -> Misfit {
    let (value, back) = (walk(value), walk(back));
    let at = value.first_difference(&back);
    let found = at.as_deref().and_then(|at| value.found_at(at));
    let why = found.map_or_else(|| OTHER_VALUE.to_owned(), |found| format!("{OTHER_VALUE}: {}", found.in_words()));
    Misfit { at, why }
}

/// Why JSON cannot be read as this type: the type, and the path to the part.
pub(super) fn misread<T>(json: &[u8], why: &serde_json::Error) -> String {
    let before: usize =
        json.split_inclusive(|byte| *byte == b'\n').take(why.line().saturating_sub(1)).map(<[u8]>::len).sum();
    let (of, at) = (type_name::<T>(), text::path(json, before + why.column()));
    let at = if at.is_empty() { at } else { format!(" at `{at}`") };
    format!("{} (`{of}`{at})", json_in_words(why))
}

/// The error of serde_json for bytes that it does not read.
pub(super) fn json_in_words(why: &serde_json::Error) -> String {
    let said = why.to_string();
    // Its error has no kind for this.
    if said.starts_with("recursion limit exceeded") { TooDeep.to_string() } else { said }
}

const ARBITRARY_PRECISION: &str = "; a crate of this program turns on the feature `arbitrary_precision` of serde_json, with \
                                   which an enum with a tag or without one and a flattened struct cannot read numbers: turn \
                                   it off, or keep the number as a text";

/// Whether `serde_json/arbitrary_precision` is on. Any crate of the program can turn it on for all.
fn numbers_are_texts() -> bool {
    serde_json::from_str::<serde_json::Number>("1e999").is_ok()
}

/// The name of a type without the paths to it and its arguments: `Vec<Report>`.
pub(super) fn type_name<T: ?Sized>() -> String {
    let mut name = String::new();
    for word in std::any::type_name::<T>().split_inclusive(|char: char| !(char.is_alphanumeric() || char == '_')) {
        // Every segment of a path but the last is followed by two colons.
        if name.ends_with("::") {
            let path = name.trim_end_matches("::").trim_end_matches(|char: char| char.is_alphanumeric() || char == '_');
            name.truncate(path.len());
        }
        name.push_str(word);
    }
    name
}
