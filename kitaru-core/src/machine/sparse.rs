//! Lists by number, most of whose numbers are present. Owns that a list takes memory for its entries, not for the
//! highest number: that number may come from a store or a history that anyone wrote. Must not know what is listed.

use std::collections::BTreeMap;

/// Values by number.
pub(super) struct Sparse<T> {
    dense: Vec<Option<T>>,
    /// Values whose number was far above the others when they were added.
    far: BTreeMap<u32, T>,
}

/// How far above the others a number may be without being far.
const SLACK: usize = 16;

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Sparse { dense: Vec::new(), far: BTreeMap::new() }
    }
}

impl<T> Sparse<T> {
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        match self.dense.get(number as usize) {
            Some(Some(value)) => Some(value),
            _ => self.far.get(&number),
        }
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        match self.dense.get_mut(number as usize) {
            Some(Some(value)) => Some(value),
            _ => self.far.get_mut(&number),
        }
    }

    /// Returns the previous value.
    pub(super) fn set(&mut self, number: u32, value: T) -> Option<T> {
        let nth = number as usize;
        if nth >= self.dense.len() {
            // It doubles at most, so that its size is proportional to its entries.
            if nth > 2 * self.dense.len() + SLACK {
                return self.far.insert(number, value);
            }
            self.dense.resize_with(nth + 1, || None);
        }
        let replaced = self.dense[nth].replace(value);
        if self.far.is_empty() { replaced } else { self.far.remove(&number).or(replaced) }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> + Clone {
        self.dense.iter().flatten().chain(self.far.values())
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        let near = self.dense.get_mut(number as usize).and_then(Option::take);
        near.or_else(|| self.far.remove(&number))
    }

    /// For how many values there is room.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.dense.len() + self.far.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_takes_room_for_what_is_in_it_and_holds_what_a_map_holds() {
        let mut numbers: Vec<u32> = (0..60).chain([1 << 24, 1 << 23, 1 << 16, 90, 91, 200]).chain(100..160).collect();
        numbers.extend([7, 90, 1 << 24, 1 << 16, 200]);
        let (mut list, mut map) = (Sparse::default(), BTreeMap::new());
        for (value, number) in numbers.iter().enumerate() {
            assert_eq!(list.set(*number, value), map.insert(*number, value), "{number}");
        }
        for number in (0..300).chain([1 << 16, 1 << 23, 1 << 24, u32::MAX]) {
            assert_eq!(list.get(number), map.get(&number));
            assert_eq!(list.get_mut(number), map.get_mut(&number));
        }
        assert!(list.room() < 600, "{}", list.room());
        for number in [1 << 24, 200, 7, 7, 5_000] {
            assert_eq!(list.remove(number), map.remove(&number));
            assert_eq!(list.get(number), None);
        }
    }
}
