//! How deep written JSON may be nested.
//!
//! A value is written by a function that calls itself for each level, so a value that is nested too deep overflows the stack,
//! which aborts the process. Owns the bound, which is that of reading. Must not know what is written.

use std::io;

use serde::Serialize;

/// serde_json reads no deeper.
const MOST_LEVELS: usize = 128;

/// The value as JSON.
///
/// # Errors
///
/// When its `Serialize` fails, or when it is nested too deep to be read.
pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut writer = Counting::default();
    serde_json::to_writer(&mut writer, value)?;
    String::from_utf8(writer.bytes).map_err(serde::ser::Error::custom)
}

/// Refuses the bracket that exceeds the bound, before its content is written.
#[derive(Default)]
struct Counting {
    bytes: Vec<u8>,
    levels: usize,
    in_quotes: bool,
    escaped: bool,
}

impl io::Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.in_quotes,
                b'"' => self.in_quotes = !self.in_quotes,
                b'[' | b'{' if !self.in_quotes => self.levels += 1,
                b']' | b'}' if !self.in_quotes => self.levels = self.levels.saturating_sub(1),
                _ => {}
            }
        }
        if self.levels >= MOST_LEVELS {
            return Err(io::Error::other(format!("it is nested deeper than {MOST_LEVELS} levels")));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn nested(levels: usize) -> Value {
        // Not with `json!`, which would write its arguments.
        (1..levels).fold(json!([r#"a text with " and [[ and \"#]), |inner, _| Value::Array(vec![inner, json!("]")]))
    }

    #[test]
    fn json_is_written_if_it_can_be_read_and_no_deeper() {
        let deepest = nested(127);
        let text = to_text(&deepest).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), deepest);
        for levels in [128, 500] {
            let why = to_text(&nested(levels)).unwrap_err();
            assert_eq!(why.to_string(), "it is nested deeper than 128 levels");
        }
    }
}
