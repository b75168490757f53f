//! Clamped affine functions of an integer: closed under scaling, shifting and clamping, so that everything between
//! an integer sum and the next quantizer is one of them for each channel.

use super::{Exact, integer};
use num_traits::{One, Signed, Zero};

/// x = min(max(gain * integer + offset, low), high).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    pub gain: Exact,
    pub offset: Exact,
    pub low: Option<Exact>,
    pub high: Option<Exact>,
}

/// One function for each channel, or one for all.
pub(crate) type Functions = Vec<Piece>;

impl Piece {
    /// The integer itself.
    pub fn identity() -> Self {
        Self::affine(Exact::one(), Exact::zero())
    }

    /// gain * integer + offset.
    pub fn affine(gain: Exact, offset: Exact) -> Self {
        Piece { gain, offset, low: None, high: None }
    }

    /// Whether nothing is clamped.
    pub fn is_affine(&self) -> bool {
        self.low.is_none() && self.high.is_none()
    }

    /// Follows with x -> gain * x + offset.
    pub fn then_affine(&mut self, gain: &Exact, offset: &Exact) {
        if !gain.is_one() {
            self.gain *= gain;
            self.offset *= gain;
        }
        if !offset.is_zero() {
            self.offset += offset;
        }
        let map = |bound: Option<Exact>| bound.map(|bound| bound * gain + offset);
        let (low, high) = (map(self.low.take()), map(self.high.take()));
        (self.low, self.high) = if gain.is_negative() { (high, low) } else { (low, high) };
    }

    /// Follows with x -> min(max(x, low), high), as ONNX's Clip has it: `high` wins where it is below `low`.
    pub fn then_clamp(&mut self, low: Option<&Exact>, high: Option<&Exact>) {
        if let Some(low) = low {
            let raise = |bound: &Exact| if bound < low { low.clone() } else { bound.clone() };
            self.low = Some(self.low.as_ref().map_or_else(|| low.clone(), raise));
            self.high = self.high.as_ref().map(raise);
        }
        if let Some(high) = high {
            let lower = |bound: &Exact| if bound > high { high.clone() } else { bound.clone() };
            self.high = Some(self.high.as_ref().map_or_else(|| high.clone(), lower));
            self.low = self.low.as_ref().map(lower);
        }
    }

    /// The function's value, exactly.
    pub fn at(&self, sum: i64) -> Exact {
        let mut value = &self.gain * integer(sum) + &self.offset;
        if let Some(low) = self.low.as_ref().filter(|low| value < **low) {
            value = low.clone();
        }
        if let Some(high) = self.high.as_ref().filter(|high| value > **high) {
            value = high.clone();
        }
        value
    }

    /// The same function of the negated integer.
    pub fn mirrored(&self) -> Self {
        Piece { gain: -&self.gain, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::fraction;

    #[test]
    fn composition_equals_one_step_after_the_other() {
        let steps: [(i64, i64, Option<i64>, Option<i64>); 4] =
            [(2, -3, Some(0), None), (-1, 5, None, Some(3)), (-3, 1, Some(-4), Some(20)), (0, 7, Some(8), Some(6))];
        for count in 0..=steps.len() {
            let mut piece = Piece::identity();
            for (gain, offset, low, high) in &steps[..count] {
                piece.then_affine(&fraction(*gain, 2), &integer(*offset));
                piece.then_clamp(low.map(integer).as_ref(), high.map(integer).as_ref());
            }
            for sum in -20..20 {
                let mut expected = integer(sum);
                for (gain, offset, low, high) in &steps[..count] {
                    expected = expected * fraction(*gain, 2) + integer(*offset);
                    if let Some(low) = low {
                        expected = expected.max(integer(*low));
                    }
                    if let Some(high) = high {
                        expected = expected.min(integer(*high));
                    }
                }
                assert_eq!(piece.at(sum), expected);
            }
        }
    }
}
