//! What a layer computes before its requantization.

use crate::format::Format;
use crate::range::Range;
use crate::shape::Window;

/// An operator with its constants, all in hardware order (rows, columns, channels).
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Every output is a dot product over all elements of the input; the output has one row and one column.
    Dense {
        /// One row of weights for each output; a row runs over the input in hardware order.
        weights: Weights,
    },
    /// Every output channel is a dot product over a window of the input.
    Conv2d {
        /// One row of weights for each output channel; a row runs over kernel rows, kernel columns, channels.
        weights: Weights,
        /// Kernel, stride, dilation, padding.
        window: Window,
        /// The value that a padded tap stands for: 0, or the zero point of the input's integer codes.
        padding_value: i64,
    },
    /// The greatest code of each channel over a window; padded taps never win.
    MaxPool {
        /// Kernel, stride, dilation, padding.
        window: Window,
    },
    /// The values of the input themselves, to be requantized.
    Identity,
    /// The index of the greatest channel at the only position, the lowest index where several are equal.
    ///
    /// Channels are compared on a common grid: multiplier * value + offset.
    Argmax {
        /// One multiplier for each channel, or one for all.
        multipliers: Vec<i64>,
        /// One offset for each channel, or one for all.
        offsets: Vec<i64>,
    },
}

impl Op {
    /// The operator's word in plans, tables and module names.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Dense { .. } => "dense",
            Op::Conv2d { .. } => "conv2d",
            Op::MaxPool { .. } => "max_pool",
            Op::Identity => "requantize",
            Op::Argmax { .. } => "argmax",
        }
    }

    /// The weights, where there are any.
    pub fn weights(&self) -> Option<&Weights> {
        match self {
            Op::Dense { weights } | Op::Conv2d { weights, .. } => Some(weights),
            Op::MaxPool { .. } | Op::Identity | Op::Argmax { .. } => None,
        }
    }
}

/// A matrix of weights: one row for each output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Format that every value fits.
    pub format: Format,
    /// Rows.
    pub outputs: usize,
    /// Values in a row: the length of the dot product.
    pub length: usize,
    /// Values (not codes), row after row.
    pub values: Vec<i32>,
}

impl Weights {
    /// The weights of one output.
    pub fn row(&self, output: usize) -> &[i32] {
        self.values.get(output * self.length..(output + 1) * self.length).unwrap_or(&[])
    }

    /// Exact range of one output's dot product when every input value lies in `inputs`.
    /// `None` where it leaves 62 bits.
    pub fn sum_range(&self, output: usize, inputs: Range) -> Option<Range> {
        let (mut min, mut max) = (0i64, 0i64);
        for &weight in self.row(output) {
            let weight = i64::from(weight);
            let (a, b) = (weight.checked_mul(inputs.min())?, weight.checked_mul(inputs.max())?);
            min = min.checked_add(a.min(b))?;
            max = max.checked_add(a.max(b))?;
        }
        let range = Range::new(min, max);
        (range.bits() <= 62).then_some(range)
    }
}
