//! A flow without end, which continues as new. Owns what the next generation keeps; must not know how a generation is
//! driven.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use crate::clock::millis;
use crate::context::{Ambient, Context, NextInput};
use crate::error::{Error, Kind, cannot};
use crate::machine::Exit;
use crate::request::{FlowBody, Request, check_size, check_tags};

/// A flow that continues as new. Made by [`FlowCall::continue_as_new`](crate::FlowCall::continue_as_new). It never returns.
#[must_use = "a flow continues as new only if this is awaited"]
pub struct ContinueAsNew<R> {
    asked: Option<Result<Request, Error>>,
    result: std::marker::PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for ContinueAsNew<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContinueAsNew").finish_non_exhaustive()
    }
}

impl<R> ContinueAsNew<R> {
    pub(crate) fn new(asked: Result<Request, Error>) -> Self {
        ContinueAsNew { asked: Some(asked), result: std::marker::PhantomData }
    }
}

impl<R> Future for ContinueAsNew<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<R> {
        let Some(asked) = self.asked.take() else { return Poll::Pending };
        let Ambient::Flow(context) = Ambient::current() else {
            panic!(
                "cannot continue as new outside a flow's own code: no flow is in scope; write \
                 `return next.continue_as_new().await` there"
            )
        };
        match asked.and_then(|request| next(&context, request)) {
            Ok(next) => {
                context.set_next(next);
                context.leave_with(Exit::ContinueAsNew);
            }
            Err(error) => context.leave_with(Exit::Fail(error)),
        }
        Poll::Pending
    }
}

/// What the next generation begins with.
fn next(context: &Arc<Context>, request: Request) -> Result<NextInput, Error> {
    let own = &context.attempt.execution;
    if request.spec.name != *own.flow {
        return Err(cannot!(
            Kind::Misuse,
            "continue execution {own} as new",
            "the call is of another flow",
            "continue with a call of this one"
        ));
    }
    if request.id.as_deref().is_some_and(|id| id != &*own.id) {
        return Err(cannot!(Kind::Misuse, "continue execution {own} as new", "it keeps its id", "leave .id(…) out"));
    }
    if matches!(request.body, FlowBody::Own(_)) {
        return Err(cannot!(
            Kind::Misuse,
            "continue execution {own} as new",
            "no process could begin it, as it has no #[flow]",
            "add #[flow]"
        ));
    }
    if context.replay().is_undoing() {
        return Err(cannot!(Kind::Misuse, "continue execution {own} as new", "its work is being undone"));
    }
    check_size(&request, context.runtime.max_outcome_bytes)?;
    check_tags(&request)?;
    Ok(NextInput {
        preview: request.input.preview,
        encoded: request.input.encoded,
        start_at_ms: request.start_at_ms,
        deadline_ms: request.deadline.map(millis),
        tags: request.tags,
    })
}
