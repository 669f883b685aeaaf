//! Checkpoints and flows without an attribute, for libraries that learn names and bodies at run time. They run as the
//! expansions of the attributes do.

pub mod agents;
mod run;
mod scope;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::bounds::Recordable;
use crate::call::probe::{ByStdError, SerdeFallible};
use crate::call::{Body, Call, CheckpointMeta, Function, Spec, key};
use crate::client::FlowCall;
use crate::context::Ambient;
use crate::error::{Error, Kind, cannot};
use crate::flow::pack_flow;
use crate::id::check_name;
use crate::machine::Reuse;
use crate::request::{FlowBody, FlowSpec, RequestInput};
use crate::shown::short;
use crate::value::{ArgSink, CodecWish, encode, shallow};

pub use crate::call::{CallIdentity, CallKey, Occasion, Origin, Summarize, WithOrigin};
pub use run::{DurableRun, FlowOptions, Work};
pub use scope::{Scope, beside_the_flow, resumes_by_itself, scope};

/// Changes the metadata of the running body under a key, as [`log`](crate::log) sets it. `amend` gets the value that
/// this try or an earlier one set. In a flow's own code and outside flows it does nothing.
///
/// # Errors
///
/// As [`log`](crate::log).
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// use kitaru::dynamic::{amend_log, checkpoint};
///
/// checkpoint("count").run(|| async {
///     amend_log("pages", |pages: Option<u32>| pages.unwrap_or_default() + 2)?;
///     amend_log("pages", |pages: Option<u32>| pages.unwrap_or_default() + 1)
/// }).await.unwrap();
/// # });
/// ```
pub fn amend_log<T: Serialize + DeserializeOwned>(key: &str, amend: impl FnOnce(Option<T>) -> T) -> Result<(), Error> {
    let Ambient::Body(body) = Ambient::current() else { return Ok(()) };
    let earlier = body.logged(key).and_then(|json| serde_json::from_str(&json).ok());
    crate::log(key, &amend(earlier))
}

/// A checkpoint with this name. Its arguments and body follow.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// use kitaru::dynamic::checkpoint;
///
/// let city = "Bergen";
/// let report = checkpoint("weather")
///     .arg("city", &city)
///     .run(move || async move { Ok::<_, kitaru::Error>(format!("rain in {city}")) })
///     .await
///     .unwrap();
/// assert_eq!(report, "rain in Bergen");
/// # });
/// ```
pub fn checkpoint(name: impl Into<Cow<'static, str>>) -> DynamicCheckpoint {
    let name = name.into();
    let refused = check_name("checkpoint", &name).err();
    DynamicCheckpoint { name, version: Cow::Borrowed(""), meta: CheckpointMeta::dynamic(), args: Vec::new(), refused }
}

/// A checkpoint without an attribute. See [`checkpoint`].
#[must_use = "a checkpoint does nothing until it is run and awaited"]
pub struct DynamicCheckpoint {
    name: Cow<'static, str>,
    version: Cow<'static, str>,
    meta: CheckpointMeta,
    args: Vec<(&'static str, serde_json::Value)>,
    refused: Option<Error>,
}

impl fmt::Debug for DynamicCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicCheckpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

impl DynamicCheckpoint {
    /// Adds an argument to its key.
    pub fn arg<T: Serialize + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        match serde_json::to_value(shallow(value)) {
            Ok(value) => self.args.push((name, value)),
            Err(why) => {
                let (checkpoint, name) = (short(&self.name), short(name));
                self.refused.get_or_insert(cannot!(
                    Kind::Misuse,
                    "call checkpoint `{checkpoint}`",
                    "argument `{name}` cannot be serialized: {why}",
                    "serialize it as another type"
                ));
            }
        }
        self
    }

    /// As `version = "…"` of the attribute.
    pub fn version(mut self, version: impl Into<Cow<'static, str>>) -> Self {
        self.version = version.into();
        self
    }

    /// Keeps values as JSON. Later versions of a type read JSON by field names.
    pub fn json(mut self) -> Self {
        self.meta = self.meta.json();
        self
    }

    /// As `at_most_once` of the attribute.
    pub fn at_most_once(mut self) -> Self {
        self.meta = self.meta.at_most_once();
        self
    }

    /// As `on_interrupt = "ask"` of the attribute.
    pub fn ask_on_interrupt(mut self) -> Self {
        self.meta = self.meta.ask_on_interrupt();
        self
    }

    /// As `sensitive` of the attribute.
    pub fn sensitive(mut self) -> Self {
        self.meta = self.meta.sensitive();
        self
    }

    /// The question of this checkpoint, with the arguments added so far.
    ///
    /// # Errors
    ///
    /// If an argument cannot be serialized.
    pub fn question(&self) -> Result<CallKey, Error> {
        match &self.refused {
            Some(refused) => Err(refused.clone()),
            None => key(&self.name, &self.version, |sink| describe(&self.args, sink), |key, _| CallKey::new(key)),
        }
    }

