//! Sliding windows over any number of spatial axes: geometry, padding, and one tensor for each tap.

use super::bounded;
use super::operator::fault;
use crate::fault::{Checked, Fault};
use crate::model::Node;
use candle_core::{Device, Tensor};

/// Largest number in a window's attributes; keeps sums far from overflow.
const MOST: usize = 1 << 24;

/// Geometry of a window, one entry for each spatial axis.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    pub kernel: Vec<usize>,
    pub stride: Vec<usize>,
    pub dilation: Vec<usize>,
    /// Padding as the model states it.
    pub before: Vec<usize>,
    pub after: Vec<usize>,
    /// Positions of the window.
    pub positions: Vec<usize>,
}

/// A list of numbers, one for each spatial axis.
pub(super) fn list(node: &Node, name: &str, axes: usize, default: usize, least: usize) -> Checked<Vec<usize>> {
    let Some(values) = node.attributes.ints(name)? else { return Ok(vec![default; axes]) };
    let numbers: Vec<usize> = values
        .iter()
        .filter_map(|&value| usize::try_from(value).ok().filter(|&value| value >= least && value <= MOST))
        .collect();
    if numbers.len() != values.len() || numbers.len() != axes {
        return Err(Fault::shape(
            format!("attribute `{name}` is {values:?}"),
            format!("{axes} numbers of at least {least} are expected"),
        ));
    }
    Ok(numbers)
}

impl Windows {
    /// Geometry of a Conv, MaxPool or AveragePool over axes of these lengths.
    pub fn parse(node: &Node, kernel: Vec<usize>, lengths: &[usize]) -> Checked<Windows> {
        let axes = lengths.len();
        if kernel.len() != axes || kernel.iter().any(|&taps| taps == 0 || taps > MOST) {
            return Err(Fault::shape(format!("a kernel of {kernel:?} over {lengths:?}"), "check the kernel's shape"));
        }
        let stride = list(node, "strides", axes, 1, 1)?;
        let dilation = list(node, "dilations", axes, 1, 1)?;
        let span: Vec<usize> = (0..axes).map(|axis| (kernel[axis] - 1) * dilation[axis] + 1).collect();
        let (mut before, mut after) = (vec![0; axes], vec![0; axes]);
        let auto = node.attributes.text("auto_pad", "NOTSET")?;
        match auto {
            "NOTSET" | "" => {
                let pads = list(node, "pads", 2 * axes, 0, 0)?;
                (before, after) = (pads[..axes].to_vec(), pads[axes..].to_vec());
            }
            "VALID" => {}
            "SAME_UPPER" | "SAME_LOWER" => {
                for axis in 0..axes {
                    let positions = lengths[axis].div_ceil(stride[axis]);
                    let reach = positions.saturating_sub(1) * stride[axis] + span[axis];
                    let padding = reach.saturating_sub(lengths[axis]);
                    let (small, large) = (padding / 2, padding - padding / 2);
                    (before[axis], after[axis]) = if auto == "SAME_UPPER" { (small, large) } else { (large, small) };
                }
            }
            other => {
                return Err(Fault::operator(
                    format!("auto_pad `{other}`"),
                    "NOTSET, VALID, SAME_UPPER and SAME_LOWER can be built",
                ));
            }
        }
        let ceil = node.attributes.int("ceil_mode", 0)? != 0;
        let mut positions = Vec::new();
        for axis in 0..axes {
            let room = (lengths[axis] + before[axis] + after[axis]).checked_sub(span[axis]).ok_or_else(|| {
                Fault::shape(
                    format!("a window of {kernel:?} over {lengths:?} does not fit"),
                    "check kernel, strides, dilations and pads",
                )
            })?;
            let mut count = if ceil { room.div_ceil(stride[axis]) + 1 } else { room / stride[axis] + 1 };
            if ceil && (count - 1) * stride[axis] >= lengths[axis] + before[axis] {
                count -= 1;
            }
            positions.push(count);
        }
        bounded(&positions)?;
        Ok(Windows { kernel, stride, dilation, before, after, positions })
    }

    /// Padding behind that the last positions reach, which rounding up may make more or less than stated.
    pub fn reached(&self, axis: usize, length: usize) -> usize {
        let span = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
        ((self.positions[axis] - 1) * self.stride[axis] + span).saturating_sub(length + self.before[axis])
    }

    /// Pads `x` (batch, channels, spatial axes) with `value` so that every position lies inside.
    pub fn pad(&self, x: &Tensor, value: f32) -> Checked<Tensor> {
        let mut padded = x.clone();
        for axis in 0..self.kernel.len() {
            let length = x.dims()[axis + 2];
            padded = pad_axis(&padded, axis + 2, self.before[axis], self.reached(axis, length), value)?;
        }
        Ok(padded)
    }

    /// For each tap, first axis slowest, the elements of a padded tensor that it sees at all positions.
    pub fn taps(&self, padded: &Tensor, visit: &mut dyn FnMut(usize, Tensor) -> Checked<()>) -> Checked<()> {
        let count: usize = self.kernel.iter().product();
        for tap in 0..count {
            let mut rest = tap;
            let mut seen = padded.clone();
            for axis in (0..self.kernel.len()).rev() {
                let place = rest % self.kernel[axis] * self.dilation[axis];
                rest /= self.kernel[axis];
                seen = every(&seen, axis + 2, place, self.stride[axis], self.positions[axis])?;
            }
            visit(tap, seen)?;
        }
        Ok(())
    }
}

/// `count` places of an axis from `start` on, `step` apart.
pub(super) fn every(x: &Tensor, axis: usize, start: usize, step: usize, count: usize) -> Checked<Tensor> {
    if step == 1 {
        return x.narrow(axis, start, count).map_err(fault);
    }
    let chosen: Vec<u32> = (0..count).map(|index| (start + index * step) as u32).collect();
    select(x, axis, chosen)
}

/// The places `chosen` of an axis.
pub(super) fn select(x: &Tensor, axis: usize, chosen: Vec<u32>) -> Checked<Tensor> {
    let count = chosen.len();
    let indices = Tensor::from_vec(chosen, count, &Device::Cpu).map_err(fault)?;
    x.contiguous().and_then(|x| x.index_select(&indices, axis)).map_err(fault)
}

/// Adds places of `value` before and behind an axis.
pub(super) fn pad_axis(x: &Tensor, axis: usize, before: usize, after: usize, value: f32) -> Checked<Tensor> {
    let mut dims = x.dims().to_vec();
    dims[axis] += before + after;
    bounded(&dims)?;
    let block = |count: usize| {
        let mut dims = x.dims().to_vec();
        dims[axis] = count;
        Tensor::full(value, dims, &Device::Cpu)
    };
    let parts: Vec<Tensor> = [(before, true), (0, false), (after, true)]
        .into_iter()
        .filter(|&(count, is_block)| !is_block || count > 0)
        .map(|(count, is_block)| if is_block { block(count) } else { Ok(x.clone()) })
        .collect::<candle_core::Result<_>>()
        .map_err(fault)?;
    if parts.len() == 1 { Ok(x.clone()) } else { Tensor::cat(&parts, axis).map_err(fault) }
}
