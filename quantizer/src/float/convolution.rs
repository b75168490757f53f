//! Convolutions of one frame: patches of some output rows at a time, times the weights.

use super::operator::fault;
use super::pointwise::with_elements;
use super::tensor;
use super::window::Windows;
use crate::fault::{Checked, Fault};
use candle_core::Tensor;
use rayon::prelude::*;

/// Elements of the patches that are multiplied at once.
const BLOCK_ELEMENTS: usize = 1 << 20;

/// An image of some channels, as two spatial axes.
struct Image<'a> {
    elements: &'a [f32],
    rows: usize,
    columns: usize,
    window: [Axis; 2],
}

/// A window along one axis.
#[derive(Clone, Copy)]
struct Axis {
    taps: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    positions: usize,
}

impl Axis {
    /// A window of one tap over an axis of one place.
    const POINT: Axis = Axis { taps: 1, stride: 1, dilation: 1, before: 0, positions: 1 };

    /// Positions at which a tap lies inside an axis of so many places.
    fn inside(self, tap: usize, length: usize) -> std::ops::Range<usize> {
        let first = self.before.saturating_sub(tap * self.dilation).div_ceil(self.stride);
        let end = (length + self.before).checked_sub(tap * self.dilation + 1).map_or(0, |last| last / self.stride + 1);
        first.min(self.positions)..end.min(self.positions).max(first.min(self.positions))
    }

    /// The place that a tap sees from a position where it lies inside.
    fn place(self, tap: usize, position: usize) -> usize {
        position * self.stride + tap * self.dilation - self.before
    }
}

/// `x` (1, channels, one or two spatial axes) times weights (outputs, channels of a group, taps); shapes fit.
pub(super) fn convolve(x: &Tensor, weights: &Tensor, windows: &Windows, groups: usize) -> Checked<Tensor> {
    if x.track_op() || weights.track_op() {
        return convolve_tracked(x, weights, windows, groups);
    }
    let (dims, shape) = (x.dims(), weights.dims());
    let axes = windows.kernel.len();
    let axis = |axis: usize| Axis {
        taps: windows.kernel[axis],
        stride: windows.stride[axis],
        dilation: windows.dilation[axis],
        before: windows.before[axis],
        positions: windows.positions[axis],
    };
    let window = if axes == 1 { [Axis::POINT, axis(0)] } else { [axis(0), axis(1)] };
    let (rows, columns) = if axes == 1 { (1, dims[2]) } else { (dims[2], dims[3]) };
    let image = Image { elements: &[], rows, columns, window };
    let positions = window[0].positions * window[1].positions;
    let made = with_elements(x, |elements| {
        let image = Image { elements, ..image };
        if shape[1] == 1 && shape[0] == groups {
            return with_elements(weights, |weights| Ok(image.depthwise(weights, positions)))?;
        }
        let (outputs, inputs) = (shape[0] / groups, shape[1]);
        let length = inputs * window[0].taps * window[1].taps;
        let by_row = weights.reshape((groups, outputs, length)).map_err(fault)?;
        let mut made = vec![0f32; shape[0] * positions];
        for group in 0..groups {
            let weights = by_row.get(group).and_then(|rows| rows.contiguous()).map_err(fault)?;
            let channels = group * inputs..(group + 1) * inputs;
            let made = &mut made[group * outputs * positions..(group + 1) * outputs * positions];
            image.multiply(channels, &weights, outputs, made)?;
        }
        Ok(made)
    })??;
    let dims: Vec<usize> = [1, shape[0]].into_iter().chain(windows.positions.iter().copied()).collect();
    tensor(made, &dims)
}

/// The same tap by tap in operations of the tensor library, through which gradients go back.
fn convolve_tracked(x: &Tensor, weights: &Tensor, windows: &Windows, groups: usize) -> Checked<Tensor> {
    let (outputs, inputs) = (weights.dims()[0], weights.dims()[1]);
    let taps: usize = windows.kernel.iter().product();
    let rows = weights.reshape((groups, outputs / groups, inputs, taps)).map_err(fault)?;
    let mut sum: Option<Tensor> = None;
    windows.taps(&windows.pad(x, 0.0)?, &mut |tap, seen| {
        let term = || {
            let weights = rows.narrow(3, tap, 1)?.squeeze(3)?.contiguous()?;
            let term = weights.matmul(&seen.reshape((groups, inputs, ()))?)?;
            if let Some(sum) = &sum { sum + term } else { Ok(term) }
        };
        sum = Some(term().map_err(fault)?);
        Ok(())
    })?;
    let dims: Vec<usize> = [1, outputs].into_iter().chain(windows.positions.iter().copied()).collect();
    sum.ok_or_else(|| Fault::shape("a convolution without taps", "check the kernel's shape"))?
        .reshape(dims)
        .map_err(fault)
}

