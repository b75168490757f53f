//! Which element of a hardware tensor (rows, columns, channels) each element of a model's tensor is.
//!
//! Each axis of the model is a mixed-radix number whose digits step through the hardware tensor, so Transpose,
//! Reshape, Flatten and the like cost nothing and any permutation before a dense layer can be read off.

use crate::fault::{Checked, Fault};
use network::Shape;

/// A digit of an axis: `size` steps of `stride` hardware elements. Never of size 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digit {
    pub size: u64,
    pub stride: u64,
}

/// One axis: digits from the slowest to the fastest. An axis of length 1 has none.
pub(crate) type Axis = Vec<Digit>;

/// A model's tensor as a view of a hardware tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    axes: Vec<Axis>,
}

/// Most channels that constants are resolved for.
const MAX_CHANNELS: u64 = 1 << 22;

fn axis(size: u64, stride: u64) -> Axis {
    if size == 1 { Vec::new() } else { vec![Digit { size, stride }] }
}

/// Appends a digit, joined with the last one where both step evenly.
fn push(axis: &mut Axis, digit: Digit) {
    match axis.last_mut() {
        _ if digit.size == 1 => {}
        Some(last) if last.stride == digit.size * digit.stride => {
            *last = Digit { size: last.size * digit.size, stride: digit.stride };
        }
        _ => axis.push(digit),
    }
}

/// Length of an axis.
pub(crate) fn length(axis: &Axis) -> u64 {
    axis.iter().map(|digit| digit.size).product()
}

/// Hardware offset of a place on an axis.
pub(crate) fn offset(axis: &Axis, mut place: u64) -> u64 {
    let mut sum = 0;
    for digit in axis.iter().rev() {
        sum += place % digit.size * digit.stride;
        place /= digit.size;
    }
    sum
}

impl Layout {
    /// Batch, channels, rows, columns.
    pub fn channels_first(shape: Shape) -> Self {
        let Shape { rows, columns, channels } = shape;
        Layout { axes: vec![Vec::new(), axis(channels, 1), axis(rows, columns * channels), axis(columns, channels)] }
    }

    /// Batch, rows, columns, channels.
    pub fn channels_last(shape: Shape) -> Self {
        let Shape { rows, columns, channels } = shape;
        Layout { axes: vec![Vec::new(), axis(rows, columns * channels), axis(columns, channels), axis(channels, 1)] }
    }

    /// Row-major dimensions over a hardware tensor of as many elements.
    pub fn row_major(dims: &[u64]) -> Self {
        let mut stride = 1;
        let mut axes: Vec<Axis> = dims
            .iter()
            .rev()
            .map(|&size| {
                let made = axis(size, stride);
                stride *= size;
                made
            })
            .collect();
        axes.reverse();
        Layout { axes }
    }

    /// A layout of the given axes.
    pub fn of_axes(axes: Vec<Axis>) -> Self {
        Layout { axes }
    }

    /// The same elements with the last axis replaced by `channels` new ones; the others keep their positions.
    /// `None` where the last axis is not exactly all `old` channels of a position.
    pub fn with_channels(&self, old: u64, channels: u64) -> Option<Self> {
        self.with_channels_at(self.axes.len().checked_sub(1)?, old, channels)
    }

    /// The same with any axis as the channels.
    pub fn with_channels_at(&self, place: usize, old: u64, channels: u64) -> Option<Self> {
        let mut axes = Vec::with_capacity(self.axes.len());
        for (index, digits) in self.axes.iter().enumerate() {
            if index == place {
                if *digits != axis(old, 1) {
                    return None;
                }
                axes.push(axis(channels, 1));
                continue;
            }
            let scaled = |digit: &Digit| {
                digit
                    .stride
                    .is_multiple_of(old)
                    .then(|| Digit { size: digit.size, stride: digit.stride / old * channels })
            };
            axes.push(digits.iter().map(scaled).collect::<Option<Axis>>()?);
        }
        Some(Layout { axes })
    }

    /// Lengths of the axes.
    pub fn dims(&self) -> Vec<u64> {
        self.axes.iter().map(length).collect()
    }

