//! What flows and checkpoints require of the types in their signatures, and how the compiler says it. Owns the words;
//! must not know how a type that satisfies them is used.
//!
//! Each trait is implemented for exactly the types that qualify. `do_not_recommend` on that implementation makes the
//! compiler report the trait, with the words below, and not the bounds of the implementation.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// A value that can be written to the journal and read back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded as an outcome",
    label = "cannot be written to the journal and read back",
    note = "derive `serde::Serialize` and `serde::Deserialize` for `{Self}`, or return something that has them",
    note = "an outcome is read back without what it was borrowed from: return it owned"
)]
pub trait Recordable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Recordable for T {}

/// An error that can be written to the journal and rebuilt.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded as the error of a checkpoint",
    label = "its error cannot be written to the journal and rebuilt",
    note = "derive `serde::Serialize` and `serde::Deserialize` for `{Self}` to keep it as it is",
    note = "or implement `From<kitaru::Error>` for it to keep its message, or use an error that has that, such as \
            `kitaru::Error`, `anyhow::Error` or `Box<dyn std::error::Error + Send + Sync>`"
)]
pub trait RecordableError {}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> RecordableError for E {}

/// An error that can hold a `kitaru::Error`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold a `kitaru::Error`",
    label = "its error has no `From<kitaru::Error>`",
    note = "a flow, or a checkpoint with `timeout` or `at_most_once`, can end in an error that its code did not return",
    note = "use an error that has it: `kitaru::Error`, which `kitaru::Error::msg(…)` makes of a text, or `anyhow::Error`",
    note = "or, for an error type of your own, implement `From<kitaru::Error>` (with thiserror: a variant with \
            `#[from] kitaru::Error`)"
)]
pub trait HoldsError {}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> HoldsError for E {}

/// A `Result`. This trait reports types that are not a `Result`, and has no implementation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result`",
    label = "return `Result<{Self}, kitaru::Error>` or `anyhow::Result<{Self}>`",
    note = "a flow, or a checkpoint with `timeout` or `at_most_once`, can end in an error that its code did not return"
)]
pub trait ReturnsResult {}

/// What a flow returns. It is sent from the flow's own task to the caller.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot leave its flow",
    label = "is not `Send`",
    note = "a flow runs in a task of its own, which sends its result to the caller",
    note = "for a `Box<dyn std::error::Error>` return `kitaru::Error`, `anyhow::Error` or \
            `Box<dyn std::error::Error + Send + Sync>`"
)]
pub trait LeavesFlow: Send + 'static {}

#[diagnostic::do_not_recommend]
impl<R: Send + 'static> LeavesFlow for R {}

/// Checks that a result can be sent from a flow to its caller.
pub const fn leaves_flow<R: LeavesFlow>() {}

/// A type of answers: serde reads it, and a JSON schema describes it.
///
/// Every type that has serde's `DeserializeOwned` and `schemars::JsonSchema` is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer to a `kitaru::wait`",
    label = "has no `serde::Deserialize` and `schemars::JsonSchema`",
    note = "an answer comes from outside as JSON, and its schema is shown to the person or program that answers",
    note = "write `#[derive(serde::Deserialize, schemars::JsonSchema)]` on `{Self}`; the second needs `schemars = \"1\"` in \
            `Cargo.toml`"
)]
pub trait Answer: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> Answer for T {}

/// An argument that can be part of the key of a record.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a checkpoint's key",
    label = "has no `serde::Serialize`",
    note = "a record answers only a call with the same arguments, which serde shows to the digest",
    note = "derive `serde::Serialize` for `{Self}`, or leave the argument out with `#[checkpoint(skip(…))]`"
)]
pub trait Argument: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Argument for T {}

/// An argument that can be recorded with an execution.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a flow",
    label = "cannot be recorded with the execution and read back",
    note = "a flow resumes in another process with the recorded arguments",
    note = "derive `serde::Serialize` and `serde::Deserialize` for `{Self}`, or pass what it is made from"
)]
pub trait FlowArgument: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> FlowArgument for T {}

/// An argument or an outcome of a `blocking` checkpoint.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to the blocking pool",
    label = "is not `Send`",
    note = "a `blocking` checkpoint runs on another thread: its arguments are sent there, and its outcome back"
)]
pub trait Sendable: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> Sendable for T {}

/// Checks that an argument can be sent to the blocking pool.
pub const fn sendable_argument<T: Sendable>(_: &T) {}

/// Checks that an outcome can be sent back from the blocking pool.
pub const fn sendable_outcome<R: Sendable>() {}

/// A way to duplicate a `T`: see [`probe`](super::probe).
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be handed to a second try",
    label = "has no `Clone`, and does not go through serde",
    note = "`retries` runs the body again with the same arguments: derive `Clone` for `{T}`, or take a reference"
)]
pub trait Retryable<T> {}

/// Checks that `duplicate` can duplicate `value`.
pub const fn retryable<T, D: Retryable<T>>(_value: &T, duplicate: D) -> D {
    duplicate
}
