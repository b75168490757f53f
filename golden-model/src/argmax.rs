//! Argmax: the index of the greatest channel on a common grid, the lowest index where several are equal.

use network::graph::Encoding;
use network::requantization::per_channel;
use num_traits::AsPrimitive;

/// An argmax layer.
pub(crate) struct Argmax {
    multipliers: Vec<i64>,
    offsets: Vec<i64>,
    encoding: Encoding,
}

impl Argmax {
    /// Multipliers and offsets have one entry for each channel or one for all; `encoding` is the input's.
    pub(crate) fn new(multipliers: &[i64], offsets: &[i64], encoding: Encoding) -> Self {
        Argmax { multipliers: multipliers.to_vec(), offsets: offsets.to_vec(), encoding }
    }

    /// Each channel on the common grid. A grid value may take more than 64 bits.
    pub(crate) fn grid<T: AsPrimitive<i64>>(&self, integers: &[T]) -> Vec<i128> {
        let place = |(channel, integer): (usize, &T)| {
            let multiplier = per_channel(&self.multipliers, channel).unwrap_or(0);
            let offset = per_channel(&self.offsets, channel).unwrap_or(0);
            i128::from(multiplier) * i128::from(self.encoding.value(integer.as_())) + i128::from(offset)
        };
        integers.iter().enumerate().map(place).collect()
    }

    /// The index.
    pub(crate) fn index<T: AsPrimitive<i64>>(&self, integers: &[T]) -> i32 {
        let grid = self.grid(integers);
        let best = grid.iter().copied().max();
        grid.iter().position(|value| Some(*value) == best).unwrap_or(0) as i32
    }
}
