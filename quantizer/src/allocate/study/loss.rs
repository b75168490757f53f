//! How far outputs are from what they should be.

use super::StudyOptions;
use crate::fault::{Checked, Fault};
use crate::float::{elements, fault, tensor};
use crate::model::Model;
use crate::post_training::Trial;
use candle_core::{D, Tensor};
use network::{Code, Diagnostic, Diagnostics, Place};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// What the loss is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// Divergence of the softmax of the outputs from that of the float network, or from a class.
    Classes,
    /// Divergence of every output as a probability.
    Probabilities,
    /// Mean square error.
    Squares,
    /// A detection head of so many channels for each anchor, four of which are a box and the others logits: divergence
    /// of the logits as probabilities, and square error of the boxes where the float network sees an object. This is
    /// the joint loss of classification and regression without labels.
    Detection(u32),
}

/// Labels of the calibration frames.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// The class of each frame.
    Classes(Vec<u32>),
    /// For each frame all outputs one after the other.
    Outputs(Vec<Vec<f32>>),
}

/// What a frame is compared with: for each output a tensor of its shape, or a class.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Outputs(Vec<Tensor>),
    Class(usize),
}

/// Probabilities stay this far from 0 and 1.
const CLOSEST: f64 = 1e-6;

impl LossKind {
    /// As the command line spells it.
    pub fn name(self) -> String {
        match self {
            LossKind::Classes => "classes".to_owned(),
            LossKind::Probabilities => "probabilities".to_owned(),
            LossKind::Squares => "squares".to_owned(),
            LossKind::Detection(channels) => format!("detection={channels}"),
        }
    }

    /// The loss of a frame as a tensor of one number.
    pub(crate) fn of(self, outputs: &[Tensor], target: &Target) -> Checked<Tensor> {
        let mut sum = tensor(vec![0.0], &[1])?;
        let add = |sum: &Tensor, term: candle_core::Result<Tensor>| {
            term.and_then(|term| sum.add(&term.reshape(1)?)).map_err(fault)
        };
        match target {
            Target::Class(class) => {
                let Some(output) = outputs.first() else { return Ok(sum) };
                sum = add(&sum, cross_entropy(output, *class))?;
            }
            Target::Outputs(targets) => {
                for (output, target) in outputs.iter().zip(targets) {
                    let term = match self {
                        LossKind::Classes => divergence(output, target),
                        LossKind::Probabilities => binary(output, target).and_then(|each| each.mean_all()),
                        LossKind::Squares => output.sub(target).and_then(|d| d.sqr()?.mean_all()),
                        LossKind::Detection(channels) => detection(output, target, channels as usize),
                    };
                    sum = add(&sum, term)?;
                }
            }
        }
        Ok(sum)
    }
}

/// The number in a tensor of one.
pub(crate) fn scalar(loss: &Tensor) -> Checked<f64> {
    Ok(f64::from(elements(loss).first().copied().unwrap_or(0.0)))
}

fn log_softmax(logits: &Tensor) -> candle_core::Result<Tensor> {
    let flat = logits.flatten_all()?;
    flat.broadcast_sub(&flat.log_sum_exp(D::Minus1)?)
}

/// Kullback-Leibler divergence of softmax(output) from softmax(target).
fn divergence(output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
    let (log_p, log_q) = (log_softmax(target)?, log_softmax(output)?);
    (log_p.exp()? * (log_p - log_q)?)?.sum_all()
}

fn cross_entropy(output: &Tensor, class: usize) -> candle_core::Result<Tensor> {
    log_softmax(output)?.narrow(0, class, 1)?.neg()
}

/// Divergence of every element as a probability.
fn binary(output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
    let inside = |x: &Tensor| x.affine(1.0 - 2.0 * CLOSEST, CLOSEST);
    let (p, q) = (inside(target)?, inside(output)?);
    let rest = |x: &Tensor| x.affine(-1.0, 1.0);
    let first = (&p * (p.log()? - q.log()?)?)?;
    let (p, q) = (rest(&p)?, rest(&q)?);
    first + (&p * (p.log()? - q.log()?)?)?
}

fn sigmoid(x: &Tensor) -> candle_core::Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}

/// A head (1, anchors * channels, rows, columns): logits behind four box terms.
fn detection(output: &Tensor, target: &Tensor, channels: usize) -> candle_core::Result<Tensor> {
    let all = target.dims().get(1).copied().unwrap_or(0);
    let inner = target.elem_count() / all.max(1);
    let anchors = all / channels.max(1);
    let shape = |x: &Tensor| x.reshape((anchors, channels, inner));
    let (output, target) = (shape(output)?, shape(target)?);
    let logits = |x: &Tensor| x.narrow(1, 4, channels - 4).and_then(|x| sigmoid(&x));
    let (seen, wanted) = (logits(&output)?, logits(&target)?);
    let classes = binary(&seen, &wanted)?.mean_all()?;
    let objects = wanted.max_keepdim(1)?;
    let boxes = (output.narrow(1, 0, 4)? - target.narrow(1, 0, 4)?)?.sqr()?;
    let weight = objects.sum_all()?.affine(1.0, 1e-3)?;
    // Boxes count for each object as classes do for each place.
    let regression = boxes.broadcast_mul(&objects)?.sum_all()?.div(&weight)?;
    classes + (regression * (f64::from(elements(&weight).first().copied().unwrap_or(0.0)) / (anchors * inner) as f64))?
}

