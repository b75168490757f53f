//! A curve under a quantizer as a list of steps: where the code changes, and to what.
//!
//! Pieces on which the slope keeps its sign, or on which bounds show one code alone, are found by halving; the steps
//! of a monotone piece by bisection, the last of it guided by the curve's values; short pieces are evaluated integer by
//! integer.

use super::Curve;
use super::interval::Interval;
use crate::exact::to_f64;
use crate::fault::{Checked, Fault};
use crate::quantization::Stairs;
use network::Range;
use network::rounding::Rounding;

/// Most steps of a channel: each code of 16 bits, and once more.
pub(crate) const MAX_STEPS: usize = (1 << 17) - 1;
/// Most pieces that are looked at for one channel.
const MAX_PIECES: usize = 1 << 19;
/// Pieces of so few integers are evaluated one by one.
const SHORT: i64 = 8;
/// Rounds of a search that is guided by the curve's values.
const GUIDED_ROUNDS: u32 = 3;
/// Pieces of fewer integers are not worth a guess.
const GUIDED_WIDTH: i64 = 32;

/// The code of the least sum, and each sum at which another code begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staircase {
    pub first: i64,
    pub steps: Vec<(i64, i64)>,
}

impl Staircase {
    /// All codes in the order of sums.
    pub fn codes(&self) -> impl Iterator<Item = i64> + '_ {
        std::iter::once(self.first).chain(self.steps.iter().map(|(_, code)| *code))
    }
}

/// What a quantizer does to doubles.
#[derive(Debug)]
enum Rule {
    Rounded { rounding: Rounding, truncation: Option<u32>, low: i64, high: i64, code_shift: i64 },
    Counted { boundaries: Vec<f64>, first: i64 },
}

impl Rule {
    fn new(stairs: &Stairs) -> Self {
        match stairs {
            Stairs::Steps(steps) => Rule::Rounded {
                rounding: steps.rounding,
                truncation: steps.truncation,
                low: steps.low,
                high: steps.high,
                code_shift: steps.code_shift,
            },
            Stairs::Table { boundaries, first, .. } => {
                Rule::Counted { boundaries: boundaries.iter().map(to_f64).collect(), first: *first }
            }
        }
    }

    fn code(&self, number: f64) -> i64 {
        match self {
            Rule::Rounded { rounding, truncation, low, high, code_shift } => {
                let number = match truncation {
                    None => number,
                    Some(shift) => number.round_ties_even() / 2f64.powi(*shift as i32),
                };
                let rounded = rounded(*rounding, number);
                if rounded.is_nan() {
                    return *low;
                }
                (rounded.clamp(-1e15, 1e15) as i64 + code_shift).clamp(*low, *high)
            }
            Rule::Counted { boundaries, first } => {
                first + boundaries.partition_point(|boundary| *boundary <= number) as i64
            }
        }
    }
}

impl Rule {
    /// About where a code begins: where a search does well to look first.
    fn boundary(&self, code: i64) -> f64 {
        match self {
            Rule::Rounded { rounding, truncation, code_shift, .. } => {
                let code = (code - code_shift) as f64;
                let edge = match rounding {
                    Rounding::HalfEven | Rounding::HalfUp | Rounding::HalfDown => code - 0.5,
                    Rounding::Ceil => code - 1.0,
                    Rounding::Floor => code,
                    Rounding::Up => {
                        if code > 0.0 {
                            code - 1.0
                        } else {
                            code
                        }
                    }
                    Rounding::Down => {
                        if code > 0.0 {
                            code
                        } else {
                            code - 1.0
                        }
                    }
                };
                edge * truncation.map_or(1.0, |shift| 2f64.powi(shift as i32))
            }
            Rule::Counted { boundaries, first } => {
                let place = usize::try_from(code - first - 1).unwrap_or(0);
                boundaries.get(place).copied().unwrap_or(f64::NAN)
            }
        }
    }
}

