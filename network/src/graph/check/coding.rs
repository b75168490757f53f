//! Whether weights are what their coding can state.

use super::Checked;
use crate::coding::{Coding, Tagged, Wavelet};
use crate::diagnostic::{Code, Diagnostic};
use crate::graph::Layer;
use crate::op::Weights;

/// Faults of tags that are no regions, of weights that their region does not have, and of blocks without codes.
pub(super) fn check_coding(layer: &Layer, weights: &Weights) -> Checked<()> {
    match &weights.coding {
        Coding::Plain => Ok(()),
        Coding::Piecewise(tagged) => check_tags(layer, weights, tagged),
        Coding::Wavelet(wavelet) => check_blocks(layer, weights, wavelet),
    }
}

fn check_tags(layer: &Layer, weights: &Weights, tagged: &Tagged) -> Checked<()> {
    let fault = |code, message: String, help: &str| Err(Diagnostic::new(code, layer.place.clone(), message, help));
    let wanted = weights.outputs * tagged.row_groups(weights.length);
    if tagged.tags.len() != wanted {
        return fault(
            Code::ArrayShape,
            format!("`{}` has {} region tags, not {wanted}", layer.name, tagged.tags.len()),
            "store one tag for each group of weights; every row starts a new group",
        );
    }
    let regions = tagged.regions.regions();
    if let Some((index, tag)) = tagged.tags.iter().enumerate().find(|(_, tag)| usize::from(**tag) >= regions) {
        return fault(
            Code::ArrayValue,
            format!("`{}`: region tag {tag} at group {index} is beyond the {regions} regions", layer.name),
            "tags count from 0; write the arrays again with the plan",
        );
    }
    for (row, values) in weights.values.chunks(weights.length).enumerate() {
        for (place, value) in values.iter().enumerate() {
            let region = tagged.region(row, place, weights.length);
            if tagged.regions.code(region, i64::from(*value)).is_none() {
                return fault(
                    Code::WeightRange,
                    format!(
                        "`{}`: weight {value} at row {row}, place {place} is no value of region {region} ({} bits, multiplier {}, offset {})",
                        layer.name,
                        tagged.regions.widths()[region],
                        tagged.regions.multipliers()[region],
                        tagged.regions.offsets()[region],
                    ),
                    "tag the weight's group with a region that has it, or quantize the weights again",
                );
            }
        }
    }
    Ok(())
}

fn check_blocks(layer: &Layer, weights: &Weights, wavelet: &Wavelet) -> Checked<()> {
    for row in 0..weights.outputs.div_ceil(2) {
        for column in 0..weights.length.div_ceil(2) {
            let block = Wavelet::block(weights, row, column);
            if wavelet.codes(block).is_none() {
                return Err(Diagnostic::new(
                    Code::WeightRange,
                    layer.place.clone(),
                    format!(
                        "`{}`: the weights {block:?} at row {}, place {} have no {wavelet} codes",
                        layer.name,
                        2 * row,
                        2 * column
                    ),
                    "widen the sub-bands or quantize the weights again",
                ));
            }
        }
    }
    Ok(())
}
