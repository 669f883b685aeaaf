//! Text of other programs in one line of a log, with escapes for invisible characters. Owns that form. Must not know whose text
//! it is.

use std::fmt::{self, Write as _};

/// Shows a text in one line.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string().chars().try_for_each(|char| match char {
            '"' | '\'' | '\\' => f.write_char(char),
            // Escapes unprintable characters: controls, ends of lines, changes of direction, characters without width.
            char => write!(f, "{}", char.escape_debug()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_text_stays_in_its_line_and_hides_nothing() {
        let text = "it \"said\" 'é 水 🦀' \\ \n\r\u{1b}\u{202e}\u{2028}\u{200b}\u{e0041}";
        let shown = Shown(text).to_string();
        assert_eq!(shown, r#"it "said" 'é 水 🦀' \ \n\r\u{1b}\u{202e}\u{2028}\u{200b}\u{e0041}"#);
    }
}
