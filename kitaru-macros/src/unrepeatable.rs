//! Code in a flow that a replay would not repeat. Owns how it is found and marked, so that the compiler warns about it.
//! Must not know the texts of the warnings: each is a deprecated function of the core, which is called around the
//! marked code.
//!
//! It sees paths as they are written, in token trees. So it looks into closures, `async` blocks and the macros that
//! take expressions, and works in an incomplete body. It marks functions, which appear only where an expression may. A
//! body in which it finds nothing stays as it is, token by token.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;

/// A warning, its functions, and the number of last segments of a path that identify such a function.
type Row = (&'static str, usize, &'static [&'static [&'static str]]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("time", 2, &[
        &["std", "time", "SystemTime", "now"], &["std", "time", "Instant", "now"], &["tokio", "time", "Instant", "now"],
        &["chrono", "Utc", "now"], &["chrono", "Local", "now"], &["chrono", "offset", "Utc", "now"],
        &["chrono", "offset", "Local", "now"], &["time", "OffsetDateTime", "now_utc"],
        &["time", "OffsetDateTime", "now_local"], &["time", "UtcDateTime", "now"], &["jiff", "Timestamp", "now"],
        &["jiff", "Zoned", "now"],
    ]),
    ("random", 2, &[
        &["rand", "random"], &["rand", "random_range"], &["rand", "random_bool"], &["rand", "random_ratio"],
        &["rand", "random_iter"], &["rand", "fill"], &["rand", "rng"], &["rand", "thread_rng"],
        &["rand", "rngs", "ThreadRng", "default"],
        &["rand", "rngs", "StdRng", "from_os_rng"], &["rand", "rngs", "StdRng", "from_entropy"],
        &["rand", "rngs", "SmallRng", "from_os_rng"], &["rand", "rngs", "SmallRng", "from_entropy"],
    ]),
    ("random", 1, &[&["thread_rng"]]),
    ("uuid", 2, &[&["uuid", "Uuid", "new_v4"], &["uuid", "Uuid", "now_v7"]]),
    ("thread_sleep", 2, &[&["std", "thread", "sleep"]]),
    ("sleep", 2, &[&["tokio", "time", "sleep"], &["tokio", "time", "sleep_until"]]),
    ("interval", 2, &[&["tokio", "time", "interval"], &["tokio", "time", "interval_at"]]),
    ("timeout", 2, &[&["tokio", "time", "timeout"], &["tokio", "time", "timeout_at"]]),
    // `task::spawn` may be a function of the user's own.
    ("spawn", 2, &[&["tokio", "spawn"]]),
    ("spawn", 3, &[&["tokio", "task", "spawn"], &["tokio", "task", "spawn_local"]]),
    ("effect", 2, &[
        &["std", "fs", "read"], &["std", "fs", "read_to_string"], &["std", "fs", "write"], &["std", "fs", "copy"],
        &["std", "fs", "rename"], &["std", "fs", "exists"], &["std", "fs", "metadata"], &["std", "fs", "canonicalize"],
        &["std", "fs", "read_dir"], &["std", "fs", "read_link"], &["std", "fs", "create_dir"],
        &["std", "fs", "create_dir_all"], &["std", "fs", "remove_file"], &["std", "fs", "remove_dir"],
        &["std", "fs", "remove_dir_all"], &["std", "fs", "hard_link"], &["std", "fs", "try_exists"],
        &["std", "fs", "File", "open"], &["std", "fs", "File", "create"], &["std", "fs", "File", "options"],
        &["std", "fs", "OpenOptions", "new"], &["tokio", "fs", "read"], &["tokio", "fs", "read_to_string"],
        &["tokio", "fs", "write"], &["tokio", "fs", "copy"], &["tokio", "fs", "rename"], &["tokio", "fs", "exists"],
        &["tokio", "fs", "metadata"], &["tokio", "fs", "canonicalize"], &["tokio", "fs", "read_dir"],
        &["tokio", "fs", "read_link"], &["tokio", "fs", "create_dir"], &["tokio", "fs", "create_dir_all"],
        &["tokio", "fs", "remove_file"], &["tokio", "fs", "remove_dir"], &["tokio", "fs", "remove_dir_all"],
        &["tokio", "fs", "hard_link"], &["tokio", "fs", "try_exists"], &["tokio", "fs", "File", "open"],
        &["tokio", "fs", "File", "create"], &["tokio", "fs", "File", "options"],
        &["tokio", "fs", "OpenOptions", "new"], &["std", "net", "TcpStream", "connect"],
        &["tokio", "net", "TcpStream", "connect"], &["reqwest", "get"], &["reqwest", "blocking", "get"],
    ]),
    // Of other crates, `Command::new` only describes a program's own commands.
    ("effect", 3, &[
        &["std", "process", "Command", "new"], &["tokio", "process", "Command", "new"],
    ]),
    ("environment", 2, &[
        &["std", "env", "var"], &["std", "env", "var_os"], &["std", "env", "vars"], &["std", "env", "vars_os"],
        &["std", "env", "args"], &["std", "env", "args_os"], &["std", "env", "current_dir"],
    ]),
    ("spawn_blocking", 3, &[&["tokio", "task", "spawn_blocking"]]),
];

