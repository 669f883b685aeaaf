//! Values to bytes and back. Owns the choice between bincode and JSON. No other module knows bincode, so another format
//! could replace it. Must not know what a record or a store is.
//!
//! bincode writes values that it cannot read, and reads bytes of one shape as another. So every encoded value is read
//! back, and must be the same value. For example, if `skip_serializing_if` leaves a field out, the fields after it can
//! shift into its place without an error. A value that bincode does not give back is written as JSON.
//!
//! JSON is read by names, so nothing shifts. A type may still read a text or a number as another one, as a decimal of
//! minus zero is read as zero. Such a value is kept as it was read, if it has the same parts, and if it is written and
//! read a second time without another change.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::marker::PhantomData;

use bincode::config::Configuration;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError as Refusal, EncodeError as Refused};
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, DeserializeSeed, Deserializer};

use super::depth::shallow;
use super::digest::{Likened, alike, same_in_any_order};
use super::inspect::{self, Misfit, OTHER_VALUE};
use super::shape::{Form, Recorder, Recording};

/// Little-endian, with integers of variable length. Part of the format of every store.
const BINCODE: Configuration = bincode::config::standard();

/// How a recorded value is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Codec {
    /// bincode with a shape in the plain form, as earlier versions wrote it.
    Unmarked = 0,
    Json = 1,
    /// bincode with a shape in the marked form.
    Bincode = 2,
}

impl Codec {
    pub(crate) fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Codec::Unmarked),
            1 => Some(Codec::Json),
            2 => Some(Codec::Bincode),
            _ => None,
        }
    }
}

/// Which codec is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodecWish {
    /// bincode, or JSON for values that bincode cannot give back.
    Bincode,
    Json,
}

/// What a value's type requests while its bytes are decoded.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) fingerprint: u64,
    pub(crate) text: String,
}

/// A value in bytes that were read back.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) codec: Codec,
    /// None for JSON, which is read by name.
    pub(crate) shape: Option<Shape>,
    pub(crate) bytes: Vec<u8>,
}

/// Why a value cannot be recorded.
#[derive(Debug)]
pub(crate) enum EncodeError {
    /// It takes more bytes than the bound.
    TooLarge { size: usize, limit: usize },
    /// No codec gives it back.
    Unreadable(Undecodable),
}

/// Why no codec gives a value back.
#[derive(Debug)]
pub(crate) struct Undecodable {
    /// The type of the value, without the paths to it.
    pub(crate) of: String,
    /// The path to the part that is not given back, if it was found; empty for the whole value.
    pub(crate) at: Option<String>,
    /// The error of each codec. It may quote the value.
    pub(crate) why: String,
}

/// Why bytes give no value.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// They were written for a type of another shape.
    Shape { found: String },
    /// This many bytes are left after the complete value.
    Leftover { bytes: usize },
    /// They are not a value of the type.
    Malformed(String),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Shape { found } => {
                let end = found.floor_char_boundary(500);
                let more = if end < found.len() { "…" } else { "" };
                write!(f, "it was recorded in another shape than the one asked for now, `{}{more}`", &found[..end])
            }
            DecodeError::Leftover { bytes } => write!(f, "{bytes} bytes are left over behind it"),
            DecodeError::Malformed(why) => f.write_str(why),
        }
    }
}

/// Encodes `value` and reads it back. Returns the value as read, which is what a replay sees.
///
/// # Errors
///
/// If it takes more than `limit` bytes, or no codec gives it back.
pub(crate) fn encode<T: Serialize + DeserializeOwned>(
    value: &T,
    wish: CodecWish,
    limit: usize,
) -> Result<(Encoded, T), EncodeError> {
    let unreadable = |why, at| EncodeError::Unreadable(Undecodable { of: inspect::type_name::<T>(), at, why });
    // This comes first: it says whether the codecs may recurse as deep as the value.
    let mut exactly = Likened::exactly(value).map_err(|why| unreadable(why.to_string(), None))?;
    let mut said = String::new();
    if wish == CodecWish::Bincode {
        match by_bincode(value, &mut exactly, limit)? {
            Ok(done) => return Ok(done),
            Err(why) => said = format!("; bincode: {why}"),
        }
    }
    by_json(value, &mut exactly, limit)?.map_err(|Misfit { at, why }| unreadable(format!("json: {why}{said}"), at))
}

/// The number of bytes that bincode takes for a value; 0 if it cannot write it. A value that came as JSON takes as many
/// when a flow passes it on.
pub(crate) fn bincode_size<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut counted = Bounded::new(0);
    bincode::serde::encode_into_writer(value, &mut counted, BINCODE).map_or(0, |()| counted.size)
}

/// Decodes the bytes of [`encode`]. The fingerprint counts for bincode only.
///
/// Damaged bytes cause no panic, no allocation much larger than the bytes, and no recursion deeper than the bound in
/// [`shape`](super::shape).
///
/// # Errors
///
/// If the bytes are not exactly one `T` of that shape.
pub(crate) fn decode<T: DeserializeOwned>(codec: Codec, fingerprint: u64, bytes: &[u8]) -> Result<T, DecodeError> {
    let form = match codec {
        Codec::Json => {
            return serde_json::from_slice(bytes)
                .map_err(|why| DecodeError::Malformed(inspect::misread::<T>(bytes, &why)));
        }
        Codec::Unmarked => Form::Plain,
        Codec::Bincode => Form::Marked,
    };
    Recorder::lend(form, bytes.len(), |recorder| {
        let (value, left) = read(bytes, recorder).map_err(DecodeError::Malformed)?;
        // Leftover bytes mostly come from another shape, which is the better message.
        if recorder.fingerprint() != fingerprint {
            return Err(DecodeError::Shape { found: recorder.text().to_owned() });
        }
        match left {
            0 => Ok(value),
            bytes => Err(DecodeError::Leftover { bytes }),
        }
    })
}

