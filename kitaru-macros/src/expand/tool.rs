//! The expansion of `#[tool]`: a type of the function's name and a function that makes it, the arguments as a struct, and
//! one generic call.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Attribute, Expr, FnArg, Meta, Pat, ReturnType, Type};

use super::{krate, lenient};
use crate::model::{Effect, Function, ToolOptions, ungrouped};
use crate::{signature, validate};

pub(crate) fn tool(options: &ToolOptions, function: &Function) -> TokenStream {
    let private = private(options);
    let name = match &options.name {
        Some(given) => Literal::string(&given.value),
        None => Literal::string(&function.sig.ident.unraw().to_string()),
    };
    let value = value(function);
    let (value_item, ident) = (value.item, value.ident);
    let run = run(function);
    let description = description(&function.attrs);
    let declared = declared(options, &private);

    let context = function.sig.inputs.first().and_then(validate::context_of);
    let asked: Vec<&FnArg> = function.sig.inputs.iter().skip(usize::from(context.is_some())).collect();
    let fields = asked.iter().map(|input| field(input));
    let checks = asked.iter().filter_map(|input| check(input, &private));
    let names = asked.iter().map(|input| name_of(input));

    // A tool without a context fits every agent.
    let (generics, deps) = match &context {
        Some(context) => (quote!(), context.deps.as_ref().map_or_else(|| quote!(()), ToTokens::to_token_stream)),
        None => (quote!(<__KitaruDeps: ::core::marker::Send + ::core::marker::Sync + 'static>), quote!(__KitaruDeps)),
    };
    let context = context
        .map(|context| if context.by_reference { quote!(&__kitaru_context,) } else { quote!(__kitaru_context,) });
    let (output, kind) = match &function.sig.output {
        ReturnType::Type(_, ty) if is_result(ty) => (ty.to_token_stream(), "fallible"),
        ReturnType::Type(_, ty) => (ty.to_token_stream(), "infallible"),
        ReturnType::Default => (quote!(()), "infallible"),
    };
    let (first, last) = signature::ends(&output);
    let kind = Ident::new(kind, first);
    // Errors about the type underline it.
    let given = Ident::new("__kitaru_given", last);
    let told = quote_spanned!(last=> (#given));

    quote! {
        #value_item

        impl #ident {
            #run
        }

        const _: () = {
            // The derives take the path as a text, in which a `$crate` of a `macro_rules!` would not work.
            use #private::{schemars as __kitaru_schemars, serde as __kitaru_serde};

            // Before the derives, whose errors say the same in other words.
            #[allow(dead_code)]
            const fn __kitaru_arguments() { #(#checks)* }

            #[derive(__kitaru_serde::Deserialize, __kitaru_schemars::JsonSchema)]
            #[serde(crate = "__kitaru_serde", deny_unknown_fields)]
            #[schemars(crate = "__kitaru_schemars")]
            struct __KitaruArguments { #(#fields,)* }

            impl #generics #private::Tool<#deps> for #ident {
                fn definition(&self) -> &#private::ToolDefinition {
                    static __KITARU: #private::Definition = #private::Definition::new();
                    __KITARU.of::<__KitaruArguments>(#name, #description, #declared)
                }

                fn call<'life0, 'async_trait>(
                    &'life0 self,
                    __kitaru_call: #private::Invocation<#deps>,
                ) -> #private::Calling<'async_trait>
                where
                    'life0: 'async_trait,
                    Self: 'async_trait,
                {
                    #private::call(__kitaru_call, |__kitaru_context, __kitaru_arguments: __KitaruArguments| async move {
                        let #given: #output = #ident::run(#context #(__kitaru_arguments.#names),*).await;
                        #private::#kind #told
                    })
                }
            }
        };
    }
}

/// The declared effect of the tool's calls.
fn declared(options: &ToolOptions, private: &TokenStream) -> TokenStream {
    let mut declared = quote!(<#private::ToolOptions as ::core::default::Default>::default());
    for effect in &options.effects {
        declared.extend(match effect.value {
            Effect::ReadOnly => quote!(.read_only()),
            Effect::Idempotent => quote!(.idempotent()),
            Effect::Once => quote!(.once()),
        });
    }
    if options.requires_approval.is_some() {
        declared.extend(quote!(.requires_approval()));
    }
    if let Some(retries) = &options.retries {
        let retries = retries.value;
        declared.extend(quote!(.retries(#retries)));
    }
    if let Some(timeout) = &options.timeout_ms {
        let timeout_ms = timeout.value;
        declared.extend(quote!(.timeout(::core::time::Duration::from_millis(#timeout_ms))));
    }
    if options.not_durable.is_some() {
        declared.extend(quote!(.not_durable()));
    }
    declared
}

/// The replacement of a tool that was refused: an agent accepts it, so that there is no further error.
pub(crate) fn refused_tool(options: &ToolOptions, function: &Function) -> TokenStream {
    let mut run = lenient(function);
    if signature::in_impl(function).is_some() {
        // An impl block cannot contain a type.
        let Function { attrs, vis, sig, body } = &run;
        return quote!(#(#attrs)* #vis #sig #body);
    }
    let private = private(options);
    let Value { item, ident } = value(function);
    run.sig.ident = Ident::new("run", run.sig.ident.span());
    let Function { attrs, vis, sig, body } = &run;
    let attrs = attrs.iter().filter(|attr| !attr.path().is_ident("doc"));
    quote! {
        #item
        impl #ident { #(#attrs)* #vis #sig #body }
        impl<__KitaruDeps: ::core::marker::Send + ::core::marker::Sync + 'static> #private::Tool<__KitaruDeps> for #ident {
            fn definition(&self) -> &#private::ToolDefinition {
                ::core::unreachable!()
            }

            fn call<'life0, 'async_trait>(
                &'life0 self,
                _: #private::Invocation<__KitaruDeps>,
            ) -> #private::Calling<'async_trait>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                ::core::unreachable!()
            }
        }
    }
}

struct Value {
    item: TokenStream,
    ident: Ident,
}

/// The value for an agent, with the function's name, visibility, documentation and conditions.
fn value(function: &Function) -> Value {
    let ident = function.sig.ident.clone();
    let vis = &function.vis;
    let attrs = function.attrs.iter().filter(|attr| {
        ["doc", "cfg", "deprecated", "allow", "expect", "warn", "deny"].iter().any(|name| attr.path().is_ident(name))
    });
    let conditions = function.attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    // A type of its own and a function that makes it: a unit struct would conflict with every variable of its name.
    let item = quote! {
        #(#attrs)*
        #[allow(non_camel_case_types)]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #vis struct #ident {
            _private: (),
        }

        #(#conditions)*
        #[allow(missing_docs)]
        #vis const fn #ident() -> #ident {
            #ident { _private: () }
        }
    };
    Value { item, ident }
}

/// The user's function, for the call and for tests.
fn run(function: &Function) -> TokenStream {
    let Function { attrs, vis, sig, body } = function;
    let mut sig = sig.clone();
    sig.ident = format_ident!("run", span = sig.ident.span());
    for input in &mut sig.inputs {
        if let FnArg::Typed(typed) = input {
            typed.attrs.clear();
        }
    }
    quote!(#(#attrs)* #[allow(clippy::too_many_arguments)] #vis #sig #body)
}

/// The doc comment, line by line, including parts that are not literals, such as an `include_str!`.
fn description(attrs: &[Attribute]) -> TokenStream {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => Some(&pair.value),
        _ => None,
    });
    let lines = lines.map(|line| match line {
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => {
            let text = text.value();
            Literal::string(text.strip_prefix(' ').unwrap_or(&text)).to_token_stream()
        }
        other => other.to_token_stream(),
    });
    quote!(::core::concat!(#(#lines, "\n"),*))
}

/// An argument as a field, with its attributes.
fn field(input: &FnArg) -> TokenStream {
    let FnArg::Typed(typed) = input else { return TokenStream::new() };
    let (attrs, name, ty) = (&typed.attrs, name_of(input), &typed.ty);
    quote!(#(#attrs)* #name: #ty)
}

/// Checks that a model can give an argument, unless attributes define how it is read.
fn check(input: &FnArg, private: &TokenStream) -> Option<TokenStream> {
    let FnArg::Typed(typed) = input else { return None };
    if typed.attrs.iter().any(|attr| ["serde", "schemars"].iter().any(|name| attr.path().is_ident(name))) {
        return None;
    }
    let ty = &typed.ty;
    Some(quote_spanned!(signature::ends(ty).0=> #private::askable::<#ty>();))
}

fn name_of(input: &FnArg) -> Option<&Ident> {
    match input {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(pat) => Some(&pat.ident),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    }
}

/// Whether a type is written as a `Result`, including a library's alias with one parameter.
fn is_result(ty: &Type) -> bool {
    matches!(ungrouped(ty), Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Result"))
}

fn private(options: &ToolOptions) -> TokenStream {
    let krate = krate(&options.krate);
    quote!(#krate::agent::__private)
}
