//! Where in a JSON text an error is. Owns how far that is known without reading the text as any type.

/// The path to the part of compact JSON that is open after `end` bytes, or was closed by the last of them.
pub(super) fn path(json: &[u8], end: usize) -> String {
    let mut open: Vec<Part> = Vec::new();
    let mut at = 0;
    let end = end.min(json.len());
    while at < end {
        match json[at] {
            b'{' => open.push(Part::Map(None)),
            b'[' => open.push(Part::List(0)),
            b'}' | b']' => drop(open.pop()),
            b',' => {
                if let Some(Part::List(nth)) = open.last_mut() {
                    *nth += 1;
                }
            }
            b'"' => {
                let length = text_length(&json[at..]);
                let text = json.get(at..at + length).unwrap_or_default();
                if json.get(at + length) == Some(&b':')
                    && let Some(Part::Map(key)) = open.last_mut()
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
    open.iter().filter_map(Part::segment).collect()
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

enum Part {
    List(usize),
    Map(Option<String>),
}

impl Part {
    fn segment(&self) -> Option<String> {
        match self {
            Part::List(nth) => Some(format!("[{nth}]")),
            Part::Map(key) => key.as_deref().map(super::walk::key),
        }
    }
}
