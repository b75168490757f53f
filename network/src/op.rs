//! What a layer computes before its requantization.

mod values;

pub(crate) use values::Drawn;
pub use values::Values;

use crate::average::Counted;
use crate::coding::{Coding, StoredBits, WeightFormat};
use crate::format::Format;
use crate::range::Range;
use crate::shape::{Shape, Window};

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
        /// Groups into which input and output channels are cut, in order: an output sees the channels of its own
        /// group alone. 1 for an ordinary convolution, the number of channels for a depthwise one.
        groups: u64,
    },
    /// The sum of the values of each channel over a window: average pooling, whose division is part of the
    /// requantization.
    SumPool {
        /// Kernel, stride, dilation, padding.
        window: Window,
        /// The value that a padded tap adds, where it counts.
        padding_value: i64,
        /// Which taps count, where some do not: they add nothing, and each sum is multiplied by L / n, with n the taps
        /// that count at its position and L the least common multiple of all n.
        counted: Option<Counted>,
    },
    /// The greatest code of each channel over a window; padded taps never win.
    MaxPool {
        /// Kernel, stride, dilation, padding.
        window: Window,
    },
    /// The values of the input themselves, to be requantized.
    Identity,
    /// Element by element the sum of factor * value over the inputs, all of one shape. An input with a single
    /// position stands for all positions.
    Add {
        /// For each input one factor for each channel, or one for all; of either sign.
        factors: Vec<Vec<i64>>,
    },
    /// Element by element the product of the values of two inputs; the second may have a single position, which
    /// stands for all positions.
    Multiply,
    /// The channels of all inputs one after the other; the inputs have the same rows, columns and kind of integers.
    Concat,
    /// Elements of the input in another order, some perhaps left out or repeated.
    Rearrange(Rearrangement),
    /// The index of the greatest channel at each position, the lowest index where several are equal.
    ///
    /// Channels are compared on a common grid: multiplier * value + offset.
    Argmax {
        /// One multiplier for each channel, or one for all.
        multipliers: Vec<i64>,
        /// One offset for each channel, or one for all.
        offsets: Vec<i64>,
    },
    /// The greatest channels at each position in falling order, of equal ones the lowest index first.
    ///
    /// Channels are compared on a common grid: multiplier * value + offset.
    TopK {
        /// How many; at most the channels.
        count: u64,
        /// What leaves of each.
        gives: TopGives,
        /// One multiplier for each channel, or one for all.
        multipliers: Vec<i64>,
        /// One offset for each channel, or one for all.
        offsets: Vec<i64>,
    },
}

/// What leaves of the greatest channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopGives {
    /// Their places on the common grid.
    Values,
    /// Their indices.
    Indices,
}

impl Op {
    /// The operator's word in plans, tables and module names.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Dense { .. } => "dense",
            Op::Conv2d { .. } => "conv2d",
            Op::MaxPool { .. } => "max_pool",
            Op::SumPool { .. } => "sum_pool",
            Op::Add { .. } => "add",
            Op::Multiply => "multiply",
            Op::Concat => "concat",
            Op::Rearrange(_) => "rearrange",
            Op::Identity => "requantize",
            Op::Argmax { .. } => "argmax",
            Op::TopK { .. } => "top_k",
        }
    }

    /// The weights, where there are any.
    pub fn weights(&self) -> Option<&Weights> {
        match self {
            Op::Dense { weights } | Op::Conv2d { weights, .. } => Some(weights),
            Op::MaxPool { .. }
            | Op::SumPool { .. }
            | Op::Identity
            | Op::Add { .. }
            | Op::Multiply
            | Op::Concat
            | Op::Rearrange(_)
            | Op::Argmax { .. }
            | Op::TopK { .. } => None,
        }
    }

    /// Least and greatest number of tensors that the operator reads.
    pub fn inputs(&self) -> std::ops::RangeInclusive<usize> {
        match self {
            Op::Add { .. } | Op::Concat => 2..=MAX_INPUTS,
            Op::Multiply => 2..=2,
            _ => 1..=1,
        }
    }
}

/// Most channels that a `top_k` layer gives.
pub const MAX_TOP: u64 = 1024;

/// Most tensors that one layer reads.
pub const MAX_INPUTS: usize = 64;

/// Elements taken from a tensor by nested loops: the output's elements in hardware order run through the loops, the
/// last loop fastest, and each takes the input element start + sum of index * stride.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rearrangement {
    /// Shape of the output.
    pub shape: Shape,
    /// Input element of the first output element.
    pub start: u64,
    /// Loops, outermost first.
    pub loops: Vec<Loop>,
}

/// One loop of a [`Rearrangement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// Turns, at least 1.
    pub count: u64,
    /// Elements of the input from one turn to the next; 0 repeats.
    pub stride: i64,
}

