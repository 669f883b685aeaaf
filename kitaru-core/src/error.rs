//! The one error type. Owns the kinds of failure and the chain of messages that an error carries across processes. Must
//! not know what raises it.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::shown::Shown;

#[path = "error/form.rs"]
pub(crate) mod form;

/// What went wrong with a flow, a checkpoint or a store.
///
/// It is cheap to clone, goes through serde, and keeps the messages of the whole chain of causes. So an error that one
/// process recorded reads the same in another. It keeps messages only, not the original value: downcasting a rebuilt
/// error finds `kitaru::Error`, not the original type. It keeps the first 64 messages, and 64 KiB in total.
///
/// [`Display`](fmt::Display) gives the first message; `{:#}` gives the whole chain; [`source`](StdError::source)
/// walks it.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// use kitaru::Error;
///
/// let error = Error::msg("no paper").context("printing the report");
/// assert_eq!(error.to_string(), "printing the report");
/// assert_eq!(format!("{error:#}"), "printing the report: no paper");
/// assert!(!error.is_timeout());
/// ```
#[derive(Clone)]
pub struct Error(Arc<Repr>);

/// The most messages that a chain keeps, the first ones.
pub(crate) const MAX_MESSAGES: usize = 64;
/// The most sources of another error that are visited.
const MAX_SOURCES: usize = 2 * MAX_MESSAGES;
/// The most bytes of all messages together. The rest is cut.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 << 10;

struct Repr {
    kind: Kind,
    advice: Advice,
    cause: ChainLink,
}

/// What an error of a body says about another try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Advice {
    /// Nothing: the rule of the checkpoint applies.
    #[default]
    None,
    /// Another try would fail too.
    Fatal,
    /// Another try must wait this long.
    After(Duration),
}

/// One message of the chain, and what caused it.
struct ChainLink {
    message: String,
    source: Option<Box<ChainLink>>,
}

/// An error of a kind, whose message has the form `cannot X: reason; hint`. The compiler refuses any other message. The parts
/// are literals with captured placeholders. The hint is left out only where there is none.
macro_rules! cannot {
    ($kind:expr, $what:literal, $reason:literal $(,)?) => {{
        $crate::error::cannot!(@check $what, $reason, "");
        $crate::error::Error::new($kind, format_args!("cannot {}: {}", format_args!($what), format_args!($reason)))
    }};
    ($kind:expr, $what:literal, $reason:literal, $hint:literal $(,)?) => {{
        $crate::error::cannot!(@check $what, $reason, $hint);
        let parts = (format_args!($what), format_args!($reason), format_args!($hint));
        $crate::error::Error::new($kind, format_args!("cannot {}: {}; {}", parts.0, parts.1, parts.2))
    }};
    (@check $what:literal, $reason:literal, $hint:literal) => {
        const _: () = if let Some(flaw) = $crate::error::form::flaw($what, $reason, $hint) {
            panic!("{}", flaw);
        };
    };
}
pub(crate) use cannot;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal;)*) => {
        /// The kind of failure of an [`Error`]. Recorded by name, so that a store survives a reordering.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)* }
            }

            /// A name of a newer version that this one does not know is a plain failure.
            fn from_name(name: &str) -> Self {
                match name { $($name => Kind::$kind,)* _ => Kind::Failed }
            }
        }
    };
}

kinds! {
    /// A body or a flow returned this error.
    Failed = "failed";
    /// A body or a flow panicked.
    Panicked = "panicked";
    /// A body took longer than its timeout.
    TimedOut = "timed_out";
    /// An `at_most_once` body may have run: its process died before the outcome was recorded.
    Interrupted = "interrupted";
    /// The execution was cancelled.
    Cancelled = "cancelled";
    /// Another execution has the id: one with another input, or one that is running.
    Conflict = "conflict";
    /// A call contradicts a record.
    Diverged = "diverged";
    /// The execution cannot resume until a person decides.
    Stuck = "stuck";
    /// The API was used in a way that cannot work. The message names the way out.
    Misuse = "misuse";
    /// A value, an id or a queue is over its bound.
    TooLarge = "too_large";
    /// A value cannot be encoded, or what was encoded cannot be read back.
    Unreadable = "unreadable";
    /// Another process holds the store.
    Locked = "locked";
    /// The store's disk is full.
    StorageFull = "storage_full";
    /// The store cannot be used: it is damaged, has a newer format, is not a store, or its disk fails.
    Store = "store";
    /// The store or the runtime was closed.
    Closed = "closed";
}

