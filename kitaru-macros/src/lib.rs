//! The `#[flow]`, `#[checkpoint]` and `#[tool]` attributes of kitaru.
//!
//! Use them from the `kitaru` crate, which re-exports them. This module is the only one that knows the compiler's
//! own tokens; the work goes `parse` → `model` → `validate` → `expand`.

mod attributes;
mod errors;
mod expand;
mod fingerprint;
mod histories;
mod model;
mod parse;
mod signature;
mod spelling;
mod suggest;
mod unrepeatable;
mod validate;

use proc_macro::TokenStream;
use syn::parse::{ParseStream, Parser as _};

use crate::errors::Errors;
use crate::model::{Attr, Function};

/// Makes an `async fn` a checkpoint: work in a flow that is done once, and whose outcome is recorded.
///
/// Calling the function gives a `kitaru::Call`, a future that runs the body, or answers from the record of an earlier
/// attempt. The function keeps its visibility, attributes and documentation, and has no further parameter.
///
/// ```
/// use kitaru::checkpoint;
///
/// #[checkpoint]
/// async fn research(topic: &str) -> anyhow::Result<String> {
///     Ok(format!("notes on {topic}"))
/// }
///
/// #[checkpoint(retries = 3, backoff = "200ms", timeout = "30s")]
/// async fn draft(notes: String, style: Option<&str>) -> anyhow::Result<String> {
///     Ok(format!("{notes}, {}", style.unwrap_or("plainly")))
/// }
///
/// #[kitaru::flow]
/// async fn write_report(topic: String) -> anyhow::Result<String> {
///     let notes = research(&topic).await?;
///     draft(notes, None).retries(5).await
/// }
/// ```
///
/// # What it takes
///
/// - Any number of arguments: owned, borrowed, patterns, `impl Trait`, generic. Those that are part of the key go
///   through `serde::Serialize`. `&mut` is refused: a recorded outcome is given back without running the body.
/// - Methods, by `&self` or `self`, and other functions of an impl block that contain `Self`. `self` does not count
///   unless `key(self, …)` selects it. A function without `self` that uses a generic parameter of its impl block must
///   contain `Self` too, as in `where Self: Sized`.
/// - Not a method in the impl of a trait, also with `#[async_trait]`: put the attribute on a function, or on a method
///   of the type itself, and call that from the trait's method. A method with a body in the trait itself is accepted.
/// - A function that a `macro_rules!` writes, from fragments of any kind.
/// - A result that goes through serde, or a `Result` of such a value. Its error goes through serde as well, or
///   implements `From<kitaru::Error>`, as `anyhow::Error` does.
///
/// # Options
///
/// | option | |
/// |---|---|
/// | `name = "…"` | its name in records; by default the name of the function. It must be unique in an execution |
/// | `version = "…"` | part of the key: another version runs again |
/// | `retries = 3` | further tries before its error counts; every owned argument is `Clone` or goes through serde |
/// | `backoff = "100ms"` | the pause before the first retry |
/// | `max_backoff = "5m"` | the longest pause; by default a minute. If it is longer than the store's `park_after` it is recorded, and the flow may be parked meanwhile |
/// | `retry_if = is_passing` | a function that decides whether an error allows another try; an error can also decide itself: `kitaru::Error::fatal`, `retry_after` |
/// | `timeout = "30s"` | ends a try in an error; the function returns a `Result` that can hold a `kitaru::Error` |
/// | `total_timeout = "10m"` | bounds all tries together, with their pauses; likewise |
/// | `codec = "json"` | records the outcome as JSON; the default is `"bincode"` |
/// | `key(a, b)` | only these arguments count |
/// | `skip(client)` | all arguments but these count |
/// | `memo`, `memo(max_age = "24h")` | may use the outcome of any execution for the same arguments |
/// | `at_most_once` | its body is never run a second time; the function returns a `Result` that can hold a `kitaru::Error` |
/// | `on_interrupt = "ask"` | a person decides about an `at_most_once` body that may have run when its process died (`kitaru::Resolution`); the default, `"error"`, gives the flow an error |
/// | `sensitive` | keeps no preview of arguments and outcome |
/// | `blocking` | is a plain `fn`, which runs on the blocking pool; its arguments are owned and `Send` |
/// | `on_code_change = "rerun"` | runs again after its source changed; the default is `"reuse"` |
/// | `on_divergence = "fail"` | fails if a record has other arguments; the default is `"rerun"`, and `"fail"` for `at_most_once` |
/// | `crate = path` | where the `kitaru` crate is, if it has another name |
///
/// A duration is a whole number with a unit: `"250ms"`, `"30s"`, `"5m"`, `"24h"`, `"7d"`.
///
/// ```
/// # use kitaru::checkpoint;
/// # struct Client;
/// // The client is not part of the key; the page is.
/// #[checkpoint(skip(client), memo(max_age = "24h"))]
/// async fn fetch(client: &Client, page: u32) -> anyhow::Result<String> {
/// #     let _ = client;
///     Ok(format!("page {page}"))
/// }
///
/// // Rather no payment than two.
/// #[checkpoint(at_most_once, sensitive)]
/// async fn pay(account: String, cents: u64) -> Result<(), kitaru::Error> {
/// #     let _ = (account, cents);
///     Ok(())
/// }
///
/// #[checkpoint(blocking)]
/// fn compress(bytes: Vec<u8>) -> Vec<u8> {
///     bytes
/// }
///
/// impl Client {
///     #[checkpoint(name = "count pages")]
///     async fn count(&self, host: &str) -> usize {
///         host.len()
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn checkpoint(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = parse::checkpoint(options.into(), &mut errors);
    let Some(function) = function(Attr::Checkpoint, &item, &mut errors) else { return beside(errors, item) };
    validate::checkpoint(&options, &function, &mut errors);
    if errors.is_empty() {
        return expand::checkpoint(&options, &function).into();
    }
    if validate::boxes_its_future(&function) {
        return beside(errors, item);
    }
    beside(errors, expand::refused_checkpoint(&options, &function).into())
}

