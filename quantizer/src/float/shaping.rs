//! Operators that move elements: reshaping, transposing, cutting, joining, padding.

use super::bounded;
use super::operator::{Operands, fault, unknown};
use super::window::{pad_axis, select};
use crate::constant::evaluate::{flatten_axis, permutation, reshape_target, squeezed};
use crate::fault::{Checked, Fault};
use crate::layout::axis_index;
use candle_core::Tensor;

/// Any operator of one output that only moves elements.
pub(super) fn shape(operands: &Operands<'_>) -> Checked<Tensor> {
    let (node, x) = (operands.node, operands.tensor(0)?);
    let dims: Vec<u64> = x.dims().iter().map(|&dim| dim as u64).collect();
    let reshaped = |target: Vec<u64>| {
        let target: Vec<usize> = target.into_iter().map(|dim| dim as usize).collect();
        x.reshape(target).map_err(fault)
    };
    match node.op.as_str() {
        "Identity" | "Dropout" => Ok(x.clone()),
        "Cast" if matches!(node.attributes.int("to", 1)?, 1 | 10 | 11 | 16) => Ok(x.clone()),
        "Cast" => Err(Fault::operator("a Cast of data to integers", "leave it out, or use a quantizer")),
        "Reshape" => {
            let shape = operands.ints(1, "shape")?;
            let mut shape = shape.ok_or_else(|| Fault::shape("Reshape without a shape", "export the model again"))?;
            if operands.batch > 1 && shape.first() == Some(&(operands.batch as i64)) {
                shape[0] = 1;
            }
            reshaped(reshape_target(&dims, &shape, node.attributes.int("allowzero", 0)? != 0)?)
        }
        "Flatten" => {
            let axis = flatten_axis(node, dims.len())?;
            reshaped(vec![dims[..axis].iter().product(), dims[axis..].iter().product()])
        }
        "Squeeze" | "Unsqueeze" => reshaped(squeezed(node, operands.constant(1)?, &dims)?),
        "Transpose" => x.permute(permutation(node, dims.len())?).and_then(|x| x.contiguous()).map_err(fault),
        "Expand" => {
            let shape = operands.ints(1, "shape")?.unwrap_or_default();
            let shape: Vec<usize> = shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
            let target = crate::constant::shaping::broadcast(x.dims(), &shape)?;
            bounded(&target)?;
            x.broadcast_as(target).and_then(|x| x.contiguous()).map_err(fault)
        }
        "Concat" => concat(operands),
        "Gather" => gather(operands, x),
        "Slice" => slice(operands, x),
        "Pad" => pad(operands, x),
        "DepthToSpace" | "SpaceToDepth" => blocks(operands, x),
        _ => Err(unknown(node)),
    }
}

fn concat(operands: &Operands<'_>) -> Checked<Tensor> {
    let parts: Vec<Tensor> =
        (0..operands.tensors.len()).map(|index| operands.tensor(index).cloned()).collect::<Checked<_>>()?;
    let axis = axis_index(operands.node.attributes.int("axis", 1)?, parts[0].rank())?;
    Tensor::cat(&parts, axis).map_err(fault)
}

/// Parts of an axis, of stated lengths or as many as there are outputs.
pub(super) fn split(operands: &Operands<'_>) -> Checked<Vec<Tensor>> {
    let (node, x) = (operands.node, operands.tensor(0)?);
    let axis = axis_index(node.attributes.int("axis", 0)?, x.rank())?;
    let length = x.dims()[axis];
    let lengths: Vec<usize> = match operands.ints(1, "split")? {
        Some(lengths) => lengths.iter().map(|&length| usize::try_from(length).unwrap_or(usize::MAX)).collect(),
        None => {
            let part = length.div_ceil(node.outputs.len().max(1));
            (0..node.outputs.len()).map(|index| part.min(length.saturating_sub(index * part))).collect()
        }
    };
    let total = lengths.iter().try_fold(0usize, |sum, &part| sum.checked_add(part));
    if total != Some(length) || lengths.len() != node.outputs.len() || lengths.contains(&0) {
        return Err(Fault::shape(format!("a Split of {length} places into {lengths:?}"), "check the split's lengths"));
    }
    let mut start = 0;
    let mut parts = Vec::new();
    for length in lengths {
        parts.push(x.narrow(axis, start, length).and_then(|part| part.contiguous()).map_err(fault)?);
        start += length;
    }
    Ok(parts)
}

fn gather(operands: &Operands<'_>, x: &Tensor) -> Checked<Tensor> {
    let axis = axis_index(operands.node.attributes.int("axis", 0)?, x.rank())?;
    let indices = operands.constant(1)?;
    let indices = indices.ok_or_else(|| Fault::operator("Gather without indices", "export the model again"))?;
    let chosen: Vec<u32> = indices
        .ints()?
        .iter()
        .map(|&index| axis_index(index, x.dims()[axis]).map(|index| index as u32))
        .collect::<Checked<_>>()?;
    let mut dims = x.dims().to_vec();
    dims.splice(axis..=axis, indices.array.dims.iter().copied());
    bounded(&dims)?;
    select(x, axis, chosen)?.reshape(dims).map_err(fault)
}

