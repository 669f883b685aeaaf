//! The backtrace of a rebuilt error, quoted in a text. Owns how it is found. Must not know where texts come from.
//!
//! Errors such as `anyhow::Error` take a backtrace where they are made, and show it in their debug form if
//! `RUST_BACKTRACE` is set. An error that is rebuilt from a record is made in [`rebuilt`](crate::call). On a replay, or
//! in another build, that is at another depth of the stack than on the first run. So a checkpoint with the text of such
//! an error as argument would have another argument on each attempt. The backtrace contains no other information, so it
//! is left out when arguments are compared. A backtrace of any other place counts as any text does.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

/// The function that rebuilds errors, as a backtrace shows it.
const REBUILT: &str = "kitaru_core::call::outcome::rebuilt";

/// The text of a backtrace that was not taken.
const NONE: &str = "<disabled>";

/// Shorter texts contain no backtrace.
const SHORTEST: usize = 32;

/// The text without such backtraces.
#[inline]
pub(super) fn left_out(text: &str) -> Cow<'_, str> {
    if text.len() < SHORTEST { Cow::Borrowed(text) } else { search(text) }
}

fn search(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut done = 0;
    for at in memmem::find_iter(text.as_bytes(), "acktrace") {
        let section = lines(text, at).map(|lines| (lines, "")).or_else(|| Some((list(text, at)?, NONE)));
        let Some((range, instead)) = section.filter(|(range, _)| range.start >= done) else { continue };
        if says_nothing(&text[range.clone()]) {
            kept.push_str(&text[done..range.start]);
            kept.push_str(instead);
            done = range.end;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[done..]);
    Cow::Owned(kept)
}

/// Whether a backtrace is of a rebuilt error, or of a program without symbols, where it shows only its depth.
fn says_nothing(backtrace: &str) -> bool {
    backtrace.contains(REBUILT) || (backtrace.contains("<unknown>") && !backtrace.contains("::"))
}

/// `Stack backtrace:` and a frame on each line, as `anyhow` and `eyre` show it, with the empty lines before it.
fn lines(text: &str, at: usize) -> Option<Range<usize>> {
    let start = text[..at].rfind('\n').map_or(0, |before| before + 1);
    let end = text[at..].find('\n').map(|length| at + length)?;
    if text[start..end].trim() != "Stack backtrace:" {
        return None;
    }
    let frames = text[end + 1..].split_inclusive('\n').take_while(|line| is_frame(line));
    let length: usize = frames.map(str::len).sum();
    let last = text[..end + 1 + length].trim_end_matches('\n').len();
    (length > 0).then(|| text[..start].trim_end().len()..last)
}

/// `  12: a::function`, or `             at a/file.rs:3:7`.
fn is_frame(line: &str) -> bool {
    let line = line.trim();
    let number = line.trim_start_matches(|char: char| char.is_ascii_digit());
    line.starts_with("at ") || (number.len() < line.len() && number.starts_with(':'))
}

/// `Backtrace [{ fn: "a::function", file: "a/file.rs", line: 3 }, …]`, as the standard library shows it.
fn list(text: &str, at: usize) -> Option<Range<usize>> {
    if !(text[..at].ends_with('B') && text[at..].starts_with("acktrace [")) {
        return None;
    }
    let (mut in_quotes, mut escaped) = (false, false);
    for (length, byte) in text[at..].bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_quotes,
            b'"' => in_quotes = !in_quotes,
            b']' if !in_quotes => return Some(at - 1..at + length + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anyhow(frames: &[&str]) -> String {
        let mut text = "card 1 declined\n\nStack backtrace:\n".to_owned();
        for (nth, frame) in frames.iter().enumerate() {
            text.push_str(&format!("  {nth:>2}: {frame}\n             at /src/file.rs:{nth}:9\n"));
        }
        text.trim_end().to_owned()
    }

    #[test]
    fn backtrace_of_a_rebuilt_error_is_left_out_at_any_depth() {
        for frames in [&["anyhow::error::from", REBUILT, "main"][..], &[REBUILT], &["<unknown>"], &["<unknown>"; 30]] {
            assert_eq!(left_out(&anyhow(frames)), "card 1 declined");
            let behind = anyhow(frames) + "\nand more";
            assert_eq!(left_out(&behind), "card 1 declined\nand more");
            let two = format!("{}\n{}", anyhow(frames), anyhow(frames));
            assert_eq!(left_out(&two), "card 1 declined\ncard 1 declined");
        }
        let list = format!(
            r#"Own {{ backtrace: Backtrace [{{ fn: "<[T] as a \"]>::b", line: 1 }}, {{ fn: "{REBUILT}" }}], n: 1 }}"#
        );
        assert_eq!(left_out(&list), "Own { backtrace: <disabled>, n: 1 }");
    }

    #[test]
    fn other_text_stays_as_it_is() {
        let theirs = anyhow(&["their::function", "main"]);
        let list = r#"Own { backtrace: Backtrace [{ fn: "their::function", line: 1 }] }"#;
        let texts = [
            &*theirs,
            list,
            "a log with a Stack backtrace: and no frames",
            "Stack backtrace:\n",
            "Backtrace [ no end of it",
        ];
        for text in texts.map(|text| format!("{text:<40}")) {
            assert_eq!(left_out(&text), text);
        }
    }
}
