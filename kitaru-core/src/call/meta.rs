//! The options of a checkpoint's attribute and their defaults. Must not know how they are applied.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Duration;

use crate::call::body::Body;
use crate::error::Error;
use crate::journal::Arg;
use crate::log::SpanKind;
use crate::machine::{Backoff, Item};
use crate::program::OnDivergence;
use crate::shown::short;
use crate::value::{ArgPreview, ArgSink, Canon, CodecWish, HIDDEN, Key, Sensitivity};

/// A checkpoint as its attribute describes it. Written by the macro; not part of the public interface.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointMeta {
    name: &'static str,
    module: &'static str,
    item: Option<Item>,
    pub(crate) source: u64,
    version: &'static str,
    pub(crate) retries: u32,
    pub(crate) backoff: Backoff,
    pub(crate) timeout: Option<Duration>,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) wish: CodecWish,
    pub(crate) memo: Option<Memo>,
    pub(crate) effect: Effect,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) on_code_change: OnCodeChange,
    pub(crate) on_divergence: Option<OnDivergence>,
    pub(crate) on_interrupt: OnInterrupt,
}

/// How often a body's effect may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    AtLeastOnce,
    AtMostOnce,
    /// The body has no effect: it waits for something outside.
    Wait,
    /// The effect is another execution, which keeps its own promises.
    Child,
}

impl Effect {
    pub(crate) fn kind(self) -> SpanKind {
        match self {
            Effect::AtLeastOnce | Effect::AtMostOnce => SpanKind::Checkpoint,
            Effect::Wait => SpanKind::Wait,
            Effect::Child => SpanKind::Child,
        }
    }

    /// Whether it is that of a checkpoint's own body.
    pub(crate) fn is_of_a_body(self) -> bool {
        matches!(self, Effect::AtLeastOnce | Effect::AtMostOnce)
    }
}

/// What happens to an `at_most_once` body that may have run when its process crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// The flow gets an error.
    Error,
    /// A person decides.
    Ask,
}

/// What happens when a call contradicts its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCodeChange {
    Reuse,
    Rerun,
}

/// A checkpoint whose results other executions may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memo {
    pub(crate) max_age: Option<Duration>,
}

#[doc(hidden)]
#[allow(missing_docs)]
impl CheckpointMeta {
    pub const fn new(name: &'static str, module: &'static str, file: &'static str, line: u32, source: u64) -> Self {
        Self { item: Some(Item { file, line }), module, source, name, ..Self::dynamic() }
    }

    /// A checkpoint without an attribute.
    pub(crate) const fn dynamic() -> Self {
        CheckpointMeta {
            name: "",
            module: "",
            item: None,
            source: 0,
            version: "",
            retries: 0,
            backoff: Backoff::starting_at(Backoff::DEFAULT_FIRST),
            timeout: None,
            total_timeout: None,
            wish: CodecWish::Bincode,
            memo: None,
            effect: Effect::AtLeastOnce,
            sensitivity: Sensitivity::Shown,
            on_code_change: OnCodeChange::Reuse,
            on_divergence: None,
            on_interrupt: OnInterrupt::Error,
        }
    }

    pub const fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    pub const fn backoff_ms(mut self, first_ms: u64) -> Self {
        self.backoff = Backoff::starting_at(Duration::from_millis(first_ms));
        self
    }

    /// The cap on the pauses that begin at `backoff_ms`.
    pub const fn max_backoff_ms(mut self, cap_ms: u64) -> Self {
        self.backoff = self.backoff.up_to(Duration::from_millis(cap_ms));
        self
    }

    pub const fn total_timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.total_timeout = Some(Duration::from_millis(timeout_ms));
        self
    }

    pub const fn timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout = Some(Duration::from_millis(timeout_ms));
        self
    }

    pub const fn json(mut self) -> Self {
        self.wish = CodecWish::Json;
        self
    }

    pub const fn memo(mut self, max_age_ms: Option<u64>) -> Self {
        let max_age = match max_age_ms {
            Some(ms) => Some(Duration::from_millis(ms)),
            None => None,
        };
        self.memo = Some(Memo { max_age });
        self
    }

    pub const fn at_most_once(mut self) -> Self {
        self.effect = Effect::AtMostOnce;
        self
    }

    pub const fn ask_on_interrupt(mut self) -> Self {
        self.on_interrupt = OnInterrupt::Ask;
        self
    }

    pub(crate) const fn wait(mut self) -> Self {
        self.effect = Effect::Wait;
        self
    }

    pub(crate) const fn child(mut self) -> Self {
        self.effect = Effect::Child;
        self
    }

    pub const fn sensitive(mut self) -> Self {
        self.sensitivity = Sensitivity::Hidden;
        self
    }

    pub const fn rerun_on_code_change(mut self) -> Self {
        self.on_code_change = OnCodeChange::Rerun;
        self
    }

    pub const fn rerun_on_divergence(mut self) -> Self {
        self.on_divergence = Some(OnDivergence::Rerun);
        self
    }

    pub const fn fail_on_divergence(mut self) -> Self {
        self.on_divergence = Some(OnDivergence::Fail);
        self
    }
}

