//! A float network under study: the loss of any widths on its calibration frames, gradients, and tables of it all.
//!
//! The loss compares a network of quantized weights and activations with the float one (no labels are needed), or with
//! labels where there are some. The first half of the calibration frames is for measuring, the second for judging:
//! nothing that chooses widths sees the second half before the choice is made. (Ranges of activations come from all.)

mod gradient;
mod loss;
mod structure;

pub use loss::{LossKind, Targets};
pub(crate) use loss::{Target, automatic, scalar};
pub use structure::{Role, Structure};

use super::tables::{ActivationTable, LayerTable, OptionTable, Reads, Tables};
use crate::fault::{Checked, Fault};
use crate::post_training::{self, PostTraining, Trial, with_trial};
use crate::reading::{Reading, read};
use crate::{import, qdq};
use candle_core::Tensor;
use network::{Code, Diagnostic, Diagnostics, Place};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Most frames to judge on for each frame to measure on: judging is done for a few choices, measuring for every width.
pub const JUDGES: usize = 8;

/// Why a study ends early.
#[derive(Debug)]
pub enum Ended {
    /// The user stopped it.
    Stopped,
    /// Faults of the input.
    Faults(Diagnostics),
}

impl From<Diagnostics> for Ended {
    fn from(faults: Diagnostics) -> Self {
        Ended::Faults(faults)
    }
}

impl From<Diagnostic> for Ended {
    fn from(fault: Diagnostic) -> Self {
        Ended::Faults(fault.into())
    }
}

/// Who watches a long study.
pub trait Watch: Sync {
    /// A phase of so many steps begins.
    fn begin(&self, what: &str, steps: u64);
    /// One step is done.
    fn step(&self);
    /// Whether to stop.
    fn is_stopped(&self) -> bool;
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn begin(&self, _what: &str, _steps: u64) {}
    fn step(&self) {}
    fn is_stopped(&self) -> bool {
        false
    }
}

/// What is studied and how.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyOptions {
    /// Widths of weights to choose from, ascending.
    pub weight_bits: Vec<u32>,
    /// Widths of activations to choose from, ascending.
    pub activation_bits: Vec<u32>,
    /// What the loss is; `None` chooses by the network's outputs.
    pub loss: Option<LossKind>,
    /// Labels of all calibration frames.
    pub labels: Option<Targets>,
    /// Most frames that are measured on; up to [`JUDGES`] times as many of the others are judged on.
    pub frames: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// How the file is read.
    pub reading: Reading,
}

/// A network under study.
pub struct Study<'p> {
    pub(crate) trial: &'p Trial<'p>,
    pub(crate) options: &'p StudyOptions,
    pub(crate) post_training: &'p PostTraining,
    pub(crate) watch: &'p dyn Watch,
    kind: LossKind,
    /// For each frame, what the outputs are compared with.
    targets: Vec<loss::Target>,
    /// Frames to measure on, and to judge on.
    fit: Vec<usize>,
    held: Vec<usize>,
    structure: Structure,
}

/// Widths of everything: for each layer of its weights, for each activation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Widths {
    /// By layer; `None` is float.
    pub weights: Vec<Option<u32>>,
    /// By activation; `None` is float.
    pub activations: Vec<Option<u32>>,
}

