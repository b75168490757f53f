//! The descent that fits one block.

use super::super::PostTraining;
use super::super::grid::{Grid, round_scale};
use super::super::random::Generator;
use super::super::weights::Layer;
use super::blocks::Block;
use super::{ReconstructRule, Site, State, Weights, replace};
use crate::adam::Adam;
use crate::fault::Checked;
use crate::float::{elements, fault, tensor};
use crate::model::ValueId;
use candle_core::{Tensor, Var};
use network::{Diagnostic, Diagnostics};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Frames of a step.
const BATCH: usize = 4;
/// Rate of the rounding variables, and of the logarithms of steps.
const RATE: f64 = 3e-2;
const STEP_RATE: f64 = 2e-3;
/// Weight of the regulariser beside the error, which is counted in parts of that of nearest rounding.
const LAMBDA: f64 = 0.1;
/// Part of the steps without the regulariser, and its exponent from and to.
const WARM: f64 = 0.2;
const BETA: [f64; 2] = [20.0, 2.0];

/// A block with all that its fit looks at.
pub(super) struct Fit<'a> {
    pub site: &'a Site<'a>,
    pub block: &'a Block,
    pub float: &'a State,
    pub quantized: &'a State,
    pub wanted: &'a State,
    pub slopes: Vec<Vec<Tensor>>,
}

/// A weight between its two neighbours on the grid.
pub(super) struct Rounding {
    pub layer: usize,
    lower: Vec<f32>,
    step: Vec<f32>,
    values: Vec<f32>,
    adam: Adam,
}

impl Rounding {
    /// Neighbours of the float weights; where both are the same (at the grid's end) nothing is chosen.
    fn new(place: usize, layer: &Layer, float: &[f32]) -> Self {
        let (scales, grid) = (layer.scales.floats(), layer.grid);
        let (mut lower, mut step) = (vec![0f32; float.len()], vec![0f32; float.len()]);
        let mut values = vec![0f32; float.len()];
        for (row, places) in layer.rows.iter().enumerate() {
            for &at in places {
                let (below, above) = neighbours(f64::from(float[at]), scales[row], &grid);
                (lower[at], step[at]) = (below as f32, (above - below) as f32);
                let part = if above > below { (f64::from(float[at]) - below) / (above - below) } else { 0.0 };
                let part = part.clamp(0.01, 0.99);
                values[at] = -(1.2 / (part + 0.1) - 1.0f64).ln() as f32;
            }
        }
        let adam = Adam::new(values.len(), RATE);
        Rounding { layer: place, lower, step, values, adam }
    }

    /// The weights with every choice made.
    fn hard(&self) -> Vec<f32> {
        let parts = self.lower.iter().zip(&self.step).zip(&self.values);
        parts.map(|((lower, step), value)| if rectified(*value) >= 0.5 { lower + step } else { *lower }).collect()
    }
}

/// The grid points below and above a number, inside the grid.
fn neighbours(value: f64, scale: f32, grid: &Grid) -> (f64, f64) {
    let real = f64::from(scale);
    if grid.is_bipolar() {
        return (-real, real);
    }
    let zero = f64::from(grid.zero_point);
    let (low, high) = match grid.zero_point == 0.0 && grid.signed {
        // Narrow: as many negative codes as positive ones.
        true => (1.0 - (1u64 << (grid.bits - 1)) as f64, (1u64 << (grid.bits - 1)) as f64 - 1.0),
        false => grid.codes(),
    };
    let below = (value / real + zero).floor();
    let at = |code: f64| (code.clamp(low, high) - zero) * real;
    (at(below), at(below + 1.0))
}

fn rectified(value: f32) -> f32 {
    (1.2 / (1.0 + (-value).exp()) - 0.1).clamp(0.0, 1.0)
}

/// The same on the graph: clip(1.2 sigmoid(v) - 0.1, 0, 1).
fn soft(values: &Tensor) -> candle_core::Result<Tensor> {
    ((values * 0.5)?.tanh()? * 0.6)?.affine(1.0, 0.5)?.clamp(0f32, 1f32)
}

/// A tensor on a grid whose step may be a variable, with a gradient that passes through the rounding (LSQ).
pub(super) fn through(x: &Tensor, step: &Tensor, grid: &Grid) -> candle_core::Result<Tensor> {
    let (low, high) = grid.codes();
    let zero = f64::from(grid.zero_point);
    let scaled = (x.broadcast_div(step)? + zero)?.clamp(low as f32, high as f32)?;
    let rounded = (&scaled + (scaled.round()? - &scaled)?.detach())?;
    (rounded - zero)?.broadcast_mul(step)
}

