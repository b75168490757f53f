//! Reductions over axes: ReduceMean, ReduceSum, ReduceMax, Softmax, ArgMax.

use super::operator::{Operands, fault};
use crate::fault::Checked;
use crate::layout::axis_index;
use candle_core::{DType, Tensor};

/// ReduceMean, ReduceSum and ReduceMax, with axes as attribute or input.
pub(super) fn reduce(operands: &Operands<'_>) -> Checked<Tensor> {
    let (node, mut x) = (operands.node, operands.tensor(0)?.clone());
    let axes = operands.ints(1, "axes")?.filter(|axes| !axes.is_empty());
    if axes.is_none() && node.attributes.int("noop_with_empty_axes", 0)? != 0 {
        return Ok(x);
    }
    let rank = x.rank();
    let mut axes: Vec<usize> = match axes {
        Some(axes) => axes.iter().map(|&axis| axis_index(axis, rank)).collect::<Checked<_>>()?,
        None => (0..rank).collect(),
    };
    axes.sort_unstable();
    axes.dedup();
    for &axis in &axes {
        x = match node.op.as_str() {
            "ReduceMean" => x.mean_keepdim(axis),
            "ReduceSum" => x.sum_keepdim(axis),
            _ => x.max_keepdim(axis),
        }
        .map_err(fault)?;
    }
    if node.attributes.int("keepdims", 1)? == 0 {
        for &axis in axes.iter().rev() {
            x = x.squeeze(axis).map_err(fault)?;
        }
    }
    Ok(x)
}

/// Softmax over one axis; without one the last, or in models of many axes the second, as old versions have it.
pub(super) fn softmax(operands: &Operands<'_>) -> Checked<Tensor> {
    let x = operands.tensor(0)?;
    let axis = operands.node.attributes.int("axis", if x.rank() <= 2 { -1 } else { 1 })?;
    let axis = axis_index(axis, x.rank())?;
    let exp = x.broadcast_sub(&x.max_keepdim(axis).map_err(fault)?).and_then(|x| x.exp()).map_err(fault)?;
    exp.broadcast_div(&exp.sum_keepdim(axis).map_err(fault)?).map_err(fault)
}

/// ArgMax; the indices as floats, the lowest among equals.
pub(super) fn arg_max(operands: &Operands<'_>) -> Checked<Tensor> {
    let x = operands.tensor(0)?;
    let axis = axis_index(operands.node.attributes.int("axis", 0)?, x.rank())?;
    let keep = operands.node.attributes.int("keepdims", 1)? != 0;
    let made = if keep { x.argmax_keepdim(axis) } else { x.argmax(axis) };
    made.and_then(|made| made.to_dtype(DType::F32)).map_err(fault)
}
