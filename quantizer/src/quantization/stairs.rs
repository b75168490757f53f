//! Quantizers as monotone stairs: where the next code begins, and whether the boundary itself already has it.

use crate::exact::{Exact, fraction, integer};
use network::rounding::Rounding;
use num_bigint::BigInt;
use num_traits::ToPrimitive;

/// Beyond every code before and after truncation.
const FAR: i64 = 1 << 60;

/// A monotone map from real numbers to codes.
#[derive(Clone, Debug)]
pub(crate) enum Stairs {
    /// Evenly spaced boundaries.
    Steps(Steps),
    /// Code `first` plus the number of sorted `boundaries` that are reached (x >= boundary); infinite ones are left
    /// out and counted in `first` where they are always reached. Codes run to `last`.
    Table { boundaries: Vec<Exact>, first: i64, last: i64 },
}

/// Rounding of real numbers, perhaps after a rounding to finer integers (`Trunc`).
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    pub rounding: Rounding,
    /// With a shift n: the number is first rounded half to even, then divided by 2^n. `None`: rounded once.
    pub truncation: Option<u32>,
    /// Least and greatest code, `code_shift` included.
    pub low: i64,
    pub high: i64,
    /// Added to the rounded number to make the code.
    pub code_shift: i64,
}

impl Stairs {
    /// Least and greatest code.
    pub fn codes(&self) -> (i64, i64) {
        match self {
            Stairs::Steps(steps) => (steps.low, steps.high),
            Stairs::Table { first, last, .. } => (*first, *last),
        }
    }

    /// The code of a number.
    pub fn code(&self, value: &Exact) -> i64 {
        match self {
            Stairs::Steps(steps) => {
                // The greatest code whose boundary is reached; `low` needs none.
                let floor = value.floor().numer().clamp(&BigInt::from(-FAR), &BigInt::from(FAR)).to_i64().unwrap_or(0);
                let near = (floor >> steps.truncation.unwrap_or(0)) + steps.code_shift;
                let (mut reached, mut missed) =
                    ((near - 2).clamp(steps.low, steps.high), (near + 3).clamp(steps.low, steps.high) + 1);
                while missed - reached > 1 {
                    let middle = reached + (missed - reached) / 2;
                    let (halves, inclusive) = steps.boundary(middle);
                    let boundary = fraction(halves, 2);
                    if *value > boundary || (inclusive && *value == boundary) {
                        reached = middle;
                    } else {
                        missed = middle;
                    }
                }
                reached
            }
            Stairs::Table { boundaries, first, .. } => {
                first + boundaries.partition_point(|boundary| boundary <= value) as i64
            }
        }
    }
}

impl Steps {
    /// Where `code` begins, in halves, and whether the boundary itself has it.
    pub fn boundary(&self, code: i64) -> (i64, bool) {
        let (halves, inclusive) = rounded_boundary(self.rounding, code - self.code_shift);
        let Some(shift) = self.truncation else { return (halves, inclusive) };
        // The least finer integer that reaches the code, then where rounding half to even reaches that integer.
        let scaled = i128::from(halves) << shift;
        let finer = if inclusive { -(-scaled).div_euclid(2) } else { scaled.div_euclid(2) + 1 };
        let finer = finer.to_i64().unwrap_or(i64::MAX / 4).clamp(i64::MIN / 4, i64::MAX / 4);
        rounded_boundary(Rounding::HalfEven, finer)
    }

    /// What to add to the number so that its boundaries lie halfway between codes.
    pub fn centre(&self) -> Exact {
        match self.rounding {
            Rounding::HalfEven | Rounding::HalfUp | Rounding::HalfDown => integer(self.code_shift),
            Rounding::Floor | Rounding::Down => integer(self.code_shift) - fraction(1, 2),
            Rounding::Ceil | Rounding::Up => integer(self.code_shift) + fraction(1, 2),
        }
    }
}

/// Where the rounded number becomes at least `code`: the boundary in halves, and whether it already does there.
fn rounded_boundary(rounding: Rounding, code: i64) -> (i64, bool) {
    let positive = code > 0;
    match rounding {
        Rounding::HalfEven => (2 * code - 1, code % 2 == 0),
        Rounding::HalfUp => (2 * code - 1, positive),
        Rounding::HalfDown => (2 * code - 1, !positive),
        Rounding::Ceil => (2 * code - 2, false),
        Rounding::Floor => (2 * code, true),
        Rounding::Up if positive => (2 * code - 2, false),
        Rounding::Up => (2 * code, true),
        Rounding::Down if positive => (2 * code, true),
        Rounding::Down => (2 * code - 2, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [Rounding; 7] = [
        Rounding::HalfEven,
        Rounding::HalfUp,
        Rounding::HalfDown,
        Rounding::Ceil,
        Rounding::Floor,
        Rounding::Up,
        Rounding::Down,
    ];

    #[test]
    fn stairs_round_like_the_rounding_mode() {
        for rounding in MODES {
            for code_shift in [0, 3] {
                let steps =
                    Steps { rounding, truncation: None, low: -4 + code_shift, high: 4 + code_shift, code_shift };
                for eighths in -60..60 {
                    let expected = rounding.apply((eighths as f32 / 8.0).clamp(-4.0, 4.0)) as i64 + code_shift;
                    let stairs = Stairs::Steps(steps.clone());
                    assert_eq!(stairs.code(&fraction(eighths, 8)), expected, "{rounding:?} {eighths}/8");
                }
            }
        }
    }

    #[test]
    fn truncation_rounds_twice() {
        for rounding in MODES {
            for shift in 0..4u32 {
                let steps = Stairs::Steps(Steps { rounding, truncation: Some(shift), low: -9, high: 9, code_shift: 0 });
                for eighths in -100..100 {
                    let finer = (eighths as f32 / 8.0).round_ties_even();
                    let expected = rounding.apply((finer / 2f32.powi(shift as i32)).clamp(-9.0, 9.0)) as i64;
                    assert_eq!(steps.code(&fraction(eighths, 8)), expected, "{rounding:?} {eighths}/8 >> {shift}");
                }
            }
        }
    }
}
