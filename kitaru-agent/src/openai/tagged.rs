//! Reasoning between tags at the beginning of a text.
//!
//! Owns which part of a text is reasoning, in pieces that may split a tag. Must not know which servers write so.

/// Divides a text into reasoning and answer.
#[derive(Debug)]
pub(super) struct TagReader {
    open: &'static str,
    close: &'static str,
    state: State,
    /// What may still be a tag.
    held: String,
    reasoning: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Before,
    Within,
    After,
}

impl TagReader {
    pub(super) fn new((open, close): (&'static str, &'static str)) -> Self {
        Self { open, close, state: State::Before, held: String::new(), reasoning: String::new() }
    }

    /// Takes a piece of the text. Returns the part of the answer that is known now.
    pub(super) fn take(&mut self, piece: &str) -> String {
        if self.state == State::After {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        if self.state == State::Before {
            let begun = self.held.trim_start();
            if let Some(rest) = begun.strip_prefix(self.open) {
                self.held = rest.to_owned();
                self.state = State::Within;
            } else if self.open.starts_with(begun) {
                return String::new();
            } else {
                return self.rest();
            }
        }
        if let Some((reasoning, answer)) = self.held.split_once(self.close) {
            self.reasoning.push_str(reasoning);
            self.held = answer.to_owned();
            return self.rest();
        }
        // The end of the piece may be the beginning of the tag.
        let kept = (1..self.close.len()).rev().find(|length| self.held.ends_with(&self.close[..*length])).unwrap_or(0);
        let known: String = self.held.drain(..self.held.len() - kept).collect();
        self.reasoning.push_str(&known);
        String::new()
    }

    /// The text has ended. Returns what was held back of the answer.
    pub(super) fn end(&mut self) -> String {
        match self.state {
            State::Within => {
                self.reasoning.push_str(&std::mem::take(&mut self.held));
                String::new()
            }
            State::Before | State::After => self.rest(),
        }
    }

    /// Whether a part of the text has arrived.
    pub(super) fn has_begun(&self) -> bool {
        self.state != State::Before
    }

    pub(super) fn into_reasoning(self) -> String {
        self.reasoning
    }

    fn rest(&mut self) -> String {
        self.state = State::After;
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reasoning and the answer of a text in these pieces.
    fn read(pieces: &[&str]) -> (String, String) {
        let mut reader = TagReader::new(("<r>", "</r>"));
        let mut answer: String = pieces.iter().map(|piece| reader.take(piece)).collect();
        answer.push_str(&reader.end());
        (reader.into_reasoning(), answer)
    }

    #[test]
    fn reasoning_between_tags_is_found_however_its_text_is_cut() {
        let text = "<r>a < b, </r, é</r>so 1 < 2 </r>";
        let expected = ("a < b, </r, é".to_owned(), "so 1 < 2 </r>".to_owned());
        assert_eq!(read(&[text]), expected);
        for (cut, _) in text.char_indices() {
            assert_eq!(read(&[&text[..cut], &text[cut..]]), expected, "{cut}");
        }
        let each: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(read(&each.iter().map(String::as_str).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn text_without_a_tag_at_its_beginning_is_the_answer() {
        for text in ["", "<", "<r", " <re>x", "say <r>x</r>", "<rx"] {
            assert_eq!(read(&[text]), (String::new(), text.to_owned()), "{text:?}");
        }
        assert_eq!(read(&["<r>never clo", "sed</"]), ("never closed</".to_owned(), String::new()));
    }
}
