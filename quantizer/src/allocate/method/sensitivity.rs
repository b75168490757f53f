//! How sensitive each layer is, in the ways that the methods measure it.

use super::super::curvature::{dot, largest_eigenvalue};
use super::super::study::{Ended, Study, Widths};
use crate::float::{elements, tensor};
use network::Diagnostic;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Probes of a trace at most, and where it stops.
const PROBES: usize = 24;
const TRACE_TOLERANCE: f64 = 1e-2;
/// Steps of a power iteration at most, and where it stops.
const POWER_STEPS: usize = 6;
const POWER_TOLERANCE: f64 = 5e-2;
/// Least loss that a layer is said to have (AdaQuant's integer program).
const LEAST_LOSS: f64 = 1e-6;

/// A way to measure weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// The loss with this layer alone quantized: what all others predict.
    Loss,
    /// Largest eigenvalue times the square of the change.
    Eigenvalue,
    /// Mean trace times the square of the change.
    Trace,
    /// Mean magnitude of the gradient times that of the change.
    FirstOrder,
    /// Square change of the layer's results.
    Reconstruction,
    /// The loss on distilled frames with this layer alone quantized.
    Distilled,
    /// The loss with this layer alone quantized, its rounding fitted.
    Fitted,
}

impl Measure {
    /// All ways.
    pub const ALL: &'static [Measure] = &[
        Measure::Loss,
        Measure::Eigenvalue,
        Measure::Trace,
        Measure::FirstOrder,
        Measure::Reconstruction,
        Measure::Distilled,
        Measure::Fitted,
    ];

    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Loss => "loss",
            Measure::Eigenvalue => "hawq-v1",
            Measure::Trace => "hawq-v2",
            Measure::FirstOrder => "first-order",
            Measure::Reconstruction => "hmptq",
            Measure::Distilled => "zeroq",
            Measure::Fitted => "adaquant-ip",
        }
    }
}

/// By layer (or activation) and width.
pub type ByWidth = Vec<BTreeMap<u32, f64>>;

/// Sensitivities that were measured once and are kept.
#[derive(Default)]
pub struct Sensitivities {
    weights: Mutex<BTreeMap<Measure, ByWidth>>,
    activations: Mutex<Option<ByWidth>>,
}

impl Sensitivities {
    /// Sensitivity of every layer's weights at every width.
    ///
    /// # Errors
    /// The user stopped it; operators without a gradient.
    pub fn weights(&self, study: &Study<'_>, measure: Measure) -> Result<ByWidth, Ended> {
        let known = self.weights.lock().ok().and_then(|kept| kept.get(&measure).cloned());
        if let Some(known) = known {
            return Ok(known);
        }
        let made = study.weight_sensitivities(measure)?;
        if let Ok(mut kept) = self.weights.lock() {
            kept.insert(measure, made.clone());
        }
        Ok(made)
    }

    /// The loss with each activation alone at each width.
    ///
    /// # Errors
    /// The user stopped it.
    pub fn activations(&self, study: &Study<'_>) -> Result<ByWidth, Ended> {
        let known = self.activations.lock().ok().and_then(|kept| kept.clone());
        if let Some(known) = known {
            return Ok(known);
        }
        let made = study.activation_sensitivities()?;
        if let Ok(mut kept) = self.activations.lock() {
            *kept = Some(made.clone());
        }
        Ok(made)
    }
}

