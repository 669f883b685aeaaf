//! Bodies that a test steers: whether they continue, and what runs in their place. Must not know the result of a try.
//! In a build without the feature `testkit`, `undirected.rs` replaces this file.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use crate::call::body::Body;
use crate::call::meta::{Effect, Spec};
use crate::call::outcome::Unpack;
use crate::context::BodyScope;
use crate::director::{Clearance, Director, Moment, Observation, Outside, Part};
use crate::journal::{Class, Payload};
use crate::value::{ArgSink, Codec};

/// What plays one try.
#[derive(Default)]
pub(super) struct Cast {
    /// `None` for the checkpoint's own function.
    part: Option<Part>,
    /// What wakes it, if a test watches that.
    outside: Option<Arc<Outside>>,
}

impl Cast {
    /// Decides what plays the next try.
    pub(super) fn of<B: Body>(body: &B, spec: &Spec, scope: &BodyScope) -> Self {
        let Some(director) = director(spec, scope) else { return Cast::default() };
        let mut args = || {
            let mut args = serde_json::Map::new();
            let mut sink = ArgSink::json(&mut args);
            body.describe(&mut sink);
            // Arguments that JSON cannot express are left out.
            drop(sink.finish());
            args.into()
        };
        match director.cast(spec.name(), &mut args) {
            // A body that is part of another body has the wakers of that body.
            Part::Itself if scope.is_part() => Cast::default(),
            Part::Itself => {
                let outside = Arc::default();
                director.observe(&Observation::Watched { outside: &outside });
                Cast { part: None, outside: Some(outside) }
            }
            part => Cast { part: Some(part), outside: None },
        }
    }

    /// Whether it is the checkpoint's own function.
    pub(super) fn is_itself(&self) -> bool {
        self.part.is_none()
    }

    /// Polls the checkpoint's own function, or what a test has put in its place.
    pub(super) fn poll<B: Body>(
        &self,
        body: &mut B,
        spec: &Spec,
        scope: &BodyScope,
        cx: &mut TaskContext<'_>,
    ) -> Poll<B::Output> {
        match (&self.part, &self.outside) {
            (Some(part), _) => play::<B>(part, spec, scope),
            (None, None) => body.poll(cx),
            (None, Some(outside)) => body.poll(&mut TaskContext::from_waker(&outside.waker(cx.waker()))),
        }
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.outside.iter().for_each(|outside| outside.close());
    }
}

/// The director of a body, if there is one. Waits have none, because they have no effect of their own.
fn director<'a>(spec: &Spec, scope: &'a BodyScope) -> Option<&'a dyn Director> {
    let director = scope.direction.director()?;
    matches!(spec.meta().effect, Effect::AtLeastOnce | Effect::AtMostOnce).then_some(director)
}

/// Whether the body stops at this moment.
pub(super) fn is_stopped(spec: &Spec, scope: &BodyScope, moment: Moment) -> bool {
    director(spec, scope).is_some_and(|director| director.moment(spec.name(), moment) == Clearance::Refused)
}

/// The result of a try that a stub plays.
fn play<B: Body>(part: &Part, spec: &Spec, scope: &BodyScope) -> Poll<B::Output> {
    let name = spec.name();
    let mistaken = |what: String| {
        let observation = Observation::Mistaken { what: &what };
        director(spec, scope).into_iter().for_each(|director| director.observe(&observation));
        Poll::Pending
    };
    match part {
        Part::Itself => unreachable!("the checkpoint's own function is polled"),
        Part::Hangs => Poll::Pending,
        Part::Panics(message) => panic!("{message}"),
        Part::Gives(Err(error)) => match B::fail(error.clone()) {
            Ok(output) => Poll::Ready(output),
            Err(why) => mistaken(format!(
                "the stub of checkpoint `{name}` gives an error, which the checkpoint cannot \
                                  return: {why:#}"
            )),
        },
        Part::Gives(Ok(value)) => {
            let bytes = value.to_string().into_bytes();
            let payload = Payload { class: Class::Value, codec: Codec::Json, shape: 0, bytes: &bytes };
            match B::unpack(&payload) {
                Ok(output) => Poll::Ready(output),
                Err(Unpack::CannotHold(error)) => mistaken(format!("the stub of checkpoint `{name}`: {error:#}")),
                Err(Unpack::Unreadable(why)) => mistaken(format!(
                    "what the stub of checkpoint `{name}` gives is not what it returns: {why}; it gave {value}"
                )),
            }
        }
    }
}
