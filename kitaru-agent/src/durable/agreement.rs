//! The answer of a person about a tool call.
//!
//! Owns its stored form, in which programs send it. Must not know how the question is asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A person's answer about a tool call that [requires approval](crate::ToolOptions::requires_approval), or [asks for
/// it](crate::ToolError::approval_required). Send it with `Kitaru::answer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Approval {
    /// Call it as the model asked.
    Approve,
    /// Call it with these arguments instead of the model's. If they do not fit the tool's schema, the question is asked again,
    /// with the reason.
    ApproveWith(Value),
    /// Do not call it, and tell the model why.
    Deny(String),
}
