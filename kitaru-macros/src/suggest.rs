//! "did you mean": the nearest of the valid words.

use std::fmt::Write as _;

/// The candidate of which `word` is most likely a misspelling, if one is near enough.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .iter()
        .map(|candidate| (distance(&word, candidate), *candidate))
        // Half of a word may be wrong, but two letters that differ are not a slip of `id`.
        .filter(|(distance, candidate)| *distance <= word.len().max(candidate.len()) / 2 && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `retries`?``, or else the list of candidates.
pub(crate) fn hint(word: &str, candidates: &[&str], what: &str) -> String {
    match nearest(word, candidates) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("{what} {}", list(candidates)),
    }
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn list(words: &[&str]) -> String {
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        let joint = match i {
            0 => "",
            _ if i + 1 == words.len() => " and ",
            _ => ", ",
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{joint}`{word}`");
    }
    text
}

/// Edit distance (insert, remove, replace) in bytes.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: [&str; 5] = ["name", "retries", "timeout", "at_most_once", "memo"];

    #[test]
    fn misspelling_finds_its_word() {
        assert_eq!(nearest("retry", &OPTIONS), Some("retries"));
        assert_eq!(nearest("Timeout", &OPTIONS), Some("timeout"));
        assert_eq!(nearest("atmostonce", &OPTIONS), Some("at_most_once"));
        assert_eq!(nearest("memoize", &OPTIONS), Some("memo"));
    }

    #[test]
    fn a_word_that_is_far_from_all_finds_none() {
        assert_eq!(nearest("parallelism", &OPTIONS), None);
        assert_eq!(nearest("x", &["a", "b"]), None);
    }

    #[test]
    fn a_list_ends_in_and() {
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
