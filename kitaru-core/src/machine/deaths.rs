//! What happens to an execution whose attempts crashed. Owns the arithmetic: which crash counts, how long the next
//! attempt waits, and whether it begins alone; must not know where the numbers are stored, nor what begins the attempt.

use std::time::Duration;

use crate::clock::millis;
use crate::journal::Tally;

/// The number of counted crashes after which an execution is stuck.
pub(crate) const MOST_DEATHS: u32 = 8;
/// This many crashes count even if other attempts ran. From then on an attempt begins alone, and only a crash while it
/// is alone counts.
const BESIDE: u32 = 2;
/// The pause after the start of the second attempt that crashed. It doubles with each crash.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long nothing else begins while an attempt begins alone, unless the attempt proves itself earlier. It doubles
/// with each crash that was not counted: the next attempt is alone for longer, in case the crash takes longer.
const FIRST_ALONE: Duration = Duration::from_secs(4);

/// What happens to the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Begins,
    /// It waits until this time.
    Waits {
        due_ms: u64,
    },
    /// The execution is stuck.
    GivenUp,
}

/// The tally after its attempt has crashed.
pub(crate) fn died(tally: Tally) -> Tally {
    let counts = tally.alone || tally.deaths < BESIDE;
    Tally {
        deaths: tally.deaths.saturating_add(u32::from(counts)),
        together: tally.together.saturating_add(u32::from(!counts)),
        ..tally
    }
}

/// Whether the next attempt may begin, if the last one began at `begun_ms`.
pub(crate) fn verdict(tally: Tally, begun_ms: u64, now_ms: u64) -> Verdict {
    if tally.deaths >= MOST_DEATHS {
        return Verdict::GivenUp;
    }
    let Some(doublings) = tally.deaths.checked_sub(BESIDE) else { return Verdict::Begins };
    // If the clock was ahead then, the pause still lasts no longer than its length from now.
    let due_ms = begun_ms.min(now_ms).saturating_add(millis(FIRST_PAUSE * (1 << doublings)));
    if due_ms > now_ms { Verdict::Waits { due_ms } } else { Verdict::Begins }
}

/// For how long the next attempt is alone, if it is to be.
pub(crate) fn alone_for(tally: Tally) -> Option<Duration> {
    const MOST_DOUBLINGS: u32 = 16;
    (tally.deaths >= BESIDE).then(|| FIRST_ALONE * (1 << tally.together.min(MOST_DOUBLINGS)))
}

/// Whether the replay of the flow's own code crashes the process, as far as that is known: attempts crashed in a row,
/// the last of them alone, and none reached a body. The same applies to an attempt of a stuck execution.
pub(crate) fn dies_in_replay(tally: Tally) -> bool {
    (tally.deaths > BESIDE && tally.replays) || tally.deaths >= MOST_DEATHS
}

/// The tally of a stuck execution that is tried once more.
pub(crate) fn last_chance() -> Tally {
    Tally { deaths: MOST_DEATHS - 1, ..Tally::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(deaths: u32, together: u32, alone: bool) -> Tally {
        Tally { deaths, together, alone, replays: false }
    }

    #[test]
    fn two_crashes_count_in_company_and_further_ones_only_alone() {
        for (before, after) in [
            (tally(0, 0, false), (1, 0)),
            (tally(1, 0, false), (2, 0)),
            (tally(2, 0, false), (2, 1)),
            (tally(2, 1, false), (2, 2)),
            (tally(2, 0, true), (3, 0)),
            (tally(7, 2, false), (7, 3)),
            (tally(7, 2, true), (8, 2)),
            (tally(0, 0, true), (1, 0)),
        ] {
            let died = died(before);
            assert_eq!((died.deaths, died.together), after, "{before:?}");
        }
    }

    #[test]
    fn attempt_begins_immediately_then_ever_later_until_eight_crashes() {
        let begun_ms = 1_000_000;
        for (deaths, pause_ms) in [(0, 0), (1, 0), (2, 1_000), (3, 2_000), (5, 8_000), (7, 32_000)] {
            let tally = tally(deaths, 0, false);
            assert_eq!(verdict(tally, begun_ms, begun_ms + pause_ms), Verdict::Begins, "{deaths}");
            if pause_ms > 0 {
                let due_ms = begun_ms + pause_ms;
                assert_eq!(verdict(tally, begun_ms, due_ms - 1), Verdict::Waits { due_ms }, "{deaths}");
            }
        }
        assert_eq!(verdict(tally(8, 0, false), 0, u64::MAX), Verdict::GivenUp);
    }

    #[test]
    fn attempt_that_began_in_the_future_pauses_from_now() {
        let year_2400_ms = 13_569_465_600_000;
        let due_ms = 1_000 + 32_000;
        assert_eq!(verdict(tally(7, 0, false), year_2400_ms, 1_000), Verdict::Waits { due_ms });
        assert_eq!(verdict(tally(7, 0, false), u64::MAX, 1_000), Verdict::Waits { due_ms });
        assert_eq!(verdict(tally(7, 0, false), 0, u64::MAX), Verdict::Begins);
    }

    #[test]
    fn attempt_is_alone_after_two_crashes_and_longer_if_none_is_blamed() {
        let seconds = |deaths, together| alone_for(tally(deaths, together, false)).map(|time| time.as_secs());
        assert_eq!((seconds(0, 0), seconds(1, 9)), (None, None));
        assert_eq!((seconds(2, 0), seconds(7, 0), seconds(2, 1), seconds(3, 4)), (Some(4), Some(4), Some(8), Some(64)));
        assert!(seconds(2, u32::MAX).is_some());
    }

    #[test]
    fn replay_is_suspected_if_the_third_crash_in_a_row_precedes_any_body() {
        let replays = |deaths, replays| dies_in_replay(Tally { replays, ..tally(deaths, 0, true) });
        assert!(!replays(2, true) && !replays(7, false));
        assert!(replays(3, true) && replays(8, false));
    }
}
