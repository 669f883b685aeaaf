//! What a record keeps of a body's result: a value, an error of the user's, an error of Kitaru's. Owns how a result is
//! packed and unpacked; must not know which way a type gets (the probe decides) or when.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::bounds::Recordable;
use crate::call::ways::{Lost, Plain, Read, Rebuilt, Serde, SerdeFallible};
use crate::error::{Error, Kind, cannot};
use crate::journal::{Class, PREVIEW_BYTES, Packed, Payload, preview_error};
use crate::shown::short;
use crate::value::{self, CodecWish, DecodeError, EncodeError, HIDDEN, Sensitivity, Undecodable, clip, preview};

/// How the results of a type are kept. Chosen by the macro for the function's result; not part of the public
/// interface.
#[doc(hidden)]
#[allow(missing_docs, private_interfaces)]
pub trait Outcome<R>: Send + Sync + 'static {
    /// Packs it to bytes, and to what the flow receives.
    fn pack(value: R, packing: &Packing) -> Landing<R>;
    /// Packs an error of Kitaru's, which the type may or may not hold.
    fn pack_error(error: Error) -> Landing<R> {
        let packed = Packed::error(&error);
        Landing { packed, value: Self::fail(error) }
    }
    fn unpack(payload: &Payload<'_>) -> Result<R, Unpack>;
    /// # Errors
    ///
    /// The error itself, if the type cannot hold it.
    fn fail(error: Error) -> Result<R, Error>;
    /// The error, if the result is one.
    fn failure(value: &R) -> Option<Error>;
}

/// How to pack.
pub(crate) struct Packing<'a> {
    /// Whose outcome it is, for error messages.
    pub(crate) whose: Whose<'a>,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) wish: CodecWish,
    pub(crate) limit: usize,
    /// Set to true, if given, when the value's digest differs between readings.
    pub(crate) unsteady: Option<&'a AtomicBool>,
}

