//! Names and numbers that identify things. Owns their bounds; must not know what they identify is made of.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Kind};

/// The most bytes an execution's id may have.
pub const MAX_ID_BYTES: usize = 512;
/// The most bytes the name of a flow or of a checkpoint may have.
pub const MAX_NAME_BYTES: usize = 128;

/// The number of a journal: one generation of one execution. Assigned in ascending order by the store's owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct JournalId(pub(crate) u64);

/// The number of a record in its journal, given to it by the commit that made it durable. Starts at 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Seq(pub(crate) u64);

/// An execution: a flow and an id.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ExecutionId {
    pub(crate) flow: Arc<str>,
    pub(crate) id: Arc<str>,
}

impl ExecutionId {
    /// # Errors
    ///
    /// When the id is empty or over [`MAX_ID_BYTES`], or the flow's name is not one.
    pub(crate) fn new(flow: &str, id: &str) -> Result<Self, Error> {
        check_name("flow", flow)?;
        if id.is_empty() {
            return Err(Error::new(
                Kind::Misuse,
                format!("the id of an execution of flow `{flow}` is empty; give it a text of its own, or no id at all"),
            ));
        }
        if id.len() > MAX_ID_BYTES {
            return Err(Error::new(
                Kind::TooLarge,
                format!(
                    "the id of an execution of flow `{flow}` has {} bytes, the bound is {MAX_ID_BYTES}; \
                     use a digest of what it is made of",
                    id.len()
                ),
            ));
        }
        Ok(Self { flow: flow.into(), id: id.into() })
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of flow `{}`", self.id, self.flow)
    }
}

/// Refuses what cannot be a name: nothing, too much, or control characters, which keys and log lines could not hold.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::new(Kind::Misuse, format!("the name of a {what} is empty; give it one")));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(Error::new(
            Kind::TooLarge,
            format!("the name of a {what} has {} bytes, the bound is {MAX_NAME_BYTES}: `{name}`", name.len()),
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::new(Kind::Misuse, format!("the name of a {what} has a control character: {name:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_over_its_bound_is_refused_with_its_size() {
        let error = ExecutionId::new("report", &"x".repeat(MAX_ID_BYTES + 1)).unwrap_err();
        assert!(error.is_too_large());
        assert!(error.to_string().contains("513 bytes"), "{error}");
        assert!(ExecutionId::new("report", &"x".repeat(MAX_ID_BYTES)).is_ok());
    }

    #[test]
    fn an_empty_id_and_a_name_with_a_control_character_are_refused() {
        assert!(ExecutionId::new("report", "").unwrap_err().is_misuse());
        assert!(check_name("checkpoint", "a\0b").unwrap_err().is_misuse());
    }
}
