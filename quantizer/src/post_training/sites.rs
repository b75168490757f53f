//! Which tensors become codes, and which of them must share a grid.
//!
//! Codes are needed where weights are multiplied, where two tensors are joined, and where elements are averaged. The
//! need is handed backwards through operators that only move elements or take maxima, so that the quantizer stands
//! behind the last element-wise operator after a layer. Element-wise operators that compute one tensor twice (a
//! sigmoid and its product, say) are recognised by their common root and stay between the sums and the quantizer.
//! Operands of sums, and parts of a concatenation, share one grid. Nothing is needed for its own sake at the end: the
//! last sums leave exact.

use super::grid::Grid;
use super::{LayerBits, PostTraining};
use crate::fault::{Checked, Fault};
use crate::float::Program;
use crate::model::{MATRIX_OPERATORS, Model, Node, ValueId};
use crate::walk::ACTIVATIONS;
use network::Code;
use std::collections::{BTreeMap, BTreeSet};

/// Operators that need codes and make sums of them.
const AVERAGES: &[&str] = &["AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"];
/// Operators that hand elements on.
const MOVES: &[&str] = &[
    "MaxPool",
    "GlobalMaxPool",
    "ReduceMax",
    "Flatten",
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Expand",
    "Slice",
    "Split",
    "Gather",
    "Pad",
    "DepthToSpace",
    "SpaceToDepth",
    "Resize",
    "Upsample",
    "Concat",
    "Identity",
    "Dropout",
    "Cast",
];
/// Those of them that keep every element.
const VIEWS: &[&str] = &["Identity", "Dropout", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze"];
/// Joins whose operands add up, so that one grid for all makes the sum one of integers.
const SUMS: &[&str] = &["Add", "Sub", "Sum", "Max", "Min"];
/// Operators that end a network on the host.
const HOST: &[&str] = &["Softmax", "ArgMax", "TopK"];

/// Whether a network may end with this operator and no host step stands for it.
fn bends(operator: &str) -> bool {
    operator == "Clip" || ACTIVATIONS.contains(&operator) && !["Sigmoid", "Pow"].contains(&operator)
}

/// Whether an operator needs codes and makes sums of them; resizing does unless it takes the nearest element.
fn averages(node: &Node) -> bool {
    let is_resize = matches!(node.op.as_str(), "Resize" | "Upsample");
    AVERAGES.contains(&node.op.as_str())
        || is_resize && !matches!(node.attributes.text("mode", "nearest"), Ok("nearest"))
}

/// Whether an operator hands elements on.
fn moves(node: &Node) -> bool {
    MOVES.contains(&node.op.as_str()) && !averages(node)
}

/// Tensors that share a grid.
#[derive(Debug)]
pub(super) struct Group {
    /// Width of the codes.
    pub bits: u32,
    /// Node that makes the first member.
    pub owner: String,
    /// The grid, where the user stated it.
    pub fixed: Option<Grid>,
}

/// All tensors that become codes.
#[derive(Debug)]
pub(super) struct Sites {
    pub groups: Vec<Group>,
    /// Group of each tensor.
    pub of: BTreeMap<ValueId, usize>,
    /// For each node of weights its name as plans count them, and its widths.
    pub widths: BTreeMap<usize, (String, u32, u32)>,
    /// The tensor whose producer's sums a tensor is a function of, element by element.
    root: Vec<ValueId>,
}

impl Sites {
    /// These groups alone, of tensors without weights.
    #[cfg(test)]
    pub fn of_groups(groups: Vec<Group>, of: BTreeMap<ValueId, usize>) -> Self {
        Sites { groups, of, widths: BTreeMap::new(), root: Vec::new() }
    }

    /// Finds the sites of a folded model.
    pub fn find(
        model: &Model,
        program: &Program<'_>,
        stated: &BTreeMap<ValueId, Grid>,
        options: &PostTraining,
    ) -> Checked<Sites> {
        let tail = model.host_tail(&|id| program.shapes.get(&id).map(Vec::len));
        let widths = widths(model, &tail, options)?;
        let is_data = |id: &ValueId| program.shapes.contains_key(id);
        let data_inputs =
            |node: &Node| -> Vec<ValueId> { node.inputs.iter().flatten().copied().filter(is_data).collect() };
        let mut root: Vec<ValueId> = (0..model.names.len()).collect();
        let mut wanted: Vec<ValueId> = model.inputs.iter().map(|input| input.id).collect();
        let mut unions: Vec<Vec<ValueId>> = Vec::new();
        let mut producer = BTreeMap::new();
        for (index, node) in model.nodes.iter().enumerate() {
            producer.extend(node.outputs.iter().map(|&id| (id, index)));
            let (op, inputs) = (node.op.as_str(), data_inputs(node));
            if HOST.contains(&op) || tail.contains(&index) {
                continue;
            }
            if MATRIX_OPERATORS.contains(&op) || averages(node) {
                wanted.extend(inputs);
            } else if !moves(node) || VIEWS.contains(&op) {
                let roots: Vec<ValueId> = inputs.iter().map(|&id| root[id]).collect();
                match roots.first() {
                    Some(&first) if roots.iter().all(|&other| other == first) => {
                        node.outputs.iter().for_each(|&id| root[id] = first);
                    }
                    _ => {
                        wanted.extend(&inputs);
                        if SUMS.contains(&op) {
                            unions.push(inputs);
                        }
                    }
                }
            }
        }
        // An activation function at the end is built only where a quantizer follows it.
        for (&id, &index) in &producer {
            let node = &model.nodes[index];
            let gates = node.op == "Mul" && data_inputs(node).len() == 2 && root[id] != id;
            if model.outputs.contains(&id) && !tail.contains(&index) && (bends(&node.op) || gates) {
                wanted.push(id);
            }
        }
        let mut sources = Sources { model, producer: &producer, is_data: &is_data, memory: BTreeMap::new() };
        let mut sites: Vec<ValueId> = Vec::new();
        for id in wanted {
            sites.extend(sources.of(id, &mut unions));
        }
        sites.sort_unstable();
        sites.dedup();
        let mut sets = Sets((0..model.names.len()).collect());
        for union in unions.clone() {
            let mut all: Vec<ValueId> = union.into_iter().flat_map(|id| sources.of(id, &mut Vec::new())).collect();
            all.retain(|id| sites.binary_search(id).is_ok() && !stated.contains_key(id));
            all.windows(2).for_each(|pair| sets.join(pair[0], pair[1]));
        }
        let mut members: BTreeMap<ValueId, Vec<ValueId>> = BTreeMap::new();
        for id in sites {
            members.entry(sets.find(id)).or_default().push(id);
        }
        let mut found = Sites { groups: Vec::new(), of: BTreeMap::new(), widths, root };
        for members in members.into_values() {
            let owner = producer
                .get(&members[0])
                .map_or_else(|| model.names[members[0]].clone(), |&at| model.nodes[at].name.clone());
            let width = |id: &ValueId| found.widths.get(producer.get(&found.root[*id])?).map(|(_, _, bits)| *bits);
            let bits = members.iter().filter_map(width).max().unwrap_or(options.activation_bits);
            let fixed = members.iter().find_map(|id| stated.get(id)).copied();
            found.of.extend(members.iter().map(|&id| (id, found.groups.len())));
            found.groups.push(Group { bits, owner, fixed });
        }
        Ok(found)
    }

    /// The group that the results of a node of weights end in.
    pub fn after(&self, output: ValueId) -> Option<usize> {
        self.of.iter().find(|(id, _)| self.root[**id] == output).map(|(_, &group)| group)
    }
}

/// The tensors behind moves, where quantizers stand.
struct Sources<'a> {
    model: &'a Model,
    producer: &'a BTreeMap<ValueId, usize>,
    is_data: &'a dyn Fn(&ValueId) -> bool,
    memory: BTreeMap<ValueId, Vec<ValueId>>,
}