/// Whose outcome is packed.
#[derive(Clone, Copy)]
pub(crate) enum Whose<'a> {
    /// A checkpoint's, by its visible name.
    Checkpoint(&'a dyn Fn() -> String),
    Flow(&'a str),
}

/// How often a value is read back to find out whether its digest is steady. The order of two entries is right by chance
/// half of the time.
const READINGS: usize = 16;

/// An outcome on its way to the store, and the answer of its call once it is durable.
pub(crate) struct Landing<R> {
    pub(crate) packed: Packed,
    /// The decoded value, or the error that the type cannot hold.
    pub(crate) value: Result<R, Error>,
}

/// Why a record gives no result.
#[derive(Debug)]
pub(crate) enum Unpack {
    /// It is an error that the type cannot hold. The attempt ends in it.
    CannotHold(Error),
    /// It cannot be read back.
    Unreadable(DecodeError),
}

/// A value that goes through serde, packed as `class`, and the value as it was read back.
pub(crate) fn pack_serde<T: Serialize + DeserializeOwned>(
    value: &T,
    class: Class,
    packing: &Packing,
) -> Result<(Packed, T), (Packed, Error)> {
    match value::encode(value, packing.wish, packing.limit) {
        Ok((encoded, back)) => {
            let preview = preview(value, PREVIEW_BYTES);
            let value::Encoded { codec, shape, bytes } = encoded;
            let (fingerprint, text) = shape.map_or((0, None), |shape| (shape.fingerprint, Some(shape.text)));
            if let Some(unsteady) = packing.unsteady {
                let mut again = (0..READINGS).filter_map(|_| value::decode::<T>(codec, fingerprint, &bytes).ok());
                unsteady.store(again.any(|again| !value::same(&back, &again)), Ordering::Relaxed);
            }
            Ok((Packed { class, codec, fingerprint, text, bytes, preview, settled: false }, back))
        }
        Err(error) => {
            let size = match &error {
                EncodeError::TooLarge { size, .. } => u64::try_from(*size).unwrap_or(u64::MAX),
                EncodeError::Unreadable(_) => 0,
            };
            let error = unencodable(&error, packing);
            let packed = Packed { fingerprint: size, ..Packed::error(&error) };
            Err((packed, error))
        }
    }
}

pub(crate) fn unpack_serde<T: DeserializeOwned>(payload: &Payload<'_>) -> Result<T, Unpack> {
    value::decode(payload.codec, payload.shape, payload.bytes).map_err(Unpack::Unreadable)
}

/// The caller's own error, made of one of Kitaru's.
///
/// An error that takes a backtrace takes it here. `value::digest` finds the backtrace in the error's text by this
/// function's name. So this function is never inlined, nor left before `from` returns.
#[inline(never)]
pub(crate) fn rebuilt<E: From<Error>>(error: Error) -> E {
    std::hint::black_box(E::from(error))
}

pub(crate) fn unpack_error(payload: &Payload<'_>) -> Result<Error, Unpack> {
    payload
        .kitaru_error()
        .ok_or_else(|| Unpack::Unreadable(DecodeError::Malformed("an error that is not one".to_owned())))
}

fn unencodable(error: &EncodeError, packing: &Packing) -> Error {
    let whose = packing.whose;
    match error {
        EncodeError::TooLarge { size, limit } => {
            let forgotten = whose.forgotten(", or return where the data is and call");
            cannot!(
                Kind::TooLarge,
                "record the outcome of {whose}",
                "it has {size} bytes, the bound is {limit}",
                "raise max_outcome_bytes and call the flow again{forgotten}"
            )
        }
        EncodeError::Unreadable(Undecodable { of, at, why }) => {
            let (at, why) = match packing.sensitivity {
                Sensitivity::Shown => (at.as_deref().unwrap_or_default(), &**why),
                // A path may contain keys of a map, and serde quotes what it refuses.
                Sensitivity::Hidden => ("", HIDDEN),
            };
            let at = if at.is_empty() { String::new() } else { format!(" at `{at}`") };
            let codec = match packing.wish {
                CodecWish::Json => " without codec = \"json\"",
                CodecWish::Bincode => "",
            };
            {
                let (of, forgotten) = (clip(of), whose.forgotten(" or, if the error is settled,"));
                cannot!(
                    Kind::Unreadable,
                    "record the outcome of {whose}",
                    "`{of}` is read back differently{at}: {why}",
                    "use another type or #[serde(with)]{codec} and call the flow again{forgotten}"
                )
            }
        }
    }
}

impl Whose<'_> {
    /// How to forget the error of a checkpoint.
    fn forgotten(self, before: &str) -> String {
        match self {
            Whose::Checkpoint(name) => format!("{before} Kitaru::resume(…).forget({:?})", name()),
            Whose::Flow(_) => String::new(),
        }
    }
}

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whose::Checkpoint(name) => write!(f, "checkpoint `{}`", short(&name())),
            Whose::Flow(name) => write!(f, "flow `{}`", short(name)),
        }
    }
}

#[allow(private_interfaces)]
impl<T: Recordable, E: Recordable + From<Error>, X: Read<E>> Outcome<Result<T, E>> for SerdeFallible<X> {
    fn pack(value: Result<T, E>, packing: &Packing) -> Landing<Result<T, E>> {
        pack_result::<T, E, X, Self>(value, packing)
    }

    fn unpack(payload: &Payload<'_>) -> Result<Result<T, E>, Unpack> {
        match payload.class {
            Class::Kitaru => unpack_error(payload).map(|error| Err(rebuilt(error))),
            Class::Value | Class::Error => unpack_result(payload),
        }
    }

    fn fail(error: Error) -> Result<Result<T, E>, Error> {
        Ok(Err(rebuilt(error)))
    }

    fn failure(value: &Result<T, E>) -> Option<Error> {
        value.as_ref().err().map(X::read)
    }
}

#[allow(private_interfaces)]
impl<T: Recordable, E: Recordable, X: Read<E>> Outcome<Result<T, E>> for Serde<X> {
    fn pack(value: Result<T, E>, packing: &Packing) -> Landing<Result<T, E>> {
        pack_result::<T, E, X, Self>(value, packing)
    }

    fn unpack(payload: &Payload<'_>) -> Result<Result<T, E>, Unpack> {
        match payload.class {
            Class::Kitaru => Err(cannot_hold(payload)),
            Class::Value | Class::Error => unpack_result(payload),
        }
    }

    fn fail(error: Error) -> Result<Result<T, E>, Error> {
        Err(error)
    }

