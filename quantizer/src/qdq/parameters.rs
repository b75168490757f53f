//! Scales, zero points, axes and types of QuantizeLinear and DequantizeLinear: checked once for each parameter, then
//! carried by the nodes themselves.

use super::{DOMAIN, is_quantized};
use crate::constant::{Constant, check_scales};
use crate::fault::{Checked, Fault};
use crate::layout::axis_index;
use crate::model::{Array, Attribute, Attributes, Element, Model, Node, Refused, ValueId};
use crate::quantization::Quantizer;
use std::collections::{BTreeMap, BTreeSet};

/// The parameters of a resolved node.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    /// One number, or one for each place of an axis; of a constant also one for each block.
    pub scale: Array,
    /// As many integers as scales, or one.
    pub zero_point: Array,
    /// Counted from the front where it is not negative.
    pub axis: i64,
    /// Elements of the axis with one scale; 0 where there are no blocks.
    pub block: usize,
    /// Least and greatest code.
    pub limits: (i64, i64),
}

/// Whether a node is a resolved QuantizeLinear, or the float32 rule of an integer kernel.
pub(crate) fn is_quantizer(node: &Node) -> bool {
    node.domain == DOMAIN && matches!(node.op.as_str(), "QuantizeLinear" | "RequantizeLinear")
}

/// Whether a node is a resolved DequantizeLinear.
pub(crate) fn is_dequantizer(node: &Node) -> bool {
    node.domain == DOMAIN && node.op == "DequantizeLinear"
}

/// Reads a resolved quantizer; `parameters` are its inputs after the first.
pub(crate) fn parse(node: &Node, parameters: &[Option<&Constant>]) -> Checked<Quantizer> {
    if node.op == "RequantizeLinear" {
        let parameter = |index: usize| required(parameters, index);
        let (multiplier, divisor) = (parameter(0)?.array.clone(), parameter(1)?.array.f32(0));
        let zero_point = parameter(2)?.ints()?.first().copied().unwrap_or(0);
        return Ok(Quantizer::Float32 { multiplier, divisor, zero_point, limits: limits(node)? });
    }
    Ok(Quantizer::Linear(affine(node, parameters)?))
}

/// Reads a resolved QuantizeLinear or DequantizeLinear; `parameters` are its inputs after the first.
pub(crate) fn affine(node: &Node, parameters: &[Option<&Constant>]) -> Checked<Affine> {
    let scale = required(parameters, 0)?.array.clone();
    let zero_point = required(parameters, 1)?.array.clone();
    let block = usize::try_from(node.attributes.int("block_size", 0)?).unwrap_or(0);
    Ok(Affine { scale, zero_point, axis: node.attributes.int("axis", 1)?, block, limits: limits(node)? })
}

fn required<'a>(parameters: &[Option<&'a Constant>], index: usize) -> Checked<&'a Constant> {
    parameters.get(index).copied().flatten().ok_or_else(|| {
        Fault::quantizer("a scale or zero point is no constant", "quantizer parameters must be constants of the model")
    })
}

fn limits(node: &Node) -> Checked<(i64, i64)> {
    Ok((node.attributes.int("low", 0)?, node.attributes.int("high", 255)?))
}

impl Affine {
    /// For each place of an axis of `length` the index of its scale; one 0 for all where there is one scale.
    pub fn places(&self, length: usize) -> Checked<Vec<usize>> {
        let count = self.scale.len();
        if count == 1 {
            return Ok(vec![0]);
        }
        if count != length {
            return Err(Fault::shape(
                format!("{count} scales for an axis of length {length}"),
                "one scale for each place of the axis, or one for all; check the axis",
            ));
        }
        Ok((0..length).collect())
    }

    /// The axis in a tensor of `rank` axes; of no meaning where there is one scale.
    pub fn axis_of(&self, rank: usize) -> Checked<usize> {
        if self.scale.len() == 1 { Ok(0) } else { axis_index(self.axis, rank) }
    }

    /// The zero point that belongs to a scale.
    pub fn zero(&self, index: usize) -> i64 {
        let at = |data: &[i64]| data.get(if data.len() == 1 { 0 } else { index }).copied().unwrap_or(0);
        self.zero_point.ints().map_or(0, |data| at(&data))
    }
}

/// Resolves every QuantizeLinear and DequantizeLinear, or finds its fault. A faulty parameter that several nodes
/// share is reported once, and so is a fault that a pair of quantizer and dequantizer share.
pub(super) fn resolve(model: &mut Model) {
    let mut reported: BTreeMap<ValueId, usize> = BTreeMap::new();
    // That operator is refused anyway.
    let dynamic: BTreeSet<ValueId> = model
        .nodes
        .iter()
        .filter(|node| node.op == "DynamicQuantizeLinear")
        .flat_map(|node| node.outputs.iter().copied())
        .collect();
    for index in 0..model.nodes.len() {
        let node = &model.nodes[index];
        if !is_quantized(node) || node.refused != Refused::No {
            continue;
        }
        let mut parameters = node.inputs.get(1..).unwrap_or(&[]).iter().flatten();
        let shared = parameters.find(|id| reported.contains_key(id) || dynamic.contains(id));
        if shared.is_some() {
            model.nodes[index].refused = Refused::Elsewhere;
            continue;
        }
        match resolved(model, index) {
            Ok(()) => {}
            Err((fault, parameter)) => {
                let codes = model.nodes[index].inputs.first().copied().flatten();
                let mut near = model.nodes[..index].iter().rev().take(64);
                let source = near.find(|node| node.outputs.first().copied() == codes);
                let repeated = source.is_some_and(|source| source.refused == Refused::With(fault.clone()));
                model.nodes[index].refused = if repeated { Refused::Elsewhere } else { Refused::With(fault) };
                reported.extend(parameter.map(|id| (id, index)));
            }
        }
    }
}

