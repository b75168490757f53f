//! Weights on their grids: one scale for each output channel.

use super::coded;
use super::fold::{Row, channel_of};
use super::grid::{Grid, round_scale};
use super::sites::Sites;
use super::{PostTraining, WeightRange};
use crate::fault::{Checked, Fault};
use crate::float::Program;
use crate::model::{Array, Model, Node};
use network::{Diagnostics, WeightFormat};
use rayon::prelude::*;

/// Parts of the full range that are tried for each row.
const STEPS: usize = 80;

/// The weights of a node on their grids.
pub(super) struct Layer {
    /// Index and name of the node.
    pub node: usize,
    pub name: String,
    /// Which input the weights are.
    pub input: usize,
    /// Weights on the grid, as reals.
    pub weights: Array,
    /// One scale for each element of this array, which broadcasts to the weights.
    pub scales: Array,
    /// Zero point and signedness of the grid.
    pub grid: Grid,
    /// Elements of each row, which have one scale.
    pub rows: Vec<Vec<usize>>,
    /// What is added to each output channel.
    pub correction: Option<Vec<f32>>,
    /// The coding, where weights are regions or sub-bands.
    pub coding: Option<WeightFormat>,
    /// Bits of a weight's code on average, where weights are regions or sub-bands.
    pub payload_bits: Option<f64>,
    /// What coding costs and gains.
    pub note: Option<String>,
}

impl Layer {
    /// Where the layer's numbers came from.
    pub fn origin(&self, model: &Model, sites: &Sites, grids: &[Grid], options: &PostTraining) -> String {
        let weights = if options.random_weights.is_some() { "random" } else { "float" };
        let activations = match model.nodes[self.node].outputs.first().and_then(|&id| sites.after(id)) {
            Some(group) => format!("{} bits {}", grids[group].bits, options.range.of(grids[group].bits).name()),
            None => "exact sums".to_owned(),
        };
        let planes = if options.planes { " planes" } else { "" };
        let steps = [
            (options.equalize, ", equalized"),
            (options.adaround, ", rounding fitted"),
            (options.reconstruct.is_some(), ", reconstructed"),
            (options.bias_correction, ", bias corrected"),
        ];
        let steps: String = steps.iter().filter(|(is_done, _)| *is_done).map(|(_, name)| *name).collect();
        format!(
            "{weights}, weights {}{planes} per channel ({}{steps}), activations {activations}",
            self.coding.as_ref().map_or_else(|| format!("{} bits", self.grid.bits), ToString::to_string),
            options.weight_range.name()
        )
    }
}

/// Quantizes the weights of every node that multiplies by constants.
pub(super) fn quantize(
    model: &Model,
    program: &Program<'_>,
    sites: &Sites,
    options: &PostTraining,
    file: &str,
) -> Result<Vec<Layer>, Diagnostics> {
    let mut faults = Diagnostics::default();
    let mut layers = Vec::new();
    let widths: Vec<(usize, u32)> = sites.widths.iter().map(|(&index, &(_, bits, _))| (index, bits)).collect();
    let made: Vec<_> = widths
        .into_par_iter()
        .map(|(index, bits)| (index, quantize_node(model, program, index, bits, options)))
        .collect();
    for (index, made) in made {
        match made {
            Ok(layer) => layers.extend(layer),
            Err(fault) => faults.push(fault.at(file, &model.nodes[index].name)),
        }
    }
    faults.or(())?;
    Ok(layers)
}

