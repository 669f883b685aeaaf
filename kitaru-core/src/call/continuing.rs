//! A call that takes the place of an earlier one of the same flow. Owns what both have in common: the question, and the
//! identity that services outside know. Must not know why it takes that place.

use serde::{Deserialize, Serialize};

use crate::call::body::Body;
use crate::call::made::{Call, Place};
use crate::value::Key;

/// What decides whether a record answers a call: the checkpoint, its version and the arguments that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Question([u8; 16]);

/// What [`idempotency_key`](crate::idempotency_key) is made of: which call of the execution it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallIdentity(Key);

impl Question {
    pub(crate) fn new(key: Key) -> Self {
        Question(key.0)
    }
}

impl<B: Body> Call<B> {
    /// What the call asks; nothing where it cannot be made.
    pub fn question(&self) -> Option<Question> {
        match &self.place {
            Place::Flow(durable) => Some(Question::new(durable.key())),
            Place::Plain { key, .. } => Some(Question::new(*key)),
            Place::Nowhere(_) | Place::Done => None,
        }
    }

    /// Which call of its execution it is to services outside; nothing where it is not made in a flow's own code.
    pub fn call_identity(&self) -> Option<CallIdentity> {
        match &self.place {
            Place::Flow(durable) => Some(CallIdentity(durable.body_identity())),
            Place::Plain { .. } | Place::Nowhere(_) | Place::Done => None,
        }
    }

    /// Gives the body the idempotency key of an earlier call, whose work it does once more. The record is its own. What is
    /// called within the body has the keys that it had in the body of the earlier call, too.
    pub fn in_place_of(mut self, earlier: CallIdentity) -> Self {
        if let Place::Flow(durable) = &mut self.place {
            durable.stand_for(earlier.0);
        }
        self
    }
}
