//! Where the outcome of a call comes from. Owns the answer. Must not know how it is found out, nor what is done with it.

/// Where the outcome of a checkpoint comes from.
///
/// A replay gives [`Replayed`](Self::Replayed) where the first run gave [`Ran`](Self::Ran). So it is meant for what is
/// counted and shown: who paid, and who has been shown what. Code of a flow that makes other calls for it
/// does not replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The body of this call ran.
    Ran,
    /// The body did not run: a record answers the call, or what a person or a test says of it.
    Replayed,
}
