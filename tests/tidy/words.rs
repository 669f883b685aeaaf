//! The phrases that the project does not use, and what to write instead. Owns the list and the search; must not know which
//! files are read.

use super::names::{block_comment, is_word, quoted};

/// A phrase, and what to write instead. A `|` separates the alternatives of one word.
const PHRASES: [(&str, &str); 18] = [
    ("out of memory", "parked"),
    ("at once", "immediately, or concurrently"),
    ("whoever", "the noun: the caller, the sender, each caller"),
    ("nobody|nobody's", "the noun: no caller, no process, no answer"),
    ("somebody|somebody's|anybody|anybody's|everybody|everybody's", "the noun: a person, a caller, a client"),
    ("whatever", "any, every, or what"),
    ("anew", "again, or from the start"),
    ("beside", "next to, with, or in addition to"),
    ("the like", "the things themselves, or `such as`"),
    ("come|comes|came|coming to", "has the result, becomes, reaches, or ends"),
    ("go|goes|went|going|gone on", "continues, resumes, or runs"),
    ("is|are|was|were|be|been|being told", "learns, receives, or is notified"),
    ("is|are|was|were no", "is not a"),
    ("taken away", "deleted"),
    ("take|takes|took|taken|taking|go|goes|went|going|gone along", "keeps, or is copied"),
    ("hear|hears|heard|hearing of", "learns of, or is notified of"),
    ("stand|stands|stood where", "keeps its status"),
    ("all the same", "nevertheless, still, or equal"),
];

/// Phrases that contain one of the list, and are plain English.
const PLAIN: [&str; 2] = [
    "there is|are|was|were no",
    "is|are|was|were no longer|more|less|larger|smaller|later|earlier|older|newer|shorter|deeper|better",
];

/// Files that may have a listed phrase: the file, the phrase as it is there, and why.
pub const EXCEPTIONS: [(&str, &str, &str); 1] = [("kitaru-core/src/director.rs", "nobody", "the name of a file")];

/// Words that a test's name does not begin with, because its subject stands there.
const BEGINNINGS: [&str; 13] =
    ["what", "whoever", "who", "where", "when", "while", "of", "in", "with", "that", "it", "nothing", "no"];

/// The longest name of a test, in bytes.
const LONGEST_NAME: usize = 80;

/// Where a text is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Comment,
    Literal,
    Name,
    Page,
}

/// A word in lower case, its line and its place. An empty one separates texts and sentences.
type Word = (String, usize, Place);

/// A listed phrase in a text: its place, its line, the phrase as it is there, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub place: Place,
    pub line: usize,
    pub phrase: String,
    pub instead: String,
}

/// The listed phrases in the comments, the string literals and the names of tests of a Rust file.
pub fn in_code(text: &str) -> Vec<Found> {
    let mut words = Vec::new();
    let mut found = Vec::new();
    // The last token, and whether the next function is a test.
    let (mut last, mut is_test) = ("", false);
    let (mut at, mut line) = (0, 1);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            read(&rest[..end], line, Place::Comment, &mut words);
            end
        } else if rest.starts_with("/*") {
            let end = block_comment(rest);
            read(&rest[..end], line, Place::Comment, &mut words);
            end
        } else if let Some(end) = quoted(rest) {
            separate(&mut words);
            read(&unescaped(&rest[..end]), line, Place::Literal, &mut words);
            separate(&mut words);
            last = "";
            end
        } else {
            separate(&mut words);
            let end = match is_word(rest) {
                true => rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len()),
                false => first.len_utf8(),
            };
            let token = &rest[..end];
            is_test |= token == "test" && matches!(last, "[" | ":");
            if last == "fn" && std::mem::take(&mut is_test) {
                let found_name = |instead| Found { place: Place::Name, line, phrase: token.to_owned(), instead };
                found.extend(wrong_name(token).map(found_name));
                read(&token.replace('_', " "), line, Place::Name, &mut words);
                separate(&mut words);
            }
            last = token;
            end
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    found.extend(listed(&words));
    found
}

/// The listed phrases in a page, a script, a manifest or a list.
pub fn in_page(text: &str) -> Vec<Found> {
    let mut words = Vec::new();
    read(text, 1, Place::Page, &mut words);
    listed(&words)
}

/// Why a name does not suit a test.
fn wrong_name(name: &str) -> Option<String> {
    let first = name.split('_').next().unwrap_or_default();
    if BEGINNINGS.contains(&first) {
        return Some("a name that begins with its subject, a noun".to_owned());
    }
    (name.len() > LONGEST_NAME).then(|| format!("a name of {LONGEST_NAME} characters at most"))
}

/// A literal in which an escape is a space.
fn unescaped(literal: &str) -> String {
    let mut text = String::with_capacity(literal.len());
    let mut signs = literal.chars();
    while let Some(sign) = signs.next() {
        match sign {
            // The end of a line stays, so that lines are counted.
            '\\' => text.extend(signs.next().map(|escaped| if escaped == '\n' { '\n' } else { ' ' })),
            _ => text.push(sign),
        }
    }
    text
}