/// Makes an `async fn` a flow: a job that survives its process.
///
/// Calling the function gives a `kitaru::FlowCall`, a future of the function's result. The outcomes of its checkpoints
/// are recorded. The same call continues where an earlier one stopped, in this process or another one.
///
/// ```no_run
/// use kitaru::flow;
///
/// #[flow]
/// async fn write_report(topic: String) -> anyhow::Result<String> {
///     Ok(format!("a report on {topic}"))
/// }
///
/// #[tokio::main]
/// async fn main() -> anyhow::Result<()> {
///     println!("{}", write_report("tides".to_owned()).await?);
///     println!("{}", write_report("winds".to_owned()).id("job-42").fresh().await?);
///     Ok(())
/// }
/// ```
///
/// # What it takes
///
/// Another process can start a flow by its name, with nothing but the record. So its arguments, 16 at most, are owned
/// and go through `serde::Serialize` and `serde::Deserialize`. It is neither generic nor a method. It returns a
/// `Result` whose value goes through serde and whose error implements `From<kitaru::Error>`: `kitaru::Error` itself,
/// `anyhow::Error`, `Box<dyn std::error::Error + Send + Sync>`, or one of yours. The result is `Send`.
///
/// # Options
///
/// | option | |
/// |---|---|
/// | `name = "…"` | its name in records; by default the name of the function. It must be unique in a program |
/// | `version = "…"` | recorded with each execution, for people to see |
/// | `reuse = "always"` | whether a call of a completed execution returns its result: `"always"` (the default), `"unfinished"` (never), or for a time such as `"24h"` |
/// | `on_divergence = "fail"` | for checkpoints that do not set it; the default is `"rerun"` |
/// | `crate = path` | where the `kitaru` crate is, if it has another name |
///
/// ```
/// # use kitaru::flow;
/// #[flow(name = "nightly import", reuse = "24h")]
/// async fn import(source: String, mut limit: u32) -> Result<u32, kitaru::Error> {
/// #     let _ = source;
///     limit += 1;
///     Ok(limit)
/// }
/// ```
///
/// # What does not repeat
///
/// A flow's own code is replayed, so values from outside must be recorded. The compiler warns about these expressions
/// in its body:
///
/// | instead of | use |
/// |---|---|
/// | `SystemTime::now`, `Instant::now` | `kitaru::now` |
/// | `rand::random`, `rand::rng`, `thread_rng` and similar; `Uuid::new_v4` | `kitaru::random`; `kitaru::uuid` |
/// | `thread::sleep`, `tokio::time::sleep`, `sleep_until`, `interval` | `kitaru::sleep`, `kitaru::sleep_until` |
/// | `tokio::time::timeout`, `timeout_at` | `kitaru::timeout` |
/// | `tokio::spawn`, `tokio::task::spawn` | `kitaru::spawn` |
/// | `tokio::task::spawn_blocking` | a `#[checkpoint(blocking)]` |
/// | `tokio::select!` with `async` blocks as arms | `kitaru::race`, or `biased;` as its first line |
///
/// The check looks into closures, including bodies of `kitaru::dynamic` checkpoints, and into blocks and macros such as
/// `join!`, `vec!` and `println!`, but not into items in the body. It cannot see the code of other functions, nor
/// recognise an imported name, such as a plain `sleep`. A warning is one of deprecation: `#[allow(deprecated)]` on the
/// flow or on a statement silences it. A statement that is a macro call cannot have that attribute: put the call in a
/// block with it.
///
/// ```
/// # use kitaru::flow;
/// # use std::time::Instant;
/// #[flow]
/// async fn is_timed() -> Result<u64, kitaru::Error> {
///     // Only for the log, so it may differ between replays.
///     #[allow(deprecated)]
///     let begun = Instant::now();
///     let drawn = kitaru::random();
///     println!("drawn within {:?}", begun.elapsed());
///     Ok(drawn)
/// }
/// ```
#[proc_macro_attribute]
pub fn flow(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = parse::flow(options.into(), &mut errors);
    let Some(function) = function(Attr::Flow, &item, &mut errors) else { return beside(errors, item) };
    validate::flow(options.name.is_some(), &function, &mut errors);
    if errors.is_empty() {
        return expand::flow(&options, &function).into();
    }
    if validate::boxes_its_future(&function) {
        return beside(errors, item);
    }
    beside(errors, expand::refused_flow(&options, &function).into())
}

