//! From a channel's exact rule to the cheapest integer form that equals it at every reachable sum.
//!
//! The rule is code = stairs(min(max(A * sum + C, low), high)) with exact A and C. It is monotone in the sum, so it
//! is given by one threshold for each code boundary, found by exact division. The shift form
//! (sum * M + B) >> n is monotone too, so it equals the rule exactly where it agrees on both sides of every
//! threshold and at both ends of the reachable sums. For a multiplier M and shift n the offsets B that do are
//!
//! ```text
//! lo(M) = max_j (j 2^n - T_j M)   to   hi(M) = min_j (j 2^n - 1 - (T_j - 1) M)
//! ```
//!
//! and hi - lo is concave in M. What works for n works for n + 1 (twice M and B), so the least n is found by halving.

mod choose;
mod hull;
mod line;
mod threshold;

pub(crate) use choose::{collapse, solve};

use crate::exact::Piece;
use crate::quantization::Stairs;
use network::Range;
use network::requantization::Form;

/// The exact rule of one channel.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    /// What the stairs are given, as a function of the sum.
    pub piece: Piece,
    /// From numbers to codes.
    pub stairs: std::rc::Rc<Stairs>,
    /// All sums that can occur.
    pub sums: Range,
}

/// An integer form and the codes that it makes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Solved {
    /// From the least to the greatest code of any channel.
    pub codes: Range,
    pub form: Form,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::{Exact, fraction, integer, to_i64};
    use crate::quantization::Steps;
    use network::requantization::per_channel;
    use network::rounding::Rounding;
    use num_traits::{Signed, Zero};
    use proptest::prelude::*;
    use std::rc::Rc;

    const MODES: [Rounding; 7] = [
        Rounding::HalfEven,
        Rounding::HalfUp,
        Rounding::HalfDown,
        Rounding::Ceil,
        Rounding::Floor,
        Rounding::Up,
        Rounding::Down,
    ];

    /// Rounding by its definition.
    fn rounded(value: &Exact, rounding: Rounding) -> i64 {
        let floor = to_i64(&value.floor()).unwrap();
        let rest = value - integer(floor);
        let half = fraction(1, 2);
        let negative = value.is_negative();
        let up = match rounding {
            Rounding::HalfEven => rest > half || (rest == half && floor % 2 != 0),
            Rounding::HalfUp => rest > half || (rest == half && !negative),
            Rounding::HalfDown => rest > half || (rest == half && negative),
            Rounding::Ceil => !rest.is_zero(),
            Rounding::Floor => false,
            Rounding::Up => !rest.is_zero() && !negative,
            Rounding::Down => !rest.is_zero() && negative,
        };
        floor + i64::from(up)
    }

    /// The rule of a channel by its definition.
    fn expected(channel: &Channel, sum: i64) -> i64 {
        let value = channel.piece.at(sum);
        match &*channel.stairs {
            Stairs::Steps(Steps { rounding, truncation, low, high, code_shift }) => {
                let value = match truncation {
                    None => value,
                    Some(shift) => fraction(rounded(&value, Rounding::HalfEven), 1 << shift),
                };
                (rounded(&value, *rounding) + code_shift).clamp(*low, *high)
            }
            Stairs::Table { boundaries, first, .. } => {
                first + boundaries.iter().filter(|boundary| value >= **boundary).count() as i64
            }
        }
    }

    fn evaluated(solved: &Solved, channel: usize, sum: i64) -> i64 {
        match &solved.form {
            Form::Shift(shift) => shift.unclamped(channel, sum).clamp(solved.codes.min(), solved.codes.max()),
            Form::Thresholds(thresholds) => {
                let falling = per_channel(&thresholds.falling, channel).unwrap();
                let reached = thresholds.row(channel).iter().filter(|&&t| if falling { sum <= t } else { sum >= t });
                solved.codes.min() + reached.count() as i64
            }
            Form::Table(table) => table.code(channel, sum),
        }
    }

    #[track_caller]
    fn check(channels: &[Channel]) -> Solved {
        let solved = solve(channels).unwrap();
        for (index, channel) in channels.iter().enumerate() {
            for sum in channel.sums.min()..=channel.sums.max() {
                assert_eq!(
                    evaluated(&solved, index, sum),
                    expected(channel, sum),
                    "channel {index}, sum {sum}, {solved:?}"
                );
            }
        }
        solved
    }

    fn steps(rounding: Rounding, low: i64, high: i64) -> Stairs {
        Stairs::Steps(Steps { rounding, truncation: None, low, high, code_shift: 0 })
    }

    fn channel(gain: Exact, offset: Exact, stairs: Stairs, sums: (i64, i64)) -> Channel {
        Channel { piece: Piece::affine(gain, offset), stairs: Rc::new(stairs), sums: Range::new(sums.0, sums.1) }
    }

    #[track_caller]
    fn check_form(gain: (i64, i64), offset: (i64, i64), rounding: Rounding, codes: (i64, i64), expected: &str) {
        let rule = channel(
            fraction(gain.0, gain.1),
            fraction(offset.0, offset.1),
            steps(rounding, codes.0, codes.1),
            (-500, 500),
        );
        let Solved { form, .. } = check(&[rule]);
        let got = match &form {
            Form::Shift(shift) => format!(
                "{:?} {:?} {}{}",
                shift.multipliers,
                shift.offsets,
                shift.shift,
                if shift.half_even { " even" } else { "" }
            ),
            Form::Thresholds(thresholds) => format!("{} thresholds", thresholds.count),
            Form::Table(table) => format!("a table of {}", table.count),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn cheapest_forms() {
        // One boundary at sum >= 3: a comparison.
        check_form((1, 7), (1, 14), Rounding::HalfEven, (0, 1), "[1] [-3] 0");
        // Sixteenths without ties are a pure shift, with ties a half-even one.
        check_form((1, 16), (1, 64), Rounding::HalfEven, (-20, 20), "[1] [8] 4");
        check_form((1, 16), (0, 1), Rounding::HalfEven, (-20, 20), "[1] [0] 4 even");
        check_form((-1, 16), (0, 1), Rounding::HalfEven, (-20, 20), "[-1] [0] 4 even");
        check_form((1, 16), (0, 1), Rounding::Floor, (-20, 20), "[1] [0] 4");
        check_form((3, 16), (0, 1), Rounding::HalfEven, (-60, 60), "[3] [0] 4 even");
        // Ties of sixths have no dyadic form.
        check_form((1, 6), (0, 1), Rounding::HalfEven, (-60, 60), "120 thresholds");
        // A dead channel.
        check_form((0, 1), (17, 2), Rounding::HalfEven, (-60, 60), "[1] [0] 0");
    }

    fn gains() -> impl Strategy<Value = Exact> {
        prop_oneof![
            (-60i64..60, 1i64..200).prop_map(|(a, b)| fraction(a, b)),
            (-20i64..20, 0u32..8).prop_map(|(a, b)| fraction(a, 1 << b)),
            // Beside a simple fraction by next to nothing: the other side of every boundary.
            (-20i64..20, 1i64..40, -1i64..=1).prop_map(|(a, b, c)| fraction(a, b) + fraction(c, 1 << 60)),
            // Long numerators and denominators, as batch norms have them.
            (-60i64..60, 1i64..200).prop_map(|(a, b)| {
                fraction(a, b)
                    * Exact::new(num_bigint::BigInt::from(3).pow(200), num_bigint::BigInt::from(3).pow(200) + 2)
            }),
        ]
    }

    fn stairs() -> impl Strategy<Value = Stairs> {
        let uniform = (0..MODES.len(), prop::option::weighted(0.2, 0u32..4), -20i64..20, 1i64..40, -2i64..3).prop_map(
            |(mode, truncation, low, span, code_shift)| {
                Stairs::Steps(Steps {
                    rounding: MODES[mode],
                    truncation,
                    low,
                    high: low + span,
                    code_shift: 2 * code_shift,
                })
            },
        );
        let table = (prop::collection::vec((-90i64..90, 1i64..5), 1..9), -5i64..5).prop_map(|(values, first)| {
            let mut boundaries: Vec<Exact> = values.into_iter().map(|(a, b)| fraction(a, b)).collect();
            boundaries.sort();
            let last = first + boundaries.len() as i64;
            Stairs::Table { boundaries, first, last }
        });
        prop_oneof![4 => uniform, 1 => table]
    }

    fn channels() -> impl Strategy<Value = Vec<Channel>> {
        let bound = || prop::option::weighted(0.2, (-40i64..40, 1i64..5).prop_map(|(a, b)| fraction(a, b)));
        let one = (gains(), gains(), bound(), bound(), -300i64..300, 0i64..400);
        (stairs(), prop::collection::vec(one, 1..4)).prop_map(|(stairs, ones)| {
            let stairs = Rc::new(stairs);
            let build =
                |(gain, offset, low, high, min, span): (Exact, Exact, Option<Exact>, Option<Exact>, i64, i64)| {
                    let mut piece = Piece::affine(gain, offset * integer(5));
                    piece.then_clamp(low.as_ref(), high.as_ref());
                    Channel { piece, stairs: Rc::clone(&stairs), sums: Range::new(min, min + span) }
                };
            ones.into_iter().map(build).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

        #[test]
        fn forms_equal_the_rule_at_every_sum(channels in channels()) {
            check(&channels);
        }
    }

    /// Codes of 16 bits in many channels take no enumeration of their thresholds by big integers.
    #[test]
    fn wide_codes_are_exact() {
        let long = |a: i64, b: i64| {
            fraction(a, b) * Exact::new(num_bigint::BigInt::from(3).pow(200), num_bigint::BigInt::from(3).pow(200) + 2)
        };
        let channels: Vec<Channel> = (1..5)
            .map(|c| {
                channel(long(c, 123), long(7 * c, 3), steps(Rounding::HalfEven, 0, 65535), (-1 << 20, (1 << 23) + c))
            })
            .collect();
        let solved = solve(&channels).unwrap();
        assert!(matches!(solved.form, Form::Shift(_)));
        // Around every boundary of some codes, found by division.
        for (index, channel) in channels.iter().enumerate() {
            for code in (1..65535).step_by(997) {
                let boundary = (fraction(2 * code - 1, 2) - &channel.piece.offset) / &channel.piece.gain;
                let near = to_i64(&boundary.floor()).unwrap();
                for sum in near - 1..=near + 2 {
                    assert_eq!(evaluated(&solved, index, sum), expected(channel, sum), "{sum}");
                }
            }
        }
    }
}
