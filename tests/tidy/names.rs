//! The names that a Rust file mentions, imports and defines. Owns a lexer that is just good enough for that; must not know
//! where a name leads.

use std::collections::BTreeSet;

/// A name as it is written, and the number of modules within the file around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    pub path: Vec<String>,
    pub inner: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub mention: Mention,
    /// Its name in the file; `*` for a glob import.
    pub bound: String,
    /// It is re-exported, with `pub`.
    pub is_shown: bool,
}

#[derive(Default, Debug)]
pub struct Names {
    pub imports: Vec<Import>,
    /// Paths of two parts or more, outside of imports.
    pub mentions: Vec<Mention>,
    pub defined: BTreeSet<String>,
    /// Modules that have a file.
    pub declared: BTreeSet<String>,
    /// Every word outside of imports.
    pub words: BTreeSet<String>,
}

impl Names {
    pub fn of(text: &str) -> Names {
        let tokens = tokens(text);
        let mut names = Names::default();
        // The depth of braces at which each module within the file was opened.
        let (mut depth, mut inner) = (0usize, Vec::new());
        let mut at = 0;
        while at < tokens.len() {
            let token = tokens[at].as_str();
            match token {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    inner.pop_if(|opened| *opened == depth);
                }
                "mod" => match tokens.get(at + 1..at + 3) {
                    Some([_, opened]) if opened == "{" => inner.push(depth),
                    Some([name, ended]) if ended == ";" => {
                        names.declared.insert(name.clone());
                        at += 1;
                    }
                    _ => {}
                },
                // `impl Trait + use<'a>` is another `use`.
                "use" if tokens.get(at + 1).is_some_and(|next| next != "<") => {
                    let is_shown = at > 0 && matches!(tokens[at - 1].as_str(), "pub" | ")");
                    let mut tree = Tree { tokens: &tokens, at: at + 1, found: Vec::new() };
                    tree.read(&[]);
                    at = tree.at;
                    names.imports.extend(tree.found.into_iter().map(|(path, bound)| Import {
                        mention: Mention { path, inner: inner.len() },
                        bound,
                        is_shown,
                    }));
                    continue;
                }
                _ if is_word(token) => {
                    let is_macro = at > 1 && tokens[at - 1] == "!" && tokens[at - 2] == "macro_rules";
                    // An item in braces is a method, or local to a function.
                    if depth == inner.len() && at > 0 && (is_macro || DEFINES.contains(&tokens[at - 1].as_str())) {
                        names.defined.insert(token.to_owned());
                    }
                    names.words.insert(token.to_owned());
                    let begins = at == 0 || !matches!(tokens[at - 1].as_str(), "::" | ".");
                    let mut path = vec![token.to_owned()];
                    let mut end = at + 1;
                    while end + 1 < tokens.len() && tokens[end] == "::" && is_word(&tokens[end + 1]) {
                        path.push(tokens[end + 1].clone());
                        end += 2;
                    }
                    if begins && path.len() > 1 {
                        names.mentions.push(Mention { path, inner: inner.len() });
                    }
                }
                _ => {}
            }
            at += 1;
        }
        names
    }
}

const DEFINES: [&str; 9] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "mod"];

/// The tree of a `use`, from behind the word to behind its semicolon.
struct Tree<'a> {
    tokens: &'a [String],
    at: usize,
    found: Vec<(Vec<String>, String)>,
}

impl Tree<'_> {
    fn next(&mut self) -> &str {
        self.at += 1;
        self.tokens.get(self.at - 1).map_or(";", String::as_str)
    }

    /// Reads one branch; what ended it.
    fn read(&mut self, before: &[String]) -> String {
        let mut path = before.to_vec();
        let mut bound: Option<String> = None;
        loop {
            let token = self.next().to_owned();
            match token.as_str() {
                // A path that begins with it leads to another crate.
                "::" if path.is_empty() => path.push(String::new()),
                "::" => {}
                "{" => {
                    while self.read(&path) != "}" {}
                    let end = self.next().to_owned();
                    return end;
                }
                "as" => bound = Some(self.next().to_owned()),
                "," | "}" | ";" => {
                    if path.len() > before.len() {
                        let is_itself = path.len() > 1 && path.last().is_some_and(|last| last == "self");
                        if is_itself {
                            path.pop();
                        }
                        let bound = bound.or_else(|| path.last().cloned()).unwrap_or_default();
                        self.found.push((path, bound));
                    }
                    // A `use` that is not closed ends with the text.
                    return if token == ";" && !before.is_empty() { "}".into() } else { token };
                }
                _ => path.push(token),
            }
        }
    }
}

pub fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// The words, `::` and single signs of a text, without comments and literals.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = quoted(rest) {
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else if is_word(rest) {
            let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else {
            tokens.push(first.to_string());
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

pub fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string, character or lifetime at the begin of the text.
pub fn quoted(text: &str) -> Option<usize> {
    let prefix = text.find(|c: char| !matches!(c, 'b' | 'c' | 'r'))?;
    let is_raw = text[..prefix].contains('r');
    let behind = &text[prefix..];
    if prefix > 2 {
        return None;
    }
    if is_raw {
        let hashes = behind.find(|c: char| c != '#')?;
        let end = format!("\"{}", &behind[..hashes]);
        let inside = behind[hashes..].strip_prefix('"')?;
        return Some(prefix + hashes + 1 + inside.find(&end)? + end.len());
    }
    let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inside = &behind[1..];
    if quote == '\'' && !inside.starts_with('\\') && inside.chars().nth(1) != Some('\'') {
        // A lifetime: only the quote is skipped.
        return Some(prefix + 1).filter(|_| prefix == 0);
    }
    let mut is_escaped = false;
    let end = inside.find(|c| {
        let ends = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })?;
    Some(prefix + 1 + end + 1)
}