fn rounded(rounding: Rounding, x: f64) -> f64 {
    match rounding {
        Rounding::HalfEven => x.round_ties_even(),
        Rounding::HalfUp => x.round(),
        Rounding::HalfDown => (x.abs() - 0.5).ceil().copysign(x),
        Rounding::Ceil => x.ceil(),
        Rounding::Floor => x.floor(),
        Rounding::Up => x.abs().ceil().copysign(x),
        Rounding::Down => x.trunc(),
    }
}

/// The steps of a channel, at most `limit`: number = gain * curve + offset is what the stairs are given.
///
/// # Errors
/// There are more steps, or a value is no number.
pub(crate) fn steps(
    curve: &Curve,
    channel: usize,
    (gain, offset): (f64, f64),
    stairs: &Stairs,
    sums: Range,
    limit: usize,
) -> Checked<Staircase> {
    let rule = Rule::new(stairs);
    let end = |sum: i64| {
        let number = gain * curve.at(channel, sum as f64) + offset;
        End { sum, number, code: rule.code(number) }
    };
    let (least, most) = (end(sums.min()), end(sums.max()));
    if least.number.is_nan() || most.number.is_nan() {
        return Err(Fault::operator(
            "an activation function whose value is no number for some input",
            "check its parameters",
        ));
    }
    let many = || {
        Fault::quantizer(
            format!("an activation function with more than {limit} steps in a channel under its quantizer"),
            "quantize to fewer bits after the activation function, or give all channels one scale",
        )
    };
    let mut steps = Vec::new();
    let mut pieces = 0;
    // The pieces still to be looked at, the lowest last.
    let mut open = vec![(least, most)];
    while let Some((from, to)) = open.pop() {
        pieces += 1;
        if pieces > MAX_PIECES || steps.len() > limit {
            return Err(many());
        }
        if to.sum - from.sum <= SHORT {
            let mut last = from.code;
            for sum in from.sum + 1..=to.sum {
                let next = end(sum).code;
                if next != last {
                    steps.push((sum, next));
                    last = next;
                }
            }
            continue;
        }
        let bounds = curve.over(channel, Interval::new(from.sum as f64, to.sum as f64)).affine(gain, offset);
        let slack = |x: f64| 1e-12 * x.abs();
        let (low, high) = (bounds.value.low, bounds.value.high);
        if rule.code(low - slack(low)) == rule.code(high + slack(high)) {
            continue;
        }
        if bounds.slope.low >= 0.0 || bounds.slope.high <= 0.0 {
            bisect(&rule, &end, (from, to), &mut steps, limit).ok_or_else(many)?;
            continue;
        }
        let middle = end(from.sum + (to.sum - from.sum) / 2);
        open.push((middle, to));
        open.push((from, middle));
    }
    if steps.len() > limit {
        return Err(many());
    }
    Ok(Staircase { first: least.code, steps })
}

/// A sum, the number that it means, and its code.
#[derive(Clone, Copy, Debug)]
struct End {
    sum: i64,
    number: f64,
    code: i64,
}

/// All steps of a monotone piece; `None` where they become more than `limit`.
fn bisect(
    rule: &Rule,
    end: &dyn Fn(i64) -> End,
    piece: (End, End),
    steps: &mut Vec<(i64, i64)>,
    limit: usize,
) -> Option<()> {
    let mut open = vec![piece];
    while let Some((mut from, mut to)) = open.pop() {
        if from.code == to.code {
            continue;
        }
        if (from.code - to.code).abs() == 1 {
            narrow(rule.boundary(from.code.max(to.code)), end, &mut from, &mut to);
        }
        if to.sum - from.sum == 1 {
            steps.push((to.sum, to.code));
            if steps.len() > limit {
                return None;
            }
            continue;
        }
        let middle = end(from.sum + (to.sum - from.sum) / 2);
        open.push((middle, to));
        open.push((from, middle));
    }
    Some(())
}

