//! Where a page of a list ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, cannot};
use crate::id::JournalId;
use crate::shown::short;

/// Where a page ended and the next one begins. It is text that a program can pass around: on a command line, in a URL. Its
/// content is private to the list. It stays valid while the store exists, even if the executions of the page are deleted.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
/// # for n in 0..3 {
/// #     kitaru::dynamic::flow("report").input("n", &n).run(|| async { Ok::<_, kitaru::Error>(7) }).on(&kitaru).await?;
/// # }
/// use kitaru::Cursor;
///
/// let page = kitaru.executions().limit(2).await?;
/// let text = page.next_cursor().expect("there are three").to_string();
/// let rest = kitaru.executions().after(text.parse::<Cursor>()?).await?;
/// assert_eq!((page.len(), rest.len()), (2, 1));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor(pub(crate) JournalId);

/// The beginning of the text: the version of its form.
const VERSION: &str = "1-";

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}{:x}", self.0.0)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// # Errors
    ///
    /// [Misuse](Error::is_misuse) when the text is not from [`Page::next_cursor`](crate::Page::next_cursor).
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.strip_prefix(VERSION).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map(|number| Cursor(JournalId(number))).ok_or_else(|| {
            let text = short(text);
            cannot!(
                Kind::Misuse,
                "read `{text}` as a cursor",
                "it is not from a page",
                "begin the list without a cursor"
            )
        })
    }
}

impl TryFrom<String> for Cursor {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_comes_back_from_its_text_and_other_text_is_refused() {
        for number in [0, 1, 255, u64::MAX] {
            let cursor = Cursor(JournalId(number));
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
            let json = serde_json::to_string(&cursor).unwrap();
            assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), cursor, "{json}");
        }
        for foreign in ["", "1", "1-", "2-a", "1-+a", "1-g", "1-10000000000000000"] {
            assert!(foreign.parse::<Cursor>().unwrap_err().to_string().contains("begin the list"), "{foreign}");
        }
    }
}
