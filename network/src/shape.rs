//! Shapes of tensors: rows, columns, channels; they travel row by row, channels last.

use std::fmt;

/// Most elements one tensor may have; keeps every count and address far from overflow.
pub const MAX_ELEMENTS: u64 = 1 << 40;

/// Rows, columns and channels of a tensor. A plain vector has one row and one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows, at least 1.
    pub rows: u64,
    /// Columns, at least 1.
    pub columns: u64,
    /// Channels, at least 1.
    pub channels: u64,
}

impl Shape {
    /// A shape with no empty side and at most [`MAX_ELEMENTS`] elements.
    pub fn new(rows: u64, columns: u64, channels: u64) -> Option<Self> {
        let elements = rows.checked_mul(columns)?.checked_mul(channels)?;
        (1..=MAX_ELEMENTS).contains(&elements).then_some(Shape { rows, columns, channels })
    }

    /// Number of elements.
    pub fn elements(self) -> u64 {
        self.rows * self.columns * self.channels
    }

    /// Number of positions, each with all channels.
    pub fn positions(self) -> u64 {
        self.rows * self.columns
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.rows, self.columns, self.channels)
    }
}

/// The axis order in which a model and its users hold a tensor; hardware always uses rows, columns, channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AxisOrder {
    /// Channels, rows, columns (the C, H, W of NCHW).
    #[default]
    ChannelsFirst,
    /// Rows, columns, channels.
    ChannelsLast,
}

impl AxisOrder {
    /// For each element in hardware order its index in the model's order.
    pub fn model_indices(self, shape: Shape) -> impl Iterator<Item = u64> {
        let Shape { rows, columns, channels } = shape;
        (0..shape.elements()).map(move |index| match self {
            AxisOrder::ChannelsLast => index,
            AxisOrder::ChannelsFirst => {
                let (position, channel) = (index / channels, index % channels);
                channel * rows * columns + position
            }
        })
    }
}

/// A sliding window over rows and columns. Pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Taps, at least 1 each.
    pub kernel: [u64; 2],
    /// Step between positions, at least 1 each.
    pub stride: [u64; 2],
    /// Step between taps, at least 1 each.
    pub dilation: [u64; 2],
    /// Padding above and to the left.
    pub padding_before: [u64; 2],
    /// Padding below and to the right.
    pub padding_after: [u64; 2],
}

impl Window {
    /// Taps of one position and channel.
    pub fn taps(&self) -> u64 {
        self.kernel[0].saturating_mul(self.kernel[1])
    }

    /// Rows and columns that one position spans, dilation included.
    pub fn span(&self) -> [u64; 2] {
        [0, 1].map(|axis| (self.kernel[axis] - 1) * self.dilation[axis] + 1)
    }

    /// Whether any tap can fall outside the input.
    pub fn is_padded(&self) -> bool {
        self.padding_before != [0, 0] || self.padding_after != [0, 0]
    }

    /// Output rows and columns over an input, or `None` where the window does not fit or a number is not sensible.
    pub fn positions(&self, input: Shape) -> Option<[u64; 2]> {
        let axis = |axis: usize, length: u64| -> Option<u64> {
            let kernel = self.kernel[axis];
            let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
            if kernel == 0 || stride == 0 || dilation == 0 {
                return None;
            }
            let span = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
            let padded = length.checked_add(self.padding_before[axis])?.checked_add(self.padding_after[axis])?;
            Some(padded.checked_sub(span)? / stride + 1)
        };
        Some([axis(0, input.rows)?, axis(1, input.columns)?])
    }

    /// Of so many output positions along one axis, those at the start and those at the end whose windows reach padding;
    /// all stand at the start where every window does.
    pub fn border(&self, axis: usize, positions: u64, length: u64) -> [u64; 2] {
        let (stride, span) = (self.stride[axis], self.span()[axis]);
        let first = self.padding_before[axis].div_ceil(stride);
        let inside =
            (self.padding_before[axis] + length).checked_sub(span).map(|room| (room / stride).min(positions - 1));
        match inside {
            Some(last) if first <= last => [first, positions - 1 - last],
            _ => [positions, 0],
        }
    }

    /// The input row or column (`axis` 0 or 1) of a tap, or `None` where it is padding.
    pub fn source(&self, axis: usize, position: u64, tap: u64, length: u64) -> Option<u64> {
        let padded = position * self.stride[axis] + tap * self.dilation[axis];
        padded.checked_sub(self.padding_before[axis]).filter(|&index| index < length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_first_indices() {
        let shape = Shape::new(1, 2, 3).unwrap();
        assert_eq!(AxisOrder::ChannelsFirst.model_indices(shape).collect::<Vec<_>>(), [0, 2, 4, 1, 3, 5]);
    }

    #[test]
    fn window_positions_and_sources() {
        let window =
            Window { kernel: [3, 2], stride: [2, 1], dilation: [1, 2], padding_before: [1, 0], padding_after: [0, 1] };
        let input = Shape::new(5, 4, 1).unwrap();
        assert_eq!(window.positions(input), Some([2, 3]));
        assert_eq!(window.source(0, 0, 0, 5), None);
        assert_eq!(window.source(0, 1, 2, 5), Some(3));
        assert_eq!(window.source(1, 2, 1, 4), None);
        assert_eq!(Window { kernel: [9, 1], ..window }.positions(input), None);
        assert_eq!(Window { stride: [0, 1], ..window }.positions(input), None);
    }
}
