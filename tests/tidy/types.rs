//! Which types of the core have one name, and which words name no type. Owns how a declaration is found in a text; must not know which files there are.

use std::collections::BTreeMap;

/// A type that other files can name, and its file.
pub type Declared<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Names that are declared in more than one file, and why.
pub const TWICE: [(&str, &str); 6] = [
    ("Cast", "one type in two builds, with and without a director"),
    ("Direction", "one type in two builds, with and without a director"),
    ("FileId", "one type on two systems"),
    ("FolderHandle", "one type on two systems"),
    ("Fallible", "public in `map`, and a word of the compiler's messages in `call`"),
    ("Order", "public in the testkit's stores, and in the seeds of the corpora of `fuzzing`, which keep it"),
];

/// Words that are not nouns, and so name no type.
pub const NOT_NOUNS: [&str; 15] = [
    "Acted", "Came", "Comes", "Goes", "Heard", "Held", "Joined", "Judged", "Kept", "Said", "Says", "Seated", "Served",
    "Taken", "Told",
];

/// The types that a file declares, each with whether other files can name it. What a function or an inner module declares does
/// not count.
pub fn declared(text: &str) -> Vec<(&str, bool)> {
    text.lines().filter_map(declaration).collect()
}

fn declaration(line: &str) -> Option<(&str, bool)> {
    let (is_shown, item) = match line.strip_prefix("pub") {
        Some(shown) => {
            (true, shown.strip_prefix('(').and_then(|scope| scope.split_once(')')).map_or(shown, |scope| scope.1))
        }
        None => (false, line),
    };
    let item = if is_shown { item.strip_prefix(' ')? } else { item };
    let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
    let named = kinds.iter().find_map(|kind| item.strip_prefix(kind))?;
    let end = named.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(named.len());
    Some((&named[..end], is_shown))
}

/// Names of types that other files can name, and that more than one file declares.
pub fn declared_twice<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Declared<'a> {
    let mut all: BTreeMap<&str, (Vec<&str>, bool)> = BTreeMap::new();
    for (path, text) in files {
        for (name, is_shown) in declared(text) {
            let (paths, any_shown) = all.entry(name).or_default();
            paths.push(path);
            *any_shown |= is_shown;
        }
    }
    let twice = all.into_iter().filter(|(_, (paths, any_shown))| *any_shown && paths.len() > 1);
    twice.map(|(name, (paths, _))| (name, paths)).collect()
}

/// What is wrong: a name that two types have without an excuse, or an excuse that is not needed.
pub fn mistakes<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let twice = declared_twice(files);
    let idle = TWICE.iter().filter(|(name, _)| !twice.contains_key(name));
    let idle = idle.map(|(name, _)| format!("`{name}` is declared once, and needs no excuse"));
    let refused = twice.iter().filter(|(name, _)| !TWICE.iter().any(|(excused, _)| excused == *name));
    refused.map(|(name, paths)| format!("`{name}` is declared in {paths:?}")).chain(idle).collect()
}

/// The types of a file that are not named by a noun.
pub fn without_a_noun(text: &str) -> impl Iterator<Item = &str> {
    declared(text).into_iter().map(|(name, _)| name).filter(|name| NOT_NOUNS.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_two_types_is_found_if_other_files_can_name_one_of_them() {
        let one = "pub(crate) struct Plan;\nstruct State;\nimpl Plan {\n    type Output = u8;\n}\n";
        let other = "enum Plan {}\nstruct State;\nfn f() {\n    pub struct Key;\n}\npub struct Key<T>(T);\n";
        let twice = declared_twice([("a.rs", one), ("b.rs", other)].into_iter());
        assert_eq!(twice, BTreeMap::from([("Plan", vec!["a.rs", "b.rs"])]));
    }

    #[test]
    fn type_that_is_not_named_by_a_noun_is_found() {
        let text = "struct Said(u8);\nenum Step {\n    Told,\n}\npub(crate) type Came = Saying;\n";
        assert_eq!(without_a_noun(text).collect::<Vec<_>>(), ["Said", "Came"]);
    }
}
