//! Numbers as people read them, the same in the dashboard and in the command.

/// How long something took, from microseconds.
///
/// # Examples
///
/// ```
/// assert_eq!(kitaru_control::text::duration(1_500), "1.5 ms");
/// assert_eq!(kitaru_control::text::duration(61_000_000), "1 min 1 s");
/// ```
pub fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        1_000_000..60_000_000 => format!("{:.2} s", us as f64 / 1e6),
        60_000_000..3_600_000_000 => format!("{} min {} s", us / 60_000_000, us / 1_000_000 % 60),
        _ => format!("{} h {} min", us / 3_600_000_000, us / 60_000_000 % 60),
    }
}

/// A number of bytes.
///
/// # Examples
///
/// ```
/// assert_eq!(kitaru_control::text::bytes(1_234_000), "1.2 MB");
/// ```
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A number, with a comma behind each three digits from the right.
///
/// # Examples
///
/// ```
/// assert_eq!(kitaru_control::text::count(1_234_567), "1,234,567");
/// ```
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
