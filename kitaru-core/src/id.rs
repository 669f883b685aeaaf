//! Names and numbers that identify things. Owns their bounds; must not know the things.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Kind, cannot};
use crate::shown::{is_no_part_of_a_name, short, shown};

/// The most bytes an execution's id may have.
pub const MAX_ID_BYTES: usize = 512;
/// The most bytes the name of a flow or of a checkpoint may have.
pub const MAX_NAME_BYTES: usize = 128;

/// The number of a journal: one generation of one execution. Assigned in ascending order by the store's owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct JournalId(pub(crate) u64);

/// The number of a record in its journal, assigned by the commit that made it durable. Starts at 1.
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
    /// If the id is empty or over [`MAX_ID_BYTES`], or the flow's name is not valid.
    pub(crate) fn new(flow: &str, id: &str) -> Result<Self, Error> {
        check_name("flow", flow)?;
        let named = short(flow);
        if id.is_empty() {
            return Err(cannot!(
                Kind::Misuse,
                "call flow `{named}`",
                "its id is empty",
                "set a text, or leave the id out"
            ));
        }
        if id.len() > MAX_ID_BYTES {
            return Err({
                let size = id.len();
                cannot!(
                    Kind::TooLarge,
                    "call flow `{named}`",
                    "its id has {size} bytes, the bound is {MAX_ID_BYTES}",
                    "use a digest of its parts"
                )
            });
        }
        Ok(Self { flow: flow.into(), id: id.into() })
    }
}

/// Who acts, as an audit names it: on one line, and within a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor(Arc<str>);

impl Actor {
    /// None for an empty name.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let name = shown(name.trim());
        let end = (0..=name.len().min(MAX_NAME_BYTES)).rev().find(|end| name.is_char_boundary(*end))?;
        (end > 0).then(|| Actor(name[..end].into()))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

/// As messages name an execution: escaped and shortened.
impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of flow `{}`", short(&self.id), short(&self.flow))
    }
}

/// Refuses a text that cannot be a name: empty, too long, or with invisible or control characters.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(cannot!(Kind::Misuse, "use the name of a {what}", "it is empty", "set one"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err({
            let (size, name) = (name.len(), short(name));
            cannot!(
                Kind::TooLarge,
                "use the name `{name}` of a {what}",
                "it has {size} bytes, the bound is {MAX_NAME_BYTES}",
                "shorten it"
            )
        });
    }
    if let Some(hidden) = name.chars().find(|char| is_no_part_of_a_name(*char)) {
        return Err({
            let (code, name) = (u32::from(hidden), short(name));
            cannot!(
                Kind::Misuse,
                "use the name `{name}` of a {what}",
                "it has an invisible or control character, U+{code:04X}",
                "leave it out"
            )
        });
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
    fn a_message_shortens_a_long_id_and_a_long_name() {
        let execution = ExecutionId::new(&"f".repeat(100), &format!("{}\n{}", "x".repeat(100), "the end!")).unwrap();
        let shown = format!("`{}…the end!` of flow `{}…{}`", "x".repeat(40), "f".repeat(40), "f".repeat(8));
        assert_eq!(execution.to_string(), shown);
        let error = check_name("tag", &"n".repeat(200)).unwrap_err().to_string();
        assert!(error.contains(&format!("`{}…{}`", "n".repeat(40), "n".repeat(8))), "{error}");
        // The execution itself keeps what it has.
        assert_eq!((execution.flow.len(), execution.id.len()), (100, 109));
    }

    #[test]
    fn name_of_an_actor_is_one_line_within_a_bound() {
        let named = |name: &str| Actor::new(name).map(|actor| actor.name().to_owned());
        assert_eq!(named(" Ada\nLovelace "), Some("Ada\\nLovelace".to_owned()));
        assert_eq!(named(&"ü".repeat(100)), Some("ü".repeat(64)));
        assert_eq!((named(""), named(" \n")), (None, None));
    }

    #[test]
    fn an_empty_id_and_a_name_with_a_control_character_are_refused() {
        assert!(ExecutionId::new("report", "").unwrap_err().is_misuse());
        assert!(check_name("checkpoint", "a\0b").unwrap_err().is_misuse());
        for hidden in ["a\nb", "a\u{202e}b", "a\u{200b}", "\u{e0041}", "a\u{2028}"] {
            let message = check_name("signal", hidden).unwrap_err().to_string();
            assert!(message.contains("U+") && !message.contains(hidden), "{message}");
        }
        assert!(check_name("signal", "بررسی\u{200c}شده 👩\u{200d}🔬").is_ok());
    }
}
