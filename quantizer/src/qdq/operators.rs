//! Quantized operators (QLinearConv, QGemm, MatMulInteger, ...) as DequantizeLinear, operator, QuantizeLinear.

use super::edges::node;
use crate::fault::{Checked, Fault};
use crate::model::{Array, Attribute, Attributes, Element, Model, Node, Refused, ValueId};

/// Operators that are rewritten.
const OPERATORS: &[&str] = &[
    "QLinearConv",
    "QLinearMatMul",
    "QGemm",
    "ConvInteger",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QLinearAdd",
    "QLinearMul",
    "QLinearGlobalAveragePool",
    "QLinearAveragePool",
    "QLinearReduceMean",
    "QLinearLeakyRelu",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QLinearConcat",
];

/// Whether an operator is one that is rewritten.
pub(super) fn is_rewritten(op: &str) -> bool {
    OPERATORS.contains(&op)
}

/// Rewrites all quantized operators of a model.
pub(super) fn rewrite(model: &mut Model) {
    for mut old in std::mem::take(&mut model.nodes) {
        let standard = matches!(old.domain.as_str(), "" | "ai.onnx" | "com.microsoft");
        if !standard || !is_rewritten(&old.op) {
            model.nodes.push(old);
            continue;
        }
        let mut parts = Parts { model, old: &old, made: Vec::new() };
        match parts.build() {
            Ok(()) => {
                let made = parts.made;
                model.nodes.extend(made);
            }
            Err(fault) => {
                old.refused = Refused::With(fault);
                model.nodes.push(old);
            }
        }
    }
}

/// The nodes that take the place of an old one.
struct Parts<'a> {
    model: &'a mut Model,
    old: &'a Node,
    made: Vec<Node>,
}