    fn failure(value: &Result<T, E>) -> Option<Error> {
        value.as_ref().err().map(X::read)
    }
}

#[allow(private_interfaces)]
impl<T: Recordable, E: From<Error>, X: Read<E>> Outcome<Result<T, E>> for Rebuilt<X> {
    fn pack(value: Result<T, E>, packing: &Packing) -> Landing<Result<T, E>> {
        match value {
            Ok(value) => match pack_serde(&value, Class::Value, packing) {
                Ok((packed, back)) => Landing { packed, value: Ok(Ok(back)) },
                Err((packed, error)) => Landing { packed, value: Ok(Err(rebuilt(error))) },
            },
            Err(error) => {
                // Rebuilt on the first run too: the flow must not branch on what a replay would not show.
                let error = X::read(&error);
                Landing { packed: Packed::error(&error), value: Ok(Err(rebuilt(error))) }
            }
        }
    }

    fn unpack(payload: &Payload<'_>) -> Result<Result<T, E>, Unpack> {
        match payload.class {
            Class::Value => unpack_serde(payload).map(Ok),
            Class::Kitaru => unpack_error(payload).map(|error| Err(rebuilt(error))),
            Class::Error => Err(Unpack::Unreadable(DecodeError::Malformed(
                "an error that its own serde recorded, which the type no longer has".to_owned(),
            ))),
        }
    }

    fn fail(error: Error) -> Result<Result<T, E>, Error> {
        Ok(Err(rebuilt(error)))
    }

    fn failure(value: &Result<T, E>) -> Option<Error> {
        value.as_ref().err().map(X::read)
    }
}

#[allow(private_interfaces)]
impl<R: Recordable> Outcome<R> for Plain {
    fn pack(value: R, packing: &Packing) -> Landing<R> {
        match pack_serde(&value, Class::Value, packing) {
            Ok((packed, back)) => Landing { packed, value: Ok(back) },
            Err((packed, error)) => Landing { packed, value: Err(error) },
        }
    }

    fn unpack(payload: &Payload<'_>) -> Result<R, Unpack> {
        match payload.class {
            Class::Value => unpack_serde(payload),
            Class::Kitaru => Err(cannot_hold(payload)),
            Class::Error => Err(Unpack::Unreadable(DecodeError::Malformed(
                "an error, but the checkpoint no longer returns a Result".to_owned(),
            ))),
        }
    }

    fn fail(error: Error) -> Result<R, Error> {
        Err(error)
    }

    fn failure(_: &R) -> Option<Error> {
        None
    }
}

/// The marker of an outcome that does not compile.
#[allow(private_interfaces)]
impl<R, P: 'static> Outcome<R> for Lost<P> {
    fn pack(_: R, _: &Packing) -> Landing<R> {
        unreachable!("no program with such an outcome compiles")
    }

    fn unpack(_: &Payload<'_>) -> Result<R, Unpack> {
        unreachable!("no program with such an outcome compiles")
    }

    fn fail(error: Error) -> Result<R, Error> {
        Err(error)
    }

    fn failure(_: &R) -> Option<Error> {
        None
    }
}

fn pack_result<T: Recordable, E: Recordable, X: Read<E>, C: Outcome<Result<T, E>>>(
    value: Result<T, E>,
    packing: &Packing,
) -> Landing<Result<T, E>> {
    let packed = match value {
        Ok(value) => pack_serde(&value, Class::Value, packing).map(|(packed, back)| (packed, Ok(back))),
        Err(error) => pack_serde(&error, Class::Error, packing).map(|(mut packed, back)| {
            packed.preview = preview_error(&X::read(&error));
            (packed, Err(back))
        }),
    };
    match packed {
        Ok((packed, back)) => Landing { packed, value: Ok(back) },
        Err((packed, error)) => Landing { packed, value: C::fail(error) },
    }
}

fn unpack_result<T: Recordable, E: Recordable>(payload: &Payload<'_>) -> Result<Result<T, E>, Unpack> {
    match payload.class {
        Class::Error => unpack_serde(payload).map(Err),
        Class::Value | Class::Kitaru => unpack_serde(payload).map(Ok),
    }
}

fn cannot_hold(payload: &Payload<'_>) -> Unpack {
    unpack_error(payload).map_or_else(|unreadable| unreadable, Unpack::CannotHold)
}