/// The kind of loss and what every frame is compared with.
pub(super) fn targets(trial: &Trial<'_>, options: &StudyOptions) -> Result<(LossKind, Vec<Target>), Diagnostics> {
    let count = trial.frames();
    let outputs: Result<Vec<Vec<Tensor>>, Diagnostic> = (0..count)
        .into_par_iter()
        .map(|index| trial.outputs(&trial.frame(index), &BTreeMap::new(), &|_, x| Ok(x)))
        .collect();
    let outputs = outputs?;
    let shapes: Vec<Vec<usize>> =
        outputs.first().map(|made| made.iter().map(|x| x.dims().to_vec()).collect()).unwrap_or_default();
    let kind = options.loss.unwrap_or_else(|| automatic(trial.program.model, &shapes));
    let wrong = |message: String, help: &str| -> Diagnostics {
        Diagnostic::new(Code::AllocationMethod, Place::file(trial.program.file()), message, help).into()
    };
    if let LossKind::Detection(channels) = kind {
        let fits = |dims: &Vec<usize>| channels > 4 && dims.len() == 4 && dims[1].is_multiple_of(channels as usize);
        if let Some(dims) = shapes.iter().find(|dims| !fits(dims)) {
            let message = format!("an output of shape {dims:?} is no head of {channels} channels for each anchor");
            return Err(wrong(message, "give the number of channels of one anchor: 4 of the box and the logits"));
        }
    }
    let targets = match &options.labels {
        None => Ok(outputs.into_iter().map(Target::Outputs).collect()),
        Some(Targets::Classes(classes)) => {
            let size = shapes.first().map_or(0, |dims| dims.iter().product::<usize>());
            if shapes.len() != 1 || kind != LossKind::Classes {
                return Err(wrong(
                    format!("classes as labels of outputs {shapes:?} under the loss {}", kind.name()),
                    "give targets of the outputs' shape, or leave the labels out",
                ));
            }
            if let Some(class) = classes.iter().find(|&&class| class as usize >= size) {
                return Err(wrong(format!("a label {class} among {size} classes"), "labels count from 0"));
            }
            if classes.len() < count {
                return Err(wrong(format!("{} labels for {count} frames", classes.len()), "give one for each frame"));
            }
            Ok(classes.iter().take(count).map(|&class| Target::Class(class as usize)).collect())
        }
        Some(Targets::Outputs(values)) => {
            let size: usize = shapes.iter().map(|dims| dims.iter().product::<usize>()).sum();
            if values.len() < count || values.iter().any(|frame| frame.len() != size) {
                let found = values.first().map_or(0, Vec::len);
                return Err(wrong(
                    format!("labels of {} frames with {found} elements, for {count} frames of {size}", values.len()),
                    "give an array (frames, ...) of the outputs' shape",
                ));
            }
            let split = |frame: &Vec<f32>| -> Checked<Target> {
                let mut start = 0;
                let parts = shapes.iter().map(|dims| {
                    let length: usize = dims.iter().product();
                    start += length;
                    tensor(frame[start - length..start].to_vec(), dims)
                });
                Ok(Target::Outputs(parts.collect::<Checked<_>>()?))
            };
            values.iter().take(count).map(split).collect::<Checked<Vec<_>>>()
        }
    };
    let targets = targets.map_err(|found: Fault| Diagnostics::from(found.at(trial.program.file(), "")))?;
    Ok((kind, targets))
}

/// Whether an output is made by this operator.
fn ends_in(model: &Model, op: &str) -> bool {
    model.nodes.iter().any(|node| node.op == op && node.outputs.iter().any(|id| model.outputs.contains(id)))
}

/// The loss that outputs of these shapes ask for.
pub(crate) fn automatic(model: &Model, shapes: &[Vec<usize>]) -> LossKind {
    let is_list = |dims: &Vec<usize>| dims.iter().filter(|&&dim| dim != 1).count() == 1;
    if ends_in(model, "Sigmoid") || ends_in(model, "Softmax") {
        LossKind::Probabilities
    } else if shapes.len() == 1 && shapes.iter().all(is_list) {
        LossKind::Classes
    } else {
        LossKind::Squares
    }
}
