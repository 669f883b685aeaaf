//! The options of an attribute, from tokens to the model. Owns their spelling and the form of each value. Must not know
//! how options relate to each other or to the function: `validate` does.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, ExprPath, Lit, Meta, Path, Token};

use crate::errors::Errors;
use crate::model::{
    Attr, CheckpointOptions, Codec, Effect, FlowOptions, Given, Memo, OnCodeChange, OnDivergence, OnInterrupt, Reuse,
    ToolOptions,
};
use crate::spelling::{duration_ms, name_fault, tool_name_fault};
use crate::suggest;

/// The options of each attribute, and how each is written.
const CHECKPOINT: [(&str, &str); 19] = [
    ("name", "name = \"research\""),
    ("version", "version = \"2\""),
    ("retries", "retries = 3"),
    ("backoff", "backoff = \"100ms\""),
    ("max_backoff", "max_backoff = \"5m\""),
    ("retry_if", "retry_if = is_passing"),
    ("timeout", "timeout = \"30s\""),
    ("total_timeout", "total_timeout = \"10m\""),
    ("codec", "codec = \"json\""),
    ("key", "key(topic)"),
    ("skip", "skip(client)"),
    ("memo", "memo` or `memo(max_age = \"24h\")"),
    ("at_most_once", "at_most_once"),
    ("sensitive", "sensitive"),
    ("blocking", "blocking"),
    ("on_code_change", "on_code_change = \"rerun\""),
    ("on_divergence", "on_divergence = \"fail\""),
    ("on_interrupt", "on_interrupt = \"error\""),
    ("crate", "crate = my::kitaru"),
];
const FLOW: [(&str, &str); 5] = [
    ("name", "name = \"write_report\""),
    ("version", "version = \"2\""),
    ("reuse", "reuse = \"unfinished\""),
    ("on_divergence", "on_divergence = \"fail\""),
    ("crate", "crate = my::kitaru"),
];
const TOOL: [(&str, &str); 9] = [
    ("name", "name = \"get_weather\""),
    ("read_only", "read_only"),
    ("idempotent", "idempotent"),
    ("once", "once"),
    ("requires_approval", "requires_approval"),
    ("retries", "retries = 3"),
    ("timeout", "timeout = \"30s\""),
    ("not_durable", "not_durable"),
    ("crate", "crate = my::kitaru"),
];

/// The options of `#[checkpoint(…)]`.
pub(crate) fn checkpoint(tokens: TokenStream, errors: &mut Errors) -> CheckpointOptions {
    let mut options = CheckpointOptions::default();
    for option in read(Attr::Checkpoint, tokens, errors) {
        match option.name.as_str() {
            "name" => options.name = option.given(Written::name, errors),
            "version" => options.version = option.given(Written::name, errors),
            "retries" => options.retries = option.given(Written::number, errors),
            "backoff" => options.backoff_ms = option.given(|option| option.duration_ms(0), errors),
            "max_backoff" => options.max_backoff_ms = option.given(|option| option.duration_ms(1), errors),
            "retry_if" => options.retry_if = option.given(Written::path, errors),
            "timeout" => options.timeout_ms = option.given(|option| option.duration_ms(1), errors),
            "total_timeout" => {
                options.total_timeout_ms = option.given(|option| option.duration_ms(1), errors);
            }
            "codec" => {
                let codecs = [("bincode", Codec::Bincode), ("json", Codec::Json)];
                options.codec = option.given(|option| option.choice(&codecs), errors);
            }
            "key" => options.key = option.given(Written::arguments, errors),
            "skip" => options.skip = option.given(Written::arguments, errors),
            "memo" => options.memo = option.given(Written::memo, errors),
            "at_most_once" => options.at_most_once = option.flag(errors),
            "sensitive" => options.sensitive = option.flag(errors),
            "blocking" => options.blocking = option.flag(errors),
            "on_code_change" => {
                let choices = [("reuse", OnCodeChange::Reuse), ("rerun", OnCodeChange::Rerun)];
                options.on_code_change = option.given(|option| option.choice(&choices), errors);
            }
            "on_divergence" => options.on_divergence = option.given(Written::on_divergence, errors),
            "on_interrupt" => {
                let choices = [("error", OnInterrupt::Error), ("ask", OnInterrupt::Ask)];
                options.on_interrupt = option.given(|option| option.choice(&choices), errors);
            }
            _ => options.krate = option.given(Written::path, errors),
        }
    }
    options
}

/// The options of `#[flow(…)]`.
pub(crate) fn flow(tokens: TokenStream, errors: &mut Errors) -> FlowOptions {
    let mut options = FlowOptions::default();
    for option in read(Attr::Flow, tokens, errors) {
        match option.name.as_str() {
            "name" => options.name = option.given(Written::name, errors),
            "version" => options.version = option.given(Written::name, errors),
            "reuse" => options.reuse = option.given(Written::reuse, errors),
            "on_divergence" => options.on_divergence = option.given(Written::on_divergence, errors),
            _ => options.krate = option.given(Written::path, errors),
        }
    }
    options
}

