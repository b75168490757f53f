//! Groups of dequantize, operator, quantize for which onnxruntime has an integer kernel, as integers with its float32
//! rule.

mod sums;

use super::DOMAIN;
use super::edges::{Edges, insert, node};
use crate::import::QdqRule;
use crate::model::{Array, Attribute, Attributes, Element, Model, Node, Refused, ValueId};
use std::collections::BTreeMap;
use sums::Sums;

/// Operators between codes that keep the codes' order and take no others.
const CODE_OPERATORS: &[&str] = &[
    "MaxPool",
    "GlobalMaxPool",
    "Reshape",
    "Flatten",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Dropout",
    "Relu",
    "Clip",
];

/// Turns every group that has an integer kernel into integers.
pub(super) fn fuse(model: &mut Model) {
    let edges = Edges::new(model);
    let mut insertions: BTreeMap<usize, Vec<Node>> = BTreeMap::new();
    let mut removed = Vec::new();
    for index in 0..model.nodes.len() {
        if !is_resolved(&model.nodes[index], "QuantizeLinear") {
            continue;
        }
        let Some(target) = Scalar::of(model, &model.nodes[index]) else { continue };
        if let Some(group) = Sums::find(model, &edges, index, &target) {
            for (place, made) in group.fuse(model, index, &target) {
                insertions.entry(place).or_default().push(made);
            }
        } else if let Some((concat, sources)) = joined(model, &edges, index) {
            for (place, source) in sources.into_iter().enumerate() {
                let made = requantized_part(model, index, (concat, place), &source, &target);
                insertions.entry(concat).or_default().extend(made);
            }
            bypass(&mut model.nodes[index]);
        } else if let Some(group) = Chain::find(model, &edges, index) {
            let place = group.first;
            removed.extend(group.clamps.iter().copied());
            if let Some(made) = group.fuse(model, index, &target) {
                insertions.entry(place).or_default().push(made);
            }
        }
    }
    for index in removed {
        bypass(&mut model.nodes[index]);
    }
    insert(model, insertions);
}

/// Makes a clamp an Identity; its bounds went into the next quantizer.
fn bypass(node: &mut Node) {
    node.op = "Identity".to_owned();
    node.domain = String::new();
    node.inputs.truncate(1);
}

fn is_resolved(node: &Node, op: &str) -> bool {
    node.domain == DOMAIN && node.op == op && node.refused == Refused::No
}

fn attribute(node: &Node, name: &str, default: i64) -> i64 {
    node.attributes.int(name, default).unwrap_or(default)
}

fn limits(node: &Node) -> (i64, i64) {
    (attribute(node, "low", 0), attribute(node, "high", 255))
}

/// A quantizer with one scale and zero point.
#[derive(Clone, Copy, Debug)]
struct Scalar {
    scale: f32,
    zero_id: ValueId,
    zero: i64,
    limits: (i64, i64),
}

impl Scalar {
    fn of(model: &Model, node: &Node) -> Option<Self> {
        let &[Some(_), Some(scale), Some(zero_id)] = node.inputs.as_slice() else { return None };
        let (scale, zeros) = (model.constants.get(&scale)?, model.constants.get(&zero_id)?);
        let zero = zeros.ints()?.first().copied()?;
        (scale.len() == 1).then(|| Scalar { scale: scale.f32(0), zero_id, zero, limits: limits(node) })
    }
}

/// A DequantizeLinear in front of an operator.
struct Source {
    node: usize,
    codes: ValueId,
    scale: Array,
}

impl Source {
    fn find(model: &Model, edges: &Edges, id: ValueId) -> Option<Self> {
        let index = edges.producer(id)?;
        let node = &model.nodes[index];
        if !is_resolved(node, "DequantizeLinear") || attribute(node, "block_size", 0) != 0 {
            return None;
        }
        let &[Some(codes), Some(scale), Some(_)] = node.inputs.as_slice() else { return None };
        Some(Source { node: index, codes, scale: model.constants.get(&scale)?.clone() })
    }

    /// The same with steps of one: codes less their zero points.
    fn centred(&self, model: &mut Model) -> Node {
        let ones = Array::float(self.scale.dims.clone(), vec![1.0; self.scale.len()]);
        let name = model.nodes[self.node].name.clone();
        let scale = model.add_constant(format!("steps of {name}"), ones, Element::Float);
        let output = model.add_value(format!("integers of {name}"), Element::Float);
        let old = &model.nodes[self.node];
        let inputs = vec![Some(self.codes), Some(scale), old.inputs[2]];
        node(&name, "DequantizeLinear", DOMAIN, inputs, output, old.attributes.clone())
    }
}

