//! The wakers between the flow, its bodies and the driver. Owns what is woken; must not know what happens then.

use std::sync::{Arc, Weak};
use std::task::Wake;

use super::Context;
use crate::machine::SlotId;

impl Context {
    pub(crate) fn flow_waker(self: &Arc<Self>) -> Arc<FlowWaker> {
        Arc::new(FlowWaker(self.clone()))
    }
}

/// Wakes the flow's own code.
pub(crate) struct FlowWaker(Arc<Context>);

impl Wake for FlowWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wakeups.wake_flow();
        self.0.wakeups.kick();
    }
}

/// Wakes one body. It does not wake the flow: the driver fires the call's own waker just before its next poll, so that
/// a body that streams does not make the flow's own code look busy.
pub(crate) struct BodyWaker {
    /// Weak: what a body waits for may be part of the context, or outlive it.
    pub(crate) context: Weak<Context>,
    pub(crate) slot: SlotId,
}

impl Wake for BodyWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(context) = self.context.upgrade() else { return };
        let woken = context.replay().wake_body(self.slot);
        if woken {
            context.wakeups.kick();
        }
    }
}