    /// Calls this checkpoint with its body. The body is a function, because a retry calls it again.
    pub fn run<T, E, Fut>(self, body: impl FnMut() -> Fut) -> Call<impl Body<Output = Result<T, E>>>
    where
        T: Recordable,
        E: Recordable + From<Error> + StdError + 'static,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run_summarized(body, None)
    }

    /// As [`run`](Self::run). The log lines of the call contain the summary of its result.
    pub fn run_with_summary<T, E, Fut>(
        self,
        body: impl FnMut() -> Fut,
        summarize: Summarize<Result<T, E>>,
    ) -> Call<impl Body<Output = Result<T, E>>>
    where
        T: Recordable,
        E: Recordable + From<Error> + StdError + 'static,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run_summarized(body, Some(summarize))
    }

    fn run_summarized<T, E, Fut>(
        self,
        mut body: impl FnMut() -> Fut,
        summarize: Option<Summarize<Result<T, E>>>,
    ) -> Call<impl Body<Output = Result<T, E>>>
    where
        T: Recordable,
        E: Recordable + From<Error> + StdError + 'static,
        Fut: Future<Output = Result<T, E>>,
    {
        let spec = Spec::own(self.name, self.version, self.meta);
        let body = Function::new(
            SerdeFallible::<ByStdError>::new(),
            Args(self.args.into()),
            |args: &Args, sink: &mut ArgSink<'_>| describe(&args.0, sink),
            |args| Some(args.clone()),
            move |_| body(),
        );
        let call = Call::new(spec, body).refused(self.refused);
        match summarize {
            Some(summarize) => call.summarized(summarize),
            None => call,
        }
    }
}

/// Shared, so that another try needs no copy.
#[derive(Clone)]
struct Args(Arc<[(&'static str, serde_json::Value)]>);

fn describe(args: &[(&'static str, serde_json::Value)], sink: &mut ArgSink<'_>) {
    args.iter().for_each(|(name, value)| sink.arg(name, value));
}

/// A flow with this name. Its input and body follow.
///
/// Its body exists only in its caller. So only an equal call continues the execution.
pub fn flow(name: impl Into<Cow<'static, str>>) -> DynamicFlow {
    DynamicFlow {
        name: name.into(),
        version: Cow::Borrowed(""),
        reuse: Reuse::Always,
        input: Vec::new(),
        refused: None,
    }
}

/// A flow without an attribute. See [`flow`].
#[must_use = "a flow does nothing until it is run and awaited"]
pub struct DynamicFlow {
    name: Cow<'static, str>,
    version: Cow<'static, str>,
    reuse: Reuse,
    input: Vec<Given>,
    refused: Option<Error>,
}

impl fmt::Debug for DynamicFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicFlow").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A value that is part of the execution's id.
struct Given {
    name: &'static str,
    value: serde_json::Value,
    kept: InputForm,
}

#[derive(PartialEq)]
enum InputForm {
    Whole,
    AsDigest,
}

impl DynamicFlow {
    /// As `version = "…"` of the attribute.
    pub fn version(mut self, version: impl Into<Cow<'static, str>>) -> Self {
        self.version = version.into();
        self
    }

    /// Adds a value to its input. The id of the execution is a digest of the input, unless the call sets it.
    pub fn input<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Self {
        self.given(name, value, InputForm::Whole)
    }

    /// As [`input`](Self::input), for a large value that the body has anyway: it is part of the id, and only its digest
    /// and a preview are recorded.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// use kitaru::dynamic::flow;
    ///
    /// let book = "a long text ".repeat(10_000);
    /// let words = book.split_whitespace().count();
    /// let counted = flow("count").key("book", &book).run(move || async move { Ok::<_, kitaru::Error>(words) });
    /// assert_eq!(counted.on(&kitaru).await?, 30_000);
    /// # Ok(()) }
    /// ```
    pub fn key<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Self {
        self.given(name, value, InputForm::AsDigest)
    }

    fn given<T: Serialize + ?Sized>(mut self, name: &'static str, value: &T, kept: InputForm) -> Self {
        match serde_json::to_value(shallow(value)) {
            Ok(value) => self.input.push(Given { name, value, kept }),
            Err(why) => {
                let (flow, name) = (short(&self.name), short(name));
                self.refused.get_or_insert(cannot!(
                    Kind::Misuse,
                    "call flow `{flow}`",
                    "input `{name}` cannot be serialized: {why}",
                    "serialize it as another type"
                ));
            }
        }
        self
    }

    /// What the call does if the execution has completed before.
    pub fn reuse(mut self, reuse: impl Into<Reuse>) -> Self {
        self.reuse = reuse.into();
        self
    }

    /// Calls this flow with its body.
    pub fn run<T, E, Fut>(self, body: impl FnOnce() -> Fut + Send + 'static) -> FlowCall<Result<T, E>>
    where
        T: Recordable + 'static,
        E: Recordable + From<Error> + StdError + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let input = match self.refused {
            Some(refused) => Err(refused),
            None => {
                let encoded = encode(&self.input_map(), CodecWish::Json, usize::MAX);
                RequestInput::new(&self.name, encoded.map(|(encoded, _)| encoded), |sink| {
                    self.input.iter().for_each(|Given { name, value, .. }| sink.arg(name, value));
                })
            }
        };
        let spec = FlowSpec {
            name: self.name.clone(),
            version: self.version,
            source: 0,
            on_divergence: None,
            ambiguous: false,
        };
        let name = self.name;
        let body = FlowBody::Own(Box::new(move |limit| {
            Box::pin(async move { pack_flow::<_, SerdeFallible<ByStdError>>(name, body(), limit).await })
        }));
        FlowCall::new::<SerdeFallible<ByStdError>>(spec, body, self.reuse, input)
    }

    fn input_map(&self) -> serde_json::Map<String, serde_json::Value> {
        let whole = self.input.iter().filter(|given| given.kept == InputForm::Whole);
        whole.map(|given| (given.name.to_owned(), given.value.clone())).collect()
    }
}
