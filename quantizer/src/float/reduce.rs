//! Reductions over axes: ReduceMean, ReduceSum, ReduceMax, Softmax, ArgMax, TopK.

use super::operator::{Operands, fault};
use super::{elements, tensor};
use crate::fault::{Checked, Fault};
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

/// TopK: values in falling (or rising) order and their indices as floats, the lowest first among equals.
pub(super) fn top_k(operands: &Operands<'_>) -> Checked<Vec<Tensor>> {
    let (node, x) = (operands.node, operands.tensor(0)?);
    let axis = axis_index(node.attributes.int("axis", -1)?, x.rank())?;
    let count = operands.ints(1, "k")?.and_then(|list| list.first().copied()).or(Some(node.attributes.int("k", 1)?));
    let length = x.dims()[axis];
    let count = count.and_then(|count| usize::try_from(count).ok()).filter(|count| *count <= length);
    let count =
        count.ok_or_else(|| Fault::shape(format!("a TopK of more than the {length} elements"), "use a smaller k"))?;
    let rising = node.attributes.int("largest", 1)? == 0;
    let mut dims = x.dims().to_vec();
    dims[axis] = count;
    let inner: usize = dims[axis + 1..].iter().product();
    let all = elements(x);
    let mut made = [vec![0.0; dims.iter().product()], vec![0.0; dims.iter().product()]];
    for outer in 0..all.len().checked_div(length * inner).unwrap_or(0) {
        for place in 0..inner {
            let at = |index: usize| all[(outer * length + index) * inner + place];
            let mut order: Vec<usize> = (0..length).collect();
            order.sort_by(|&a, &b| if rising { at(a).total_cmp(&at(b)) } else { at(b).total_cmp(&at(a)) });
            for (rank, &index) in order.iter().take(count).enumerate() {
                let to = (outer * count + rank) * inner + place;
                (made[0][to], made[1][to]) = (at(index), index as f32);
            }
        }
    }
    made.into_iter().map(|values| tensor(values, &dims)).collect()
}
