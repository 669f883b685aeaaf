//! The options of a flow's attribute. Must not know how they are applied.

use std::time::Duration;

use crate::machine::Reuse;
use crate::program::{Begun, FlowInput, GivenInput, ReadInput};

/// What a call does that contradicts a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDivergence {
    /// Warns, runs, and records again.
    Rerun,
    /// Ends the attempt.
    Fail,
}

/// A flow as its attribute describes it. Written by the macro; not part of the public interface.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct FlowMeta {
    pub(crate) name: &'static str,
    /// The function's own name.
    pub(crate) function: &'static str,
    pub(crate) module: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    pub(crate) source: u64,
    pub(crate) begin: fn(FlowInput<'_>) -> Begun,
    /// The names of its arguments, in their order.
    pub(crate) arguments: &'static [&'static str],
    /// Reads an input that is given as JSON.
    pub(crate) read: Option<fn(GivenInput<'_>) -> ReadInput>,
    pub(crate) version: &'static str,
    /// `None` if the attribute does not set it.
    pub(crate) reuse: Option<Reuse>,
    pub(crate) on_divergence: Option<OnDivergence>,
}

#[doc(hidden)]
#[allow(missing_docs)]
impl FlowMeta {
    pub const fn new(
        name: &'static str,
        module: &'static str,
        file: &'static str,
        line: u32,
        source: u64,
        begin: fn(FlowInput<'_>) -> Begun,
    ) -> Self {
        FlowMeta {
            name,
            function: name,
            module,
            file,
            line,
            source,
            begin,
            arguments: &[],
            read: None,
            version: "",
            reuse: None,
            on_divergence: None,
        }
    }

    pub const fn function(mut self, function: &'static str) -> Self {
        self.function = function;
        self
    }

    pub const fn reads(mut self, arguments: &'static [&'static str], read: fn(GivenInput<'_>) -> ReadInput) -> Self {
        self.arguments = arguments;
        self.read = Some(read);
        self
    }

    pub const fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    pub const fn reuse_always(mut self) -> Self {
        self.reuse = Some(Reuse::Always);
        self
    }

    pub const fn reuse_unfinished(mut self) -> Self {
        self.reuse = Some(Reuse::Unfinished);
        self
    }

    pub const fn reuse_within_ms(mut self, age_ms: u64) -> Self {
        self.reuse = Some(Reuse::Within(Duration::from_millis(age_ms)));
        self
    }

    pub const fn rerun_on_divergence(mut self) -> Self {
        self.on_divergence = Some(OnDivergence::Rerun);
        self
    }

    pub const fn fail_on_divergence(mut self) -> Self {
        self.on_divergence = Some(OnDivergence::Fail);
        self
    }
}
