//! Which promises of `docs/model.md` name no test. Owns the form of that page; must not know which tests there are.

/// The paragraphs that no test shows. What comes before a list or a table is shown with it, and tests follow a list.
pub fn without_a_test(model: &str) -> Vec<&str> {
    let Some((_, promises)) = model.split_once("\n## 1. ") else { return vec!["the page"] };
    let paragraphs = promises.split("\n\n").skip(1).map(str::trim).filter(|text| !text.starts_with("## "));
    let paragraphs: Vec<_> = paragraphs.collect();
    let is_item = |text: &str| text.starts_with("- ") || text.starts_with("| ");
    let is_shown = |nth: usize| {
        let next = paragraphs.get(nth + 1);
        paragraphs[nth].contains('✓')
            || next.is_some_and(|next| if is_item(paragraphs[nth]) { next.contains('✓') } else { is_item(next) })
    };
    (0..paragraphs.len()).filter(|nth| !is_shown(*nth)).map(|nth| paragraphs[nth]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_without_a_test_is_found_and_one_before_a_list_with_tests_is_not() {
        let page = "# A\n\nTerms.\n\n## 1. B\n\nShown.\n✓ `a`\n\nBare.\n\nOf these:\n\n- one\n- two\n\n✓ `b`\n\n## C\n\n- bare\n";
        assert_eq!(without_a_test(page), ["Bare.", "- bare"]);
    }
}
