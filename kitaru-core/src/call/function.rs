//! The user's function as a body: its arguments, how to copy them, how to run it; and its calls, as the macro makes
//! them. Must not know when it runs.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use crate::call::body::{Body, MoreTries, sealed};
use crate::call::made::Call;
use crate::call::meta::{CheckpointMeta, Spec};
use crate::call::outcome::{Landing, Outcome, Packing, Unpack};
use crate::call::ways::{Lost, OfArguments, OnThePool};
use crate::context::Ambient;
use crate::error::Error;
use crate::journal::Packed;
use crate::journal::Payload;
use crate::pool::{self, Gone};
use crate::value::ArgSink;

#[doc(hidden)]
pub struct Function<A, R, C, F, Fut> {
    args: Option<A>,
    describe: fn(&A, &mut ArgSink<'_>),
    duplicate: fn(&A) -> Option<A>,
    run: F,
    future: Option<Pin<Box<Fut>>>,
    outcome: PhantomData<fn() -> (C, R)>,
}

impl<A, R, C, F, Fut> fmt::Debug for Function<A, R, C, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").finish_non_exhaustive()
    }
}

/// A call of a checkpoint, as the macro makes it.
#[doc(hidden)]
pub fn call<A, R, C, F, Fut>(
    meta: &'static CheckpointMeta,
    outcome: C,
    args: A,
    describe: fn(&A, &mut ArgSink<'_>),
    duplicate: fn(&A) -> Option<A>,
    run: F,
) -> Call<Function<A, R, C, F, Fut>>
where
    C: Outcome<R>,
    F: FnMut(A) -> Fut,
    Fut: Future<Output = R>,
{
    Call::new(Spec::new(meta), Function::new(outcome, args, describe, duplicate, run))
}

/// Stands for a call of a checkpoint that the macro refused. It compiles, so that the refusal is the only error, and
/// never runs.
#[doc(hidden)]
pub fn refused<R>() -> Call<impl Body<Output = R>> {
    fn never<R>() -> Call<RefusedBody<R>> {
        unreachable!("a program with a refused checkpoint does not compile")
    }
    never()
}

/// The future of a `blocking` body.
#[doc(hidden)]
pub fn blocking<A, R, P: Pool<A, R>>(pool: P, args: A, body: fn(A) -> R) -> impl Future<Output = R> + use<A, R, P> {
    pool.run(args, body)
}

/// Where a `blocking` body runs. Chosen by the macro; not part of the public interface.
#[doc(hidden)]
#[allow(missing_docs, async_fn_in_trait)]
pub trait Pool<A, R> {
    fn run(self, args: A, body: fn(A) -> R) -> impl Future<Output = R>;
}

impl<A: Send + 'static, R: Send + 'static> Pool<A, R> for OnThePool {
    /// On the blocking pool of the runtime that polls the flow.
    async fn run(self, args: A, body: fn(A) -> R) -> R {
        let ambient = Ambient::current();
        let run = move || {
            let _entered = ambient.enter();
            body(args)
        };
        match pool::blocking(run).await {
            Ok(result) => result,
            Err(Gone::Panicked(panic)) => std::panic::resume_unwind(panic),
            // The runtime shuts down and drops this task too.
            Err(Gone::ShutDown) => std::future::pending().await,
        }
    }
}

impl<A, R> Pool<A, R> for Lost<OfArguments> {
    /// It keeps nothing, so that a call that does not compile for one reason has only one error.
    fn run(self, _: A, _: fn(A) -> R) -> impl Future<Output = R> {
        std::future::pending()
    }
}

impl<A, R, C, F, Fut> Function<A, R, C, F, Fut> {
    pub(crate) fn new(
        _: C,
        args: A,
        describe: fn(&A, &mut ArgSink<'_>),
        duplicate: fn(&A) -> Option<A>,
        run: F,
    ) -> Self {
        Function { args: Some(args), describe, duplicate, run, future: None, outcome: PhantomData }
    }
}

impl<A, R, C, F, Fut> sealed::Sealed for Function<A, R, C, F, Fut> {}

#[allow(private_interfaces)]
impl<A, R, C, F, Fut> Body for Function<A, R, C, F, Fut>
where
    C: Outcome<R>,
    F: FnMut(A) -> Fut,
    Fut: Future<Output = R>,
{
    type Output = R;

    fn describe(&self, sink: &mut ArgSink<'_>) {
        if let Some(args) = &self.args {
            (self.describe)(args, sink);
        }
    }

    fn begin(&mut self, more: MoreTries) -> bool {
        let args = match more {
            MoreTries::Possible => self.args.as_ref().and_then(self.duplicate),
            MoreTries::None => self.args.take(),
        };
        let Some(args) = args else { return false };
        self.future = Some(Box::pin((self.run)(args)));
        true
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<R> {
        self.future.as_mut().expect("a body is polled after it has begun").as_mut().poll(cx)
    }

    fn end(&mut self) {
        self.future = None;
    }

    fn pack(value: R, packing: &Packing) -> Landing<R> {
        C::pack(value, packing)
    }

    fn pack_error(error: Error) -> Landing<R> {
        C::pack_error(error)
    }

    fn unpack(payload: &Payload<'_>) -> Result<R, Unpack> {
        C::unpack(payload)
    }

    fn fail(error: Error) -> Result<R, Error> {
        C::fail(error)
    }

    fn failure(value: &R) -> Option<Error> {
        C::failure(value)
    }
}

/// The body of a checkpoint that the macro has refused.
struct RefusedBody<R>(PhantomData<fn() -> R>);

impl<R> sealed::Sealed for RefusedBody<R> {}

impl<R> Body for RefusedBody<R> {
    type Output = R;

    fn describe(&self, _: &mut ArgSink<'_>) {}

    fn begin(&mut self, _: MoreTries) -> bool {
        false
    }

    fn poll(&mut self, _: &mut TaskContext<'_>) -> Poll<R> {
        Poll::Pending
    }

    fn end(&mut self) {}

    fn pack(_: R, _: &Packing) -> Landing<R> {
        unreachable!("a refused body has no result")
    }

    fn pack_error(error: Error) -> Landing<R> {
        Landing { packed: Packed::error(&error), value: Err(error) }
    }

    fn unpack(_: &Payload<'_>) -> Result<R, Unpack> {
        unreachable!("a refused body has no record")
    }

    fn fail(error: Error) -> Result<R, Error> {
        Err(error)
    }

    fn failure(_: &R) -> Option<Error> {
        None
    }
}
