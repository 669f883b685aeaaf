//! Histories that are forked. Owns how one is laid into a test's store; must not know what a fork takes over.

use crate::client::ForkRequest;
use crate::error::{Error, Kind, cannot};
use crate::shown::short;
use crate::testkit::kit::Testkit;
use crate::view::{ExecutionRef, History};

/// Lays a history into the store of a kit, and makes a request to fork it there: so a change of the code, or another value, can be
/// tried on an execution of yesterday. Start it with [`Testkit::fork`].
///
/// The execution of the history never runs itself; its fork does. Records of the history answer, as in any
/// [fork](crate::Kitaru::fork). What was sent to the execution is not in its history: a fork by key has the answers and signals that
/// its records took, and for other waits the test answers.
///
/// # Errors
///
/// When the history lacks the value of a `sensitive` checkpoint, which was left out: set one with [`History::with_value`]. When the store
/// of the kit has an execution of this flow and id. When the history cannot be read.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # async fn doc(kit: kitaru::testkit::Testkit, history: kitaru::History) -> Result<(), kitaru::Error> {
/// use kitaru::testkit;
///
/// let fork = testkit::fork(&kit, &history).await?.from("draft").id("tried");
/// let tried = kit.fork(fork).await?;
/// println!("{}", kit.journal());
/// # Ok(()) }
/// ```
pub async fn fork(kit: &Testkit, history: &History) -> Result<ForkRequest, Error> {
    if let Some(record) = history.left_out() {
        let record = short(record);
        return Err(cannot!(
            Kind::Misuse,
            "fork the history",
            "the value of `{record}` is sensitive and was left out",
            "set it with History::with_value(…)"
        ));
    }
    let header = history.header()?;
    let original = ExecutionRef::of(&header.execution);
    if kit.kitaru().execution(&original).await?.is_some() {
        let execution = header.execution;
        return Err(cannot!(
            Kind::Conflict,
            "lay the history of {execution} into the store of the test",
            "it has an execution of this flow and id",
            "use another kit"
        ));
    }
    let ledger = &kit.kitaru().inner.runtime.ledger;
    ledger.lay(header, history.frames().map(<[u8]>::to_vec).collect(), history.fork()?).await?;
    Ok(kit.kitaru().fork(original))
}
