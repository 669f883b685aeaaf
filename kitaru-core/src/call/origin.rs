//! Where the outcome of a call comes from. Must not know how it is found out, nor how it is used.

/// Where the outcome of a checkpoint comes from.
///
/// A replay gives [`Replayed`](Self::Replayed) where the first run gave [`Ran`](Self::Ran). So use it only for counting
/// and display: who paid, and what was already shown. Code of a flow that makes other calls because of it does not
/// replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The body of this call ran.
    Ran,
    /// The body did not run: the outcome is from a record, from a person or from a test.
    Replayed,
}
