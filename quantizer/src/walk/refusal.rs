//! Operators that cannot be built, found before the walk so that all are reported at once.

use crate::fault::Fault;
use crate::model::{Model, Node, Refused};
use crate::{qdq, quantization};
use network::Diagnostics;

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
    "Sigmoid",
];

/// Operators that only constants go through.
pub(super) const CONSTANT_OPERATORS: &[&str] = &[
    "Constant",
    "Pow",
    "Abs",
    "Sqrt",
    "Exp",
    "Reciprocal",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "Concat",
    "Gather",
    "Slice",
    "ConstantOfShape",
];

fn is_known(node: &Node) -> bool {
    let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
    let op = node.op.as_str();
    quantization::is_quantizer(node)
        || qdq::is_dequantizer(node)
        || (standard && (OPERATORS.contains(&op) || CONSTANT_OPERATORS.contains(&op)))
}

/// One fault for each node that cannot be built whatever it reads.
pub(super) fn refused_operators(model: &Model, file: &str) -> Diagnostics {
    Diagnostics(model.nodes.iter().filter_map(|node| Some(refusal(node)?.at(file, &node.name))).collect())
}

/// Why an operator, or its attributes, cannot be built; `None` where that depends on what it reads.
pub(super) fn refusal(node: &Node) -> Option<Fault> {
    match &node.refused {
        Refused::No => {}
        Refused::With(fault) => return Some(fault.clone()),
        Refused::Elsewhere => return None,
    }
    if !is_known(node) {
        let operator = if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) };
        let help = match node.op.as_str() {
            "AveragePool" | "GlobalAveragePool" | "ReduceMean" => {
                "average pooling cannot be built yet; use max pooling or a strided convolution"
            }
            "DynamicQuantizeLinear" => "quantize statically: scales that depend on the data cannot be built",
            "Concat" | "Split" | "Slice" | "Gather" => "only chains of layers can be built yet",
            "LeakyRelu" | "PRelu" | "Elu" | "HardSwish" | "Tanh" | "HardSigmoid" | "Mish" | "Gelu" => {
                "use Relu or Clip, or cut the model before it"
            }
            _ => {
                "replace it by dense, convolution, max pooling, batch normalisation, Relu, Clip and quantizers, or cut the model before it"
            }
        };
        return Some(Fault::operator(format!("operator `{operator}` cannot be built"), help));
    }
    let attribute = |name: &str, default: i64| node.attributes.int(name, default);
    match (node.op.as_str(), attribute("group", 1), attribute("training_mode", 0)) {
        ("Conv", Ok(1), _) => None,
        ("Conv", Ok(group), _) => Some(Fault::operator(
            format!("a Conv of {group} groups"),
            "grouped and depthwise convolutions cannot be built yet; use group = 1",
        )),
        ("Conv", Err(fault), _) => Some(fault),
        ("BatchNormalization", _, Ok(mode)) if mode != 0 => {
            Some(Fault::operator("a BatchNormalization in training mode", "export the model in evaluation mode"))
        }
        _ => None,
    }
}
