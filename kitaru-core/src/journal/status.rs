//! The status of an execution, and what a call of its flow does for each. Owns the table of that decision; must not
//! know how it is carried out.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::millis;
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
    const ALL: [Status; 9] = [
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

/// What a call of a flow does if its execution has already completed.
///
/// A [`Duration`] converts to [`Reuse::Within`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reuse {
    /// The call returns the recorded result, however old. The default.
    Always,
    /// The call returns the recorded result if the execution finished within this time. Otherwise it runs a new
    /// generation.
    Within(Duration),
    /// The call runs a new generation. It continues only an unfinished execution.
    Unfinished,
}

impl From<Duration> for Reuse {
    fn from(age: Duration) -> Self {
        Reuse::Within(age)
    }
}

/// The newest generation of an execution that is not being driven here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) generation: u32,
    pub(crate) status: Status,
    pub(crate) updated_ms: u64,
    pub(crate) same_input: bool,
}

/// What a call of a flow does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// A new generation; the older one, if `cancels`, becomes `Cancelled`.
    New { generation: u32, cancels: bool },
    /// A new attempt on the same journal.
    Continue,
    /// It has ended.
    Nothing,
    /// It becomes `Cancelled`.
    Cancel,
    /// The recorded result, this old.
    Cached { age_ms: u64 },
    /// The id belongs to an execution with another input.
    OtherInput,
    /// It was cancelled.
    Cancelled,
    /// It is stuck.
    Stuck,
}

/// What the caller wants from an execution that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Reuse(Reuse),
    /// Its result, if it ended since the caller began to wait for it. Otherwise its continuation.
    Outcome,
    Fresh,
    /// To resume it if it is unfinished, and nothing else.
    Recover,
    /// To end it as cancelled, with its work undone.
    Cancel,
    /// To end it as cancelled, without an undo.
    Abandon,
    /// To resume it although it failed or is stuck.
    Resume,
}

