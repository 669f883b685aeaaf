//! What a person says to a tool call.
//!
//! Owns its stored form, in which it is answered. Must not know how somebody is asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What somebody says to a tool call that [requires approval](crate::ToolOptions::requires_approval), or [asks for
/// it](crate::ToolError::approval_required), by `Kitaru::answer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Approval {
    /// Call it as the model asked.
    Approve,
    /// Call it with these arguments in place of the model's. If they do not fit the tool's schema, the question is asked
    /// again, with what is wrong.
    ApproveWith(Value),
    /// Do not call it, and tell the model why.
    Deny(String),
}