    /// The axes.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Whether the tensor is rows x columns x channels of `shape` as (1, channels, rows, columns).
    pub fn is_channels_first(&self, shape: Shape) -> bool {
        *self == Self::channels_first(shape)
    }

    /// The axis that an ONNX attribute means; negative ones count from the end.
    pub fn axis_index(&self, axis: i64) -> Checked<usize> {
        axis_index(axis, self.axes.len())
    }

    /// Exchanges axes as Transpose does.
    pub fn transpose(&self, permutation: &[usize]) -> Self {
        Layout { axes: permutation.iter().filter_map(|&index| self.axes.get(index).cloned()).collect() }
    }

    /// Inserts or removes axes of length 1, or cuts axes anew; the elements keep their row-major order.
    pub fn reshape(&self, dims: &[u64]) -> Checked<Self> {
        let mut all = Axis::new();
        for digit in self.axes.iter().flatten() {
            push(&mut all, *digit);
        }
        let refuse = || {
            Fault::shape(
                format!(
                    "reshaping {:?} to {dims:?} cuts across axes that hardware holds in another order",
                    self.dims()
                ),
                "reshape before the layers whose order it changes, or leave it out",
            )
        };
        if dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim)) != Some(length(&all)) {
            return Err(Fault::shape(
                format!("{:?} cannot be reshaped to {dims:?}: other numbers of elements", self.dims()),
                "check the model's Reshape",
            ));
        }
        // Digits are taken from the fastest end.
        let mut axes = Vec::with_capacity(dims.len());
        for &dim in dims.iter().rev() {
            let mut taken = Axis::new();
            let mut missing = dim;
            while missing > 1 {
                let digit = all.pop().ok_or_else(refuse)?;
                let inner = if missing % digit.size == 0 { digit.size } else { missing };
                if digit.size % inner != 0 {
                    return Err(refuse());
                }
                taken.push(Digit { size: inner, stride: digit.stride });
                if digit.size > inner {
                    all.push(Digit { size: digit.size / inner, stride: digit.stride * inner });
                }
                missing /= inner;
            }
            taken.reverse();
            axes.push(taken);
        }
        axes.reverse();
        Ok(Layout { axes })
    }

    /// Hardware channels that a constant of shape `dims` is for when it is broadcast to this tensor: for each of the
    /// `channels` the index of the constant's element, or a single 0 for a scalar.
    ///
    /// `same` tells whether two elements of the constant are equal; a channel may meet several equal ones.
    pub fn channel_indices(
        &self,
        dims: &[usize],
        channels: u64,
        same: impl Fn(usize, usize) -> bool,
    ) -> Checked<Vec<usize>> {
        if dims.iter().all(|&dim| dim == 1) {
            return Ok(vec![0]);
        }
        let own = self.dims();
        let refuse = |why: &str| {
            Fault::shape(
                format!("a constant of shape {dims:?} meets a tensor of shape {own:?}: {why}"),
                "one constant for each channel, or one for all, can be built",
            )
        };
        let extra = dims.len().saturating_sub(own.len());
        if dims[..extra].iter().any(|&dim| dim != 1) {
            return Err(refuse("it has more axes"));
        }
        let dims = &dims[extra..];
        let skipped = own.len() - dims.len();
        if channels > MAX_CHANNELS {
            return Err(refuse("so many channels cannot each have a constant"));
        }
        // Offsets modulo the channels that the axes without a constant can add.
        let modulus = channels as usize;
        let mut residues = vec![0];
        let mut varied = Vec::new();
        for (index, digits) in self.axes.iter().enumerate() {
            let dim = if index < skipped { 1 } else { dims[index - skipped] };
            if dim != 1 {
                if dim as u64 != own[index] {
                    return Err(refuse("the lengths differ"));
                }
                varied.push(digits);
                continue;
            }
            for digit in digits.iter().filter(|digit| digit.stride % channels != 0) {
                let mut seen = vec![false; modulus];
                let mut grown = Vec::new();
                for step in 0..digit.size.min(channels) {
                    let shift = (step * (digit.stride % channels) % channels) as usize;
                    for residue in residues.iter().map(|residue| (residue + shift) % modulus) {
                        if !std::mem::replace(&mut seen[residue], true) {
                            grown.push(residue);
                        }
                    }
                }
                residues = grown;
            }
        }
        let count: u64 = varied.iter().map(|digits| length(digits)).product();
        let mut found: Vec<Option<usize>> = vec![None; modulus];
        for element in 0..count {
            let mut place = element;
            let mut sum = 0;
            for digits in varied.iter().rev() {
                let length = length(digits);
                sum += offset(digits, place % length) % channels;
                place /= length;
            }
            for residue in &residues {
                let channel = (sum as usize + residue) % modulus;
                match found[channel] {
                    None => found[channel] = Some(element as usize),
                    Some(other) if other == element as usize || same(other, element as usize) => {}
                    Some(_) => return Err(refuse("it varies inside a channel")),
                }
            }
        }
        found.into_iter().collect::<Option<Vec<usize>>>().ok_or_else(|| refuse("it does not reach every channel"))
    }
}