/// Reads a float model, measures its calibration frames and hands the study to `work`.
///
/// # Errors
/// What import of the model with these options would refuse; widths outside 1 to 16; labels that do not fit.
pub fn study<T>(
    bytes: &[u8],
    file: &str,
    post_training: &PostTraining,
    options: &StudyOptions,
    watch: &dyn Watch,
    work: &mut dyn FnMut(&Study<'_>) -> Result<T, Ended>,
) -> Result<T, Ended> {
    for (name, widths) in [("weights", &options.weight_bits), ("activations", &options.activation_bits)] {
        let most = if post_training.planes { network::format::MAX_PLANES } else { network::format::MAX_INTEGER_BITS };
        let is_legal = widths.is_sorted_by(|a, b| a < b) && widths.iter().all(|bits| (1..=most).contains(bits));
        if !is_legal || widths.is_empty() {
            return Err(Ended::from(Diagnostic::new(
                Code::AllocationMethod,
                Place::file(file),
                format!("widths {widths:?} of {name} to choose from"),
                format!("give ascending widths of 1 to {most} bits, as in 2,4,8"),
            )));
        }
    }
    let mut model = read(bytes, file, &options.reading)?;
    qdq::rewrite(&mut model, import::QdqRule::default());
    if !post_training::is_float(&model) {
        return Err(post_training::not_float(file).into());
    }
    let widths = [options.weight_bits.as_slice(), options.activation_bits.as_slice()];
    with_trial(model, file, post_training, widths, &mut |trial| {
        let structure = Structure::find(trial);
        let (kind, targets) = loss::targets(trial, options).map_err(Ended::from)?;
        let count = trial.frames();
        let half = count.div_ceil(2).min(options.frames.max(1));
        let fit: Vec<usize> = (0..half).collect();
        let held: Vec<usize> =
            if count > half { (half..count.min(half.saturating_mul(JUDGES + 1))).collect() } else { fit.clone() };
        work(&Study { trial, options, post_training, watch, kind, targets, fit, held, structure })
    })
}

impl Study<'_> {
    /// Names of the layers, as plans count them.
    pub fn layers(&self) -> Vec<String> {
        self.trial.layers.iter().map(|layer| layer.short.clone()).collect()
    }

    /// Where each layer stands.
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// What the loss is.
    pub fn loss_kind(&self) -> LossKind {
        self.kind
    }

    /// Frames that are measured on, and judged on.
    pub fn frame_counts(&self) -> (usize, usize) {
        (self.fit.len(), self.held.len())
    }

    /// Whether judging has frames of its own.
    pub fn has_held_out(&self) -> bool {
        self.held != self.fit
    }

    /// Everything in float.
    pub fn float(&self) -> Widths {
        Widths { weights: vec![None; self.trial.layers.len()], activations: vec![None; self.trial.groups.len()] }
    }

    /// Everything at one width, fixed activations at theirs.
    pub fn uniform(&self, weights: u32, activations: u32) -> Widths {
        let activation = |group: &post_training::TrialGroup| Some(group.fixed.unwrap_or(activations));
        Widths {
            weights: vec![Some(weights); self.trial.layers.len()],
            activations: self.trial.groups.iter().map(activation).collect(),
        }
    }

    /// Mean loss over the frames to measure on.
    ///
    /// # Errors
    /// The user stopped it, or an operator refuses.
    pub fn loss(&self, widths: &Widths) -> Result<f64, Ended> {
        self.loss_on(widths, &self.fit)
    }

    /// Mean loss over the frames to judge on.
    ///
    /// # Errors
    /// The user stopped it, or an operator refuses.
    pub fn judged(&self, widths: &Widths) -> Result<f64, Ended> {
        self.loss_on(widths, &self.held)
    }

    fn loss_on(&self, widths: &Widths, frames: &[usize]) -> Result<f64, Ended> {
        let weights = self.weights(widths);
        let frames: Vec<(Vec<f32>, &loss::Target)> =
            frames.iter().map(|&index| (self.trial.frame(index), &self.targets[index])).collect();
        self.loss_of(&frames, &weights, &|group, x| self.activated(widths, group, x))
    }

    /// Weights of the layers that are quantized.
    pub(crate) fn weights(&self, widths: &Widths) -> BTreeMap<usize, Tensor> {
        let chosen = widths.weights.iter().enumerate().filter_map(|(layer, bits)| {
            let made = self.trial.layers[layer].quantized.get(&(*bits)?)?;
            Some((layer, made.clone()))
        });
        chosen.collect()
    }

    pub(crate) fn activated(&self, widths: &Widths, group: usize, x: Tensor) -> Checked<Tensor> {
        match widths.activations[group] {
            Some(bits) => self.trial.on_grid(group, bits, &x),
            None => Ok(x),
        }
    }

    /// Mean loss over frames and what each is compared with.
    pub(crate) fn loss_of(
        &self,
        frames: &[(Vec<f32>, &loss::Target)],
        weights: &BTreeMap<usize, Tensor>,
        change: &(dyn Fn(usize, Tensor) -> Checked<Tensor> + Sync),
    ) -> Result<f64, Ended> {
        self.check()?;
        let losses: Result<Vec<f64>, Diagnostic> = frames
            .par_iter()
            .map(|(frame, target)| {
                let outputs = self.trial.outputs(frame, weights, change)?;
                let loss = self.kind.of(&outputs, target).map_err(|fault| self.at(fault))?;
                loss::scalar(&loss).map_err(|fault| self.at(fault))
            })
            .collect();
        let losses = losses?;
        self.finite(losses.iter().sum::<f64>() / losses.len().max(1) as f64)
    }

    /// A measured number, unless it is none.
    pub(crate) fn finite(&self, measured: f64) -> Result<f64, Ended> {
        if measured.is_finite() {
            return Ok(measured);
        }
        Err(Ended::from(Diagnostic::new(
            Code::AllocationMethod,
            Place::file(self.trial.program.file()),
            format!(
                "the loss `{}` measured on the calibration frames gives {measured}, no finite number",
                self.kind.name()
            ),
            "give frames of the size that the network was trained on, or another --loss",
        )))
    }

    pub(crate) fn at(&self, fault: Fault) -> Diagnostic {
        fault.at(self.trial.program.file(), "")
    }

    pub(crate) fn check(&self) -> Result<(), Ended> {
        if self.watch.is_stopped() { Err(Ended::Stopped) } else { Ok(()) }
    }

    /// Frames to measure on, with what each is compared with.
    pub(crate) fn fit_frames(&self) -> Vec<(Vec<f32>, &loss::Target)> {
        self.fit.iter().map(|&index| (self.trial.frame(index), &self.targets[index])).collect()
    }

    /// Activations whose widths are chosen, in the order of [`Study::tables`].
    pub(crate) fn free_groups(&self) -> Vec<usize> {
        (0..self.trial.groups.len()).filter(|&group| self.trial.groups[group].fixed.is_none()).collect()
    }

    /// Index of the activation that a layer reads.
    pub fn reads(&self, layer: usize) -> Option<usize> {
        self.trial.layers[layer].reads
    }

    /// Where what a layer makes stands among [`Tables::activations`]; `None` where no width of it is chosen.
    pub fn makes_place(&self, layer: usize) -> Option<usize> {
        let group = self.trial.layers[layer].makes?;
        self.free_groups().iter().position(|&free| free == group)
    }

    /// One width for all weights, and for each of [`Tables::activations`] its own.
    pub fn with_activations(&self, weights: u32, bits: &dyn Fn(usize) -> u32) -> Widths {
        let mut widths = self.uniform(weights, 0);
        for (place, group) in self.free_groups().into_iter().enumerate() {
            widths.activations[group] = Some(bits(place));
        }
        widths
    }

    /// Tables without losses: counts and widths.
    pub fn tables(&self, name: &str) -> Tables {
        let free = self.free_groups();
        let activations = free
            .iter()
            .enumerate()
            .map(|(place, &group)| ActivationTable {
                name: format!("activation{} ({})", place + 1, self.trial.groups[group].name),
                elements: self.trial.groups[group].elements,
                bits: self.options.activation_bits.clone(),
                ..ActivationTable::default()
            })
            .collect();
        let layers = self.trial.layers.iter().map(|layer| {
            let reads = match layer.reads {
                None => Reads::Fixed(self.post_training.activation_bits),
                Some(group) => match (self.trial.groups[group].fixed, free.iter().position(|&other| other == group)) {
                    (Some(bits), _) => Reads::Fixed(bits),
                    (None, place) => place.map_or(Reads::Fixed(8), Reads::Shared),
                },
            };
            LayerTable {
                name: layer.short.clone(),
                parameters: layer.parameters,
                macs: layer.macs,
                outputs: layer.outputs,
                bits: self.options.weight_bits.clone(),
                payload_bits: layer.payload_bits.clone(),
                reads,
                loss: OptionTable::default(),
                place: Place::layer(&layer.name),
                ..LayerTable::default()
            }
        });
        Tables { name: name.to_owned(), activations, layers: layers.collect(), ..Tables::default() }
    }

    /// The widths of a choice over [`Study::tables`].
    pub fn widths(&self, problem: &super::Problem<'_>, choice: &[usize]) -> Widths {
        let mut widths = self.uniform(0, 0);
        for layer in 0..self.trial.layers.len() {
            widths.weights[layer] = Some(problem.widths(layer, choice).0);
        }
        let free = self.free_groups().into_iter();
        let chosen = problem.decisions().iter().zip(choice);
        let shared = chosen
            .filter(|(decision, _)| matches!(decision.subject, super::problem::Subject::Shared(_)))
            .map(|(decision, &option)| decision.bits[option]);
        for (group, bits) in free.zip(shared) {
            widths.activations[group] = Some(bits);
        }
        widths
    }

    /// Widths as options of post-training quantization: of each layer's weights and of what it makes.
    pub fn layer_bits(&self, widths: &Widths) -> Vec<post_training::LayerBits> {
        let of = |(layer, bits): (&post_training::TrialLayer, &Option<u32>)| {
            let made = layer.makes.and_then(|group| widths.activations[group]);
            post_training::LayerBits {
                layer: layer.short.clone(),
                weights: bits.unwrap_or(self.post_training.weight_bits),
                activations: made.unwrap_or(self.post_training.activation_bits),
            }
        };
        self.trial.layers.iter().zip(&widths.weights).map(of).collect()
    }
}
