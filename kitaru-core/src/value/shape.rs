//! The shape of a value: a text of what a type's `Deserialize` requests while some bytes are decoded, and its
//! fingerprint. Owns that text's grammar and its bounds. Must not know the encoding of the bytes.
//!
//! Bytes without names can be read as a type that did not write them, which gives a wrong value. Two types that request
//! different things have different texts, so the mistake is detected.
//!
//! There are two forms. New shapes have the [marked](Form::Marked) form, by which bytes can be shown without their
//! type. The shapes of earlier versions are compared in the [plain](Form::Plain) form.
//!
//! ```text
//! plain                           marked
//! u8 … i128, f32, f64, bool, char, str, bytes    as they are
//! ()                              ()                              unit
//! Name   Name(u64)                Name()   Name(u64)              unit struct, newtype
//! (u32*2,str)   Name(u8,str)      <u32*2,str>   Name<u8,str>      a tuple or array, a tuple struct; equal neighbours
//!                                                                 once, under their number
//! Order{id:u64,name:str}          Order{id:u64,name:str}          a struct, by field
//! Open   Paid(u32)                Open@0   Paid@1(u32)            an enum, by the variant that was met
//! Sent(u8,str)   Lost{by:str}     Sent@2<u8,str>   Lost@3{by:str}
//! ?   ?str                        ?   ?str                        an option that was empty, one that was not
//! [u64]   [?|?str]   []           [u64]   [?|?str]   []           a list: each distinct shape among its elements once,
//!                                                                 as first met
//! {str:u64}                       {str:u64}                       a map: likewise, of its entries
//! #8c1f4e02a9d3b756               #8c1f4e02a9d3b756               the digest of what did not fit
//! ```
//!
//! In the marked form, a sign of the grammar within a name follows a `\`, an empty name is `\_`, and `!` before the end
//! of a struct says that its type lists more names than fields. [`OTHER_NAMES`] after the whole text is not part of it.

mod name;
pub(super) mod plan;
mod recording;
mod spelling;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Range;

use blake3::Hasher;
use serde::Serialize;

use self::spelling::Spelling;
use super::digest::first_eight;
pub(super) use recording::Recording;

/// A closed part of a text that is longer is cut to [`HEAD`] and ends in its digest.
const PART: usize = 16 << 10;
const HEAD: usize = 1 << 10;

/// Signs that follow a `\` in a name of the marked form.
const SIGNS: &str = "\\(){}[]<>|,:?*#@!";

/// The number of distinct shapes that a list keeps, within [`PART`]. One digest stands for the others.
const DISTINCT: usize = 64;

/// How deep values may be nested, options and newtypes included. The bytes may be damaged, and each level takes stack:
/// some 4 KB without optimization. It is as deep as serde_json goes.
const DEPTH: u16 = 128;

/// How many elements may exist in addition to one for each byte. Elements such as `()` take no bytes, so that a damaged
/// length would be counted up to for years.
const EMPTY_ELEMENTS: usize = 1 << 20;

/// How a shape is written as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// As versions before the marked form did. It does not distinguish a variant from a struct of the same name.
    Plain,
    /// With everything that is needed to find the parts of a value in its bytes.
    #[default]
    Marked,
}

/// Follows the text of a shape whose variants have names other than those in it. It is not part of the fingerprint.
pub(super) const OTHER_NAMES: char = '!';

/// The fingerprint of a shape's text.
pub(crate) fn fingerprint(text: &str) -> u64 {
    first_eight(blake3::hash(text.as_bytes()).as_bytes())
}

/// Records the shape of one value after another.
#[derive(Default)]
pub(crate) struct Recorder {
    text: String,
    form: Form,
    /// The distinct shapes so far in the lists that are open. Those of an inner list follow those of its outer list.
    met: Vec<Range<usize>>,
    depth: u16,
    /// The number of bytes that the value is decoded from, which bounds the elements that can follow.
    bytes: usize,
    elements: usize,
    /// The expected text of the list's next element, if it is like the one before and has no parts.
    expected: Option<&'static str>,
    was_expected: bool,
    /// The last leaf that was put.
    leaf: Option<&'static str>,
    /// The last text and its fingerprint: most calls decode the same type as the one before.
    last: (String, u64),
    /// Whether the variants of that one have the names in it, if that was checked.
    last_is_own: Option<bool>,
    /// The variants that were met.
    spelling: Spelling,
}

