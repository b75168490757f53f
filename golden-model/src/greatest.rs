//! The greatest channels of each position on a common grid, of equal ones the lowest index first: argmax and top-k.

use crate::tensor::{Source, Target};
use network::graph::Encoding;
use network::op::TopGives;
use network::requantization::per_channel;
use num_traits::AsPrimitive;

/// A layer that compares channels.
pub(crate) struct Greatest {
    /// Channels that are compared.
    pub(crate) channels: usize,
    /// Of them so many leave.
    pub(crate) count: usize,
    pub(crate) gives: TopGives,
    /// One entry for each channel or one for all.
    pub(crate) multipliers: Vec<i64>,
    /// One entry for each channel or one for all.
    pub(crate) offsets: Vec<i64>,
    /// The input's.
    pub(crate) encoding: Encoding,
}

impl Greatest {
    /// Each channel of a position on the common grid. A grid value may take more than 64 bits.
    pub(crate) fn grid<T: AsPrimitive<i64>>(&self, integers: &[T]) -> Vec<i128> {
        let place = |(channel, integer): (usize, &T)| {
            let multiplier = per_channel(&self.multipliers, channel).unwrap_or(0);
            let offset = per_channel(&self.offsets, channel).unwrap_or(0);
            i128::from(multiplier) * i128::from(self.encoding.value(integer.as_())) + i128::from(offset)
        };
        integers.iter().enumerate().map(place).collect()
    }

    /// Evaluates one frame.
    pub(crate) fn run(&self, input: Source<'_>, target: Target<'_>) {
        match (input, target) {
            (Source::Narrow(input), Target::Narrow(output)) => self.fill(input, output, |value| value as i32),
            (Source::Narrow(input), Target::Wide(output)) => self.fill(input, output, |value| value as i64),
            (Source::Wide(input), Target::Narrow(output)) => self.fill(input, output, |value| value as i32),
            (Source::Wide(input), Target::Wide(output)) => self.fill(input, output, |value| value as i64),
        }
    }

    fn fill<T: AsPrimitive<i64>, O>(&self, integers: &[T], output: &mut [O], narrowed: impl Fn(i128) -> O) {
        let mut order: Vec<usize> = Vec::with_capacity(self.channels);
        for (integers, output) in integers.chunks_exact(self.channels).zip(output.chunks_exact_mut(self.count)) {
            let grid = self.grid(integers);
            let falling = |a: &usize, b: &usize| grid[*b].cmp(&grid[*a]).then(a.cmp(b));
            order.clear();
            order.extend(0..self.channels);
            if self.count < self.channels {
                order.select_nth_unstable_by(self.count - 1, falling);
                order.truncate(self.count);
            }
            order.sort_unstable_by(falling);
            for (&channel, output) in order.iter().zip(output) {
                *output = narrowed(match self.gives {
                    TopGives::Values => grid[channel],
                    TopGives::Indices => channel as i128,
                });
            }
        }
    }
}
