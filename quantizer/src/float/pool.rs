//! Max and average pooling.

use super::operator::{Operands, fault};
use super::pointwise::meet;
use super::tensor;
use super::window::{Windows, list};
use crate::fault::{Checked, Fault};
use candle_core::Tensor;

/// MaxPool, whose padding never wins, and AveragePool.
pub(super) fn pool(operands: &Operands<'_>) -> Checked<Tensor> {
    let (node, x) = (operands.node, operands.tensor(0)?);
    if x.rank() < 3 || x.rank() > 5 || node.attributes.ints("kernel_shape")?.is_none() {
        return Err(Fault::shape(
            format!("`{}` of a tensor of shape {:?}, or without kernel_shape", node.op, x.dims()),
            "batch, channels and one to three spatial axes are expected",
        ));
    }
    let lengths = &x.dims()[2..];
    let kernel = list(node, "kernel_shape", lengths.len(), 1, 1)?;
    let windows = Windows::parse(node, kernel, lengths)?;
    let is_max = node.op == "MaxPool";
    let padded = windows.pad(x, if is_max { f32::NEG_INFINITY } else { 0.0 })?;
    let mut made: Option<Tensor> = None;
    windows.taps(&padded, &mut |_, seen| {
        made = Some(match &made {
            None => seen,
            Some(made) if is_max => meet(
                made,
                &seen,
                |most, next| if next > most || next.is_nan() { next } else { most },
                |a, b| a.maximum(b),
            )?,
            Some(made) => meet(made, &seen, |sum, next| sum + next, |a, b| a.add(b))?,
        });
        Ok(())
    })?;
    let made = made.ok_or_else(|| Fault::shape("a pool without taps", "check kernel_shape"))?;
    if is_max {
        return made.contiguous().map_err(fault);
    }
    let counted = node.attributes.int("count_include_pad", 0)? != 0;
    made.broadcast_div(&divisors(&windows, lengths, counted)?).map_err(fault)
}

/// How many elements each position averages: those inside the input, or inside the padding that the model states.
fn divisors(windows: &Windows, lengths: &[usize], padding_counts: bool) -> Checked<Tensor> {
    let mut counts = vec![1.0f32];
    for (axis, &length) in lengths.iter().enumerate() {
        let before = windows.before[axis];
        let (low, high) =
            if padding_counts { (0, before + length + windows.after[axis]) } else { (before, before + length) };
        let of_axis: Vec<f32> = (0..windows.positions[axis])
            .map(|position| {
                let taps = (0..windows.kernel[axis])
                    .map(|tap| position * windows.stride[axis] + tap * windows.dilation[axis])
                    .filter(|place| (low..high).contains(place));
                taps.count().max(1) as f32
            })
            .collect();
        counts = counts.iter().flat_map(|&outer| of_axis.iter().map(move |&inner| outer * inner)).collect();
    }
    let dims: Vec<usize> = [1, 1].into_iter().chain(windows.positions.iter().copied()).collect();
    tensor(counts, &dims)
}

/// GlobalMaxPool and GlobalAveragePool.
pub(super) fn global(operands: &Operands<'_>) -> Checked<Tensor> {
    let mut x = operands.tensor(0)?.clone();
    for axis in 2..x.rank() {
        x = if operands.node.op == "GlobalMaxPool" { x.max_keepdim(axis) } else { x.mean_keepdim(axis) }
            .map_err(fault)?;
    }
    Ok(x)
}
