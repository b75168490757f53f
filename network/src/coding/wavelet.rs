//! Wavelet weights: the sub-bands of a one-level Haar transform over blocks of two output channels by two inputs, each
//! with its own width (multi-scale wavelet quantization, MWQ).
//!
//! A block of weights (a b; c d), a and b of one output channel, has four sub-band numbers A, H, V, D, each a code times
//! the multiplier of its sub-band, all in one base step:
//!
//! - Haar: a = A+H+V+D, b = A-H+V-D, c = A+H-V-D, d = A-H-V+D. The factor 1/2 of the orthonormal transform belongs to
//!   the base step, so no bit is lost.
//! - Lifting: pairs (x, y) with h = x - y and l = y + floor(h / 2), first along inputs, then along output channels; it is
//!   lossless on integers, but not linear.
//!
//! At an odd last row or column the missing partner is a copy of its neighbour, so that its differences are zero.

use crate::format::Format;
use crate::op::Weights;
use crate::range::Range;
use std::fmt;

/// Widest code of a sub-band: differences of differences of 8-bit weights.
pub const MAX_SUBBAND_BITS: u32 = 10;
/// Largest multiplier of a sub-band.
const MAX_MULTIPLIER: i64 = 1 << 12;

/// Which transform makes weights of sub-bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// Sums and differences.
    Haar,
    /// The integer pair that loses nothing.
    Lifting,
}

/// Four weights or four sub-band numbers: a b c d, or A H V D.
pub type Block = [i64; 4];

/// The sub-bands of a layer's weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wavelet {
    widths: [u32; 4],
    multipliers: [i64; 4],
    transform: Transform,
    plain: Format,
}

impl Wavelet {
    /// Sub-bands A, H, V, D with a width and a multiplier each. A width of 0 leaves a sub-band out.
    ///
    /// # Errors
    /// What is wrong, in words: a width above 10 or a first one of 0, a multiplier that is not 1 to 4096, or weights
    /// that leave 16 bits.
    pub fn new(widths: [u32; 4], multipliers: [i64; 4], transform: Transform) -> Result<Self, String> {
        if let Some(width) = widths.iter().find(|width| **width > MAX_SUBBAND_BITS) {
            return Err(format!("a sub-band of {width} bits, outside 0 to {MAX_SUBBAND_BITS}"));
        }
        if widths[0] == 0 {
            return Err("the first sub-band has no bits".to_owned());
        }
        if let Some(multiplier) = multipliers.iter().find(|multiplier| !(1..=MAX_MULTIPLIER).contains(*multiplier)) {
            return Err(format!("a multiplier of {multiplier}, outside 1 to {MAX_MULTIPLIER}"));
        }
        let placeholder = Format::signed(1).ok_or("no format of 1 bit")?;
        let mut wavelet = Wavelet { widths, multipliers, transform, plain: placeholder };
        // Every weight is monotone in every code, so the ends lie at corners.
        let ends = |band: usize| match widths[band] {
            0 => [0, 0],
            bits => [-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1],
        };
        let corners = (0..16usize).map(|corner| [0, 1, 2, 3].map(|band| ends(band)[corner >> band & 1]));
        let ranges = corners.map(|codes| {
            let block = wavelet.weights(codes);
            block.iter().fold(Range::new(block[0], block[0]), |range, &value| range.union(Range::new(value, value)))
        });
        let range = ranges.reduce(Range::union).unwrap_or(Range::new(0, 0));
        wavelet.plain = Format::integer_for(range).ok_or("weights of more than 16 bits")?;
        Ok(wavelet)
    }

    /// Bits of a code of each sub-band; 0 where it is left out.
    pub fn widths(&self) -> [u32; 4] {
        self.widths
    }

    /// Step of each sub-band in base steps.
    pub fn multipliers(&self) -> [i64; 4] {
        self.multipliers
    }

    /// The transform.
    pub fn transform(&self) -> Transform {
        self.transform
    }

    /// Bits of a block's four codes.
    pub fn block_bits(&self) -> u32 {
        self.widths.iter().sum()
    }

    /// The narrowest plain format that holds every weight.
    pub fn plain(&self) -> Format {
        self.plain
    }

    /// The weights a, b, c, d that the codes of A, H, V, D mean.
    pub fn weights(&self, codes: Block) -> Block {
        let [a, h, v, d] = [0, 1, 2, 3].map(|band| codes[band] * self.multipliers[band]);
        match self.transform {
            Transform::Haar => [a + h + v + d, a - h + v - d, a + h - v - d, a - h - v + d],
            Transform::Lifting => {
                let ([low0, low1], [high0, high1]) = (unlift(a, v), unlift(h, d));
                let ([a, b], [c, d]) = (unlift(low0, high0), unlift(low1, high1));
                [a, b, c, d]
            }
        }
    }

