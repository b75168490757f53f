//! Weights times data: Conv, ConvTranspose, Gemm, MatMul.

use super::convolution;
use super::operator::{Operands, fault};
use super::pointwise::meet;
use super::window::{Windows, list, pad_axis, select};
use super::{bounded, tensor};
use crate::fault::{Checked, Fault};
use candle_core::Tensor;

/// Conv over one or two spatial axes.
pub(super) fn conv(operands: &Operands<'_>) -> Checked<Tensor> {
    let (x, weights) = (operands.tensor(0)?, operands.tensor(1)?);
    let (dims, shape) = (x.dims(), weights.dims());
    let group = group(operands)?;
    let fits = dims.len() == shape.len() && (3..=4).contains(&dims.len());
    if !fits || shape[1].checked_mul(group) != Some(dims[1]) || shape[0] % group != 0 || shape[0] == 0 {
        return Err(misfit(operands, dims, shape, group));
    }
    let windows = Windows::parse(operands.node, shape[2..].to_vec(), &dims[2..])?;
    let made: Vec<usize> = [1, shape[0]].into_iter().chain(windows.positions.iter().copied()).collect();
    bounded(&made)?;
    if let Some(fault) = convolution::is_empty(dims, shape) {
        return Err(fault);
    }
    if operands.shapes_only {
        return tensor(vec![0.0; made.iter().product()], &made);
    }
    let result = convolution::convolve(x, weights, &windows, group)?;
    add_bias(result, operands)
}

fn group(operands: &Operands<'_>) -> Checked<usize> {
    let group = operands.node.attributes.int("group", 1)?;
    usize::try_from(group)
        .ok()
        .filter(|&group| group > 0)
        .ok_or_else(|| Fault::shape(format!("{group} groups"), "at least one group is needed"))
}

fn misfit(operands: &Operands<'_>, dims: &[usize], shape: &[usize], group: usize) -> Fault {
    Fault::shape(
        format!("`{}` of {dims:?} with weights of shape {shape:?} in {group} groups", operands.node.op),
        "one or two spatial axes, and weights that fit the channels, can be built",
    )
}

fn add_bias(result: Tensor, operands: &Operands<'_>) -> Checked<Tensor> {
    let Some(bias) = operands.optional(2) else { return Ok(result) };
    let mut dims = vec![1; result.rank()];
    dims[1] = bias.elem_count();
    meet(&result, &bias.reshape(dims).map_err(fault)?, |sum, bias| sum + bias, Tensor::broadcast_add)
}

/// What each row of weights of a Conv, Gemm or MatMul (with constant second side) is multiplied with: one matrix
/// (inputs of a row, positions) for each group. Inputs are ordered as in a row of weights: channel, then tap.
///
/// # Errors
/// Other operators, and shapes that do not fit.
pub(crate) fn patches(operands: &Operands<'_>) -> Checked<Vec<Tensor>> {
    let (node, x) = (operands.node, operands.tensor(0)?);
    if node.op != "Conv" {
        let transposed = node.op == "Gemm" && node.attributes.int("transA", 0)? != 0;
        let inputs = if transposed { x.dims().first() } else { x.dims().last() }.copied().unwrap_or(0);
        let flat = if transposed { x.reshape((inputs, ())) } else { x.reshape(((), inputs)).and_then(|x| x.t()) };
        return Ok(vec![flat.and_then(|x| x.contiguous()).map_err(fault)?]);
    }
    let shape = operands.tensor(1)?.dims();
    let windows = Windows::parse(node, shape[2..].to_vec(), &x.dims()[2..])?;
    let taps: usize = windows.kernel.iter().product();
    let (channels, positions) = (x.dims()[1], windows.positions.iter().product::<usize>());
    bounded(&[channels, taps, positions])?;
    let padded = windows.pad(x, 0.0)?;
    let mut seen_by_tap = Vec::new();
    windows.taps(&padded, &mut |_, seen| {
        seen_by_tap.push(seen.contiguous().and_then(|seen| seen.reshape((channels, 1, positions))).map_err(fault)?);
        Ok(())
    })?;
    let all = Tensor::cat(&seen_by_tap, 1).and_then(|all| all.reshape((channels * taps, positions))).map_err(fault)?;
    all.chunk(group(operands)?, 0).map_err(fault)
}

/// Zeros between the places of an axis, so that neighbours come to stand `factor` apart.
fn spread(x: &Tensor, axis: usize, factor: usize) -> Checked<Tensor> {
    if factor == 1 {
        return Ok(x.clone());
    }
    let length = x.dims()[axis];
    let spread = x.unsqueeze(axis + 1).map_err(fault)?;
    let spread = pad_axis(&spread, axis + 1, 0, factor - 1, 0.0)?;
    let mut dims = x.dims().to_vec();
    dims[axis] = length * factor;
    let spread = spread.reshape(dims).map_err(fault)?;
    spread.narrow(axis, 0, (length - 1) * factor + 1).map_err(fault)
}