/// Brings the ends of a piece with a single step, about where the curve has the value `edge`, near to it: along the line
/// through the ends, then along the line through what was found there. What is left over is for bisection, so that nothing
/// depends on how well the lines fit.
fn narrow(edge: f64, end: &dyn Fn(i64) -> End, from: &mut End, to: &mut End) {
    for round in 0..GUIDED_ROUNDS {
        let width = to.sum - from.sum;
        let part = (edge - from.number) / (to.number - from.number);
        if width < GUIDED_WIDTH || !(0.0..=1.0).contains(&part) {
            return;
        }
        // A little to either side, so that both ends come near; the less, the better the line is known to fit.
        let margin = (width >> (4 * round + 4)).max(1);
        let guess = from.sum + (part * width as f64) as i64;
        for sum in [guess - margin, guess + margin] {
            if sum > from.sum && sum < to.sum {
                let found = end(sum);
                *(if found.code == from.code { &mut *from } else { &mut *to }) = found;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::Kind;
    use crate::exact::{Piece, fraction};
    use crate::quantization::Steps;
    use std::sync::Arc;

    /// The staircase against every integer, one by one.
    #[track_caller]
    fn check(curve: &Curve, scale: f64, codes: (i64, i64), sums: (i64, i64)) -> Staircase {
        let stairs = Stairs::Steps(Steps {
            rounding: Rounding::HalfEven,
            truncation: None,
            low: codes.0,
            high: codes.1,
            code_shift: 0,
        });
        let made = steps(curve, 0, (1.0 / scale, 0.0), &stairs, Range::new(sums.0, sums.1), MAX_STEPS).unwrap();
        let mut next = made.steps.iter().peekable();
        let mut code = made.first;
        for sum in sums.0..=sums.1 {
            if let Some((_, made)) = next.next_if(|(start, _)| *start == sum) {
                code = *made;
            }
            let expected = (curve.at(0, sum as f64) / scale).round_ties_even().clamp(codes.0 as f64, codes.1 as f64);
            assert_eq!(code, expected as i64, "sum {sum}");
        }
        made
    }

    fn silu(gain: (i64, i64)) -> Curve {
        let x = Curve::leaf(vec![Piece::affine(fraction(gain.0, gain.1), fraction(0, 1))]);
        Curve::Multiply(Arc::clone(&x), Arc::new(Curve::Apply(x, Kind::Sigmoid)))
    }

    #[test]
    fn every_integer_has_the_rounded_code() {
        let gelu = |gain: (i64, i64)| {
            let x = Curve::leaf(vec![Piece::affine(fraction(gain.0, gain.1), fraction(1, 7))]);
            let inner = Arc::new(Curve::Affine(Arc::clone(&x), vec![(0.5f64.sqrt(), 0.0)]));
            let half = Arc::new(Curve::Affine(Arc::new(Curve::Apply(inner, Kind::Erf)), vec![(0.5, 0.5)]));
            Curve::Multiply(x, half)
        };
        for gain in [(1, 100), (-1, 33), (1, 5000), (3, 7)] {
            check(&silu(gain), 0.05, (-8, 127), (-20_000, 30_000));
            check(&silu(gain), 0.002, (-2048, 2047), (-3000, 3000));
            check(&gelu(gain), 0.03, (-8, 127), (-20_000, 30_000));
        }
        // Codes of 16 bits have a step each, and those of the dip once more.
        assert!(check(&silu((1, 1 << 16)), 0.000_15, (-32_768, 32_767), (-400_000, 500_000)).steps.len() > 32_000);
        // The dip of x sigmoid(x) makes a step down and one up again.
        assert!(check(&silu((1, 100)), 0.2, (-1, 0), (-2000, 2000)).steps.len() == 2);
    }

    #[test]
    fn wide_sums_take_few_evaluations() {
        let stairs =
            Stairs::Steps(Steps { rounding: Rounding::HalfEven, truncation: None, low: -8, high: 127, code_shift: 0 });
        let made =
            steps(&silu((1, 1 << 20)), 0, (10.0, 0.0), &stairs, Range::new(-(1 << 40), 1 << 40), MAX_STEPS).unwrap();
        assert_eq!(made.steps.last().unwrap().1, 127);
    }
}
