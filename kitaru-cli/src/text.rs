//! Text for a terminal. Owns colours, widths, times and what is hidden; must not know what is printed.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use unicode_width::UnicodeWidthStr as _;

pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BUSY: Style = AnsiColor::Blue.on_default();
pub(crate) const WAITS: Style = AnsiColor::Yellow.on_default();
pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// The colour of a status.
pub(crate) fn colour(status: &str) -> Style {
    match status {
        "completed" => GOOD,
        "failed" | "stuck" => BAD,
        "running" | "begun" | "queued" => BUSY,
        "waiting" => WAITS,
        _ => FAINT,
    }
}

/// A text in a style.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{}{text}{}", style.render(), style.render_reset())
}

/// Text of a journal, which may hold anything: what a terminal would obey or hide is escaped, and it stays on one line.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            ' ' => plain.push(' '),
            char if char.is_control() || is_hidden(char) => plain.extend(char.escape_unicode()),
            char => plain.push(char),
        }
    }
    plain.replace("\\u{a}", "\\n").replace("\\u{9}", "\\t")
}

/// Marks that change the order of a text, or have no width.
fn is_hidden(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `flow/id`, as a command takes it.
pub(crate) fn name(flow: &str, id: &str) -> String {
    plain(&format!("{}/{id}", flow.replace('%', "%25").replace('/', "%2F")))
}

/// At most that many columns of a text.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let (mut cut, mut width) = (String::new(), 1);
    for char in text.chars() {
        width += unicode_width::UnicodeWidthChar::width(char).unwrap_or(0);
        if width > columns {
            break;
        }
        cut.push(char);
    }
    cut.push('…');
    cut
}

/// When something was, for people: how long ago if that is less than a day, else the day and the time.
pub(crate) fn when(ms: u64, now_ms: u64) -> String {
    match now_ms.checked_sub(ms).map(|ago| ago / 1_000) {
        Some(0) => "now".to_owned(),
        Some(seconds @ 1..60) => format!("{seconds} s ago"),
        Some(seconds @ 60..3_600) => format!("{} min ago", seconds / 60),
        Some(seconds @ 3_600..86_400) => format!("{} h ago", seconds / 3_600),
        _ => time(ms),
    }
}

/// A time in UTC, to the second.
pub(crate) fn time(ms: u64) -> String {
    let time = i64::try_from(ms / 1_000).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{ms} ms"), |time| time.to_string())
}

/// A time in UTC, to the millisecond.
pub(crate) fn moment(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{ms} ms"), |time| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

/// A cell of a table: a text, and its style.
pub(crate) struct Cell(pub(crate) String, pub(crate) Style);

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Cell(text.into(), Style::new())
    }
}

/// A table whose columns are as wide as their widest cell; the last one is not padded.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<Cell>>) -> String {
    let mut all = vec![head.iter().map(|title| Cell((*title).to_owned(), FAINT)).collect::<Vec<_>>()];
    all.extend(rows);
    let widths: Vec<usize> =
        (0..head.len()).map(|nth| all.iter().map(|row| row[nth].0.width()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in all {
        // No spaces stand at the end of a line.
        let last = row.iter().rposition(|Cell(cell, _)| !cell.is_empty()).unwrap_or(0);
        for (nth, Cell(cell, style)) in row.into_iter().enumerate() {
            let padding = if nth >= last { 0 } else { widths[nth] - cell.width() + 2 };
            // Writing to a string does not fail.
            let _ = write!(text, "{}{:padding$}", styled(style, &cell), "");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_journal_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d\tü"), "a\\u{1b}[2Jb\\nc\\u{202e}d\\tü");
    }

    #[test]
    fn text_is_cut_by_its_width() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 4), "日…");
    }

    #[test]
    fn times_are_as_people_say_them() {
        assert_eq!(when(1_000, 1_500), "now");
        assert_eq!(when(0, 59_000), "59 s ago");
        assert_eq!(when(0, 3_599_000), "59 min ago");
        assert_eq!(when(0, 86_400_000), "1970-01-01T00:00:00Z");
        assert_eq!(moment(1_020), "1970-01-01T00:00:01.020Z");
    }
}
