//! Reconstruction block by block: weights, and steps of activations, are fitted so that each block makes what the float
//! network makes there, errors of the blocks before it included.
//!
//! - BRECQ (Li et al. 2021): each weight goes up or down by a rectified sigmoid that a regulariser drives to 0 or 1
//!   (AdaRound's variables, of all layers of a block jointly); errors of a block's results count by the square of the
//!   loss's gradient there (Fisher's diagonal); steps of activations are learned (LSQ).
//! - QDrop (Wei et al. 2022): the same, but each element of an activation is quantized with probability one half while
//!   it is fitted, and elements entering the block are those of the quantized or of the float network by such a draw.
//! - Bit-Shrinking (Lin et al. 2023): weights move while their width, taken as a continuous number, shrinks to the wanted
//!   one; how far it may shrink at once is bounded by how much the block's error rises (the published abstract names no
//!   formula: the schedule is ours).
//!
//! A block whose error over the frames came out greater than with nearest rounding keeps nearest rounding.

mod blocks;
mod fit;
mod shrink;

use super::PostTraining;
use super::grid::Grid;
use super::sites::Sites;
use super::statistics::Frames;
use super::weights::Layer;
use crate::allocate::study::{LossKind, Target, automatic, scalar};
use crate::fault::{Checked, Fault};
use crate::float::{Program, elements, fault, tensor};
use crate::model::{Array, ValueId};
use blocks::Block;
use candle_core::{Tensor, Var};
use fit::Fit;
use network::{Diagnostic, Diagnostics};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Most frames that blocks are fitted on, and most elements of all tensors of these frames together.
const FRAMES: usize = 32;
const ELEMENTS: usize = 1 << 26;

/// How blocks are reconstructed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconstruct {
    /// The rule.
    pub rule: ReconstructRule,
    /// Steps for each block.
    pub steps: usize,
    /// Seed of the frames' order and of draws.
    pub seed: u64,
}

/// A published rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconstructRule {
    /// BRECQ.
    Brecq,
    /// QDrop.
    Qdrop,
    /// Bit-Shrinking.
    BitShrinking,
}

impl ReconstructRule {
    /// All rules.
    pub const ALL: &'static [ReconstructRule] =
        &[ReconstructRule::Brecq, ReconstructRule::Qdrop, ReconstructRule::BitShrinking];

    /// As the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            ReconstructRule::Brecq => "brecq",
            ReconstructRule::Qdrop => "qdrop",
            ReconstructRule::BitShrinking => "bit-shrinking",
        }
    }
}

/// Tensors that live at a place of the network, for each frame.
type State = Vec<BTreeMap<ValueId, Tensor>>;
/// Weights in the place of stored ones, by node: which input, and the tensor.
type Weights = BTreeMap<usize, (usize, Tensor)>;

/// A network while it is reconstructed.
pub(super) struct Site<'a> {
    program: &'a Program<'a>,
    sites: &'a Sites,
    rule: Reconstruct,
}

/// Fits all layers and the grids of activations; what was reached, for reports.
pub(super) fn fit(
    program: &Program<'_>,
    sites: &Sites,
    frames: &Frames,
    layers: &mut [Layer],
    grids: &mut [Grid],
    options: &PostTraining,
) -> Result<Vec<String>, Diagnostics> {
    let Some(rule) = options.reconstruct else { return Ok(Vec::new()) };
    let site = Site { program, sites, rule };
    let all: usize = program.shapes.values().map(|dims| dims.iter().product::<usize>()).sum();
    let count = frames.count().min(FRAMES).min((ELEMENTS / all.max(1)).max(1));
    let given: Vec<Vec<f32>> = (0..count).map(|index| frames.frame(index)).collect();
    let mut float: State = given.iter().map(|frame| program.entering(frame)).collect::<Result<_, _>>()?;
    let mut quantized = site.through(&float, grids)?;
    let outputs = site.outputs(&float)?;
    let kind = automatic(program.model, &outputs.first().map(|made| dims_of(made)).unwrap_or_default());
    let by_node: BTreeMap<usize, usize> = layers.iter().enumerate().map(|(place, layer)| (layer.node, place)).collect();
    let mut settled = vec![false; grids.len()];
    let mut notes = Vec::new();
    for block in blocks::blocks(program, &by_node.keys().copied().collect()) {
        let inside: Vec<usize> = by_node.range(block.span.clone()).map(|(_, &place)| place).collect();
        let wanted = site.advanced(&float, &block, &Weights::new(), None)?;
        if !inside.is_empty() {
            let free = free_groups(sites, &block, grids, &mut settled, options, program);
            let slopes = site.slopes(&quantized, &block, layers, grids, &outputs, kind)?;
            let job = Fit { site: &site, block: &block, float: &float, quantized: &quantized, wanted: &wanted, slopes };
            notes.extend(job.run(layers, &inside, grids, &free, options)?);
        }
        let weights = site.weights(layers, block.span.clone())?;
        quantized = site.advanced(&quantized, &block, &weights, Some(grids))?;
        float = wanted;
    }
    Ok(notes)
}

