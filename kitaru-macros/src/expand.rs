//! From a valid model to tokens. Owns what the attributes share: the place of the user's body, and the probe of the
//! function's return type.
//!
//! The expansion contains no logic: items, one generic call, and closures that name the arguments. All paths begin at
//! `::core` or at the crate, and all names are ones that user code does not have.

mod checkpoint;
mod flow;
mod tool;

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Path, Type};

pub(crate) use checkpoint::{checkpoint, refused_checkpoint};
pub(crate) use flow::{flow, refused_flow};
pub(crate) use tool::{refused_tool, tool};

use crate::attributes::Attributes;
use crate::fingerprint;
use crate::model::{Function, Given};
use crate::signature::{self, Argument};
use crate::validate::{self, ImplTrait};

/// How many kinds of outcome the probe distinguishes: the number of references that autoref has to strip.
const OUTCOME_TIERS: usize = 15;

/// The function that callers see, and the function that holds the user's body.
struct Split<'a> {
    function: &'a Function,
    arguments: Vec<Argument>,
    output: Type,
    attributes: Attributes,
    body: Ident,
    block: Group,
    in_impl: bool,
}

impl<'a> Split<'a> {
    fn new(function: &'a Function) -> Self {
        let name = function.sig.ident.unraw();
        let in_impl = signature::in_impl(function).is_some();
        let span = signature::located(name.span());
        Self {
            function,
            arguments: signature::arguments(&function.sig),
            output: signature::output(&function.sig),
            attributes: Attributes::of(&function.attrs, !in_impl),
            // A body that needs `Self` or the generics of its impl block is placed in that block.
            body: if in_impl {
                format_ident!("__kitaru_{name}", span = span)
            } else {
                Ident::new("__kitaru_body", span)
            },
            block: function.body.clone(),
            in_impl,
        }
    }