impl Recorder {
    /// Lends the thread's recorder, whose buffers are reused, for one value of this many bytes.
    pub(crate) fn lend<R>(form: Form, bytes: usize, to: impl FnOnce(&mut Recorder) -> R) -> R {
        thread_local! {
            // Taken out while in use: a `Deserialize` of the user's may call this again.
            static LENT: Cell<Option<Box<Recorder>>> = const { Cell::new(None) };
        }
        let mut recorder = LENT.take().unwrap_or_default();
        recorder.begin(form, bytes);
        let result = to(&mut recorder);
        LENT.set(Some(recorder));
        result
    }

    fn begin(&mut self, form: Form, bytes: usize) {
        self.form = form;
        self.spelling = Spelling::default();
        self.text.clear();
        self.text.shrink_to(2 * PART);
        self.met.clear();
        self.depth = 0;
        self.bytes = bytes;
        self.elements = bytes.saturating_add(EMPTY_ELEMENTS);
        (self.expected, self.was_expected, self.leaf) = (None, false, None);
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn fingerprint(&mut self) -> u64 {
        if self.last.0 != self.text {
            self.last.1 = fingerprint(&self.text);
            self.last.0.clone_from(&self.text);
            self.last_is_own = None;
        }
        self.last.1
    }

    /// The shape of this value, which was written and read back, as it is recorded.
    pub(crate) fn shape_of<T: Serialize + ?Sized>(&mut self, value: &T) -> (u64, String) {
        let fingerprint = self.fingerprint();
        let is_own = *self.last_is_own.get_or_insert_with(|| spelling::is_own(fingerprint, self.spelling, value));
        let mut text = self.text.clone();
        if !is_own {
            text.push(OTHER_NAMES);
        }
        (fingerprint, text)
    }

    #[inline]
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn is_marked(&self) -> bool {
        self.form == Form::Marked
    }

    /// Puts the sign for this form.
    #[inline]
    fn put_sign(&mut self, plain: &str, marked: &str) {
        self.put(if self.is_marked() { marked } else { plain });
    }

    /// Puts the name of a struct, field or variant.
    #[inline]
    fn put_name(&mut self, name: &str) {
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !name.is_empty()
            || !self.is_marked()
        {
            self.put(name);
        } else {
            self.put_escaped(name);
        }
    }

    #[cold]
    fn put_escaped(&mut self, name: &str) {
        if name.is_empty() {
            self.put("\\_");
        }
        for char in name.chars() {
            if SIGNS.contains(char) {
                self.put("\\");
            }
            self.text.push(char);
        }
    }

    /// Puts a leaf.
    #[inline]
    fn put_leaf(&mut self, text: &'static str) {
        // The same text at another address is put and compared, with the same result.
        if self.expected.take().is_some_and(|expected| std::ptr::eq(expected, text)) {
            self.was_expected = true;
        } else {
            self.leaf = Some(text);
            self.put(text);
        }
    }

    /// Begins a part, or says why it is refused.
    fn open(&mut self) -> Result<usize, String> {
        if self.depth == DEPTH {
            return Err(format!("it is nested deeper than {DEPTH} levels"));
        }
        self.depth += 1;
        self.expected = None;
        Ok(self.text.len())
    }

    /// Ends the part that began at `start`.
    fn close(&mut self, start: usize) {
        self.depth = self.depth.saturating_sub(1);
        if self.text.len() - start > PART {
            let digest = fingerprint(&self.text[start..]);
            self.text.truncate(self.text.floor_char_boundary(start + HEAD));
            self.put_digest(digest);
        }
    }

    fn put_digest(&mut self, digest: u64) {
        self.text.push_str(&format!("#{digest:016x}"));
    }

    /// Takes one element, or one entry, off the number that the bytes can contain.
    #[inline]
    fn count_element(&mut self) -> Result<(), &'static str> {
        self.elements = self.elements.checked_sub(1).ok_or("it has more elements than its bytes can hold")?;
        Ok(())
    }

    /// How long the shapes in a list may be together. In the marked form they leave room for the text around the list,
    /// so that it is not cut because of them.
    fn most_of_a_list(&self) -> usize {
        if self.is_marked() { PART / 2 } else { PART }
    }

