//! The numbers behind visible names: `draft`, `draft_2`, `draft_3`. Owns which are taken; must not know by what.

use std::collections::HashMap;

/// The numbers taken under each base name, by records and by the calls of this attempt.
#[derive(Default)]
pub(crate) struct Names(HashMap<Box<str>, Numbers>);

#[derive(Default)]
struct Numbers {
    /// A bit for each number; bit 0 stands for number 1.
    taken: Vec<u64>,
    /// No number below this is free.
    floor: u32,
}

impl Names {
    /// Notes that a record has this number.
    pub(crate) fn take(&mut self, base: &str, number: u32) {
        if let Some(bit) = number.checked_sub(1) {
            self.of(base).set(bit);
        }
    }

    /// Takes the lowest free number.
    pub(crate) fn next(&mut self, base: &str) -> u32 {
        let numbers = self.of(base);
        while numbers.is_set(numbers.floor) {
            numbers.floor += 1;
        }
        numbers.set(numbers.floor);
        numbers.floor + 1
    }

    /// Gives a number back that no record has, because its call goes by another name.
    pub(crate) fn give_back(&mut self, base: &str, number: u32) {
        let numbers = self.of(base);
        let Some(bit) = number.checked_sub(1) else { return };
        numbers.taken[bit as usize / 64] &= !(1 << (bit % 64));
        numbers.floor = numbers.floor.min(bit);
    }

    fn of(&mut self, base: &str) -> &mut Numbers {
        // Looked up twice at most: `entry` would allocate the name each time.
        if !self.0.contains_key(base) {
            self.0.insert(base.into(), Numbers::default());
        }
        self.0.get_mut(base).expect("the name was inserted above")
    }
}

impl Numbers {
    fn is_set(&self, bit: u32) -> bool {
        self.taken.get(bit as usize / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }

    fn set(&mut self, bit: u32) {
        let word = bit as usize / 64;
        if word >= self.taken.len() {
            self.taken.resize(word + 1, 0);
        }
        self.taken[word] |= 1 << (bit % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_call_takes_the_lowest_number_that_no_record_has() {
        let mut names = Names::default();
        names.take("draft", 2);
        assert_eq!([names.next("draft"), names.next("draft"), names.next("draft")], [1, 3, 4]);
        assert_eq!(names.next("review"), 1);
    }

    #[test]
    fn a_number_given_back_is_taken_by_the_next_call() {
        let mut names = Names::default();
        assert_eq!([names.next("draft"), names.next("draft")], [1, 2]);
        names.give_back("draft", 1);
        assert_eq!([names.next("draft"), names.next("draft")], [1, 3]);
    }
}
