//! Exact thresholds of a channel: the least sum that reaches each code.

use super::Channel;
use crate::exact::{Exact, Piece};
use crate::quantization::{Stairs, Steps};
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive, Zero};

/// A channel with its direction removed: a falling channel is seen as a function of the negated sum.
#[derive(Clone, Debug)]
pub(crate) struct Rising {
    /// With a gain that is not negative.
    pub piece: Piece,
    pub falling: bool,
    /// Least and greatest sum (negated where falling).
    pub sums: (i64, i64),
    /// Codes at these ends.
    pub codes: (i64, i64),
}

impl Rising {
    /// Evaluates the rule at both ends of the reachable sums.
    pub fn new(channel: &Channel) -> Self {
        let falling = channel.piece.gain.is_negative();
        let (min, max) = (channel.sums.min(), channel.sums.max());
        let (piece, sums) =
            if falling { (channel.piece.mirrored(), (-max, -min)) } else { (channel.piece.clone(), (min, max)) };
        let codes = (channel.stairs.code(&piece.at(sums.0)), channel.stairs.code(&piece.at(sums.1)));
        Rising { piece, falling, sums, codes }
    }

    /// For each code above the least one the least sum that reaches it, in ascending order.
    ///
    /// All lie above the least sum, so no clamp of the piece is met between.
    pub fn thresholds(&self, stairs: &Stairs) -> Vec<i64> {
        let (first, last) = self.codes;
        match stairs {
            Stairs::Steps(steps) => evenly_spaced(&self.piece, steps, first + 1, last),
            Stairs::Table { boundaries, first: least, .. } => {
                let (from, to) = ((first - least) as usize, (last - least) as usize);
                boundaries[from..to]
                    .iter()
                    .map(|boundary| clamped(&((boundary - &self.piece.offset) / &self.piece.gain).ceil()))
                    .collect()
            }
        }
    }
}

fn clamped(value: &Exact) -> i64 {
    saturated(value.numer())
}

fn saturated(value: &BigInt) -> i64 {
    value.to_i64().unwrap_or(if value.is_negative() { i64::MIN } else { i64::MAX })
}

/// Bits behind the point of the fixed-point quotient.
const FRACTION_BITS: u32 = 62;
/// The fixed-point quotient is trusted where it is at least this far from an integer, in units of its last place:
/// it has two rounded terms, one of them multiplied by a boundary of at most 2^18 halves.
const MARGIN: i128 = 1 << 20;

/// Least sums with P sum + R >= h D / 2 (or >), for the boundaries h of the codes from `first` to `last`.
fn evenly_spaced(piece: &Piece, steps: &Steps, first: i64, last: i64) -> Vec<i64> {
    if first > last {
        return Vec::new();
    }
    // A = P / D and C = R / D over one denominator; then sum >= (h D - 2 R) / (2 P).
    let denominator = piece.gain.denom().lcm(piece.offset.denom());
    let gain = piece.gain.numer() * (&denominator / piece.gain.denom());
    let offset = piece.offset.numer() * (&denominator / piece.offset.denom());
    let (twice_offset, divisor): (BigInt, BigInt) = (offset * 2, gain * 2);
    debug_assert!(!divisor.is_zero());
    let exact = |halves: i64, inclusive: bool| {
        let numerator = &denominator * halves - &twice_offset;
        if inclusive {
            saturated(&numerator.div_ceil(&divisor))
        } else {
            saturated(&(numerator.div_floor(&divisor) + 1))
        }
    };
    let small = || Some((denominator.to_i64()?, twice_offset.to_i64()?, divisor.to_i64()?));
    if let Some((denominator, twice_offset, divisor)) = small() {
        let (denominator, twice_offset, divisor) =
            (i128::from(denominator), i128::from(twice_offset), i128::from(divisor));
        let quotient = |(halves, inclusive): (i64, bool)| {
            let numerator = denominator * i128::from(halves) - twice_offset;
            let floor = numerator.div_euclid(divisor);
            let up = !inclusive || floor * divisor != numerator;
            i64::try_from(floor + i128::from(up)).unwrap_or(if numerator < 0 { i64::MIN } else { i64::MAX })
        };
        return (first..=last).map(|code| quotient(steps.boundary(code))).collect();
    }
    let slope = ((&denominator << FRACTION_BITS).div_floor(&divisor)).to_i128().filter(|slope| slope.abs() < 1 << 104);
    let start =
        ((-&twice_offset << FRACTION_BITS).div_floor(&divisor)).to_i128().filter(|start| start.abs() < 1 << 125);
    let (Some(slope), Some(start)) = (slope, start) else {
        return (first..=last)
            .map(|code| {
                let (halves, inclusive) = steps.boundary(code);
                exact(halves, inclusive)
            })
            .collect();
    };
    let one = 1i128 << FRACTION_BITS;
    (first..=last)
        .map(|code| {
            let (halves, inclusive) = steps.boundary(code);
            let estimate = slope.checked_mul(i128::from(halves)).and_then(|product| product.checked_add(start));
            let Some(estimate) = estimate.filter(|_| halves.abs() < 1 << 18) else { return exact(halves, inclusive) };
            let fraction = estimate & (one - 1);
            if fraction < MARGIN || fraction > one - MARGIN {
                return exact(halves, inclusive);
            }
            (estimate >> FRACTION_BITS) as i64 + 1
        })
        .collect()
}
