//! How a map treats failures. Must not know where the outcomes come from.

use std::fmt::Display;
use std::ops::ControlFlow;

use crate::error::Error;

/// How a map turns the outcomes of its items into its own. See [`map()`](super::map()) for the three policies. Sealed.
pub trait Policy<R>: sealed::Sealed {
    /// What it keeps of each outcome.
    #[doc(hidden)]
    type Kept;
    /// What it gives.
    type Output;

    /// Called before the first item, with the number of items.
    #[doc(hidden)]
    fn begin(&mut self, items: usize) -> ControlFlow<Self::Output>;

    /// An item ended: keeps what is needed of its outcome, or ends the map.
    #[doc(hidden)]
    fn take(&mut self, outcome: R) -> ControlFlow<Self::Output, Self::Kept>;

    /// All items ended. The kept values are in the order of the items.
    #[doc(hidden)]
    fn finish(self, kept: Vec<Self::Kept>) -> Self::Output;
}

/// A `Result`, which all policies but [`All`] require. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result`",
    label = "this map ends when items fail",
    note = "with `.all()` a map takes outcomes of any type, and never fails by itself"
)]
pub trait Fallible: sealed::Sealed {
    /// The type in `Ok`.
    type Value;
    /// The type in `Err`.
    type Error;

    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Value, Self::Error>;
}

mod sealed {
    pub trait Sealed {}
}

impl<T, E> sealed::Sealed for Result<T, E> {}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;
    type Error = E;

    fn into_result(self) -> Result<T, E> {
        self
    }
}

/// The first error ends the map, and is its error. The default.
#[derive(Clone, Copy, Debug)]
pub struct FirstError;

impl sealed::Sealed for FirstError {}

impl<R: Fallible> Policy<R> for FirstError {
    type Kept = R::Value;
    type Output = Result<Vec<R::Value>, R::Error>;

    fn begin(&mut self, _: usize) -> ControlFlow<Self::Output> {
        ControlFlow::Continue(())
    }

    fn take(&mut self, outcome: R) -> ControlFlow<Self::Output, R::Value> {
        match outcome.into_result() {
            Ok(value) => ControlFlow::Continue(value),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }

    fn finish(self, values: Vec<R::Value>) -> Self::Output {
        Ok(values)
    }
}

/// Failures are outcomes like others. See [`Map::all`](super::Map::all).
#[derive(Clone, Copy, Debug)]
pub struct All;

impl sealed::Sealed for All {}

impl<R> Policy<R> for All {
    type Kept = R;
    type Output = Vec<R>;

    fn begin(&mut self, _: usize) -> ControlFlow<Vec<R>> {
        ControlFlow::Continue(())
    }

    fn take(&mut self, outcome: R) -> ControlFlow<Vec<R>, R> {
        ControlFlow::Continue(outcome)
    }

    fn finish(self, outcomes: Vec<R>) -> Vec<R> {
        outcomes
    }
}

/// A number of items must succeed. See [`Map::at_least`](super::Map::at_least).
#[derive(Clone, Copy, Debug)]
pub struct AtLeast {
    least: usize,
    items: usize,
    failed: usize,
}

impl AtLeast {
    pub(super) fn new(least: usize) -> Self {
        AtLeast { least, items: 0, failed: 0 }
    }
}

impl sealed::Sealed for AtLeast {}

impl<R: Fallible<Error: Display>> Policy<R> for AtLeast {
    type Kept = Result<R::Value, R::Error>;
    type Output = Result<Vec<Result<R::Value, R::Error>>, Error>;

    fn begin(&mut self, items: usize) -> ControlFlow<Self::Output> {
        self.items = items;
        if items < self.least {
            let message = format!("cannot have {} items succeed: there are only {items}; ask for fewer", self.least);
            return ControlFlow::Break(Err(Error::msg(message)));
        }
        ControlFlow::Continue(())
    }

    fn take(&mut self, outcome: R) -> ControlFlow<Self::Output, Self::Kept> {
        let outcome = outcome.into_result();
        let Err(error) = &outcome else { return ControlFlow::Continue(outcome) };
        self.failed += 1;
        let AtLeast { least, items, failed } = *self;
        if items - failed >= least {
            return ControlFlow::Continue(outcome);
        }
        let message = format!("cannot have {least} of {items} items succeed: {failed} failed");
        // The alternate form contains the whole chain of causes.
        ControlFlow::Break(Err(Error::msg(format_args!("{error:#}")).context(message)))
    }

    fn finish(self, outcomes: Vec<Self::Kept>) -> Self::Output {
        Ok(outcomes)
    }
}
