//! Who makes and who reads each tensor, and edits of a graph that keep its order.

use crate::model::{Array, Attributes, Element, Model, Node, Refused, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// Edges of a model at one moment.
pub(super) struct Edges {
    producer: BTreeMap<ValueId, usize>,
    readers: BTreeMap<ValueId, Vec<usize>>,
    outputs: Vec<ValueId>,
    /// Tensors that depend on the network's inputs.
    data: BTreeSet<ValueId>,
}

impl Edges {
    /// Reads off a model's edges.
    pub fn new(model: &Model) -> Self {
        let mut edges = Edges {
            producer: BTreeMap::new(),
            readers: BTreeMap::new(),
            outputs: model.outputs.clone(),
            data: model.inputs.iter().map(|input| input.id).collect(),
        };
        for (index, node) in model.nodes.iter().enumerate() {
            for &id in node.inputs.iter().flatten() {
                edges.readers.entry(id).or_default().push(index);
            }
            let is_data = node.inputs.iter().flatten().any(|id| edges.data.contains(id));
            for &id in &node.outputs {
                edges.producer.insert(id, index);
                if is_data {
                    edges.data.insert(id);
                }
            }
        }
        edges
    }

    /// The node that makes a tensor.
    pub fn producer(&self, id: ValueId) -> Option<usize> {
        self.producer.get(&id).copied()
    }

    /// The only reader of a tensor that does not leave the network.
    pub fn only_reader(&self, id: ValueId) -> Option<usize> {
        match self.readers.get(&id).map(Vec::as_slice) {
            Some(&[reader]) if !self.is_output(id) => Some(reader),
            _ => None,
        }
    }

    /// All readers of a tensor.
    pub fn readers(&self, id: ValueId) -> &[usize] {
        self.readers.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Whether a tensor leaves the network.
    pub fn is_output(&self, id: ValueId) -> bool {
        self.outputs.contains(&id)
    }

    /// Whether a tensor depends on the network's input.
    pub fn is_data(&self, id: ValueId) -> bool {
        self.data.contains(&id)
    }
}

impl Model {
    /// A new tensor that a node will make.
    pub(super) fn add_value(&mut self, name: String, element: Element) -> ValueId {
        self.names.push(name);
        let id = self.names.len() - 1;
        self.elements.insert(id, element);
        id
    }

    /// A new constant.
    pub(super) fn add_constant(&mut self, name: String, array: Array, element: Element) -> ValueId {
        let id = self.add_value(name, element);
        self.constants.insert(id, array);
        id
    }
}

/// A node that a pass makes.
pub(super) fn node(
    name: &str,
    op: &str,
    domain: &str,
    inputs: Vec<Option<ValueId>>,
    output: ValueId,
    attributes: Attributes,
) -> Node {
    Node {
        name: name.to_owned(),
        op: op.to_owned(),
        domain: domain.to_owned(),
        inputs,
        outputs: vec![output],
        attributes,
        constant_element: None,
        refused: Refused::No,
    }
}

/// Puts nodes in front of others: `insertions` by the index of the node that they come before.
pub(super) fn insert(model: &mut Model, mut insertions: BTreeMap<usize, Vec<Node>>) {
    let old = std::mem::take(&mut model.nodes);
    for (index, node) in old.into_iter().enumerate() {
        model.nodes.extend(insertions.remove(&index).into_iter().flatten());
        model.nodes.push(node);
    }
}

/// Leaves out nodes that no longer lead to an output; those with faults stay, to be reported.
pub(super) fn prune(model: &mut Model) {
    let mut needed: BTreeSet<ValueId> = model.outputs.iter().copied().collect();
    let mut keep = vec![false; model.nodes.len()];
    for (index, node) in model.nodes.iter().enumerate().rev() {
        if node.refused != Refused::No || node.outputs.iter().any(|id| needed.contains(id)) {
            keep[index] = true;
            needed.extend(node.inputs.iter().flatten());
        }
    }
    let mut keep = keep.into_iter();
    model.nodes.retain(|_| keep.next().unwrap_or(true));
}
