//! QDQ and QOperator models (QuantizeLinear, DequantizeLinear, QLinear*, *Integer), rewritten before the walk.
//!
//! Every way to write a quantized operator becomes one: DequantizeLinear, operator, QuantizeLinear, with parameters
//! that are checked and types that are resolved to ranges of codes ([`parameters`]). Under the float32 rule the
//! groups for which onnxruntime has an integer kernel are then turned into integers: the operator sums codes, and a
//! `RequantizeLinear` does in float32 what the kernel does ([`fuse`], [`kernel`]). Under the exact rule, and where
//! there is no such kernel, the operators stay and the walk composes their exact functions.
//!
//! Not here: what a quantizer does to a stream (the walk) or to a constant ([`evaluate`]).

mod edges;
mod evaluate;
mod fuse;
mod kernel;
mod operators;
mod parameters;

pub(crate) use evaluate::{dequantize, quantize};
pub(crate) use kernel::Kernel;
pub(crate) use parameters::{Affine, affine, is_dequantizer, is_quantizer, parse};

use crate::import::QdqRule;
use crate::model::{Model, Node};

/// The domain of rewritten nodes; no model has it.
pub(crate) const DOMAIN: &str = "hwgen";

/// Rewrites a model; one without such operators stays as it is.
pub(crate) fn rewrite(model: &mut Model, rule: QdqRule) {
    for node in &mut model.nodes {
        if node.domain == DOMAIN {
            node.domain = format!("{DOMAIN} of the model");
        }
    }
    if !model.nodes.iter().any(is_quantized) {
        return;
    }
    evaluate::fold_parameters(model);
    operators::rewrite(model);
    parameters::resolve(model);
    evaluate::fold_weights(model);
    fuse::merge_clips(model);
    if rule == QdqRule::Float32 {
        fuse::fuse(model);
    }
    edges::prune(model);
    fuse::note(model, rule);
}

/// Whether a node is of the kind that is rewritten here.
fn is_quantized(node: &Node) -> bool {
    matches!(node.domain.as_str(), "" | "ai.onnx" | "com.microsoft")
        && (matches!(node.op.as_str(), "QuantizeLinear" | "DequantizeLinear") || operators::is_rewritten(&node.op))
}
