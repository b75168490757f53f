//! A float model in which any widths can be tried: fake-quantized evaluation, frame by frame.
//!
//! Weights and activations take the grids that [`super::quantize`] would give them at a width, so that what is tried is
//! what a plan of these widths computes, but for its final rounding of sums. Nothing here chooses widths.

use super::grid::{self, Grid};
use super::sites::{Group, Sites};
use super::statistics::{self, Frames, Measured};
use super::{PostTraining, Prepared, prepare, rounding, weights};
use crate::fault::{Checked, Fault};
use crate::float::{Operands, Program, apply, elements, tensor};
use crate::import;
use crate::model::{Model, ValueId};
use candle_core::Tensor;
use network::{Code, Diagnostic, Diagnostics};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Number, sum and sum of squares of values.
pub(crate) type Moments = (f64, f64, f64);

/// The model with its frames.
pub(crate) struct Trial<'p> {
    pub program: &'p Program<'p>,
    pub layers: Vec<TrialLayer>,
    pub groups: Vec<TrialGroup>,
    frames: Frames,
    sites: Sites,
}

/// A layer with weights.
pub(crate) struct TrialLayer {
    /// Index of its node.
    pub node: usize,
    /// The node's name, and the name that plans count it by.
    pub name: String,
    pub short: String,
    pub parameters: u64,
    pub macs: u64,
    pub outputs: u64,
    /// Shape of what it makes.
    pub shape: Vec<usize>,
    /// The group that it reads.
    pub reads: Option<usize>,
    /// The group that its results end in.
    pub makes: Option<usize>,
    /// The weights, and which input they are.
    pub weights: Tensor,
    pub input: usize,
    /// The weights on the grid of each width that is tried.
    pub quantized: BTreeMap<u32, Tensor>,
    /// Bits of a weight's code on average, at widths at which weights are coded.
    pub payload_bits: BTreeMap<u32, f64>,
}

/// Activations that share a grid.
pub(crate) struct TrialGroup {
    /// Name of the node that makes the first of them.
    pub name: String,
    pub elements: u64,
    /// Whether a width of a layer decides about it; else its width.
    pub fixed: Option<u32>,
    grids: BTreeMap<u32, Grid>,
}

