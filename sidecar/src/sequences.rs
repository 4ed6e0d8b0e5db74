//! Which numbers of a sequence are known: the holes are what was lost.

use contract::audit::Heartbeat;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most ranges that are kept apart. Beyond it the lowest holes are given up: they are old, and told.
const MOST: usize = 10_000;

/// A set of numbers, as ranges with both ends in them, apart and in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds a number.
    pub fn add(&mut self, number: u64) {
        // Nearly always the next one.
        if let Some((_, end)) = self.0.last_mut()
            && number == end.saturating_add(1)
        {
            *end = number;
            return;
        }
        let at = self.0.partition_point(|(_, end)| end.saturating_add(1) < number);
        match self.0.get_mut(at) {
            Some((start, end)) if number.saturating_add(1) >= *start => {
                *start = number.min(*start);
                *end = number.max(*end);
                self.join(at);
            }
            _ => self.0.insert(at, (number, number)),
        }
        if self.0.len() > MOST {
            self.give_up();
        }
    }

    /// Joins a range with the next one, if they touch.
    fn join(&mut self, at: usize) {
        let next = at.saturating_add(1);
        if let (Some((_, end)), Some((start, last))) = (self.0.get(at), self.0.get(next))
            && end.saturating_add(1) >= *start
        {
            let last = *last.max(end);
            self.0.remove(next);
            if let Some((_, end)) = self.0.get_mut(at) {
                *end = last;
            }
        }
    }

    fn give_up(&mut self) {
        if let (Some((first, _)), Some((_, end))) =
            (self.0.first().copied(), self.0.get(1).copied())
        {
            self.0.drain(..2);
            self.0.insert(0, (first, end));
        }
    }

    /// Adds the numbers from `start` to `end`, both included; none if they are the wrong way round.
    pub fn add_range(&mut self, start: u64, end: u64) {
        if start > end {
            return;
        }
        let at = self.0.partition_point(|(_, last)| last.saturating_add(1) < start);
        let (mut low, mut high) = (start, end);
        while let Some((first, last)) = self.0.get(at).copied()
            && first <= high.saturating_add(1)
        {
            (low, high) = (low.min(first), high.max(last));
            self.0.remove(at);
        }
        self.0.insert(at, (low, high));
    }

    /// As they are.
    pub fn into_ranges(self) -> Vec<(u64, u64)> {
        self.0
    }

    /// Is it in it?
    pub fn has(&self, number: u64) -> bool {
        let at = self.0.partition_point(|(_, end)| *end < number);

        self.0.get(at).is_some_and(|(start, _)| *start <= number)
    }

    /// The highest; 0 for none.
    pub fn highest(&self) -> u64 {
        self.0.last().map_or(0, |(_, end)| *end)
    }

    /// The ranges from 1 to `highest` that are not in it.
    pub fn holes(&self, highest: u64) -> Vec<(u64, u64)> {
        let mut holes = Vec::new();
        let mut next = 1_u64;
        for (start, end) in &self.0 {
            if *start > highest {
                break;
            }
            if next < *start {
                holes.push((next, start.saturating_sub(1)));
            }
            next = end.saturating_add(1);
        }
        if next <= highest {
            holes.push((next, highest));
        }

        holes
    }
}

/// What is known of one VM's sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Names the start of Envoy.
    pub boot: u64,
    /// The VM.
    pub vm: u32,
    /// Numbers that have a row.
    pub stored: Ranges,
    /// What it last told of itself.
    pub told: Heartbeat,
    /// When, Unix microseconds; 0 for never.
    pub heard_at: u64,
}

impl Sequence {
    /// Is the VM there, as far as one can tell at that time?
    pub fn lives(&self, now: u64, patience: u64) -> bool {
        self.heard_at.saturating_add(patience) >= now
    }

    /// Numbers that should have a row and have none: given out, ended when the VM last told of them,
    /// or given out by a VM that is no more.
    pub fn missing(&self, alive: bool) -> Vec<(u64, u64)> {
        let highest =
            if alive { self.told.highest } else { self.told.highest.max(self.stored.highest()) };
        let open: BTreeSet<u64> =
            if alive { self.told.open.iter().copied().collect() } else { BTreeSet::new() };
        // What came after the last word of the VM may still be on its way.
        let mut missing = Vec::new();
        for (start, end) in self.stored.holes(highest) {
            let mut from = start;
            for number in open.range(start..=end) {
                if from < *number {
                    missing.push((from, number.saturating_sub(1)));
                }
                from = number.saturating_add(1);
            }
            if from <= end {
                missing.push((from, end));
            }
        }

        missing
    }
}

/// How many numbers ranges hold.
pub fn count(ranges: &[(u64, u64)]) -> u64 {
    ranges.iter().fold(0_u64, |sum, (start, end)| {
        sum.saturating_add(end.saturating_sub(*start)).saturating_add(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[u64]) -> Ranges {
        let mut ranges = Ranges::default();
        for number in numbers {
            ranges.add(*number);
        }
        ranges
    }

    #[test]
    fn numbers_in_any_order_make_the_same_ranges() {
        let mut numbers: Vec<u64> = (1..=200).filter(|n| n % 7 != 0).collect();
        let straight = of(&numbers);
        for round in 0..50_usize {
            let length = numbers.len();
            numbers.rotate_left(round * 13 % length);
            numbers.swap(round % length, round * 31 % length);
            assert_eq!(of(&numbers), straight, "{numbers:?}");
        }

        assert_eq!(of(&[2, 1, 3, 3, 1]), Ranges(vec![(1, 3)]));
        let mut ranges = of(&[1, 2, 5, 9, 10]);
        ranges.add_range(4, 8);
        ranges.add_range(20, 19);
        assert_eq!(ranges, Ranges(vec![(1, 2), (4, 10)]));
        assert_eq!(straight.holes(14), [(7, 7), (14, 14)]);
        assert_eq!(of(&[]).holes(3), [(1, 3)]);
        assert!(straight.has(8) && !straight.has(7) && !straight.has(500));
        assert_eq!(count(&straight.holes(21)), 3);
    }

    #[test]
    fn what_is_still_open_is_not_missing_until_its_vm_is_gone() {
        let sequence = Sequence {
            stored: of(&[1, 2, 5, 9]),
            told: Heartbeat { highest: 7, open: vec![4], ..Heartbeat::default() },
            heard_at: 100,
            ..Sequence::default()
        };

        assert_eq!(sequence.missing(true), [(3, 3), (6, 7)], "8 came after its last word");
        assert_eq!(sequence.missing(false), [(3, 4), (6, 8)]);
        assert!(sequence.lives(150, 60) && !sequence.lives(161, 60));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_holes_are_given_up_first() {
        let ranges = of(&(0..20_000).map(|n| n * 2 + 1).collect::<Vec<_>>());

        assert_eq!(ranges.0.len(), MOST);
        assert_eq!(ranges.highest(), 39_999);
        assert!(!ranges.has(39_998) && ranges.has(2));
    }
}