/// Drops the payload of a panic, which may panic itself. The payload of that second panic is leaked.
pub(crate) fn drop_payload(panic: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}

impl Error {
    /// The longest wait of a try because of [`retry_after`](Self::retry_after): a day.
    pub const MOST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);

    /// An error of your own, with a message and no cause.
    pub fn msg(message: impl fmt::Display) -> Self {
        Self::from_chain(Kind::Failed, vec![message.to_string()])
    }

    /// A failure of a store, for implementing one. See [`is_store`](Self::is_store).
    pub fn store(message: impl fmt::Display) -> Self {
        Self::new(Kind::Store, message)
    }

    /// An error with the messages of `error` and of all its sources.
    ///
    /// If `error` or one of its sources is a [`kitaru::Error`](Error), its kind is kept. So a timeout that went through
    /// an error type of yours is still a timeout.
    pub fn from_std(error: &(dyn StdError + 'static)) -> Self {
        let (mut kind, mut advice) = (Kind::Failed, Advice::None);
        let mut messages = Vec::new();
        // Bounded, since an error may be its own source, or that of its source.
        for current in std::iter::successors(Some(error), |&error| error.source()).take(MAX_SOURCES) {
            if let Some(known) = current.downcast_ref::<Error>() {
                (kind, advice) = (known.0.kind, known.0.advice);
            }
            let message = current.to_string();
            // A transparent wrapper repeats the message of the error that it wraps.
            if messages.last() != Some(&message) {
                messages.push(message);
            }
        }
        Self::from_chain(kind, messages).advising(advice)
    }

    /// The same error with a further message in front.
    #[must_use]
    pub fn context(self, message: impl fmt::Display) -> Self {
        let mut messages = vec![message.to_string()];
        messages.extend(self.messages().map(str::to_owned));
        Self::from_chain(self.0.kind, messages).advising(self.0.advice)
    }

    /// The same error, after which a checkpoint's body is not tried again, despite its `retries`: another try would
    /// have the same result.
    ///
    /// It counts until the body's outcome is recorded, even if the error went through a type of yours that has it as a
    /// source.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// use kitaru::Error;
    ///
    /// assert!(Error::msg("no such customer").fatal().context("billing").is_fatal());
    /// ```
    #[must_use]
    pub fn fatal(self) -> Self {
        self.advising(Advice::Fatal)
    }

    /// The same error, after which the next try of a checkpoint's body, if one is left, waits this long instead of its
    /// backoff: the `Retry-After` of a server. It counts as long as [`fatal`](Self::fatal) does. It may be longer than
    /// the checkpoint's `max_backoff`. A wait over [`MOST_RETRY_AFTER`](Self::MOST_RETRY_AFTER) is cut to that.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # use std::time::Duration;
    /// use kitaru::Error;
    ///
    /// let error = Error::msg("429 Too Many Requests").retry_after(Duration::from_secs(30));
    /// assert_eq!(error.retry_delay(), Some(Duration::from_secs(30)));
    /// ```
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        self.advising(Advice::After(delay))
    }

    /// Whether another try of the body would have the same result. See [`fatal`](Self::fatal).
    pub fn is_fatal(&self) -> bool {
        self.0.advice == Advice::Fatal
    }

    /// How long another try must wait. See [`retry_after`](Self::retry_after).
    pub fn retry_delay(&self) -> Option<Duration> {
        match self.0.advice {
            Advice::After(delay) => Some(delay),
            Advice::None | Advice::Fatal => None,
        }
    }

    fn advising(mut self, advice: Advice) -> Self {
        if self.0.advice != advice {
            match Arc::get_mut(&mut self.0) {
                Some(repr) => repr.advice = advice,
                None => {
                    let messages = self.messages().map(str::to_owned).collect();
                    self = Self::from_chain(self.0.kind, messages).advising(advice);
                }
            }
        }
        self
    }

    /// The error of a flow that cannot wait because the time of its runtime is paused.
    pub(crate) fn time_is_paused(what: impl fmt::Display) -> Self {
        cannot!(
            Kind::Misuse,
            "wait in {what}",
            "the time of this tokio runtime is paused",
            "use kitaru::testkit::Testkit or Clock::manual()"
        )
    }

    /// The error for a panic. Its payload is dropped here, because that may panic too.
    pub(crate) fn panicked(what: &str, panic: Box<dyn Any + Send>) -> Self {
        let said = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        // Not on one line: what a panic says is kept as it is.
        let error = Self::from_chain(Kind::Panicked, vec![format!("cannot finish {what}: it panicked: {said}")]);
        drop_payload(panic);
        error
    }

    /// The same error with a further cause after its last one.
    pub(crate) fn because(self, cause: impl fmt::Display) -> Self {
        let mut messages: Vec<String> = self.messages().map(str::to_owned).collect();
        messages.push(cause.to_string());
        Self::from_chain(self.0.kind, messages).advising(self.0.advice)
    }

    /// The messages of the chain, the outermost first. There is at least one.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(&self.0.cause), |cause| cause.source.as_deref()).map(|cause| &*cause.message)
    }

    /// An error with a message that was recorded or that another library gave. [`cannot!`] makes the others. A message may
    /// quote the user's text, so it is shown on one line with hidden characters escaped.
    pub(crate) fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self::from_chain(kind, vec![Shown(message).to_string()])
    }

    fn from_chain(kind: Kind, messages: Vec<String>) -> Self {
        let cause = bounded(messages)
            .into_iter()
            .rev()
            .fold(None, |source, message| Some(ChainLink { message, source: source.map(Box::new) }))
            .unwrap_or_else(|| ChainLink { message: "unknown error".to_owned(), source: None });
        Error(Arc::new(Repr { kind, advice: Advice::None, cause }))
    }
}

