//! Names, and the numbers behind visible ones: `draft`, `draft_2`, `draft_3`. Owns which are taken; must not know by
//! what.

use std::collections::HashMap;

use crate::machine::sparse::Sparse;

/// The names of an execution's checkpoints and labels, and the numbers taken under each, by records and by the calls of
/// this attempt.
#[derive(Default)]
pub(crate) struct Names {
    known: HashMap<Box<str>, NameIx>,
    numbers: Vec<Numbers>,
    /// What was looked for last: calls of one checkpoint come in a row.
    last: NameIx,
}

/// The place of a name.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct NameIx(u32);

struct Numbers {
    name: Box<str>,
    /// A bit for each number, in words; bit 0 of the first one stands for number 1.
    taken: Sparse<u64>,
    /// No number below this is free.
    floor: u32,
}

impl NameIx {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Names {
    /// The place of a name, which is made if it is a new one.
    pub(crate) fn intern(&mut self, name: &str) -> NameIx {
        if self.numbers.get(self.last.index()).is_some_and(|last| *last.name == *name) {
            return self.last;
        }
        self.last = match self.known.get(name) {
            Some(ix) => *ix,
            None => {
                let ix = NameIx(self.numbers.len() as u32);
                self.numbers.push(Numbers { name: name.into(), taken: Sparse::default(), floor: 0 });
                self.known.insert(name.into(), ix);
                ix
            }
        };
        self.last
    }

    /// Notes that a record has this number.
    pub(crate) fn take(&mut self, name: NameIx, number: u32) {
        if let Some(bit) = number.checked_sub(1) {
            self.numbers[name.index()].set(bit);
        }
    }

    /// Takes the lowest free number.
    pub(crate) fn next(&mut self, name: NameIx) -> u32 {
        let numbers = &mut self.numbers[name.index()];
        while numbers.is_set(numbers.floor) {
            numbers.floor += 1;
        }
        numbers.set(numbers.floor);
        numbers.floor + 1
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.numbers.iter().map(|numbers| 1 + numbers.taken.room()).sum()
    }

    /// Gives a number back that no record has, because its call goes by another name.
    pub(crate) fn give_back(&mut self, name: NameIx, number: u32) {
        let numbers = &mut self.numbers[name.index()];
        let Some(bit) = number.checked_sub(1) else { return };
        if let Some(word) = numbers.taken.get_mut(bit / 64) {
            *word &= !(1 << (bit % 64));
        }
        numbers.floor = numbers.floor.min(bit);
    }
}

impl Numbers {
    fn is_set(&self, bit: u32) -> bool {
        self.taken.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }

    fn set(&mut self, bit: u32) {
        let mask = 1 << (bit % 64);
        match self.taken.get_mut(bit / 64) {
            Some(word) => *word |= mask,
            None => drop(self.taken.set(bit / 64, mask)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_call_takes_the_lowest_number_that_no_record_has() {
        let mut names = Names::default();
        let draft = names.intern("draft");
        names.take(draft, 2);
        assert_eq!([names.next(draft), names.next(draft), names.next(draft)], [1, 3, 4]);
        let review = names.intern("review");
        assert_eq!(names.next(review), 1);
        assert_eq!(names.intern("draft"), draft);
    }

    #[test]
    fn a_number_given_back_is_taken_by_the_next_call() {
        let mut names = Names::default();
        let draft = names.intern("draft");
        assert_eq!([names.next(draft), names.next(draft)], [1, 2]);
        names.give_back(draft, 1);
        assert_eq!([names.next(draft), names.next(draft)], [1, 3]);
    }
}