impl Parts<'_> {
    fn build(&mut self) -> Checked<()> {
        if self.old.attributes.int("channels_last", 0)? != 0 {
            return Err(Fault::operator("channels_last", "export with channels first"));
        }
        match self.old.op.as_str() {
            "QLinearConv" => {
                let x = self.dequantized([0, 1, 2], 0)?;
                let weights = self.dequantized([3, 4, 5], 0)?;
                let bias = self.bias(8, [1, 4], 1.0, 0)?;
                let sums = self.operator("Conv", vec![Some(x), Some(weights), bias], &[])?;
                self.quantized(sums, [6, 7])
            }
            "QLinearMatMul" => {
                let (a, b) = (self.dequantized([0, 1, 2], -2)?, self.dequantized([3, 4, 5], -1)?);
                let sums = self.operator("MatMul", vec![Some(a), Some(b)], &[])?;
                self.quantized(sums, [6, 7])
            }
            "QGemm" => {
                let axis = if self.old.attributes.int("transB", 0)? != 0 { 0 } else { 1 };
                let alpha = self.old.attributes.float("alpha", 1.0)?;
                let (a, b) = (self.dequantized([0, 1, 2], 0)?, self.dequantized([3, 4, 5], axis)?);
                let bias = self.bias(6, [1, 4], alpha, -1)?;
                let sums = self.operator("Gemm", vec![Some(a), Some(b), bias], &[])?;
                self.quantized(sums, [7, 8])
            }
            "ConvInteger" => {
                let (x, weights) = (self.centred(0, 2, 0)?, self.centred(1, 3, 0)?);
                self.last("Conv", vec![Some(x), Some(weights)])
            }
            "MatMulInteger" => {
                let (a, b) = (self.centred(0, 2, -2)?, self.centred(1, 3, -1)?);
                self.last("MatMul", vec![Some(a), Some(b)])
            }
            "MatMulIntegerToFloat" => {
                let (a, b) = (self.dequantized([0, 2, 4], -2)?, self.dequantized([1, 3, 5], -1)?);
                match self.input(6) {
                    None => self.last("MatMul", vec![Some(a), Some(b)]),
                    Some(bias) => {
                        let sums = self.operator("MatMul", vec![Some(a), Some(b)], &[])?;
                        self.last("Add", vec![Some(sums), Some(bias)])
                    }
                }
            }
            "QLinearAdd" | "QLinearMul" => {
                let (a, b) = (self.dequantized([0, 1, 2], 0)?, self.dequantized([3, 4, 5], 0)?);
                let op = if self.old.op == "QLinearAdd" { "Add" } else { "Mul" };
                let result = self.operator(op, vec![Some(a), Some(b)], &[])?;
                self.quantized(result, [6, 7])
            }
            "QLinearConcat" => {
                let count = self.old.inputs.len().saturating_sub(2) / 3;
                let parts: Vec<Option<ValueId>> = (0..count)
                    .map(|part| self.dequantized([2 + 3 * part, 3 + 3 * part, 4 + 3 * part], 0).map(Some))
                    .collect::<Checked<_>>()?;
                let result = self.operator("Concat", parts, &[])?;
                self.quantized(result, [0, 1])
            }
            op => {
                let x = self.dequantized([0, 1, 2], 0)?;
                let op = op.trim_start_matches("QLinear").to_owned();
                let result = self.operator(&op, vec![Some(x)], &["opset"])?;
                self.quantized(result, [3, 4])
            }
        }
    }

    fn input(&self, place: usize) -> Option<ValueId> {
        self.old.inputs.get(place).copied().flatten()
    }

    fn required(&self, place: usize) -> Checked<ValueId> {
        self.input(place)
            .ok_or_else(|| Fault::operator(format!("`{}` has no input {place}", self.old.op), "export the model again"))
    }

    /// Adds a node with a tensor of its own.
    fn add(&mut self, op: &str, inputs: Vec<Option<ValueId>>, attributes: Attributes) -> ValueId {
        let output = self.model.add_value(format!("{op} of {}", self.old.name), Element::Float);
        self.made.push(node(&self.old.name, op, "", inputs, output, attributes));
        output
    }

    /// DequantizeLinear of the inputs at these places: codes, scale, zero point.
    fn dequantized(&mut self, [codes, scale, zero]: [usize; 3], axis: i64) -> Checked<ValueId> {
        let inputs = vec![Some(self.required(codes)?), Some(self.required(scale)?), self.input(zero)];
        Ok(self.add("DequantizeLinear", inputs, Attributes::of(vec![("axis", Attribute::Int(axis))])))
    }

    /// The codes less their zero points.
    fn centred(&mut self, codes: usize, zero: usize, axis: i64) -> Checked<ValueId> {
        let codes = self.required(codes)?;
        let zero = self.input(zero);
        let dims = zero.and_then(|id| self.model.constants.get(&id)).map_or(Vec::new(), |array| array.dims.clone());
        let count = dims.iter().product();
        let ones = Array::float(dims, vec![1.0; count]);
        let scale = self.model.add_constant(format!("steps of {}", self.old.name), ones, Element::Float);
        let axis = Attributes::of(vec![("axis", Attribute::Int(axis))]);
        Ok(self.add("DequantizeLinear", vec![Some(codes), Some(scale), zero], axis))
    }

    /// A bias of int32 codes in steps of factor * product of two scales, rounded to float32 after each product.
    fn bias(&mut self, place: usize, scales: [usize; 2], factor: f32, axis: i64) -> Checked<Option<ValueId>> {
        let Some(codes) = self.input(place) else { return Ok(None) };
        let scale = |place: usize| -> Checked<Array> {
            let id = self.required(place)?;
            self.model.constants.get(&id).cloned().ok_or_else(|| {
                Fault::quantizer(
                    format!("the scale `{}` of `{}` is no constant of the model", self.model.names[id], self.old.op),
                    "scales must be constants of the model",
                )
            })
        };
        let (data, weights) = (scale(scales[0])?, scale(scales[1])?);
        if data.len() != 1 {
            return Err(Fault::quantizer("a scale for each row of the data", "use one scale for the tensor"));
        }
        let products = weights.floats().into_iter().map(|weight| factor * data.f32(0) * weight).collect();
        let product = Array::float(weights.dims, products);
        let scale = self.model.add_constant(format!("bias scale of {}", self.old.name), product, Element::Float);
        let axis = Attributes::of(vec![("axis", Attribute::Int(axis))]);
        Ok(Some(self.add("DequantizeLinear", vec![Some(codes), Some(scale)], axis)))
    }

    /// The operator itself, with the old one's attributes.
    fn operator(&mut self, op: &str, inputs: Vec<Option<ValueId>>, without: &[&str]) -> Checked<ValueId> {
        let attributes = self.old.attributes.without(without);
        Ok(self.add(op, inputs, attributes))
    }

    /// The operator as the last part.
    fn last(&mut self, op: &str, inputs: Vec<Option<ValueId>>) -> Checked<()> {
        let made = self.operator(op, inputs, &[])?;
        self.rename(made)
    }

    /// QuantizeLinear as the last part; without a scale the operator is the last part.
    fn quantized(&mut self, value: ValueId, [scale, zero]: [usize; 2]) -> Checked<()> {
        let Some(scale) = self.input(scale) else { return self.rename(value) };
        let made = self.add("QuantizeLinear", vec![Some(value), Some(scale), self.input(zero)], Attributes::default());
        self.rename(made)
    }

    /// Gives the last part the old output.
    fn rename(&mut self, made: ValueId) -> Checked<()> {
        let output = self.old.outputs.first().copied();
        let output = output.ok_or_else(|| Fault::operator("an operator without output", "export the model again"))?;
        match self.made.last_mut() {
            Some(last) if last.outputs.first() == Some(&made) => last.outputs[0] = output,
            _ => {}
        }
        Ok(())
    }
}