/// The options of `#[tool(…)]`.
pub(crate) fn tool(tokens: TokenStream, errors: &mut Errors) -> ToolOptions {
    let mut options = ToolOptions::default();
    for option in read(Attr::Tool, tokens, errors) {
        match option.name.as_str() {
            "name" => options.name = option.given(Written::tool_name, errors),
            "read_only" => options.effects.extend(option.effect(Effect::ReadOnly, errors)),
            "idempotent" => options.effects.extend(option.effect(Effect::Idempotent, errors)),
            "once" => options.effects.extend(option.effect(Effect::Once, errors)),
            "requires_approval" => options.requires_approval = option.flag(errors),
            "retries" => options.retries = option.given(Written::number, errors),
            "timeout" => options.timeout_ms = option.given(|option| option.duration_ms(1), errors),
            "not_durable" => options.not_durable = option.flag(errors),
            _ => options.krate = option.given(Written::path, errors),
        }
    }
    options
}

/// A known option that is given for the first time.
struct Written {
    /// Its name without `r#`.
    name: String,
    ident: Ident,
    meta: Meta,
    /// How it is written.
    example: &'static str,
}

/// The known options, each once. An unknown or repeated option is an error.
fn read(attr: Attr, tokens: TokenStream, errors: &mut Errors) -> Vec<Written> {
    let (own, other, other_attr): (&[_], &[(&str, &str)], _) = match attr {
        Attr::Checkpoint => (&CHECKPOINT, &FLOW, Attr::Flow),
        Attr::Flow => (&FLOW, &CHECKPOINT, Attr::Checkpoint),
        Attr::Tool => (&TOOL, &CHECKPOINT, Attr::Checkpoint),
    };
    let names: Vec<&str> = own.iter().map(|(name, _)| *name).collect();
    let metas = match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens) {
        Ok(metas) => metas,
        Err(error) => {
            let example = format!("{error}; an option is written like `{}`", own[0].1);
            errors.push(syn::Error::new(error.span(), example));
            return Vec::new();
        }
    };
    let mut found: Vec<Written> = Vec::new();
    for meta in metas {
        let Some(ident) = meta.path().get_ident().cloned() else {
            errors.at(meta.path(), format!("unknown option; the options are {}", suggest::list(&names)));
            continue;
        };
        let name = ident.unraw().to_string();
        let Some((_, example)) = own.iter().find(|(known, _)| *known == name) else {
            let hint = match other.iter().any(|(known, _)| *known == name) {
                true if (attr, &*name) == (Attr::Tool, "at_most_once") => "a tool is `once`".to_owned(),
                true => format!("it is an option of `{}`", other_attr.shown()),
                false => suggest::hint(&name, &names, "the options are"),
            };
            errors.at(&ident, format!("unknown option `{name}`; {hint}"));
            continue;
        };
        if found.iter().any(|earlier| earlier.name == name) {
            errors.at(&ident, format!("`{name}` is given twice"));
            continue;
        }
        found.push(Written { name, ident, meta, example });
    }
    found
}

impl Written {
    fn given<T>(&self, value: impl FnOnce(&Self) -> syn::Result<T>, errors: &mut Errors) -> Option<Given<T>> {
        let value = errors.keep(value(self))?;
        Some(Given { option: self.ident.clone(), value })
    }

    /// The error of an option that is written differently. `what` is the expected form.
    fn misspelt<T>(&self, what: &str) -> syn::Result<T> {
        let Self { name, example, .. } = self;
        Err(syn::Error::new_spanned(&self.meta, format!("`{name}` takes {what}: write `{example}`")))
    }

    /// The expression after `=`.
    fn value(&self) -> Option<&Expr> {
        let Meta::NameValue(pair) = &self.meta else { return None };
        let mut value = &pair.value;
        // A literal that came through a `macro_rules!` is in an invisible group.
        while let Expr::Group(group) = value {
            value = &group.expr;
        }
        Some(value)
    }

    fn literal(&self) -> Option<&Lit> {
        match self.value()? {
            Expr::Lit(ExprLit { lit, .. }) => Some(lit),
            _ => None,
        }
    }

    /// An option without a value. It counts even if it is misspelt, so that it is not reported as missing.
    fn flag(&self, errors: &mut Errors) -> Option<Given<()>> {
        if !matches!(self.meta, Meta::Path(_)) {
            errors.keep(self.misspelt::<()>("no value"));
        }
        Some(Given { option: self.ident.clone(), value: () })
    }

