//! What is wrong with a store, in words that say what to do. Must not know what was asked of it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Kind, cannot};
use crate::store::folder::kind_of;

/// Runs redb, which panics on some damaged files.
pub(super) fn guarded<R>(work: impl FnOnce() -> Result<R, ::redb::Error>) -> Result<R, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(worked) => worked.map_err(explain),
        Err(panic) => Err(damaged(Error::panicked("a call of redb", panic))),
    }
}

pub(super) fn damaged(why: Error) -> Error {
    cannot!(
        Kind::Store,
        "use the store",
        "its file is damaged",
        "restore it from a backup, or move its folder away to begin with an empty one"
    )
    .because(why)
}

pub(super) fn closed() -> Error {
    cannot!(Kind::Closed, "use the store", "it was closed", "open it again")
}

/// redb's error in our words.
pub(super) fn explain(error: ::redb::Error) -> Error {
    match error {
        ::redb::Error::Io(why) => failed(why),
        ::redb::Error::PreviousIo => cannot!(
            Kind::Store,
            "use the store",
            "it is being opened again after an error of its disk",
            "call the flow again, it resumes"
        ),
        ::redb::Error::DatabaseAlreadyOpen => cannot!(
            Kind::Locked,
            "open the store",
            "a program without its lock, or whose lock file was removed, holds its file",
            "end that program"
        ),
        ::redb::Error::UpgradeRequired(version) => cannot!(
            Kind::Store,
            "open the store",
            "its file has version {version} of redb's own format",
            "update Kitaru"
        ),
        ::redb::Error::ValueTooLarge(bytes) => cannot!(
            Kind::TooLarge,
            "write a row",
            "it has {bytes} bytes, more than redb takes",
            "lower the bound of outcomes"
        ),
        other => damaged(Error::msg(other)),
    }
}

/// An error of the disk, of either file.
pub(super) fn failed(why: io::Error) -> Error {
    match why.kind() {
        _ if kind_of(&why) == Kind::StorageFull => cannot!(
            Kind::StorageFull,
            "use the store",
            "its disk is full",
            "make room and call the flow again, it resumes where it stopped"
        )
        .because(why),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => damaged(Error::msg(why)),
        _ => cannot!(
            Kind::Store,
            "use the store",
            "its disk has failed",
            "check the disk and call the flow again, nothing acknowledged is lost"
        )
        .because(why),
    }
}
