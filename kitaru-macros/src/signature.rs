//! The user's signature: its arguments by name, and the signature for the function that callers see, which is not
//! `async`, has plain parameters and returns the call.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::{FnArg, GenericParam, Pat, PatIdent, ReturnType, Signature, Type};

use crate::model::Function;

/// An argument, `self` among them.
pub(crate) struct Argument {
    /// The parameter of the function that callers see.
    pub(crate) ident: Ident,
    /// Its name in records, messages, `key` and `skip`, without `r#`.
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) is_receiver: bool,
}

impl Argument {
    /// How many references its type begins with.
    pub(crate) fn references(&self) -> usize {
        let (mut ty, mut depth) = (&self.ty, 0);
        loop {
            ty = match ty {
                Type::Reference(reference) => {
                    depth += 1;
                    &reference.elem
                }
                Type::Paren(paren) => &paren.elem,
                Type::Group(group) => &group.elem,
                _ => return depth,
            }
        }
    }
}

/// The arguments in their order.
pub(crate) fn arguments(sig: &Signature) -> Vec<Argument> {
    let mut arguments: Vec<Argument> = Vec::new();
    for (index, input) in sig.inputs.iter().enumerate() {
        let argument = match input {
            FnArg::Receiver(receiver) => Argument {
                ident: receiver.self_token.into(),
                name: "self".to_owned(),
                ty: (*receiver.ty).clone(),
                is_receiver: true,
            },
            FnArg::Typed(typed) => {
                let bound = bindings(&typed.pat);
                let unnamed = format_ident!("__kitaru_{index}");
                let (name, ident) = match bound.as_slice() {
                    [] => (format!("argument {}", index + 1), unnamed),
                    [one] if arguments.iter().all(|earlier| earlier.ident != *one) => {
                        (one.unraw().to_string(), parameter(one))
                    }
                    many => {
                        let names: Vec<String> = many.iter().map(|name| name.unraw().to_string()).collect();
                        (format!("({})", names.join(", ")), unnamed)
                    }
                };
                Argument { ident, name, ty: (*typed.ty).clone(), is_receiver: false }
            }
        };
        arguments.push(argument);
    }
    arguments
}

