//! What a type can do, found out where the macros use it. Owns the order of preference among the ways to keep an
//! outcome, a second set of arguments and an input; must not know how these ways work.
//!
//! A macro sees tokens, not types. So it writes `(&&&Probe::<T>::new()).kitaru_duplicate()`, and the compiler picks the
//! method. Each way is a tier: a trait whose method has the same name in every tier, implemented for [`Probe`] behind
//! one more `&` than the tier below it. Method lookup tries the type as it is written before it strips a reference. So
//! it meets the best tier first, and takes the first whose bounds hold. The answer is a marker: a type without data
//! that implements what its tier promises.
//!
//! Before changing a tier:
//!
//! - The expansion writes as many `&` as there are tiers; `kitaru-macros` contains the number too.
//! - The choice is made where the function is defined. A generic function is judged by its written bounds, not by its
//!   later types: `-> T` is [`Plain`] even if `T` turns out to be a `Result`.
//!
//! If no way works, the lowest tier answers with [`Lost`]. It has all the methods of a marker, so that using it is not
//! an error. But it does not pass the check, [`recorded`] or [`fallible`], which the expansion makes once, at the
//! user's type. So one mistake is one error, in the words of `bounds`, however often the expansion uses the marker.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;

use schemars::{JsonSchema, schema_for};

use crate::call::bounds::{HoldsError, Recordable, RecordableError, ReturnsResult};
pub use crate::call::ways::{
    ArgumentsBySerde, ByAsRef, ByClone, ByDebug, ByDisplay, ByJson, ByName, BySerde, ByStdError, Duplicate, Lost,
    Never, OfArguments, OfError, OfOutcome, OfValue, OnThePool, Plain, Rebuilt, Serde, SerdeFallible,
};
use crate::error::Error;

/// A question about the type `T`.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<fn() -> T>);

#[expect(clippy::new_without_default, reason = "only macros make probes")]
impl<T> Probe<T> {
    /// Asks about a type by its name.
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    /// Asks about the type of a value.
    pub const fn of(_: &T) -> Self {
        Self(PhantomData)
    }
}

/// The traits of all tiers, nameless, so that importing them takes no name from the user's code.
pub mod traits {
    pub use super::{Duplicate as _, DuplicateByClone as _, DuplicateBySerde as _, DuplicateNever as _};
    pub use super::{InputBySerde as _, InputLost as _, PoolBySend as _, PoolLost as _};
    pub use super::{
        OutcomeByAsRef as _, OutcomeByDebug as _, OutcomeByDisplay as _, OutcomeByName as _, OutcomeBySerde as _,
        OutcomeBySerdeDisplay as _, OutcomeBySerdeFallible as _, OutcomeBySerdeFallibleDisplay as _,
        OutcomeBySerdeFallibleStdError as _, OutcomeBySerdeStdError as _, OutcomeByStdError as _,
        OutcomeErrorLost as _, OutcomeLost as _, OutcomePlain as _, OutcomeValueLost as _,
    };
    pub use super::{SchemaOfPlain as _, SchemaOfValue as _, SchemaUnknown as _};
}

// ---- Outcomes: a value or an error to bytes and back ----

/// The best tier: [`SerdeFallible`], with an error that has sources.
pub trait OutcomeBySerdeFallibleStdError {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> SerdeFallible<ByStdError> {
        SerdeFallible::new()
    }
}

impl<T: Recordable, E: Recordable + From<Error> + StdError + 'static> OutcomeBySerdeFallibleStdError
    for &&&&&&&&&&&&&&Probe<Result<T, E>>
{
}

/// The tier of [`SerdeFallible`] with an error that has a text.
pub trait OutcomeBySerdeFallibleDisplay {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> SerdeFallible<ByDisplay> {
        SerdeFallible::new()
    }
}

impl<T: Recordable, E: Recordable + From<Error> + Display> OutcomeBySerdeFallibleDisplay
    for &&&&&&&&&&&&&Probe<Result<T, E>>
{
}

/// The tier of [`SerdeFallible`] with any other error.
pub trait OutcomeBySerdeFallible {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> SerdeFallible<ByJson> {
        SerdeFallible::new()
    }
}

impl<T: Recordable, E: Recordable + From<Error>> OutcomeBySerdeFallible for &&&&&&&&&&&&Probe<Result<T, E>> {}

