//! The form of the messages of errors: `cannot X: reason; hint`. Owns what a source is searched for; must not know which files
//! are read.
//!
//! The compiler checks the parts of `cannot!`. What is checked here is that messages are made by it, that a name in one is
//! shortened, and that the messages of the other macros, and of panics, have the form.

use super::names::quoted;

/// The most characters of a message, without its placeholders.
const MOST: usize = 120;

/// Sources that may make an error of a message that is not theirs, and why.
pub const QUOTES: [(&str, &str); 5] = [
    ("kitaru-core/src/error.rs", "`cannot!` and what a user says"),
    ("kitaru-core/src/engine/attach.rs", "the reason that a record has"),
    ("kitaru-core/src/engine/planning.rs", "the reason that a record has"),
    ("kitaru-core/src/value/digest.rs", "what a type's `Serialize` says"),
    ("kitaru-core/src/value/mod.rs", "what a type's `Serialize` says"),
];

/// Messages of another form, and why.
pub const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "kitaru-core/src/value/mod.rs",
    "argument `{name}` cannot be serialized",
    "the reason after `cannot call checkpoint …`",
)];

/// What is wrong with the messages of a source without its tests, each with its line.
pub fn flaws(text: &str, may_quote: bool) -> Vec<(usize, String)> {
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let is_code = |at: &usize| {
        let begin = text[..*at].rfind('\n').map_or(0, |end| end + 1);
        !text[begin..*at].trim_start().starts_with("//")
    };
    let found = |pattern: &'static str| text.match_indices(pattern).map(|(at, _)| at).filter(is_code);
    let mut flaws = Vec::new();
    for at in found("Error::new(") {
        // Not that of another crate, and not a longer name.
        let is_own = !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == ':');
        if is_own && !may_quote {
            flaws.push((line(at), "an error that is not made by `cannot!`".to_owned()));
        }
    }
    for at in found("cannot!(") {
        let literals = literals(&text[at..]);
        for name in literals.iter().flat_map(|literal| names(literal)) {
            if !is_short(&text[..at], name) {
                flaws.push((line(at), format!("`{{{name}}}` is not shortened by `short` or `clip`")));
            }
        }
    }
    for pattern in [".context(format!(", "Error::msg(format!(", "#[error("] {
        for at in found(pattern) {
            let Some(literal) = literals(&text[at..]).into_iter().next() else { continue };
            flaws.extend(flaw(&literal).map(|flaw| (line(at), format!("{flaw}: {literal}"))));
        }
    }
    for at in found("panic!(") {
        // What begins with a placeholder repeats another message.
        let literal = literals(&text[at..]).into_iter().next().filter(|literal| !literal.starts_with('{'));
        flaws.extend(literal.and_then(|literal| Some((line(at), format!("{}: {literal}", flaw(&literal)?)))));
    }
    flaws.sort();
    flaws
}

/// What is wrong with a message.
fn flaw(message: &str) -> Option<&'static str> {
    // The message of the cause.
    if message.starts_with('{') && message.ends_with('}') && message.matches('{').count() == 1 {
        return None;
    }
    if !message.starts_with("cannot ") {
        return Some("a message begins with `cannot`");
    }
    if message.ends_with('.') || message.contains(". ") {
        return Some("a message is one sentence, without a full stop");
    }
    let signs = message.split('{').enumerate().map(|(nth, part)| match nth {
        0 => part,
        _ => part.split_once('}').map_or("", |(_, rest)| rest),
    });
    let signs: usize = signs.map(|part| part.chars().count()).sum();
    (signs > MOST).then_some("a message has 120 characters at most, without its placeholders")
}

/// The string literals of the call that a text begins with, as they are read.
fn literals(text: &str) -> Vec<String> {
    let (mut depth, mut literals) = (0, Vec::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_part = matches!(first, '"' | '\'' | 'r' | 'b' | 'c');
        let length = match quoted(rest).filter(|_| is_part && !is_inside_a_word(text, rest)) {
            Some(length) => {
                if let Some(literal) = rest[..length].strip_prefix('"') {
                    literals.push(read(literal.trim_end_matches('"')));
                }
                length
            }
            None => {
                depth += i32::from(first == '(') - i32::from(first == ')');
                if depth == 0 && first == ')' {
                    break;
                }
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    literals
}

fn is_inside_a_word(text: &str, rest: &str) -> bool {
    let before = text[..text.len() - rest.len()].chars().next_back();
    before.is_some_and(|before| before.is_alphanumeric() || before == '_')
}

/// A literal without the ends of its lines and without its escapes.
fn read(literal: &str) -> String {
    let mut lines = literal.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start()).replace('\\', "")
}

/// The names that a part of a message quotes, as `` `{name}` ``.
fn names(literal: &str) -> impl Iterator<Item = &str> {
    literal.split("`{").skip(1).filter_map(|after| after.split_once("}`")).map(|(name, _)| name)
}

/// Whether the last `let` of a name before a call shortens it.
fn is_short(before: &str, name: &str) -> bool {
    let binds = |statement: &&str| {
        let pattern = statement.split_once('=').map_or("", |(pattern, _)| pattern);
        pattern.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name)
    };
    let last = before.rsplit("let ").map(|after| after.split(';').next().unwrap_or_default()).find(binds);
    last.is_some_and(|statement| statement.contains("short(") || statement.contains("clip("))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        flaws(text, false).into_iter().map(|(_, flaw)| flaw).collect()
    }

    #[test]
    fn messages_of_the_form_are_accepted() {
        let good = r#"
            // Error::new(
            let (name, why) = (short(name), why.0);
            return cannot!(Kind::Misuse, "call `{name}` of {execution}", "{why}", "set `a`");
            error.context(format!("cannot open the store {}", path));
            ModelError::new(kind, message);
            io::Error::new(kind, why);
            #[error("{0}")]
            Error::msg(format!("{error:#}"));
            #[error(transparent)]
            #[error("cannot run tool `{tool}`: {}", chain(error))]
            panic!("cannot poll the run: it has ended; await it once");
            panic!("{}", chain(error));
        "#;
        assert_eq!(found(good), Vec::<String>::new());
    }

    #[test]
    fn messages_of_another_form_are_found() {
        let bad = [
            (r#"Error::new(Kind::Misuse, "no")"#, "not made by `cannot!`"),
            (r#"cannot!(Kind::Misuse, "call `{name}`", "why")"#, "not shortened"),
            ("let name = short(name); let name = flow; cannot!(kind, \"call `{name}`\", \"why\")", "not shortened"),
            (r#"error.context(format!("the file {file} is bad"))"#, "begins with `cannot`"),
            (r#"error.context(format!("cannot open {file}. Close it"))"#, "one sentence"),
            (r#"#[error("tool `{tool}` failed")]"#, "begins with `cannot`"),
            (r#"None => panic!("the run has ended")"#, "begins with `cannot`"),
        ];
        for (text, flaw) in bad {
            let found = found(text);
            assert!(matches!(&found[..], [only] if only.contains(flaw)), "{text}: {found:?}");
        }
        let long = |length: usize| format!("#[error(\"cannot {{a_placeholder}}{}\")]", "x".repeat(length));
        assert_eq!(found(&long(MOST - 7)).len(), 0);
        assert_eq!(found(&long(MOST - 6)).len(), 1);
        assert_eq!(flaws("\n\nError::new(why)", false)[0].0, 3);
        assert_eq!(flaws("Error::new(why)", true), []);
    }
}
