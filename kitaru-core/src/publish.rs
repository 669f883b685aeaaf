//! What flows and bodies show while they run: values for whoever watches, and notes beside a record or an execution. Owns
//! where each goes and its bounds; must not know who looks.

use serde::Serialize;

use crate::context::Ambient;
use crate::error::{Error, Kind};
use crate::id::check_name;
use crate::journal::NoteKind;
use crate::value::shallow;

/// The bound of one value.
const MOST_BYTES: usize = 1 << 20;

/// Shows a value under a name, to be read and watched from outside with [`Kitaru::published`](crate::Kitaru::published) and
/// [`Kitaru::watch`](crate::Kitaru::watch). The latest counts; it stays when the execution has ended.
///
/// In a flow's own code it is shown once: a replay does not go back to what was shown before something later. In a
/// checkpoint's body it is shown at once, on every try. Where checkpoints are plain functions, in
/// `testkit::plain`, nothing is shown.
///
/// # Errors
///
/// When the value cannot be serialized or has more than 1 MiB; when the name is none; when more than 1,000 names are used;
/// where no flow is in scope.
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

/// Notes something for people: in a checkpoint's body beside its record, where
/// [`Record::metadata`](crate::Record::metadata) shows it, in a flow's own code beside the execution
/// ([`Execution::metadata`](crate::Execution::metadata)). Of one key the latest counts.
///
/// # Errors
///
/// As [`publish`]. A record takes 64 KiB in all.
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
    let json = serde_json::to_string(&shallow(value))
        .map_err(|why| Error::new(Kind::Misuse, format!("the {what} `{name}` cannot be serialized: {why}")))?;
    if json.len() > MOST_BYTES {
        let size = json.len();
        let message =
            format!("the {what} `{name}` has {size} bytes, the bound is {MOST_BYTES}; show where the data is");
        return Err(Error::new(Kind::TooLarge, message));
    }
    Ok(json)
}

fn outside(function: &str) -> Error {
    Error::new(
        Kind::Misuse,
        format!(
            "kitaru::{function}() was called where no flow is in scope; call it in a flow or in a checkpoint's body"
        ),
    )
}
