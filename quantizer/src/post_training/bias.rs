//! Bias correction: rounding weights shifts the mean of every output channel; the shift is measured and taken back.
//!
//! The shift is that of the layer alone on the float network's activations (Nagel et al. 2019, with data).

use super::statistics::Frames;
use super::weights::Layer;
use crate::fault::Checked;
use crate::float::{Operands, Program, apply, elements, tensor};
use network::Diagnostics;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Measures the correction of every layer.
pub(super) fn correct(program: &Program<'_>, frames: &Frames, layers: &mut [Layer]) -> Result<(), Diagnostics> {
    // What rounding took from the weights.
    let lost: BTreeMap<usize, (usize, candle_core::Tensor)> = layers
        .iter()
        .filter_map(|layer| {
            let id = program.model.nodes[layer.node].inputs.get(layer.input).copied().flatten()?;
            let before = program.constants.get(&id)?.array.floats();
            let lost = before.iter().zip(layer.weights.floats()).map(|(before, after)| before - after).collect();
            Some((layer.node, (layer.input, tensor(lost, &layer.weights.dims).ok()?)))
        })
        .collect();
    let sums: Result<Vec<BTreeMap<usize, Vec<f64>>>, Diagnostics> = (0..frames.count())
        .into_par_iter()
        .map(|index| {
            let mut sums = BTreeMap::new();
            let mut fault = None;
            program.run_nodes(&frames.frame(index), &mut |node, operands, _| {
                let Some((input, lost)) = lost.get(&node) else { return };
                match means(operands, *input, lost) {
                    Ok(means) => drop(sums.insert(node, means)),
                    Err(found) => fault = Some(found.at(program.file(), &operands.node.name)),
                }
            })?;
            fault.map_or(Ok(sums), |fault| Err(fault.into()))
        })
        .collect();
    let sums = sums?;
    for layer in layers {
        let rows = sums.iter().filter_map(|frame| frame.get(&layer.node));
        let mut total: Vec<f64> = Vec::new();
        for row in rows {
            total.resize(row.len(), 0.0);
            total.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        layer.correction = Some(total.iter().map(|sum| (sum / frames.count() as f64) as f32).collect());
    }
    Ok(())
}

/// The mean of each output channel of a node with other weights and no bias.
fn means(operands: &Operands<'_>, input: usize, weights: &candle_core::Tensor) -> Checked<Vec<f64>> {
    let mut changed =
        Operands { tensors: operands.tensors.clone(), constants: operands.constants.clone(), ..*operands };
    changed.tensors[input] = Some(weights.clone());
    if let Some(bias) = changed.tensors.get_mut(2) {
        *bias = None;
    }
    let made = apply(&changed)?;
    let Some(made) = made.first() else { return Ok(Vec::new()) };
    let rank = made.rank();
    let axis = match (operands.node.op.as_str(), input) {
        ("MatMul", 1) => rank.saturating_sub(1),
        ("MatMul", _) => rank.saturating_sub(2),
        _ => 1,
    };
    let dims = made.dims();
    let (channels, inner) = (dims.get(axis).copied().unwrap_or(1), dims.iter().skip(axis + 1).product::<usize>());
    let values = elements(made);
    let mut sums = vec![0f64; channels];
    for (place, value) in values.iter().enumerate() {
        sums[place / inner.max(1) % channels] += f64::from(*value);
    }
    let each = (values.len() / channels.max(1)).max(1) as f64;
    Ok(sums.into_iter().map(|sum| sum / each).collect())
}
