//! The values of a matrix of weights: given, or drawn from a seed when somebody reads them.
//!
//! What only counts weights (ranges of sums, constants of an output channel) takes how often each code occurs in a row,
//! which needs no memory for the values themselves.

use crate::format::Format;
use crate::random::Stream;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock, OnceLock};

/// Widest codes that are counted, in bits.
const MOST_COUNTED_BITS: u32 = 8;
/// Values from which on counting is shared among threads.
const SHARED_FROM: usize = 1 << 17;

/// Threads that the machine has; asking takes as long as counting a small layer.
static THREADS: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

/// Values (not codes), row after row. Copies share them.
#[derive(Clone)]
pub struct Values(Arc<Shared>);

struct Shared {
    made: OnceLock<Vec<i32>>,
    drawn: Option<Drawn>,
    /// For each row how often each code occurs.
    counts: OnceLock<Vec<u32>>,
}

/// Values that a seed gives: any code of the format, the first the least and the second the greatest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawn {
    /// Before the third value.
    pub stream: Stream,
    pub format: Format,
    pub outputs: usize,
    pub length: usize,
}

impl Values {
    /// Values that are drawn when they are read.
    pub(crate) fn drawn(drawn: Drawn) -> Self {
        Values(Arc::new(Shared { made: OnceLock::new(), drawn: Some(drawn), counts: OnceLock::new() }))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0.drawn {
            Some(drawn) => drawn.outputs.saturating_mul(drawn.length),
            None => self.as_slice().len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they were drawn from this format, so that every one fits it.
    pub fn are_drawn_from(&self, format: Format) -> bool {
        self.0.drawn.as_ref().is_some_and(|drawn| drawn.format == format)
    }

    /// Each code's value in a row of drawn values with how often it occurs there; none where counting saves nothing.
    pub fn counted(&self, row: usize) -> Option<impl Iterator<Item = (i64, i64)> + '_> {
        let drawn = self.0.drawn.as_ref().filter(|drawn| drawn.can_be_counted())?;
        let counts = self.0.counts.get_or_init(|| drawn.counts());
        let codes = drawn.codes();
        let least = drawn.format.code_range().min();
        let row = counts.get(row * codes..(row + 1) * codes)?;
        Some((least..).zip(row).map(|(code, &count)| (drawn.format.value(code), i64::from(count))))
    }

    /// All values in order.
    pub fn as_slice(&self) -> &[i32] {
        self.0.made.get_or_init(|| self.0.drawn.as_ref().map(Drawn::values).unwrap_or_default())
    }
}

impl Drawn {
    fn codes(&self) -> usize {
        1 << self.format.bits()
    }

    fn can_be_counted(&self) -> bool {
        self.format.bits() <= MOST_COUNTED_BITS && self.length >= 2 * self.codes()
    }

    /// Codes above the least one from the value at `index` on.
    fn offsets_from(&self, index: usize) -> impl Iterator<Item = u64> {
        let bits = self.format.bits();
        let mut stream = self.stream.skipped(index.saturating_sub(2) as u64);
        let firsts = [0, (1u64 << bits) - 1].into_iter().skip(index);
        firsts.chain(std::iter::repeat_with(move || stream.next_word() >> (64 - bits)))
    }

    fn values(&self) -> Vec<i32> {
        let least = self.format.code_range().min();
        let value = |offset: u64| self.format.value(least + offset.cast_signed()) as i32;
        self.offsets_from(0).take(self.outputs.saturating_mul(self.length)).map(value).collect()
    }

