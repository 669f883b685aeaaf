//! How names and durations are written. Owns what is wrong with an invalid one; must not know its option.

/// The longest name that a record can keep.
const MAX_NAME_BYTES: usize = 128;

/// What is wrong with `name` as the name of a tool.
pub(crate) fn tool_name_fault(name: &str) -> Option<String> {
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    let fault = name.is_empty() || name.len() > 64 || !name.chars().all(fits);
    fault.then(|| "providers take names of tools of 1 to 64 letters, digits, `_` and `-`".to_owned())
}

/// What is wrong with `name` as the name of a flow or a checkpoint.
pub(crate) fn name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("a name cannot be empty".to_owned())
    } else if name.len() > MAX_NAME_BYTES {
        Some(format!("a name is at most {MAX_NAME_BYTES} bytes, and this one has {}", name.len()))
    } else if name.chars().any(char::is_control) {
        Some("a name cannot contain control characters".to_owned())
    } else {
        None
    }
}

/// The milliseconds of `"250ms"`, `"30s"`, `"5m"`, `"24h"` or `"7d"`, at least `least`.
pub(crate) fn duration_ms(text: &str, least: u64) -> Result<u64, String> {
    let split = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => 0,
    };
    if unit_ms == 0 || number.is_empty() {
        return Err(format!("`{text}` is not a duration; write it like `250ms`, `30s`, `5m`, `24h` or `7d`"));
    }
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms)) {
        Some(ms) if ms < least => Err("this duration has to be longer than zero".to_owned()),
        Some(ms) => Ok(ms),
        None => Err(format!("`{text}` is too long a time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit() {
        let of = |text| duration_ms(text, 0);
        assert_eq!(of("250ms"), Ok(250));
        assert_eq!(of("30s"), Ok(30_000));
        assert_eq!(of("5m"), Ok(300_000));
        assert_eq!(of("24h"), Ok(86_400_000));
        assert_eq!(of("7d"), Ok(604_800_000));
        assert_eq!(of("0s"), Ok(0));
        for wrong in ["", "30", "s", "1h30m", "-1s", "1.5s", " 1s", "1 s", "1S"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        assert!(of("99999999999999999999s").is_err());
        assert!(of("213503982335d").is_err());
        assert!(duration_ms("0s", 1).is_err());
    }

    #[test]
    fn names_are_short_and_printable() {
        assert_eq!(name_fault(&"x".repeat(MAX_NAME_BYTES)), None);
        assert_eq!(name_fault("Seite holen"), None);
        for wrong in ["", "a\nb", "\u{7f}", &"x".repeat(MAX_NAME_BYTES + 1)] {
            assert!(name_fault(wrong).is_some(), "{wrong:?}");
        }
    }
}