/// Most loops of a [`Rearrangement`].
pub const MAX_LOOPS: usize = 12;

impl Rearrangement {
    /// Least and greatest input element taken; `None` where a number is beyond 2^62 or below zero.
    pub fn reach(&self) -> Option<(u64, u64)> {
        let (mut least, mut most) = (i64::try_from(self.start).ok()?, i64::try_from(self.start).ok()?);
        for Loop { count, stride } in &self.loops {
            let way = i64::try_from(count.checked_sub(1)?).ok()?.checked_mul(*stride)?;
            if way < 0 {
                least = least.checked_add(way)?;
            } else {
                most = most.checked_add(way)?;
            }
        }
        Some((u64::try_from(least).ok()?, u64::try_from(most).ok()?))
    }

    /// The input element of each output element in turn.
    pub fn elements(&self) -> impl Iterator<Item = u64> + '_ {
        let mut indices = vec![0u64; self.loops.len()];
        let mut address = self.start as i64;
        (0..self.shape.elements()).map(move |_| {
            let element = address as u64;
            for (index, Loop { count, stride }) in indices.iter_mut().zip(&self.loops).rev() {
                *index += 1;
                address += stride;
                if *index < *count {
                    break;
                }
                address -= stride * *count as i64;
                *index = 0;
            }
            element
        })
    }

    /// Merges neighbouring loops that are one, and drops those of one turn.
    pub fn simplified(mut self) -> Self {
        let mut loops: Vec<Loop> = Vec::new();
        for next in self.loops.iter().filter(|next| next.count != 1) {
            match loops.last_mut() {
                Some(outer)
                    if i64::try_from(next.count).is_ok_and(|n| n.checked_mul(next.stride) == Some(outer.stride)) =>
                {
                    *outer = Loop { count: outer.count * next.count, stride: next.stride };
                }
                _ => loops.push(*next),
            }
        }
        self.loops = loops;
        self
    }
}

/// A matrix of weights: one row for each output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Plain format that every value fits.
    pub format: Format,
    /// How they are stored.
    pub coding: Coding,
    /// Rows.
    pub outputs: usize,
    /// Values in a row: the length of the dot product.
    pub length: usize,
    /// Values (not codes), row after row.
    pub values: Values,
}

impl Weights {
    /// Weights that are stored as codes of their format.
    pub fn plain(format: Format, outputs: usize, length: usize, values: Vec<i32>) -> Self {
        Weights { format, coding: Coding::Plain, outputs, length, values: values.into() }
    }

    /// The format as plans state it.
    pub fn weight_format(&self) -> WeightFormat {
        match &self.coding {
            Coding::Plain => WeightFormat::Plain(self.format),
            Coding::Piecewise(tagged) => WeightFormat::Piecewise(tagged.regions.clone()),
            Coding::Wavelet(wavelet) => WeightFormat::Wavelet(wavelet.clone()),
        }
    }

    /// Bits that the weights take as they are stored.
    pub fn stored_bits(&self) -> StoredBits {
        match &self.coding {
            Coding::Plain => StoredBits { payload: self.values.len() as u64 * u64::from(self.format.bits()), tags: 0 },
            Coding::Piecewise(tagged) => tagged.stored_bits(self.outputs, self.length),
            Coding::Wavelet(wavelet) => StoredBits { payload: wavelet.stored_bits(self.outputs, self.length), tags: 0 },
        }
    }

    /// The weights of one output.
    pub fn row(&self, output: usize) -> &[i32] {
        self.values.get(output * self.length..(output + 1) * self.length).unwrap_or(&[])
    }

    /// The sum of `of(weight)` over the weights of one output.
    pub fn row_total(&self, output: usize, of: impl Fn(i64) -> i64) -> i64 {
        match self.values.counted(output) {
            Some(counted) => counted.map(|(value, count)| of(value) * count).sum(),
            None => self.row(output).iter().map(|&weight| of(i64::from(weight))).sum(),
        }
    }

    /// Exact range of one output's dot product when every input value lies in `inputs`.
    /// `None` where it leaves 62 bits.
    pub fn sum_range(&self, output: usize, inputs: Range) -> Option<Range> {
        let (mut min, mut max) = (0i64, 0i64);
        let mut add = |weight: i64, count: i64| {
            let (a, b) = (weight.checked_mul(inputs.min())?, weight.checked_mul(inputs.max())?);
            min = min.checked_add(a.min(b).checked_mul(count)?)?;
            max = max.checked_add(a.max(b).checked_mul(count)?)?;
            Some(())
        };
        match self.values.counted(output) {
            Some(mut counted) => counted.try_for_each(|(weight, count)| add(weight, count))?,
            None => self.row(output).iter().try_for_each(|&weight| add(i64::from(weight), 1))?,
        }
        let range = Range::new(min, max);
        (range.bits() <= 62).then_some(range)
    }
}