/// A Concat of dequantized codes in front of a quantizer, which its kernel requantizes one by one.
fn joined(model: &Model, edges: &Edges, quantizer: usize) -> Option<(usize, Vec<Source>)> {
    let input = model.nodes[quantizer].inputs.first().copied().flatten()?;
    let index = edges.only_reader(input).and_then(|_| edges.producer(input))?;
    let node = &model.nodes[index];
    if node.op != "Concat" || !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return None;
    }
    let source = |id: &Option<ValueId>| {
        let source = Source::find(model, edges, (*id)?)?;
        (edges.is_data(source.codes) && source.scale.len() == 1).then_some(source)
    };
    Some((index, node.inputs.iter().map(source).collect::<Option<_>>()?))
}

/// The nodes that requantize one input of a Concat.
fn requantized_part(
    model: &mut Model,
    quantizer: usize,
    (concat, place): (usize, usize),
    source: &Source,
    target: &Scalar,
) -> [Node; 2] {
    let centred = source.centred(model);
    let name = format!("{}, input {place}", model.nodes[quantizer].name);
    let codes = model.add_value(format!("codes of {name}"), Element::U8);
    let multiplier = Array::float(vec![], vec![source.scale.f32(0)]);
    let ends = (centred.outputs.first().copied(), codes);
    let made = kernel(model, &name, ends, multiplier, target.scale, target);
    model.nodes[concat].inputs[place] = Some(codes);
    [centred, made]
}

/// Codes that go through operators which only choose among them, to another quantizer.
struct Chain {
    /// The operator (or quantizer) that reads the DequantizeLinear.
    first: usize,
    source: Source,
    /// Relu and Clip, from the last to the first.
    clamps: Vec<usize>,
}

impl Chain {
    fn find(model: &Model, edges: &Edges, quantizer: usize) -> Option<Self> {
        let mut first = quantizer;
        let mut clamps = Vec::new();
        loop {
            let input = model.nodes[first].inputs.first().copied().flatten()?;
            if let Some(source) = Source::find(model, edges, input) {
                let plain = edges.is_data(source.codes) && source.scale.len() == 1;
                return plain.then_some(Chain { first, source, clamps });
            }
            first = edges.only_reader(input).and_then(|_| edges.producer(input))?;
            let node = &model.nodes[first];
            if !CODE_OPERATORS.contains(&node.op.as_str()) || !matches!(node.domain.as_str(), "" | "ai.onnx") {
                return None;
            }
            if matches!(node.op.as_str(), "Relu" | "Clip") {
                bounds(model, node)?;
                clamps.push(first);
            }
        }
    }

    /// Makes the chain one of codes; gives the node to put before it.
    fn fuse(self, model: &mut Model, quantizer: usize, target: &Scalar) -> Option<Node> {
        let (low, high) = target.limits;
        let code = |value: f32| {
            let rounded = (value / target.scale).round_ties_even() as i64;
            rounded.saturating_add(target.zero).clamp(low, high)
        };
        let mut clamp = (low, high);
        for &index in &self.clamps {
            // From the last to the first: what stands before is clamped by what follows.
            let (least, most) = bounds(model, &model.nodes[index])?;
            let inner = |value: i64| value.clamp(clamp.0, clamp.1);
            clamp =
                (least.map_or(clamp.0, |bound| inner(code(bound))), most.map_or(clamp.1, |bound| inner(code(bound))));
            if clamp.0 > clamp.1 {
                clamp.0 = clamp.1;
            }
        }
        let node = self.source.centred(model);
        model.nodes[self.first].inputs[0] = node.outputs.first().copied();
        let multiplier = Array::float(vec![], vec![self.source.scale.f32(0)]);
        requantize(model, quantizer, multiplier, target.scale, &Scalar { limits: clamp, ..*target });
        Some(node)
    }
}

/// The bounds of a Relu or Clip, where they are known.
fn bounds(model: &Model, node: &Node) -> Option<(Option<f32>, Option<f32>)> {
    if node.op == "Relu" {
        return Some((Some(0.0), None));
    }
    let bound = |place: usize, name: &str| match node.inputs.get(place).copied().flatten() {
        Some(id) => model.constants.get(&id).filter(|array| array.len() == 1).map(|array| Some(array.f32(0))),
        None => match node.attributes.get(name) {
            None => Some(None),
            Some(Attribute::Float(value)) => Some(Some(*value)),
            Some(_) => None,
        },
    };
    let (low, high) = (bound(1, "min")?, bound(2, "max")?);
    let is_number = |bound: Option<f32>| bound.is_none_or(|value| !value.is_nan());
    (is_number(low) && is_number(high)).then_some((low, high))
}

