//! Dot products whose sums need 64 bits: 32-bit inputs and weights, exact 64-bit sums.

use super::instructions::for_each_instruction_set;
use super::packed::{Positions, Segment};
use num_traits::{AsPrimitive, PrimInt};

/// The dot product of two runs, in the type of the sum.
#[inline(always)]
pub fn dot<X, W, S>(inputs: &[X], weights: &[W]) -> S
where
    X: AsPrimitive<S>,
    W: AsPrimitive<S>,
    S: PrimInt + 'static,
{
    inputs.iter().zip(weights).fold(S::zero(), |sum, (input, weight)| sum + input.as_() * weight.as_())
}

for_each_instruction_set! {
    /// One row of positions: `sums[position][output]`, where `weights` has one row for each output that runs over
    /// `segments` in order.
    pub fn row(
        weights: &[i32],
        segments: &[Segment],
        outputs: usize,
        image: &[i32],
        positions: Positions,
        sums: &mut [i64],
    ) {
        let length: usize = segments.iter().map(|segment| segment.length).sum();
        for (position, sums) in sums.chunks_exact_mut(outputs).take(positions.count).enumerate() {
            let base = positions.base + position * positions.step;
            for (sum, mut weights) in sums.iter_mut().zip(weights.chunks_exact(length)) {
                *sum = 0;
                for segment in segments {
                    let (run, rest) = weights.split_at(segment.length);
                    weights = rest;
                    let inputs = &image[base + segment.offset..base + segment.offset + segment.length];
                    *sum += dot::<i32, i32, i64>(inputs, run);
                }
            }
        }
    }
}