    fn counts(&self) -> Vec<u32> {
        let codes = self.codes();
        let mut counts = vec![0u32; self.outputs * codes];
        let threads = match self.outputs.saturating_mul(self.length) >= SHARED_FROM {
            true => *THREADS,
            false => 1,
        };
        let rows = self.outputs.div_ceil(threads).max(1);
        let count = |first: usize, counts: &mut [u32]| {
            for (row, counts) in (first..).zip(counts.chunks_mut(codes)) {
                self.offsets_from(row * self.length).take(self.length).for_each(|offset| counts[offset as usize] += 1);
            }
        };
        std::thread::scope(|scope| {
            let mut parts = (0..self.outputs).step_by(rows).zip(counts.chunks_mut(rows * codes));
            let own = parts.next();
            for (first, part) in parts {
                scope.spawn(move || count(first, part));
            }
            if let Some((first, part)) = own {
                count(first, part);
            }
        });
        counts
    }
}

impl From<Vec<i32>> for Values {
    fn from(values: Vec<i32>) -> Self {
        Values(Arc::new(Shared { made: OnceLock::from(values), drawn: None, counts: OnceLock::new() }))
    }
}

impl Deref for Values {
    type Target = [i32];

    fn deref(&self) -> &[i32] {
        self.as_slice()
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [i32] {
        if self.0.drawn.is_some() || Arc::get_mut(&mut self.0).is_none() {
            *self = Values::from(self.to_vec());
        }
        Arc::get_mut(&mut self.0).and_then(|shared| shared.made.get_mut()).map_or(&mut [], Vec::as_mut_slice)
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        let alike = self.0.drawn.is_some() && self.0.drawn == other.0.drawn;
        Arc::ptr_eq(&self.0, &other.0) || alike || self.as_slice() == other.as_slice()
    }
}

impl Eq for Values {}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(format: &str, outputs: usize, length: usize) -> Values {
        let stream = Stream::for_layer(5, "conv");
        Values::drawn(Drawn { stream, format: format.parse().unwrap(), outputs, length })
    }

    /// One value after the other, as the seed gives them.
    fn one_by_one(format: &str, count: usize) -> Vec<i32> {
        let format: Format = format.parse().unwrap();
        let mut stream = Stream::for_layer(5, "conv");
        let range = format.value_range();
        let mut all = vec![range.min() as i32, range.max() as i32];
        all.extend((2..count).map(|_| format.value(stream.next_code(format)) as i32));
        all.truncate(count);
        all
    }

    #[track_caller]
    fn check(format: &str, outputs: usize, length: usize) {
        let (values, expected) = (drawn(format, outputs, length), one_by_one(format, outputs * length));
        assert_eq!(values.len(), expected.len());
        for (row, weights) in expected.chunks(length).enumerate() {
            let Some(counted) = values.counted(row) else { panic!("{format} is counted") };
            for (value, count) in counted {
                let found = weights.iter().filter(|&&weight| i64::from(weight) == value).count();
                assert_eq!(found as i64, count, "{format}: {value} in row {row}");
            }
        }
        assert_eq!(values.as_slice(), expected);
    }

    #[test]
    fn counts_are_those_of_the_values() {
        check("s2", 3, 8);
        check("u3", 5, 40);
        check("s4", 7, 129);
        check("bipolar1", 2, 64);
        check("bipolar3", 4, 33);
        check("s8", 300, 600);
    }

    #[test]
    fn short_rows_and_wide_codes_are_not_counted() {
        assert!(drawn("s4", 4, 31).counted(0).is_none());
        assert!(drawn("s9", 1, 4096).counted(0).is_none());
        assert!(Values::from(vec![1; 64]).counted(0).is_none());
        assert_eq!(drawn("s9", 2, 3)[..], one_by_one("s9", 6));
        assert_eq!(drawn("u1", 1, 1)[..], [0]);
    }

    #[test]
    fn a_changed_copy_leaves_the_others_alone() {
        let values = drawn("s4", 2, 40);
        let mut copy = values.clone();
        assert_eq!(copy, values);
        copy[0] = 7;
        assert_ne!(copy, values);
        assert_eq!((values[0], copy[0], copy.counted(0).is_none()), (-8, 7, true));
        let same = drawn("s4", 2, 40);
        assert!(same == values && same != drawn("s4", 2, 41) && same != drawn("u4", 2, 40));
    }
}