fn dims_of(made: &[Tensor]) -> Vec<Vec<usize>> {
    made.iter().map(|x| x.dims().to_vec()).collect()
}

/// Groups of activations that the block makes, that no block before it has settled, and whose step may be any.
fn free_groups(
    sites: &Sites,
    block: &Block,
    grids: &[Grid],
    settled: &mut [bool],
    options: &PostTraining,
    program: &Program<'_>,
) -> Vec<usize> {
    let mut free = Vec::new();
    for node in &program.model.nodes[block.span.clone()] {
        for group in node.outputs.iter().filter_map(|id| sites.of.get(id).copied()) {
            let is_open = sites.groups[group].fixed.is_none() && options.scale_bits(grids[group].bits) > 1;
            if !settled[group] && is_open && !grids[group].is_bipolar() && grids[group].zero_point == 0.0 {
                free.push(group);
            }
            settled[group] = true;
        }
    }
    free
}

impl Site<'_> {
    fn at(&self, found: Fault) -> Diagnostic {
        found.at(self.program.file(), "")
    }

    /// Entering tensors on their grids.
    fn through(&self, state: &State, grids: &[Grid]) -> Result<State, Diagnostics> {
        let on_grid = |(&id, x): (&ValueId, &Tensor)| {
            let made = match self.sites.of.get(&id) {
                Some(&group) => grids[group].quantized(x),
                None => Ok(x.clone()),
            };
            made.map(|x| (id, x)).map_err(|found| self.at(found))
        };
        let all: Result<State, Diagnostic> = state.iter().map(|values| values.iter().map(on_grid).collect()).collect();
        Ok(all?)
    }

    /// The state behind a block.
    fn advanced(
        &self,
        state: &State,
        block: &Block,
        weights: &Weights,
        grids: Option<&[Grid]>,
    ) -> Result<State, Diagnostics> {
        let of_frame = |values: &BTreeMap<ValueId, Tensor>| {
            let mut values = values.clone();
            self.program.run_span(block.span.clone(), &mut values, weights, &|id, x| self.on_grid(id, x, grids))?;
            Ok(values)
        };
        let all: Result<State, Diagnostic> = state.par_iter().map(of_frame).collect();
        Ok(all?)
    }

    fn on_grid(&self, id: ValueId, x: Tensor, grids: Option<&[Grid]>) -> Checked<Tensor> {
        match (grids, self.sites.of.get(&id)) {
            (Some(grids), Some(&group)) => grids[group].quantized(&x),
            _ => Ok(x),
        }
    }

    /// What the float network makes of each frame.
    fn outputs(&self, state: &State) -> Result<Vec<Vec<Tensor>>, Diagnostics> {
        let model = self.program.model;
        let whole = Block { span: 0..model.nodes.len(), entering: Vec::new(), leaving: Vec::new() };
        let made = self.advanced(state, &whole, &Weights::new(), None)?;
        Ok(made.iter().map(|values| model.outputs.iter().filter_map(|id| values.get(id)).cloned().collect()).collect())
    }

    /// Quantized weights of the layers in a stretch.
    fn weights(&self, layers: &[Layer], span: std::ops::Range<usize>) -> Result<Weights, Diagnostics> {
        let inside = layers.iter().filter(|layer| span.contains(&layer.node));
        let made = inside.map(|layer| {
            let weights = tensor(layer.weights.floats(), &layer.weights.dims)?;
            Ok((layer.node, (layer.input, weights)))
        });
        let made: Checked<Weights> = made.collect();
        Ok(made.map_err(|found| self.at(found))?)
    }

    /// For each frame and each tensor that leaves the block, how much the square of each element's error counts: the
    /// square of the loss's gradient, with mean 1. Everything in front of the block and the block itself are quantized,
    /// what is behind it is float.
    fn slopes(
        &self,
        quantized: &State,
        block: &Block,
        layers: &[Layer],
        grids: &[Grid],
        outputs: &[Vec<Tensor>],
        kind: LossKind,
    ) -> Result<Vec<Vec<Tensor>>, Diagnostics> {
        let weights = self.weights(layers, block.span.clone())?;
        let behind = self.advanced(quantized, block, &weights, Some(grids))?;
        let model = self.program.model;
        let of_frame =
            |(values, wanted): (&BTreeMap<ValueId, Tensor>, &Vec<Tensor>)| -> Result<Vec<Tensor>, Diagnostic> {
                let library = |error| self.at(fault(error));
                let mut values = values.clone();
                let mut variables = Vec::new();
                for id in &block.leaving {
                    let Some(x) = values.get(id) else { continue };
                    let variable = Var::from_tensor(x).map_err(library)?;
                    values.insert(*id, variable.as_tensor().clone());
                    variables.push(variable);
                }
                self.program
                    .run_span(block.span.end..model.nodes.len(), &mut values, &Weights::new(), &|_, x| Ok(x))?;
                let made: Vec<Tensor> = model.outputs.iter().filter_map(|id| values.get(id)).cloned().collect();
                let loss = kind.of(&made, &Target::Outputs(wanted.clone())).map_err(|found| self.at(found))?;
                let gradients = loss.backward().map_err(library)?;
                let square = |variable: &Var| -> candle_core::Result<Tensor> {
                    let x = variable.as_tensor();
                    let Some(slope) = gradients.get(x) else { return x.ones_like() };
                    let square = slope.sqr()?;
                    let mean = f64::from(elements(&square.mean_all()?).first().copied().unwrap_or(0.0));
                    if mean > 1e-30 && mean.is_finite() { square / mean } else { x.ones_like() }
                };
                variables.iter().map(square).collect::<candle_core::Result<_>>().map_err(library)
            };
        let all: Result<Vec<Vec<Tensor>>, Diagnostic> = behind.par_iter().zip(outputs).map(of_frame).collect();
        Ok(all?)
    }

    /// The weighted square error of the tensors that leave the block, as one number on the graph.
    fn error(
        &self,
        block: &Block,
        made: &BTreeMap<ValueId, Tensor>,
        wanted: &BTreeMap<ValueId, Tensor>,
        slopes: &[Tensor],
    ) -> Checked<Tensor> {
        let mut sum = tensor(vec![0.0], &[1])?.sum_all().map_err(fault)?;
        for (id, slope) in block.leaving.iter().zip(slopes) {
            let (Some(made), Some(wanted)) = (made.get(id), wanted.get(id)) else { continue };
            let term = made.sub(wanted).and_then(|lost| lost.sqr()?.mul(slope)?.mean_all()).map_err(fault)?;
            sum = sum.add(&term).map_err(fault)?;
        }
        Ok(sum)
    }

    /// The mean error over all frames with these weights and grids, everything quantized.
    fn error_of(&self, fit: &Fit<'_>, weights: &Weights, grids: &[Grid]) -> Result<f64, Diagnostics> {
        let made = self.advanced(fit.quantized, fit.block, weights, Some(grids))?;
        let of_frame = |frame: usize| {
            let error = self.error(fit.block, &made[frame], &fit.wanted[frame], &fit.slopes[frame]);
            error.and_then(|error| scalar(&error)).map_err(|found| self.at(found))
        };
        let all: Result<Vec<f64>, Diagnostic> = (0..made.len()).map(of_frame).collect();
        let all = all?;
        Ok(all.iter().sum::<f64>() / all.len().max(1) as f64)
    }
}

/// Puts weights in the place of a layer's.
fn replace(layer: &mut Layer, values: Vec<f32>) {
    layer.weights = Array::float(layer.weights.dims.clone(), values);
}
