//! Gradients of the loss in all weights, and Hessian products by differences of them.

use super::loss::Target;
use super::{Ended, Study};
use crate::fault::Checked;
use crate::float::{elements, fault};
use candle_core::{Tensor, Var};
use network::Diagnostic;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Most frames that gradients are taken on.
const MAX_FRAMES: usize = 8;
/// Length of the step of a difference, in parts of the weights' own length.
const STEP: f64 = 0.01;

/// A vector for each layer.
pub(crate) type Layers = Vec<Vec<f64>>;

impl Study<'_> {
    /// Frames of gradients, with what they are compared with.
    pub(crate) fn gradient_frames(&self) -> Vec<(Vec<f32>, &Target)> {
        let frames = self.fit.iter().take(MAX_FRAMES);
        frames.map(|&index| (self.trial.frame(index), &self.targets[index])).collect()
    }

    /// All weights as they are in the float model.
    pub(crate) fn float_weights(&self) -> Layers {
        self.trial.layers.iter().map(|layer| widened(&layer.weights)).collect()
    }

    /// A layer's weights at a width.
    pub(crate) fn quantized_weights(&self, layer: usize, bits: u32) -> Vec<f64> {
        self.trial.layers[layer].quantized.get(&bits).map(widened).unwrap_or_default()
    }

    /// The mean over frames of the loss's gradient in all weights, at these weights; activations stay float.
    pub(crate) fn gradient(&self, weights: &Layers) -> Result<Layers, Ended> {
        let (sum, _) = self.gradients(weights)?;
        Ok(sum)
    }

    /// The mean gradient, and for each layer the mean over frames of the gradient's sum of magnitudes.
    pub(crate) fn gradients(&self, weights: &Layers) -> Result<(Layers, Vec<f64>), Ended> {
        self.check()?;
        let frames = self.gradient_frames();
        let tensors: Vec<Tensor> = self.tensors(weights)?;
        let of_frame = |(frame, target): &(Vec<f32>, &Target)| self.gradient_of(frame, target, &tensors);
        let all: Result<Vec<Layers>, Diagnostic> = frames.par_iter().map(of_frame).collect();
        let all = all?;
        let count = all.len().max(1) as f64;
        let mut mean: Layers = weights.iter().map(|layer| vec![0.0; layer.len()]).collect();
        let mut magnitudes = vec![0.0; weights.len()];
        for frame in &all {
            for (layer, part) in frame.iter().enumerate() {
                magnitudes[layer] += part.iter().map(|value| value.abs()).sum::<f64>() / count;
                mean[layer].iter_mut().zip(part).for_each(|(sum, value)| *sum += value / count);
            }
        }
        Ok((mean, magnitudes))
    }

    fn tensors(&self, weights: &Layers) -> Result<Vec<Tensor>, Ended> {
        let tensor = |(layer, values): (usize, &Vec<f64>)| {
            let values = values.iter().map(|&value| value as f32).collect();
            crate::float::tensor(values, self.trial.layers[layer].weights.dims()).map_err(|fault| self.at(fault).into())
        };
        weights.iter().enumerate().map(tensor).collect()
    }

    fn gradient_of(&self, frame: &[f32], target: &Target, weights: &[Tensor]) -> Result<Layers, Diagnostic> {
        let library = |error: candle_core::Error| self.at(fault(error));
        let variables: Vec<Var> = weights.iter().map(Var::from_tensor).collect::<Result<_, _>>().map_err(library)?;
        let replaced: BTreeMap<usize, Tensor> =
            variables.iter().enumerate().map(|(layer, variable)| (layer, variable.as_tensor().clone())).collect();
        let outputs = self.trial.outputs(frame, &replaced, &|_, x| Ok(x))?;
        let loss = self.kind.of(&outputs, target).map_err(|found| self.at(found))?;
        let gradients = loss.backward().map_err(library)?;
        let of = |(variable, weights): (&Var, &Tensor)| match gradients.get(variable.as_tensor()) {
            Some(gradient) => widened(gradient),
            None => vec![0.0; weights.elem_count()],
        };
        Ok(variables.iter().zip(weights).map(of).collect())
    }

    /// The mean over frames of the loss's gradient in one layer's weights, all others and activations float.
    fn layer_gradient(&self, layer: usize, weights: &[f64]) -> Result<Vec<f64>, Ended> {
        self.check()?;
        let values = weights.iter().map(|&value| value as f32).collect();
        let at =
            crate::float::tensor(values, self.trial.layers[layer].weights.dims()).map_err(|found| self.at(found))?;
        let of_frame = |(frame, target): &(Vec<f32>, &Target)| -> Result<Vec<f64>, Diagnostic> {
            let library = |error: candle_core::Error| self.at(fault(error));
            let variable = Var::from_tensor(&at).map_err(library)?;
            let replaced = BTreeMap::from([(layer, variable.as_tensor().clone())]);
            let outputs = self.trial.outputs(frame, &replaced, &|_, x| Ok(x))?;
            let loss = self.kind.of(&outputs, target).map_err(|found| self.at(found))?;
            let gradients = loss.backward().map_err(library)?;
            Ok(gradients.get(variable.as_tensor()).map_or_else(|| vec![0.0; at.elem_count()], widened))
        };
        let all: Result<Vec<Vec<f64>>, Diagnostic> = self.gradient_frames().par_iter().map(of_frame).collect();
        let all = all?;
        let count = all.len().max(1) as f64;
        let mut mean = vec![0.0; weights.len()];
        for frame in &all {
            mean.iter_mut().zip(frame).for_each(|(sum, value)| *sum += value / count);
        }
        Ok(mean)
    }

    /// H v of one layer's own part of the Hessian at the float weights, by a central difference of gradients.
    pub(crate) fn layer_product(&self, layer: usize, v: &[f64]) -> Result<Vec<f64>, Ended> {
        let at = widened(&self.trial.layers[layer].weights);
        let length = |part: &[f64]| part.iter().map(|value| value * value).sum::<f64>().sqrt();
        let step = STEP * length(&at).max(1e-6) / length(v).max(f64::MIN_POSITIVE);
        let moved = |sign: f64| -> Vec<f64> { at.iter().zip(v).map(|(w, v)| w + sign * step * v).collect() };
        let above = self.layer_gradient(layer, &moved(1.0))?;
        let below = self.layer_gradient(layer, &moved(-1.0))?;
        Ok(above.iter().zip(&below).map(|(a, b)| (a - b) / (2.0 * step)).collect())
    }

    /// The loss of a frame with these weights and activations, and its gradients in whatever variables they hold.
    pub(crate) fn mixed(
        &self,
        frame: &[f32],
        target: &Target,
        weights: &BTreeMap<usize, Tensor>,
        change: &dyn Fn(usize, Tensor) -> Checked<Tensor>,
    ) -> Result<(f64, candle_core::backprop::GradStore), Diagnostic> {
        let outputs = self.trial.outputs(frame, weights, change)?;
        let loss = self.kind.of(&outputs, target).map_err(|found| self.at(found))?;
        let value = super::loss::scalar(&loss).map_err(|found| self.at(found))?;
        let gradients = loss.backward().map_err(|error| self.at(fault(error)))?;
        Ok((value, gradients))
    }
}

fn widened(x: &Tensor) -> Vec<f64> {
    elements(x).into_iter().map(f64::from).collect()
}