/// The tier of [`Serde`] with an error that has sources.
pub trait OutcomeBySerdeStdError {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Serde<ByStdError> {
        Serde::new()
    }
}

impl<T: Recordable, E: Recordable + StdError + 'static> OutcomeBySerdeStdError for &&&&&&&&&&&Probe<Result<T, E>> {}

/// The tier of [`Serde`] with an error that has a text.
pub trait OutcomeBySerdeDisplay {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Serde<ByDisplay> {
        Serde::new()
    }
}

impl<T: Recordable, E: Recordable + Display> OutcomeBySerdeDisplay for &&&&&&&&&&Probe<Result<T, E>> {}

/// The tier of [`Serde`] with any other error.
pub trait OutcomeBySerde {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Serde<ByJson> {
        Serde::new()
    }
}

impl<T: Recordable, E: Recordable> OutcomeBySerde for &&&&&&&&&Probe<Result<T, E>> {}

/// The tier of errors that have sources.
pub trait OutcomeByStdError {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Rebuilt<ByStdError> {
        Rebuilt::new()
    }
}

impl<T, E> OutcomeByStdError for &&&&&&&&Probe<Result<T, E>>
where
    T: Recordable,
    E: From<Error> + StdError + 'static,
{
}

/// The tier of boxes of errors, such as `anyhow::Error` and `Box<dyn Error + Send + Sync>`.
pub trait OutcomeByAsRef {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Rebuilt<ByAsRef> {
        Rebuilt::new()
    }
}

impl<T, E> OutcomeByAsRef for &&&&&&&Probe<Result<T, E>>
where
    T: Recordable,
    E: From<Error> + AsRef<dyn StdError + Send + Sync>,
{
}

/// The tier of errors that have a text.
pub trait OutcomeByDisplay {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Rebuilt<ByDisplay> {
        Rebuilt::new()
    }
}

impl<T: Recordable, E: From<Error> + Display> OutcomeByDisplay for &&&&&&Probe<Result<T, E>> {}

/// The tier of errors that have a text for programmers only.
pub trait OutcomeByDebug {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Rebuilt<ByDebug> {
        Rebuilt::new()
    }
}

impl<T: Recordable, E: From<Error> + Debug> OutcomeByDebug for &&&&&Probe<Result<T, E>> {}

/// The tier of errors that have no text at all.
pub trait OutcomeByName {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Rebuilt<ByName> {
        Rebuilt::new()
    }
}

impl<T: Recordable, E: From<Error>> OutcomeByName for &&&&Probe<Result<T, E>> {}

/// The tier of [`Plain`]: a type that is not a `Result`, because a tier above matches every `Result`.
pub trait OutcomePlain {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Plain {
        Plain
    }
}

impl<R: Recordable> OutcomePlain for &&&Probe<R> {}

/// The tier of a `Result` whose error alone is at fault.
pub trait OutcomeErrorLost {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Lost<OfError> {
        Lost::new()
    }
}

impl<T: Recordable, E> OutcomeErrorLost for &&Probe<Result<T, E>> {}

/// The tier of a `Result` whose value is at fault.
pub trait OutcomeValueLost {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Lost<OfValue> {
        Lost::new()
    }
}

impl<T, E> OutcomeValueLost for &Probe<Result<T, E>> {}

/// The lowest tier: an outcome that is at fault as a whole.
pub trait OutcomeLost {
    /// The marker of this tier.
    fn kitaru_outcome(&self) -> Lost<OfOutcome> {
        Lost::new()
    }
}

impl<R> OutcomeLost for Probe<R> {}

// ---- The outcome of a body, as a person gives it ----

/// The best tier: the value in a `Result` has a JSON schema.
pub trait SchemaOfValue {
    /// That schema.
    fn kitaru_schema(&self) -> Option<serde_json::Value>;
}

impl<T: JsonSchema, E> SchemaOfValue for &&Probe<Result<T, E>> {
    fn kitaru_schema(&self) -> Option<serde_json::Value> {
        Some(schema_for!(T).to_value())
    }
}

/// The tier of a type that is not a `Result` and has a JSON schema.
pub trait SchemaOfPlain {
    /// That schema.
    fn kitaru_schema(&self) -> Option<serde_json::Value>;
}

impl<R: JsonSchema> SchemaOfPlain for &Probe<R> {
    fn kitaru_schema(&self) -> Option<serde_json::Value> {
        Some(schema_for!(R).to_value())
    }
}

