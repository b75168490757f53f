//! Operators over constants that take, repeat or gather elements, or reduce axes.

use super::Constant;
use super::evaluate::{input, slices};
use super::shaping::{broadcast, broadcast_indices};
use crate::fault::{Checked, Fault};
use crate::layout::axis_index;
use crate::model::{Array, Data, Node, elements};

/// `Expand`: numpy's broadcasting to a shape.
pub(super) fn expand(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Constant> {
    let (x, shape) = (input(node, inputs, 0)?, input(node, inputs, 1)?.ints()?);
    let dims = broadcast(&x.array.dims, &lengths(&shape)?)?;
    let indices = broadcast_indices(&x.array.dims, &dims);
    Ok(x.select(dims, &indices))
}

/// `Tile`: each axis so many times.
pub(super) fn tile(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Constant> {
    let (x, repeats) = (input(node, inputs, 0)?, lengths(&input(node, inputs, 1)?.ints()?)?);
    if repeats.len() != x.array.dims.len() {
        return Err(Fault::shape("a Tile with other numbers of repeats than axes", "repeat every axis"));
    }
    let dims: Option<Vec<usize>> = x.array.dims.iter().zip(&repeats).map(|(dim, n)| dim.checked_mul(*n)).collect();
    elements(&dims.ok_or_else(|| Fault::shape("a Tile of too many elements", "repeat less often"))?)?;
    let mut made = x.clone();
    for (axis, &count) in repeats.iter().enumerate() {
        let chosen: Vec<usize> = (0..count).flat_map(|_| 0..x.array.dims[axis]).collect();
        made = made.take(axis, &chosen);
    }
    Ok(made)
}

/// `Slice`, in steps of either direction.
pub(super) fn slice(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Constant> {
    let mut made = input(node, inputs, 0)?.clone();
    for (start, end, axis, step) in slices(inputs, node)? {
        let axis = axis_index(axis, made.array.dims.len())?;
        let length = made.array.dims[axis] as i64;
        if step == 0 {
            return Err(Fault::shape("a Slice in steps of 0", "check the model's Slice"));
        }
        let place = |value: i64| if value < 0 { value.saturating_add(length) } else { value };
        let size = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
        let chosen: Vec<usize> = if step > 0 {
            (place(start).clamp(0, length)..place(end).clamp(0, length)).step_by(size).map(|i| i as usize).collect()
        } else {
            let (first, last) = (place(start).clamp(-1, length - 1), place(end).clamp(-1, length - 1));
            (last + 1..=first).rev().step_by(size).map(|i| i as usize).collect()
        };
        made = made.take(axis, &chosen);
    }
    Ok(made)
}

/// `Split`: parts of an axis, of stated lengths or as many as there are outputs.
pub(super) fn split(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Vec<Constant>> {
    let x = input(node, inputs, 0)?;
    let axis = axis_index(node.attributes.int("axis", 0)?, x.array.dims.len())?;
    let (length, count) = (x.array.dims[axis], node.outputs.len().max(1));
    let stated = match inputs.get(1).copied().flatten() {
        Some(constant) => Some(constant.ints()?),
        None => node.attributes.ints("split")?.map(<[i64]>::to_vec),
    };
    let even = length.div_ceil(count);
    let parts = match stated {
        Some(stated) => lengths(&stated)?,
        None => (0..count).map(|part| length.saturating_sub(part * even).min(even)).collect(),
    };
    if parts.iter().try_fold(0usize, |sum, &part| sum.checked_add(part)) != Some(length) {
        return Err(Fault::shape(format!("{parts:?} elements of an axis of {length}"), "check the model's Split"));
    }
    let mut first = 0;
    let part = |count: &usize| {
        let chosen: Vec<usize> = (first..first + count).collect();
        first += count;
        x.take(axis, &chosen)
    };
    Ok(parts.iter().map(part).collect())
}

/// `GatherElements`: for each element of the indices the one at that place of an axis.
pub(super) fn gather_elements(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Constant> {
    let (x, indices) = (input(node, inputs, 0)?, input(node, inputs, 1)?);
    let (from, dims) = (&x.array.dims, &indices.array.dims);
    let axis = axis_index(node.attributes.int("axis", 0)?, from.len())?;
    let fits = |(index, (to, from)): (usize, (&usize, &usize))| index == axis || to <= from;
    if dims.len() != from.len() || !dims.iter().zip(from).enumerate().all(fits) {
        return Err(Fault::shape(
            format!("indices of shape {dims:?} into {from:?}"),
            "check the model's GatherElements",
        ));
    }
    let mut places = Vec::with_capacity(indices.array.len());
    for (element, &index) in indices.ints()?.iter().enumerate() {
        let index = axis_index(index, from[axis])?;
        let (mut rest, mut place, mut stride) = (element, 0, 1);
        for current in (0..dims.len()).rev() {
            let own = rest % dims[current];
            rest /= dims[current];
            place += stride * if current == axis { index } else { own };
            stride *= from[current];
        }
        places.push(place);
    }
    Ok(x.select(dims.clone(), &places))
}

/// How a reduction joins two numbers.
#[derive(Clone, Copy)]
pub(super) enum Reduction {
    Sum,
    Mean,
    Product,
    Max,
    Min,
}

/// A reduction of some axes, or of all.
pub(super) fn reduce(node: &Node, inputs: &[Option<&Constant>], reduction: Reduction) -> Checked<Constant> {
    let x = input(node, inputs, 0)?;
    let dims = &x.array.dims;
    let stated = match inputs.get(1).copied().flatten() {
        Some(axes) => Some(axes.ints()?),
        None => node.attributes.ints("axes")?.map(<[i64]>::to_vec),
    };
    let axes: Vec<usize> = match stated.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|&axis| axis_index(axis, dims.len())).collect::<Checked<_>>()?,
        None if node.attributes.int("noop_with_empty_axes", 0)? != 0 => return Ok(x.clone()),
        None => (0..dims.len()).collect(),
    };
    let kept: Vec<usize> =
        dims.iter().enumerate().map(|(axis, &dim)| if axes.contains(&axis) { 1 } else { dim }).collect();
    let count: usize = kept.iter().product();
    let places = broadcast_indices(&kept, dims);
    let reduced: usize = axes.iter().map(|&axis| dims[axis]).product();
    let empty = || Fault::shape("a reduction of no elements", "check the operator's axes");
    if reduced == 0 && count > 0 {
        return Err(empty());
    }
    let data = match &x.array.data {
        Data::Int(values) => {
            let mut made: Vec<Option<i64>> = vec![None; count];
            for (&place, &value) in places.iter().zip(values) {
                let joined = |old: i64| match reduction {
                    Reduction::Sum | Reduction::Mean => old.checked_add(value),
                    Reduction::Product => old.checked_mul(value),
                    Reduction::Max => Some(old.max(value)),
                    Reduction::Min => Some(old.min(value)),
                };
                let overflow = || Fault::constant("integer arithmetic overflows", "check the model's constants");
                made[place] = Some(made[place].map_or(Some(value), joined).ok_or_else(overflow)?);
            }
            let mean = |sum: i64| if matches!(reduction, Reduction::Mean) { sum / reduced as i64 } else { sum };
            Data::Int(made.into_iter().map(|value| value.map(mean).ok_or_else(empty)).collect::<Checked<_>>()?)
        }
        Data::Float(values) => {
            let start = match reduction {
                Reduction::Sum | Reduction::Mean => 0.0,
                Reduction::Product => 1.0,
                Reduction::Max => f64::NEG_INFINITY,
                Reduction::Min => f64::INFINITY,
            };
            let mut made = vec![start; count];
            for (&place, &value) in places.iter().zip(values) {
                let value = f64::from(value);
                made[place] = match reduction {
                    Reduction::Sum | Reduction::Mean => made[place] + value,
                    Reduction::Product => made[place] * value,
                    Reduction::Max => made[place].max(value),
                    Reduction::Min => made[place].min(value),
                };
            }
            let divisor = if matches!(reduction, Reduction::Mean) { reduced as f64 } else { 1.0 };
            Data::Float(made.into_iter().map(|value| (value / divisor) as f32).collect())
        }
    };
    let made = Constant::plain(Array { dims: kept, data });
    if node.attributes.int("keepdims", 1)? != 0 {
        return Ok(made);
    }
    made.with_dims((0..dims.len()).filter(|axis| !axes.contains(axis)).map(|axis| dims[axis]).collect())
}

fn lengths(values: &[i64]) -> Checked<Vec<usize>> {
    let lengths: Option<Vec<usize>> = values.iter().map(|&value| usize::try_from(value).ok()).collect();
    lengths.ok_or_else(|| Fault::shape(format!("a negative length in {values:?}"), "check the operator's shape"))
}
