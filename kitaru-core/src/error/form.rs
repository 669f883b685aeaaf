//! The form of a message: `cannot X: reason; hint`. Owns its rules, which the compiler applies. Must not know what fails.

/// The most characters of a message. What its placeholders show does not count.
const MOST: usize = 120;

/// What is wrong with a message of these parts. The hint is empty if there is none.
pub(crate) const fn flaw(what: &str, reason: &str, hint: &str) -> Option<&'static str> {
    if what.is_empty() || reason.is_empty() {
        return Some("a message says what cannot be done, and why");
    }
    let parts = [what, reason, hint];
    let mut length = "cannot : ".len() + if hint.is_empty() { 0 } else { "; ".len() };
    let mut nth = 0;
    while nth < parts.len() {
        let part = parts[nth].as_bytes();
        if !part.is_empty() {
            if part[0].is_ascii_uppercase() {
                return Some("a part of a message begins in lower case");
            }
            if part[0] == b' ' || part[part.len() - 1] == b' ' {
                return Some("a part of a message has no space around it");
            }
            if part[part.len() - 1] == b'.' {
                return Some("a message has no full stop at its end");
            }
            match count(part) {
                Ok(signs) => length += signs,
                Err(flaw) => return Some(flaw),
            }
        }
        nth += 1;
    }
    if length > MOST { Some("a message has 120 characters at most, without what its placeholders show") } else { None }
}

/// The characters of a part, without its placeholders.
const fn count(part: &[u8]) -> Result<usize, &'static str> {
    let (mut signs, mut at) = (0, 0);
    while at < part.len() {
        match part[at] {
            b'{' => {
                while part[at] != b'}' {
                    at += 1;
                }
            }
            b'\n' => return Err("a message has one line"),
            b';' => return Err("a message has one hint, after its only semicolon"),
            b'.' if at + 1 < part.len() && part[at + 1] == b' ' => return Err("a message is one sentence"),
            // The later bytes of a character do not count.
            byte if byte & 0xC0 == 0x80 => {}
            _ => signs += 1,
        }
        at += 1;
    }
    Ok(signs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_the_form_has_no_flaw() {
        assert_eq!(flaw("resume execution {execution}", "it is {status}", "call its flow"), None);
        assert_eq!(flaw("run checkpoint `{name}` again", "it may have run", ""), None);
        assert_eq!(flaw("write", "the disk is full", "set .dir(…) or KITARU_DIR"), None);
    }

    #[test]
    fn message_without_the_form_is_refused() {
        let bad = [
            ("", "it is closed", ""),
            ("open the store", "", "open it again"),
            ("Open the store", "it is closed", ""),
            ("open the store", "It is closed", ""),
            ("open the store", "it is closed", "Open it again"),
            ("open the store", "it is closed", "open it again."),
            ("open the store", "it is closed. Open it again", ""),
            ("open the store", "it is closed; open it", "again"),
            ("open the store", "it is\nclosed", ""),
            ("open the store", "it is closed ", ""),
        ];
        for (what, reason, hint) in bad {
            assert!(flaw(what, reason, hint).is_some(), "{what}: {reason}; {hint}");
        }
    }

    #[test]
    fn message_is_measured_in_characters_without_its_placeholders() {
        let reason = "é".repeat(MOST - "cannot write: ".len());
        assert_eq!(flaw("write", &reason, ""), None);
        assert_eq!(flaw("write{}", &format!("{{a_long_placeholder:?}}{reason}"), ""), None);
        assert!(flaw("write", &format!("{reason}é"), "").is_some());
        assert!(flaw("write", &reason, "x").is_some());
    }
}