/// The macro that has a warning of its own.
const SELECT: &[&str] = &["tokio", "select"];

/// Macros whose arguments are expressions, by the last segments of their paths. It is unknown how another macro uses
/// its tokens, and `assert!` and `dbg!` print them: those get them unchanged.
#[rustfmt::skip]
const TRANSPARENT: &[&str] = &[
    "select", "select_biased", "join", "try_join", "pin", "vec", "matches", "format", "format_args", "print", "println",
    "eprint", "eprintln", "write", "writeln", "panic", "assert_eq", "assert_ne", "trace", "debug", "info", "warn",
    "error", "anyhow", "bail",
];

/// The body, with code marked that does not repeat.
pub(crate) fn marked(body: &Group, krate: &TokenStream) -> Group {
    Marks { krate, made: 0 }.group(body, None)
}

struct Marks<'a> {
    krate: &'a TokenStream,
    made: usize,
}

/// An arm of a `select!`: the place of its `async`, and the name of the macro.
type Arm = (usize, Span);

impl Marks<'_> {
    fn group(&mut self, group: &Group, arm: Option<Arm>) -> Group {
        let before = self.made;
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        let stream = self.tokens(&tokens, arm);
        if self.made == before {
            return group.clone();
        }
        let mut marked = Group::new(group.delimiter(), stream);
        marked.set_span(group.span());
        marked
    }

    fn tokens(&mut self, tokens: &[TokenTree], arm: Option<Arm>) -> TokenStream {
        let mut out = TokenStream::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let rest = &tokens[at..];
            let item = item_length(rest);
            if item > 0 {
                out.extend(rest[..item].iter().cloned());
                at += item;
            } else if let Some((_, select)) = arm.filter(|(start, _)| *start == at) {
                let length = through(rest, is_braces);
                let block = self.tokens(&rest[..length], None);
                out.extend(self.mark("select", select, block));
                at += length;
            } else if let Some(path) = Path::at(tokens, at) {
                let length = path.length;
                match (path.warning(&rest[length..]), &rest[length..]) {
                    (_, [bang, TokenTree::Group(arguments), ..]) if is(bang, '!') && !path.is_keyword() => {
                        out.extend(rest[..=length].iter().cloned());
                        out.extend([self.arguments(&path, arguments)]);
                        at += length + 2;
                    }
                    (Some(warning), after) => {
                        let length = length + turbofish_length(after);
                        out.extend(self.mark(warning, path.last, rest[..length].iter().cloned().collect()));
                        at += length;
                    }
                    (None, _) => {
                        out.extend(rest[..length].iter().cloned());
                        at += length;
                    }
                }
            } else {
                out.extend([match token {
                    TokenTree::Group(group) => self.group(group, None).into(),
                    token => token.clone(),
                }]);
                at += 1;
            }
        }
        out
    }

    /// The arguments of a macro.
    fn arguments(&mut self, path: &Path, arguments: &Group) -> TokenTree {
        if !path.segments.last().is_some_and(|last| TRANSPARENT.contains(&last.as_str())) {
            return arguments.clone().into();
        }
        let arm = path.stands_for(SELECT, 1).then(|| first_async_arm(arguments.stream())).flatten();
        self.group(arguments, arm.map(|start| (start, path.last))).into()
    }

    /// A call of the function with the warning, which returns its argument. It has the span of the marked code, so that
    /// the compiler underlines that, as it does for deprecated items: at its last segment.
    fn mark(&mut self, warning: &str, span: Span, code: TokenStream) -> TokenStream {
        self.made += 1;
        let (krate, warning) = (self.krate, Ident::new(warning, span));
        quote!(#krate::__private::unrepeatable::#warning(#code))
    }
}

/// A path of identifiers, as it is written.
struct Path {
    segments: Vec<String>,
    is_absolute: bool,
    /// Where its last segment is.
    last: Span,
    /// In tokens.
    length: usize,
}

