//! The number in front of stored messages.
//!
//! Owns which formats this build reads. Must not know the content of the messages.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The format of stored messages: a number that is checked whenever messages are read.
///
/// Its value is empty. Messages are written with the oldest format that has all their parts, so that messages of an older
/// format keep their text and their keys. It is an error to read an unknown number, and the error names both.
///
/// | format | adds |
/// |---|---|
/// | 1 | |
/// | 2 | [`ResponsePart::Reasoning`](crate::ResponsePart), [`ResponsePart::Opaque`](crate::ResponsePart) |
/// | 3 | [`RequestPart::Attachment`](crate::RequestPart), [`Place::Text`](crate::Place) |
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::Format;
///
/// assert_eq!(serde_json::to_string(&Format).unwrap(), "3");
/// let error = serde_json::from_str::<Format>("7").unwrap_err();
/// assert!(error.to_string().contains("message format 7"));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Format;

impl Format {
    /// The newest format that this build reads and writes.
    pub const NEWEST: u32 = 3;
    /// The oldest one.
    pub(super) const FIRST: u32 = 1;
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Format({})", Self::NEWEST)
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(Self::NEWEST)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            Self::FIRST..=Self::NEWEST => Ok(Self),
            found => Err(D::Error::custom(format_args!(
                "cannot read messages of message format {found}: this build reads formats 1 to {}; read them with a \
                 newer kitaru-agent",
                Self::NEWEST
            ))),
        }
    }
}
