//! The fingerprint of a function's source: eight bytes that change when its code changes, but not when only its
//! comments, its lints or its layout change.
//!
//! It is taken over the token trees, never over their printed form, which differs between compiler versions.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The fingerprint of everything in `tokens`.
pub(crate) fn of(tokens: TokenStream) -> u64 {
    let mut hasher = blake3::Hasher::new();
    add(&mut hasher, tokens);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

fn add(hasher: &mut blake3::Hasher, tokens: TokenStream) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => match marks(group.delimiter()) {
                Some((open, close)) => {
                    hasher.update(&[open]);
                    add(hasher, group.stream());
                    hasher.update(&[close]);
                }
                // Tokens from a `macro_rules!` count as if they had been typed.
                None => add(hasher, group.stream()),
            },
            TokenTree::Punct(punct) => match punct.as_char() {
                '#' if tokens.next_if(is_silent_attribute).is_some() => {}
                // rustfmt adds and removes these when it breaks lines.
                ',' if ends_a_list(tokens.peek()) => {}
                char => add_text(hasher, b'p', char.encode_utf8(&mut [0; 4])),
            },
            TokenTree::Ident(ident) => add_text(hasher, b'i', &ident.to_string()),
            TokenTree::Literal(literal) => add_text(hasher, b'l', &literal.to_string()),
        }
    }
}

fn add_text(hasher: &mut blake3::Hasher, kind: u8, text: &str) {
    hasher.update(&[kind]);
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn marks(delimiter: Delimiter) -> Option<(u8, u8)> {
    match delimiter {
        Delimiter::Parenthesis => Some((b'(', b')')),
        Delimiter::Brace => Some((b'{', b'}')),
        Delimiter::Bracket => Some((b'[', b']')),
        Delimiter::None => None,
    }
}

/// Whether a comma before this token is a trailing one.
fn ends_a_list(next: Option<&TokenTree>) -> bool {
    match next {
        None => true,
        Some(TokenTree::Punct(punct)) => punct.as_char() == '>',
        Some(_) => false,
    }
}

/// Whether the token after a `#` is an attribute without effect on the code.
fn is_silent_attribute(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else { return false };
    let first = group.stream().into_iter().next();
    group.delimiter() == Delimiter::Bracket
        && matches!(first, Some(TokenTree::Ident(name))
            if ["doc", "allow", "expect", "warn", "deny", "forbid", "rustfmt", "clippy"].iter().any(|silent| name == silent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(source: &str) -> u64 {
        of(source.parse().expect("tokens"))
    }

    const BASE: &str = "async fn f(topic: &str, n: u32) -> Vec<u8> { g::<u8, u16>(topic, n >> 1).await }";

    #[test]
    fn fingerprint_ignores_layout_comments_and_lints() {
        for same in [
            "async fn f(topic: &str, n: u32)\n-> Vec<u8>\n{ // a comment\n g::<u8, u16>(topic, n >> 1).await }",
            "async fn f(topic: &str, n: u32,) -> Vec<u8,> { g::<u8, u16,>(topic, n >> 1,).await }",
            "async fn f(topic: &str, #[allow(unused)] n: u32) -> Vec<u8> { g::<u8, u16>(topic, n >> 1).await }",
            "async fn f(topic: &str, n: u32) -> Vec<u8> { /** docs */ g::<u8, u16>(topic, n >> 1).await }",
        ] {
            assert_eq!(print(BASE), print(same), "{same}");
        }
    }

    #[test]
    fn fingerprint_changes_with_a_token() {
        for other in [
            "async fn f(topic: &str, n: u64) -> Vec<u8> { g::<u8, u16>(topic, n >> 1).await }",
            "async fn f(topic: &str, n: u32) -> Vec<u8> { g::<u8, u16>(topic, n >> 2).await }",
            "async fn f(topic: &str, n: u32) -> Vec<u8> { g::<u8, u16>(topic, n > 1).await }",
            "async fn f(topic: &str, n: u32) -> Vec<u8> { g::<u8, u16>((topic, n >> 1)).await }",
            "async fn f(topic: &str, n: u32) -> Vec<u8> { #[cfg(unix)] g::<u8, u16>(topic, n >> 1).await }",
        ] {
            assert_ne!(print(BASE), print(other), "{other}");
        }
        assert_ne!(print(r#""ab" "c""#), print(r#""a" "bc""#));
        assert_ne!(print("a b"), print("ab"));
        assert_ne!(print("[a] b"), print("[a b]"));
    }

    #[test]
    fn fingerprint_is_the_same_in_every_build() {
        // A record keeps it: after a change here, every finished record looks as if other code had made it.
        assert_eq!(print(BASE), 8_481_093_952_806_771_270);
    }
}
