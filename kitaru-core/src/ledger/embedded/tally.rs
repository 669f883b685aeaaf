//! What has been sent to each generation and what of it is on its way to the store. Owns the numbers of signals, how much one
//! generation may be sent, and that an idempotency key is looked for among what is on its way, too: those that send to one
//! execution share commits. Must not know how anything is sent.

use std::collections::HashMap;

use tokio::sync::watch;

use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, JournalId};
use crate::journal::Aside;
use crate::sync::{Mutex, lock};

/// So many signals may be sent to one generation.
pub(crate) const MOST_SIGNALS: u64 = 1 << 20;
/// So many bytes of signals and answers may be sent to one generation, or four values of the largest size where that is more:
/// an attempt has all of them in memory.
pub(crate) const MOST_MAIL_BYTES: u64 = 256 << 20;
/// Of so many generations nothing need be counted again.
const MOST_KNOWN: usize = 1_024;

/// Counts what is sent to the generations of a store. This process is the only one that sends.
#[derive(Default)]
pub(crate) struct Tallies(Mutex<State>);

#[derive(Default)]
struct State {
    generations: HashMap<JournalId, MailTotal>,
    /// Idempotency keys of signals that are on their way. A dropped sender wakes the tasks that wait for it.
    keys: HashMap<Vec<u8>, watch::Sender<()>>,
}

/// What has been sent to a generation.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct MailTotal {
    /// The number of the last signal.
    pub(crate) last_signal: u64,
    /// The bytes of all signals and answers.
    pub(crate) bytes: u64,
    /// How much of that is on its way.
    on_its_way: u32,
}

impl MailTotal {
    pub(crate) fn new(last_signal: u64, bytes: u64) -> Self {
        MailTotal { last_signal, bytes, on_its_way: 0 }
    }
}

/// How many bytes a generation may be sent.
pub(super) fn most_bytes(max_outcome_bytes: usize) -> u64 {
    MOST_MAIL_BYTES.max((max_outcome_bytes as u64).saturating_mul(4))
}

impl Tallies {
    /// What is known of a generation, without counting.
    pub(super) fn known(&self, journal: JournalId) -> Option<MailTotal> {
        lock(&self.0).generations.get(&journal).copied()
    }

    /// Counts a signal or an answer of so many bytes that is about to be on its way. The number of the signal. `so_far` is what
    /// was [known](Self::known) or counted of the generation while no other sender could send to it.
    ///
    /// # Errors
    ///
    /// When that is over a bound; nothing is counted then.
    pub(crate) fn add(
        &self,
        execution: &ExecutionId,
        journal: JournalId,
        so_far: MailTotal,
        kind: Aside,
        bytes: u64,
        most_bytes: u64,
    ) -> Result<u64, Error> {
        let mut state = lock(&self.0);
        if state.generations.len() >= MOST_KNOWN {
            state.generations.retain(|_, tally| tally.on_its_way > 0);
        }
        // One that was forgotten meanwhile had nothing on its way.
        let tally = state.generations.entry(journal).or_insert(MailTotal { on_its_way: 0, ..so_far });
        let number = tally.last_signal.saturating_add(u64::from(kind == Aside::Signal));
        if number > MOST_SIGNALS {
            return Err(too_many(execution, &format!("{MOST_SIGNALS} signals")));
        }
        let all = tally.bytes.saturating_add(bytes);
        if all > most_bytes {
            let what = format!("signals and answers of {} bytes, and {bytes} more are over {most_bytes}", tally.bytes);
            return Err(too_many(execution, &what));
        }
        *tally = MailTotal { last_signal: number, bytes: all, on_its_way: tally.on_its_way + 1 };
        Ok(number)
    }

    /// What was on its way has landed, or is lost. The number of a lost signal is not given again: it may be there.
    pub(super) fn arrived(&self, journal: JournalId, bytes: u64, landed: bool) {
        if let Some(tally) = lock(&self.0).generations.get_mut(&journal) {
            debug_assert!(tally.on_its_way > 0, "what arrives was on its way");
            tally.on_its_way = tally.on_its_way.saturating_sub(1);
            if !landed {
                debug_assert!(tally.bytes >= bytes, "what is lost was counted");
                tally.bytes = tally.bytes.saturating_sub(bytes);
            }
        }
    }

    /// Whether a signal of this number is on its way, or was.
    #[cfg(test)]
    pub(crate) fn has_sent(&self, journal: JournalId, number: u64) -> bool {
        lock(&self.0).generations.get(&journal).is_some_and(|tally| tally.last_signal >= number)
    }

