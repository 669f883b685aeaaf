//! What is wrong with a store, in words that say what to do. Must not know what was asked of it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Kind};
use crate::store::folder::kind_of;

/// Runs redb, which panics on some damaged files.
pub(super) fn guarded<R>(work: impl FnOnce() -> Result<R, ::redb::Error>) -> Result<R, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(worked) => worked.map_err(explain),
        Err(panic) => Err(damaged(Error::panicked("redb", panic))),
    }
}

pub(super) fn damaged(why: Error) -> Error {
    Error::new(
        Kind::Store,
        "the store's file is damaged; restore it from a backup, or move its folder away to begin with an empty one",
    )
    .because(why)
}

pub(super) fn closed() -> Error {
    Error::new(Kind::Closed, "the store was closed; open it again")
}

/// redb's error in our words.
pub(super) fn explain(error: ::redb::Error) -> Error {
    match error {
        ::redb::Error::Io(why) => failed(why),
        ::redb::Error::PreviousIo => Error::new(
            Kind::Store,
            "the store is being opened again after an error of its disk; call the flow again, it resumes",
        ),
        ::redb::Error::DatabaseAlreadyOpen => Error::new(
            Kind::Locked,
            "the store's file is held by a program that does not take the folder's lock, or whose lock file was removed; end \
             that program",
        ),
        ::redb::Error::UpgradeRequired(version) => Error::new(
            Kind::Store,
            format!(
                "the store's file has version {version} of redb's own format; this version of Kitaru cannot read it"
            ),
        ),
        ::redb::Error::ValueTooLarge(bytes) => Error::new(
            Kind::TooLarge,
            format!("a row has {bytes} bytes, more than redb takes; lower the bound of outcomes"),
        ),
        other => damaged(Error::msg(other)),
    }
}

/// An error of the disk, of either file.
pub(super) fn failed(why: io::Error) -> Error {
    match why.kind() {
        _ if kind_of(&why) == Kind::StorageFull => Error::new(
            Kind::StorageFull,
            "the disk of the store is full; make room and call the flow again, it resumes where it stopped",
        )
        .because(why),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => damaged(Error::msg(why)),
        _ => Error::new(
            Kind::Store,
            "the disk of the store has failed; nothing that was acknowledged is lost. Check the disk, and call the flow again",
        )
        .because(why),
    }
}
