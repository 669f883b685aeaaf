//! What flows and bodies show while they run: published values, and metadata of a record or an execution. Owns the
//! destination and the bounds of each; must not know the readers.

use serde::Serialize;

use crate::context::Ambient;
use crate::error::{Error, Kind, cannot};
use crate::id::check_name;
use crate::journal::NoteKind;
use crate::shown::short;
use crate::value::shallow;

/// The bound on one value.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// Shows a value under a name. [`Kitaru::published`](crate::Kitaru::published) and
/// [`Kitaru::watch`](crate::Kitaru::watch) read it from outside. The latest value counts, and stays when the execution
/// has ended.
///
/// In a flow's own code a value is published once: a replay does not return to an earlier value. In a checkpoint's body
/// it is published immediately, on every try. Where checkpoints are plain functions, in `testkit::plain`, nothing is
/// published.
///
/// # Errors
///
/// If the value cannot be serialized or has more than 1 MiB, if the name is not valid, if more than 1,000 names are
/// used, or if no flow is in scope.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
/// # let report = kitaru::dynamic::flow("report").run(|| async {
/// for page in 1..=3 {
///     kitaru::publish("progress", &page)?;
/// }
/// # Ok::<_, kitaru::Error>(()) });
/// # report.id("job-42").on(&kitaru).await?;
/// // From outside:
/// assert_eq!(kitaru.published::<u32>(&("report", "job-42"), "progress").await?, Some(3));
/// # Ok(()) }
/// ```
pub fn publish<T: Serialize + ?Sized>(name: &str, value: &T) -> Result<(), Error> {
    let json = json("published value", name, value)?;
    match Ambient::current() {
        Ambient::Flow(context) => context.note(NoteKind::Published, name, json),
        Ambient::Body(scope) => match scope.context() {
            Some(context) => context.note_at_once(NoteKind::Published, name, json),
            None => Ok(()),
        },
        Ambient::Outside => Err(outside("publish")),
    }
}

/// Adds metadata for people. In a checkpoint's body it belongs to the record
/// ([`Record::metadata`](crate::Record::metadata)), in a flow's own code to the execution
/// ([`Execution::metadata`](crate::Execution::metadata)). The latest value of a key counts.
///
/// # Errors
///
/// As [`publish`]. A record has at most 64 KiB of metadata.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// kitaru::log("customer", "ACME").unwrap();
/// # });
/// ```
pub fn log<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<(), Error> {
    let json = json("note", key, value)?;
    match Ambient::current() {
        Ambient::Flow(context) => context.note(NoteKind::Logged, key, json),
        Ambient::Body(scope) => scope.log(key, json),
        Ambient::Outside => Err(outside("log")),
    }
}

fn json<T: Serialize + ?Sized>(what: &str, name: &str, value: &T) -> Result<String, Error> {
    check_name(what, name)?;
    let json = serde_json::to_string(&shallow(value)).map_err(|why| {
        let name = short(name);
        cannot!(
            Kind::Misuse,
            "show the {what} `{name}`",
            "it cannot be serialized: {why}",
            "serialize it as another type"
        )
    })?;
    if json.len() > MOST_BYTES {
        let size = json.len();
        let name = short(name);
        return Err(cannot!(
            Kind::TooLarge,
            "show the {what} `{name}`",
            "it has {size} bytes, the bound is {MOST_BYTES}",
            "show where the data is"
        ));
    }
    Ok(json)
}

fn outside(function: &str) -> Error {
    cannot!(
        Kind::Misuse,
        "call kitaru::{function}()",
        "no flow is in scope",
        "call it in a flow or in a checkpoint's body"
    )
}
