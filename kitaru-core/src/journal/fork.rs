//! From which execution a generation was forked. Owns the layout of that row; must not know which records a fork takes over.

use crate::id::{ExecutionId, Seq};
use crate::journal::FORMAT;
use crate::journal::rows::versioned;
use crate::journal::wire::{Malformed, Put, Take};

/// What a generation has of another execution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lineage {
    pub(crate) way: ForkWay,
    /// The visible name of the first record that the fork did not take over. Empty if none was named.
    pub(crate) from: String,
    /// The visible names of the records whose values a person has set.
    pub(crate) set: Vec<String>,
    /// Whose records the journal begins with, the oldest first. The last one was forked; it may have been a fork.
    pub(crate) originals: Vec<Original>,
}

/// How a fork uses the records of its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForkWay {
    /// It has those before a point, and runs everything else.
    Prefix,
    /// It has all of them, and runs only calls that none of them answers.
    ByKey,
    /// The same, and a body without a record fails.
    Strict,
    /// It took over nothing: a fork began it as a child, or continued in it.
    Inherited,
}

/// An execution whose records a fork has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Original {
    /// The number that the last of these records has in the fork.
    pub(crate) last: Seq,
    pub(crate) execution: ExecutionId,
    pub(crate) generation: u32,
    /// What its random values are drawn from.
    pub(crate) seed: [u8; 32],
}

impl Lineage {
    /// A generation that a fork began as a child.
    pub(crate) fn of_child() -> Self {
        Lineage { way: ForkWay::Inherited, from: String::new(), set: Vec::new(), originals: Vec::new() }
    }

    /// The generation in which this one continues.
    pub(crate) fn continued(self) -> Self {
        Lineage { way: ForkWay::Inherited, ..self }
    }

    /// The number of the last record that was taken over.
    pub(crate) fn last(&self) -> Seq {
        match self.way {
            ForkWay::Inherited => Seq(0),
            ForkWay::Prefix | ForkWay::ByKey | ForkWay::Strict => {
                self.originals.last().map_or(Seq(0), |original| original.last)
            }
        }
    }

    /// Whether all records were taken over, for calls with equal arguments.
    pub(crate) fn is_by_key(&self) -> bool {
        matches!(self.way, ForkWay::ByKey | ForkWay::Strict)
    }

    /// What random values are drawn from once the flow has received the records up to this one; `None` for the generation's own
    /// seed.
    pub(crate) fn seed(&self, reached: Seq) -> Option<&[u8; 32]> {
        let original = match self.way {
            ForkWay::Inherited => None,
            ForkWay::Prefix => self.originals.iter().find(|original| reached <= original.last),
            ForkWay::ByKey | ForkWay::Strict => {
                let before = self.originals.iter().find(|original| reached <= original.last);
                before.or(self.originals.last())
            }
        };
        original.map(|original| &original.seed)
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96 * (1 + self.originals.len()));
        out.push(FORMAT);
        out.push(match self.way {
            ForkWay::Prefix => 0,
            ForkWay::ByKey => 1,
            ForkWay::Strict => 2,
            ForkWay::Inherited => 3,
        });
        out.put_text(&self.from);
        out.put_varint(self.set.len() as u64);
        self.set.iter().for_each(|name| out.put_text(name));
        out.put_varint(self.originals.len() as u64);
        for Original { last, execution, generation, seed } in &self.originals {
            out.put_varint(last.0);
            out.put_text(&execution.flow);
            out.put_text(&execution.id);
            out.put_varint((*generation).into());
            out.extend_from_slice(seed);
        }
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut take = versioned(bytes)?;
        let way = match take.u8()? {
            0 => ForkWay::Prefix,
            1 => ForkWay::ByKey,
            2 => ForkWay::Strict,
            3 => ForkWay::Inherited,
            _ => return Err(Malformed("a fork of an unknown kind")),
        };
        let from = take.text()?.to_owned();
        let count = take.varint()?;
        let set = (0..count).map(|_| take.text().map(str::to_owned)).collect::<Result<_, _>>()?;
        let count = take.varint()?;
        let originals = (0..count).map(|_| Original::read(&mut take)).collect::<Result<_, _>>()?;
        take.end()?;
        Ok(Lineage { way, from, set, originals })
    }
}

impl Original {
    fn read(take: &mut Take<'_>) -> Result<Self, Malformed> {
        Ok(Original {
            last: Seq(take.varint()?),
            execution: ExecutionId { flow: take.text()?.into(), id: take.text()?.into() },
            generation: take.varint_u32()?,
            seed: take.array()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn original(id: &str, last: u64) -> Original {
        let execution = ExecutionId::new("report", id).unwrap();
        Original { last: Seq(last), execution, generation: 2, seed: [last as u8; 32] }
    }

    fn row(way: ForkWay) -> Lineage {
        let originals = vec![original("job", 3), original("job-fork-1", 300)];
        Lineage { way, from: "draft".into(), set: vec!["research".into()], originals }
    }

    #[test]
    fn row_of_a_fork_comes_back_as_it_was_written() {
        for way in [ForkWay::Prefix, ForkWay::ByKey, ForkWay::Strict, ForkWay::Inherited] {
            assert_eq!(Lineage::read(&row(way).write()), Ok(row(way)));
        }
        let child = Lineage::of_child();
        assert_eq!(Lineage::read(&child.write()), Ok(child));
        let bytes = row(ForkWay::Prefix).write();
        assert!((0..bytes.len()).all(|end| Lineage::read(&bytes[..end]).is_err()));
    }

    #[test]
    fn seed_is_that_of_the_original_whose_records_the_flow_receives() {
        let seed = |way, reached| row(way).seed(Seq(reached)).map(|seed| seed[0]);
        let own = [(0, Some(3)), (3, Some(3)), (4, Some(44)), (300, Some(44)), (301, None)];
        own.iter().for_each(|(reached, expected)| assert_eq!(seed(ForkWay::Prefix, *reached), *expected, "{reached}"));
        assert_eq!([seed(ForkWay::ByKey, 2), seed(ForkWay::Strict, 301)], [Some(3), Some(44)]);
        assert_eq!(seed(ForkWay::Inherited, 0), None);
    }
}