impl Path {
    /// The path that begins here, if one does. An identifier after a `.` is a method or a field.
    fn at(tokens: &[TokenTree], start: usize) -> Option<Self> {
        let before = |back: usize| start.checked_sub(back).map(|at| &tokens[at]);
        let is_range = before(2).is_some_and(|token| is(token, '.'));
        if before(1).is_some_and(|token| is(token, '.')) && !is_range {
            return None;
        }
        let is_absolute = is_colons(&tokens[start..]);
        let mut at = if is_absolute { start + 2 } else { start };
        let mut segments = Vec::new();
        let mut last = None;
        while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
            segments.push(ident.to_string());
            last = Some(ident.span());
            at += 1;
            match &tokens[at..] {
                [_, _, TokenTree::Ident(_), ..] if is_colons(&tokens[at..]) => at += 2,
                _ => break,
            }
        }
        Some(Path { segments, is_absolute, last: last?, length: at - start })
    }

    /// Whether it is `full`, or its rest after a `use`, with at least `least` segments.
    fn stands_for(&self, full: &[&str], least: usize) -> bool {
        let length = self.segments.len();
        let is_enough = if self.is_absolute { length == full.len() && length > 1 } else { length >= least };
        is_enough && length <= full.len() && full[full.len() - length..] == self.segments[..]
    }

    /// Whether it is a keyword: after `if` or `return` a `!` is an operator.
    fn is_keyword(&self) -> bool {
        matches!(&self.segments[..], [word] if syn::parse_str::<Ident>(word).is_err())
    }

    /// Its warning, with these tokens after it.
    fn warning(&self, after: &[TokenTree]) -> Option<&'static str> {
        // A single name may be that of a variable, or of a function of the user's own.
        let is_called = matches!(after, [TokenTree::Group(arguments), ..]
            if arguments.delimiter() == Delimiter::Parenthesis && arguments.stream().is_empty());
        if self.segments.len() == 1 && !is_called {
            return None;
        }
        let row = TABLE.iter().find(|(_, least, paths)| paths.iter().any(|full| self.stands_for(full, *least)));
        row.map(|(warning, ..)| *warning)
    }
}

/// The number of tokens of an attribute, a `use` or another item that begins here: it has code of its own, or none.
fn item_length(tokens: &[TokenTree]) -> usize {
    let [TokenTree::Ident(keyword), next, ..] = tokens else {
        return match tokens {
            [hash, bang, TokenTree::Group(_), ..] if is(hash, '#') && is(bang, '!') => 3,
            [hash, TokenTree::Group(_), ..] if is(hash, '#') => 2,
            _ => 0,
        };
    };
    let is_named = matches!(next, TokenTree::Ident(_));
    match keyword.to_string().as_str() {
        "use" if !is(next, '<') => through(tokens, |token| is(token, ';')),
        "fn" | "trait" if is_named => through(tokens, is_braces),
        "mod" if is_named => through(tokens, |token| is(token, ';') || is_braces(token)),
        "impl" => through(tokens, is_braces),
        "macro_rules" if is(next, '!') => through(tokens, |token| matches!(token, TokenTree::Group(_))),
        "const" if is_braces(next) => 2,
        "const" | "static" if is_named && tokens.iter().take(4).skip(2).any(|token| is(token, ':')) => {
            through(tokens, |token| is(token, ';'))
        }
        _ => 0,
    }
}

/// The place of the first `async` block that is an arm of an unbiased `select!`.
fn first_async_arm(arms: TokenStream) -> Option<usize> {
    enum Part {
        Pattern,
        Future,
        Handler,
    }
    let tokens: Vec<TokenTree> = arms.into_iter().collect();
    if tokens.first().is_some_and(|token| is_word(token, "biased")) {
        return None;
    }
    let mut part = Part::Pattern;
    for (at, pair) in tokens.windows(2).enumerate() {
        let is_equals = is(&pair[0], '=') && !(at > 0 && is(&tokens[at - 1], '.'));
        let is_arrow = is_equals && is(&pair[1], '>');
        part = match part {
            // A handler in braces ends with them.
            Part::Pattern | Part::Future if is_arrow => match tokens.get(at + 2) {
                Some(handler) if is_braces(handler) => Part::Pattern,
                _ => Part::Handler,
            },
            Part::Pattern if is_equals && is_word(&pair[1], "async") => return Some(at + 1),
            Part::Pattern if is_equals => Part::Future,
            Part::Handler if is(&pair[0], ',') => Part::Pattern,
            part => part,
        };
    }
    None
}

/// The number of tokens of the generic arguments of a path, as in `random::<u64>`.
fn turbofish_length(tokens: &[TokenTree]) -> usize {
    if !(is_colons(tokens) && tokens.get(2).is_some_and(|token| is(token, '<'))) {
        return 0;
    }
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(2) {
        // Not that of `->`.
        let is_close = is(token, '>') && !is(&tokens[at - 1], '-');
        depth += i32::from(is(token, '<')) - i32::from(is_close);
        if depth == 0 {
            return at + 1;
        }
    }
    0
}

/// The number of tokens up to and including this one.
fn through(tokens: &[TokenTree], ends: impl Fn(&TokenTree) -> bool) -> usize {
    tokens.iter().position(ends).map_or(tokens.len(), |at| at + 1)
}

fn is(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_braces(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

fn is_colons(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [first, second, ..] if is(first, ':') && is(second, ':'))
}

#[cfg(test)]
mod tests;
