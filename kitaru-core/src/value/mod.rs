//! Values: to bytes and back, to keys, to shapes, to text. Owns the forms of a value outside its process. Must not know
//! what a checkpoint, a record or a store is.

mod codec;
mod depth;
mod digest;
mod inspect;
mod preview;
mod shape;
mod showing;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

pub(crate) use codec::{
    Codec, CodecWish, DecodeError, EncodeError, Encoded, Shape, Undecodable, bincode_size, decode, encode,
};
pub(crate) use depth::shallow;
#[cfg(test)]
pub(crate) use depth::{MOST_LEVELS, MOST_WRAPS};
pub(crate) use digest::{Canon, Key, digest_parts, same};
pub(crate) use preview::{ArgPreview, HIDDEN, Sensitivity, clip, preview};
pub use showing::NotShown;
pub(crate) use showing::{needs_shape, show};

use crate::error::Error;

/// Takes the arguments of a call, one after another, in one of several forms. The expansions of the macros call it.
#[doc(hidden)]
pub struct ArgSink<'a> {
    into: Into<'a>,
    refused: Option<Error>,
}

enum Into<'a> {
    Canon(&'a mut Canon),
    Preview(&'a mut ArgPreview),
    #[cfg(feature = "testkit")]
    Json(&'a mut serde_json::Map<String, serde_json::Value>),
}

impl<'a> ArgSink<'a> {
    /// Into canonical bytes, for a key.
    pub(crate) fn canonical(canon: &'a mut Canon) -> Self {
        ArgSink { into: Into::Canon(canon), refused: None }
    }

    /// Into text for people. Never refuses an argument.
    pub(crate) fn preview(preview: &'a mut ArgPreview) -> Self {
        ArgSink { into: Into::Preview(preview), refused: None }
    }

    /// Into JSON, by name.
    #[cfg(feature = "testkit")]
    pub(crate) fn json(args: &'a mut serde_json::Map<String, serde_json::Value>) -> Self {
        ArgSink { into: Into::Json(args), refused: None }
    }

    /// Takes the next argument.
    pub fn arg<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        let took = match &mut self.into {
            Into::Canon(canon) => canon.arg(value),
            Into::Preview(preview) => {
                preview.arg(name, value);
                Ok(())
            }
            #[cfg(feature = "testkit")]
            Into::Json(args) => serde_json::to_value(shallow(value))
                .map(|value| drop(args.insert(name.to_owned(), value)))
                .map_err(|why| Error::new(crate::error::Kind::Unreadable, why)),
        };
        if let Err(why) = took {
            self.refused.get_or_insert_with(|| why.context(format!("argument `{name}` cannot be serialized")));
        }
    }

    /// Takes the next argument, with a replacement that is shown to people.
    pub(crate) fn shown<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T, shown: &str) {
        match &mut self.into {
            Into::Canon(_) => self.arg(name, value),
            #[cfg(feature = "testkit")]
            Into::Json(_) => self.arg(name, value),
            Into::Preview(preview) => preview.text(name, shown),
        }
    }

    /// Finishes the arguments.
    ///
    /// # Errors
    ///
    /// The first argument that was refused, and why.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.refused.map_or(Ok(()), Err)
    }
}

impl fmt::Debug for ArgSink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArgSink").field("refused", &self.refused).finish_non_exhaustive()
    }
}
