//! A call that takes the place of an earlier one of the same flow. Owns what both share: the question, and the identity
//! towards services outside. Must not know why it takes that place.

use serde::{Deserialize, Serialize};

use crate::call::body::Body;
use crate::call::made::{Call, CallPlace};
use crate::value::Key;

/// What decides whether a record answers a call: the checkpoint, its version and the arguments that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallKey([u8; 16]);

/// What [`idempotency_key`](crate::idempotency_key) is derived from: the call's identity in the execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallIdentity(Key);

impl CallKey {
    pub(crate) fn new(key: Key) -> Self {
        CallKey(key.0)
    }
}

impl<B: Body> Call<B> {
    /// The question of the call. `None` if the call cannot be made.
    pub fn question(&self) -> Option<CallKey> {
        match &self.place {
            CallPlace::Flow(durable) => Some(CallKey::new(durable.key())),
            CallPlace::Plain { key, .. } => Some(CallKey::new(*key)),
            CallPlace::Nowhere(_) | CallPlace::Done => None,
        }
    }

    /// The call's identity towards services outside. `None` if it was not made in a flow's own code.
    pub fn call_identity(&self) -> Option<CallIdentity> {
        match &self.place {
            CallPlace::Flow(durable) => Some(CallIdentity(durable.body_identity())),
            CallPlace::Plain { .. } | CallPlace::Nowhere(_) | CallPlace::Done => None,
        }
    }

    /// Gives the body the idempotency key of an earlier call, whose work it repeats. The record is its own. Calls
    /// within the body also get the keys that they had in the earlier body.
    pub fn in_place_of(mut self, earlier: CallIdentity) -> Self {
        if let CallPlace::Flow(durable) = &mut self.place {
            durable.stand_for(earlier.0);
        }
        self
    }
}
