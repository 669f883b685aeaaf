//! What an acknowledgement of the writer is about. Owns the number that stands for it in the writer; must not know its
//! effect.

use crate::machine::SlotId;

/// What is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ack {
    pub(super) subject: Subject,
    /// The submission says that bodies may run.
    pub(super) announces: bool,
    /// It is the first submission that shows progress of the attempt.
    pub(super) proves: bool,
}

/// What a submission is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    /// The outcome of a call.
    Outcome(SlotId),
    /// Its intent, or another row that lands before its body begins.
    Intent(SlotId),
    /// What the flow has received.
    Flush,
    /// A record or a row for which no call waits.
    Ahead,
    /// That the flow ends here.
    Unwind,
    /// What a body shows.
    Note,
    /// That other attempts may begin.
    Company,
}

const ANNOUNCES: u64 = 1 << 62;
const PROVES: u64 = 1 << 63;
/// The position of the subject's kind; the slot is below it.
const KIND: u32 = 32;

impl Ack {
    pub(super) fn to_bits(self) -> u64 {
        let (kind, slot) = match self.subject {
            Subject::Outcome(SlotId(slot)) => (0, slot),
            Subject::Intent(SlotId(slot)) => (1, slot),
            Subject::Flush => (2, 0),
            Subject::Ahead => (3, 0),
            Subject::Unwind => (4, 0),
            Subject::Note => (5, 0),
            Subject::Company => (6, 0),
        };
        let said = if self.announces { ANNOUNCES } else { 0 } | if self.proves { PROVES } else { 0 };
        said | kind << KIND | u64::from(slot)
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        let slot = SlotId(bits as u32);
        let subject = match (bits & !(ANNOUNCES | PROVES)) >> KIND {
            0 => Subject::Outcome(slot),
            1 => Subject::Intent(slot),
            2 => Subject::Flush,
            3 => Subject::Ahead,
            4 => Subject::Unwind,
            5 => Subject::Note,
            6 => Subject::Company,
            kind => unreachable!("the writer gave back a token of kind {kind}, which it was not given"),
        };
        Ack { subject, announces: bits & ANNOUNCES != 0, proves: bits & PROVES != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_comes_back_as_it_went() {
        let slots = [SlotId(0), SlotId(7), SlotId(u32::MAX)];
        let of_calls = slots.into_iter().flat_map(|slot| [Subject::Outcome(slot), Subject::Intent(slot)]);
        let others = [Subject::Flush, Subject::Ahead, Subject::Unwind, Subject::Note, Subject::Company];
        for subject in of_calls.chain(others) {
            for (announces, proves) in [(false, false), (true, false), (false, true), (true, true)] {
                let ack = Ack { subject, announces, proves };
                assert_eq!(Ack::from_bits(ack.to_bits()), ack);
            }
        }
    }
}
