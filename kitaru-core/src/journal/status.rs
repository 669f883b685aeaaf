//! The status of an execution, and its code. Must not know what follows from a status.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Kind, cannot};
use crate::shown::short;

/// The state of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It is recorded and has not begun.
    Queued,
    /// This process drives it.
    Running,
    /// It is parked: it waits for a person, a time or another program, and needs no memory meanwhile.
    Waiting,
    /// Its process died, or its runtime was dropped. The next call of the flow resumes it.
    Interrupted,
    /// It returned `Ok`.
    Completed,
    /// It returned `Err`, or panicked. The next call of the flow resumes it.
    Failed,
    /// It was cancelled, or `.fresh()` began a new generation over it. It never resumes.
    Cancelled,
    /// It cannot resume until a person decides; nothing is lost.
    Stuck,
    /// It continued in the next generation, by `.continue_as_new()`.
    ContinuedAsNew,
}

impl Status {
    /// Every status, in the order of an execution's life.
    pub const ALL: [Status; 9] = [
        Status::Queued,
        Status::Running,
        Status::Waiting,
        Status::Interrupted,
        Status::Completed,
        Status::Failed,
        Status::Cancelled,
        Status::Stuck,
        Status::ContinuedAsNew,
    ];

    /// Whether nothing more happens to it unless a caller acts.
    pub fn is_final(self) -> bool {
        match self {
            Status::Completed | Status::Failed | Status::Cancelled | Status::Stuck | Status::ContinuedAsNew => true,
            Status::Queued | Status::Running | Status::Waiting | Status::Interrupted => false,
        }
    }

    /// Whether its flow has begun, and can resume.
    pub(crate) fn has_flow(self) -> bool {
        match self {
            Status::Running | Status::Waiting | Status::Interrupted | Status::Failed => true,
            Status::Queued | Status::Completed | Status::Cancelled | Status::Stuck | Status::ContinuedAsNew => false,
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Status::Queued => 0,
            Status::Running => 1,
            Status::Waiting => 2,
            Status::Interrupted => 3,
            Status::Completed => 4,
            Status::Failed => 5,
            Status::Cancelled => 6,
            Status::Stuck => 7,
            Status::ContinuedAsNew => 8,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Interrupted => "interrupted",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
            Status::Stuck => "stuck",
            Status::ContinuedAsNew => "continued_as_new",
        })
    }
}

/// Parses the text that `Display` writes.
impl FromStr for Status {
    type Err = Error;

    /// # Errors
    ///
    /// [Misuse](Error::is_misuse), if there is no such status.
    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Status::ALL.into_iter().find(|status| status.to_string() == text);
        known.ok_or_else(|| {
            let all = Status::ALL.map(|status| status.to_string()).join(", ");
            {
                let text = short(text);
                cannot!(Kind::Misuse, "read `{text}` as a status", "it is not one of {all}", "use one of them")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_shown_as_one_word() {
        let shown = Status::ALL.map(|status| status.to_string());
        assert!(
            shown.iter().all(|shown| shown.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')),
            "{shown:?}"
        );
        assert_eq!(shown[8], "continued_as_new");
    }

    #[test]
    fn a_status_survives_its_code() {
        for status in Status::ALL {
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
        assert_eq!(Status::from_code(99), None);
    }
}