    /// Something that was sent is taken back.
    pub(super) fn taken_back(&self, journal: JournalId, bytes: u64) {
        if let Some(tally) = lock(&self.0).generations.get_mut(&journal) {
            debug_assert!(tally.bytes >= bytes, "what is taken back was counted");
            tally.bytes = tally.bytes.saturating_sub(bytes);
        }
    }

    /// A signal with this key is on its way from now on.
    pub(super) fn key_leaves(&self, key: Vec<u8>) {
        lock(&self.0).keys.insert(key, watch::Sender::new(()));
    }

    /// What tells when a signal with this key is on its way no longer, if one is.
    pub(super) fn key_arrives(&self, key: &[u8]) -> Option<watch::Receiver<()>> {
        lock(&self.0).keys.get(key).map(watch::Sender::subscribe)
    }

    pub(super) fn key_arrived(&self, key: &[u8]) {
        let sender = lock(&self.0).keys.remove(key);
        drop(sender);
    }
}

pub(super) fn too_many(execution: &ExecutionId, what: &str) -> Error {
    cannot!(
        Kind::TooLarge,
        "send to execution {execution}",
        "it was sent {what}, which is the bound",
        "use .continue_as_new() in its flow"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: JournalId = JournalId(7);

    fn add(tallies: &Tallies, so_far: MailTotal, kind: Aside, bytes: u64) -> Result<u64, Error> {
        tallies.add(&ExecutionId::new("order", "job").unwrap(), JOURNAL, so_far, kind, bytes, 100)
    }

    #[test]
    fn mail_is_bounded_in_count_and_in_bytes_and_what_is_lost_counts_for_nothing() {
        let tallies = Tallies::default();
        let (signal, answer) = (Aside::Signal, Aside::Answer);
        assert_eq!(add(&tallies, MailTotal::new(MOST_SIGNALS - 3, 40), signal, 30).unwrap(), MOST_SIGNALS - 2);
        // What is known counts, and not what is counted in the store.
        let so_far = MailTotal::default();
        let error = add(&tallies, so_far, answer, 31).unwrap_err();
        assert!(error.is_too_large() && error.to_string().contains("70 bytes, and 31 more are over 100"), "{error}");
        assert_eq!(add(&tallies, so_far, answer, 30).unwrap(), MOST_SIGNALS - 2, "an answer has no number");
        tallies.arrived(JOURNAL, 30, false);
        assert_eq!(add(&tallies, so_far, signal, 10).unwrap(), MOST_SIGNALS - 1);
        tallies.taken_back(JOURNAL, 10);
        assert_eq!(add(&tallies, so_far, signal, 0).unwrap(), MOST_SIGNALS);
        let error = add(&tallies, so_far, signal, 0).unwrap_err();
        assert!(error.is_too_large() && error.to_string().contains("1048576 signals"), "{error}");
    }

    #[test]
    fn number_is_given_once_over_all_generations_and_deletions() {
        let tallies = Tallies::default();
        assert_eq!(add(&tallies, MailTotal::default(), Aside::Signal, 1).unwrap(), 1);
        let other = |journal: u64| {
            let (journal, execution) = (JournalId(journal), ExecutionId::new("order", "other").unwrap());
            tallies.add(&execution, journal, MailTotal::default(), Aside::Signal, 1, 100).unwrap();
            tallies.arrived(journal, 1, true);
        };
        (100..100 + 2 * MOST_KNOWN as u64).for_each(other);
        assert!(tallies.known(JOURNAL).is_some_and(|tally| tally.last_signal == 1), "it is on its way");
        assert!(lock(&tallies.0).generations.len() <= MOST_KNOWN);
        tallies.arrived(JOURNAL, 1, true);
        let so_far = tallies.known(JOURNAL).unwrap();
        (5_000..5_000 + 2 * MOST_KNOWN as u64).for_each(other);
        assert_eq!(tallies.known(JOURNAL), None, "it is counted again");
        assert_eq!(add(&tallies, so_far, Aside::Signal, 1).unwrap(), 2);
    }

    #[test]
    fn most_bytes_are_four_values_of_the_largest_size_or_a_quarter_of_a_gigabyte() {
        assert_eq!(most_bytes(1_000), 256 << 20);
        assert_eq!(most_bytes(64 << 20), 256 << 20);
        assert_eq!(most_bytes(1 << 30), 4 << 30);
    }
}
