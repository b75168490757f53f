//! Weights that move while their width shrinks (after Bit-Shrinking; the schedule is ours).
//!
//! With b bits as a continuous number a row's codes reach to 2^(b-1) - 1, and its step is such that its range stays.
//! From 8 bits down, each round takes the narrowest width at which the block's error rises by no more than its share of
//! what is left to rise; then the weights descend at that width, with gradients that pass through the rounding. The last
//! round is at the wanted width.

use super::super::grid::Grid;
use super::super::weights::{Layer, nearest};
use super::fit::{Fit, through};
use super::{Site, Weights};
use crate::adam::Adam;
use crate::fault::Checked;
use crate::float::{elements, fault, tensor};
use crate::model::ValueId;
use candle_core::{Tensor, Var};
use network::{Diagnostic, Diagnostics};
use rayon::prelude::*;

/// Width at the start.
const WIDEST: f64 = 8.0;
/// Rounds, the last of which is at the wanted width.
const ROUNDS: usize = 6;
/// Halvings of the search for a width.
const HALVINGS: usize = 5;
/// Rate of the weights, in steps of the wanted width.
const RATE: f64 = 0.02;

/// A layer while it shrinks.
struct Shrinking {
    layer: usize,
    /// Weights in steps of the wanted width.
    values: Vec<f32>,
    /// Step of each weight.
    steps: Vec<f32>,
    bits: f64,
    adam: Adam,
}

/// What stands still while a block shrinks.
struct Scene<'a> {
    layers: &'a [Layer],
    /// Weights of the layers that do not shrink.
    fixed: Weights,
    grids: &'a [Grid],
}

/// Codes up to this magnitude at a width.
fn reach(bits: f64) -> f64 {
    (bits - 1.0).exp2() - 1.0
}

impl Shrinking {
    /// Width of the layer where `part` of the way is left.
    fn width(&self, part: f64) -> f64 {
        self.bits + (WIDEST - self.bits).max(0.0) * part
    }

    /// The weights on the grid of a width between, as reals.
    fn at(&self, part: f64) -> Vec<f32> {
        let (most, wanted) = (reach(self.width(part)), reach(self.bits));
        let finer = (most / wanted) as f32;
        let on_grid = |(value, step): (&f32, &f32)| {
            (value * finer).clamp(-most as f32, most as f32).round_ties_even() / finer * step
        };
        self.values.iter().zip(&self.steps).map(on_grid).collect()
    }

    /// The same on the graph.
    fn soft(&self, part: f64, variable: &Tensor, dims: &[usize]) -> Checked<Tensor> {
        let (most, wanted) = (reach(self.width(part)), reach(self.bits));
        let scaled = (variable * (most / wanted)).and_then(|x| x.clamp(-most as f32, most as f32)).map_err(fault)?;
        let rounded = scaled.round().and_then(|r| &scaled + r.sub(&scaled)?.detach()).map_err(fault)?;
        let steps = tensor(self.steps.clone(), dims)?;
        (rounded * (wanted / most)).and_then(|x| x.mul(&steps)).map_err(fault)
    }
}

