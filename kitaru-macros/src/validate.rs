//! What a function and its options must be, beyond their spelling. Owns every refusal that needs no types, each with
//! its reason and the way out. The traits of the expansion refuse what needs types.

mod tool;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::visit::Visit;
use syn::{
    FnArg, GenericParam, Lifetime, ParenthesizedGenericArguments, Receiver, ReturnType, Signature, Type, TypeBareFn,
    TypeImplTrait, TypeReference,
};

pub(crate) use tool::{context_of, tool};

use crate::errors::Errors;
use crate::model::{Attr, CheckpointOptions, Function, Given, ungrouped};
use crate::signature::{self, Argument};
use crate::spelling::{name_fault, tool_name_fault};
use crate::suggest;

/// As many as serde reads in one tuple.
const MAX_FLOW_ARGUMENTS: usize = 16;

pub(crate) fn checkpoint(options: &CheckpointOptions, function: &Function, errors: &mut Errors) {
    let Function { sig, .. } = function;
    every_function(Attr::Checkpoint, options.name.is_some(), function, errors);
    match (&sig.asyncness, &options.blocking) {
        (None, None) if boxes_its_future(function) => of_async_trait(Attr::Checkpoint, function, errors),
        (None, None) => errors.at(
            sig.fn_token,
            "a checkpoint is an `async fn`: add `async`, or `#[checkpoint(blocking)]` for a plain `fn` that runs on \
             the blocking pool",
        ),
        (Some(_), Some(blocking)) => errors.at(
            &blocking.option,
            "`blocking` is for a plain `fn`, which runs on the blocking pool: this one is `async`",
        ),
        _ => {}
    }
    for input in &sig.inputs {
        let found = Borrows::of_input(input);
        if let Some(mutable) = found.mutable {
            errors.at(
                mutable,
                "a checkpoint cannot take `&mut`: a recorded outcome is given back without running the body, so the \
                 changes of the body would be missing; take the value and return the new one",
            );
        } else if let (Some(_), Some(borrowed)) = (&options.blocking, found.shorter_than_static) {
            errors.at(
                borrowed,
                "a `blocking` checkpoint runs on another thread, which may outlive its caller: take this argument owned",
            );
        }
    }
    recordable_output(sig, errors);
    keys(options, &signature::arguments(sig), errors);

    if options.at_most_once.is_some() {
        if let Some(retries) = &options.retries {
            errors.at(&retries.option, "`at_most_once` never runs a body a second time, so it takes no `retries`");
        }
        if let Some(memo) = &options.memo {
            errors.at(&memo.option, "`memo` is for a pure body, and `at_most_once` for an effect: choose one");
        }
    }
    for (name, given) in [
        ("backoff", options.backoff_ms.as_ref().map(|given| &given.option)),
        ("max_backoff", options.max_backoff_ms.as_ref().map(|given| &given.option)),
        ("retry_if", options.retry_if.as_ref().map(|given| &given.option)),
    ] {
        if let (Some(option), true) = (given, options.at_most_once.is_some()) {
            errors.at(option, format!("`{name}` goes with `retries`, and `at_most_once` never runs a body again"));
        }
    }
    if let (Some(first), Some(cap)) = (&options.backoff_ms, &options.max_backoff_ms)
        && cap.value < first.value
    {
        errors.at(&cap.option, "`max_backoff` is shorter than `backoff`, the first pause");
    }
    if let (Some(Given { option, .. }), None) = (&options.on_interrupt, &options.at_most_once) {
        errors.at(option, "`on_interrupt` goes with `at_most_once`: any other body is run again");
    }
}

pub(crate) fn flow(named: bool, function: &Function, errors: &mut Errors) {
    let Function { sig, .. } = function;
    every_function(Attr::Flow, named, function, errors);
    if sig.asyncness.is_none() {
        match boxes_its_future(function) {
            true => return of_async_trait(Attr::Flow, function, errors),
            false => errors.at(sig.fn_token, "a flow is an `async fn`: add `async`"),
        }
    }
    if let Some(place) = signature::in_impl(function) {
        errors.at(
            place,
            "a flow cannot be a method: it is started by its name in another process, where there is no such `self`; \
             make it a free function that takes what it needs",
        );
    }
    let mut borrows = false;
    for input in &sig.inputs {
        let FnArg::Typed(typed) = input else { continue };
        if let Some(generic) = ImplTrait::of_type(&typed.ty) {
            errors.at(generic, GENERIC_FLOW);
        } else if let Some(borrowed) = Borrows::of_input(input).any() {
            borrows = true;
            errors.at(
                borrowed,
                "a flow cannot borrow: it resumes in another process, so its arguments are recorded with the \
                 execution; take this one owned, such as a `String` for a `&str`",
            );
        }
    }
    let generics = &sig.generics.params;
    let only_lifetimes = generics.iter().all(|param| matches!(param, GenericParam::Lifetime(_)));
    // The lifetime of a borrowed argument is the same mistake.
    if !(generics.is_empty() || only_lifetimes && borrows) {
        errors.at(generics, GENERIC_FLOW);
    }
    if sig.inputs.len() > MAX_FLOW_ARGUMENTS {
        let excess = sig.inputs.iter().nth(MAX_FLOW_ARGUMENTS);
        errors.at(excess, format!("a flow takes at most {MAX_FLOW_ARGUMENTS} arguments: put some into a struct"));
    }
    match &sig.output {
        ReturnType::Default => errors.at(
            &sig.ident,
            "a flow returns a `Result`, for it can end in an error that its code did not return: write \
             `-> Result<(), kitaru::Error>` or `-> anyhow::Result<()>`",
        ),
        ReturnType::Type(..) => recordable_output(sig, errors),
    }
}

