//! Conv, MatMul and Gemm between dequantized codes and a quantizer, where onnxruntime has an integer kernel.
//!
//! What counts was found by recording (`scripts/record-qdq`): data and codes of one 8-bit type (signed codes that are
//! dequantized at once count as unsigned ones), constant weights, a bias of int32 codes or a float one, which is
//! rounded to codes. A quantizer moves over MaxPool and changes of shape up to the operator, and over a clamp that it
//! repeats.

use super::{DOMAIN, Scalar, Source, attribute, bounds, bypass, is_resolved, kernel, requantize};
use crate::model::{Array, Attribute, Attributes, Element, Model, Node, ValueId};
use crate::qdq::edges::{Edges, node};

/// Operators that a quantizer moves over.
const MOVED_OVER: &[&str] = &["MaxPool", "Reshape", "Transpose", "Squeeze", "Unsqueeze"];

/// A group of nodes with one integer kernel.
pub(super) struct Sums {
    operator: usize,
    /// The Add of a bias behind a MatMul.
    add: Option<usize>,
    /// The node that reads the sums, or what a clamp makes of them: the quantizer, or what it moves over.
    reader: usize,
    data: Source,
    weights: Source,
    bias: Bias,
    /// Shape of one number for each output.
    dims: Vec<usize>,
    /// f32(alpha * sx * sw).
    steps: Vec<f32>,
    multipliers: Vec<f32>,
}

enum Bias {
    None,
    Codes(Source),
    Reals(ValueId),
}

fn input(node: &Node, place: usize) -> Option<ValueId> {
    node.inputs.get(place).copied().flatten()
}

fn is_standard(node: &Node) -> bool {
    matches!(node.domain.as_str(), "" | "ai.onnx")
}

impl Sums {
    pub fn find(model: &Model, edges: &Edges, quantizer: usize, target: &Scalar) -> Option<Self> {
        let before = |index: usize| {
            let id = input(&model.nodes[index], 0)?;
            edges.only_reader(id).and_then(|_| edges.producer(id)).filter(|&made| is_standard(&model.nodes[made]))
        };
        let mut reader = quantizer;
        let mut operator = before(reader)?;
        while MOVED_OVER.contains(&model.nodes[operator].op.as_str()) {
            reader = operator;
            operator = before(reader)?;
        }
        if matches!(model.nodes[operator].op.as_str(), "Relu" | "Clip") {
            if !repeats(model, &model.nodes[operator], target) {
                return None;
            }
            operator = before(operator)?;
        }
        let mut add = None;
        if model.nodes[operator].op == "Add" {
            add = Some(operator);
            operator = before(operator).filter(|&index| model.nodes[index].op == "MatMul")?;
        }
        let node = &model.nodes[operator];
        if !matches!(node.op.as_str(), "Conv" | "MatMul" | "Gemm") {
            return None;
        }
        let data = Source::find(model, edges, input(node, 0)?)?;
        let weights = Source::find(model, edges, input(node, 1)?)?;
        let shape = &model.constants.get(&weights.codes)?.dims;
        let rank = shape.len();
        let outputs_axis = match node.op.as_str() {
            "Conv" => 0,
            "Gemm" if attribute(node, "transB", 0) != 0 => 0,
            _ => rank.checked_sub(1)?,
        };
        let outputs = *shape.get(outputs_axis)?;
        let axis = attribute(&model.nodes[weights.node], "axis", 1);
        let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
        let per_output = weights.scale.len() != 1;
        if per_output && (axis != outputs_axis || weights.scale.len() != outputs) {
            return None;
        }
        let mut dims = vec![weights.scale.len()];
        if node.op == "Conv" && per_output {
            dims.extend(std::iter::repeat_n(1, rank.saturating_sub(2)));
        }
        let float = |name: &str| node.attributes.float(name, 1.0).ok();
        let (alpha, beta) = (float("alpha")?, float("beta")?);
        if !edges.is_data(data.codes) || data.scale.len() != 1 || !types(model, edges, quantizer, &data, &weights) {
            return None;
        }
        let product = alpha * data.scale.f32(0);
        let steps: Vec<f32> = weights.scale.floats().into_iter().map(|weight| product * weight).collect();
        let place = match add {
            Some(add) => input(&model.nodes[add], 1).filter(|id| !edges.is_data(*id)),
            None => input(node, 2),
        };
        let bias = match place {
            None if add.is_some() => return None,
            None => Bias::None,
            Some(_) if beta != 1.0 => return None,
            Some(id) => Bias::find(model, edges, id, outputs)?,
        };
        match &bias {
            Bias::Codes(source) if node.op == "Conv" || alpha != 1.0 => {
                // Within 1 %, as the kernel's own check has it; it then takes the codes as they are.
                let near = |index: usize, step: f32| (source.scale.f32(index) - step).abs() <= 0.01 * step;
                let at = |index: usize| if steps.len() == 1 { steps[0] } else { steps[index] };
                let count = source.scale.len();
                let fits = steps.len() == 1 || count == steps.len();
                if !fits || !(0..count).all(|index| near(index, at(index))) {
                    return None;
                }
            }
            Bias::Reals(_) if alpha != 1.0 => return None,
            _ => {}
        }
        let multipliers: Vec<f32> = steps.iter().map(|step| step / target.scale).collect();
        let usable = |values: &[f32]| values.iter().all(|value| value.is_finite() && *value > 0.0);
        (usable(&multipliers) && usable(&steps)).then_some(Sums {
            operator,
            add,
            reader,
            data,
            weights,
            bias,
            dims,
            steps,
            multipliers,
        })
    }