pub(super) fn quantize_node(
    model: &Model,
    program: &Program<'_>,
    index: usize,
    bits: u32,
    options: &PostTraining,
) -> Checked<Option<Layer>> {
    let node = &model.nodes[index];
    let constant = |input: usize| node.inputs.get(input).copied().flatten().and_then(|id| model.constants.get(&id));
    let Some((input, array)) = [1, 0].into_iter().find_map(|input| Some((input, constant(input)?))) else {
        return Ok(None);
    };
    let values = array.floats();
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(Fault::constant(format!("a weight is {value}"), "repair the weights"));
    }
    let output = node.outputs.first().and_then(|id| program.shapes.get(id)).cloned().unwrap_or_default();
    let (scale_dims, channel): (Vec<usize>, Row) = rows(node, input, &array.dims, &output)?;
    let count = scale_dims.iter().product::<usize>();
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); count];
    (0..values.len()).for_each(|place| rows[channel(place)].push(place));
    let (coded, note) = coded::code(model, program, node, (input, &array.dims), &rows, (&values, bits), options);
    let mut made = vec![0f32; values.len()];
    let mut scales = vec![0f32; count];
    let (mut coding, mut payload_bits) = (None, None);
    let grid = match coded {
        Some(coded) => {
            for (row, (places, &scale)) in rows.iter().zip(&coded.scales).enumerate() {
                scales[row] = scale as f32;
                places.iter().for_each(|&place| made[place] = (f64::from(coded.values[place]) * scale) as f32);
            }
            let bits = coded.format.plain().bits();
            (coding, payload_bits) = (Some(coded.format), Some(coded.payload_bits));
            Grid { scale: 1.0, zero_point: 0.0, bits, signed: true }
        }
        None => {
            let zero_point = if options.planes && bits > 1 { -0.5 } else { 0.0 };
            let grid = Grid { scale: 1.0, zero_point, bits, signed: true };
            for (row, places) in rows.iter().enumerate() {
                let of_row: Vec<f64> = places.iter().map(|&place| f64::from(values[place])).collect();
                let scale = row_scale(&of_row, &grid, options);
                scales[row] = scale;
                places.iter().zip(of_row).for_each(|(&place, value)| made[place] = nearest(value, scale, &grid) as f32);
            }
            grid
        }
    };
    Ok(Some(Layer {
        node: index,
        name: node.name.clone(),
        input,
        weights: Array::float(array.dims.clone(), made),
        scales: Array::float(scale_dims, scales),
        grid,
        rows,
        correction: None,
        coding,
        payload_bits,
        note,
    }))
}

/// The shape of the scales, and the scale of each element of the weights.
fn rows(node: &Node, input: usize, dims: &[usize], output: &[usize]) -> Checked<(Vec<usize>, Row)> {
    let misfit =
        || Fault::shape(format!("weights of shape {dims:?} for a result of shape {output:?}"), "check the weights");
    let along = |axis: usize| -> (Vec<usize>, Row) {
        let (inner, length) = (dims[axis + 1..].iter().product::<usize>().max(1), dims[axis]);
        let mut shape = vec![1; dims.len()];
        shape[axis] = length;
        (shape, Box::new(move |place| place / inner % length))
    };
    match (node.op.as_str(), dims.len()) {
        ("MatMul", 1) => Ok((vec![1], Box::new(|_| 0))),
        ("MatMul", rank) => Ok(along(if input == 1 { rank - 1 } else { rank - 2 })),
        ("ConvTranspose", 3..) => {
            let group = usize::try_from(node.attributes.int("group", 1)?).unwrap_or(1).max(1);
            let channels = dims[1] * group;
            let channel = channel_of(node, dims, channels)?.ok_or_else(misfit)?;
            if group == 1 {
                return Ok((along(1).0, channel));
            }
            // Scales that differ between groups and between channels: one for each row of a group.
            let (inputs, of_group, inner) = (dims[0], dims[1], dims[2..].iter().product::<usize>());
            let mut shape = vec![1; dims.len()];
            (shape[0], shape[1]) = (inputs, of_group);
            Ok((shape, Box::new(move |place| place / inner)))
        }
        _ => {
            let channels = output.get(1).copied().unwrap_or(0);
            let axis = if node.op == "Conv" || node.attributes.int("transB", 0)? != 0 { 0 } else { 1 };
            let channel = channel_of(node, dims, channels)?.ok_or_else(misfit)?;
            Ok((along(axis).0, channel))
        }
    }
}

