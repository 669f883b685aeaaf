//! The input of a flow, as a request has it. Must not know who gives it.

use std::fmt;

use crate::error::{Error, Kind, cannot};
use crate::journal::PREVIEW_BYTES;
use crate::shown::short;
use crate::value::{ArgPreview, ArgSink, Canon, EncodeError, Encoded, Key, Undecodable, clip};

pub(crate) struct RequestInput {
    pub(crate) digest: Key,
    pub(crate) preview: String,
    pub(crate) encoded: Encoded,
}

impl RequestInput {
    pub(crate) fn new(
        flow: &str,
        encoded: Result<Encoded, EncodeError>,
        describe: impl Fn(&mut ArgSink<'_>),
    ) -> Result<Self, Error> {
        let mut canon = Canon::default();
        let mut sink = ArgSink::canonical(&mut canon);
        describe(&mut sink);
        sink.finish().map_err(|error| error.context(format!("cannot call flow `{}`", short(flow))))?;
        let digest = canon.key(&[flow.as_bytes()]);
        let mut preview = ArgPreview::new(PREVIEW_BYTES);
        describe(&mut ArgSink::preview(&mut preview));
        let encoded = encoded.map_err(|error| match error {
            EncodeError::TooLarge { size, limit } => Self::too_large(flow, size, limit),
            EncodeError::Unreadable(Undecodable { of, at, why }) => {
                let at = at.filter(|at| !at.is_empty()).map(|at| format!(" at `{at}`")).unwrap_or_default();
                {
                    let (flow, of) = (short(flow), clip(&of));
                    cannot!(
                        Kind::Unreadable,
                        "record the input of flow `{flow}`",
                        "`{of}` is read back differently{at}: {why}",
                        "use another type or #[serde(with)]"
                    )
                }
            }
        })?;
        Ok(RequestInput { digest, preview: preview.to_string(), encoded })
    }

    pub(crate) fn too_large(flow: &str, size: usize, limit: usize) -> Error {
        let flow = short(flow);
        cannot!(
            Kind::TooLarge,
            "record the input of flow `{flow}`",
            "it has {size} bytes, the bound is {limit}",
            "pass where it is, or raise max_outcome_bytes"
        )
    }
}

/// An input that is given as JSON, for the function that the macro writes.
#[doc(hidden)]
pub struct GivenInput<'a> {
    pub(crate) flow: &'static str,
    /// The list of the arguments.
    pub(crate) json: &'a [u8],
}

impl fmt::Debug for GivenInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenInput").field("flow", &self.flow).finish_non_exhaustive()
    }
}

/// What was read of such an input.
#[doc(hidden)]
pub struct ReadInput(pub(crate) Result<RequestInput, Error>);

impl fmt::Debug for ReadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadInput").field(&self.0.as_ref().map(|input| &input.preview)).finish()
    }
}
