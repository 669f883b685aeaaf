//! The name of an execution, as the API sends it.

use serde::{Deserialize, Serialize};

/// The name of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reference {
    /// Its flow.
    pub flow: String,
    /// Its id.
    pub id: String,
}