    /// Makes the group integers; gives new nodes with the index of the node that each comes before.
    pub fn fuse(self, model: &mut Model, quantizer: usize, target: &Scalar) -> Vec<(usize, Node)> {
        let mut made = Vec::new();
        for (place, source) in [&self.data, &self.weights].into_iter().enumerate() {
            let node = source.centred(model);
            model.nodes[self.operator].inputs[place] = node.outputs.first().copied();
            made.push((self.operator, node));
        }
        let (owner, place) = self.add.map_or((self.operator, 2), |add| (add, 1));
        let bias = match &self.bias {
            Bias::None => None,
            Bias::Codes(source) => {
                self.note_scale(model, source);
                Some(source.centred(model))
            }
            Bias::Reals(id) => Some(self.rounded(model, *id)),
        };
        if let Some(node) = bias {
            model.nodes[owner].inputs[place] = node.outputs.first().copied();
            made.push((owner, node));
        }
        let operator = &mut model.nodes[self.operator];
        operator.attributes = operator.attributes.without(&["alpha", "beta"]);
        let sums = model.nodes[owner].outputs.first().copied();
        let multipliers = Array::float(self.dims, self.multipliers);
        if self.reader == quantizer {
            model.nodes[quantizer].inputs[0] = sums;
            requantize(model, quantizer, multipliers, 1.0, target);
        } else {
            let name = model.nodes[quantizer].name.clone();
            let codes = model.add_value(format!("codes of {name}"), Element::U8);
            let node = kernel(model, &name, (sums, codes), multipliers, 1.0, target);
            model.nodes[self.reader].inputs[0] = Some(codes);
            bypass(&mut model.nodes[quantizer]);
            made.push((self.reader, node));
        }
        made
    }

