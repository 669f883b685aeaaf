//! The model of an attribute and the function below it. It is parsed, then validated, then expanded.

use proc_macro2::{Delimiter, Group, Ident, TokenTree};
use syn::parse::ParseStream;
use syn::{Abi, Attribute, Path, Signature, Token, Type, Visibility};

/// Which of the attributes is being expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attr {
    Checkpoint,
    Flow,
    Tool,
}

impl Attr {
    /// The attribute, as messages show it.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Attr::Checkpoint => "#[checkpoint]",
            Attr::Flow => "#[flow]",
            Attr::Tool => "#[tool]",
        }
    }
}

/// The function below the attribute. Its body stays unparsed, so that an editor keeps working in an incomplete one.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl Function {
    /// Parses the item below `attr`.
    pub(crate) fn parse(attr: Attr, input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        if !starts_function(&input.fork()) {
            return Err(input.error(format!("`{}` belongs on an `async fn`", attr.shown())));
        }
        let sig = input.parse()?;
        if input.peek(Token![;]) {
            let message = format!(
                "`{}` belongs on a function with a body, but this one is only declared, as by a trait or an `extern` block: \
                 put it on a function of your own, and call that",
                attr.shown()
            );
            return Err(input.error(message));
        }
        Ok(Self { attrs, vis, sig, body: block(input)? })
    }
}

/// The body in its braces. A body from a `macro_rules!`, as its `$body:block`, is in one or several invisible groups.
fn block(input: ParseStream<'_>) -> syn::Result<Group> {
    let mut token: TokenTree = input.parse()?;
    loop {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return Ok(group),
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                let mut inside = group.stream().into_iter();
                match (inside.next(), inside.next()) {
                    (Some(only), None) => token = only,
                    _ => return Err(syn::Error::new(group.span(), NO_BODY)),
                }
            }
            other => return Err(syn::Error::new(other.span(), NO_BODY)),
        }
    }
}

const NO_BODY: &str = "expected the body of the function, in braces";

/// A type without the invisible groups that a `macro_rules!` puts around its `$type:ty`.
pub(crate) fn ungrouped(mut ty: &Type) -> &Type {
    while let Type::Group(group) = ty {
        ty = &group.elem;
    }
    ty
}

/// Whether a function follows, under any qualifiers.
fn starts_function(input: ParseStream<'_>) -> bool {
    let qualifiers = || -> syn::Result<()> {
        input.parse::<Option<Token![const]>>()?;
        input.parse::<Option<Token![async]>>()?;
        input.parse::<Option<Token![unsafe]>>()?;
        input.parse::<Option<Abi>>()?;
        Ok(())
    };
    qualifiers().is_ok() && input.peek(Token![fn])
}

/// The value of an option, and the place of the option.
pub(crate) struct Given<T> {
    pub(crate) option: Ident,
    pub(crate) value: T,
}

/// The options of `#[checkpoint]` that were given.
#[derive(Default)]
pub(crate) struct CheckpointOptions {
    pub(crate) name: Option<Given<String>>,
    pub(crate) version: Option<Given<String>>,
    pub(crate) retries: Option<Given<u32>>,
    pub(crate) backoff_ms: Option<Given<u64>>,
    pub(crate) max_backoff_ms: Option<Given<u64>>,
    pub(crate) retry_if: Option<Given<Path>>,
    pub(crate) timeout_ms: Option<Given<u64>>,
    pub(crate) total_timeout_ms: Option<Given<u64>>,
    pub(crate) codec: Option<Given<Codec>>,
    pub(crate) key: Option<Given<Vec<Ident>>>,
    pub(crate) skip: Option<Given<Vec<Ident>>>,
    pub(crate) memo: Option<Given<Memo>>,
    pub(crate) at_most_once: Option<Given<()>>,
    pub(crate) sensitive: Option<Given<()>>,
    pub(crate) blocking: Option<Given<()>>,
    pub(crate) on_code_change: Option<Given<OnCodeChange>>,
    pub(crate) on_divergence: Option<Given<OnDivergence>>,
    pub(crate) on_interrupt: Option<Given<OnInterrupt>>,
    pub(crate) krate: Option<Given<Path>>,
}

/// The options of `#[flow]` that were given.
#[derive(Default)]
pub(crate) struct FlowOptions {
    pub(crate) name: Option<Given<String>>,
    pub(crate) version: Option<Given<String>>,
    pub(crate) reuse: Option<Given<Reuse>>,
    pub(crate) on_divergence: Option<Given<OnDivergence>>,
    pub(crate) krate: Option<Given<Path>>,
}

/// The options of `#[tool]` that were given.
#[derive(Default)]
pub(crate) struct ToolOptions {
    pub(crate) name: Option<Given<String>>,
    /// All that were given. At most one is allowed.
    pub(crate) effects: Vec<Given<Effect>>,
    pub(crate) requires_approval: Option<Given<()>>,
    pub(crate) retries: Option<Given<u32>>,
    pub(crate) timeout_ms: Option<Given<u64>>,
    pub(crate) not_durable: Option<Given<()>>,
    pub(crate) krate: Option<Given<Path>>,
}

/// The effect of a tool's call on the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    ReadOnly,
    Idempotent,
    Once,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Bincode,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memo {
    pub(crate) max_age_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCodeChange {
    Reuse,
    Rerun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDivergence {
    Rerun,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    Error,
    Ask,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    Always,
    Unfinished,
    WithinMs(u64),
}

#[cfg(test)]
pub(crate) mod tests {
    use syn::parse::Parser as _;

    use super::*;

    pub(crate) fn function(source: &str) -> Function {
        let parse = |input: ParseStream<'_>| Function::parse(Attr::Checkpoint, input);
        parse.parse_str(source).expect("a function")
    }
}
