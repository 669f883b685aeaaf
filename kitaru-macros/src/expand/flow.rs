//! The expansion of `#[flow]`: a function that makes a call, and an entry of the registry by which another process
//! finds the same flow.

use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt as _;

use super::{Split, krate, lenient};
use crate::model::{FlowOptions, Function, OnDivergence, Reuse};
use crate::{signature, unrepeatable};

/// The expansion of a flow.
pub(crate) fn flow(options: &FlowOptions, function: &Function) -> TokenStream {
    let krate = krate(&options.krate);
    let mut split = Split::new(function);
    split.block = unrepeatable::marked(&function.body, &krate);
    let origin = split.origin(&options.name);
    let settings = settings(options, &split);
    let (outcome, check) = (split.outcome(&krate), split.check("fallible", &krate));
    let output = &split.output;
    let leaves = quote_spanned!(signature::ends(output).0=> #krate::__private::leaves_flow::<#output>(););
    let types: Vec<&Type> = split.arguments.iter().map(|argument| &argument.ty).collect();
    let names = split.arguments.iter().map(|argument| Literal::string(&argument.name));
    let (arguments, describe, run) = (split.tuple(), split.describe("describe_input", &krate, |_| true), split.run());
    // Each bound on the user's types is checked in one place only, so that one mistake is one error.
    let code = quote! {
        fn __kitaru_outcome() -> impl #krate::__private::Outcome<#output> {
            use #krate::__private::probe::traits::*;
            #check
            #leaves
            #outcome
        }
        fn __kitaru_input() -> impl #krate::__private::Input<(#(#types,)*)> {
            use #krate::__private::probe::traits::*;
            (&&#krate::__private::probe::Probe::<(#(#types,)*)>::new()).kitaru_input()
        }
        fn __kitaru_run(__kitaru_input_bytes: #krate::__private::FlowInput<'_>) -> #krate::__private::Begun {
            #krate::__private::begin(__kitaru_input_bytes, __kitaru_input(), __kitaru_outcome(), #run)
        }
        static __KITARU_DESCRIBE: fn(&(#(#types,)*), &mut #krate::__private::ArgSink<'_>) = #describe;
        fn __kitaru_read(__kitaru_given: #krate::__private::GivenInput<'_>) -> #krate::__private::ReadInput {
            #krate::__private::read_input(__kitaru_given, __kitaru_input(), __KITARU_DESCRIBE)
        }
        static __KITARU_META: #krate::__private::FlowMeta =
            #krate::__private::FlowMeta::new(#origin, __kitaru_run).reads(&[#(#names),*], __kitaru_read) #settings;
        #krate::__private::inventory::submit! { #krate::__private::Registered(&__KITARU_META) }
        #krate::__private::flow_call(&__KITARU_META, __kitaru_input(), __kitaru_outcome(), #arguments, __KITARU_DESCRIBE)
    };
    split.item(quote!(#krate::FlowCall<#output>), code)
}

/// The replacement of a flow that was refused.
pub(crate) fn refused_flow(options: &FlowOptions, function: &Function) -> TokenStream {
    let krate = krate(&options.krate);
    let function = lenient(function);
    let split = Split::new(&function);
    let output = split.output_if_refused();
    split.item(quote!(#krate::FlowCall<#output>), quote!(#krate::__private::refused_flow()))
}

/// The calls on the builder of the flow's constants.
fn settings(options: &FlowOptions, split: &Split<'_>) -> TokenStream {
    let mut calls = TokenStream::new();
    if options.name.is_some() {
        let function = Literal::string(&split.function.sig.ident.unraw().to_string());
        calls.extend(quote!(.function(#function)));
    }
    if let Some(version) = &options.version {
        let version = Literal::string(&version.value);
        calls.extend(quote!(.version(#version)));
    }
    match options.reuse.as_ref().map(|reuse| reuse.value) {
        Some(Reuse::Always) => calls.extend(quote!(.reuse_always())),
        Some(Reuse::Unfinished) => calls.extend(quote!(.reuse_unfinished())),
        Some(Reuse::WithinMs(ms)) => calls.extend(quote!(.reuse_within_ms(#ms))),
        None => {}
    }
    match options.on_divergence.as_ref().map(|choice| choice.value) {
        Some(OnDivergence::Rerun) => calls.extend(quote!(.rerun_on_divergence())),
        Some(OnDivergence::Fail) => calls.extend(quote!(.fail_on_divergence())),
        None => {}
    }
    calls
}
