//! Values as text for people, on one line and bounded. Owns what is shown of a value. Must not know where it is shown.
//! A preview is never read back.

#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::io;

use serde::Serialize;

use super::depth::shallow;
use crate::shown::shown;

/// Marks where a text was cut.
const CUT: char = '…';

/// The preview of a sensitive value.
pub(crate) const HIDDEN: &str = "(sensitive)";

/// Whether arguments and outcome may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sensitivity {
    Shown,
    Hidden,
}

/// `value` as JSON-like text, in at most `limit` bytes, or the three of a lone `…`.
///
/// It never fails: a value that JSON cannot express is shown up to that point. Serializing stops at the bound, so that
/// a large value costs no more than a small one.
pub(crate) fn preview<T: Serialize + ?Sized>(value: &T, limit: usize) -> String {
    let mut window = Window { bytes: Vec::new(), limit };
    let whole = serde_json::to_writer(&mut window, &shallow(value)).is_ok();
    // JSON escapes only control characters of ASCII, and of them not DEL.
    let mut text = shown(&in_utf8(window.bytes)).into_owned();
    if !whole {
        shorten(&mut text, limit);
        text.push(CUT);
    } else if text.len() > limit {
        cut(&mut text, limit);
    }
    text
}

/// Previews of the arguments of a call, within one bound for all of them.
pub(crate) struct ArgPreview {
    limit: usize,
    args: Vec<(&'static str, String)>,
}

impl ArgPreview {
    pub(crate) fn new(limit: usize) -> Self {
        ArgPreview { limit, args: Vec::new() }
    }

    pub(super) fn arg<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.args.push((name, preview(value, self.limit)));
    }

    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        self.args.push((name, text.to_owned()));
    }

    /// Each argument's name and its preview. Together they are within the bound.
    pub(crate) fn into_args(mut self) -> Vec<(&'static str, String)> {
        let share = self.share();
        self.args.iter_mut().for_each(|(_, text)| cut(text, share));
        self.args
    }

    /// How many bytes of its text each argument may show. The long ones share what the short ones leave, so that a long
    /// first argument does not hide the others.
    fn share(&self) -> usize {
        let around: usize = self.args.iter().map(|(name, _)| name.len() + "=, ".len()).sum();
        let mut sizes: Vec<usize> = self.args.iter().map(|(_, text)| text.len()).collect();
        sizes.sort_unstable();
        let mut room = self.limit.saturating_sub(around);
        for (nth, &size) in sizes.iter().enumerate() {
            let share = room / (sizes.len() - nth);
            if size > share {
                return share;
            }
            room -= size;
        }
        self.limit
    }
}

/// All of them, as `topic="tides", n=3`.
impl fmt::Display for ArgPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.share();
        let mut all = String::new();
        for (nth, (name, text)) in self.args.iter().enumerate() {
            let mut text = text.clone();
            cut(&mut text, share);
            let comma = if nth > 0 { ", " } else { "" };
            write!(all, "{comma}{name}={text}")?;
        }
        cut(&mut all, self.limit);
        f.write_str(&all)
    }
}

/// Takes bytes up to the bound, then reports that it is full, which ends the serialization.
struct Window {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Window {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The text of the bytes, up to a character that the bound has split.
fn in_utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|why| {
        let whole = why.utf8_error().valid_up_to();
        String::from_utf8_lossy(&why.as_bytes()[..whole]).into_owned()
    })
}

fn cut(text: &mut String, limit: usize) {
    if text.len() > limit {
        shorten(text, limit);
        text.push(CUT);
    }
}

/// Makes room for [`CUT`].
fn shorten(text: &mut String, limit: usize) {
    text.truncate(text.floor_char_boundary(limit.saturating_sub(CUT.len_utf8())));
}

/// The part of a text that a preview shows.
pub(crate) fn clip(text: &str) -> String {
    const LIMIT: usize = 200;
    // One character more than is shown reveals that there is more.
    let mut text = shown(&text[..text.floor_char_boundary(LIMIT + 4)]).into_owned();
    cut(&mut text, LIMIT);
    text
}
