//! Exact integer ranges; bit widths are derived from them and never stored beside them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// All integers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    min: i64,
    max: i64,
}

impl Range {
    /// The range between two ends, whichever way round they are given.
    pub fn new(a: i64, b: i64) -> Self {
        Range { min: a.min(b), max: a.max(b) }
    }

    /// Least integer.
    pub fn min(self) -> i64 {
        self.min
    }

    /// Greatest integer.
    pub fn max(self) -> i64 {
        self.max
    }

    /// Whether `value` lies inside.
    pub fn contains(self, value: i64) -> bool {
        self.min <= value && value <= self.max
    }

    /// Whether all of `other` lies inside.
    pub fn contains_range(self, other: Range) -> bool {
        self.min <= other.min && other.max <= self.max
    }

    /// The smallest range that holds both.
    pub fn union(self, other: Range) -> Range {
        Range { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// Whether the range needs a sign.
    pub fn is_signed(self) -> bool {
        self.min < 0
    }

    /// Bits that hold every integer of the range: unsigned when none is negative, else two's complement. At least 1.
    pub fn bits(self) -> u32 {
        let magnitude = |v: i64| 64 - (if v < 0 { !v } else { v }).leading_zeros();
        let bits = magnitude(self.min).max(magnitude(self.max)) + u32::from(self.is_signed());
        bits.max(1)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::Range;

    #[track_caller]
    fn check(min: i64, max: i64, bits: u32) {
        assert_eq!(Range::new(min, max).bits(), bits);
    }

    #[test]
    fn bits_of_ranges() {
        check(0, 0, 1);
        check(0, 1, 1);
        check(-1, 0, 1);
        check(0, 255, 8);
        check(0, 256, 9);
        check(-128, 127, 8);
        check(-129, 0, 9);
        check(-1, 255, 9);
        check(i64::MIN, i64::MAX, 64);
    }
}
