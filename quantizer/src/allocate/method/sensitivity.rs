//! How sensitive each layer is, in the ways that the methods measure it.

use super::super::curvature::{dot, largest_eigenvalue, trace};
use super::super::study::{Ended, Study, Widths};
use crate::float::{elements, tensor};
use network::Diagnostic;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Probes of a trace at most, and where it stops.
const PROBES: usize = 16;
const TRACE_TOLERANCE: f64 = 2e-2;
/// Steps of a power iteration at most, and where it stops.
const POWER_STEPS: usize = 20;
const POWER_TOLERANCE: f64 = 1e-2;
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
    activation_errors: Mutex<Option<ByWidth>>,
    /// Losses of whole choices: on the frames that are measured on (false) and on those held out (true).
    losses: Mutex<BTreeMap<(bool, Widths), f64>>,
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
        made.iter().flat_map(BTreeMap::values).try_for_each(|value| study.finite(*value).map(drop))?;
        if let Ok(mut kept) = self.weights.lock() {
            kept.insert(measure, made.clone());
        }
        Ok(made)
    }

    /// The loss of a choice on the frames that are measured on.
    ///
    /// # Errors
    /// The user stopped it, or an operator refuses.
    pub fn loss(&self, study: &Study<'_>, widths: &Widths) -> Result<f64, Ended> {
        self.loss_on(widths, false, &|| study.loss(widths))
    }

    /// The loss of a choice on the frames that are held out.
    ///
    /// # Errors
    /// The user stopped it, or an operator refuses.
    pub fn judged(&self, study: &Study<'_>, widths: &Widths) -> Result<f64, Ended> {
        self.loss_on(widths, true, &|| study.judged(widths))
    }

    fn loss_on(&self, widths: &Widths, is_held: bool, find: &dyn Fn() -> Result<f64, Ended>) -> Result<f64, Ended> {
        let key = (is_held, widths.clone());
        if let Some(known) = self.losses.lock().ok().and_then(|kept| kept.get(&key).copied()) {
            return Ok(known);
        }
        let found = find()?;
        if let Ok(mut kept) = self.losses.lock() {
            kept.insert(key, found);
        }
        Ok(found)
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

impl Sensitivities {
    /// Square change of what layers make of each activation alone at each width.
    ///
    /// # Errors
    /// The user stopped it.
    pub fn activation_errors(&self, study: &Study<'_>) -> Result<ByWidth, Ended> {
        if let Some(known) = self.activation_errors.lock().ok().and_then(|kept| kept.clone()) {
            return Ok(known);
        }
        let made = study.activation_errors()?;
        if let Ok(mut kept) = self.activation_errors.lock() {
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
                let mut factors = Vec::new();
                for layer in 0..self.trial.layers.len() {
                    let size = self.trial.layers[layer].weights.elem_count();
                    let mut product = |v: &[f64]| self.layer_product(layer, v);
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

    /// Hutchinson's estimate of the trace of every layer's own part of the Hessian, each probed alone with signs, so that
    /// no other layer's terms scatter into it.
    fn traces(&self) -> Result<Vec<f64>, Ended> {
        self.watch.begin("traces", self.trial.layers.len() as u64);
        let mut made = Vec::new();
        for layer in 0..self.trial.layers.len() {
            let size = self.trial.layers[layer].weights.elem_count();
            let seed = (self.options.seed ^ 0x5bd1_e995).wrapping_add(0x9e37_79b9 * layer as u64);
            let mut product = |v: &[f64]| self.layer_product(layer, v);
            made.push(trace(size, seed, PROBES, TRACE_TOLERANCE, &mut product)?.trace);
            self.watch.step();
        }
        Ok(made)
    }

    /// Mean over frames of the square change of the results of all layers that read an activation, weights float.
    fn activation_errors(&self) -> Result<ByWidth, Ended> {
        self.check()?;
        let widths = &self.options.activation_bits;
        let frames = self.fit_frames();
        self.watch.begin("reconstruction", 1);
        let sums: Result<Vec<Vec<Vec<f64>>>, Diagnostic> =
            frames.par_iter().map(|(frame, _)| self.trial.read_sums(frame, widths)).collect();
        let sums = sums?;
        self.watch.step();
        let of_group = |group: usize| {
            let width = |(place, &bits): (usize, &u32)| {
                let all = sums.iter().flat_map(|frame| frame.iter().enumerate());
                let own = all.filter(|(layer, _)| self.reads(*layer) == Some(group));
                let total: f64 = own.filter_map(|(_, sums)| sums.get(place)).sum();
                (bits, total / sums.len().max(1) as f64)
            };
            widths.iter().enumerate().map(width).collect()
        };
        Ok(self.free_groups().into_iter().map(of_group).collect())
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