/// The key of a call of this checkpoint, with the arguments that are described.
pub(crate) fn key<R>(
    name: &str,
    version: &str,
    describe: impl FnOnce(&mut ArgSink<'_>),
    then: impl FnOnce(Key, &Canon) -> R,
) -> Result<R, Error> {
    CANON.with_borrow_mut(|canon| {
        canon.clear();
        let mut sink = ArgSink::canonical(canon);
        describe(&mut sink);
        sink.finish().map_err(|error| error.context(format!("cannot call checkpoint `{}`", short(name))))?;
        let key = canon.key(&[name.as_bytes(), version.as_bytes()]);
        Ok(then(key, canon))
    })
}

/// A checkpoint as one call sees it.
pub(crate) struct Spec {
    described: Described,
    label: Option<Box<str>>,
}

/// Where the description of a checkpoint comes from.
enum Described {
    /// The macro's, which is the program's own.
    Item(&'static CheckpointMeta),
    /// One that was made at run time.
    Own(Box<OwnMeta>),
}

struct OwnMeta {
    name: Cow<'static, str>,
    version: Cow<'static, str>,
    meta: CheckpointMeta,
}

thread_local! {
    static CANON: RefCell<Canon> = RefCell::default();
}

impl Spec {
    pub(crate) fn new(meta: &'static CheckpointMeta) -> Self {
        Spec { described: Described::Item(meta), label: None }
    }

    pub(crate) fn own(name: Cow<'static, str>, version: Cow<'static, str>, meta: CheckpointMeta) -> Self {
        Spec { described: Described::Own(Box::new(OwnMeta { name, version, meta })), label: None }
    }

    /// The checkpoint's name.
    pub(crate) fn name(&self) -> &str {
        match &self.described {
            Described::Item(meta) => meta.name,
            Described::Own(own) => &own.name,
        }
    }

    fn version(&self) -> &str {
        match &self.described {
            Described::Item(meta) => meta.version,
            Described::Own(own) => &own.version,
        }
    }

    pub(crate) fn meta(&self) -> &CheckpointMeta {
        match &self.described {
            Described::Item(meta) => meta,
            Described::Own(own) => &own.meta,
        }
    }

    /// The name set by `.named("…")`, or an empty text.
    pub(crate) fn label(&self) -> &str {
        self.label.as_deref().unwrap_or_default()
    }

    pub(crate) fn set_label(&mut self, label: String) {
        self.label = Some(label.into());
    }

    /// The base of its visible name.
    pub(crate) fn shown(&self) -> &str {
        self.label.as_deref().unwrap_or(self.name())
    }

    pub(crate) fn item(&self) -> Option<Item> {
        self.meta().item
    }

    /// Where the checkpoint stands in the code.
    pub(crate) fn location(&self) -> String {
        match self.meta().item {
            Some(Item { file, line }) => format!("{file}:{line} ({})", self.meta().module),
            None => "a checkpoint without an attribute".to_owned(),
        }
    }

    /// The key of a call, and its arguments in canonical form.
    ///
    /// # Errors
    ///
    /// If an argument cannot be serialized.
    pub(crate) fn key<B: Body, R>(&self, body: &B, then: impl FnOnce(Key, &Canon) -> R) -> Result<R, Error> {
        key(self.name(), self.version(), |sink| body.describe(sink), then)
    }

    /// What a record keeps of the arguments.
    pub(crate) fn args<B: Body>(&self, body: &B, canon: &Canon) -> Vec<u8> {
        let mut preview = ArgPreview::new(crate::journal::PREVIEW_BYTES);
        body.describe(&mut ArgSink::preview(&mut preview));
        let args: Vec<Arg> = preview
            .into_args()
            .into_iter()
            .zip(canon.shorts())
            .map(|((name, preview), digest)| Arg {
                name: name.to_owned(),
                digest,
                preview: match self.meta().sensitivity {
                    Sensitivity::Shown => preview,
                    Sensitivity::Hidden => HIDDEN.to_owned(),
                },
            })
            .collect();
        Arg::write_all(&args)
    }
}
