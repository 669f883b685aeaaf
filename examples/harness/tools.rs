//! From names to tools.
//!
//! Owns the list of the known tools. Must not know who may use which.

use std::sync::Arc;

use kitaru::agent::Tool;

use super::exec::Exec;

type Build = fn() -> Arc<dyn Tool>;

/// Every known tool.
const KNOWN: [(&str, Build); 1] = [("exec", || Arc::new(Exec::default()))];

/// Builds the named tools, in that order, and no other.
///
/// # Errors
///
/// A name that is not a tool's. The error lists the names that are.
pub(crate) fn build_tools(allowed: &[String]) -> anyhow::Result<Vec<Arc<dyn Tool>>> {
    let build = |name: &String| match KNOWN.iter().find(|(known, _)| known == name) {
        Some((_, build)) => Ok(build()),
        None => {
            let known: Vec<_> = KNOWN.iter().map(|(known, _)| format!("`{known}`")).collect();
            anyhow::bail!("there is no tool `{name}`; the tools are {}", known.join(", "))
        }
    };
    allowed.iter().map(build).collect()
}