    fn is(&self, range: &Range<usize>, from: usize) -> bool {
        // A `Deserialize` that continues after an error may have left stale ranges.
        self.text.get(range.clone()).is_some_and(|text| text == &self.text[from..])
    }
}

/// The elements of a list, or the entries of a map, each distinct shape once.
struct Distinct {
    /// Where its first shape begins, in the text and among those met.
    text: usize,
    met: usize,
    /// The shape of the last element. The element itself, if it had no parts.
    recent: usize,
    leaf: Option<&'static str>,
    /// The digest of those over the bound.
    more: Option<Box<Hasher>>,
}

impl Distinct {
    fn new(recorder: &Recorder) -> Self {
        let met = recorder.met.len();
        Distinct { text: recorder.text.len(), met, recent: met, leaf: None, more: None }
    }

    /// Begins an element. Returns the argument of [`end`](Self::end). A million numbers must cost little more than
    /// without the recorder: their text is not even put.
    #[inline]
    fn begin_element(&self, recorder: &mut Recorder) -> usize {
        recorder.expected = self.leaf;
        recorder.text.len()
    }

    /// Begins an entry, in the same way.
    fn begin_entry(&self, recorder: &mut Recorder) -> usize {
        recorder.text.len()
    }

    /// Ends what was begun at `at`.
    #[inline]
    fn end(&mut self, recorder: &mut Recorder, at: usize) {
        recorder.expected = None;
        if !std::mem::take(&mut recorder.was_expected) {
            self.end_other(recorder, at);
        }
    }

    fn end_other(&mut self, recorder: &mut Recorder, at: usize) {
        let recent = recorder.met[self.met..].get(self.recent - self.met);
        if recent.is_some_and(|range| recorder.is(range, at)) {
            recorder.text.truncate(at);
            return;
        }
        self.leaf = recorder.leaf.take().filter(|leaf| recorder.text[at..] == **leaf);
        if let Some(nth) = recorder.met[self.met..].iter().position(|range| recorder.is(range, at)) {
            self.recent = self.met + nth;
            recorder.text.truncate(at);
        } else if recorder.met.len() - self.met < DISTINCT
            && recorder.text.len() - self.text <= recorder.most_of_a_list()
        {
            let first = at == self.text;
            if !first {
                recorder.text.insert(at, '|');
            }
            self.recent = recorder.met.len();
            recorder.met.push(at + usize::from(!first)..recorder.text.len());
        } else {
            // No longer each distinct shape once: that would take memory for each. The same bytes still give the same
            // digest.
            let shape = &recorder.text[at..];
            self.more.get_or_insert_default().update(&shape.len().to_le_bytes()).update(shape.as_bytes());
            self.leaf = None;
            recorder.text.truncate(at);
        }
    }

    fn finish(self, recorder: &mut Recorder) {
        // What was expected after the last element did not follow.
        (recorder.expected, recorder.was_expected) = (None, false);
        recorder.met.truncate(self.met);
        if let Some(more) = self.more {
            recorder.put("|");
            recorder.put_digest(first_eight(more.finalize().as_bytes()));
        }
    }
}

/// The elements of a tuple, equal neighbours once.
struct Neighbours {
    /// The previous shape, and how often it appeared in a row.
    last: Range<usize>,
    times: usize,
}

impl Neighbours {
    fn new(recorder: &Recorder) -> Self {
        let start = recorder.text.len();
        Neighbours { last: start..start, times: 0 }
    }

    fn begin(&self, recorder: &mut Recorder) -> usize {
        let at = recorder.text.len();
        if self.times > 0 {
            recorder.put(",");
        }
        at
    }

    fn end(&mut self, recorder: &mut Recorder, at: usize, there_was_one: bool) {
        let from = at + usize::from(self.times > 0);
        if !there_was_one {
            recorder.text.truncate(at);
        } else if self.times > 0 && recorder.is(&self.last, from) {
            self.times += 1;
            recorder.text.truncate(at);
        } else {
            let grown = match self.times {
                0 | 1 => 0,
                times => {
                    let times = format!("*{times}");
                    recorder.text.insert_str(at, &times);
                    times.len()
                }
            };
            self.last = from + grown..recorder.text.len();
            self.times = 1;
        }
    }

    fn finish(self, recorder: &mut Recorder) {
        if self.times > 1 {
            recorder.put(&format!("*{}", self.times));
        }
    }
}