    /// The whole item: the function that callers see returns `output` by `code`.
    fn item(&self, output: TokenStream, code: TokenStream) -> TokenStream {
        let outer_attrs = &self.attributes.outer;
        let vis = &self.function.vis;
        let outer = signature::outer(&self.function.sig, &self.arguments, output);
        let body = self.body();
        let (nested, beside) = if self.in_impl { (None, Some(body)) } else { (Some(body), None) };
        quote! {
            #(#outer_attrs)*
            #vis #outer {
                #nested
                #code
            }
            #beside
        }
    }

    /// The user's function under another name.
    fn body(&self) -> TokenStream {
        let attrs = &self.attributes.body;
        let hidden = self.in_impl.then(|| quote!(#[doc(hidden)]));
        let mut sig = self.function.sig.clone();
        sig.ident = self.body.clone();
        let block = &self.block;
        quote!(#(#attrs)* #hidden #sig #block)
    }

    /// A closure that runs the body on the tuple of arguments. Errors about its future are reported at the function's
    /// name.
    fn run(&self) -> TokenStream {
        let span = self.body.span();
        let names: Vec<Ident> =
            (0..self.arguments.len()).map(|index| format_ident!("__kitaru_{index}", span = span)).collect();
        let body = &self.body;
        let turbofish = signature::turbofish(&self.function.sig);
        let place = self.in_impl.then(|| quote_spanned!(span=> Self::));
        quote_spanned!(span=> |(#(#names,)*)| #place #body #turbofish (#(#names),*))
    }

    /// The tuple of the arguments, as the call takes them.
    fn tuple(&self) -> TokenStream {
        let idents = self.arguments.iter().map(|argument| &argument.ident);
        quote!((#(#idents,)*))
    }

    /// A function that passes the arguments that count to a sink, each by `function`.
    fn describe(&self, function: &str, krate: &TokenStream, counts: impl Fn(&Argument) -> bool) -> TokenStream {
        let function = Ident::new(function, Span::call_site());
        let sink = Ident::new("__kitaru_sink", Span::mixed_site());
        let arguments = arguments(Span::mixed_site());
        let counting = self.arguments.iter().enumerate().filter(|(_, argument)| counts(argument));
        let shown: Vec<TokenStream> = counting
            .map(|(index, argument)| {
                let name = Literal::string(&argument.name);
                // For a `&str` it passes a `str`, so that an error names the type that has to be changed.
                let value = match argument.references() {
                    0 => place(index, argument, &quote!(&)),
                    references => {
                        let stars = (1..references).map(|_| quote!(*));
                        place(index, argument, &quote!(#(#stars)*))
                    }
                };
                quote!(#krate::__private::#function(#sink, #name, #value);)
            })
            .collect();
        if shown.is_empty() { quote!(|_, _| {}) } else { quote!(|#arguments, #sink| { #(#shown)* }) }
    }

    /// The fingerprint of the user's source.
    fn fingerprint(&self) -> Literal {
        let mut source = self.function.sig.to_token_stream();
        self.function.body.to_tokens(&mut source);
        Literal::u64_suffixed(fingerprint::of(source))
    }

    fn name(&self, given: &Option<Given<String>>) -> Literal {
        match given {
            Some(given) => Literal::string(&given.value),
            None => Literal::string(&self.function.sig.ident.unraw().to_string()),
        }
    }

    /// `name, module, file, line, fingerprint`.
    fn origin(&self, given: &Option<Given<String>>) -> TokenStream {
        let (name, fingerprint) = (self.name(given), self.fingerprint());
        quote!(#name, ::core::module_path!(), ::core::file!(), ::core::line!(), #fingerprint)
    }

    /// The return type of a function that was refused. It does not have to be inferred from the body.
    fn output_if_refused(&self) -> Type {
        match ImplTrait::of_output(&self.function.sig.output) {
            Some(_) => syn::parse_quote!(()),
            None => self.output.clone(),
        }
    }

    /// Finds out the kind of outcome that the function returns.
    fn outcome(&self, krate: &TokenStream) -> TokenStream {
        let references = (0..OUTCOME_TIERS).map(|_| quote!(&));
        let probe = self.probe(krate);
        method(signature::ends(&self.output), quote!(#(#references)* #probe), "kitaru_outcome")
    }

    /// A question about the function's return type.
    fn probe(&self, krate: &TokenStream) -> TokenStream {
        let output = &self.output;
        quote!(#krate::__private::probe::Probe::<#output>::new())
    }

    /// Checks that kind, in a statement. Errors underline the return type.
    fn check(&self, check: &str, krate: &TokenStream) -> TokenStream {
        let (output, outcome) = (&self.output, self.outcome(krate));
        let check = Ident::new(check, Span::call_site());
        let reference = quote_spanned!(signature::ends(output).0=> &);
        quote! {
            #krate::__private::probe::#check(#reference #outcome, #krate::__private::probe::Probe::<#output>::new());
        }
    }
}

/// The tuple of arguments in a closure.
fn arguments(span: Span) -> Ident {
    Ident::new("__kitaru_arguments", span)
}

/// An argument in that tuple, behind some operators. Errors underline its type.
fn place(index: usize, argument: &Argument, operators: &TokenStream) -> TokenStream {
    let (first, last) = signature::ends(&argument.ty);
    let arguments = arguments(first);
    let mut index = Literal::usize_unsuffixed(index);
    index.set_span(last);
    let operators = operators.clone().into_iter().map(|mut operator| {
        operator.set_span(first);
        operator
    });
    quote_spanned!(first=> #(#operators)* #arguments.#index)
}

/// `(receiver).name()`, which errors underline from the first span to the last.
fn method((first, last): (Span, Span), receiver: TokenStream, name: &str) -> TokenStream {
    let mut receiver = Group::new(Delimiter::Parenthesis, receiver);
    receiver.set_span(first);
    let name = Ident::new(name, first);
    let mut no_arguments = Group::new(Delimiter::Parenthesis, TokenStream::new());
    no_arguments.set_span(last);
    quote!(#receiver.#name #no_arguments)
}

/// The path of the crate.
fn krate(given: &Option<Given<Path>>) -> TokenStream {
    match given {
        Some(given) => given.value.to_token_stream(),
        None => quote!(::kitaru),
    }
}

/// The function as it is emitted together with an error. It keeps its name, its arguments and the type of its call, so
/// that its callers cause no further errors, and its body, so that an editor still understands it.
fn lenient(function: &Function) -> Function {
    let mut function = function.clone();
    function.attrs.retain(|attr| !validate::is_ours(attr));
    function.attrs.push(syn::parse_quote!(#[allow(warnings)]));
    function.sig.constness = None;
    function.sig.abi = None;
    function.sig.variadic = None;
    for input in &mut function.sig.inputs {
        match input {
            syn::FnArg::Receiver(receiver) => receiver.attrs.clear(),
            syn::FnArg::Typed(typed) => typed.attrs.clear(),
        }
    }
    function
}