/// The part of a chain that is kept.
fn bounded(mut messages: Vec<String>) -> Vec<String> {
    messages.truncate(MAX_MESSAGES);
    // Room for the note that a message was cut, which must not be cut when the chain grows.
    const SPARE: usize = 256;
    let mut room = MAX_MESSAGE_BYTES;
    for message in &mut messages {
        if message.len() > room + SPARE {
            let length = message.len();
            message.truncate(message.floor_char_boundary(room));
            message.push_str(&format!("… (cut, of {length} bytes)"));
        }
        room = room.saturating_sub(message.len());
    }
    messages
}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident => $($kind:ident)|+;)*) => {
        impl Error {
            $($(#[$doc])* pub fn $name(&self) -> bool { matches!(self.0.kind, $(Kind::$kind)|+) })*
        }
    };
}

questions! {
    /// Whether a checkpoint's body or a flow panicked.
    is_panic => Panicked;
    /// Whether a body took longer than its timeout.
    is_timeout => TimedOut;
    /// Whether an `at_most_once` body may or may not have run, because its process died in it.
    is_interrupted => Interrupted;
    /// Whether the execution was cancelled.
    is_cancelled => Cancelled;
    /// Whether another execution has the id: one with another input, or one that is running.
    is_conflict => Conflict;
    /// Whether a call contradicts a record.
    is_divergence => Diverged;
    /// Whether the execution cannot resume until a person decides.
    is_stuck => Stuck;
    /// Whether the API was used in a way that cannot work. The message names the way out.
    is_misuse => Misuse;
    /// Whether a value, an id or a queue is over its bound.
    is_too_large => TooLarge;
    /// Whether a value cannot be encoded, or what was recorded cannot be read back.
    is_unreadable => Unreadable;
    /// Whether another process holds the store.
    is_locked => Locked;
    /// Whether the store's disk is full.
    is_storage_full => StorageFull;
    /// Whether the store failed, for any reason: full, locked, closed, damaged, not a store, of a newer format.
    is_store => Store | StorageFull | Locked | Closed;
    /// Whether the store or the runtime was closed.
    is_closed => Closed;
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return f.write_str(&self.0.cause.message);
        }
        for (nth, message) in self.messages().enumerate() {
            if nth > 0 {
                f.write_str(": ")?;
            }
            f.write_str(message)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.source.as_deref().map(|cause| cause as _)
    }
}