/// Draws of one half, the same on every machine.
pub(super) fn draws(seed: u64, count: usize) -> Vec<f32> {
    let mut generator = Generator(seed);
    (0..count).map(|_| (generator.next() & 1) as f32).collect()
}

/// What a step of a frame gives: the error, and gradients in the variables.
type Slope = (f64, Vec<Vec<f32>>, Vec<f32>);

impl Fit<'_> {
    /// Fits the block's layers and the steps of its free activations, and says what was reached.
    pub fn run(
        &self,
        layers: &mut [Layer],
        inside: &[usize],
        grids: &mut [Grid],
        free: &[usize],
        options: &PostTraining,
    ) -> Result<Option<String>, Diagnostics> {
        let site = self.site;
        // Regions and sub-bands have no free choice between two neighbours.
        let open: Vec<usize> = inside.iter().copied().filter(|&place| layers[place].coding.is_none()).collect();
        let start = site.weights(layers, self.block.span.clone())?;
        let before = site.error_of(self, &start, grids)?;
        if open.is_empty() || before <= 0.0 || !before.is_finite() {
            return Ok(None);
        }
        let (weights, steps) = match site.rule.rule {
            ReconstructRule::Brecq | ReconstructRule::Qdrop => self.rounded(layers, &open, grids, free, before)?,
            ReconstructRule::BitShrinking => (self.shrunk(layers, &open, grids)?, Vec::new()),
        };
        let mut made = grids.to_vec();
        for (&group, step) in free.iter().zip(steps) {
            let bits = made[group].bits;
            let scale = round_scale(f64::from(step), options.scale_bits(bits));
            if scale.is_normal() && scale > 0.0 {
                made[group].scale = scale;
            }
        }
        let mut trial = start.clone();
        for (&place, values) in open.iter().zip(&weights) {
            let layer = &layers[place];
            let own = tensor(values.clone(), &layer.weights.dims).map_err(|found| site.at(found))?;
            trial.insert(layer.node, (layer.input, own));
        }
        // Weights alone, where the steps that were learned turn out to be worse than those that stood.
        let (with_steps, alone) = (site.error_of(self, &trial, &made)?, site.error_of(self, &trial, grids)?);
        let after = with_steps.min(alone);
        let names: Vec<&str> = inside.iter().map(|&place| layers[place].name.as_str()).collect();
        let names = names.join(", ");
        let rule = site.rule.rule.name();
        if after.is_nan() || after >= before {
            return Ok(Some(format!("{names}: {rule} is no better than the nearest codes, which stay")));
        }
        if with_steps <= alone {
            grids.copy_from_slice(&made);
        }
        for (&place, values) in open.iter().zip(weights) {
            replace(&mut layers[place], values);
        }
        Ok(Some(format!("{names}: {rule} leaves {:.1} % of the error of nearest codes", 100.0 * after / before)))
    }

    /// AdaRound's variables of all layers jointly, and the logarithms of the steps of free activations.
    fn rounded(
        &self,
        layers: &[Layer],
        open: &[usize],
        grids: &[Grid],
        free: &[usize],
        before: f64,
    ) -> Result<(Vec<Vec<f32>>, Vec<f32>), Diagnostics> {
        let site = self.site;
        let mut roundings = Vec::new();
        for &place in open {
            let float = self.float_weights(&layers[place]);
            roundings.push(Rounding::new(place, &layers[place], &float));
        }
        let fixed = site.weights(layers, self.block.span.clone())?;
        let mut steps: Vec<f32> = free.iter().map(|&group| grids[group].scale.ln()).collect();
        let mut of_steps = Adam::new(steps.len(), STEP_RATE);
        let total = site.rule.steps.max(1);
        for step in 0..total {
            let done = step as f64 / total as f64;
            let beta = (done >= WARM).then(|| BETA[0] + (BETA[1] - BETA[0]) * (done - WARM) / (1.0 - WARM));
            let frames = self.batch(step);
            let of_frame = |&frame: &usize| {
                self.slope(layers, &roundings, &fixed, (&steps, free, grids), frame, step)
                    .map_err(|found| site.at(found))
            };
            let all: Result<Vec<Slope>, Diagnostic> = frames.par_iter().map(of_frame).collect();
            let all = all?;
            let share = 1.0 / (all.len().max(1) as f64 * before);
            for (index, rounding) in roundings.iter_mut().enumerate() {
                let mut gradient = vec![0f32; rounding.values.len()];
                for (_, own, _) in &all {
                    gradient.iter_mut().zip(&own[index]).for_each(|(sum, slope)| *sum += slope * share as f32);
                }
                if let Some(beta) = beta {
                    let weight = LAMBDA / rounding.values.len().max(1) as f64;
                    gradient.iter_mut().zip(&rounding.values).for_each(|(sum, &value)| {
                        *sum += (weight * regulariser_slope(value, beta)) as f32;
                    });
                }
                rounding.adam.step(&mut rounding.values, &gradient);
            }
            let mut gradient = vec![0f32; steps.len()];
            for (_, _, own) in &all {
                gradient.iter_mut().zip(own).for_each(|(sum, slope)| *sum += slope * share as f32);
            }
            of_steps.step(&mut steps, &gradient);
        }
        Ok((roundings.iter().map(Rounding::hard).collect(), steps.into_iter().map(f32::exp).collect()))
    }

    /// The float weights of a layer.
    pub(super) fn float_weights(&self, layer: &Layer) -> Vec<f32> {
        let node = &self.site.program.model.nodes[layer.node];
        let id = node.inputs.get(layer.input).copied().flatten();
        let constant = id.and_then(|id| self.site.program.constants.get(&id));
        constant.map_or_else(|| layer.weights.floats(), |constant| constant.array.floats())
    }

    /// Frames of a step, every frame in turn in an order of the seed.
    pub(super) fn batch(&self, step: usize) -> Vec<usize> {
        let count = self.quantized.len();
        let stride = (1..count).filter(|stride| gcd(*stride, count) == 1).nth((self.site.rule.seed % 7) as usize);
        let stride = stride.unwrap_or(1);
        (0..BATCH.min(count)).map(|place| (step * BATCH + place) * stride % count).collect()
    }

    /// Error and gradients of one frame.
    fn slope(
        &self,
        layers: &[Layer],
        roundings: &[Rounding],
        fixed: &Weights,
        (steps, free, grids): (&[f32], &[usize], &[Grid]),
        frame: usize,
        step: usize,
    ) -> Checked<Slope> {
        let mut weights = fixed.clone();
        let mut variables = Vec::new();
        for rounding in roundings {
            let layer = &layers[rounding.layer];
            let dims = &layer.weights.dims;
            let variable = Var::from_tensor(&tensor(rounding.values.clone(), dims)?).map_err(fault)?;
            let (lower, reach) = (tensor(rounding.lower.clone(), dims)?, tensor(rounding.step.clone(), dims)?);
            let made = soft(variable.as_tensor()).and_then(|part| part.mul(&reach)?.add(&lower)).map_err(fault)?;
            weights.insert(layer.node, (layer.input, made));
            variables.push(variable);
        }
        let mut of_group: BTreeMap<usize, (Var, Tensor)> = BTreeMap::new();
        for (&group, &step) in free.iter().zip(steps) {
            let variable = Var::from_tensor(&tensor(vec![step], &[1])?).map_err(fault)?;
            let scale = variable.as_tensor().exp().map_err(fault)?;
            of_group.insert(group, (variable, scale));
        }
        let drops = self.site.rule.rule == ReconstructRule::Qdrop;
        let seed = self.site.rule.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ ((step * 4096 + frame) as u64) << 20;
        let on_grid = |id: ValueId, x: Tensor| -> Checked<Tensor> {
            let Some(&group) = self.site.sites.of.get(&id) else { return Ok(x) };
            let grid = &grids[group];
            let scale = match of_group.get(&group) {
                Some((_, scale)) => scale.clone(),
                None => tensor(vec![grid.scale], &[1])?,
            };
            let made = if grid.is_bipolar() {
                let hard = grid.quantized(&x)?;
                let inside = x.clamp(-grid.scale, grid.scale).map_err(fault)?;
                hard.sub(&inside).and_then(|lost| inside.add(&lost.detach())).map_err(fault)?
            } else {
                through(&x, &scale, grid).map_err(fault)?
            };
            if drops { mixed(&made, &x, seed ^ (id as u64)) } else { Ok(made) }
        };
        let mut values = self.quantized[frame].clone();
        if drops {
            for id in &self.block.entering {
                if let (Some(own), Some(float)) = (self.quantized[frame].get(id), self.float[frame].get(id)) {
                    values.insert(*id, mixed(own, float, seed ^ (*id as u64) ^ 0x5555)?);
                }
            }
        }
        let run = self.site.program.run_span(self.block.span.clone(), &mut values, &weights, &on_grid);
        run.map_err(|found| crate::fault::Fault::new(found.code, found.message, found.help))?;
        let error = self.site.error(self.block, &values, &self.wanted[frame], &self.slopes[frame])?;
        let value = f64::from(elements(&error).first().copied().unwrap_or(0.0));
        let gradients = error.backward().map_err(fault)?;
        let of = |variable: &Var| gradients.get(variable.as_tensor()).map(elements);
        let of_weights = variables.iter().zip(roundings);
        let of_weights = of_weights.map(|(own, r)| of(own).unwrap_or_else(|| vec![0.0; r.values.len()]));
        let of_steps = free.iter().map(|group| {
            let slope = of_group.get(group).and_then(|(variable, _)| of(variable));
            slope.and_then(|slope| slope.first().copied()).unwrap_or(0.0)
        });
        Ok((value, of_weights.collect(), of_steps.collect()))
    }
}