/// Prepares a model and hands it to `work`.
///
/// # Errors
/// What post-training quantization of the model would refuse, and what `work` refuses.
pub(crate) fn with_trial<T, E: From<Diagnostics>>(
    model: Model,
    file: &str,
    options: &PostTraining,
    widths: [&[u32]; 2],
    work: &mut dyn FnMut(&Trial<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let Prepared { model, stated, frames, .. } = prepare(model, file, options)?;
    let program = Program::new(&model, file)?;
    let whole = |fault| import::of_file(fault, file);
    let sites = Sites::find(&model, &program, &stated, options).map_err(whole)?;
    let measured = statistics::measure(&program, &sites, &frames)?;
    let groups = groups(&program, &sites, &measured, options, widths[1])?;
    let layers = layers(&program, &sites, options, widths[0])?;
    if layers.is_empty() {
        let fault = Fault::new(
            Code::AllocationMethod,
            "the model has no layer with constant weights",
            "there is nothing to allocate; plan it without a method",
        );
        return Err(E::from(whole(fault)));
    }
    work(&Trial { program: &program, layers, groups, frames, sites })
}

fn groups(
    program: &Program<'_>,
    sites: &Sites,
    measured: &[Measured],
    options: &PostTraining,
    widths: &[u32],
) -> Result<Vec<TrialGroup>, Diagnostics> {
    let mut faults = Diagnostics::default();
    let mut groups = Vec::new();
    let decided: Vec<usize> = sites
        .widths
        .keys()
        .filter_map(|&node| program.model.nodes[node].outputs.first().and_then(|&id| sites.after(id)))
        .collect();
    for (index, group) in sites.groups.iter().enumerate() {
        let is_free = group.fixed.is_none() && decided.contains(&index);
        let fixed = if is_free { None } else { Some(group.fixed.map_or(group.bits, |grid| grid.bits)) };
        let mut grids = BTreeMap::new();
        for bits in fixed.map_or_else(|| widths.to_vec(), |bits| vec![bits]) {
            let other = Group { bits, owner: group.owner.clone(), fixed: group.fixed };
            match grid::choose(&other, &measured[index], options) {
                Ok(grid) => drop(grids.insert(bits, grid)),
                Err(fault) => {
                    faults.push(fault.at(program.file(), &group.owner));
                    break;
                }
            }
        }
        let members = sites.of.iter().filter(|(_, of)| **of == index);
        let elements = members.map(|(id, _)| program.shapes.get(id).map_or(0, |dims| dims.iter().product::<usize>()));
        groups.push(TrialGroup { name: group.owner.clone(), elements: elements.sum::<usize>() as u64, fixed, grids });
    }
    faults.or(groups)
}

fn layers(
    program: &Program<'_>,
    sites: &Sites,
    options: &PostTraining,
    widths: &[u32],
) -> Result<Vec<TrialLayer>, Diagnostics> {
    let model = program.model;
    let mut producer: BTreeMap<ValueId, usize> = BTreeMap::new();
    for (index, node) in model.nodes.iter().enumerate() {
        producer.extend(node.outputs.iter().map(|&id| (id, index)));
    }
    let all: Vec<(usize, String)> = sites.widths.iter().map(|(&node, (short, ..))| (node, short.clone())).collect();
    let built: Vec<Checked<Option<TrialLayer>>> = all
        .par_iter()
        .map(|(index, short)| {
            let node = &model.nodes[*index];
            let (mut quantized, mut payload_bits) = (BTreeMap::new(), BTreeMap::new());
            let (mut input, mut dims) = (1, Vec::new());
            for &bits in widths {
                let Some(layer) = weights::quantize_node(model, program, *index, bits, options)? else {
                    return Ok(None);
                };
                (input, dims) = (layer.input, layer.weights.dims.clone());
                payload_bits.extend(layer.payload_bits.map(|payload| (bits, payload)));
                quantized.insert(bits, tensor(layer.weights.floats(), &dims)?);
            }
            let id = node.inputs.get(input).copied().flatten();
            let Some(constant) = id.and_then(|id| model.constants.get(&id)) else { return Ok(None) };
            let weights = tensor(constant.floats(), &dims)?;
            let shape = node.outputs.first().and_then(|id| program.shapes.get(id)).cloned().unwrap_or_default();
            let data = node.inputs.iter().flatten().copied().find(|id| program.shapes.contains_key(id));
            let parameters = constant.len() as u64;
            let positions = |dims: &[usize]| dims.iter().skip(2).product::<usize>().max(1) as u64;
            let read_dims = data.and_then(|id| program.shapes.get(&id)).cloned().unwrap_or_default();
            let macs = match node.op.as_str() {
                "Conv" => parameters * positions(&shape),
                "ConvTranspose" => parameters * positions(&read_dims),
                "Gemm" => parameters * shape.first().copied().unwrap_or(1) as u64,
                _ => {
                    let channels = if input == 1 { dims.last() } else { dims.iter().rev().nth(1) };
                    parameters * (shape.iter().product::<usize>() / channels.copied().unwrap_or(1).max(1)).max(1) as u64
                }
            };
            Ok(Some(TrialLayer {
                node: *index,
                name: node.name.clone(),
                short: short.clone(),
                parameters,
                macs,
                outputs: shape.iter().product::<usize>() as u64,
                shape,
                reads: data.and_then(|id| group_of(id, model, program, sites, &producer)),
                makes: node.outputs.first().and_then(|&id| sites.after(id)),
                weights,
                input,
                quantized,
                payload_bits,
            }))
        })
        .collect();
    let mut faults = Diagnostics::default();
    let mut layers = Vec::new();
    for (found, (node, _)) in built.into_iter().zip(&all) {
        match found {
            Ok(layer) => layers.extend(layer),
            Err(fault) => faults.push(fault.at(program.file(), &model.nodes[*node].name)),
        }
    }
    faults.or(layers)
}

/// The group whose codes a tensor holds, behind operators that only move elements.
fn group_of(
    mut id: ValueId,
    model: &Model,
    program: &Program<'_>,
    sites: &Sites,
    producer: &BTreeMap<ValueId, usize>,
) -> Option<usize> {
    loop {
        if let Some(&group) = sites.of.get(&id) {
            return Some(group);
        }
        let node = &model.nodes[*producer.get(&id)?];
        id = node.inputs.iter().flatten().copied().find(|id| program.shapes.contains_key(id))?;
    }
}

impl Trial<'_> {
    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.frames.count()
    }

    /// A frame as the model's input takes it.
    pub fn frame(&self, index: usize) -> Vec<f32> {
        self.frames.frame(index)
    }

    /// The outputs for a frame, with weights by layer (else float) and activations handed through `change` by group.
    pub fn outputs(
        &self,
        frame: &[f32],
        weights: &BTreeMap<usize, Tensor>,
        change: &dyn Fn(usize, Tensor) -> Checked<Tensor>,
    ) -> Result<Vec<Tensor>, Diagnostic> {
        let by_node = |(&layer, tensor): (&usize, &Tensor)| {
            let layer = &self.layers[layer];
            (layer.node, (layer.input, tensor.clone()))
        };
        let weights = weights.iter().map(by_node).collect();
        self.program.run_changed(frame, &weights, &|id, tensor| match self.sites.of.get(&id) {
            Some(&group) => change(group, tensor),
            None => Ok(tensor),
        })
    }

    /// A tensor on the grid of a group at a width; unchanged where the width was not prepared.
    pub fn on_grid(&self, group: usize, bits: u32, x: &Tensor) -> Checked<Tensor> {
        match self.groups[group].grids.get(&bits) {
            Some(grid) => grid.quantized(x),
            None => Ok(x.clone()),
        }
    }

    /// Each layer's sum of squares that a change of its weights makes in its results, over a frame of float activations:
    /// for each layer and each of its changes.
    pub fn changed_sums(&self, frame: &[f32], changes: &[Vec<Tensor>]) -> Result<Vec<Vec<f64>>, Diagnostic> {
        self.of_layers(frame, &|layer, operands| {
            changes[layer].iter().map(|change| squares(operands, self.layers[layer].input, change)).collect()
        })
    }

    /// A list of numbers for each layer, from the operands that its node has in a frame of float activations.
    fn of_layers(
        &self,
        frame: &[f32],
        find: &dyn Fn(usize, &Operands<'_>) -> Checked<Vec<f64>>,
    ) -> Result<Vec<Vec<f64>>, Diagnostic> {
        let of_node: BTreeMap<usize, usize> =
            self.layers.iter().enumerate().map(|(index, layer)| (layer.node, index)).collect();
        let mut found = vec![Vec::new(); self.layers.len()];
        let mut fault = None;
        self.program.run_nodes(frame, &mut |node, operands, _| {
            let Some(&layer) = of_node.get(&node) else { return };
            match find(layer, operands) {
                Ok(own) => found[layer] = own,
                Err(wrong) => fault = Some(wrong.at(self.program.file(), &operands.node.name)),
            }
        })?;
        fault.map_or(Ok(found), Err)
    }

    /// For each layer and width the sum of squares that rounding what it reads makes in its results, over a frame.
    pub fn read_sums(&self, frame: &[f32], widths: &[u32]) -> Result<Vec<Vec<f64>>, Diagnostic> {
        self.of_layers(frame, &|layer, operands| {
            let (own, data) = (&self.layers[layer], usize::from(self.layers[layer].input == 0));
            let (Some(group), Some(Some(x))) = (own.reads, operands.tensors.get(data)) else { return Ok(Vec::new()) };
            let sum = |&bits: &u32| {
                let lost = self.on_grid(group, bits, x)?.sub(x).map_err(crate::float::fault)?;
                squares(operands, data, &lost)
            };
            widths.iter().map(sum).collect()
        })
    }

    /// The results of every layer for an input that is a tensor.
    pub fn layer_results(&self, input: &Tensor) -> Checked<Vec<Tensor>> {
        let model = self.program.model;
        let outputs: BTreeMap<ValueId, usize> = self
            .layers
            .iter()
            .enumerate()
            .filter_map(|(index, layer)| Some((*model.nodes[layer.node].outputs.first()?, index)))
            .collect();
        let made = std::cell::RefCell::new(vec![None; self.layers.len()]);
        let frame = vec![0.0; self.program.frame_elements()];
        let run = self.program.run_changed(&frame, &BTreeMap::new(), &|id, tensor| {
            if model.is_input(id) {
                return Ok(input.clone());
            }
            if let Some(&layer) = outputs.get(&id) {
                made.borrow_mut()[layer] = Some(tensor.clone());
            }
            Ok(tensor)
        });
        run.map_err(|found| Fault::new(found.code, found.message, found.help))?;
        Ok(made.into_inner().into_iter().flatten().collect())
    }

    /// Number, sum and sum of squares of the values of each channel of each layer's results over a
    /// frame.
    pub fn channel_sums(&self, frame: &[f32]) -> Result<Vec<Vec<Moments>>, Diagnostic> {
        let of_node: BTreeMap<usize, usize> =
            self.layers.iter().enumerate().map(|(index, layer)| (layer.node, index)).collect();
        let mut sums = vec![Vec::new(); self.layers.len()];
        self.program.run_nodes(frame, &mut |node, _, made| {
            let (Some(&layer), Some(made)) = (of_node.get(&node), made.first()) else { return };
            let dims = made.dims();
            let channels = dims.get(1).copied().unwrap_or(1);
            let inner = dims.iter().skip(2).product::<usize>().max(1);
            let mut own = vec![(0.0, 0.0, 0.0); channels];
            for (place, value) in elements(made).into_iter().enumerate() {
                let entry = &mut own[place / inner % channels];
                let value = f64::from(value);
                *entry = (entry.0 + 1.0, entry.1 + value, entry.2 + value * value);
            }
            sums[layer] = own;
        })?;
        Ok(sums)
    }

    /// Weights of all layers at one width with their rounding fitted to the frames.
    pub fn fitted(&self, bits: u32, options: &PostTraining) -> Result<BTreeMap<usize, Tensor>, Diagnostics> {
        let mut layers = Vec::new();
        for layer in &self.layers {
            let at = |fault: Fault| Diagnostics::from(fault.at(self.program.file(), &layer.name));
            layers.extend(
                weights::quantize_node(self.program.model, self.program, layer.node, bits, options).map_err(at)?,
            );
        }
        rounding::fit(self.program, &self.frames, &mut layers)?;
        let whole = |fault: Fault| Diagnostics::from(fault.at(self.program.file(), ""));
        let made = layers
            .iter()
            .enumerate()
            .map(|(index, layer)| Ok((index, tensor(layer.weights.floats(), &layer.weights.dims).map_err(whole)?)));
        made.collect()
    }
}

fn squares(operands: &Operands<'_>, input: usize, change: &Tensor) -> Checked<f64> {
    let mut changed =
        Operands { tensors: operands.tensors.clone(), constants: operands.constants.clone(), ..*operands };
    changed.tensors[input] = Some(change.clone());
    if let Some(bias) = changed.tensors.get_mut(2) {
        *bias = None;
    }
    let made = apply(&changed)?;
    let all = made.iter().flat_map(elements);
    Ok(all.map(|value| f64::from(value).powi(2)).sum())
}
