//! The model's mistakes, and how often in a row it makes them.
//!
//! Owns the count and its bound. Must not know what is right.

use std::collections::BTreeMap;

use crate::error::AgentError;

/// The kinds of mistakes, counted separately.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Answer,
    UnknownTool,
    Tool(String),
}

impl What {
    fn describe(&self) -> String {
        match self {
            Self::Answer => "its answer".to_owned(),
            Self::UnknownTool => "the name of a tool".to_owned(),
            Self::Tool(name) => format!("the call of tool `{name}`"),
        }
    }
}

/// How many times in a row, up to the last response.
#[derive(Default)]
pub(super) struct Wrong(BTreeMap<What, u32>);

impl Wrong {
    pub(super) fn times(&self, what: &What) -> u32 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Counts the mistakes of one response, and resets the count of every other kind. Several wrong calls of one tool in one
    /// response count once: the model received one message.
    pub(super) fn count(
        &mut self,
        wrong: impl IntoIterator<Item = (What, String)>,
        bound: u32,
    ) -> Result<(), AgentError> {
        let before = std::mem::take(&mut self.0);
        for (what, last) in wrong {
            let times = before.get(&what).copied().unwrap_or(0) + 1;
            if times > bound {
                return Err(AgentError::TooManyRetries { what: what.describe(), times, last });
            }
            self.0.insert(what, times);
        }
        Ok(())
    }
}