/// The signature that callers see, returning `output`.
///
/// The `impl` in `output` must come from here: by the edition of this crate it captures every lifetime and type in
/// scope, as an `async fn` does, even in a crate of edition 2021.
pub(crate) fn outer(sig: &Signature, arguments: &[Argument], output: TokenStream) -> Signature {
    let mut sig = sig.clone();
    sig.asyncness = None;
    for (input, argument) in sig.inputs.iter_mut().zip(arguments) {
        match input {
            FnArg::Receiver(receiver) => {
                receiver.attrs.clear();
                if receiver.reference.is_none() {
                    receiver.mutability = None;
                }
            }
            FnArg::Typed(typed) => {
                typed.attrs.clear();
                let ident = &argument.ident;
                *typed.pat = syn::parse_quote!(#ident);
            }
        }
    }
    sig.output = ReturnType::Type(Default::default(), Box::new(Type::Verbatim(output)));
    sig
}

/// The return type. An implicit `()` has the span of the function's name.
pub(crate) fn output(sig: &Signature) -> Type {
    match &sig.output {
        ReturnType::Type(_, ty) => (**ty).clone(),
        ReturnType::Default => {
            let span = located(sig.ident.span());
            syn::parse_quote_spanned!(span=> ())
        }
    }
}

/// `::<T, N>` for the named types and constants of the signature.
pub(crate) fn turbofish(sig: &Signature) -> TokenStream {
    let names: Vec<&Ident> = (sig.generics.params.iter())
        .filter_map(|param| match param {
            GenericParam::Type(param) => Some(&param.ident),
            GenericParam::Const(param) => Some(&param.ident),
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    if names.is_empty() { TokenStream::new() } else { quote!(::<#(#names),*>) }
}

/// The token that places the function in an impl block, if there is one: its `self`, or else a `Self`.
pub(crate) fn in_impl(function: &Function) -> Option<Ident> {
    let receiver = function.sig.receiver().map(|receiver| receiver.self_token.into());
    receiver
        .or_else(|| says_self(function.sig.to_token_stream()))
        .or_else(|| says_self(function.body.to_token_stream()))
}

/// A span for generated code, to be reported at `span`.
pub(crate) fn located(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// The first and the last span of `tokens`, for errors that underline all of it.
pub(crate) fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.to_token_stream().into_iter();
    let first = tokens.next().map_or_else(Span::call_site, |token| token.span());
    let last = tokens.last().map_or(first, |token| token.span());
    (located(first), located(last))
}

/// `name` as a generated parameter: at the user's place with the macro's hygiene, so that the user's lints do not apply
/// to it.
fn parameter(name: &Ident) -> Ident {
    let span = Span::call_site().located_at(name.span());
    match name.to_string().strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, span),
        None => Ident::new(&name.to_string(), span),
    }
}

/// The names that a pattern binds.
fn bindings(pat: &Pat) -> Vec<Ident> {
    #[derive(Default)]
    struct Bindings(Vec<Ident>);
    impl<'ast> Visit<'ast> for Bindings {
        fn visit_pat_ident(&mut self, pat: &'ast PatIdent) {
            // A name in capitals alone is a constant or a unit struct, not a binding.
            if pat.by_ref.is_some() || !pat.ident.unraw().to_string().starts_with(char::is_uppercase) {
                self.0.push(pat.ident.clone());
            }
            visit::visit_pat_ident(self, pat);
        }
    }
    let mut bindings = Bindings::default();
    bindings.visit_pat(pat);
    bindings.0
}

/// A `Self` that means the type around the function, not that of an item inside its body.
fn says_self(tokens: TokenStream) -> Option<Ident> {
    let mut in_item = false;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if ["impl", "trait", "struct", "enum"].iter().any(|item| ident == item) => {
                in_item = true;
            }
            TokenTree::Ident(ident) if !in_item && ident == "Self" => return Some(ident),
            TokenTree::Group(group) => {
                let of_item = in_item;
                if group.delimiter() == Delimiter::Brace {
                    in_item = false;
                }
                if !of_item && let Some(ident) = says_self(group.stream()) {
                    return Some(ident);
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => in_item = false,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<(String, String)> {
        let function = crate::model::tests::function(source);
        arguments(&function.sig).into_iter().map(|a| (a.ident.to_string(), a.name)).collect()
    }

    #[test]
    fn an_argument_is_called_what_its_pattern_binds() {
        let source = "async fn f(&self, mut a: u8, r#type: u8, (b, c): (u8, u8), W(d): W, _: u8, e @ 0..: u8) {}";
        let expected = [
            ("self", "self"),
            ("a", "a"),
            ("r#type", "type"),
            ("__kitaru_3", "(b, c)"),
            ("d", "d"),
            ("__kitaru_5", "argument 6"),
            ("e", "e"),
        ];
        assert_eq!(names(source), expected.map(|(ident, name)| (ident.to_owned(), name.to_owned())));
    }

    #[test]
    fn a_function_in_an_impl_block_gives_itself_away() {
        let stands_in_impl = |source: &str| in_impl(&crate::model::tests::function(source)).is_some();
        assert!(stands_in_impl("async fn f(&self) {}"));
        assert!(stands_in_impl("async fn f() -> Result<Self, E> {}"));
        assert!(stands_in_impl("async fn f() { let x = [Self::N; 3]; }"));
        assert!(!stands_in_impl("async fn f(n: impl Into<u8>) -> u8 { n.into() }"));
        assert!(!stands_in_impl("async fn f() { struct A { a: Box<Self> } impl A { fn g() -> Self { Self } } }"));
        assert!(stands_in_impl("async fn f() { struct A(u8); Self::g(A(1)) }"));
    }
}
