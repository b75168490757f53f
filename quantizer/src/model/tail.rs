//! The end of a model that the host computes whatever a calibration says: softmax and what decodes boxes behind it.
//!
//! A node belongs to the tail where no layer can follow it and it, or a node before it in the tail, is a step that
//! hardware never does. A convolution of one position to a single channel does not count as a layer behind such a
//! step: it is an expectation over a distribution (distribution focal loss, arXiv 2006.04388), as detectors have it.

use super::{MATRIX_OPERATORS, Model, Node, ValueId};
use std::collections::BTreeSet;

/// Steps that hardware never does.
const HOST_STEPS: &[&str] = &["Softmax", "LogSoftmax", "Hardmax", "NonMaxSuppression", "NonZero", "RoiAlign"];

impl Model {
    /// Whether a node is a layer with weights that shows that the network goes on.
    pub fn goes_on_at(&self, node: &Node) -> bool {
        let weights = node.inputs.get(1).copied().flatten().and_then(|id| self.constants.get(&id));
        let is_expectation = node.op == "Conv"
            && node.inputs.len() == 2
            && weights.is_some_and(|weights| matches!(*weights.dims, [1, _, 1, 1] | [1, _, 1]));
        MATRIX_OPERATORS.contains(&node.op.as_str()) && !is_expectation
    }

    /// Numbers of the nodes that the host computes; `rank` gives the number of axes of a tensor of data.
    pub fn host_tail(&self, rank: &dyn Fn(ValueId) -> Option<usize>) -> BTreeSet<usize> {
        // Tensors that a layer follows.
        let mut followed = BTreeSet::new();
        let mut ends = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            let goes_on = self.goes_on_at(node) || node.outputs.iter().any(|id| followed.contains(id));
            ends[index] = !goes_on;
            if goes_on {
                followed.extend(node.inputs.iter().flatten().copied());
            }
        }
        let mut on_host: BTreeSet<ValueId> = BTreeSet::new();
        let mut tail = BTreeSet::new();
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| ends[*index]) {
            if node.reads_any(&on_host) || HOST_STEPS.contains(&node.op.as_str()) || joins_positions(node, rank) {
                on_host.extend(&node.outputs);
                tail.insert(index);
            }
        }
        tail
    }
}

/// Whether a node joins what several scales of a detector found: streams (1, channels, positions) one after the other.
fn joins_positions(node: &Node, rank: &dyn Fn(ValueId) -> Option<usize>) -> bool {
    let ranks: Vec<usize> = node.inputs.iter().flatten().filter_map(|&id| rank(id)).collect();
    let axis = node.attributes.int("axis", 1);
    node.op == "Concat" && ranks.len() > 1 && ranks.iter().all(|&rank| rank == 3) && matches!(axis, Ok(2 | -1))
}
