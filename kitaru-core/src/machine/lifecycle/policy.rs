//! What a call of a flow does with the newest generation of its execution. Owns the table of that decision; must not know how
//! it is carried out.

use std::time::Duration;

use crate::clock::millis;
use crate::journal::Status;

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
pub(crate) struct Newest {
    pub(crate) generation: u32,
    pub(crate) status: Status,
    pub(crate) updated_ms: u64,
    pub(crate) same_input: bool,
}

/// What a call of a flow does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A new generation; the older one, if `cancels`, becomes `Cancelled`.
    New { generation: u32, cancels: bool },
    /// A new attempt on the same journal.
    Continue,
    /// It has ended.
    Nothing,
    /// It becomes `Cancelled`.
    Cancel,
    /// All its generations are deleted.
    Delete,
    /// The recorded result, this old.
    Cached { age_ms: u64 },
    /// The id belongs to an execution with another input.
    OtherInput,
    /// It was cancelled.
    Cancelled,
    /// It is stuck.
    Stuck,
    /// The id of a new execution belongs to another one.
    IdTaken,
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
    /// To delete it, if it has ended.
    Delete,
    /// A new execution, with records of another one.
    Fork,
}

/// Decides what a call of a flow does with the newest generation of its execution.
pub(crate) fn decide(newest: Option<&Newest>, ask: Ask, now_ms: u64) -> Decision {
    let Some(newest) = newest else {
        return match ask {
            Ask::Reuse(_) | Ask::Outcome | Ask::Fresh | Ask::Fork => Decision::New { generation: 1, cancels: false },
            Ask::Recover | Ask::Cancel | Ask::Abandon | Ask::Resume | Ask::Delete => Decision::Nothing,
        };
    };
    let next = |cancels| Decision::New { generation: newest.generation.saturating_add(1), cancels };
    let reuse = match ask {
        Ask::Fresh => return next(!newest.status.is_final()),
        Ask::Fork => return Decision::IdTaken,
        Ask::Reuse(reuse) => reuse,
        Ask::Outcome if newest.status == Status::Failed && newest.same_input => return Decision::Nothing,
        Ask::Outcome => Reuse::Always,
        Ask::Cancel | Ask::Abandon if matches!(newest.status, Status::Completed | Status::Cancelled) => {
            return Decision::Nothing;
        }
        Ask::Cancel | Ask::Abandon => return Decision::Cancel,
        Ask::Resume => {
            return match newest.status {
                Status::Failed | Status::Stuck | Status::Running | Status::Interrupted => Decision::Continue,
                Status::Queued | Status::Waiting | Status::Completed | Status::Cancelled | Status::ContinuedAsNew => {
                    Decision::Nothing
                }
            };
        }
        Ask::Recover if newest.status.is_final() => return Decision::Nothing,
        Ask::Recover => return Decision::Continue,
        Ask::Delete => {
            return match newest.status {
                Status::Completed | Status::Failed | Status::Cancelled => Decision::Delete,
                Status::Queued
                | Status::Running
                | Status::Waiting
                | Status::Interrupted
                | Status::Stuck
                | Status::ContinuedAsNew => Decision::Nothing,
            };
        }
    };
    if !newest.same_input {
        return Decision::OtherInput;
    }
    match newest.status {
        Status::Queued | Status::Running | Status::Waiting | Status::Interrupted | Status::Failed => Decision::Continue,
        Status::Completed => {
            // If the clock was set back, the result has no age.
            let age_ms = now_ms.saturating_sub(newest.updated_ms);
            match reuse {
                Reuse::Always => Decision::Cached { age_ms },
                Reuse::Within(bound) if age_ms <= millis(bound) => Decision::Cached { age_ms },
                Reuse::Within(_) | Reuse::Unfinished => next(false),
            }
        }
        Status::Cancelled => Decision::Cancelled,
        Status::Stuck => Decision::Stuck,
        // There is always a newer generation.
        Status::ContinuedAsNew => next(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(status: Status, same_input: bool) -> Newest {
        Newest { generation: 3, status, updated_ms: 1_000, same_input }
    }

    #[test]
    fn unfinished_or_failed_execution_continues_under_any_reuse() {
        for status in [Status::Queued, Status::Running, Status::Waiting, Status::Interrupted, Status::Failed] {
            for reuse in [Reuse::Always, Reuse::Unfinished, Reuse::Within(Duration::ZERO)] {
                assert_eq!(decide(Some(&newest(status, true)), Ask::Reuse(reuse), 0), Decision::Continue);
            }
        }
    }

    #[test]
    fn a_completed_execution_is_reused_by_its_policy() {
        let completed = newest(Status::Completed, true);
        let after = |reuse| decide(Some(&completed), Ask::Reuse(reuse), 6_000);
        assert_eq!(after(Reuse::Always), Decision::Cached { age_ms: 5_000 });
        assert_eq!(after(Duration::from_secs(5).into()), Decision::Cached { age_ms: 5_000 });
        assert_eq!(after(Duration::from_secs(4).into()), Decision::New { generation: 4, cancels: false });
        assert_eq!(after(Reuse::Unfinished), Decision::New { generation: 4, cancels: false });
    }

    #[test]
    fn fresh_begins_a_new_generation_and_cancels_an_unfinished_one() {
        for status in Status::ALL {
            for same_input in [true, false] {
                let decision = decide(Some(&newest(status, same_input)), Ask::Fresh, 0);
                assert_eq!(decision, Decision::New { generation: 4, cancels: !status.is_final() });
            }
        }
        assert_eq!(decide(None, Ask::Fresh, 0), Decision::New { generation: 1, cancels: false });
    }

    #[test]
    fn fork_begins_an_execution_only_under_an_id_that_is_free() {
        for status in Status::ALL {
            assert_eq!(decide(Some(&newest(status, true)), Ask::Fork, 0), Decision::IdTaken);
        }
        assert_eq!(decide(None, Ask::Fork, 0), Decision::New { generation: 1, cancels: false });
    }

    #[test]
    fn only_a_failed_stuck_or_interrupted_execution_can_be_resumed() {
        for status in Status::ALL {
            let resumes = matches!(status, Status::Failed | Status::Stuck | Status::Running | Status::Interrupted);
            let decision = decide(Some(&newest(status, false)), Ask::Resume, 0);
            assert_eq!(decision, if resumes { Decision::Continue } else { Decision::Nothing }, "{status}");
        }
        assert_eq!(decide(None, Ask::Resume, 0), Decision::Nothing);
    }

    #[test]
    fn execution_is_cancelled_from_any_status_but_completed_and_cancelled() {
        for ask in [Ask::Cancel, Ask::Abandon] {
            for status in Status::ALL {
                let ended = matches!(status, Status::Completed | Status::Cancelled);
                let decision = decide(Some(&newest(status, false)), ask, 0);
                assert_eq!(decision, if ended { Decision::Nothing } else { Decision::Cancel }, "{status}");
            }
            assert_eq!(decide(None, ask, 0), Decision::Nothing);
        }
    }

    #[test]
    fn execution_is_deleted_only_if_it_is_completed_failed_or_cancelled() {
        for status in Status::ALL {
            let has_ended = matches!(status, Status::Completed | Status::Failed | Status::Cancelled);
            let decision = decide(Some(&newest(status, false)), Ask::Delete, 0);
            assert_eq!(decision, if has_ended { Decision::Delete } else { Decision::Nothing }, "{status}");
        }
        assert_eq!(decide(None, Ask::Delete, 0), Decision::Nothing);
    }

    #[test]
    fn execution_that_ended_does_not_resume_automatically() {
        for status in Status::ALL {
            let decision = decide(Some(&newest(status, false)), Ask::Recover, 0);
            assert_eq!(decision, if status.is_final() { Decision::Nothing } else { Decision::Continue }, "{status}");
        }
        assert_eq!(decide(None, Ask::Recover, 0), Decision::Nothing);
        let is_final = Status::ALL.map(|status| status.is_final());
        assert_eq!(is_final, [false, false, false, false, true, true, true, true, true]);
    }

    #[test]
    fn another_input_is_refused_in_every_status() {
        for status in Status::ALL {
            for ask in [Ask::Reuse(Reuse::Always), Ask::Outcome] {
                assert_eq!(decide(Some(&newest(status, false)), ask, 0), Decision::OtherInput, "{status}");
            }
        }
    }

    #[test]
    fn waiting_caller_gets_the_failure_and_does_not_begin_it_again() {
        for status in Status::ALL {
            let decision = decide(Some(&newest(status, true)), Ask::Outcome, 1_000);
            let called = decide(Some(&newest(status, true)), Ask::Reuse(Reuse::Always), 1_000);
            let expected = if status == Status::Failed { Decision::Nothing } else { called };
            assert_eq!(decision, expected, "{status}");
        }
        let decision = decide(None, Ask::Outcome, 0);
        assert_eq!(decision, Decision::New { generation: 1, cancels: false });
    }
}