impl Image<'_> {
    /// One group: the sums of all positions for each output.
    fn multiply(
        &self,
        channels: std::ops::Range<usize>,
        weights: &Tensor,
        outputs: usize,
        made: &mut [f32],
    ) -> Checked<()> {
        let [rows, columns] = self.window;
        let length = channels.len() * rows.taps * columns.taps;
        let positions = rows.positions * columns.positions;
        let at_once = (BLOCK_ELEMENTS / (length * columns.positions).max(1)).clamp(1, rows.positions.max(1));
        for first in (0..rows.positions).step_by(at_once) {
            let block = first..(first + at_once).min(rows.positions);
            let count = block.len() * columns.positions;
            let mut patches = vec![0f32; length * count];
            let taps = rows.taps * columns.taps;
            patches.par_chunks_mut((count * taps).max(1)).zip(channels.clone()).for_each(|(patches, channel)| {
                for (tap, patch) in patches.chunks_exact_mut(count.max(1)).enumerate() {
                    self.patch(channel, [tap / columns.taps, tap % columns.taps], block.clone(), patch);
                }
            });
            let sums = weights.matmul(&tensor(patches, &[length, count])?).map_err(fault)?;
            with_elements(&sums, |sums| {
                for (output, sums) in sums.chunks_exact(count.max(1)).enumerate().take(outputs) {
                    let start = output * positions + first * columns.positions;
                    made[start..start + count].copy_from_slice(sums);
                }
            })?;
        }
        Ok(())
    }

    /// What one tap of a channel sees from all positions of some output rows; zero where it lies in the padding.
    fn patch(&self, channel: usize, tap: [usize; 2], block: std::ops::Range<usize>, patch: &mut [f32]) {
        let [rows, columns] = self.window;
        let inside = [rows.inside(tap[0], self.rows), columns.inside(tap[1], self.columns)];
        for (row, patch) in block.zip(patch.chunks_exact_mut(columns.positions)) {
            if !inside[0].contains(&row) || inside[1].is_empty() {
                continue;
            }
            let line = (channel * self.rows + rows.place(tap[0], row)) * self.columns;
            let start = line + columns.place(tap[1], inside[1].start);
            let source = &self.elements[start..line + self.columns];
            let patch = &mut patch[inside[1].clone()];
            if columns.stride == 1 {
                patch.copy_from_slice(&source[..patch.len()]);
            } else {
                patch.iter_mut().zip(source.iter().step_by(columns.stride)).for_each(|(to, &from)| *to = from);
            }
        }
    }

    /// A convolution whose groups have one channel each.
    fn depthwise(&self, weights: &[f32], positions: usize) -> Vec<f32> {
        let [rows, columns] = self.window;
        let taps = rows.taps * columns.taps;
        let mut made = vec![0f32; weights.len() / taps.max(1) * positions];
        let channels = made.par_chunks_mut(positions.max(1)).zip(weights.par_chunks(taps.max(1))).enumerate();
        channels.for_each(|(channel, (sums, weights))| {
            let mut patch = vec![0f32; positions];
            for (tap, &weight) in weights.iter().enumerate() {
                patch.fill(0.0);
                self.patch(channel, [tap / columns.taps, tap % columns.taps], 0..rows.positions, &mut patch);
                sums.iter_mut().zip(&patch).for_each(|(sum, &value)| *sum += value * weight);
            }
        });
        made
    }
}

/// A convolution that is none: its kernel or its channels are empty.
pub(super) fn is_empty(dims: &[usize], shape: &[usize]) -> Option<Fault> {
    (dims.contains(&0) || shape.contains(&0))
        .then(|| Fault::shape(format!("a convolution of {dims:?} with weights of shape {shape:?}"), "check the shapes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::elements;
    use candle_core::Var;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 37 + seed * 11) % 23) as f32 / 23.0 - 0.5).collect()
    }

    /// Inputs of 4 channels, 7 x 6 places.
    #[track_caller]
    fn check(outputs: usize, groups: usize, kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2], pad: usize) {
        let positions = [(7, 0), (6, 1)]
            .map(|(length, axis)| (length + 2 * pad - (kernel[axis] - 1) * dilation[axis] - 1) / stride[axis] + 1);
        let windows = Windows {
            kernel: kernel.to_vec(),
            stride: stride.to_vec(),
            dilation: dilation.to_vec(),
            before: vec![pad; 2],
            after: vec![pad; 2],
            positions: positions.to_vec(),
        };
        let x = tensor(numbers(4 * 42, 1), &[1, 4, 7, 6]).unwrap();
        let dims = [outputs, 4 / groups, kernel[0], kernel[1]];
        let weights = numbers(dims.iter().product(), 2);
        let plain = |weights: &[f32]| {
            let weights = tensor(weights.to_vec(), &dims).unwrap();
            elements(&convolve(&x, &weights, &windows, groups).unwrap())
        };
        let variable = Var::from_tensor(&tensor(weights.clone(), &dims).unwrap()).unwrap();
        let tracked = convolve(&x, variable.as_tensor(), &windows, groups).unwrap();
        let sums = plain(&weights);
        for (a, b) in elements(&tracked).iter().zip(&sums) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        // The sum of squares, whose gradient differs from place to place.
        let gradients = tracked.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let gradient = elements(gradients.get(variable.as_tensor()).unwrap());
        let loss = |weights: &[f32]| plain(weights).iter().map(|&sum| f64::from(sum).powi(2)).sum::<f64>();
        for at in 0..weights.len() {
            let moved = |by: f32| {
                let mut moved = weights.clone();
                moved[at] += by;
                loss(&moved)
            };
            let slope = (moved(0.05) - moved(-0.05)) / 0.1;
            assert!((slope - f64::from(gradient[at])).abs() < 0.01 * slope.abs().max(1.0), "{slope} {}", gradient[at]);
        }
    }

    #[test]
    fn gradients_go_back_through_every_window() {
        check(3, 1, [3, 3], [1, 1], [1, 1], 1);
        check(6, 2, [2, 3], [2, 1], [1, 2], 2);
        check(4, 4, [3, 2], [1, 2], [2, 1], 1);
        check(8, 4, [1, 1], [1, 1], [1, 1], 0);
    }
}