const GENERIC_FLOW: &str = "a flow cannot be generic: it is started by its name in another process, which does not \
                            know the types; write them out, or call a generic function from it";

/// Whether it is a plain `fn` that boxes its future. `#[async_trait]` turns a method into one before other attributes
/// on it are expanded.
pub(crate) fn boxes_its_future(function: &Function) -> bool {
    let Signature { asyncness: None, output: ReturnType::Type(_, ty), .. } = &function.sig else { return false };
    let Type::Path(path) = ungrouped(ty) else { return false };
    let is_pin = path.path.segments.last().is_some_and(|last| last.ident == "Pin");
    is_pin && ty.to_token_stream().to_string().contains("Future")
}

fn of_async_trait(attr: Attr, function: &Function, errors: &mut Errors) {
    errors.at(
        &function.sig.ident,
        format!(
            "`{shown}` belongs on an `async fn`, but `#[async_trait]` turned this one into a plain `fn`: put `{shown}` on a \
             function outside the trait, and call that from this method",
            shown = attr.shown()
        ),
    );
}

/// The checks for all attributes.
fn every_function(attr: Attr, named: bool, function: &Function, errors: &mut Errors) {
    let Function { attrs, sig, .. } = function;
    let what = match attr {
        Attr::Checkpoint => "checkpoint",
        Attr::Flow => "flow",
        Attr::Tool => "tool",
    };
    if let Some(token) = &sig.constness {
        errors.at(token, format!("a {what} cannot be `const`: it runs when it is awaited"));
    }
    if let Some(token) = &sig.unsafety {
        errors.at(
            token,
            format!("a {what} cannot be `unsafe`: kitaru runs it, and cannot keep the promises of its caller"),
        );
    }
    if let Some(abi) = &sig.abi {
        errors.at(abi, format!("a {what} cannot have an ABI of its own: call it from an `extern` function instead"));
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(variadic, format!("a {what} cannot be variadic: take a slice or a `Vec`"));
    }
    for input in &sig.inputs {
        let attrs = match input {
            FnArg::Receiver(receiver) => &receiver.attrs,
            FnArg::Typed(typed) => &typed.attrs,
        };
        for attr in attrs.iter().filter(|attr| ["cfg", "cfg_attr"].iter().any(|name| attr.path().is_ident(name))) {
            errors.at(attr, format!("an argument of a {what} cannot be conditional: write the function twice"));
        }
    }
    for attr in attrs.iter().filter(|attr| is_ours(attr)) {
        errors.at(attr, "a function is one flow, one checkpoint or one tool: call one from the other");
    }
    let name = sig.ident.unraw().to_string();
    let fault = if attr == Attr::Tool { tool_name_fault(&name) } else { name_fault(&name) };
    // The fault of a name that was given is reported where it was parsed.
    if let (false, Some(fault)) = (named, fault) {
        errors.at(&sig.ident, format!("{fault}: give it another with `name = \"…\"`"));
    }
}

/// Whether an attribute is one of Kitaru's, under any path.
pub(crate) fn is_ours(attr: &syn::Attribute) -> bool {
    attr.path().segments.last().is_some_and(|last| ["checkpoint", "flow", "tool"].iter().any(|ours| last.ident == ours))
}

/// An outcome is recorded and read back, so its type has a name and owns its data.
fn recordable_output(sig: &Signature, errors: &mut Errors) {
    if let Some(unnamed) = ImplTrait::of_output(&sig.output) {
        errors.at(unnamed, "an outcome is read back from its record, so its type needs a name: write it out");
    } else if let Some(borrowed) = Borrows::of_output(&sig.output).in_outcome() {
        errors.at(
            borrowed,
            "an outcome is read back from its record, so it cannot borrow: return it owned, such as a `String` for a \
             `&str`",
        );
    }
}

