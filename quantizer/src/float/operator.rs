//! One operator over tensors: which function evaluates it.

use super::{bounded, elements, matrix, pointwise, pool, reduce, resize, shaping, tensor};
use crate::constant::Constant;
use crate::fault::{Checked, Fault};
use crate::model::Node;
use crate::quantization::{self, Quantizer};
use candle_core::Tensor;

/// A node with its inputs.
pub(crate) struct Operands<'a> {
    pub node: &'a Node,
    /// Inputs, constant or not; integer constants of more than a few elements are absent.
    pub tensors: Vec<Option<Tensor>>,
    /// Constant inputs.
    pub constants: Vec<Option<&'a Constant>>,
    /// The batch that the model was exported with; frames have a batch of 1.
    pub batch: usize,
    /// Whether shapes alone are asked for: a convolution then gives zeros.
    pub shapes_only: bool,
}

impl<'a> Operands<'a> {
    /// An input that must be there.
    pub fn tensor(&self, index: usize) -> Checked<&Tensor> {
        self.tensors.get(index).and_then(Option::as_ref).ok_or_else(|| {
            Fault::operator(format!("`{}` has no input {index}", self.node.op), "export the model again")
        })
    }

    /// An input that may be absent.
    pub fn optional(&self, index: usize) -> Option<&Tensor> {
        self.tensors.get(index).and_then(Option::as_ref)
    }

    /// A constant input; `None` where it is absent.
    pub fn constant(&self, index: usize) -> Checked<Option<&'a Constant>> {
        match (self.constants.get(index).copied().flatten(), self.optional(index)) {
            (Some(constant), _) => Ok(Some(constant)),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Fault::operator(
                format!("input {index} of `{}` depends on the network's input", self.node.op),
                "export with static shapes and parameters",
            )),
        }
    }

    /// A list of integers, as an input or (in older models) as an attribute.
    pub fn ints(&self, index: usize, name: &str) -> Checked<Option<Vec<i64>>> {
        match self.constant(index)? {
            Some(constant) => Ok(Some(constant.ints()?)),
            None => Ok(self.node.attributes.ints(name)?.map(<[i64]>::to_vec)),
        }
    }

    /// One number, as an input or (in older models) as an attribute.
    pub fn number(&self, index: usize, name: &str, default: f32) -> Checked<f32> {
        match self.constant(index)? {
            Some(constant) if constant.array.len() == 1 => Ok(constant.array.f32(0)),
            Some(_) => Err(Fault::constant(format!("`{name}` is no single number"), "export the model again")),
            None => self.node.attributes.float(name, default),
        }
    }
}

/// What the tensor library says, on one line.
pub(crate) fn fault(error: candle_core::Error) -> Fault {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or("shapes that do not fit");
    Fault::shape(line.to_owned(), "check the shapes of the operator's inputs")
}

/// The outputs of a node.
pub(crate) fn apply(operands: &Operands<'_>) -> Checked<Vec<Tensor>> {
    let node = operands.node;
    if quantization::is_quantizer(node) {
        return Ok(vec![quantize(operands)?]);
    }
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Err(unknown(node));
    }
    let one = match node.op.as_str() {
        "Conv" => matrix::conv(operands),
        "ConvTranspose" => matrix::conv_transpose(operands),
        "Gemm" => matrix::gemm(operands),
        "MatMul" => matrix::mat_mul(operands),
        "MaxPool" | "AveragePool" => pool::pool(operands),
        "GlobalMaxPool" | "GlobalAveragePool" => pool::global(operands),
        "ReduceMean" | "ReduceSum" | "ReduceMax" => reduce::reduce(operands),
        "Softmax" => reduce::softmax(operands),
        "ArgMax" => reduce::arg_max(operands),
        "Resize" | "Upsample" => resize::resize(operands),
        "Split" => return shaping::split(operands),
        "TopK" => return reduce::top_k(operands),
        "Concat" | "Slice" | "Gather" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Expand"
        | "DepthToSpace" | "SpaceToDepth" | "Pad" | "Identity" | "Dropout" | "Cast" => shaping::shape(operands),
        _ => pointwise::pointwise(operands),
    }?;
    bounded(one.dims())?;
    Ok(vec![one])
}

/// An operator that is not evaluated.
pub(super) fn unknown(node: &Node) -> Fault {
    let name = if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) };
    Fault::operator(
        format!("operator `{name}` cannot be evaluated in float"),
        "cut the model before it (--outputs) or behind it (--inputs), or quantize the model in training and give it as QONNX",
    )
}

/// Quant and BipolarQuant, in float32 as QONNX's executor does.
fn quantize(operands: &Operands<'_>) -> Checked<Tensor> {
    let quantizer = quantization::parse(operands.node, operands.constants.get(1..).unwrap_or(&[]))?;
    let x = operands.tensor(0)?;
    let map = |scale: &crate::model::Array, zero: &crate::model::Array, code: &dyn Fn(f32) -> f32| {
        if scale.len() != 1 || zero.len() != 1 {
            return Err(Fault::quantizer("a quantizer of data with a scale for each channel", "use one scale"));
        }
        let (scale, zero) = (scale.f32(0), zero.f32(0));
        let made = elements(x).into_iter().map(|x| (code(x / scale + zero) - zero) * scale).collect();
        tensor(made, x.dims())
    };
    match &quantizer {
        Quantizer::Uniform { scale, zero_point, low, high, rounding, .. } => {
            map(scale, zero_point, &|x| rounding.apply(x.clamp(*low as f32, *high as f32)))
        }
        Quantizer::Bipolar { scale, zero_point } => map(scale, zero_point, &|x| if x >= 0.0 { 1.0 } else { -1.0 }),
        _ => Err(unknown(operands.node)),
    }
}
