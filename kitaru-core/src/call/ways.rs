//! The ways to keep an outcome, to read an error, to duplicate an argument, to send an input: markers, which carry no
//! data. Owns the effect of each way for a type; must not know which way a type gets (the probe decides).

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;

use crate::call::bounds::{Recordable, Retryable};
use crate::error::Error;
use crate::journal::PREVIEW_BYTES;
use crate::value::{CodecWish, encode, preview};

/// Value and error go through serde; a `kitaru::Error` fits into the error. `Read` says what the error reads as.
#[derive(Debug)]
pub struct SerdeFallible<Read>(PhantomData<fn() -> Read>);

/// Value and error go through serde; the error cannot hold a `kitaru::Error`. `Read` says what the error reads as.
#[derive(Debug)]
pub struct Serde<Read>(PhantomData<fn() -> Read>);

/// The value goes through serde. The error becomes a `kitaru::Error`, which `Read` makes of it, and is rebuilt from
/// that with `From`.
#[derive(Debug)]
pub struct Rebuilt<Read>(PhantomData<fn() -> Read>);

/// The outcome goes through serde as it is. Any error in it is unknown to the journal.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// There is no way. A program in which a probe answers this does not compile, so it never runs.
#[derive(Debug)]
pub struct Lost<Part>(PhantomData<fn() -> Part>);

/// Of [`Lost`]: the outcome, which is not a `Result`.
#[derive(Debug)]
pub enum OfOutcome {}

/// Of [`Lost`]: the value in a `Result`.
#[derive(Debug)]
pub enum OfValue {}

/// Of [`Lost`]: the error in a `Result`.
#[derive(Debug)]
pub enum OfError {}

/// Of [`Lost`]: the arguments.
#[derive(Debug)]
pub enum OfArguments {}

impl<Part> Lost<Part> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<Part> Clone for Lost<Part> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Part> Copy for Lost<Part> {}

macro_rules! markers {
    ($($marker:ident)*) => { $(
        impl<Read> $marker<Read> {
            pub(crate) const fn new() -> Self {
                Self(PhantomData)
            }
        }

        impl<Read> Clone for $marker<Read> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<Read> Copy for $marker<Read> {}
    )* };
}

markers! { SerdeFallible Serde Rebuilt }

// ---- What an error says ----

/// How an error is read, for people and for the record of an error that does not go through serde.
pub trait Read<E>: 'static {
    /// The text of the error, in the form that is recorded.
    fn read(error: &E) -> Error;
}

/// Reads the messages of an error and its sources.
#[derive(Debug)]
pub struct ByStdError;

/// Reads the messages of the error in a box, and of its sources.
#[derive(Debug)]
pub struct ByAsRef;

/// Reads the text of an error.
#[derive(Debug)]
pub struct ByDisplay;

/// Reads the `Debug` text of an error.
#[derive(Debug)]
pub struct ByDebug;

/// Reads what serde shows of an error.
#[derive(Debug)]
pub struct ByJson;

/// Knows only the type of an error.
#[derive(Debug)]
pub struct ByName;

impl<E: StdError + 'static> Read<E> for ByStdError {
    fn read(error: &E) -> Error {
        Error::from_std(error)
    }
}

impl<E: AsRef<dyn StdError + Send + Sync>> Read<E> for ByAsRef {
    fn read(error: &E) -> Error {
        Error::from_std(AsRef::<dyn StdError + Send + Sync>::as_ref(error))
    }
}

impl<E: Display> Read<E> for ByDisplay {
    fn read(error: &E) -> Error {
        Error::msg(error)
    }
}

impl<E: Debug> Read<E> for ByDebug {
    fn read(error: &E) -> Error {
        Error::msg(format_args!("{error:?}"))
    }
}

impl<E: Recordable> Read<E> for ByJson {
    fn read(error: &E) -> Error {
        Error::msg(preview(error, PREVIEW_BYTES))
    }
}

impl<E> Read<E> for ByName {
    fn read(_: &E) -> Error {
        Error::msg(std::any::type_name::<E>())
    }
}

// ---- A second set of arguments, for another try ----

/// A way to duplicate an argument.
pub trait Duplicate<T> {
    /// A copy of `value`; `None` if there is none.
    fn of(&self, value: &T) -> Option<T>;
}

/// By `Clone`.
#[derive(Clone, Copy, Debug)]
pub struct ByClone;

/// By writing it with serde and reading it back.
#[derive(Clone, Copy, Debug)]
pub struct BySerde;

/// Not at all.
#[derive(Clone, Copy, Debug)]
pub struct Never;

impl<T: Clone> Duplicate<T> for ByClone {
    fn of(&self, value: &T) -> Option<T> {
        Some(value.clone())
    }
}

impl<T: Recordable> Duplicate<T> for BySerde {
    fn of(&self, value: &T) -> Option<T> {
        encode(value, CodecWish::Bincode, usize::MAX).ok().map(|(_, copy)| copy)
    }
}

impl<T> Duplicate<T> for Never {
    fn of(&self, _: &T) -> Option<T> {
        None
    }
}

impl<T> Retryable<T> for ByClone {}
impl<T> Retryable<T> for BySerde {}

// ---- The input of a flow, and the body of a `blocking` checkpoint ----

/// The arguments of a flow go through serde.
#[derive(Clone, Copy, Debug)]
pub struct ArgumentsBySerde;

/// The arguments and the outcome can be sent to the blocking pool and back.
#[derive(Clone, Copy, Debug)]
pub struct OnThePool;