/// `key(…)` and `skip(…)` name existing arguments, each once, and are not given together.
fn keys(options: &CheckpointOptions, arguments: &[Argument], errors: &mut Errors) {
    if let (Some(_), Some(skip)) = (&options.key, &options.skip) {
        errors
            .at(&skip.option, "`key(…)` names all arguments that count, so there is nothing to `skip(…)`: choose one");
    }
    for list in [&options.key, &options.skip].into_iter().flatten() {
        for (index, name) in list.value.iter().enumerate() {
            let spelt = name.unraw().to_string();
            if list.value[..index].iter().any(|earlier| earlier.unraw() == name.unraw()) {
                errors.at(name, format!("`{spelt}` is given twice"));
            } else if !arguments.iter().any(|argument| argument.name == spelt) {
                errors.at(name, format!("there is no argument `{spelt}`{}", choice(&spelt, arguments)));
            } else if spelt == "self" && options.skip.is_some() {
                errors.at(name, "`self` does not count unless `key(self, …)` asks for it");
            }
        }
    }
}

fn choice(name: &str, arguments: &[Argument]) -> String {
    let names: Vec<&str> = arguments.iter().map(|argument| argument.name.as_str()).collect();
    let part_of = names.iter().find(|whole| whole.trim_matches(['(', ')']).split(", ").any(|part| part == name));
    match (names.as_slice(), part_of) {
        ([], _) => ": the function takes none".to_owned(),
        (_, Some(whole)) => format!(": it is a part of `{whole}`; name the whole and take it apart in the body"),
        (names, None) => format!("; {}", suggest::hint(name, names, "there is")),
    }
}

/// What a type borrows. The arguments of functions and closures in it do not count.
#[derive(Default)]
struct Borrows {
    mutable: Option<TokenStream>,
    shared: Option<TokenStream>,
    shorter_than_static: Option<TokenStream>,
    elided: Option<TokenStream>,
}

impl Borrows {
    fn of_input(input: &FnArg) -> Self {
        let mut found = Self::default();
        match input {
            // syn makes up the type of a plain `&self`.
            FnArg::Receiver(Receiver { colon_token: None, reference, mutability, self_token, .. }) => {
                if let Some((and, lifetime)) = reference {
                    found.reference(
                        lifetime.as_ref(),
                        mutability.is_some(),
                        quote!(#and #lifetime #mutability #self_token),
                    );
                }
            }
            FnArg::Receiver(receiver) => found.visit_type(&receiver.ty),
            FnArg::Typed(typed) => found.visit_type(&typed.ty),
        }
        found
    }

    fn of_output(output: &ReturnType) -> Self {
        let mut found = Self::default();
        found.visit_return_type(output);
        found
    }

    fn any(self) -> Option<TokenStream> {
        self.mutable.or(self.shared).or(self.shorter_than_static)
    }

    /// A borrow that an outcome must not have. A named lifetime may be that of a type that owns its data.
    fn in_outcome(self) -> Option<TokenStream> {
        self.mutable.or(self.shared).or(self.elided)
    }

    fn reference(&mut self, lifetime: Option<&Lifetime>, mutable: bool, tokens: TokenStream) {
        if lifetime.is_none_or(|lifetime| lifetime.ident != "static") {
            self.shorter_than_static.get_or_insert_with(|| tokens.clone());
        }
        if mutable { &mut self.mutable } else { &mut self.shared }.get_or_insert(tokens);
    }
}

impl<'ast> Visit<'ast> for Borrows {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        let TypeReference { lifetime, mutability, elem, .. } = reference;
        self.reference(lifetime.as_ref(), mutability.is_some(), reference.to_token_stream());
        self.visit_type(elem);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.shorter_than_static.get_or_insert_with(|| lifetime.to_token_stream());
        }
        if lifetime.ident == "_" {
            self.elided.get_or_insert_with(|| lifetime.to_token_stream());
        }
    }

    fn visit_type_bare_fn(&mut self, _: &'ast TypeBareFn) {}

    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
}

/// The first `impl Trait`.
#[derive(Default)]
pub(crate) struct ImplTrait(Option<TypeImplTrait>);

impl ImplTrait {
    fn of_type(ty: &Type) -> Option<TypeImplTrait> {
        let mut found = Self::default();
        found.visit_type(ty);
        found.0
    }

    pub(crate) fn of_output(output: &ReturnType) -> Option<TypeImplTrait> {
        match output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => Self::of_type(ty),
        }
    }
}

impl<'ast> Visit<'ast> for ImplTrait {
    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.0.get_or_insert_with(|| ty.clone());
    }
}