/// The axis that an ONNX attribute means among `rank`; negative ones count from the end.
pub(crate) fn axis_index(axis: i64, rank: usize) -> Checked<usize> {
    let index = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    index
        .and_then(|index| usize::try_from(index).ok())
        .filter(|&index| index < rank)
        .ok_or_else(|| Fault::shape(format!("axis {axis} of a tensor with {rank} axes"), "check the operator's axis"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape::new(2, 3, 4).unwrap()
    }

    /// Hardware indices of all elements in the model's row-major order.
    fn flat(layout: &Layout) -> Vec<u64> {
        let flat = layout.reshape(&[layout.dims().iter().product()]).unwrap();
        (0..length(&flat.axes[0])).map(|place| offset(&flat.axes[0], place)).collect()
    }

    #[test]
    fn flatten_of_channels_first() {
        let mut expected = Vec::new();
        for channel in 0..4 {
            for position in 0..6 {
                expected.push(position * 4 + channel);
            }
        }
        let layout = Layout::channels_first(shape());
        assert_eq!(layout.dims(), [1, 4, 2, 3]);
        assert_eq!(flat(&layout), expected);
    }

    #[test]
    fn reshapes_there_and_back() {
        let layout = Layout::channels_first(shape());
        let cut = layout.reshape(&[4, 6]).unwrap().reshape(&[2, 2, 2, 3]).unwrap();
        assert_eq!(cut.reshape(&[1, 4, 2, 3]).unwrap(), layout);
        assert!(layout.reshape(&[8, 3]).is_ok());
        assert!(layout.reshape(&[3, 8]).is_err());
        assert!(layout.reshape(&[5, 5]).is_err());
        let last = layout.transpose(&[0, 2, 3, 1]);
        assert_eq!(last, Layout::channels_last(shape()));
        assert_eq!(flat(&last), (0..24).collect::<Vec<_>>());
        assert_eq!(last.reshape(&[3, 8]).unwrap(), Layout::row_major(&[3, 8]));
    }

    #[test]
    fn channels_of_constants() {
        let differ = |_: usize, _: usize| false;
        let layout = Layout::channels_first(shape());
        assert_eq!(layout.channel_indices(&[4, 1, 1], 4, differ).unwrap(), [0, 1, 2, 3]);
        assert_eq!(layout.channel_indices(&[1, 1, 1, 1], 4, differ).unwrap(), [0]);
        assert!(layout.channel_indices(&[2, 3], 4, differ).is_err());
        assert!(layout.channel_indices(&[2, 3], 4, |_, _| true).is_ok());
        assert!(layout.channel_indices(&[5, 1, 1], 4, differ).is_err());
        let flattened = layout.reshape(&[1, 24]).unwrap();
        assert!(flattened.channel_indices(&[24], 4, differ).is_err());
        let by_channel = flattened.channel_indices(&[24], 4, |a, b| a / 6 == b / 6).unwrap();
        assert_eq!(by_channel, [0, 6, 12, 18]);
        let last = layout.transpose(&[0, 2, 3, 1]);
        assert_eq!(last.channel_indices(&[4], 4, differ).unwrap(), [0, 1, 2, 3]);
    }
}
