//! Who did what to an execution. Owns the layout of an entry, and its words; must not know when it is written.

use std::fmt;

use crate::id::Actor;
use crate::journal::FORMAT;
use crate::journal::rows::versioned;
use crate::journal::wire::{Malformed, Put};

/// What was done to an execution, or to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditAction {
    /// A wait was answered.
    Answered,
    /// A signal was sent.
    Sent,
    /// The execution was cancelled.
    Cancelled,
    /// The execution was resumed.
    Resumed,
    /// The execution was begun as a fork of another one.
    Forked,
    /// The execution was deleted.
    Deleted,
    /// Executions whose retention was over were deleted.
    Collected,
}

impl AuditAction {
    const ALL: [AuditAction; 7] = [
        AuditAction::Answered,
        AuditAction::Sent,
        AuditAction::Cancelled,
        AuditAction::Resumed,
        AuditAction::Forked,
        AuditAction::Deleted,
        AuditAction::Collected,
    ];

    fn code(self) -> u8 {
        match self {
            AuditAction::Answered => 1,
            AuditAction::Sent => 2,
            AuditAction::Cancelled => 3,
            AuditAction::Resumed => 4,
            AuditAction::Forked => 5,
            AuditAction::Deleted => 6,
            AuditAction::Collected => 7,
        }
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuditAction::Answered => "answered",
            AuditAction::Sent => "sent",
            AuditAction::Cancelled => "cancelled",
            AuditAction::Resumed => "resumed",
            AuditAction::Forked => "forked",
            AuditAction::Deleted => "deleted",
            AuditAction::Collected => "collected",
        })
    }
}

/// An entry of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditLine {
    pub(crate) at_ms: u64,
    pub(crate) action: AuditAction,
    /// Who did it.
    pub(crate) by: String,
    /// The wait, the signal, the record or the execution.
    pub(crate) about: String,
}

impl Actor {
    /// The entry that says that this one did something.
    pub(crate) fn did(&self, action: AuditAction, about: &str, at_ms: u64) -> AuditLine {
        AuditLine { at_ms, action, by: self.name().to_owned(), about: about.to_owned() }
    }
}

impl AuditLine {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.by.len() + self.about.len());
        out.extend_from_slice(&[FORMAT, self.action.code()]);
        out.put_varint(self.at_ms);
        out.put_text(&self.by);
        out.put_text(&self.about);
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut take = versioned(bytes)?;
        let code = take.u8()?;
        let action = AuditAction::ALL.into_iter().find(|action| action.code() == code);
        let row = AuditLine {
            action: action.ok_or(Malformed("an unknown action"))?,
            at_ms: take.varint()?,
            by: take.text()?.to_owned(),
            about: take.text()?.to_owned(),
        };
        take.end()?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_of_an_audit_comes_back_as_it_was_written() {
        for action in AuditAction::ALL {
            let row = AuditLine { at_ms: 300, action, by: "Ada".into(), about: "approval".into() };
            assert_eq!(AuditLine::read(&row.write()), Ok(row));
        }
        assert!(AuditLine::read(&[FORMAT, 0, 0, 0, 0]).is_err() && AuditLine::read(&[FORMAT + 1, 1, 0, 0, 0]).is_err());
    }
}