impl Study<'_> {
    fn weight_sensitivities(&self, measure: Measure) -> Result<ByWidth, Ended> {
        match measure {
            Measure::Loss => self.alone(&|widths| self.loss(widths)),
            Measure::Distilled => {
                let frames = self.distilled()?;
                let targets = self.float_targets(&frames)?;
                let pairs: Vec<_> = frames.iter().cloned().zip(&targets).collect();
                self.alone(&|widths: &Widths| {
                    self.loss_of(&pairs, &self.weights(widths), &|group, x| self.activated(widths, group, x))
                })
            }
            Measure::Eigenvalue => {
                self.watch.begin("largest eigenvalues", self.trial.layers.len() as u64);
                let float = self.float_weights();
                let mut factors = Vec::new();
                for layer in 0..float.len() {
                    let size = float[layer].len();
                    let mut product = |v: &[f64]| -> Result<Vec<f64>, Ended> {
                        let mut whole: Vec<Vec<f64>> = float.iter().map(|part| vec![0.0; part.len()]).collect();
                        whole[layer] = v.to_vec();
                        Ok(self.hessian_product(&whole)?.swap_remove(layer))
                    };
                    let seed = self.options.seed.wrapping_add(layer as u64);
                    let found = largest_eigenvalue(size, seed, POWER_STEPS, POWER_TOLERANCE, &mut product)?;
                    factors.push(found.value.abs());
                    self.watch.step();
                }
                Ok(self.second_order(&factors))
            }
            Measure::Trace => {
                let traces = self.traces()?;
                let per_weight = |(trace, layer): (&f64, &crate::post_training::TrialLayer)| {
                    trace.max(0.0) / layer.parameters.max(1) as f64
                };
                let factors: Vec<f64> = traces.iter().zip(&self.trial.layers).map(per_weight).collect();
                Ok(self.second_order(&factors))
            }
            Measure::FirstOrder => {
                // Without labels the gradient vanishes at the float network, which is its own teacher; so it is taken
                // with the weights at the middle width.
                let weights = match self.options.labels {
                    Some(_) => self.float_weights(),
                    None => {
                        let widths = &self.options.weight_bits;
                        let middle = widths[widths.len() / 2];
                        (0..self.trial.layers.len()).map(|layer| self.quantized_weights(layer, middle)).collect()
                    }
                };
                self.watch.begin("gradients", 1);
                let (_, magnitudes) = self.gradients(&weights)?;
                self.watch.step();
                Ok(self.per_width(&|layer, change| {
                    let mean = magnitudes[layer] / change.len().max(1) as f64;
                    mean * change.iter().map(|value| value.abs()).sum::<f64>()
                }))
            }
            Measure::Reconstruction => self.reconstruction(),
            Measure::Fitted => {
                let widths = self.options.weight_bits.clone();
                self.watch.begin("fitted rounding", (widths.len() * self.trial.layers.len()) as u64);
                let frames = self.fit_frames();
                let mut made: ByWidth = vec![BTreeMap::new(); self.trial.layers.len()];
                for bits in widths {
                    self.check()?;
                    let fitted = self.trial.fitted(bits, self.post_training)?;
                    for (layer, weights) in fitted {
                        let alone = BTreeMap::from([(layer, weights)]);
                        let loss = self.loss_of(&frames, &alone, &|_, x| Ok(x))?;
                        made[layer].insert(bits, loss.max(LEAST_LOSS));
                        self.watch.step();
                    }
                }
                Ok(made)
            }
        }
    }

    /// A loss with one layer's weights quantized and all else float, less that of the float network.
    fn alone(&self, loss: &dyn Fn(&Widths) -> Result<f64, Ended>) -> Result<ByWidth, Ended> {
        let widths = &self.options.weight_bits;
        self.watch.begin("layers alone", (widths.len() * self.trial.layers.len()) as u64);
        let base = loss(&self.float())?;
        let mut made = Vec::new();
        for layer in 0..self.trial.layers.len() {
            let mut own = BTreeMap::new();
            for &bits in widths {
                let mut trial = self.float();
                trial.weights[layer] = Some(bits);
                own.insert(bits, loss(&trial)? - base);
                self.watch.step();
            }
            made.push(own);
        }
        Ok(made)
    }

    fn activation_sensitivities(&self) -> Result<ByWidth, Ended> {
        let groups = self.free_groups();
        let widths = &self.options.activation_bits;
        self.watch.begin("activations alone", (widths.len() * groups.len()) as u64);
        let base = self.loss(&self.float())?;
        let mut made = Vec::new();
        for group in groups {
            let mut own = BTreeMap::new();
            for &bits in widths {
                let mut trial = self.float();
                trial.activations[group] = Some(bits);
                own.insert(bits, self.loss(&trial)? - base);
                self.watch.step();
            }
            made.push(own);
        }
        Ok(made)
    }

    /// Hutchinson's estimates of the trace of every layer's part of the Hessian, with signs over all layers at once:
    /// terms between layers have mean zero.
    fn traces(&self) -> Result<Vec<f64>, Ended> {
        self.watch.begin("traces", PROBES as u64);
        let sizes: Vec<usize> = self.float_weights().iter().map(Vec::len).collect();
        let total: usize = sizes.iter().sum();
        let mut sums = vec![0.0; sizes.len()];
        let (mut state, mut mean) = (self.options.seed ^ 0x5bd1_e995, 0.0f64);
        for probe in 1..=PROBES {
            let mut signs = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if state >> 63 == 1 { 1.0 } else { -1.0 }
            };
            let v: Vec<Vec<f64>> = sizes.iter().map(|&size| (0..size).map(|_| signs()).collect()).collect();
            let product = self.hessian_product(&v)?;
            sums.iter_mut().zip(v.iter().zip(&product)).for_each(|(sum, (v, hv))| *sum += dot(v, hv));
            self.watch.step();
            let now = sums.iter().sum::<f64>() / probe as f64;
            let moved = (now - mean).abs() / mean.abs().max(1e-12 * total as f64);
            mean = now;
            if probe > 3 && moved < TRACE_TOLERANCE {
                return Ok(sums.iter().map(|sum| sum / probe as f64).collect());
            }
        }
        Ok(sums.iter().map(|sum| sum / PROBES as f64).collect())
    }

    fn second_order(&self, factors: &[f64]) -> ByWidth {
        self.per_width(&|layer, change| factors[layer] * dot(change, change))
    }

    /// Something of the change of a layer's weights at each width.
    fn per_width(&self, value: &(dyn Fn(usize, &[f64]) -> f64 + Sync)) -> ByWidth {
        let float = self.float_weights();
        let of_layer = |layer: usize| {
            let width = |&bits: &u32| {
                let made = self.quantized_weights(layer, bits);
                let change: Vec<f64> = made.iter().zip(&float[layer]).map(|(after, before)| after - before).collect();
                (bits, value(layer, &change))
            };
            self.options.weight_bits.iter().map(width).collect()
        };
        (0..float.len()).into_par_iter().map(of_layer).collect()
    }

    /// Mean over frames of the square change of each layer's results, inputs float.
    fn reconstruction(&self) -> Result<ByWidth, Ended> {
        self.check()?;
        let fault = |found| Ended::from(self.at(found));
        let mut changes = Vec::new();
        for layer in &self.trial.layers {
            let before = elements(&layer.weights);
            let change = |made: &candle_core::Tensor| {
                let lost = elements(made).iter().zip(&before).map(|(after, before)| after - before).collect();
                tensor(lost, layer.weights.dims())
            };
            let all: Result<Vec<_>, _> = layer.quantized.values().map(change).collect();
            changes.push(all.map_err(fault)?);
        }
        let frames = self.fit_frames();
        self.watch.begin("reconstruction", 1);
        let sums: Result<Vec<Vec<Vec<f64>>>, Diagnostic> =
            frames.par_iter().map(|(frame, _)| self.trial.changed_sums(frame, &changes)).collect();
        let sums = sums?;
        self.watch.step();
        let mut made = Vec::new();
        for (layer, own) in self.trial.layers.iter().enumerate() {
            let mean = |place: usize| {
                let of_frames = sums.iter().filter_map(|frame| frame[layer].get(place));
                of_frames.sum::<f64>() / sums.len().max(1) as f64
            };
            made.push(own.quantized.keys().enumerate().map(|(place, &bits)| (bits, mean(place))).collect());
        }
        Ok(made)
    }
}
