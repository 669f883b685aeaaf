//! What stands in the place of `directed.rs` in a build without the feature `testkit`: each body plays itself and goes on.

use std::task::{Context as TaskContext, Poll};

use crate::call::body::Body;
use crate::call::meta::Spec;
use crate::context::BodyScope;
use crate::director::Moment;

/// The checkpoint's own function plays every try.
pub(super) struct Cast;

impl Cast {
    #[inline(always)]
    pub(super) fn of<B: Body>(_: &B, _: &Spec, _: &BodyScope) -> Self {
        Cast
    }

    #[inline(always)]
    pub(super) fn is_itself(&self) -> bool {
        true
    }

    #[inline(always)]
    pub(super) fn poll<B: Body>(
        &self,
        body: &mut B,
        _: &Spec,
        _: &BodyScope,
        cx: &mut TaskContext<'_>,
    ) -> Poll<B::Output> {
        body.poll(cx)
    }
}

#[inline(always)]
pub(super) fn is_stopped(_: &Spec, _: &BodyScope, _: Moment) -> bool {
    false
}