/// Elements of one tensor or of another by draws of one half.
fn mixed(a: &Tensor, b: &Tensor, seed: u64) -> Checked<Tensor> {
    let mask = tensor(draws(seed, a.elem_count()), a.dims())?;
    let made = a.sub(b).and_then(|more| more.mul(&mask)?.add(b));
    made.map_err(fault)
}

/// Slope of 1 - |2h - 1|^beta in v, with h = clip(1.2 sigmoid(v) - 0.1, 0, 1).
fn regulariser_slope(value: f32, beta: f64) -> f64 {
    let sigmoid = 1.0 / (1.0 + f64::from(-value).exp());
    let h = 1.2 * sigmoid - 0.1;
    if h <= 0.0 || h >= 1.0 {
        return 0.0;
    }
    let off = 2.0 * h - 1.0;
    -beta * off.abs().powf(beta - 1.0) * off.signum() * 2.0 * 1.2 * sigmoid * (1.0 - sigmoid)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neighbours on a narrow grid of 3 bits with step 0.5: codes -3 to 3.
    #[test]
    fn neighbours_are_the_grid_points_on_both_sides() {
        let grid = Grid { scale: 1.0, zero_point: 0.0, bits: 3, signed: true };
        let of = |value: f64| neighbours(value, 0.5, &grid);
        assert_eq!([of(0.6), of(-0.6), of(1.4), of(9.0)], [(0.5, 1.0), (-1.0, -0.5), (1.0, 1.5), (1.5, 1.5)]);
        assert_eq!(of(-9.0), (-1.5, -1.5));
        let planes = Grid { zero_point: -0.5, ..grid };
        assert_eq!(neighbours(0.1, 1.0, &planes), (-0.5, 0.5));
        let bipolar = Grid { bits: 1, ..grid };
        assert_eq!(neighbours(0.1, 2.0, &bipolar), (-2.0, 2.0));
    }

    /// Variables start where the weight lies between its neighbours, and end at one of the two.
    #[test]
    fn rectified_sigmoids_begin_at_the_weight() {
        for part in [0.05f64, 0.3, 0.5, 0.9] {
            let value = -(1.2 / (part + 0.1) - 1.0).ln() as f32;
            assert!((f64::from(rectified(value)) - part).abs() < 1e-6);
            let graph = soft(&tensor(vec![value], &[1]).unwrap()).unwrap();
            assert!((elements(&graph)[0] - rectified(value)).abs() < 1e-6);
        }
        assert_eq!((rectified(9.0), rectified(-9.0)), (1.0, 0.0));
    }

    /// Against a difference of 1 - |2h - 1|^beta.
    #[test]
    fn the_regularisers_slope_is_that_of_a_difference() {
        let value_of = |v: f64| 1.0 - (2.0 * (1.2 / (1.0 + (-v).exp()) - 0.1) - 1.0f64).abs().powf(4.0);
        for v in [-1.2f64, -0.3, 0.4, 1.5] {
            let difference = (value_of(v + 1e-5) - value_of(v - 1e-5)) / 2e-5;
            assert!((regulariser_slope(v as f32, 4.0) - difference).abs() < 1e-4, "{v}");
        }
    }

    /// LSQ: inside the range the gradient in the step is round(u) - u, beyond it the last code.
    #[test]
    fn steps_have_the_gradient_of_learned_step_size_quantization() {
        let grid = Grid { scale: 0.5, zero_point: 0.0, bits: 3, signed: false };
        let step = Var::from_tensor(&tensor(vec![0.5], &[1]).unwrap()).unwrap();
        for (x, made, slope) in [(0.6f32, 0.5f32, 1.0 - 1.2), (9.0, 3.5, 7.0), (-1.0, 0.0, 0.0)] {
            let y = through(&tensor(vec![x], &[1]).unwrap(), step.as_tensor(), &grid).unwrap();
            assert!((elements(&y)[0] - made).abs() < 1e-6);
            let gradients = y.sum_all().unwrap().backward().unwrap();
            let found = elements(gradients.get(step.as_tensor()).unwrap())[0];
            assert!((found - slope).abs() < 1e-5, "{x}: {found} {slope}");
        }
    }
}
