//! Resize and Upsample to the nearest element, or linearly between neighbours.

use super::operator::{Operands, fault};
use super::window::select;
use super::{bounded, tensor};
use crate::fault::{Checked, Fault};
use crate::layout::axis_index;
use crate::model::Node;
use candle_core::Tensor;

/// Resize (all versions) and Upsample with modes nearest and linear.
pub(super) fn resize(operands: &Operands<'_>) -> Checked<Tensor> {
    let (node, x) = (operands.node, operands.tensor(0)?);
    let attributes = &node.attributes;
    let mode = attributes.text("mode", "nearest")?;
    let is_linear = matches!(mode, "linear" | "bilinear");
    if mode != "nearest" && !is_linear {
        return Err(Fault::operator(format!("`{}` of mode `{mode}`", node.op), "use mode nearest or linear"));
    }
    let rules = Rules::of(node)?;
    let axes: Vec<usize> = match attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|&axis| axis_index(axis, x.rank())).collect::<Checked<_>>()?,
        None => (0..x.rank()).collect(),
    };
    let targets = targets(operands, &axes, if rules.is_old { 1 } else { 2 })?;
    let mut made = x.clone();
    for (&axis, &(scale, length)) in axes.iter().zip(&targets) {
        let from = x.dims()[axis];
        if from == length && scale == 1.0 {
            continue;
        }
        let mut dims = made.dims().to_vec();
        dims[axis] = length;
        bounded(&dims)?;
        if is_linear && attributes.int("antialias", 0)? != 0 && length < from {
            return Err(Fault::operator(format!("`{}` with antialiasing", node.op), "average before it instead"));
        }
        if is_linear {
            made = between(&made, axis, length, |place| rules.source(place, from, length, scale))?;
            continue;
        }
        let chosen = rules.nearest(from, length, scale)?;
        made = select(&made, axis, chosen.into_iter().map(|place| place as u32).collect())?;
    }
    Ok(made)
}

/// An axis whose elements lie between two others, the last one standing for all beyond.
fn between(x: &Tensor, axis: usize, length: usize, source: impl Fn(usize) -> Checked<f32>) -> Checked<Tensor> {
    let last = x.dims()[axis] as i64 - 1;
    let (mut low, mut high, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for place in 0..length {
        let source = source(place)?.clamp(0.0, last as f32);
        let floor = source.floor() as i64;
        low.push(floor as u32);
        high.push((floor + 1).min(last) as u32);
        parts.push(source - floor as f32);
    }
    let mut shape = vec![1; x.rank()];
    shape[axis] = length;
    let parts = tensor(parts, &shape)?;
    let (low, high) = (select(x, axis, low)?, select(x, axis, high)?);
    let step = high.sub(&low).and_then(|step| step.broadcast_mul(&parts)).map_err(fault)?;
    low.add(&step).map_err(fault)
}

/// Scale and length of each axis.
fn targets(operands: &Operands<'_>, axes: &[usize], scales_index: usize) -> Checked<Vec<(f32, usize)>> {
    let x = operands.tensor(0)?;
    let wrong = |what: String| Fault::shape(what, "give one positive scale or length for each axis");
    let scales = match operands.constant(scales_index)?.filter(|constant| constant.array.len() > 0) {
        Some(constant) => Some(constant.array.floats()),
        None => match operands.node.attributes.get("scales") {
            Some(crate::model::Attribute::Floats(scales)) => Some(scales.clone()),
            _ => None,
        },
    };
    if let Some(scales) = scales {
        if scales.len() != axes.len() || scales.iter().any(|scale| !scale.is_finite() || *scale <= 0.0 || *scale > 1e6)
        {
            return Err(wrong(format!("scales {scales:?}")));
        }
        let length = |axis: usize, scale: f32| ((x.dims()[axis] as f32 * scale).floor() as usize).max(1);
        return Ok(axes.iter().zip(scales).map(|(&axis, scale)| (scale, length(axis, scale))).collect());
    }
    let lengths = operands.ints(scales_index + 1, "sizes")?.unwrap_or_default();
    let positive: Vec<usize> =
        lengths.iter().filter_map(|&length| usize::try_from(length).ok().filter(|&length| length > 0)).collect();
    if positive.len() != axes.len() || positive.len() != lengths.len() {
        return Err(wrong(format!("lengths {lengths:?}")));
    }
    Ok(axes.iter().zip(positive).map(|(&axis, length)| (length as f32 / x.dims()[axis] as f32, length)).collect())
}

/// Which elements of an axis a resized one is made of.
pub(crate) struct Rules<'a> {
    /// Up to version 10 scales are the second input, and places are floor(place / scale).
    pub is_old: bool,
    /// How coordinates are transformed.
    pub transformation: &'a str,
    rounding: &'a str,
}

impl<'a> Rules<'a> {
    /// The rules of a Resize or Upsample node.
    pub fn of(node: &'a Node) -> Checked<Self> {
        let is_old = node.op == "Upsample" || node.inputs.len() == 2;
        let (transformation, rounding) = match is_old {
            true => ("asymmetric", "floor"),
            false => (
                node.attributes.text("coordinate_transformation_mode", "half_pixel")?,
                node.attributes.text("nearest_mode", "round_prefer_floor")?,
            ),
        };
        Ok(Rules { is_old, transformation, rounding })
    }

    /// For each place of a resized axis the nearest element, in single precision as onnxruntime has it.
    pub fn nearest(&self, from: usize, to: usize, scale: f32) -> Checked<Vec<usize>> {
        let last = from as i64 - 1;
        let nearest = |place| Ok(nearest(self.source(place, from, to, scale)?, self.rounding)?.clamp(0, last) as usize);
        (0..to).map(nearest).collect()
    }

    /// The place in the input, in fractions, that a place of the output comes from.
    fn source(&self, place: usize, from: usize, to: usize, scale: f32) -> Checked<f32> {
        let place = place as f32;
        Ok(match self.transformation {
            "half_pixel" => (place + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if to > 1 => (place + 0.5) / scale - 0.5,
            "align_corners" if to > 1 => place * (from as f32 - 1.0) / (to as f32 - 1.0),
            "pytorch_half_pixel" | "align_corners" => 0.0,
            "tf_half_pixel_for_nn" => (place + 0.5) / scale,
            "asymmetric" => place / scale,
            other => {
                return Err(Fault::operator(
                    format!("coordinate_transformation_mode `{other}`"),
                    "half_pixel, pytorch_half_pixel, tf_half_pixel_for_nn, asymmetric and align_corners can be evaluated",
                ));
            }
        })
    }
}

fn nearest(place: f32, rounding: &str) -> Checked<i64> {
    Ok(match rounding {
        "floor" => place.floor(),
        "ceil" => place.ceil(),
        "round_prefer_floor" => (place - 0.5).ceil(),
        "round_prefer_ceil" => (place + 0.5).floor(),
        other => return Err(Fault::operator(format!("nearest_mode `{other}`"), "floor, ceil and round_* exist")),
    } as i64)
}
