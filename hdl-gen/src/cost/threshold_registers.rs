//! Registers of a threshold unit whose thresholds are known: bits of the sum that no later comparison reads have none, nor have
//! code bits that never change.

use super::Family;
use super::memory::has_six_inputs;
use super::terms::log2;

/// What a threshold unit is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThresholdShape {
    /// Bits of a sum.
    pub sum_bits: u64,
    /// Bits of a threshold.
    pub bits: u64,
    /// Bits of a code, of which each stage finds one.
    pub code_bits: u64,
    /// Groups of channels.
    pub groups: u64,
    /// Whether a register stands in front of the first stage.
    pub front: bool,
}

/// Registers behind the stages of a unit, and those of the group, which units side by side share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThresholdRegisters {
    /// Of sums and codes: where comparisons of more than 4 bits, of more than 6 bits, and none stand on carry chains, of which
    /// synthesis leaves out no bit.
    pub own: [u64; 3],
    /// Stages that the group passes on its way to the last table that it changes.
    pub group_stages: u64,
}

/// Most bits of comparisons without a carry chain.
const CHAINLESS_BITS: [u64; 3] = [4, 6, u64::MAX];

/// Greatest address of a table that is read in the cycle of its comparison, in bits.
pub(super) const DIRECT_ADDRESS_BITS: u64 = 6;

/// Whether a register stands in front of the first stage.
pub(super) fn has_front(falling: bool, groups: u64) -> bool {
    falling || log2(groups) > DIRECT_ADDRESS_BITS
}

impl ThresholdRegisters {
    /// Numbers in a list of it.
    pub(crate) const NUMBERS: usize = 4;

    /// As a list.
    pub(crate) fn numbers(&self) -> [i64; Self::NUMBERS] {
        let [first, second, third] = self.own;
        [first, second, third, self.group_stages].map(u64::cast_signed)
    }

    /// Of such a list.
    pub(crate) fn of_numbers(numbers: &[i64]) -> Option<Self> {
        let numbers: [i64; Self::NUMBERS] = numbers.try_into().ok()?;
        let [first, second, third, group_stages] = numbers.map(i64::cast_unsigned);
        Some(ThresholdRegisters { own: [first, second, third], group_stages })
    }

    /// Those of sums and codes.
    pub(super) fn of_family(&self, family: Family) -> u64 {
        let [four, six, none] = self.own;
        match family {
            Family::Asic => none,
            _ if has_six_inputs(family) => six,
            _ => four,
        }
    }

    /// Of a unit with such an image's words.
    pub(crate) fn of(words: &[u64], shape: ThresholdShape) -> Self {
        let ThresholdShape { sum_bits, groups, .. } = shape;
        let stages = Stage::all(words, shape);
        let group_bits = log2(groups);
        let changed = |(at, stage): (u64, &Stage)| {
            let early = u64::from(group_bits + at > DIRECT_ADDRESS_BITS);
            (stage.by_group && !stage.never_changes).then(|| (at + u64::from(shape.front)).saturating_sub(early))
        };
        let group_stages = (0..).zip(&stages).filter_map(changed).max().unwrap_or(0);
        let own = CHAINLESS_BITS.map(|most| {
            let chains = shape.bits > most;
            // Behind each stage: the lowest bit of the sum that a later one reads.
            let mut lowest = sum_bits;
            let mut registers = 0;
            for (at, stage) in stages.iter().enumerate().rev() {
                let found = stages.iter().take(at + 1).filter(|stage| !stage.never_changes).count() as u64;
                let copies = lowest == 0 && sum_bits == 1 && stages[0].is_sum;
                registers += found + (sum_bits - lowest) - u64::from(copies);
                if !stage.never_changes {
                    let read = if chains && stage.several { 0 } else { stage.lowest };
                    lowest = lowest.min(read);
                }
            }
            registers + if shape.front { sum_bits } else { 0 }
        });
        ThresholdRegisters { own, group_stages }
    }
}

/// What a stage compares with.
struct Stage {
    /// All thresholds are reached, or none is.
    never_changes: bool,
    /// The table has more than one word.
    several: bool,
    /// Lowest bit of the sum that decides a comparison; all bits where none does.
    lowest: u64,
    /// The first stage asks for the only bit of the sum.
    is_sum: bool,
    /// Groups have different thresholds.
    by_group: bool,
}

