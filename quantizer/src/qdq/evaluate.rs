//! QuantizeLinear and DequantizeLinear over constants, in float32 as onnxruntime does, with the exact integers behind.

use super::parameters::{Affine, affine, is_dequantizer, is_quantizer};
use crate::constant::evaluate::permutation;
use crate::constant::{Constant, Grid, evaluate, narrowest};
use crate::exact::{Exact, from_f32};
use crate::fault::{Checked, Fault};
use crate::model::{Array, Attribute, Element, Model, Node, Refused, ValueId};
use network::Format;
use std::collections::{BTreeMap, BTreeSet};

/// Codes of a constant: clamp(half-even(x / scale) + zero point).
pub(crate) fn quantize(parameters: &Affine, constant: &Constant) -> Checked<Constant> {
    let places = places(parameters, &constant.array)?;
    let (low, high) = parameters.limits;
    let mut codes = Vec::with_capacity(places.len());
    for (index, place) in places.into_iter().enumerate() {
        let value = constant.array.f32(index);
        if value.is_nan() {
            return Err(Fault::constant(format!("a weight is {value}"), "repair the weights"));
        }
        let rounded = (value / parameters.scale.f32(place)).round_ties_even();
        // The cast saturates; no code is near its ends.
        codes.push((rounded as i64).saturating_add(parameters.zero(place)).clamp(low, high));
    }
    Ok(Constant::plain(Array::int(constant.array.dims.clone(), codes)))
}

/// Real numbers of constant codes: (code - zero point) * scale.
pub(crate) fn dequantize(node: &Node, constant: &Constant, parameters: &[Option<&Constant>]) -> Checked<Constant> {
    let parameters = affine(node, parameters)?;
    let codes = constant.ints()?;
    let places = places(&parameters, &constant.array)?;
    let zeros: Vec<i64> = (0..parameters.scale.len()).map(|index| parameters.zero(index)).collect();
    let (low, high) = parameters.limits;
    let mut values = Vec::with_capacity(codes.len());
    for (&code, &place) in codes.iter().zip(&places) {
        if !(low..=high).contains(&code) {
            let what = format!("the code {code} in a constant of codes from {low} to {high}");
            return Err(Fault::constant(what, "export the model again"));
        }
        let value = i32::try_from(code - zeros[place]);
        values.push(value.map_err(|_| Fault::constant(format!("a code {code}"), "constants have at most 32 bits"))?);
    }
    let real = |(&value, &place): (&i32, &usize)| value as f32 * parameters.scale.f32(place);
    let reals = values.iter().zip(&places).map(real).collect();
    let exact = |index: usize| from_f32(parameters.scale.f32(index));
    let scales: Option<Vec<Exact>> = (0..parameters.scale.len()).map(exact).collect();
    let scales =
        scales.ok_or_else(|| Fault::quantizer("a scale that is not finite", "retrain or repair the export"))?;
    // Weights wider than any format are refused where they are used; biases may be.
    let format = narrowest(&values).or_else(|| Format::signed(16));
    let format = format.ok_or_else(|| Fault::quantizer("no format for the codes", "use fewer bits"))?;
    let scale_of = places.into_iter().map(|place| place as u32).collect();
    let grid = Grid { values, scale_of, scales, format };
    Ok(Constant { array: Array::float(constant.array.dims.clone(), reals), grid: Some(grid) })
}

/// For each element the index of its scale.
fn places(parameters: &Affine, array: &Array) -> Checked<Vec<usize>> {
    let dims = &array.dims;
    if parameters.scale.len() == 1 {
        return Ok(vec![0; array.len()]);
    }
    let axis = parameters.axis_of(dims.len())?;
    let inner: usize = dims[axis + 1..].iter().product();
    let at = |index: usize| index / inner.max(1) % dims[axis].max(1);
    if parameters.block == 0 {
        let places = parameters.places(dims[axis])?;
        return Ok((0..array.len()).map(|index| places[at(index)]).collect());
    }
    let blocks = dims[axis].div_ceil(parameters.block);
    let mut expected = dims.clone();
    expected[axis] = blocks;
    if parameters.scale.dims != expected {
        return Err(Fault::shape(
            format!("scales of shape {:?} for blocks of {} in {dims:?}", parameters.scale.dims, parameters.block),
            format!("{expected:?} is expected"),
        ));
    }
    let outer = |index: usize| index / (inner * dims[axis]).max(1);
    let place = |index: usize| (outer(index) * blocks + at(index) / parameters.block) * inner + index % inner.max(1);
    Ok((0..array.len()).map(place).collect())
}

