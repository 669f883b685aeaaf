//! The expansion of `#[checkpoint]`: a function that makes a call, and the body that the call runs.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Type, Visibility};

use super::{Split, krate, lenient, method, place};
use crate::model::{CheckpointOptions, Codec, Function, OnCodeChange, OnDivergence, OnInterrupt};
use crate::signature::{Argument, ends, located};

/// The expansion of a checkpoint.
pub(crate) fn checkpoint(options: &CheckpointOptions, function: &Function) -> TokenStream {
    let krate = krate(&options.krate);
    let split = Split::new(function);
    let origin = split.origin(&options.name);
    let settings = settings(options);
    let (outcome, check) = (split.outcome(&krate), check(options, &split, &krate));
    let (arguments, describe, duplicate) =
        (split.tuple(), describe(options, &split, &krate), duplicate(options, &split, &krate));
    let run = run(options, &split, &krate);
    let retry_if = options.retry_if.as_ref().map(|given| {
        let predicate = &given.value;
        // Errors about the predicate are reported where it is named.
        quote_spanned!(predicate.span() => .retry_if(#predicate))
    });
    let described = asks(options).then(|| {
        let probe = split.probe(&krate);
        quote!(.described(|| (&&&#probe).kitaru_schema()))
    });
    let code = quote! {
        static __KITARU_META: #krate::__private::CheckpointMeta =
            #krate::__private::CheckpointMeta::new(#origin) #settings;
        {
            use #krate::__private::probe::traits::*;
            #check
            #krate::__private::call(&__KITARU_META, #outcome, #arguments, #describe, #duplicate, #run) #described #retry_if
        }
    };
    let marker = split.in_impl.then(|| of_a_trait(function)).flatten();
    let item = split.item(returned(&split.output, &krate), code);
    quote!(#item #marker)
}

/// An item that names the mistake if a method belongs to a trait, which only the compiler sees: in an impl of a trait
/// the item is reported as not being a member of it, and in any other place it has no effect.
fn of_a_trait(function: &Function) -> Option<TokenStream> {
    // A method of a trait has no visibility of its own.
    let Visibility::Inherited = function.vis else { return None };
    let name = function.sig.ident.unraw();
    let span = located(function.sig.ident.span());
    let marker = format_ident!("A_CHECKPOINT_CANNOT_BE_A_METHOD_OF_A_TRAIT__CALL_ONE_FROM_{name}", span = span);
    Some(quote_spanned! {span=>
        #[doc(hidden)]
        #[allow(dead_code, non_upper_case_globals)]
        const #marker: () = ();
    })
}

/// The replacement of a checkpoint that was refused.
pub(crate) fn refused_checkpoint(options: &CheckpointOptions, function: &Function) -> TokenStream {
    let krate = krate(&options.krate);
    let function = lenient(function);
    let split = Split::new(&function);
    split.item(returned(&split.output_if_refused(), &krate), quote!(#krate::__private::refused()))
}

/// The type of the call.
fn returned(output: &Type, krate: &TokenStream) -> TokenStream {
    quote!(#krate::Call<impl #krate::__private::Body<Output = #output>>)
}

/// The calls on the builder of the checkpoint's constants.
fn settings(options: &CheckpointOptions) -> TokenStream {
    let mut calls = TokenStream::new();
    let mut add = |call: TokenStream| calls.extend(call);
    if let Some(version) = &options.version {
        let version = Literal::string(&version.value);
        add(quote!(.version(#version)));
    }
    if let Some(retries) = &options.retries {
        let retries = retries.value;
        add(quote!(.retries(#retries)));
    }
    if let Some(backoff) = &options.backoff_ms {
        let backoff = backoff.value;
        add(quote!(.backoff_ms(#backoff)));
    }
    if let Some(cap) = &options.max_backoff_ms {
        let cap = cap.value;
        add(quote!(.max_backoff_ms(#cap)));
    }
    if let Some(timeout) = &options.total_timeout_ms {
        let timeout = timeout.value;
        add(quote!(.total_timeout_ms(#timeout)));
    }
    if let Some(timeout) = &options.timeout_ms {
        let timeout = timeout.value;
        add(quote!(.timeout_ms(#timeout)));
    }
    if options.codec.as_ref().is_some_and(|codec| codec.value == Codec::Json) {
        add(quote!(.json()));
    }
    if let Some(memo) = &options.memo {
        let max_age = match memo.value.max_age_ms {
            Some(ms) => quote!(::core::option::Option::Some(#ms)),
            None => quote!(::core::option::Option::None),
        };
        add(quote!(.memo(#max_age)));
    }
    if options.at_most_once.is_some() {
        add(quote!(.at_most_once()));
    }
    if options.sensitive.is_some() {
        add(quote!(.sensitive()));
    }
    if options.on_code_change.as_ref().is_some_and(|choice| choice.value == OnCodeChange::Rerun) {
        add(quote!(.rerun_on_code_change()));
    }
    match options.on_divergence.as_ref().map(|choice| choice.value) {
        Some(OnDivergence::Rerun) => add(quote!(.rerun_on_divergence())),
        Some(OnDivergence::Fail) => add(quote!(.fail_on_divergence())),
        None => {}
    }
    if asks(options) {
        add(quote!(.ask_on_interrupt()));
    }
    calls
}

/// Whether a person is asked about an interrupted body.
fn asks(options: &CheckpointOptions) -> bool {
    options.on_interrupt.as_ref().is_some_and(|choice| choice.value == OnInterrupt::Ask)
}

/// The check of the return type. Some options require more of it.
fn check(options: &CheckpointOptions, split: &Split<'_>, krate: &TokenStream) -> TokenStream {
    let times = [&options.timeout_ms, &options.total_timeout_ms];
    match options.at_most_once.is_some() || times.into_iter().any(Option::is_some) {
        true => split.check("fallible", krate),
        false => split.check("recorded", krate),
    }
}

/// A function that describes the arguments that count: by default all but `self`.
fn describe(options: &CheckpointOptions, split: &Split<'_>, krate: &TokenStream) -> TokenStream {
    let named = |list: &[Ident], argument: &Argument| list.iter().any(|name| name.unraw() == argument.name.as_str());
    split.describe("describe", krate, |argument| match (&options.key, &options.skip) {
        (Some(key), _) => named(&key.value, argument),
        (None, Some(skip)) => !argument.is_receiver && !named(&skip.value, argument),
        (None, None) => !argument.is_receiver,
    })
}

/// A function that copies the arguments for another try.
fn duplicate(options: &CheckpointOptions, split: &Split<'_>, krate: &TokenStream) -> TokenStream {
    if split.arguments.is_empty() {
        return quote!(|_| ::core::option::Option::Some(()));
    }
    let arguments = super::arguments(Span::mixed_site());
    let duplicates = split.arguments.iter().enumerate().map(|(index, argument)| {
        let index = Literal::usize_unsuffixed(index);
        let value = quote!(&#arguments.#index);
        let mut way =
            method(ends(&argument.ty), quote!(&&&#krate::__private::probe::Probe::of(#value)), "kitaru_duplicate");
        if options.retries.is_some() {
            way = quote!(#krate::__private::retryable(#value, #way));
        }
        quote!(#krate::__private::probe::Duplicate::of(&#way, #value)?)
    });
    quote!(|#arguments| ::core::option::Option::Some((#(#duplicates,)*)))
}

/// A function that runs the body, on the blocking pool if requested.
fn run(options: &CheckpointOptions, split: &Split<'_>, krate: &TokenStream) -> TokenStream {
    let run = split.run();
    if options.blocking.is_none() {
        return run;
    }
    let arguments = super::arguments(Span::mixed_site());
    let output = &split.output;
    let checks = split.arguments.iter().enumerate().map(|(index, argument)| {
        let value = place(index, argument, &quote!(&));
        quote!(#krate::__private::sendable_argument(#value);)
    });
    quote! {
        |#arguments| {
            #(#checks)*
            #krate::__private::sendable_outcome::<#output>();
            let __kitaru_pool = (&&#krate::__private::probe::Probe::with(
                &#arguments,
                #krate::__private::probe::Probe::<#output>::new(),
            ))
                .kitaru_pool();
            #krate::__private::blocking(__kitaru_pool, #arguments, #run)
        }
    }
}
