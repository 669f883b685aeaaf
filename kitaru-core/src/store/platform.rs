//! What a store's folder asks of the operating system. Owns the calls that differ from one to another: by handle and without
//! following links where there is Unix, by path elsewhere.

#[cfg(not(unix))]
mod elsewhere;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(super) use elsewhere::*;
#[cfg(unix)]
pub(super) use unix::*;

/// What a name in a folder stands for, links not followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameKind {
    pub(super) is_link: bool,
    pub(super) is_file: bool,
}

/// Whether a file has to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FilePresence {
    Required,
    /// Required, and opened to be read.
    ReadOnly,
    /// Made if it is missing, for this user only.
    Optional,
    /// Made, for this user only; one that is there is in the way.
    New,
}