/// Decides what a call of a flow does with the newest generation of its execution.
pub(crate) fn decide(found: Option<&Found>, ask: Ask, now_ms: u64) -> Begin {
    let Some(found) = found else {
        return match ask {
            Ask::Reuse(_) | Ask::Outcome | Ask::Fresh => Begin::New { generation: 1, cancels: false },
            Ask::Recover | Ask::Cancel | Ask::Abandon | Ask::Resume => Begin::Nothing,
        };
    };
    let next = |cancels| Begin::New { generation: found.generation.saturating_add(1), cancels };
    let reuse = match ask {
        Ask::Fresh => return next(!found.status.is_final()),
        Ask::Reuse(reuse) => reuse,
        Ask::Outcome if found.status == Status::Failed && found.same_input => return Begin::Nothing,
        Ask::Outcome => Reuse::Always,
        Ask::Cancel | Ask::Abandon if matches!(found.status, Status::Completed | Status::Cancelled) => {
            return Begin::Nothing;
        }
        Ask::Cancel | Ask::Abandon => return Begin::Cancel,
        Ask::Resume => {
            return match found.status {
                Status::Failed | Status::Stuck | Status::Running | Status::Interrupted => Begin::Continue,
                Status::Queued | Status::Waiting | Status::Completed | Status::Cancelled | Status::ContinuedAsNew => {
                    Begin::Nothing
                }
            };
        }
        Ask::Recover if found.status.is_final() => return Begin::Nothing,
        Ask::Recover => return Begin::Continue,
    };
    if !found.same_input {
        return Begin::OtherInput;
    }
    match found.status {
        Status::Queued | Status::Running | Status::Waiting | Status::Interrupted | Status::Failed => Begin::Continue,
        Status::Completed => {
            // If the clock was set back, the result has no age.
            let age_ms = now_ms.saturating_sub(found.updated_ms);
            match reuse {
                Reuse::Always => Begin::Cached { age_ms },
                Reuse::Within(bound) if age_ms <= millis(bound) => Begin::Cached { age_ms },
                Reuse::Within(_) | Reuse::Unfinished => next(false),
            }
        }
        Status::Cancelled => Begin::Cancelled,
        Status::Stuck => Begin::Stuck,
        // There is always a newer generation.
        Status::ContinuedAsNew => next(false),
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

    fn found(status: Status, same_input: bool) -> Found {
        Found { generation: 3, status, updated_ms: 1_000, same_input }
    }

    #[test]
    fn unfinished_or_failed_execution_continues_under_any_reuse() {
        for status in [Status::Queued, Status::Running, Status::Waiting, Status::Interrupted, Status::Failed] {
            for reuse in [Reuse::Always, Reuse::Unfinished, Reuse::Within(Duration::ZERO)] {
                assert_eq!(decide(Some(&found(status, true)), Ask::Reuse(reuse), 0), Begin::Continue);
            }
        }
    }

    #[test]
    fn a_completed_execution_is_reused_by_its_policy() {
        let completed = found(Status::Completed, true);
        let after = |reuse| decide(Some(&completed), Ask::Reuse(reuse), 6_000);
        assert_eq!(after(Reuse::Always), Begin::Cached { age_ms: 5_000 });
        assert_eq!(after(Duration::from_secs(5).into()), Begin::Cached { age_ms: 5_000 });
        assert_eq!(after(Duration::from_secs(4).into()), Begin::New { generation: 4, cancels: false });
        assert_eq!(after(Reuse::Unfinished), Begin::New { generation: 4, cancels: false });
    }

    #[test]
    fn fresh_begins_a_new_generation_and_cancels_an_unfinished_one() {
        for status in Status::ALL {
            for same_input in [true, false] {
                let begin = decide(Some(&found(status, same_input)), Ask::Fresh, 0);
                assert_eq!(begin, Begin::New { generation: 4, cancels: !status.is_final() });
            }
        }
        assert_eq!(decide(None, Ask::Fresh, 0), Begin::New { generation: 1, cancels: false });
    }

    #[test]
    fn only_a_failed_stuck_or_interrupted_execution_can_be_resumed() {
        for status in Status::ALL {
            let resumes = matches!(status, Status::Failed | Status::Stuck | Status::Running | Status::Interrupted);
            let begin = decide(Some(&found(status, false)), Ask::Resume, 0);
            assert_eq!(begin, if resumes { Begin::Continue } else { Begin::Nothing }, "{status}");
        }
        assert_eq!(decide(None, Ask::Resume, 0), Begin::Nothing);
    }

    #[test]
    fn execution_is_cancelled_from_any_status_but_completed_and_cancelled() {
        for ask in [Ask::Cancel, Ask::Abandon] {
            for status in Status::ALL {
                let ended = matches!(status, Status::Completed | Status::Cancelled);
                let begin = decide(Some(&found(status, false)), ask, 0);
                assert_eq!(begin, if ended { Begin::Nothing } else { Begin::Cancel }, "{status}");
            }
            assert_eq!(decide(None, ask, 0), Begin::Nothing);
        }
    }

    #[test]
    fn execution_that_ended_does_not_resume_automatically() {
        for status in Status::ALL {
            let begin = decide(Some(&found(status, false)), Ask::Recover, 0);
            assert_eq!(begin, if status.is_final() { Begin::Nothing } else { Begin::Continue }, "{status}");
        }
        assert_eq!(decide(None, Ask::Recover, 0), Begin::Nothing);
        let is_final = Status::ALL.map(|status| status.is_final());
        assert_eq!(is_final, [false, false, false, false, true, true, true, true, true]);
    }

    #[test]
    fn another_input_is_refused_in_every_status() {
        for status in Status::ALL {
            for ask in [Ask::Reuse(Reuse::Always), Ask::Outcome] {
                assert_eq!(decide(Some(&found(status, false)), ask, 0), Begin::OtherInput, "{status}");
            }
        }
    }

    #[test]
    fn waiting_caller_gets_the_failure_and_does_not_begin_it_again() {
        for status in Status::ALL {
            let begin = decide(Some(&found(status, true)), Ask::Outcome, 1_000);
            let called = decide(Some(&found(status, true)), Ask::Reuse(Reuse::Always), 1_000);
            let expected = if status == Status::Failed { Begin::Nothing } else { called };
            assert_eq!(begin, expected, "{status}");
        }
        let begin = decide(None, Ask::Outcome, 0);
        assert_eq!(begin, Begin::New { generation: 1, cancels: false });
    }

    #[test]
    fn a_status_survives_its_code() {
        for status in Status::ALL {
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
        assert_eq!(Status::from_code(99), None);
    }
}