    /// The codes whose weights these are, or `None` where there are none.
    pub fn codes(&self, block: Block) -> Option<Block> {
        let [a, b, c, d] = block;
        let bands = match self.transform {
            Transform::Haar => {
                let sums = [a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d];
                if sums.iter().any(|sum| sum % 4 != 0) {
                    return None;
                }
                sums.map(|sum| sum / 4)
            }
            Transform::Lifting => {
                let ([low0, high0], [low1, high1]) = (lift(a, b), lift(c, d));
                let ([a, v], [h, d]) = (lift(low0, low1), lift(high0, high1));
                [a, h, v, d]
            }
        };
        let mut codes = [0; 4];
        for (band, code) in codes.iter_mut().enumerate() {
            if bands[band] % self.multipliers[band] != 0 {
                return None;
            }
            *code = bands[band] / self.multipliers[band];
            let half = (1i64 << self.widths[band]) / 2;
            if *code != 0 && !(-half..half).contains(code) {
                return None;
            }
        }
        Some(codes)
    }

    /// The block of a matrix whose first weight stands in row 2 * `row` and column 2 * `column`.
    pub fn block(weights: &Weights, row: usize, column: usize) -> Block {
        let (last_row, last_column) = (weights.outputs - 1, weights.length - 1);
        let at = |row: usize, column: usize| {
            let row = weights.row(row.min(last_row));
            i64::from(row.get(column.min(last_column)).copied().unwrap_or(0))
        };
        let (row, column) = (2 * row, 2 * column);
        [at(row, column), at(row, column + 1), at(row + 1, column), at(row + 1, column + 1)]
    }

    /// Bits of all codes of a matrix.
    pub fn stored_bits(&self, outputs: usize, length: usize) -> u64 {
        (outputs.div_ceil(2) * length.div_ceil(2)) as u64 * u64::from(self.block_bits())
    }
}

/// Low and high part of a pair.
fn lift(x: i64, y: i64) -> [i64; 2] {
    let high = x - y;
    [y + high.div_euclid(2), high]
}

/// The pair of a low and a high part.
fn unlift(low: i64, high: i64) -> [i64; 2] {
    let y = low - high.div_euclid(2);
    [y + high, y]
}

impl fmt::Display for Wavelet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<String> = self.widths.iter().map(u32::to_string).collect();
        let name = match self.transform {
            Transform::Haar => "wavelet",
            Transform::Lifting => "lifting",
        };
        write!(f, "{name}{}", widths.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifting_returns_every_pair_of_bytes() {
        for x in -128..128 {
            for y in -128..128 {
                let [low, high] = lift(x, y);
                assert_eq!(unlift(low, high), [x, y]);
                assert!((-128..128).contains(&low) && (-255..256).contains(&high), "{x} {y}");
            }
        }
    }

    #[test]
    fn lifting_with_wide_sub_bands_has_every_block_of_bytes() {
        let wavelet = Wavelet::new([8, 9, 9, 10], [1; 4], Transform::Lifting).unwrap();
        let ends = [-128, -127, -1, 0, 1, 63, 127];
        for corner in 0..7usize.pow(4) {
            let block = [1, 7, 49, 343].map(|place| ends[corner / place % 7]);
            let codes = wavelet.codes(block);
            assert_eq!(codes.map(|codes| wavelet.weights(codes)), Some(block), "{block:?}");
        }
    }

    #[test]
    fn haar_blocks_come_back_and_keep_their_energy() {
        let wavelet = Wavelet::new([4, 3, 3, 2], [3, 2, 1, 1], Transform::Haar).unwrap();
        for codes in [[7, 3, -4, 1], [-8, -4, 3, -2], [0, 0, 0, 0], [5, -1, 2, 1]] {
            let block = wavelet.weights(codes);
            assert_eq!(wavelet.codes(block), Some(codes));
            // Parseval: the transform without its 1/2 has four times the energy.
            let energy = |numbers: Block| numbers.iter().map(|number| number * number).sum::<i64>();
            let bands = [0, 1, 2, 3].map(|band| codes[band] * [3, 2, 1, 1][band]);
            assert_eq!(energy(block), 4 * energy(bands));
        }
        assert_eq!(wavelet.codes([1, 0, 0, 0]), None);
        assert_eq!(wavelet.weights([7, 3, -4, 1]), [24, 10, 30, 20]);
    }

    #[test]
    fn wrong_sub_bands_are_told() {
        let wrong = |widths, multipliers| Wavelet::new(widths, multipliers, Transform::Haar).unwrap_err();
        assert!(wrong([0, 1, 1, 1], [1; 4]).contains("no bits"));
        assert!(wrong([4, 11, 1, 1], [1; 4]).contains("11 bits"));
        assert!(wrong([4, 1, 1, 1], [1, 1, 0, 1]).contains("multiplier of 0"));
        assert!(wrong([10, 10, 10, 10], [64; 4]).contains("16 bits"));
    }
}