/// The lowest tier: the schema is unknown.
pub trait SchemaUnknown {
    /// Nothing.
    fn kitaru_schema(&self) -> Option<serde_json::Value> {
        None
    }
}

impl<R> SchemaUnknown for Probe<R> {}

// ---- The checks: each is made once, at the return type ----

/// The marker of an outcome that can be recorded.
pub trait Recorded<R> {}

impl<R, X> Recorded<R> for SerdeFallible<X> {}
impl<R, X> Recorded<R> for Serde<X> {}
impl<R, X> Recorded<R> for Rebuilt<X> {}
impl<R> Recorded<R> for Plain {}
impl<R: Recordable> Recorded<R> for Lost<OfOutcome> {}
impl<T: Recordable, E> Recorded<Result<T, E>> for Lost<OfValue> {}
impl<T, E: RecordableError> Recorded<Result<T, E>> for Lost<OfError> {}

/// Checks that the outcome of a checkpoint can be recorded.
pub const fn recorded<R, O: Recorded<R>>(_: &O, _: Probe<R>) {}

/// The marker of an outcome that can be recorded and can hold a `kitaru::Error`.
pub trait Fallible<R> {}

impl<R, X> Fallible<R> for SerdeFallible<X> {}
impl<T, E: HoldsError, X> Fallible<Result<T, E>> for Serde<X> {}
impl<R, X> Fallible<R> for Rebuilt<X> {}
impl<R: ReturnsResult> Fallible<R> for Plain {}
impl<R: ReturnsResult> Fallible<R> for Lost<OfOutcome> {}
impl<T: Recordable, E> Fallible<Result<T, E>> for Lost<OfValue> {}
impl<T, E: HoldsError> Fallible<Result<T, E>> for Lost<OfError> {}

/// Checks that an outcome can be recorded and can hold an error that the body did not return. Flows need it, and
/// checkpoints with an option that can end them in such an error.
pub const fn fallible<R, O: Fallible<R>>(_: &O, _: Probe<R>) {}

// ---- A second set of arguments, for another try ----

/// The best tier: [`ByClone`].
pub trait DuplicateByClone {
    /// The marker of this tier.
    fn kitaru_duplicate(&self) -> ByClone {
        ByClone
    }
}

impl<T: Clone> DuplicateByClone for &&Probe<T> {}

/// The tier of [`BySerde`].
pub trait DuplicateBySerde {
    /// The marker of this tier.
    fn kitaru_duplicate(&self) -> BySerde {
        BySerde
    }
}

impl<T: Recordable> DuplicateBySerde for &Probe<T> {}

/// The lowest tier, of [`Never`].
pub trait DuplicateNever {
    /// The marker of this tier.
    fn kitaru_duplicate(&self) -> Never {
        Never
    }
}

impl<T> DuplicateNever for Probe<T> {}

// ---- The input of a flow ----

/// The best tier: [`ArgumentsBySerde`].
pub trait InputBySerde {
    /// The marker of this tier.
    fn kitaru_input(&self) -> ArgumentsBySerde {
        ArgumentsBySerde
    }
}

impl<A: Recordable> InputBySerde for &Probe<A> {}

/// The lowest tier: `FlowArgument` says which of the arguments is at fault.
pub trait InputLost {
    /// The marker of this tier.
    fn kitaru_input(&self) -> Lost<OfArguments> {
        Lost::new()
    }
}

impl<A> InputLost for Probe<A> {}

// ---- The body of a `blocking` checkpoint ----

/// The best tier: [`OnThePool`].
pub trait PoolBySend {
    /// The marker of this tier.
    fn kitaru_pool(&self) -> OnThePool {
        OnThePool
    }
}

impl<A: Send, R: Send> PoolBySend for &Probe<(A, Probe<R>)> {}

/// The lowest tier: `Sendable` says what is at fault.
pub trait PoolLost {
    /// The marker of this tier.
    fn kitaru_pool(&self) -> Lost<OfArguments> {
        Lost::new()
    }
}

impl<B> PoolLost for Probe<B> {}

impl<A> Probe<A> {
    /// Asks about the type of a value together with that of another probe.
    pub const fn with<R>(_: &A, _: Probe<R>) -> Probe<(A, Probe<R>)> {
        Probe::new()
    }
}