/// Reads the words of a text. Inline code does not count.
fn read(text: &str, mut line: usize, place: Place, words: &mut Vec<Word>) {
    let mut is_code = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_letter = |c: char| c.is_alphabetic() || c == '\'';
        let length = if first == '`' {
            let ticks = rest.find(|c| c != '`').unwrap_or(rest.len());
            // Three of them begin or end a block of code, which counts.
            is_code ^= ticks < 3;
            separate(words);
            ticks
        } else if rest.starts_with("\n\n") {
            // Inline code ends with its paragraph.
            is_code = false;
            separate(words);
            1
        } else if is_letter(first) {
            let end = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
            if !is_code {
                words.push((rest[..end].to_lowercase(), line, place));
            }
            end
        } else {
            if ".,;:?!()|".contains(first) {
                separate(words);
            }
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
}

fn separate(words: &mut Vec<Word>) {
    if words.last().is_some_and(|(last, ..)| !last.is_empty()) {
        words.push((String::new(), 0, Place::Page));
    }
}

/// The number of words of a phrase, if the words begin with it.
fn begins(words: &[Word], phrase: &str) -> Option<usize> {
    let wanted: Vec<&str> = phrase.split(' ').collect();
    let fits = |(wanted, (word, ..)): (&&str, &Word)| wanted.split('|').any(|wanted| wanted == word);
    (words.len() >= wanted.len() && wanted.iter().zip(words).all(fits)).then_some(wanted.len())
}

fn listed(words: &[Word]) -> Vec<Found> {
    let mut found = Vec::new();
    // Words before this one are part of plain English.
    let mut plain = 0;
    for at in 0..words.len() {
        let here = &words[at..];
        plain =
            PLAIN.iter().filter_map(|phrase| begins(here, phrase)).map(|length| at + length).fold(plain, usize::max);
        if at < plain {
            continue;
        }
        for (phrase, instead) in PHRASES {
            if let Some(length) = begins(here, phrase) {
                let phrase: Vec<&str> = here[..length].iter().map(|(word, ..)| &**word).collect();
                let (_, line, place) = here[0];
                found.push(Found { place, line, phrase: phrase.join(" "), instead: instead.to_owned() });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{in_code, in_page};

    fn phrases(text: &str) -> Vec<String> {
        in_code(text).into_iter().map(|found| found.phrase).collect()
    }

    #[test]
    fn listed_phrase_is_found_in_comments_literals_and_names_of_tests() {
        let text = "//! A flow goes on.\n/// Runs at\n/// once.\nfn f() { g(\"whoever\\ncalls\"); /* Anew. */ }\n";
        assert_eq!(phrases(text), ["goes on", "at once", "whoever", "anew"]);
        assert_eq!(phrases("#[test]\nfn flow_is_told() {}"), ["is told"]);
        assert_eq!(phrases("#[tokio::test(start_paused = true)]\nasync fn flow_goes_on() {}"), ["goes on"]);
    }

    #[test]
    fn listed_phrase_is_found_in_pages_with_its_line() {
        let found = in_page("# Flows\n\nA flow that\nGoes on is shown.\n\n```\n// Whatever it is.\n```\n");
        let found: Vec<_> = found.iter().map(|found| (found.line, &*found.phrase)).collect();
        assert_eq!(found, [(4, "goes on"), (7, "whatever")]);
        assert!(in_page("An error is\nno outcome.").iter().all(|found| !found.instead.is_empty()));
    }

    #[test]
    fn code_and_plain_english_are_not_refused() {
        let text = "fn whoever(anew: u8) { anew } // `whatever` is code, as is `at once`.\nlet beside = 'a';\n";
        assert_eq!(phrases(text), [""; 0]);
        assert_eq!(phrases("// There is no store. It is no longer open. It is\n// no later than that."), [""; 0]);
        assert_eq!(phrases("// What comes. To stop it, at. Once more."), [""; 0]);
        assert_eq!(phrases("#[cfg(test)]\nfn flow_goes_on() {}"), [""; 0]);
        assert_eq!(phrases("// There is no end, and that is no matter."), ["is no"]);
    }

    #[test]
    fn name_of_a_test_begins_with_its_subject_and_is_not_long() {
        let instead = |text: &str| in_code(text).into_iter().map(|found| found.instead).collect::<Vec<_>>();
        assert_eq!(instead("#[test]\nfn what_runs_ends() {}"), ["a name that begins with its subject, a noun"]);
        let long = format!("#[test]\nfn flow_{}() {{}}", "a".repeat(80));
        assert_eq!(instead(&long), ["a name of 80 characters at most"]);
        assert_eq!(instead("#[test]\nfn flow_ends() {}\nfn what_runs() {}"), [""; 0]);
    }
}