/// The real number that a weight becomes.
pub(super) fn nearest(value: f64, scale: f32, grid: &Grid) -> f64 {
    let scaled = Grid { scale, ..*grid };
    if grid.is_bipolar() || grid.zero_point != 0.0 {
        return scaled.nearest(value);
    }
    // Narrow: as many negative codes as positive ones.
    let most = (1u64 << (grid.bits - 1)) as f64 - 1.0;
    (value / f64::from(scale)).clamp(-most, most).round_ties_even() * f64::from(scale)
}

/// The scale of a row; 1 where all its weights are zero.
fn row_scale(row: &[f64], grid: &Grid, options: &PostTraining) -> f32 {
    let most = row.iter().fold(0f64, |most, value| most.max(value.abs()));
    let reach = match (grid.is_bipolar(), grid.zero_point != 0.0) {
        (true, _) => 1.0,
        (false, true) => ((1u64 << grid.bits) - 1) as f64 / 2.0,
        (false, false) => (1u64 << (grid.bits - 1)) as f64 - 1.0,
    };
    let make = |scale: f64| round_scale(scale, options.weight_scale_bits(grid.bits, row.len()));
    if !(make(most / reach).is_normal()) {
        return 1.0;
    }
    if grid.is_bipolar() {
        return make(row.iter().map(|value| value.abs()).sum::<f64>() / row.len() as f64);
    }
    if options.weight_range == WeightRange::MinMax {
        return make(most / reach);
    }
    let scales: Vec<f32> =
        (STEPS / 4..=STEPS).rev().map(|step| make(most / reach * step as f64 / STEPS as f64)).collect();
    let mut best = (f64::INFINITY, make(most / reach));
    for (&scale, found) in scales.iter().zip(square_errors(row, &scales, grid)) {
        if scale.is_normal() && found < best.0 {
            best = (found, scale);
        }
    }
    best.1
}

/// The sum of a row's square errors under each scale, as [`nearest`] rounds.
fn square_errors(row: &[f64], scales: &[f32], grid: &Grid) -> Vec<f64> {
    if grid.is_bipolar() || grid.zero_point != 0.0 {
        let error = |&scale: &f32| row.iter().map(|&value| (nearest(value, scale, grid) - value).powi(2)).sum();
        return scales.iter().map(error).collect();
    }
    // All scales side by side, so that the compiler can take several at once. Adding and taking away 1.5 * 2^52 rounds a
    // double below 2^51 to the nearest integer, ties to even.
    const ROUNDS: f64 = 6_755_399_441_055_744.0;
    let most = (1u64 << (grid.bits - 1)) as f64 - 1.0;
    let scales: Vec<f64> = scales.iter().map(|&scale| f64::from(scale)).collect();
    let mut errors = vec![0f64; scales.len()];
    for &value in row {
        for (error, &scale) in errors.iter_mut().zip(&scales) {
            let code = (value / scale).max(-most).min(most);
            let change = ((code + ROUNDS) - ROUNDS) * scale - value;
            *error += change * change;
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_side_by_side_are_those_of_each_scale() {
        let row: Vec<f64> = (0..57i32).map(|at| f64::from((at * 37 % 53 - 26) as f32 / 19.0)).collect();
        let scales = [0.01f32, 0.013, 0.5, 0.2631, 1.0 / 19.0, 2.0];
        for (bits, zero_point) in [(2, 0.0), (4, 0.0), (8, 0.0), (16, 0.0), (4, -0.5), (1, 0.0)] {
            let grid = Grid { scale: 1.0, zero_point, bits, signed: true };
            let each = |&scale: &f32| row.iter().map(|&value| (nearest(value, scale, &grid) - value).powi(2)).sum();
            assert_eq!(square_errors(&row, &scales, &grid), scales.iter().map(each).collect::<Vec<f64>>(), "{bits}");
        }
    }
}
