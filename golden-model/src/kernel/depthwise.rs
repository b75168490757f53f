//! Convolutions with a group for each channel: sums of 16 channels at once, tap after tap.

use super::instructions::for_each_instruction_set;
use super::packed::Positions;

/// Channels of a block.
const LANES: usize = 16;

for_each_instruction_set! {
    /// One row of positions: `sums[position][channel]` = sum over taps of image element * weight, wrapping.
    ///
    /// `offsets` has for each tap its first element, counted from the window's own; `weights` is [tap][channel].
    pub fn row(
        offsets: &[usize],
        weights: &[i32],
        channels: usize,
        image: &[i16],
        positions: Positions,
        sums: &mut [i32],
    ) {
        for (position, sums) in sums.chunks_exact_mut(channels).take(positions.count).enumerate() {
            let window = &image[positions.base + position * positions.step..];
            let (blocks, rest) = sums.as_chunks_mut::<LANES>();
            let done = blocks.len() * LANES;
            for (block, sums) in blocks.iter_mut().enumerate() {
                let mut lanes = [0i32; LANES];
                for (&offset, weights) in offsets.iter().zip(weights.chunks_exact(channels)) {
                    let inputs = &window[offset + block * LANES..][..LANES];
                    let weights = &weights[block * LANES..][..LANES];
                    for ((lane, &input), &weight) in lanes.iter_mut().zip(inputs).zip(weights) {
                        *lane = lane.wrapping_add(i32::from(input).wrapping_mul(weight));
                    }
                }
                *sums = lanes;
            }
            rest.fill(0);
            for (&offset, weights) in offsets.iter().zip(weights.chunks_exact(channels)) {
                let inputs = window[offset + done..].iter();
                for ((sum, &input), &weight) in rest.iter_mut().zip(inputs).zip(&weights[done..]) {
                    *sum = sum.wrapping_add(i32::from(input).wrapping_mul(weight));
                }
            }
        }
    }
}
