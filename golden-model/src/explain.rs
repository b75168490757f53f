//! Whether a difference to a float executor's recorded result comes from rounding that its own noise can turn.
//!
//! A float executor computes gain * sum + offset with an error of some units in the last place. A code whose real
//! number lies that near to a rounding boundary may come out one step away there; everything behind it then differs for
//! good. A difference counts as explained when replacing a few such codes ([`Flip`]) gives the recorded result.

use crate::evaluator::{Evaluator, Scratch};
use crate::frames;
use crate::trace::{EvaluateError, Trace};
use network::requantization::{RealRule, per_channel};

/// A code lies near a boundary when the distance is at most this part of the largest of |gain * sum|, |offset|,
/// |gain * sum + offset| and one code step.
pub const NEAR: f64 = 1e-6;
/// Evaluations that one explanation may take.
const MOST_EVALUATIONS: usize = 4096;

/// One code replaced by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Index of the layer that makes the code.
    pub layer: usize,
    /// Index of the element in hardware order.
    pub element: usize,
    /// What the integer rule gives.
    pub from: i64,
    /// What takes its place.
    pub to: i64,
}

/// How far results may lie apart and still be equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// So much at most.
    Absolute(f64),
    /// This part of the largest magnitude in the recorded results of the frame, or of 1 where all are smaller.
    Relative(f64),
}

impl Default for Tolerance {
    /// What executors move by when only their batch differs.
    fn default() -> Self {
        Tolerance::Relative(1e-5)
    }
}

impl Tolerance {
    /// The largest difference allowed against these recorded results.
    pub fn bound(self, reference: &[f64]) -> f64 {
        match self {
            Tolerance::Absolute(bound) => bound,
            Tolerance::Relative(part) => part * reference.iter().fold(1.0f64, |most, real| most.max(real.abs())),
        }
    }
}

/// How a frame's results stand to the recorded ones.
#[derive(Clone, Debug, PartialEq)]
pub enum Explanation {
    /// No result differs by more than the tolerance.
    Equal {
        /// The largest difference.
        largest: f64,
    },
    /// Equal once these codes, each next to a rounding boundary (or a tie of an argmax), are replaced.
    ByFlips(Vec<Flip>),
    /// Neither.
    Unexplained {
        /// The largest difference; infinite where the number of results differs or one is not a number.
        largest: f64,
    },
}

impl Evaluator {
    /// Compares one frame with recorded results in the model's axis order. `input` holds codes in hardware order.
    ///
    /// Single codes are tried first, then pairs, where the second code may also be one that lies near a boundary only
    /// after the first was replaced; in all at most 4096 evaluations.
    pub fn explain(
        &self,
        input: &[i32],
        reference: &[f64],
        tolerance: Tolerance,
    ) -> Result<Explanation, EvaluateError> {
        let bound = tolerance.bound(reference);
        let mut scratch = Scratch::default();
        let mut difference = |flips: &[Flip]| {
            let output = self.output_with_flips(input, &mut scratch, flips)?;
            Ok(largest_difference(&frames::reals(self.network(), output), reference))
        };
        let largest = difference(&[])?;
        if largest <= bound {
            return Ok(Explanation::Equal { largest });
        }
        let mut evaluations = 1;
        let single = self.candidates(&self.evaluate(input)?)?;
        for &flip in single.iter().take(MOST_EVALUATIONS) {
            evaluations += 1;
            if difference(&[flip])? <= bound {
                return Ok(Explanation::ByFlips(vec![flip]));
            }
        }
        for (index, &first) in single.iter().enumerate() {
            if evaluations >= MOST_EVALUATIONS {
                break;
            }
            let is_new = |flip: &Flip| {
                let place = single.iter().position(|old| (old.layer, old.element) == (flip.layer, flip.element));
                place.is_none_or(|place| place > index)
            };
            let behind = self.candidates(&self.evaluate_with_flips(input, &[first])?)?;
            evaluations += 1;
            for second in behind.into_iter().filter(is_new) {
                if evaluations >= MOST_EVALUATIONS {
                    break;
                }
                evaluations += 1;
                if (second.layer, second.element) != (first.layer, first.element)
                    && difference(&[first, second])? <= bound
                {
                    return Ok(Explanation::ByFlips(vec![first, second]));
                }
            }
        }
        Ok(Explanation::Unexplained { largest })
    }

    /// All codes of a trace that a float executor may round to the neighbouring code, with that code: those of layers
    /// whose requantization states its real rule, and argmax results with a tie. In the order of layers and elements.
    pub fn candidates(&self, trace: &Trace) -> Result<Vec<Flip>, EvaluateError> {
        let network = self.network();
        let mut flips = Vec::new();
        for (index, (layer, made)) in network.layers().iter().zip(&trace.layers).enumerate() {
            let channels = network.layer_output(index).shape.channels as usize;
            let requantization = layer.requantization.as_ref();
            if let (Some(requantization), Some(sums)) = (requantization, &made.sums)
                && let Some(rule) = &requantization.rule
            {
                let flip = |(element, (&sum, &from)): (usize, (&i64, &i64))| {
                    let to = neighbour(rule, element % channels, sum, from)?;
                    requantization.codes.contains(to).then_some(Flip { layer: index, element, from, to })
                };
                flips.extend(sums.iter().zip(&made.output).enumerate().filter_map(flip));
            }
            let prepared = self.layers()?.get(index);
            let read = trace.tensor(layer.input().0).unwrap_or(&[]);
            if let Some(argmax) = prepared.and_then(|layer| layer.argmax()) {
                for (element, (read, &from)) in read.chunks(argmax.channels).zip(&made.output).enumerate() {
                    let grid = argmax.grid(read);
                    let best = grid.iter().copied().max().unwrap_or(0);
                    let near = |value: i128| (best - value) as f64 <= NEAR * best.unsigned_abs() as f64;
                    let ties = grid.iter().enumerate().filter(|&(to, &value)| to as i64 != from && near(value));
                    flips.extend(ties.map(|(to, _)| Flip { layer: index, element, from, to: to as i64 }));
                }
            }
        }
        Ok(flips)
    }
}

/// The code on the other side of the rounding boundary that the real number of `sum` lies near to.
///
/// Boundaries lie half-way between codes. Where the rule and the code do not agree on the side, the code is moved
/// towards the rule.
fn neighbour(rule: &RealRule, channel: usize, sum: i64, code: i64) -> Option<i64> {
    let gain = per_channel(&rule.gains, channel)?;
    let offset = per_channel(&rule.offsets, channel)?;
    let product = gain * sum as f64;
    let real = product + offset;
    let boundary = real.floor() + 0.5;
    let scale = product.abs().max(offset.abs()).max(real.abs()).max(1.0);
    if (real - boundary).abs() > NEAR * scale {
        return None;
    }
    let (below, above) = ((boundary - 0.5) as i64, (boundary + 0.5) as i64);
    if code == below {
        Some(above)
    } else if code == above {
        Some(below)
    } else {
        None
    }
}

fn largest_difference(reals: &[f64], reference: &[f64]) -> f64 {
    if reals.len() != reference.len() || reals.iter().chain(reference).any(|real| real.is_nan()) {
        return f64::INFINITY;
    }
    // Equal infinities have no difference.
    let difference = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { (a - b).abs() };
    reals.iter().zip(reference).map(difference).fold(0.0, f64::max)
}
