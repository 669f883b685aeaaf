//! The tries of a body that failed before the last one. Owns how they are written; must not know why there was another.

use crate::journal::wire::{Malformed, Put, Take};

/// A try that failed and was followed by another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FailedTryFrame {
    pub(crate) took_us: u64,
    /// The pause before the next try.
    pub(crate) pause_ms: u64,
    /// For people.
    pub(crate) error: String,
}

impl FailedTryFrame {
    /// The number of tries that are kept, the last ones: a body that was tried a thousand times failed for the same few
    /// reasons.
    pub(crate) const MOST: usize = 16;

    /// All of them. Empty if there are none.
    pub(crate) fn write_all(tries: &[FailedTryFrame]) -> Vec<u8> {
        let mut out = Vec::with_capacity(tries.iter().map(|failed| 24 + failed.error.len()).sum());
        for FailedTryFrame { took_us, pause_ms, error } in tries {
            out.put_varint(*took_us);
            out.put_varint(*pause_ms);
            out.put_text(error);
        }
        out
    }

    pub(crate) fn read_all(bytes: &[u8]) -> Result<Vec<Self>, Malformed> {
        let mut take = Take(bytes);
        let mut tries = Vec::new();
        while !take.0.is_empty() {
            tries.push(FailedTryFrame {
                took_us: take.varint()?,
                pause_ms: take.varint()?,
                error: take.text()?.to_owned(),
            });
        }
        Ok(tries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tries_come_back_as_they_were_written() {
        let tries =
            vec![FailedTryFrame { took_us: 300, pause_ms: 200, error: "no luck".into() }, FailedTryFrame::default()];
        assert_eq!(FailedTryFrame::read_all(&FailedTryFrame::write_all(&tries)), Ok(tries));
        assert_eq!(FailedTryFrame::read_all(&[]), Ok(Vec::new()));
        assert!(FailedTryFrame::read_all(&[1]).is_err());
    }
}