    /// A flag that stands for an effect.
    fn effect(&self, effect: Effect, errors: &mut Errors) -> Option<Given<Effect>> {
        self.flag(errors).map(|Given { option, .. }| Given { option, value: effect })
    }

    fn text(&self, what: &str) -> syn::Result<&syn::LitStr> {
        match self.literal() {
            Some(Lit::Str(text)) => Ok(text),
            _ => self.misspelt(what),
        }
    }

    fn name(&self) -> syn::Result<String> {
        let text = self.text("a text in quotes")?;
        match name_fault(&text.value()) {
            Some(fault) => Err(syn::Error::new_spanned(text, fault)),
            None => Ok(text.value()),
        }
    }

    fn tool_name(&self) -> syn::Result<String> {
        let text = self.text("a text in quotes")?;
        match tool_name_fault(&text.value()) {
            Some(fault) => Err(syn::Error::new_spanned(text, fault)),
            None => Ok(text.value()),
        }
    }

    fn number(&self) -> syn::Result<u32> {
        match self.literal() {
            Some(Lit::Int(number)) => number.base10_parse().or_else(|_| self.misspelt("a number from 0 to 4294967295")),
            _ => self.misspelt("a whole number"),
        }
    }

    fn duration_ms(&self, least: u64) -> syn::Result<u64> {
        let text = self.text("a duration in quotes")?;
        duration_ms(&text.value(), least).map_err(|fault| syn::Error::new_spanned(text, fault))
    }

    fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> syn::Result<T> {
        let text = self.text("one of its values in quotes")?;
        let value = text.value();
        if let Some((_, choice)) = choices.iter().find(|(known, _)| *known == value) {
            return Ok(*choice);
        }
        let words: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
        let hint = suggest::hint(&value, &words, "there is");
        Err(syn::Error::new_spanned(text, format!("unknown value `{value}` of `{}`; {hint}", self.name)))
    }

    fn on_divergence(&self) -> syn::Result<OnDivergence> {
        self.choice(&[("rerun", OnDivergence::Rerun), ("fail", OnDivergence::Fail)])
    }