/// A fault, and the parameter that it is about where other nodes may share it.
type Wrong = (Fault, Option<ValueId>);

fn resolved(model: &mut Model, index: usize) -> Result<(), Wrong> {
    let node = &model.nodes[index];
    let own = |fault: Fault| (fault, None);
    let input = |place: usize| node.inputs.get(place).copied().flatten();
    let (Some(x), Some(scale)) = (input(0), input(1)) else {
        return Err(own(Fault::operator(format!("`{}` without a scale", node.op), "export the model again")));
    };
    let constant = |id: ValueId, what: &str| {
        let missing = || {
            let what = format!("the {what} `{}` of `{}` is no constant of the model", model.names[id], node.op);
            Fault::quantizer(
                what,
                "quantize statically: scales and zero points that depend on the data cannot be built",
            )
        };
        model.constants.get(&id).ok_or_else(|| (missing(), Some(id)))
    };
    let about = |id: ValueId| move |fault: Fault| (fault, Some(id));
    let scales = constant(scale, "scale")?;
    check_scales(scales).map_err(about(scale))?;
    let zero_point = input(2).map(|id| constant(id, "zero point").map(|array| (id, array))).transpose()?;
    let element = element(model, node, x, zero_point.map(|(id, _)| id)).map_err(own)?;
    let wide = || {
        Fault::quantizer(
            format!("`{}` with codes of type {element}", node.op),
            "codes of 2, 4, 8 and 16 bits can be built, and constants of up to 32",
        )
    };
    let (low, high) = element.limits().ok_or_else(|| own(wide()))?;
    if node.op == "QuantizeLinear" && high - low > 0xffff {
        return Err(own(wide()));
    }
    let block = node.attributes.int("block_size", 0).map_err(own)?;
    let axis = node.attributes.int("axis", 1).map_err(own)?;
    if block < 0 || (block == 0 && scales.dims.len() > 1 && scales.len() > 1) {
        let what = format!("scales of shape {:?} with blocks of {block}", scales.dims);
        return Err(own(Fault::quantizer(what, "one scale for all, or one for each place of an axis")));
    }
    let (scale_count, scale_dims) = (scales.len(), scales.dims.clone());
    let zero_id = match zero_point {
        None => {
            let name = format!("zero point of {}", node.name);
            model.add_constant(name, Array::int(vec![], vec![0]), element)
        }
        Some((id, zeros)) => {
            let values = zeros.ints().unwrap_or_default();
            if values.len() != scale_count {
                let what = format!("{scale_count} scales of shape {scale_dims:?} with {} zero points", zeros.len());
                return Err((Fault::quantizer(what, "as many zero points as scales are needed"), Some(id)));
            }
            if let Some(zero) = values.iter().find(|zero| !(low..=high).contains(zero)) {
                let what = format!("a zero point of {zero} in codes of type {element} ({low} to {high})");
                return Err((Fault::quantizer(what, "a zero point must be a code"), Some(id)));
            }
            id
        }
    };
    let node = &mut model.nodes[index];
    node.domain = DOMAIN.to_owned();
    node.inputs = vec![Some(x), Some(scale), Some(zero_id)];
    let number = |value: i64| Attribute::Int(value);
    node.attributes = Attributes::of(vec![
        ("axis", number(axis)),
        ("block_size", number(block)),
        ("low", number(low)),
        ("high", number(high)),
    ]);
    Ok(())
}

/// The type of a node's codes, which its zero point and its input (or declared output) must agree on.
fn element(model: &Model, node: &Node, x: ValueId, zero_point: Option<ValueId>) -> Checked<Element> {
    let of_zero = zero_point.and_then(|id| model.element(id));
    let other = if node.op == "QuantizeLinear" {
        let declared = node.attributes.int("output_dtype", 0)?;
        Element::of_onnx(i32::try_from(declared).unwrap_or(i32::MAX))
    } else {
        model.element(x)
    };
    match (other, of_zero) {
        (Some(Element::Float), _) => Err(Fault::quantizer(
            format!("`{}` reads real numbers: `{}` is of a floating-point type", node.op, model.names[x]),
            "put a QuantizeLinear before it",
        )),
        (Some(other), Some(zero)) if other != zero => Err(Fault::quantizer(
            format!("`{}` of codes of type {other} with a zero point of type {zero}", node.op),
            "codes and zero point must have one type",
        )),
        (Some(element), _) | (None, Some(element)) => Ok(element),
        (None, None) => Ok(Element::U8),
    }
}
