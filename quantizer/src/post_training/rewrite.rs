//! The model with its quantizers.

use super::grid::Grid;
use super::options::{Meaning, RealFrames};
use super::sites::Sites;
use super::stairs::{self, Levels};
use super::statistics::InputFrames;
use super::weights::Layer;
use crate::model::{Array, Attribute, Attributes, Model, Node, Refused, ValueId};
use network::format::Kind;
use std::collections::BTreeMap;

/// QONNX's domain.
const DOMAIN: &str = "qonnx.custom_op.general";

/// Makes the model read what the user says that the codes of an input mean.
///
/// One meaning for all codes, with real zero on a code, is a grid of the input. Else the model's input becomes the
/// codes, and a multiplication and an addition stand in front of what read the input before.
pub(super) fn attach_input(
    model: &mut Model,
    input: ValueId,
    raw: RealFrames,
    meaning: Option<Meaning>,
    dims: Vec<usize>,
) -> (Option<Grid>, InputFrames) {
    let Some(meaning) = meaning else {
        return (None, InputFrames { raw, meaning: None, model_reads_codes: false, dims });
    };
    let (bits, signed) = (meaning.format.bits(), meaning.format.kind() == Kind::Signed);
    let range = meaning.format.value_range();
    if let ([scale], [offset]) = (meaning.scales.as_slice(), meaning.offsets.as_slice()) {
        let zero = -offset / scale;
        let whole = zero.round();
        if (zero - whole).abs() <= 1e-5 * zero.abs().max(1.0) && whole.abs() <= range.max() as f32 {
            let grid = Grid { scale: *scale, zero_point: whole + 0.0, bits, signed };
            return (Some(grid), InputFrames { raw, meaning: Some(meaning), model_reads_codes: false, dims });
        }
    }
    let mut shape = vec![1; dims.len()];
    shape[meaning.axis] = meaning.scales.len();
    let gain = model.fresh_constant("input scale", Array::float(shape.clone(), meaning.scales.clone()));
    let offset = model.fresh_constant("input offset", Array::float(shape, meaning.offsets.clone()));
    let (scaled, real) = (model.fresh_value("scaled input"), model.fresh_value("real input"));
    for id in model.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().flatten()) {
        if *id == input {
            *id = real;
        }
    }
    model.nodes.insert(0, plain("Mul", "Mul of the input", [input, gain], scaled));
    model.nodes.insert(1, plain("Add", "Add of the input", [scaled, offset], real));
    let grid = Grid { scale: 1.0, zero_point: 0.0, bits, signed };
    (Some(grid), InputFrames { raw, meaning: Some(meaning), model_reads_codes: true, dims })
}

/// Inserts a `Quant` behind every site (thresholds where it has levels of unequal steps) and before all weights.
pub(super) fn rewrite(
    mut model: Model,
    sites: &Sites,
    grids: &[Grid],
    levels: &[Option<Levels>],
    layers: Vec<Layer>,
) -> Model {
    let mut quantized: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    for &id in sites.of.keys() {
        let name = format!("{} quantized", model.names[id]);
        let codes = model.fresh_value(&name);
        if model.outputs.contains(&id) {
            // What leaves keeps the model's name for it.
            model.names.swap(id, codes);
        }
        quantized.insert(id, codes);
    }
    let mut by_node: BTreeMap<usize, Layer> = layers.into_iter().map(|layer| (layer.node, layer)).collect();
    let nodes = std::mem::take(&mut model.nodes);
    let mut made = Vec::new();
    let quantize = |model: &mut Model, made: &mut Vec<Node>, id: ValueId| {
        let (Some(&output), Some(&group)) = (quantized.get(&id), sites.of.get(&id)) else { return };
        let grid = grids[group];
        let scale = Array::float(vec![], vec![grid.scale]);
        let name = format!("Quant of {}", model.names[id]);
        if let Some(levels) = levels.get(group).and_then(Option::as_ref) {
            made.push(stairs::node(model, name, id, output, levels, DOMAIN));
            return;
        }
        made.push(quant(model, name, id, output, scale, &grid, false));
    };
    let inputs: Vec<ValueId> = model.inputs.iter().map(|input| input.id).collect();
    inputs.into_iter().for_each(|input| quantize(&mut model, &mut made, input));
    for (index, mut node) in nodes.into_iter().enumerate() {
        for id in node.inputs.iter_mut().flatten() {
            *id = quantized.get(id).copied().unwrap_or(*id);
        }
        if let Some(layer) = by_node.remove(&index) {
            let name = format!("{} weights", layer.name);
            let stored = model.fresh_constant(&name, layer.weights);
            let output = model.fresh_value(&format!("{name} quantized"));
            let narrow = layer.grid.zero_point == 0.0 && !layer.grid.is_bipolar();
            made.push(quant(&mut model, format!("Quant of {name}"), stored, output, layer.scales, &layer.grid, narrow));
            node.inputs[layer.input] = Some(output);
            if let Some(correction) = layer.correction {
                let outputs = node.outputs.clone();
                made.extend(corrected(&mut model, node, correction));
                outputs.into_iter().for_each(|id| quantize(&mut model, &mut made, id));
                continue;
            }
        }
        let outputs = node.outputs.clone();
        made.push(node);
        for id in outputs {
            quantize(&mut model, &mut made, id);
        }
    }
    model.nodes = made;
    for output in &mut model.outputs {
        *output = quantized.get(output).copied().unwrap_or(*output);
    }
    model
}

