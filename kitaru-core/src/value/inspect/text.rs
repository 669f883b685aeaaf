//! Where in a JSON text an error is. Owns how far that is known without reading the text as any type.

/// The path to the part of compact JSON that is open after `end` bytes, or was closed by the last of them.
pub(super) fn path(json: &[u8], end: usize) -> String {
    let mut open: Vec<TextPart> = Vec::new();
    let mut at = 0;
    let end = end.min(json.len());
    while at < end {
        match json[at] {
            b'{' => open.push(TextPart::Map(None)),
            b'[' => open.push(TextPart::List(0)),
            b'}' | b']' => drop(open.pop()),
            b',' => {
                if let Some(TextPart::List(nth)) = open.last_mut() {
                    *nth += 1;
                }
            }
            b'"' => {
                let length = text_length(&json[at..]);
                let text = json.get(at..at + length).unwrap_or_default();
                if json.get(at + length) == Some(&b':')
                    && let Some(TextPart::Map(key)) = open.last_mut()
                {
                    *key = serde_json::from_slice(text).ok();
                }
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    // A part that has only begun has no name yet.
    open.iter().filter_map(TextPart::segment).collect()
}

/// The number of bytes of a text in quotes.
fn text_length(json: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in json.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

enum TextPart {
    List(usize),
    Map(Option<String>),
}

impl TextPart {
    fn segment(&self) -> Option<String> {
        match self {
            TextPart::List(nth) => Some(format!("[{nth}]")),
            TextPart::Map(key) => key.as_deref().map(super::walk::key),
        }
    }
}
