//! Text as people see it: characters that a terminal obeys, or that are invisible, are replaced by escapes. Owns which
//! characters those are. Must not know where the text is shown.
//!
//! Ids, questions and error texts come from callers, models and other programs. Unchanged, they could begin a line of
//! their own in a log, turn the direction of the text around them, or hide their content.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// The text, with hidden characters escaped.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_hidden) { Cow::Owned(Shown(text).to_string()) } else { Cow::Borrowed(text) }
}

/// Whether a character is hidden.
pub(crate) fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            // Blank, or of no width.
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            // Variation selectors, except the one that makes an emoji.
            | '\u{fe00}'..='\u{fe0e}'
            // Tags, and further variants.
            | '\u{e0000}'..='\u{e0fff}'
            // The direction of the text, and the ends of lines and paragraphs.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character may not be part of a name. Joiners may be: some scripts and emoji need them.
pub(crate) fn is_no_part_of_a_name(char: char) -> bool {
    is_hidden(char) && !matches!(char, '\u{200c}' | '\u{200d}')
}

/// Shows a `Display` on one line, with hidden characters escaped.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// The most characters of an id or a name in a message.
const MOST: usize = 64;
/// What is shown of a longer one.
const FIRST: usize = 40;
const LAST: usize = 8;

/// An id or a name as a message quotes it: escaped, and shortened to its beginning and its end.
pub(crate) fn short(text: &str) -> Cow<'_, str> {
    let text = shown(text);
    if text.len() <= MOST || text.chars().count() <= MOST {
        return text;
    }
    let (first, _) = text.char_indices().nth(FIRST).expect("a longer text");
    let (last, _) = text.char_indices().nth_back(LAST - 1).expect("a longer text");
    Cow::Owned(format!("{}…{}", &text[..first], &text[last..]))
}

/// A writer that escapes as JSON does.
struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, char)) = rest.char_indices().find(|(_, char)| is_hidden(*char)) {
            self.0.write_str(&rest[..at])?;
            match char {
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                _ => char.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(self.0, "\\u{unit:04x}"))?,
            }
            rest = &rest[at + char.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped_and_others_are_not() {
        let text = "a\n b\r\t\u{0}\u{1b}[31m\u{7f}\u{85}\u{200b}\u{202e}\u{2028}\u{feff}\u{e0041}";
        assert_eq!(shown(text), r"a\n b\r\t\u0000\u001b[31m\u007f\u0085\u200b\u202e\u2028\ufeff\udb40\udc41");
        assert_eq!(Shown(format_args!("{text}!")).to_string(), format!("{}!", shown(text)));
        for plain in ["", "fjærsund 水 🦀 ❤\u{fe0f}", "a\\n", "\"quoted\""] {
            assert_eq!(shown(plain), plain);
            assert!(matches!(shown(plain), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn long_name_is_shortened_to_its_beginning_and_its_end() {
        let name = "n".repeat(40) + &"ø".repeat(16) + "the rest";
        assert_eq!(short(&name), name);
        let longer = "n".repeat(40) + &"ø".repeat(17) + "the rest";
        assert_eq!(short(&longer), "n".repeat(40) + "…the rest");
        // Escapes count as they are shown.
        assert_eq!(short(&"\n".repeat(40)), r"\n".repeat(20) + "…" + &r"\n".repeat(4));
    }

    #[test]
    fn joiners_stand_in_names_and_are_shown_as_escapes() {
        assert!(['\u{200c}', '\u{200d}'].into_iter().all(|char| is_hidden(char) && !is_no_part_of_a_name(char)));
        assert!(['\n', '\u{200b}', '\u{202e}', '\u{e0041}'].into_iter().all(is_no_part_of_a_name));
    }
}
