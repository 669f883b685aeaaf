//! A started execution, as its caller holds it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use serde::de::DeserializeOwned;

use crate::client::decode::Decode;
use crate::client::kitaru::Kitaru;
use crate::context::Executions;
use crate::engine::{Attached, Ended, Engine, ended};
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::journal::{Class, OwnedPayload};
use crate::value::decode;
use crate::view::ExecutionRef;

impl Kitaru {
    /// Attaches to an execution without its flow's input: to a running or parked execution, or to the result of one that has
    /// ended.
    ///
    /// `T` and `E` are those of the flow's `Result<T, E>`. The error keeps its message, but not its variant.
    ///
    /// # Errors
    ///
    /// When the execution does not exist or is interrupted, or the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// It only reads: the execution does not change, whether or not the future is polled to its end.
    pub async fn handle<T, E>(&self, execution: impl Into<ExecutionRef>) -> Result<Handle<Result<T, E>>, Error>
    where
        T: DeserializeOwned,
        E: From<Error>,
    {
        self.check_open()?;
        let execution = execution.into().checked()?;
        let decode = Decode {
            unpack: |execution, payload| Ok(unpack::<T, E>(execution, payload)),
            fail: |error| Err(error.into()),
        };
        Ok(match self.inner.attach(&execution).await? {
            Attached::Ended(ended) => Handle::new(&self.inner, execution, std::future::ready(ended), decode),
            Attached::Going(active) => Handle::new(&self.inner, execution, ended(active), decode),
        })
    }
}

fn unpack<T: DeserializeOwned, E: From<Error>>(execution: &ExecutionId, payload: &OwnedPayload) -> Result<T, E> {
    let borrowed = payload.borrow();
    match borrowed.class {
        Class::Value => decode(borrowed.codec, borrowed.shape, borrowed.bytes).map_err(|why| {
            cannot!(
                Kind::Unreadable,
                "read the result of execution {execution}",
                "it has another type: {why}",
                "read it as its own type"
            )
            .into()
        }),
        Class::Kitaru => Err(borrowed.kitaru_error().unwrap_or_else(|| Error::msg(&payload.preview)).into()),
        Class::Error => Err(Error::msg(&payload.preview).into()),
    }
}

/// An execution that was started or found: a future of the flow's result.
///
/// Dropping the handle detaches; the execution continues.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` is cancel safe.
#[must_use = "the execution continues without its handle, but only the handle gives its result"]
pub struct Handle<R> {
    executions: Weak<dyn Executions>,
    execution: ExecutionId,
    /// Behind an uncontended lock, so that several threads can share a handle.
    ended: Mutex<BoxedEnded>,
    decode: Decode<R>,
}

/// The end of an execution, as a future.
type BoxedEnded = Pin<Box<dyn Future<Output = Ended> + Send>>;

impl<R> Handle<R> {
    pub(crate) fn new(
        inner: &Arc<Engine>,
        execution: ExecutionId,
        ended: impl Future<Output = Ended> + Send + 'static,
        decode: Decode<R>,
    ) -> Self {
        let executions: Arc<dyn Executions> = inner.clone();
        Self::of_child(Arc::downgrade(&executions), execution, ended, decode)
    }

    /// Of an execution that a flow has started. It does not hold the store open.
    pub(crate) fn of_child(
        executions: Weak<dyn Executions>,
        execution: ExecutionId,
        ended: impl Future<Output = Ended> + Send + 'static,
        decode: Decode<R>,
    ) -> Self {
        Handle { executions, execution, ended: Mutex::new(Box::pin(ended)), decode }
    }

    /// Changes how the end is awaited.
    #[cfg(feature = "testkit")]
    pub(crate) fn waited_for<F>(mut self, wait: impl FnOnce(BoxedEnded) -> F) -> Self
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let ended = std::mem::replace(exclusive(&mut self.ended), Box::pin(std::future::pending()));
        *exclusive(&mut self.ended) = Box::pin(wait(ended));
        self
    }

    /// Cancels the execution. See [`Kitaru::cancel`].
    ///
    /// # Errors
    ///
    /// As [`Kitaru::cancel`], and when the store was closed.
    ///
    /// # Cancel safety
    ///
    /// As [`Kitaru::cancel`].
    pub fn cancel(&self) -> impl Future<Output = Result<(), Error>> + Send + use<R> {
        let (executions, execution) = (self.executions.clone(), self.execution.clone());
        async move {
            let Some(executions) = executions.upgrade() else {
                return Err(cannot!(
                    Kind::Closed,
                    "cancel execution {execution}",
                    "the store was closed",
                    "open it again"
                ));
            };
            executions.cancel(execution).await
        }
    }

    /// The execution's id: set by the caller, or the digest of the flow's input.
    pub fn id(&self) -> &str {
        &self.execution.id
    }

    /// The flow's name.
    pub fn flow(&self) -> &str {
        &self.execution.flow
    }
}

impl<R> From<&Handle<R>> for ExecutionRef {
    fn from(handle: &Handle<R>) -> Self {
        ExecutionRef::of(&handle.execution)
    }
}

impl<R> Unpin for Handle<R> {}

/// The content of a lock, for its only holder.
fn exclusive<T>(lock: &mut Mutex<T>) -> &mut T {
    lock.get_mut().unwrap_or_else(PoisonError::into_inner)
}

impl<R> Future for Handle<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        exclusive(&mut self.ended).as_mut().poll(cx).map(|ended| match ended {
            Ended::Outcome(payload) => self.decode.outcome(&self.execution, Ok(payload)),
            Ended::Fault(error) => self.decode.outcome(&self.execution, Err(error)),
            Ended::Parked { .. } | Ended::ContinuedAsNew { .. } => {
                unreachable!("callers do not learn that an execution is parked or has continued as new")
            }
        })
    }
}

impl<R> fmt::Debug for Handle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("execution", &self.execution).finish_non_exhaustive()
    }
}