    /// A float bias as codes in steps of the sums: half-even(bias / f32(sx * sw)).
    fn rounded(&self, model: &mut Model, id: ValueId) -> Node {
        let name = model.nodes[self.operator].name.clone();
        let floats = model.constants.get(&id).map(Array::floats).unwrap_or_default();
        let step = |index: usize| if self.steps.len() == 1 { self.steps[0] } else { self.steps[index] };
        let codes = floats
            .iter()
            .enumerate()
            .map(|(index, value)| i64::from((value / step(index)).round_ties_even() as i32))
            .collect();
        let dims = model.constants.get(&id).map(|array| array.dims.clone()).unwrap_or_default();
        let whole = Element::Integer { bits: 32, signed: true };
        let codes = model.add_constant(format!("bias codes of {name}"), Array::int(dims, codes), whole);
        let one = model.add_constant(format!("bias step of {name}"), Array::float(vec![], vec![1.0]), Element::Float);
        let zero = model.add_constant(format!("bias zero of {name}"), Array::int(vec![], vec![0]), whole);
        let output = model.add_value(format!("bias of {name}"), Element::Float);
        let (low, high) = (i64::from(i32::MIN), i64::from(i32::MAX));
        let attributes = Attributes::of(vec![("low", Attribute::Int(low)), ("high", Attribute::Int(high))]);
        node(&name, "DequantizeLinear", DOMAIN, vec![Some(codes), Some(one), Some(zero)], output, attributes)
    }

    /// Says where the kernel ignores a bias's own scale.
    fn note_scale(&self, model: &mut Model, source: &Source) {
        let step = |index: usize| if self.steps.len() == 1 { self.steps[0] } else { self.steps[index] };
        let far = |index: usize| (source.scale.f32(index) - step(index)).abs() > 1e-6 * step(index);
        let count = if self.steps.len() == 1 { source.scale.len() } else { source.scale.len().min(self.steps.len()) };
        if (0..count).any(far) {
            let name = &model.nodes[self.operator].name;
            let note = format!("the bias scale of `{name}` is not that of its sums; onnxruntime's kernel ignores it");
            model.notes.push(note);
        }
    }
}

impl Bias {
    fn find(model: &Model, edges: &Edges, id: ValueId, outputs: usize) -> Option<Self> {
        let is_row = |dims: &[usize]| dims.last() == Some(&outputs) && dims.iter().product::<usize>() == outputs;
        if let Some(array) = model.constants.get(&id) {
            let finite = array.floats().iter().all(|value| value.is_finite());
            return (is_row(&array.dims) && finite).then_some(Bias::Reals(id));
        }
        let source = Source::find(model, edges, id)?;
        let codes = model.constants.get(&source.codes)?;
        let whole = model.element(source.codes) == Element::of_onnx(6);
        (whole && is_row(&codes.dims)).then_some(Bias::Codes(source))
    }
}

/// Whether a quantizer repeats what a Relu or Clip in front of it does.
fn repeats(model: &Model, node: &Node, target: &Scalar) -> bool {
    let Some((least, most)) = bounds(model, node) else { return false };
    let (low, high) = target.limits;
    let code = |value: f32| {
        let rounded = (value / target.scale).round_ties_even() as i64;
        rounded.saturating_add(target.zero).clamp(low, high)
    };
    least.is_none_or(|bound| code(bound) == low) && most.is_none_or(|bound| code(bound) == high)
}

/// Whether there is a kernel for these types.
fn types(model: &Model, edges: &Edges, quantizer: usize, data: &Source, weights: &Source) -> bool {
    let is_eight = |element: Option<Element>| matches!(element, Some(Element::Integer { bits: 8, .. }));
    let (x, w) = (effective(model, edges, data.codes), model.element(weights.codes));
    let made = model.nodes[quantizer].outputs.first().and_then(|&id| effective(model, edges, id));
    let is_signed = |element| element == Some(Element::Integer { bits: 8, signed: true });
    is_eight(x) && is_eight(w) && x == made && (!is_signed(x) || is_signed(w))
}

/// The type that codes have after signed ones between a QuantizeLinear and its DequantizeLinear became unsigned.
fn effective(model: &Model, edges: &Edges, id: ValueId) -> Option<Element> {
    let element = model.element(id)?;
    let made_here = edges.producer(id).is_some_and(|index| is_resolved(&model.nodes[index], "QuantizeLinear"));
    let only_read = edges.readers(id).iter().all(|&index| is_resolved(&model.nodes[index], "DequantizeLinear"))
        && !edges.is_output(id);
    let becomes = element == Element::Integer { bits: 8, signed: true } && made_here && only_read;
    Some(if becomes { Element::U8 } else { element })
}