fn slice(operands: &Operands<'_>, x: &Tensor) -> Checked<Tensor> {
    let missing = || Fault::shape("Slice without starts and ends, or of different lengths", "export the model again");
    let starts = operands.ints(1, "starts")?.ok_or_else(missing)?;
    let ends = operands.ints(2, "ends")?.ok_or_else(missing)?;
    let axes = operands.ints(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = operands.ints(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || steps.contains(&0) {
        return Err(missing());
    }
    let mut made = x.clone();
    for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let axis = axis_index(axis, made.rank())?;
        let length = made.dims()[axis] as i64;
        let absolute = |place: i64| if place < 0 { place.saturating_add(length) } else { place };
        let chosen: Vec<u32> = if step > 0 {
            let (start, end) = (absolute(start).clamp(0, length), absolute(end).clamp(0, length));
            (start..end).step_by(step as usize).map(|place| place as u32).collect()
        } else {
            let (start, end) = (absolute(start).clamp(-1, length - 1), absolute(end).clamp(-1, length - 1));
            (end + 1..=start).rev().step_by(step.unsigned_abs() as usize).map(|place| place as u32).collect()
        };
        if chosen.is_empty() {
            return Err(Fault::shape("a Slice that leaves nothing", "check its starts and ends"));
        }
        made = select(&made, axis, chosen)?;
    }
    Ok(made)
}

/// Pad with a constant, the edge, or the reflection; negative pads cut.
fn pad(operands: &Operands<'_>, x: &Tensor) -> Checked<Tensor> {
    let node = operands.node;
    let pads = operands.ints(1, "pads")?;
    let pads = pads.ok_or_else(|| Fault::shape("Pad without pads", "export the model again"))?;
    let value = operands.number(2, "value", 0.0)?;
    let axes = match operands.ints(3, "axes")? {
        Some(axes) => axes.iter().map(|&axis| axis_index(axis, x.rank())).collect::<Checked<Vec<usize>>>()?,
        None => (0..x.rank()).collect(),
    };
    let mode = node.attributes.text("mode", "constant")?;
    if pads.len() != 2 * axes.len() || pads.iter().any(|pad| pad.abs() > 1 << 24) {
        return Err(Fault::shape(format!("pads are {pads:?}"), "two numbers for each axis"));
    }
    let mut made = x.clone();
    for (index, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[index], pads[index + axes.len()]);
        let length = made.dims()[axis] as i64;
        let (cut_before, cut_after) = ((-before).max(0), (-after).max(0));
        if cut_before + cut_after >= length {
            return Err(Fault::shape("pads that leave nothing", "check the pads"));
        }
        if cut_before + cut_after > 0 {
            made = made.narrow(axis, cut_before as usize, (length - cut_before - cut_after) as usize).map_err(fault)?;
        }
        let (before, after) = (before.max(0), after.max(0));
        if before + after == 0 {
            continue;
        }
        let last = made.dims()[axis] as i64 - 1;
        bounded(&[(last + 1 + before + after) as usize])?;
        let places = -before..=last + after;
        let place: Box<dyn Fn(i64) -> i64> = match mode {
            "constant" => {
                made = pad_axis(&made, axis, before as usize, after as usize, value)?;
                continue;
            }
            "edge" => Box::new(|place| place.clamp(0, last)),
            "reflect" if before.max(after) <= last => Box::new(|place| {
                if place < 0 {
                    -place
                } else if place > last {
                    2 * last - place
                } else {
                    place
                }
            }),
            other => return Err(Fault::operator(format!("Pad of mode `{other}` here"), "use mode constant")),
        };
        made = select(&made, axis, places.map(|index| place(index) as u32).collect())?;
    }
    Ok(made)
}

/// DepthToSpace and SpaceToDepth.
fn blocks(operands: &Operands<'_>, x: &Tensor) -> Checked<Tensor> {
    let node = operands.node;
    let block = usize::try_from(node.attributes.int("blocksize", 0)?).unwrap_or(0);
    let wrong = || {
        Fault::shape(
            format!("`{}` of a tensor of shape {:?} with blocks of {block}", node.op, x.dims()),
            "channels, rows and columns must be multiples of the block",
        )
    };
    let &[n, c, h, w] = x.dims() else { return Err(wrong()) };
    if node.op == "SpaceToDepth" {
        if block == 0 || h % block != 0 || w % block != 0 {
            return Err(wrong());
        }
        let cut = x.reshape(vec![n, c, h / block, block, w / block, block]);
        let order = if node.attributes.text("mode", "DCR")? == "DCR" { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
        let moved = cut.and_then(|x| x.permute(order.to_vec())?.contiguous());
        return moved.and_then(|x| x.reshape(vec![n, c * block * block, h / block, w / block])).map_err(fault);
    }
    let area = block.checked_mul(block).filter(|&area| area > 0 && c % area == 0).ok_or_else(wrong)?;
    let depth_first = node.attributes.text("mode", "DCR")? == "DCR";
    let (shape, order) = if depth_first {
        (vec![n, block, block, c / area, h, w], vec![0, 3, 4, 1, 5, 2])
    } else {
        (vec![n, c / area, block, block, h, w], vec![0, 1, 4, 2, 5, 3])
    };
    let moved = x.reshape(shape).and_then(|x| x.permute(order)?.contiguous());
    moved.and_then(|x| x.reshape(vec![n, c / area, h * block, w * block])).map_err(fault)
}
