//! Where a flow may be called. Owns the refusal of a call in another place; must not know what a call does.

use crate::context::Ambient;
use crate::error::{Error, Kind, cannot};
use crate::shown::short;

/// A body or a flow cannot record an execution as part of itself.
pub(super) fn refuse_inside(name: &str) -> Result<(), Error> {
    let name = short(name);
    Ambient::with(|ambient| match ambient {
        Ambient::Outside => Ok(()),
        Ambient::Body(_) => Err(cannot!(
            Kind::Misuse,
            "call flow `{name}` in a checkpoint's body",
            "a body is one unit of work",
            "call it in a flow's own code or outside flows"
        )),
        Ambient::Flow(_) => Err(cannot!(
            Kind::Misuse,
            "poll flow `{name}` in a flow",
            "it was called outside that flow",
            "call it in the flow's own code"
        )),
    })
}