impl fmt::Display for ChainLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for ChainLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for ChainLink {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let messages: Vec<&str> = self.messages().collect();
        (self.0.kind.name(), messages).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, messages) = <(String, Vec<String>)>::deserialize(deserializer)?;
        Ok(Self::from_chain(Kind::from_name(&kind), messages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_kind_and_its_chain_through_serde() {
        let error = Error::new(Kind::TimedOut, "took 3s").context("fetching").context("reporting");
        let json = serde_json::to_string(&error).unwrap();
        let back: Error = serde_json::from_str(&json).unwrap();
        assert!(back.is_timeout());
        assert_eq!(format!("{back:#}"), "reporting: fetching: took 3s");
        assert_eq!(back.source().and_then(StdError::source).unwrap().to_string(), "took 3s");
    }

    #[test]
    fn a_chain_is_bounded_in_count_and_in_bytes_and_says_what_was_cut() {
        let long = (0..1_000_000).fold(vec![String::new()], |mut chain, nth| {
            chain.push(format!("cause {nth}"));
            chain
        });
        assert_eq!(Error::from_chain(Kind::Failed, long).messages().count(), MAX_MESSAGES);
        let large = Error::msg("é".repeat(MAX_MESSAGE_BYTES)).context("reading");
        let said: Vec<&str> = large.messages().collect();
        assert_eq!(said[0], "reading");
        assert!(said[1].len() < MAX_MESSAGE_BYTES + 64 && said[1].ends_with("… (cut, of 131072 bytes)"));
    }

    #[test]
    fn a_kitaru_error_inside_a_foreign_one_keeps_its_kind() {
        let foreign = anyhow::Error::new(Error::new(Kind::Interrupted, "may have run")).context("paying");
        let error = Error::from_std(foreign.as_ref());
        assert!(error.is_interrupted());
        assert_eq!(format!("{error:#}"), "paying: may have run");
    }

    #[test]
    fn error_keeps_what_it_says_about_another_try() {
        let fatal = Error::msg("no such card").fatal();
        let foreign = anyhow::Error::new(fatal.clone()).context("paying");
        assert!(Error::from_std(foreign.as_ref()).is_fatal() && fatal.because("why").is_fatal());
        let later = Error::msg("busy").retry_after(Duration::from_secs(3));
        assert_eq!(later.clone().context("asking").retry_delay(), Some(Duration::from_secs(3)));
        assert!(later.clone().fatal().is_fatal() && !later.is_fatal(), "the one that was cloned stays as it is");
    }

    #[test]
    fn payload_whose_drop_panics_is_still_dropped() {
        struct Trap;
        impl Drop for Trap {
            fn drop(&mut self) {
                std::panic::panic_any(Trap);
            }
        }
        assert!(Error::panicked("a body", Box::new(Trap)).is_panic());
    }

    #[test]
    fn a_kind_of_a_newer_version_still_reads() {
        let back: Error = serde_json::from_str(r#"["from_the_future",["what"]]"#).unwrap();
        assert_eq!(back.to_string(), "what");
    }
}