    fn reuse(&self) -> syn::Result<Reuse> {
        let text = self.text("one of its values in quotes")?;
        if text.value().starts_with(|first: char| first.is_ascii_digit()) {
            return self.duration_ms(1).map(Reuse::WithinMs);
        }
        match text.value().as_str() {
            "always" => Ok(Reuse::Always),
            "unfinished" => Ok(Reuse::Unfinished),
            other => {
                let hint = match suggest::nearest(other, &["always", "unfinished"]) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "there is `always`, `unfinished`, or a time such as `24h`".to_owned(),
                };
                Err(syn::Error::new_spanned(text, format!("unknown value `{other}` of `reuse`; {hint}")))
            }
        }
    }

    fn path(&self) -> syn::Result<Path> {
        match self.value() {
            Some(Expr::Path(ExprPath { qself: None, path, .. })) => Ok(path.clone()),
            _ => self.misspelt("a path without quotes"),
        }
    }

    fn arguments(&self) -> syn::Result<Vec<Ident>> {
        let Meta::List(list) = &self.meta else { return self.misspelt("a list of arguments") };
        let names = list.parse_args_with(|input: ParseStream<'_>| input.parse_terminated(Ident::parse_any, Token![,]));
        match names {
            Ok(names) if !names.is_empty() => Ok(names.into_iter().collect()),
            _ => self.misspelt("a list of arguments"),
        }
    }

    fn memo(&self) -> syn::Result<Memo> {
        match &self.meta {
            Meta::Path(_) => Ok(Memo { max_age_ms: None }),
            Meta::List(list) => match list.parse_args::<Meta>() {
                Ok(meta) if meta.path().is_ident("max_age") => {
                    let example = "memo(max_age = \"24h\")";
                    let max_age = Written { name: "max_age".to_owned(), ident: self.ident.clone(), meta, example };
                    Ok(Memo { max_age_ms: Some(max_age.duration_ms(1)?) })
                }
                _ => self.misspelt("nothing or `max_age`"),
            },
            Meta::NameValue(_) => self.misspelt("nothing or `max_age`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(source: &str) -> CheckpointOptions {
        let mut errors = Errors::default();
        let options = checkpoint(source.parse().expect("tokens"), &mut errors);
        assert_eq!(errors.messages(), Vec::<String>::new(), "{source}");
        options
    }

    fn flow_options(source: &str) -> FlowOptions {
        let mut errors = Errors::default();
        let options = flow(source.parse().expect("tokens"), &mut errors);
        assert_eq!(errors.messages(), Vec::<String>::new(), "{source}");
        options
    }

    fn faults(source: &str) -> Vec<String> {
        let mut errors = Errors::default();
        checkpoint(source.parse().expect("tokens"), &mut errors);
        errors.messages()
    }

    fn value<T>(given: Option<Given<T>>) -> Option<T> {
        given.map(|given| given.value)
    }

    #[test]
    fn every_option_of_a_checkpoint_reaches_the_model() {
        let all = options(
            r#"name = "fetch page", version = "2", retries = 3, backoff = "100ms", max_backoff = "5m",
               retry_if = is_passing, timeout = "30s", total_timeout = "10m", codec = "json",
               key(self, r#type), memo(max_age = "24h"), sensitive, blocking, on_code_change = "rerun",
               on_divergence = "fail", on_interrupt = "error", crate = my::kitaru,"#,
        );
        assert_eq!(value(all.name).as_deref(), Some("fetch page"));
        assert_eq!(value(all.version).as_deref(), Some("2"));
        assert_eq!(value(all.retries), Some(3));
        assert_eq!(value(all.backoff_ms), Some(100));
        assert_eq!(value(all.max_backoff_ms), Some(300_000));
        assert!(all.retry_if.is_some_and(|path| path.value.is_ident("is_passing")));
        assert_eq!(value(all.timeout_ms), Some(30_000));
        assert_eq!(value(all.total_timeout_ms), Some(600_000));
        assert_eq!(value(all.codec), Some(Codec::Json));
        assert_eq!(value(all.key).map(|key| key.len()), Some(2));
        assert_eq!(value(all.memo), Some(Memo { max_age_ms: Some(86_400_000) }));
        assert!(all.sensitive.is_some() && all.blocking.is_some());
        assert!(all.skip.is_none() && all.at_most_once.is_none());
        assert_eq!(value(all.on_code_change), Some(OnCodeChange::Rerun));
        assert_eq!(value(all.on_divergence), Some(OnDivergence::Fail));
        assert_eq!(value(all.on_interrupt), Some(OnInterrupt::Error));
        assert_eq!(value(all.krate).map(|path| path.segments.len()), Some(2));
        assert_eq!(value(options("memo").memo), Some(Memo { max_age_ms: None }));
        assert_eq!(value(options("skip(client)").skip).map(|skip| skip[0].to_string()).as_deref(), Some("client"));
        assert!(options("at_most_once").at_most_once.is_some());
        assert!(options("").name.is_none());
    }

    #[test]
    fn every_option_of_a_flow_reaches_the_model() {
        let all =
            flow_options(r#"name = "nightly", version = "2", reuse = "24h", on_divergence = "rerun", crate = crate"#);
        assert_eq!(value(all.name).as_deref(), Some("nightly"));
        assert_eq!(value(all.version).as_deref(), Some("2"));
        assert_eq!(value(all.reuse), Some(Reuse::WithinMs(86_400_000)));
        assert_eq!(value(all.on_divergence), Some(OnDivergence::Rerun));
        assert!(all.krate.is_some());
        assert_eq!(value(flow_options(r#"reuse = "always""#).reuse), Some(Reuse::Always));
        assert_eq!(value(flow_options(r#"reuse = "unfinished""#).reuse), Some(Reuse::Unfinished));
    }

    #[test]
    fn every_option_of_a_tool_reaches_the_model() {
        let mut errors = Errors::default();
        let source =
            r#"name = "pay", once, requires_approval, retries = 2, timeout = "10s", not_durable, crate = kitaru"#;
        let all = tool(source.parse().expect("tokens"), &mut errors);
        assert_eq!(errors.messages(), Vec::<String>::new());
        assert_eq!(value(all.name).as_deref(), Some("pay"));
        assert_eq!(all.effects.iter().map(|given| given.value).collect::<Vec<_>>(), [Effect::Once]);
        assert_eq!((value(all.retries), value(all.timeout_ms)), (Some(2), Some(10_000)));
        assert!(all.requires_approval.is_some() && all.not_durable.is_some() && all.krate.is_some());
        for (source, effect) in [("read_only", Effect::ReadOnly), ("idempotent", Effect::Idempotent)] {
            let options = tool(source.parse().expect("tokens"), &mut Errors::default());
            assert_eq!(options.effects[0].value, effect);
        }
    }

    #[test]
    fn faults_are_all_reported_together_with_the_right_spelling() {
        assert_eq!(
            faults(r#"retry = 1, retries = "3", retries = 2, reuse = "24h", codec = "jsn", memo = true, key = "a""#),
            [
                "unknown option `retry`; did you mean `retries`?",
                "`retries` is given twice",
                "unknown option `reuse`; it is an option of `#[flow]`",
                "`retries` takes a whole number: write `retries = 3`",
                "unknown value `jsn` of `codec`; did you mean `json`?",
                "`memo` takes nothing or `max_age`: write `memo` or `memo(max_age = \"24h\")`",
                "`key` takes a list of arguments: write `key(topic)`",
            ]
        );
    }
}
