//! Integer lines (sum * M + B) >> n through a corridor.

use super::hull::{Corridor, Point};

/// Multiplier and offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub multiplier: i128,
    pub offset: i128,
}

/// Largest shift that is tried.
pub(crate) const MAX_SHIFT: u32 = 60;

impl Corridor {
    /// Least and greatest offset for a multiplier; the corridor is passed where the first is not above the second.
    fn offsets(&self, multiplier: i128, shift: u32) -> (i128, i128) {
        let line = |point: &Point| (i128::from(point.1) << shift) - i128::from(point.0) * multiplier;
        let least = self.below.iter().map(line).max().unwrap_or(i128::MIN / 4);
        let greatest = self.above.iter().map(|point| line(point) - 1).min().unwrap_or(i128::MAX / 4);
        (least, greatest)
    }

    /// How much room a multiplier leaves for offsets; concave in the multiplier.
    fn room(&self, multiplier: i128, shift: u32) -> i128 {
        let (least, greatest) = self.offsets(multiplier, shift);
        greatest - least
    }

    /// Whether the multiplier passes, and with which offset: the one with the most zero bits at its end.
    pub fn line(&self, multiplier: i128, shift: u32) -> Option<Line> {
        let (least, greatest) = self.offsets(multiplier, shift);
        if least > greatest {
            return None;
        }
        let offset = match (self.below.is_empty(), self.above.is_empty()) {
            (true, true) => 0,
            (true, false) => greatest,
            (false, true) => least,
            (false, false) => roundest(least, greatest),
        };
        Some(Line { multiplier, offset })
    }

    /// The least multiplier that passes at a shift, if any does.
    pub fn least(&self, shift: u32) -> Option<Line> {
        let code = |point: &Point| i128::from(point.1);
        let span = self.above.iter().chain(&self.below).map(code).max()?
            - self.above.iter().chain(&self.below).map(code).min()?;
        // The room grows up to its peak; beyond (span + 2) 2^n a line is steeper than every jump of the codes.
        let (mut low, mut high) = (0, (span + 2) << shift);
        while low < high {
            let middle = low + (high - low) / 2;
            let room = self.room(middle, shift);
            if room >= 0 {
                high = middle;
                break;
            }
            if self.room(middle + 1, shift) > room { low = middle + 1 } else { high = middle }
        }
        if self.room(high, shift) < 0 {
            return None;
        }
        let (mut low, mut passing) = (0, high);
        while low < passing {
            let middle = low + (passing - low) / 2;
            if self.room(middle, shift) >= 0 { passing = middle } else { low = middle + 1 }
        }
        self.line(passing, shift)
    }

    /// The largest shift for which products of multipliers and sums stay inside 120 bits.
    fn most_shift(&self) -> u32 {
        let bits = |values: &mut dyn Iterator<Item = i64>| {
            values.map(|value| 64 - value.unsigned_abs().leading_zeros()).max().unwrap_or(0)
        };
        let points = || self.below.iter().chain(&self.above);
        let (sums, codes) = (bits(&mut points().map(|point| point.0)), bits(&mut points().map(|point| point.1)));
        MAX_SHIFT.min(116u32.saturating_sub(sums + codes))
    }

    /// The least shift at which some multiplier passes.
    pub fn least_shift(&self) -> Option<u32> {
        if self.below.is_empty() && self.above.is_empty() {
            return Some(0);
        }
        let most = self.most_shift();
        self.least(most)?;
        let (mut low, mut passing) = (0, most);
        while low < passing {
            let middle = (low + passing) / 2;
            if self.least(middle).is_some() { passing = middle } else { low = middle + 1 }
        }
        Some(passing)
    }
}

/// The number between two others with the most zero bits at its end.
fn roundest(least: i128, greatest: i128) -> i128 {
    let mut best = least;
    for bits in 1..126 {
        let rounded = ((least - 1) >> bits) + 1;
        let Some(rounded) = rounded.checked_shl(bits).filter(|value| value >> bits == rounded) else { break };
        if rounded > greatest {
            break;
        }
        best = rounded;
        if rounded == 0 {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::roundest;

    #[test]
    fn round_numbers() {
        assert_eq!(roundest(-5, 5), 0);
        assert_eq!(roundest(5, 9), 8);
        assert_eq!(roundest(-9, -5), -8);
        assert_eq!(roundest(7, 7), 7);
        assert_eq!(roundest(33, 47), 40);
    }
}