/// Makes a test of each history in a folder: `kitaru::testkit::histories!("tests/histories/*.json")`.
///
/// Each file contains the output of `Kitaru::export`, and is replayed against the current code, as
/// `kitaru::testkit::replay_file` does. The folder is relative to the package's own.
///
/// Another crate's flows are found only if the test names that crate: `use my_crate as _;`.
#[proc_macro]
pub fn histories(pattern: TokenStream) -> TokenStream {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let tests = syn::parse::<syn::LitStr>(pattern)
        .and_then(|pattern| histories::histories(&pattern, std::path::Path::new(&package)));
    tests.unwrap_or_else(|why| why.into_compile_error()).into()
}

/// Makes an `async fn` a tool of an agent: a function that a model may call.
///
/// Called without arguments, the function gives the value for `AgentBuilder::tool`. The model reads its doc comment to
/// know when and how to use it. Its arguments, with their doc comments, are the schema. Arguments that do not fit go
/// back to the model and never reach the function.
///
/// ```
/// use kitaru::agent::{Agent, RunContext, TestModel, ToolError};
/// use kitaru::tool;
///
/// struct Tides {
///     brest: f64,
/// }
///
/// /// How high the water stands at a port.
/// #[tool]
/// async fn tide(
///     context: &RunContext<Tides>,
///     /// The name of the port.
///     port: String,
///     /// In feet instead of metres.
///     #[serde(default)]
///     feet: bool,
/// ) -> Result<f64, ToolError> {
///     if port != "Brest" {
///         return Err(ToolError::retry("only Brest is known"));
///     }
///     Ok(if feet { context.deps.brest * 3.28 } else { context.deps.brest })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = Agent::builder(TestModel::new()).deps::<Tides>().tool(tide()).build()?;
/// # drop(agent);
/// // In a test the function itself is `tide::run`.
/// let context = RunContext::new("How high?").with_deps(Tides { brest: 3.0 });
/// assert_eq!(tide::run(&context, "Brest".to_owned(), false).await?, 3.0);
/// # Ok(())
/// # }
/// ```
///
/// # What it takes
///
/// - First, optionally, a `RunContext<D>` or a reference to one, whose `deps` are those of the agent's run. A tool
///   without one fits every agent.
/// - No `self`, and no place in an impl block: it becomes a type of its name, which an impl block cannot contain.
/// - Arguments that go through `serde::Deserialize` and `schemars::JsonSchema`, owned. A type of yours derives the
///   second with `schemars = "1"` in `Cargo.toml`. An argument's attributes, `#[serde(…)]` and `#[schemars(…)]`
///   included, are those of a struct's field: `#[serde(default)]` makes it optional, `#[schemars(range(min = 1))]`
///   bounds it.
/// - A result that goes through `serde::Serialize`, which the model reads as JSON, or unchanged if it is a text; or a
///   `Result` of such a value, written as `…Result<…>`. Its error implements `std::error::Error`, is that of `anyhow`,
///   or is a text. An error with a `ToolError::retry(…)` in its chain goes back to the model, within a bound. Any other
///   error ends the run.
///
/// # Options
///
/// | option | |
/// |---|---|
/// | `name = "…"` | its name for the model; by default the name of the function |
/// | `read_only` | a call changes nothing, so that it may run again after a crash |
/// | `idempotent` | a second run of a call has no further effect |
/// | `once` | a call never runs a second time automatically: if a crash interrupts it, a person decides |
/// | `requires_approval` | a person must approve each call |
/// | `retries = 3` | further tries of a call that fails, before its error ends the run |
/// | `timeout = "30s"` | ends a try in an error |
/// | `not_durable` | runs as plain code of the flow, on every attempt, without a record |
/// | `crate = path` | where the `kitaru` crate is, if it has another name |
///
/// A `KitaruAgent` applies all options except the names, and its `tool_options` override them one by one. A tool that
/// declares no effect runs at least once, and a warning says so if it may have run before a crash.
///
/// ```
/// use kitaru::agent::{RunContext, ToolError};
/// use kitaru::tool;
///
/// /// Looks up the weather.
/// #[tool(read_only, retries = 2, timeout = "10s")]
/// async fn weather(city: String) -> String {
///     format!("rain in {city}")
/// }
///
/// /// Pays a person. Large sums need approval.
/// #[tool(once)]
/// async fn pay(context: RunContext, to: String, euros: u32) -> Result<String, ToolError> {
///     if euros > 100 && !context.is_approved() {
///         return Err(ToolError::approval_required(format!("{euros} € is much")));
///     }
///     Ok(format!("{to} has {euros} €"))
/// }
/// # let _ = (weather(), pay());
/// ```
#[proc_macro_attribute]
pub fn tool(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = parse::tool(options.into(), &mut errors);
    let Some(function) = function(Attr::Tool, &item, &mut errors) else { return beside(errors, item) };
    validate::tool(&options, &function, &mut errors);
    if errors.is_empty() {
        return expand::tool(&options, &function).into();
    }
    if validate::boxes_its_future(&function) {
        return beside(errors, item);
    }
    beside(errors, expand::refused_tool(&options, &function).into())
}

fn function(attr: Attr, item: &TokenStream, errors: &mut Errors) -> Option<Function> {
    let parse = |input: ParseStream<'_>| Function::parse(attr, input);
    errors.keep(parse.parse(item.clone()))
}

/// The item stays, so that only the errors are reported and not its absence.
fn beside(errors: Errors, item: TokenStream) -> TokenStream {
    let mut tokens = TokenStream::from(errors.into_compile_errors());
    tokens.extend(item);
    tokens
}