/// ConvTranspose: a convolution of the spread input with the turned kernel.
pub(super) fn conv_transpose(operands: &Operands<'_>) -> Checked<Tensor> {
    let (x, weights) = (operands.tensor(0)?, operands.tensor(1)?);
    let (dims, shape) = (x.dims().to_vec(), weights.dims().to_vec());
    let group = group(operands)?;
    let fits = dims.len() == shape.len() && (3..=4).contains(&dims.len());
    if !fits || shape[0] != dims[1] || shape[0] % group != 0 || bounded(&dims).is_err() || shape.contains(&0) {
        return Err(misfit(operands, &dims, &shape, group));
    }
    let axes = dims.len() - 2;
    let node = operands.node;
    let stride = list(node, "strides", axes, 1, 1)?;
    let dilation = list(node, "dilations", axes, 1, 1)?;
    let extra = list(node, "output_padding", axes, 0, 0)?;
    let (before, length) = transposed_lengths(operands, &dims[2..], &shape[2..], &stride, &dilation, &extra)?;
    let mut data = x.clone();
    let mut kernel = turned(weights, group)?;
    for axis in 0..axes {
        let span = (shape[axis + 2] - 1) * dilation[axis] + 1;
        data = spread(&data, axis + 2, stride[axis])?;
        // A full convolution, cut (or padded with zeros) to the wanted places.
        data = pad_axis(&data, axis + 2, span - 1, span - 1 + length[axis] + before[axis], 0.0)?;
        data = data.narrow(axis + 2, before[axis], length[axis] + span - 1).map_err(fault)?;
        kernel = spread(&kernel, axis + 2, dilation[axis])?;
    }
    let result = if axes == 1 {
        data.contiguous().and_then(|data| data.conv1d(&kernel, 0, 1, 1, group))
    } else {
        data.contiguous().and_then(|data| data.conv2d(&kernel, 0, 1, 1, group))
    };
    add_bias(result.map_err(fault)?, operands)
}

/// Places that are cut in front, and the length of the result, for each axis.
fn transposed_lengths(
    operands: &Operands<'_>,
    lengths: &[usize],
    kernel: &[usize],
    stride: &[usize],
    dilation: &[usize],
    extra: &[usize],
) -> Checked<(Vec<usize>, Vec<usize>)> {
    let node = operands.node;
    let axes = lengths.len();
    let full = |axis: usize| (lengths[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1 + extra[axis];
    let auto = node.attributes.text("auto_pad", "NOTSET")?;
    let pads = list(node, "pads", 2 * axes, 0, 0)?;
    let stated = match node.attributes.ints("output_shape")? {
        Some(_) => Some(list(node, "output_shape", axes, 1, 1)?),
        None => None,
    };
    let (mut before, mut made) = (Vec::new(), Vec::new());
    for axis in 0..axes {
        let wanted = match (&stated, auto) {
            (Some(stated), _) => Some(stated[axis]),
            (None, "SAME_UPPER" | "SAME_LOWER") => Some(lengths[axis] * stride[axis]),
            _ => None,
        };
        let (cut, length) = match wanted {
            Some(length) => {
                let total = full(axis).saturating_sub(length);
                (if auto == "SAME_UPPER" { total / 2 } else { total - total / 2 }, length)
            }
            None if auto == "VALID" => (0, full(axis)),
            None => {
                let length = full(axis).checked_sub(pads[axis] + pads[axes + axis]).filter(|&length| length > 0);
                let length =
                    length.ok_or_else(|| Fault::shape(format!("pads {pads:?} leave nothing"), "check the pads"))?;
                (pads[axis], length)
            }
        };
        before.push(cut);
        made.push(length);
    }
    bounded(&made)?;
    Ok((before, made))
}

/// Weights (inputs, outputs of a group, taps) as those of the equal convolution: (outputs, inputs of a group, taps turned).
fn turned(weights: &Tensor, group: usize) -> Checked<Tensor> {
    let blocks = weights.chunk(group, 0).map_err(fault)?;
    let mut turned = Vec::new();
    for block in blocks {
        let mut block = block.transpose(0, 1).map_err(fault)?;
        for axis in 2..block.rank() {
            let length = block.dims()[axis];
            block = select(&block, axis, (0..length as u32).rev().collect())?;
        }
        turned.push(block);
    }
    Tensor::cat(&turned, 0).and_then(|turned| turned.contiguous()).map_err(fault)
}

/// Gemm: alpha * A B + beta * C.
pub(super) fn gemm(operands: &Operands<'_>) -> Checked<Tensor> {
    let (a, b) = (operands.tensor(0)?, operands.tensor(1)?);
    let attributes = &operands.node.attributes;
    let (alpha, beta) = (attributes.float("alpha", 1.0)?, attributes.float("beta", 1.0)?);
    let side = |x: &Tensor, name: &str| -> Checked<Tensor> {
        if attributes.int(name, 0)? != 0 { x.t().and_then(|x| x.contiguous()).map_err(fault) } else { Ok(x.clone()) }
    };
    let mut result = side(a, "transA")?.matmul(&side(b, "transB")?).map_err(fault)?;
    if alpha != 1.0 {
        result = (result * f64::from(alpha)).map_err(fault)?;
    }
    let Some(c) = operands.optional(2) else { return Ok(result) };
    let c = if beta == 1.0 { c.clone() } else { (c * f64::from(beta)).map_err(fault)? };
    result.broadcast_add(&c).map_err(fault)
}

/// MatMul, with vectors and stacks of matrices as numpy has them.
pub(super) fn mat_mul(operands: &Operands<'_>) -> Checked<Tensor> {
    let (a, b) = (operands.tensor(0)?, operands.tensor(1)?);
    let row = |x: &Tensor| if x.rank() == 1 { x.unsqueeze(0) } else { x.contiguous() };
    let column = |x: &Tensor| if x.rank() == 1 { x.unsqueeze(1) } else { x.contiguous() };
    let mut result = row(a).and_then(|left| left.broadcast_matmul(&column(b)?)).map_err(fault)?;
    if a.rank() == 1 {
        result = result.squeeze(result.rank() - 2).map_err(fault)?;
    }
    if b.rank() == 1 {
        result = result.squeeze(result.rank() - 1).map_err(fault)?;
    }
    Ok(result)
}
