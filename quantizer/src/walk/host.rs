//! What stays on the host at a network's end: nodes behind a step that hardware does not do.
//!
//! Softmax, NonMaxSuppression and the like, and the arithmetic behind them (box decoding), are cut off where nothing
//! but outputs follows; the tensors that they read become outputs, named after the model's tensors.

use super::{Value, Walk};
use crate::fault::Fault;
use crate::model::{Node, ValueId};
use crate::quantization;
use network::{Code, Diagnostics};

/// Operators that a host does at the end of a network.
const HOST_OPERATORS: &[&str] = &[
    "Softmax",
    "LogSoftmax",
    "NonMaxSuppression",
    "TopK",
    "ArgMax",
    "Sigmoid",
    "Hardmax",
    "NonZero",
    "Where",
    "RoiAlign",
    "ScatterND",
    "GatherND",
];

/// A node that cannot be built, and all that follows from it.
#[derive(Debug)]
pub(super) struct Region {
    /// The first node's fault.
    pub fault: Fault,
    pub node: String,
    pub op: String,
    /// Whether a layer or quantizer follows, so that the region cannot stay on the host.
    pub goes_on: bool,
    /// Streams that the region reads.
    pub reads: Vec<ValueId>,
}

impl Walk<'_> {
    /// Takes a node that failed as the start of a host region, where that is allowed; gives the fault back otherwise.
    pub(super) fn leave_to_host(&mut self, node: &Node, fault: Fault) -> Result<(), Fault> {
        let streams: Vec<ValueId> =
            node.inputs.iter().flatten().copied().filter(|&id| matches!(self.values[id], Value::Stream(_))).collect();
        let bent = |id: &ValueId| matches!(&self.values[*id], Value::Stream(stream) if stream.waits_for_quantizer());
        // A join of positions, as where detectors put their scales together.
        let joins_positions = node.op == "Concat" && fault.code == Code::ModelShape;
        let allowed = HOST_OPERATORS.contains(&node.op.as_str())
            || joins_positions
            || self.options.cut_unsupported
            || streams.iter().any(bent);
        if !allowed
            || streams.is_empty()
            || self.wanted.is_some()
            || quantization::is_quantizer(node)
            || self.model.goes_on_at(node)
        {
            return Err(fault);
        }
        let index = self.regions.len();
        self.regions.push(Region {
            fault,
            node: node.name.clone(),
            op: node.op.clone(),
            goes_on: false,
            reads: streams,
        });
        for &output in &node.outputs {
            self.values[output] = Value::Host(index);
        }
        Ok(())
    }

    /// Adds a node that reads a host value to its region; says whether it does.
    pub(super) fn follows_host(&mut self, node: &Node) -> bool {
        let region = node.inputs.iter().flatten().find_map(|&id| match self.values[id] {
            Value::Host(region) => Some(region),
            _ => None,
        });
        let Some(region) = region else { return false };
        let goes_on = self.model.goes_on_at(node) || quantization::is_quantizer(node);
        for &id in node.inputs.iter().flatten() {
            match &self.values[id] {
                Value::Stream(_) => self.regions[region].reads.push(id),
                Value::Host(other) if *other != region => {
                    let other = *other;
                    let goes_on = self.regions[other].goes_on;
                    self.regions[region].goes_on |= goes_on;
                    self.merged.push((region, other));
                }
                _ => {}
            }
        }
        self.regions[region].goes_on |= goes_on;
        for &output in &node.outputs {
            self.values[output] = Value::Host(region);
        }
        true
    }

    /// Faults of regions behind which the network goes on.
    pub(super) fn host_faults(&mut self, file: &str) -> Diagnostics {
        let mut faults = Diagnostics::default();
        for region in self.regions.iter().filter(|region| region.goes_on) {
            faults.push(region.fault.clone().at(file, &region.node));
        }
        faults
    }

    /// The model's outputs, those on the host replaced by what their regions read.
    pub(super) fn hardware_outputs(&mut self) -> Vec<ValueId> {
        let mut outputs = Vec::new();
        let push = |outputs: &mut Vec<ValueId>, id: ValueId| {
            if !outputs.contains(&id) {
                outputs.push(id);
            }
        };
        for &output in &self.model.outputs {
            let region = match &self.values[output] {
                Value::Host(region) => *region,
                Value::Stream(stream) if stream.curve.is_some() && stream.under_sigmoid().is_none() => {
                    self.notes.push(format!(
                        "the activation function before `{}` stays on the host: no quantizer follows it",
                        self.model.names[output]
                    ));
                    for cut in self.cut_at(output) {
                        push(&mut outputs, cut);
                    }
                    continue;
                }
                _ => {
                    push(&mut outputs, output);
                    continue;
                }
            };
            let mut regions = vec![region];
            let mut next = 0;
            while let Some(&region) = regions.get(next) {
                next += 1;
                for &(a, b) in &self.merged {
                    let other = if a == region {
                        b
                    } else if b == region {
                        a
                    } else {
                        continue;
                    };
                    if !regions.contains(&other) {
                        regions.push(other);
                    }
                }
            }
            regions.sort_unstable();
            for region in regions {
                let region = &self.regions[region];
                let note = format!(
                    "`{}` ({}) and what follows it stay on the host: {}",
                    region.node, region.op, region.fault.message
                );
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
                for cut in region.reads.iter().flat_map(|&read| self.cut_at(read)) {
                    push(&mut outputs, cut);
                }
            }
        }
        outputs
    }

    /// The value itself, or where an activation function waits for a quantizer what the function reads.
    fn cut_at(&self, value: ValueId) -> Vec<ValueId> {
        let mut cuts = Vec::new();
        let mut seen = vec![value];
        let mut next = 0;
        while let Some(&id) = seen.get(next) {
            next += 1;
            let waits = matches!(&self.values[id], Value::Stream(stream) if stream.waits_for_quantizer());
            let maker = self.model.nodes.iter().find(|node| node.outputs.contains(&id)).filter(|_| waits);
            let Some(maker) = maker else {
                cuts.push(id);
                continue;
            };
            for &input in maker.inputs.iter().flatten() {
                if matches!(self.values[input], Value::Stream(_)) && !seen.contains(&input) {
                    seen.push(input);
                }
            }
        }
        cuts
    }
}