impl Sources<'_> {
    /// Where the codes of `id` are made; concatenations on the way are added to `unions`.
    fn of(&mut self, id: ValueId, unions: &mut Vec<Vec<ValueId>>) -> Vec<ValueId> {
        let (mut open, mut found) = (vec![id], Vec::new());
        let mut seen = BTreeSet::new();
        if let Some(known) = self.memory.get(&id) {
            return known.clone();
        }
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            let node = self.producer.get(&next).map(|&index| &self.model.nodes[index]);
            match node.filter(|node| moves(node)) {
                None => found.push(next),
                Some(node) => {
                    let inputs: Vec<ValueId> =
                        node.inputs.iter().flatten().copied().filter(|id| (self.is_data)(id)).collect();
                    if inputs.len() > 1 {
                        unions.push(inputs.clone());
                    }
                    open.extend(inputs);
                }
            }
        }
        found.sort_unstable();
        self.memory.insert(id, found.clone());
        found
    }
}

/// Disjoint sets of tensors.
struct Sets(Vec<usize>);

impl Sets {
    fn find(&mut self, mut id: usize) -> usize {
        while self.0[id] != id {
            self.0[id] = self.0[self.0[id]];
            id = self.0[id];
        }
        id
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// Widths of every node of weights: those that the user states by its name or number, else the common ones.
fn widths(
    model: &Model,
    tail: &BTreeSet<usize>,
    options: &PostTraining,
) -> Checked<BTreeMap<usize, (String, u32, u32)>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut widths = BTreeMap::new();
    let mut used = vec![false; options.layer_bits.len()];
    let layers = model.nodes.iter().enumerate().filter(|(_, node)| MATRIX_OPERATORS.contains(&node.op.as_str()));
    for (index, node) in layers.filter(|(index, _)| !tail.contains(index)) {
        let kind = match node.op.as_str() {
            "Conv" => "conv",
            "ConvTranspose" => "deconv",
            _ => "fc",
        };
        let count = counts.entry(kind).or_insert(0);
        *count += 1;
        let short = format!("{kind}{count}");
        let mut own = (options.weight_bits, options.activation_bits);
        for (place, LayerBits { layer, weights, activations }) in options.layer_bits.iter().enumerate() {
            if *layer == node.name || *layer == short {
                own = (*weights, *activations);
                used[place] = true;
            }
        }
        widths.insert(index, (short, own.0, own.1));
    }
    if let Some(place) = used.iter().position(|used| !used) {
        let names: Vec<String> = widths
            .iter()
            .take(40)
            .map(|(&index, (short, ..))| format!("{short} ({})", model.nodes[index].name))
            .collect();
        return Err(Fault::new(
            Code::ModelQuantizer,
            format!("the model has no layer `{}` to give widths to", options.layer_bits[place].layer),
            format!("its layers are {}", names.join(", ")),
        ));
    }
    Ok(widths)
}