/// Makes a quantizer the float32 rule of a kernel.
fn requantize(model: &mut Model, index: usize, multipliers: Array, divisor: f32, target: &Scalar) {
    let (input, output) = (model.nodes[index].inputs[0], model.nodes[index].outputs[0]);
    let name = model.nodes[index].name.clone();
    model.nodes[index] = kernel(model, &name, (input, output), multipliers, divisor, target);
}

/// A node that does what a kernel does with its sums.
fn kernel(
    model: &mut Model,
    name: &str,
    (input, output): (Option<ValueId>, ValueId),
    multipliers: Array,
    divisor: f32,
    target: &Scalar,
) -> Node {
    let multiplier = model.add_constant(format!("multiplier of {name}"), multipliers, Element::Float);
    let divisor = Array::float(vec![], vec![divisor]);
    let divisor = model.add_constant(format!("divisor of {name}"), divisor, Element::Float);
    let (low, high) = target.limits;
    let attributes = Attributes::of(vec![("low", Attribute::Int(low)), ("high", Attribute::Int(high))]);
    let inputs = vec![input, Some(multiplier), Some(divisor), Some(target.zero_id)];
    node(name, "RequantizeLinear", DOMAIN, inputs, output, attributes)
}

/// Moves a Clip of codes into the quantizer that makes them (narrow ranges, and widths below that of the type).
pub(super) fn merge_clips(model: &mut Model) {
    let edges = Edges::new(model);
    for index in 0..model.nodes.len() {
        if !is_resolved(&model.nodes[index], "QuantizeLinear") {
            continue;
        }
        let Some(reader) = model.nodes[index].outputs.first().and_then(|&id| edges.only_reader(id)) else { continue };
        let clip = &model.nodes[reader];
        if clip.op != "Clip" || !edges.is_data(model.nodes[index].outputs[0]) {
            continue;
        }
        let Some((least, most)) = bounds(model, clip) else { continue };
        let (low, high) = limits(&model.nodes[index]);
        let (low, high) = (low.max(least.map_or(low, |v| v as i64)), high.min(most.map_or(high, |v| v as i64)));
        if low >= high {
            continue;
        }
        let old = &mut model.nodes[index];
        let mut attributes: Vec<(&str, Attribute)> =
            ["axis", "block_size"].iter().filter_map(|name| Some((*name, old.attributes.get(name)?.clone()))).collect();
        attributes.extend([("low", Attribute::Int(low)), ("high", Attribute::Int(high))]);
        old.attributes = Attributes::of(attributes);
        bypass(&mut model.nodes[reader]);
    }
}

/// Says which rule the quantizers of data follow.
pub(super) fn note(model: &mut Model, rule: QdqRule) {
    let edges = Edges::new(model);
    let of_data = |node: &Node| node.inputs.first().copied().flatten().is_some_and(|id| edges.is_data(id));
    let is =
        |op: &'static str| model.nodes.iter().filter(move |node| is_resolved(node, op)).filter(|node| of_data(node));
    let inner = |node: &&Node| node.inputs.first().copied().flatten().is_some_and(|id| !model.is_input(id));
    let (kernels, exact) = (is("RequantizeLinear").count(), is("QuantizeLinear").filter(inner));
    let names: Vec<&str> = exact.map(|node| node.name.as_str()).collect();
    let few = |names: &[&str]| match names {
        [first, second, third, _, ..] => format!("{first}, {second}, {third} and {} more", names.len() - 3),
        few => few.join(", "),
    };
    let notes = match (rule, kernels, names.as_slice()) {
        (_, 0, []) => vec![],
        (QdqRule::Exact, _, names) => {
            vec![format!("{} quantizers follow the exact rule: onnxruntime may differ by one step", names.len())]
        }
        (QdqRule::Float32, kernels, names) => {
            let mut notes = Vec::new();
            if kernels > 0 {
                notes.push(format!("{kernels} quantizers follow onnxruntime's float32 rule, bit for bit"));
            }
            if !names.is_empty() {
                let what = few(names);
                notes.push(format!(
                    "these quantizers follow the exact rule, no integer kernel of onnxruntime being modelled for them: {what}"
                ));
            }
            notes
        }
    };
    model.notes.extend(notes);
}
