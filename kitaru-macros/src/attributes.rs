//! The attributes of the user's function. Owns which of them go to the function that is called, and which to the one
//! with the user's body.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

/// The attributes of the two functions that replace the user's.
#[derive(Default)]
pub(crate) struct Attributes {
    /// On the function that callers see.
    pub(crate) outer: Vec<TokenStream>,
    /// On the function with the user's body.
    pub(crate) body: Vec<TokenStream>,
}

impl Attributes {
    /// `nested`: the body is inside the outer function, whose lints and `cfg` then apply to it too.
    pub(crate) fn of(attrs: &[Attribute], nested: bool) -> Self {
        let mut all = Self::default();
        for attr in attrs {
            match conditions(&attr.meta) {
                Some((condition, metas)) => {
                    for meta in metas {
                        all.add(&meta, nested, |meta| quote!(#[cfg_attr(#condition, #meta)]));
                    }
                }
                None => all.add(&attr.meta, nested, |meta| quote!(#[#meta])),
            }
        }
        all
    }

    fn add(&mut self, meta: &Meta, nested: bool, wrap: impl Fn(&dyn ToTokens) -> TokenStream) {
        let path = meta.path();
        let is = |names: &[&str]| names.iter().any(|name| path.is_ident(name));
        if is(&["doc", "deprecated"]) {
            self.outer.push(wrap(meta));
        } else if is(&["cfg", "allow", "warn", "deny", "forbid"]) {
            self.outer.push(wrap(meta));
            if !nested {
                self.body.push(wrap(meta));
            }
        } else if is(&["expect"]) && nested {
            self.outer.push(wrap(meta));
        } else if let (true, Meta::List(list)) = (is(&["expect"]), meta) {
            // If both expected the lint, one expectation would not be met.
            let lints = &list.tokens;
            self.outer.push(wrap(&quote!(allow(#lints))));
            self.body.push(wrap(meta));
        } else {
            // An attribute macro expects the `async fn`; `inline` and similar ones expect the code.
            self.body.push(wrap(meta));
        }
    }
}

/// The condition and the attributes of a `cfg_attr`.
fn conditions(meta: &Meta) -> Option<(Meta, Vec<Meta>)> {
    let Meta::List(list) = meta else { return None };
    if !list.path.is_ident("cfg_attr") {
        return None;
    }
    let mut metas = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?.into_iter();
    Some((metas.next()?, metas.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(attrs: &str, nested: bool) -> (Vec<String>, Vec<String>) {
        let item: syn::ItemFn = syn::parse_str(&format!("{attrs} fn f() {{}}")).expect("a function");
        let Attributes { outer, body } = Attributes::of(&item.attrs, nested);
        let text = |tokens: Vec<TokenStream>| tokens.into_iter().map(|t| t.to_string().replace(' ', "")).collect();
        (text(outer), text(body))
    }

    #[test]
    fn nested_body_has_the_lints_of_the_outer_function() {
        let (outer, body) = routed("#[doc = \"d\"] #[allow(x)] #[expect(y)] #[cfg(z)] #[inline]", true);
        assert_eq!(outer, ["#[doc=\"d\"]", "#[allow(x)]", "#[expect(y)]", "#[cfg(z)]"]);
        assert_eq!(body, ["#[inline]"]);
    }

    #[test]
    fn body_next_to_the_outer_function_gets_its_own_attributes() {
        let (outer, body) = routed("#[doc = \"d\"] #[allow(x)] #[expect(y)] #[cfg(z)] #[must_use]", false);
        assert_eq!(outer, ["#[doc=\"d\"]", "#[allow(x)]", "#[allow(y)]", "#[cfg(z)]"]);
        assert_eq!(body, ["#[allow(x)]", "#[expect(y)]", "#[cfg(z)]", "#[must_use]"]);
    }

    #[test]
    fn each_part_of_a_cfg_attr_goes_its_own_way() {
        let (outer, body) = routed("#[cfg_attr(unix, doc = \"d\", inline)]", true);
        assert_eq!(outer, ["#[cfg_attr(unix,doc=\"d\")]"]);
        assert_eq!(body, ["#[cfg_attr(unix,inline)]"]);
    }
}
