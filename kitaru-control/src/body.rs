//! The bodies of requests and answers. Must not know what is in them.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

/// The longest body of a request that is read, in bytes: 4 MiB.
pub(crate) const MOST_BODY: usize = 4 << 20;

/// The body of an answer: most are whole, and one that says when an execution moves has no end.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why the body of an answer broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body that is whole.
pub(crate) fn full(body: impl Into<Bytes>) -> Body {
    Full::from(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The body of an answer of another process, as it comes.
pub(crate) fn passed_on(body: Incoming) -> Body {
    body.map_err(BodyError::from).boxed_unsync()
}
