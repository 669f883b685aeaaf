//! Names, and the numbers behind visible ones: `draft`, `draft_2`, `draft_3`. Owns which visible names are taken; must
//! not know by which calls.
//!
//! A visible name that ends in a number has two readings: `draft_2` is the second call of `draft`, or the first call of
//! a checkpoint named `draft_2`. So a name that ends in a number is linked to the name before that number, and a name
//! taken in one reading is taken in both.

use std::collections::{BTreeSet, HashMap};

use crate::journal::visible_name;

use crate::machine::sparse::Sparse;

/// The names of an execution's checkpoints and labels, and the numbers taken under each, by records and by the calls of
/// this attempt.
#[derive(Default)]
pub(crate) struct Names {
    known: HashMap<Box<str>, NameIx>,
    numbers: Vec<Numbers>,
    /// The name that was looked up last: calls of one checkpoint often follow each other.
    last: NameIx,
}

/// The place of a name.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct NameIx(u32);

struct Numbers {
    name: Box<str>,
    /// One bit per number, in words. Bit 0 of the first word stands for number 1.
    taken: Sparse<u64>,
    /// No number below this is free.
    floor: u32,
    /// The other reading of number 1, if there is one: a name, and the bit of its number.
    twin: Option<(NameIx, u32)>,
    /// The bits whose visible names are taken in their other reading.
    elsewhere: BTreeSet<u32>,
    /// Whether it is the base in the other reading of some name.
    is_base: bool,
}

impl NameIx {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Names {
    /// The place of a name, which is added if it is new.
    pub(crate) fn intern(&mut self, name: &str) -> NameIx {
        if self.numbers.get(self.last.index()).is_some_and(|last| *last.name == *name) {
            return self.last;
        }
        self.last = match self.known.get(name) {
            Some(ix) => *ix,
            None => self.add(name),
        };
        self.last
    }

    fn add(&mut self, name: &str) -> NameIx {
        let twin = numbered(name).map(|(base, number)| (self.intern(base), number - 1));
        if let Some((base, _)) = twin {
            self.numbers[base.index()].is_base = true;
        }
        let ix = NameIx(self.numbers.len() as u32);
        let (taken, elsewhere) = (Sparse::default(), BTreeSet::new());
        self.numbers.push(Numbers { name: name.into(), taken, floor: 0, twin, elsewhere, is_base: false });
        self.known.insert(name.into(), ix);
        ix
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Records that this number is taken.
    pub(crate) fn take(&mut self, name: NameIx, number: u32) {
        if let Some(bit) = number.checked_sub(1) {
            self.set(name, bit);
        }
    }

    /// Takes the lowest free number.
    pub(crate) fn next(&mut self, name: NameIx) -> u32 {
        let mut bit = self.numbers[name.index()].floor;
        while self.is_taken(name, bit) {
            bit += 1;
        }
        self.set(name, bit);
        self.numbers[name.index()].floor = bit + 1;
        bit + 1
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.numbers.iter().map(|numbers| 1 + numbers.taken.room()).sum()
    }

    /// Gives back a number that no record has, because its call has another name.
    pub(crate) fn give_back(&mut self, name: NameIx, number: u32) {
        let Some(bit) = number.checked_sub(1) else { return };
        let numbers = &mut self.numbers[name.index()];
        if let Some(word) = numbers.taken.get_mut(bit / 64) {
            *word &= !(1 << (bit % 64));
        }
        numbers.floor = numbers.floor.min(bit);
        let twin = match bit {
            0 => numbers.twin,
            _ if numbers.is_base => self.known.get(&*visible_name(&numbers.name, number)).map(|twin| (*twin, 0)),
            _ => None,
        };
        if let Some((other, bit)) = twin {
            let other = &mut self.numbers[other.index()];
            other.elsewhere.remove(&bit);
            other.floor = other.floor.min(bit);
        }
    }

    /// Whether the visible name is taken, in either of its readings.
    fn is_taken(&self, name: NameIx, bit: u32) -> bool {
        let numbers = &self.numbers[name.index()];
        let twin = numbers.twin.filter(|_| bit == 0);
        numbers.has(bit)
            || numbers.elsewhere.contains(&bit)
            || twin.is_some_and(|(base, bit)| self.numbers[base.index()].has(bit))
    }

    fn set(&mut self, name: NameIx, bit: u32) {
        let numbers = &mut self.numbers[name.index()];
        numbers.set(bit);
        if let Some((base, bit)) = numbers.twin.filter(|_| bit == 0) {
            self.numbers[base.index()].elsewhere.insert(bit);
        }
    }
}

/// The base and the number of a name that ends in a number.
fn numbered(name: &str) -> Option<(&str, u32)> {
    let (base, digits) = name.rsplit_once('_')?;
    let is_number = !base.is_empty() && !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit());
    let number = digits.parse().ok().filter(|number| is_number && *number >= 2)?;
    Some((base, number))
}

impl Numbers {
    fn has(&self, bit: u32) -> bool {
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

    /// The visible names of calls of these names, one after another.
    fn shown(calls: &[&str]) -> Vec<String> {
        let mut names = Names::default();
        let mut next = |name: &&str| {
            let ix = names.intern(name);
            visible_name(name, names.next(ix))
        };
        calls.iter().map(&mut next).collect()
    }

    #[test]
    fn a_visible_name_is_taken_once_whichever_of_its_readings_comes_first() {
        assert_eq!(shown(&["a_2", "a", "a", "a"]), ["a_2", "a", "a_3", "a_4"]);
        assert_eq!(shown(&["a", "a", "a_2", "a_2"]), ["a", "a_2", "a_2_2", "a_2_3"]);
        assert_eq!(shown(&["a_2_2", "a", "a", "a_2", "a_2"]), ["a_2_2", "a", "a_2", "a_2_3", "a_2_4"]);
        assert_eq!(shown(&["a_3", "a", "a", "a", "a_3"]), ["a_3", "a", "a_2", "a_4", "a_3_2"]);
        // Nothing else reads as a number.
        assert_eq!(shown(&["a", "a", "a_02", "a_1", "a_+2", "a_", "_2", "a_x"]).len(), 8);
        assert_eq!(shown(&["a_1", "a_02", "a", "a"]), ["a_1", "a_02", "a", "a_2"]);
        // Numbers up to the largest possible one are read as numbers; larger ones are not.
        assert_eq!(shown(&["a_4294967295", "a_4294967296", "a"]), ["a_4294967295", "a_4294967296", "a"]);
    }

    #[test]
    fn a_visible_name_that_is_given_back_is_free_in_both_its_readings() {
        let mut names = Names::default();
        let (numbered, base) = (names.intern("a_2"), names.intern("a"));
        assert_eq!([names.next(numbered), names.next(base)], [1, 1]);
        names.give_back(numbered, 1);
        assert_eq!([names.next(base), names.next(numbered)], [2, 2]);
        names.give_back(base, 2);
        assert_eq!(names.next(numbered), 1);
    }

    #[test]
    fn records_that_read_alike_keep_their_names_and_no_new_call_takes_one_of_them() {
        let mut names = Names::default();
        let (numbered, base) = (names.intern("a_2"), names.intern("a"));
        names.take(numbered, 1);
        names.take(base, 2);
        assert_eq!([names.next(base), names.next(base), names.next(numbered)], [1, 3, 2]);
    }
}
