//! The list of planted mistakes: the files `*.toml` in this folder. Owns the format of a mistake and whether it fits the
//! sources; must not know how it is built or tried.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// The text that stands for «this mistake is switched on» in the replacement of an edit.
pub(crate) const SWITCH: &str = "planted!()";

/// A mistake, and the tests that notice it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mistake {
    pub(crate) name: String,
    /// What is wrong in code with this mistake, in one sentence.
    pub(crate) what: String,
    /// The tests that fail with it, each by itself.
    pub(crate) tests: Vec<TestName>,
    pub(crate) edit: Vec<Edit>,
}

/// A text that occurs once in a source, and its replacement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    pub(crate) file: String,
    pub(crate) find: String,
    pub(crate) with: String,
}

/// A test: `kitaru::model asking::an_answer_answers_one_wait`, the program and the path in it. What stands behind that is
/// handed to the program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TestName {
    /// The package, and behind `::` the target, unless it is the library.
    pub(crate) program: String,
    pub(crate) path: String,
    pub(crate) arguments: Vec<String>,
}

impl TryFrom<String> for TestName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut words = text.split_whitespace().map(str::to_owned);
        match (words.next(), words.next()) {
            (Some(program), Some(path)) => Ok(TestName { program, path, arguments: words.collect() }),
            _ => Err(format!("`{text}` is not a program and a test")),
        }
    }
}

impl fmt::Display for TestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program, self.path)
    }
}

impl Mistake {
    /// Whether it is made by the macros, while other code is compiled.
    pub(crate) fn is_of_macros(&self) -> bool {
        self.edit.iter().any(|edit| edit.file.starts_with("kitaru-macros/"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    mistake: Vec<Mistake>,
}

/// Reads the list. Every mistake has a name of its own, names a test and edits something.
pub(crate) fn read(root: &Path) -> Result<Vec<Mistake>, String> {
    let folder = root.join("tests/mistakes");
    let mut sheets: Vec<_> = fs::read_dir(&folder)
        .map_err(|why| format!("cannot read {}: {why}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    sheets.sort();
    let mut all = Vec::new();
    for sheet in sheets {
        let text = fs::read_to_string(&sheet).map_err(|why| format!("cannot read {}: {why}", sheet.display()))?;
        let sheet: Sheet = toml::from_str(&text).map_err(|why| format!("cannot read {}: {why}", sheet.display()))?;
        all.extend(sheet.mistake);
    }
    let mut names = BTreeSet::new();
    for Mistake { name, tests, edit, .. } in &all {
        if !names.insert(name) {
            return Err(format!("two mistakes are called `{name}`"));
        }
        if tests.is_empty() || edit.is_empty() {
            return Err(format!("mistake `{name}` names no test or edits nothing"));
        }
    }
    Ok(all)
}

/// The sources with these mistakes in them, by their paths; `switch` returns the text for each mistake's [`SWITCH`].
pub(crate) fn plant<'a>(
    root: &Path,
    mistakes: impl IntoIterator<Item = &'a Mistake>,
    switch: impl Fn(&Mistake) -> String,
) -> Result<BTreeMap<String, String>, String> {
    let mut edits: BTreeMap<&str, Vec<(&Mistake, &Edit)>> = BTreeMap::new();
    for mistake in mistakes {
        mistake.edit.iter().for_each(|edit| edits.entry(&edit.file).or_default().push((mistake, edit)));
    }
    let (mut planted, mut misfits) = (BTreeMap::new(), Vec::new());
    for (file, edits) in edits {
        let text = fs::read_to_string(root.join(file)).map_err(|why| format!("cannot read {file}: {why}"))?;
        planted.insert(file.to_owned(), apply(file, &text, &edits, &switch, &mut misfits));
    }
    if misfits.is_empty() { Ok(planted) } else { Err(misfits.join("\n")) }
}

/// A source with its edits. Edits that do not fit are left out and reported.
fn apply(
    file: &str,
    text: &str,
    edits: &[(&Mistake, &Edit)],
    switch: impl Fn(&Mistake) -> String,
    misfits: &mut Vec<String>,
) -> String {
    let mut spots = Vec::new();
    for (mistake, edit) in edits {
        let mut found = text.match_indices(edit.find.as_str());
        match (found.next(), found.next()) {
            (Some((at, _)), None) => spots.push((at, *mistake, *edit)),
            (Some(_), Some(_)) => misfits.push(format!("{}: its text occurs more than once in {file}", mistake.name)),
            (None, _) => misfits.push(format!("{}: its text does not occur in {file}", mistake.name)),
        }
    }
    spots.sort_by_key(|(at, ..)| *at);
    let (mut planted, mut end) = (String::with_capacity(text.len() * 2), 0);
    for (at, mistake, edit) in spots {
        if at < end {
            misfits.push(format!("{}: its text in {file} overlaps with another mistake's", mistake.name));
            continue;
        }
        planted.push_str(&text[end..at]);
        planted.push_str(&edit.with.replace(SWITCH, &switch(mistake)));
        end = at + edit.find.len();
    }
    planted.push_str(&text[end..]);
    planted
}