/// Evaluates what exporters put between a stored scale or zero point and the quantizer that reads it.
pub(super) fn fold_parameters(model: &mut Model) {
    let simple = ["Constant", "Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"];
    let mut made = BTreeSet::new();
    for node in model.nodes.iter().filter(|node| simple.contains(&node.op.as_str())) {
        let arrays: Option<Vec<Constant>> =
            node.inputs.iter().flatten().map(|id| model.constants.get(id).cloned().map(Constant::plain)).collect();
        let Some(arrays) =
            arrays.filter(|arrays| arrays.iter().all(|constant| constant.array.len() <= MOST_PARAMETERS))
        else {
            continue;
        };
        let mut rest = arrays.iter();
        let inputs: Vec<Option<&Constant>> = node.inputs.iter().map(|id| id.and_then(|_| rest.next())).collect();
        let Ok(value) = evaluate(node, &inputs) else { continue };
        if let Some(&output) = node.outputs.first() {
            model.constants.insert(output, value.array);
            made.insert(output);
        }
    }
    model.nodes.retain(|node| !node.outputs.first().is_some_and(|output| made.contains(output)));
}

/// Evaluates quantized weights that are stored as floats, and moves a Transpose of dequantized weights before it.
pub(super) fn fold_weights(model: &mut Model) {
    let mut made = BTreeSet::new();
    for index in 0..model.nodes.len() {
        let node = &model.nodes[index];
        let Some(&output) = node.outputs.first() else { continue };
        let is_weight = is_quantizer(node) || (node.op == "Clip" && node.domain.is_empty());
        let constants: Option<Vec<Constant>> =
            node.inputs.iter().flatten().map(|id| model.constants.get(id).cloned().map(Constant::plain)).collect();
        let Some(constants) = constants.filter(|_| is_weight && node.refused == Refused::No) else { continue };
        let mut rest = constants.iter();
        let inputs: Vec<Option<&Constant>> = node.inputs.iter().map(|id| id.and_then(|_| rest.next())).collect();
        // A fault is found again, and reported, by the walk.
        let Ok(value) = evaluate(node, &inputs) else { continue };
        model.constants.insert(output, value.array);
        made.insert(output);
    }
    model.nodes.retain(|node| !node.outputs.first().is_some_and(|output| made.contains(output)));
    transpose_weights(model);
}

fn transpose_weights(model: &mut Model) {
    let sources: BTreeMap<ValueId, usize> = model
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| is_dequantizer(node) && node.refused == Refused::No)
        .filter_map(|(index, node)| Some((*node.outputs.first()?, index)))
        .collect();
    for index in 0..model.nodes.len() {
        let node = &model.nodes[index];
        let source = node.inputs.first().copied().flatten().and_then(|id| sources.get(&id));
        let Some(source) = source.filter(|_| node.op == "Transpose").map(|&source| &model.nodes[source]) else {
            continue;
        };
        let &[Some(codes), scale, zero] = source.inputs.as_slice() else { continue };
        let Some(array) = model.constants.get(&codes) else { continue };
        let rank = array.dims.len();
        let Ok(order) = permutation(node, rank) else { continue };
        let axis = source.attributes.int("axis", 1).unwrap_or(1);
        let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok();
        let place = axis.and_then(|axis| order.iter().position(|&from| from == axis));
        let is_blocked = source.attributes.int("block_size", 0) != Ok(0);
        let scalar = scale.and_then(|id| model.constants.get(&id)).is_some_and(|scale| scale.len() == 1);
        let Some(place) = place.or(scalar.then_some(0)).filter(|_| !is_blocked) else { continue };
        let turned = Constant::plain(array.clone()).transpose(&order).array;
        let mut attributes = source.attributes.without(&["axis"]);
        attributes.push("axis", Attribute::Int(place as i64));
        let element = model.element(codes).unwrap_or(Element::U8);
        let name = format!("transposed {}", model.names[codes]);
        let turned = model.add_constant(name, turned, element);
        let node = &mut model.nodes[index];
        node.op = "DequantizeLinear".to_owned();
        node.domain = super::DOMAIN.to_owned();
        node.inputs = vec![Some(turned), scale, zero];
        node.attributes = attributes;
    }
}

/// Most elements of a scale or zero point.
const MOST_PARAMETERS: usize = 1 << 16;
