//! A call that takes the place of an earlier one of the same flow. Owns what both share: the question, and the identity
//! towards services outside. Must not know why it takes that place.

use serde::{Deserialize, Serialize};

use crate::call::body::Body;
use crate::call::made::{Call, Place};
use crate::value::Key;

/// What decides whether a record answers a call: the checkpoint, its version and the arguments that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Question([u8; 16]);

/// What [`idempotency_key`](crate::idempotency_key) is derived from: the call's identity in the execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallIdentity(Key);

impl Question {
    pub(crate) fn new(key: Key) -> Self {
        Question(key.0)
    }
}

impl<B: Body> Call<B> {
    /// The question of the call. `None` if the call cannot be made.
    pub fn question(&self) -> Option<Question> {
        match &self.place {
            Place::Flow(durable) => Some(Question::new(durable.key())),
            Place::Plain { key, .. } => Some(Question::new(*key)),
            Place::Nowhere(_) | Place::Done => None,
        }
    }

    /// The call's identity towards services outside. `None` if it was not made in a flow's own code.
    pub fn call_identity(&self) -> Option<CallIdentity> {
        match &self.place {
            Place::Flow(durable) => Some(CallIdentity(durable.body_identity())),
            Place::Plain { .. } | Place::Nowhere(_) | Place::Done => None,
        }
    }

    /// Gives the body the idempotency key of an earlier call, whose work it repeats. The record is its own. Calls
    /// within the body also get the keys that they had in the earlier body.
    pub fn in_place_of(mut self, earlier: CallIdentity) -> Self {
        if let Place::Flow(durable) = &mut self.place {
            durable.stand_for(earlier.0);
        }
        self
    }
}
