//! What an assistant may ask. Owns the shape of its way to the API; must not know who carries a request out, or what protocol the
//! assistant speaks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;

/// The answer of the API: JSON, or what happened and what to do.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send>>;

/// Asks the API: a method, a path with its query, a body.
pub(crate) type Ask = Arc<dyn Fn(Method, String, Bytes) -> Answer + Send + Sync>;