/// A value read back, or why this codec does not give it back. The outer error concerns no codec.
type Tried<T, Why> = Result<Result<(Encoded, T), Why>, EncodeError>;

fn by_bincode<T: Serialize + DeserializeOwned>(value: &T, exactly: &mut Likened, limit: usize) -> Tried<T, String> {
    let mut out = Bounded::new(limit);
    if let Err(why) = bincode::serde::encode_into_writer(value, &mut out, BINCODE) {
        return Ok(Err(in_words(&why)));
    }
    let bytes = out.within()?;
    Recorder::lend(Form::Marked, bytes.len(), |recorder| {
        let (back, left) = match read::<T>(&bytes, recorder) {
            Ok(read) => read,
            Err(why) => return Ok(Err(why)),
        };
        if left > 0 {
            return Ok(Err(DecodeError::Leftover { bytes: left }.to_string()));
        }
        if !exactly.is(&back) {
            return Ok(Err(OTHER_VALUE.to_owned()));
        }
        let (fingerprint, text) = recorder.shape_of(value);
        let shape = Shape { fingerprint, text };
        Ok(Ok((Encoded { codec: Codec::Bincode, shape: Some(shape), bytes }, back)))
    })
}

// JSON is read by names, so nothing shifts. But an untagged enum can be read as another variant, and a value in a
// `Some` as nothing. `alike` says which changes are harmless. The flow sees what a replay sees.
fn by_json<T: Serialize + DeserializeOwned>(value: &T, exactly: &mut Likened, limit: usize) -> Tried<T, Misfit> {
    let mut out = Bounded::new(limit);
    if let Err(why) = serde_json::to_writer(&mut out, &shallow(value)) {
        return Ok(Err(inspect::unwritten(value, &why)));
    }
    let bytes = out.within()?;
    let back = match serde_json::from_slice::<T>(&bytes) {
        Ok(back) => back,
        Err(why) => return Ok(Err(inspect::unread(value, &bytes, &why))),
    };
    if exactly.is(&back) || (alike(value, &back) && is_settled(&back)) {
        return Ok(Ok((Encoded { codec: Codec::Json, shape: None, bytes }, back)));
    }
    Ok(Err(inspect::changed(value, &back)))
}

/// Whether a value that was read once is read as itself from then on.
fn is_settled<T: Serialize + DeserializeOwned>(value: &T) -> bool {
    let bytes = serde_json::to_vec(&shallow(value));
    bytes
        .ok()
        .and_then(|bytes| serde_json::from_slice::<T>(&bytes).ok())
        .is_some_and(|again| same_in_any_order(value, &again))
}

/// Reads a `T`. Returns it and the number of bytes that are left.
fn read<T: DeserializeOwned>(bytes: &[u8], recorder: &mut Recorder) -> Result<(T, usize), String> {
    let seed = Seed { recorder, value: PhantomData };
    let (value, used) =
        bincode::serde::seed_decode_from_slice(seed, bytes, BINCODE).map_err(|why| refusal_in_words(&why))?;
    Ok((value, bytes.len() - used))
}

struct Seed<'r, T> {
    recorder: &'r mut Recorder,
    value: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Seed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        T::deserialize(Recording { inner, recorder: self.recorder })
    }
}

/// The parts of a value without its type, taken off the front of its bytes. Each is `None` if the bytes contain no such
/// part. A declared length takes no more than the bytes that exist.
pub(super) struct Front<'a>(pub(super) &'a [u8]);

impl<'a> Front<'a> {
    pub(super) fn take<T: Atom<'a>>(&mut self) -> Option<T> {
        let (part, used) = bincode::borrow_decode_from_slice(self.0, BINCODE).ok()?;
        self.0 = self.0.get(used..)?;
        Some(part)
    }
}

/// What can be taken off the front of bytes: numbers, `bool`, `char`, a text, bytes.
pub(super) trait Atom<'a>: bincode::BorrowDecode<'a, ()> {}

impl<'a, T: bincode::BorrowDecode<'a, ()>> Atom<'a> for T {}

/// Keeps written bytes up to a bound, and only counts after that.
struct Bounded {
    bytes: Vec<u8>,
    size: usize,
    limit: usize,
}

impl Bounded {
    fn new(limit: usize) -> Self {
        Bounded { bytes: Vec::new(), size: 0, limit }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.size = self.size.saturating_add(bytes.len());
        if self.size <= self.limit {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes = Vec::new();
        }
    }

    fn within(self) -> Result<Vec<u8>, EncodeError> {
        match self.size > self.limit {
            true => Err(EncodeError::TooLarge { size: self.size, limit: self.limit }),
            false => Ok(self.bytes),
        }
    }
}

impl Writer for Bounded {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.put(bytes);
        Ok(())
    }
}

impl io::Write for Bounded {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn in_words(why: &Refused) -> String {
    match why {
        Refused::OtherString(why) => why.clone(),
        Refused::Serde(_) => "it cannot write a list or map of unknown length".to_owned(),
        why => format!("{why:?}"),
    }
}

fn refusal_in_words(why: &Refusal) -> String {
    match why {
        Refusal::OtherString(why) => why.clone(),
        Refusal::UnexpectedEnd { .. } => "the bytes end before the value does".to_owned(),
        Refusal::Utf8 { inner } => format!("a text in it is not UTF-8: {inner}"),
        Refusal::Serde(_) => "its type depends on the data, but bincode does not record types".to_owned(),
        why => format!("the bytes are not a value of this type: {why:?}"),
    }
}
