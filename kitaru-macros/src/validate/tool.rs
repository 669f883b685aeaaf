//! What a tool must be: the model gets its name, its description and its arguments.

use syn::{FnArg, GenericArgument, Pat, PatIdent, PathArguments, Type, TypePath};

use super::{Borrows, ImplTrait, boxes_its_future, every_function, of_async_trait};
use crate::{
    errors::Errors,
    model::{Attr, Effect, Function, Given, ToolOptions, ungrouped},
    signature,
};

pub(crate) fn tool(options: &ToolOptions, function: &Function, errors: &mut Errors) {
    let Function { attrs, sig, .. } = function;
    every_function(Attr::Tool, options.name.is_some(), function, errors);
    conflicts(options, errors);
    if boxes_its_future(function) {
        return of_async_trait(Attr::Tool, function, errors);
    }
    if sig.asyncness.is_none() {
        errors.at(sig.fn_token, "a tool is an `async fn`: add `async`");
    }
    if !attrs.iter().any(|attr| attr.path().is_ident("doc")) {
        errors.at(
            &sig.ident,
            "a model knows a tool by its doc comment: say when and how to use the tool, in a `///` comment",
        );
    }
    if let Some(place) = signature::in_impl(function) {
        errors.at(
            place,
            "a tool cannot be a method: make it a free function, and take what it needs from the dependencies of its \
             `RunContext`",
        );
        return;
    }
    if !sig.generics.params.is_empty() {
        errors.at(&sig.generics.params, "a tool cannot be generic: a model gets one schema; write the types out");
    }
    for (index, input) in sig.inputs.iter().enumerate() {
        let FnArg::Typed(typed) = input else { continue };
        if context_of(input).is_some() {
            if index > 0 {
                errors.at(&typed.ty, "the context of the run comes first, before what the model has to give");
            }
            continue;
        }
        if !matches!(&*typed.pat, Pat::Ident(PatIdent { by_ref: None, subpat: None, .. })) {
            errors.at(&typed.pat, "a model gives an argument by its name: give it one, and take it apart in the body");
        }
        if let Some(generic) = ImplTrait::of_type(&typed.ty) {
            errors.at(generic, "a tool cannot be generic: a model gets one schema; write the types out");
        } else if let Some(borrowed) = Borrows::of_input(input).any() {
            errors.at(
                borrowed,
                "arguments from a model are read into values: take this one owned, such as a `String` for a `&str`",
            );
        }
    }
    if let Some(unnamed) = ImplTrait::of_output(&sig.output) {
        errors.at(unnamed, "the result of a tool is written for the model, so its type needs a name: write it out");
    }
}

/// Options that exclude each other.
fn conflicts(options: &ToolOptions, errors: &mut Errors) {
    let mut effects = options.effects.iter();
    if let Some(first) = effects.next() {
        for Given { option, .. } in effects {
            let first = &first.option;
            errors
                .at(option, format!("a tool is `{first}` or `{option}`, not both: choose the one that promises less"));
        }
    }
    let once = options.effects.iter().find(|given| given.value == Effect::Once);
    if let (Some(_), Some(retries)) = (once, &options.retries) {
        errors.at(&retries.option, "`once` never runs a call a second time, so it takes no `retries`");
    }
    if options.not_durable.is_none() {
        return;
    }
    for (option, why) in [
        (once.map(|given| &given.option), "it would be unknown whether it ran"),
        (options.requires_approval.as_ref().map(|given| &given.option), "no person could approve it"),
        (options.retries.as_ref().map(|given| &given.option), "nothing counts its tries"),
        (options.timeout_ms.as_ref().map(|given| &given.option), "nothing keeps its time"),
    ] {
        if let Some(option) = option {
            errors.at(option, format!("a call of a `not_durable` tool leaves no record, so {why}: choose one"));
        }
    }
}

/// How a tool takes the context of its run.
pub(crate) struct TakesContext {
    /// The type of the dependencies, if it is written.
    pub(crate) deps: Option<Type>,
    pub(crate) by_reference: bool,
}

/// The context of the run, recognised by its type: `RunContext<…>` or a reference to one, under any path.
pub(crate) fn context_of(input: &FnArg) -> Option<TakesContext> {
    let FnArg::Typed(typed) = input else { return None };
    let (ty, by_reference) = match ungrouped(&typed.ty) {
        Type::Reference(reference) if reference.mutability.is_none() => (ungrouped(&reference.elem), true),
        ty => (ty, false),
    };
    let Type::Path(TypePath { qself: None, path }) = ty else { return None };
    let last = path.segments.last()?;
    if last.ident != "RunContext" {
        return None;
    }
    let deps = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty.clone()),
            _ => None,
        }),
        _ => None,
    };
    Some(TakesContext { deps, by_reference })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::ToTokens as _;

    use crate::model::tests::function;

    fn faults(source: &str) -> Vec<String> {
        let mut errors = Errors::default();
        tool(&ToolOptions::default(), &function(source), &mut errors);
        errors.messages()
    }

    #[test]
    fn a_context_is_known_by_its_type_under_any_path() {
        let of = |source: &str| context_of(&function(source).sig.inputs[0]);
        let deps =
            |source: &str| of(source).and_then(|context| context.deps).map(|ty| ty.to_token_stream().to_string());
        assert_eq!(deps("async fn f(c: &RunContext<Db>) {}").as_deref(), Some("Db"));
        assert_eq!(deps("async fn f(c: kitaru::agent::RunContext<(A, B)>) {}").as_deref(), Some("(A , B)"));
        assert!(
            of("async fn f(c: &RunContext) {}").is_some_and(|context| context.deps.is_none() && context.by_reference)
        );
        assert!(of("async fn f(c: &mut RunContext<Db>) {}").is_none());
        assert!(of("async fn f(c: Context<Db>) {}").is_none());
    }

    #[test]
    fn an_ordinary_tool_has_no_fault_and_one_without_a_description_has_one() {
        assert_eq!(faults("/// Adds.\nasync fn add(c: &RunContext<Db>, a: i64, mut b: Vec<i64>) -> i64 {}"), [""; 0]);
        let [fault] = &faults("async fn add(a: i64) -> i64 {}")[..] else { panic!() };
        assert!(fault.contains("`///` comment"), "{fault}");
    }
}