impl Stage {
    fn all(words: &[u64], shape: ThresholdShape) -> Vec<Stage> {
        let ThresholdShape { sum_bits, code_bits, groups, .. } = shape;
        let beyond = |word: u64| word >> sum_bits.min(63) > 0;
        // The only codes that are found, where a stage's bit never changes.
        let mut codes: Vec<u64> = vec![0];
        let mut stages = Vec::new();
        for at in 0..code_bits {
            let step = 1u64 << (code_bits - 1 - at);
            let word = |group: u64, code: u64| {
                let place = (group << code_bits) | ((2 * code + 1) * step);
                words.get(place as usize).copied().unwrap_or(0)
            };
            let row = |group: u64| -> Vec<u64> { codes.iter().map(|&code| word(group, code)).collect() };
            let rows: Vec<Vec<u64>> = (0..groups).map(row).collect();
            let read = || rows.iter().flatten().copied();
            let (always, never) = (read().all(|word| word == 0), read().all(beyond));
            let decides = |word: &u64| *word > 0 && !beyond(*word);
            let lowest = read().filter(decides).map(|word| u64::from(word.trailing_zeros())).min();
            let first = rows.first().and_then(|row| row.first()).copied();
            let alike = read().all(|word| Some(word) == first);
            stages.push(Stage {
                never_changes: always || never,
                several: groups > 1 || codes.len() > 1,
                lowest: lowest.unwrap_or(sum_bits),
                is_sum: alike && sum_bits == 1 && first == Some(1),
                by_group: rows.iter().any(|row| Some(row) != rows.first()),
            });
            codes = match (always, never) {
                (true, _) => codes.iter().map(|code| 2 * code + 1).collect(),
                (_, true) => codes.iter().map(|code| 2 * code).collect(),
                (false, false) => codes.iter().flat_map(|code| [2 * code, 2 * code + 1]).collect(),
            };
        }
        stages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units of so many bits of sum, of threshold and of code, over groups that differ.
    #[track_caller]
    fn check([sum_bits, bits, code_bits, groups]: [u64; 4], words: &[u64], expected: ([u64; 3], u64)) {
        let shape = ThresholdShape { sum_bits, bits, code_bits, groups, front: false };
        let found = ThresholdRegisters::of(words, shape);
        assert_eq!((found.own, found.group_stages), expected);
    }

    /// As Yosys 0.23 leaves them for ECP5 and 7-series.
    #[test]
    fn what_no_later_comparison_reads_has_no_register() {
        // All thresholds are odd: three bits and a code bit, three and two, three code bits.
        check([3, 3, 3, 1], &[0, 1, 2, 2, 4, 5, 5, 6], ([12; 3], 0));
        // The second stage compares with 8 and 20, whose two lowest bits are zero, unless a chain takes all bits.
        check([5, 5, 2, 1], &[0, 8, 12, 20], ([8, 6, 6], 0));
        // No sum reaches 7, so that the first bit is zero, and the second stage asks for 2 alone.
        check([2, 3, 3, 1], &[0, 1, 2, 3, 7, 7, 7, 7], ([7; 3], 0));
        // Every sum is at least 0 and none is 7.
        check([2, 3, 2, 1], &[0, 0, 7, 7], ([0; 3], 0));
    }

    /// The first bit of the code is the sum itself, whose copies are one register.
    #[test]
    fn a_code_that_is_the_sum_is_one_register() {
        check([1, 2, 3, 1], &[0, 0, 0, 1, 1, 1, 3, 3], ([6; 3], 0));
        check([1, 1, 3, 1], &[0, 0, 1, 1, 1, 1, 1, 1], ([6; 3], 0));
    }

    /// Two groups with the same thresholds need no group; with others in the second stage, it passes one stage.
    #[test]
    fn the_group_goes_as_far_as_its_tables() {
        check([2, 2, 2, 2], &[0, 0, 1, 3, 0, 0, 1, 3], ([5; 3], 0));
        check([2, 2, 2, 2], &[0, 1, 2, 3, 0, 2, 2, 3], ([5; 3], 1));
        let shape = ThresholdShape { sum_bits: 2, bits: 2, code_bits: 1, groups: 2, front: true };
        let found = ThresholdRegisters::of(&[0, 1, 0, 2], shape);
        assert_eq!((found.own, found.group_stages), ([3; 3], 1));
    }
}