impl Fit<'_> {
    /// Weights of the open layers after shrinking, on their grids; layers of one bit or of plane codes stay as they are.
    pub(super) fn shrunk(
        &self,
        layers: &[Layer],
        open: &[usize],
        grids: &[Grid],
    ) -> Result<Vec<Vec<f32>>, Diagnostics> {
        let mut all = Vec::new();
        for &place in open {
            let layer = &layers[place];
            if layer.grid.zero_point != 0.0 || layer.grid.bits < 2 {
                continue;
            }
            let (float, scales) = (self.float_weights(layer), layer.scales.floats());
            let mut steps = vec![1f32; float.len()];
            for (row, places) in layer.rows.iter().enumerate() {
                places.iter().for_each(|&at| steps[at] = scales[row]);
            }
            let values: Vec<f32> = float.iter().zip(&steps).map(|(value, step)| value / step).collect();
            let adam = Adam::new(values.len(), RATE);
            all.push(Shrinking { layer: place, values, steps, bits: f64::from(layer.grid.bits), adam });
        }
        let scene = Scene { layers, fixed: self.site.weights(layers, self.block.span.clone())?, grids };
        let each = (self.site.rule.steps / ROUNDS).max(1);
        let mut part = 1.0;
        for round in 0..ROUNDS {
            let left = ROUNDS - round;
            part = if left == 1 { 0.0 } else { self.narrower(&scene, &all, part, left)? };
            for step in 0..each {
                self.descend(&scene, &mut all, part, round * each + step)?;
            }
        }
        let of_layer = |&place: &usize| {
            let layer = &layers[place];
            let Some(own) = all.iter().find(|own| own.layer == place) else { return layer.weights.floats() };
            let mut made = vec![0f32; own.values.len()];
            let scales = layer.scales.floats();
            for (row, places) in layer.rows.iter().enumerate() {
                for &at in places {
                    let real = f64::from(own.values[at]) * f64::from(own.steps[at]);
                    made[at] = nearest(real, scales[row], &layer.grid) as f32;
                }
            }
            made
        };
        Ok(open.iter().map(of_layer).collect())
    }

    /// How much of the way may be left after this round: the least at which the error rises by no more than its share of
    /// what it has to rise in the rounds that are left.
    fn narrower(&self, scene: &Scene<'_>, all: &[Shrinking], part: f64, left: usize) -> Result<f64, Diagnostics> {
        let error = |part: f64| -> Result<f64, Diagnostics> {
            let weights = put(self.site, scene, all.iter().map(|own| (own.layer, own.at(part))))?;
            self.site.error_of(self, &weights, scene.grids)
        };
        let (now, end) = (error(part)?, error(0.0)?);
        let most = now + (end - now).max(0.0) / left as f64;
        let (mut low, mut high) = (0.0, part);
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            if error(middle)? <= most { high = middle } else { low = middle }
        }
        Ok(high)
    }

    /// One step of the weights at a width.
    fn descend(&self, scene: &Scene<'_>, all: &mut [Shrinking], part: f64, step: usize) -> Result<(), Diagnostics> {
        let frames = self.batch(step);
        let of_frame = |&frame: &usize| self.slopes_at(scene, all, part, frame).map_err(|found| self.site.at(found));
        let made: Result<Vec<Vec<Vec<f32>>>, Diagnostic> = frames.par_iter().map(of_frame).collect();
        let made = made?;
        for (index, own) in all.iter_mut().enumerate() {
            let mut gradient = vec![0f32; own.values.len()];
            for slopes in &made {
                gradient.iter_mut().zip(&slopes[index]).for_each(|(sum, slope)| *sum += slope);
            }
            own.adam.step(&mut own.values, &gradient);
        }
        Ok(())
    }

    fn slopes_at(&self, scene: &Scene<'_>, all: &[Shrinking], part: f64, frame: usize) -> Checked<Vec<Vec<f32>>> {
        let (mut weights, mut variables) = (scene.fixed.clone(), Vec::new());
        for own in all {
            let layer = &scene.layers[own.layer];
            let variable = Var::from_tensor(&tensor(own.values.clone(), &layer.weights.dims)?).map_err(fault)?;
            let made = own.soft(part, variable.as_tensor(), &layer.weights.dims)?;
            weights.insert(layer.node, (layer.input, made));
            variables.push(variable);
        }
        let on_grid = |id: ValueId, x: Tensor| -> Checked<Tensor> {
            let Some(&group) = self.site.sites.of.get(&id) else { return Ok(x) };
            let grid = &scene.grids[group];
            if grid.is_bipolar() { Ok(x) } else { through(&x, &tensor(vec![grid.scale], &[1])?, grid).map_err(fault) }
        };
        let mut values = self.quantized[frame].clone();
        let run = self.site.program.run_span(self.block.span.clone(), &mut values, &weights, &on_grid);
        run.map_err(|found| crate::fault::Fault::new(found.code, found.message, found.help))?;
        let error = self.site.error(self.block, &values, &self.wanted[frame], &self.slopes[frame])?;
        let gradients = error.backward().map_err(fault)?;
        let of = |(variable, own): (&Var, &Shrinking)| {
            gradients.get(variable.as_tensor()).map_or_else(|| vec![0.0; own.values.len()], elements)
        };
        Ok(variables.iter().zip(all).map(of).collect())
    }
}

/// Weights with some layers' replaced.
fn put(
    site: &Site<'_>,
    scene: &Scene<'_>,
    made: impl Iterator<Item = (usize, Vec<f32>)>,
) -> Result<Weights, Diagnostics> {
    let mut weights = scene.fixed.clone();
    for (place, values) in made {
        let layer = &scene.layers[place];
        let own = tensor(values, &layer.weights.dims).map_err(|found| site.at(found))?;
        weights.insert(layer.node, (layer.input, own));
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At the wanted width the grid is the layer's own; on the way it is finer, and its range stays.
    #[test]
    fn widths_shrink_to_the_wanted_one() {
        let own = Shrinking {
            layer: 0,
            values: vec![0.3, -1.6, 5.0, 2.5],
            steps: vec![0.5; 4],
            bits: 3.0,
            adam: Adam::new(4, RATE),
        };
        assert_eq!(own.at(0.0), [0.0, -1.0, 1.5, 1.0]);
        // 8 bits: codes to 127 for 3 steps of one half.
        let fine = own.at(1.0);
        for (found, expected) in fine.iter().zip([0.15, -0.8, 1.5, 1.25]) {
            assert!((found - expected).abs() <= 0.5 * 0.5 * 3.0 / 127.0 + 1e-6, "{fine:?}");
        }
        assert_eq!((own.width(0.0), own.width(1.0), own.width(0.5)), (3.0, 8.0, 5.5));
        let graph = own.soft(0.0, &tensor(own.values.clone(), &[4]).unwrap(), &[4]).unwrap();
        // Away from ties, where the graph's rounding goes away from zero.
        assert_eq!(elements(&graph)[..3], own.at(0.0)[..3]);
    }
}
