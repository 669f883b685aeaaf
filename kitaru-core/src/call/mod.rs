//! A call of a checkpoint: the value that the function returns. Owns its way from being made to being answered. Must
//! not know what drives the flow, nor how a store keeps a record.

mod body;
pub(crate) mod bounds;
mod cancellation;
mod child;
mod continuing;
#[cfg_attr(not(feature = "testkit"), path = "undirected.rs")]
mod directed;
mod durable;
mod function;
mod inside;
mod limit;
mod made;
mod memo;
mod meta;
mod options;
mod origin;
mod outcome;
pub mod probe;
mod question;
mod refusals;
mod resolution;
mod signal;
mod timer;
mod tries;
mod wait;
mod ways;
mod with_origin;

pub use body::Body;
pub use cancellation::{Cancellation, cancellation};
pub(crate) use child::{ChildCall, ChildOptions, ChildWish, Claimed};
pub use continuing::{CallIdentity, CallKey};
pub(crate) use function::Function;
pub use function::{blocking, call, refused};
pub use inside::{idempotency_key, may_have_run};
pub use limit::{Timeout, timeout};
pub use made::Call;
pub use meta::CheckpointMeta;
pub(crate) use meta::{Spec, key};
pub use options::{Occasion, Summarize};
pub use origin::Origin;
pub use outcome::Outcome;
pub(crate) use outcome::{Packing, Unpack, Whose};
pub use resolution::Resolution;
pub use signal::{Signal, signal};
pub use timer::{Sleep, sleep, sleep_until};
#[cfg(any(test, fuzzing))]
pub(crate) use wait::Received;
pub use wait::{Wait, wait};
pub use with_origin::WithOrigin;
