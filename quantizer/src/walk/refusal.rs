//! Operators that cannot be built whatever they read.

use super::activation::ACTIVATIONS;
use crate::fault::Fault;
use crate::model::{Model, Node, Refused};
use crate::{qdq, quantization};

/// Operators that take streams.
const OPERATORS: &[&str] = &[
    "Conv",
    "MatMul",
    "Gemm",
    "MaxPool",
    "GlobalMaxPool",
    "BatchNormalization",
    "Relu",
    "Clip",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Neg",
    "Flatten",
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Dropout",
    "Cast",
    "Shape",
    "ArgMax",
    "TopK",
    "Softmax",
    "Sum",
    "Concat",
    "Resize",
    "Upsample",
    "ConvTranspose",
    "AveragePool",
    "GlobalAveragePool",
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "DepthToSpace",
    "SpaceToDepth",
    "Slice",
    "Split",
    "Gather",
    "Pad",
    "Max",
    "Min",
    "Expand",
];

/// Operators that only constants go through.
pub(super) const CONSTANT_OPERATORS: &[&str] =
    &["Constant", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Sign", "ConstantOfShape"];

fn is_known(node: &Node) -> bool {
    let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
    let op = node.op.as_str();
    quantization::is_quantizer(node)
        || qdq::is_dequantizer(node)
        || (standard && (OPERATORS.contains(&op) || ACTIVATIONS.contains(&op) || CONSTANT_OPERATORS.contains(&op)))
}

/// All nodes of a model that cannot be built whatever they read, each with the reason.
pub(crate) fn refusals(model: &Model) -> Vec<(String, Fault)> {
    let data = super::data(model);
    model.nodes.iter().filter_map(|node| Some((node.name.clone(), refusal(node, node.reads_any(&data))?))).collect()
}

/// Why an operator, or its attributes, cannot be built; `None` where that depends on what it reads, and for what only
/// constants go into, since that is evaluated.
pub(super) fn refusal(node: &Node, reads_data: bool) -> Option<Fault> {
    match &node.refused {
        Refused::No if !reads_data => return None,
        Refused::No => {}
        Refused::With(fault) => return Some(fault.clone()),
        Refused::Elsewhere => return None,
    }
    if !is_known(node) {
        let operator = if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) };
        let help = match node.op.as_str() {
            "DynamicQuantizeLinear" => "quantize statically: scales that depend on the data cannot be built",
            "Loop" | "If" | "Scan" => "export a static graph: control flow cannot be built",
            _ => {
                "replace it by dense, convolution, max pooling, batch normalisation, Relu, Clip and quantizers, or cut the model before it (--outputs) or behind it (--inputs)"
            }
        };
        return Some(Fault::operator(format!("operator `{operator}` cannot be built"), help));
    }
    let attribute = |name: &str, default: i64| node.attributes.int(name, default);
    match (node.op.as_str(), attribute("training_mode", 0)) {
        ("BatchNormalization", Ok(mode)) if mode != 0 => {
            Some(Fault::operator("a BatchNormalization in training mode", "export the model in evaluation mode"))
        }
        _ => None,
    }
}