/// A node of two inputs without attributes.
fn plain(op: &str, name: &str, inputs: [ValueId; 2], output: ValueId) -> Node {
    Node {
        name: name.to_owned(),
        op: op.to_owned(),
        domain: String::new(),
        inputs: inputs.into_iter().map(Some).collect(),
        outputs: vec![output],
        attributes: Attributes::default(),
        constant_element: None,
        refused: Refused::No,
    }
}

/// The node with a correction in its bias, or with an addition behind it.
fn corrected(model: &mut Model, mut node: Node, correction: Vec<f32>) -> Vec<Node> {
    let old = node.inputs.get(2).copied().flatten();
    if node.op != "MatMul" && old.is_none_or(|id| model.constants.contains_key(&id)) {
        let old = old.and_then(|id| model.constants.get(&id)).cloned();
        let beta = if node.op == "Gemm" { node.attributes.float("beta", 1.0).unwrap_or(1.0) } else { 1.0 };
        let fits = old.as_ref().is_none_or(|old| old.len() == 1 || old.len() == correction.len());
        if fits && beta != 0.0 {
            let before =
                |channel: usize| old.as_ref().map_or(0.0, |old| old.f32(if old.len() == 1 { 0 } else { channel }));
            let bias = correction.iter().enumerate().map(|(channel, change)| before(channel) + change / beta).collect();
            let bias = model.fresh_constant("corrected bias", Array::float(vec![correction.len()], bias));
            node.inputs.resize(3, None);
            node.inputs[2] = Some(bias);
            return vec![node];
        }
    }
    let Some(&output) = node.outputs.first() else { return vec![node] };
    let bare = model.fresh_value("sums");
    let change = model.fresh_constant("correction", Array::float(vec![correction.len()], correction));
    node.outputs[0] = bare;
    let add = plain("Add", &format!("{} correction", node.name), [bare, change], output);
    vec![node, add]
}

fn quant(model: &mut Model, name: String, from: ValueId, to: ValueId, scale: Array, grid: &Grid, narrow: bool) -> Node {
    let scale = model.fresh_constant("scale", scale);
    let zero_point = model.fresh_constant("zero point", Array::float(vec![], vec![grid.zero_point]));
    let bits = model.fresh_constant("bits", Array::float(vec![], vec![grid.bits as f32]));
    let attributes = vec![
        ("signed".to_owned(), Attribute::Int(i64::from(grid.signed))),
        ("narrow".to_owned(), Attribute::Int(i64::from(narrow))),
        ("rounding_mode".to_owned(), Attribute::Text("ROUND".to_owned())),
    ];
    Node {
        name,
        op: "Quant".to_owned(),
        domain: DOMAIN.to_owned(),
        inputs: vec![Some(from), Some(scale), Some(zero_point), Some(bits)],
        outputs: vec![to],
        attributes: Attributes::of(attributes),
        constant_element: None,
        refused: Refused::No,
    }
}
