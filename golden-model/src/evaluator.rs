//! Evaluation of frames through kernels that were chosen and packed once.

use crate::explain::Flip;
use crate::kernel::Instructions;
use crate::layer::{Integers, PreparedLayer, Space};
use crate::trace::{EvaluateError, LayerTrace, MAX_ELEMENTS, Trace};
use network::Network;
use rayon::prelude::*;
use std::sync::Arc;

/// A network made ready for evaluation. All tensors are in hardware order (rows, columns, channels).
pub struct Evaluator {
    network: Network,
    instructions: Instructions,
    layers: Result<Vec<PreparedLayer>, EvaluateError>,
    /// Tells whether a [`Scratch`] was made for this evaluator.
    identity: Arc<()>,
}

/// Working space of one thread; made on first use and kept from frame to frame.
#[derive(Default)]
pub struct Scratch {
    identity: Option<Arc<()>>,
    tensors: Vec<Integers>,
    spaces: Vec<Space>,
    output: Vec<i64>,
}

/// Which frame of many was not evaluated, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame {frame}: {source}")]
pub struct FrameError {
    /// Index of the frame.
    pub frame: usize,
    /// The reason.
    pub source: EvaluateError,
}

impl Evaluator {
    /// Packs the weights of all layers for the best instructions that this machine has.
    pub fn new(network: &Network) -> Self {
        Self::with_instructions(network, Instructions::detect())
    }

    /// The same for stated instructions; the integers never depend on them.
    pub fn with_instructions(network: &Network, instructions: Instructions) -> Self {
        let layers = check_memory(network).and_then(|()| {
            let layers = network.layers().iter().enumerate();
            layers.map(|(index, layer)| PreparedLayer::new(network, index, layer, instructions)).collect()
        });
        Evaluator { network: network.clone(), instructions, layers, identity: Arc::new(()) }
    }

    /// The network that is evaluated.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Evaluates one frame of codes and keeps every layer's sums and integers.
    pub fn evaluate(&self, input: &[i32]) -> Result<Trace, EvaluateError> {
        self.evaluate_with_flips(input, &[])
    }

    /// The same with some codes replaced as soon as their layer has made them; layers behind them see the replacement.
    /// The kept sums stay the layer's own.
    pub fn evaluate_with_flips(&self, input: &[i32], flips: &[Flip]) -> Result<Trace, EvaluateError> {
        let mut scratch = Scratch::default();
        let mut trace = Trace { input: input.iter().copied().map(i64::from).collect(), layers: Vec::new() };
        self.run(input, &mut scratch, flips, Some(&mut trace.layers))?;
        Ok(trace)
    }

    /// Evaluates one frame of codes and gives the outputs only, one tensor after the other.
    pub fn output<'s>(&self, input: &[i32], scratch: &'s mut Scratch) -> Result<&'s [i64], EvaluateError> {
        self.output_with_flips(input, scratch, &[])
    }

    /// The same with some codes replaced.
    pub(crate) fn output_with_flips<'s>(
        &self,
        input: &[i32],
        scratch: &'s mut Scratch,
        flips: &[Flip],
    ) -> Result<&'s [i64], EvaluateError> {
        self.run(input, scratch, flips, None)?;
        scratch.output.clear();
        for output in self.network.outputs() {
            match scratch.tensors.get(output.tensor.0) {
                Some(Integers::Narrow(integers)) => scratch.output.extend(integers.iter().copied().map(i64::from)),
                Some(Integers::Wide(integers)) => scratch.output.extend_from_slice(integers),
                None => {}
            }
        }
        Ok(&scratch.output)
    }

    /// Evaluates many frames on all cores and gives the outputs of each, one tensor after the other.
    pub fn outputs<F: AsRef<[i32]> + Sync>(&self, frames: &[F]) -> Result<Vec<Vec<i64>>, FrameError> {
        let evaluate = |scratch: &mut Scratch, (frame, input): (usize, &F)| {
            let output = self.output(input.as_ref(), scratch).map_err(|source| FrameError { frame, source })?;
            Ok(output.to_vec())
        };
        frames.par_iter().enumerate().map_init(Scratch::default, evaluate).collect()
    }

    /// The layers made ready, or why they are not.
    pub(crate) fn layers(&self) -> Result<&[PreparedLayer], EvaluateError> {
        self.layers.as_deref().map_err(Clone::clone)
    }

    fn run(
        &self,
        input: &[i32],
        scratch: &mut Scratch,
        flips: &[Flip],
        mut keep: Option<&mut Vec<LayerTrace>>,
    ) -> Result<(), EvaluateError> {
        let layers = self.layers()?;
        self.check_input(input)?;
        self.check_flips(flips)?;
        scratch.prepare(self, layers);
        if let Some(Integers::Narrow(tensor)) = scratch.tensors.first_mut() {
            tensor.copy_from_slice(input);
        }
        for (index, (layer, space)) in layers.iter().zip(&mut scratch.spaces).enumerate() {
            let (made, rest) = scratch.tensors.split_at_mut(index + 1);
            let sources: Vec<&Integers> = layer.sources.iter().filter_map(|&source| made.get(source)).collect();
            let Some(output) = rest.first_mut() else { continue };
            let mut sums = Vec::new();
            layer.run(self.instructions, &sources, space, output, keep.is_some().then_some(&mut sums));
            for flip in flips.iter().filter(|flip| flip.layer == index) {
                output.set(flip.element, flip.to);
            }
            if let Some(keep) = &mut keep {
                let makes_sums = self.network.sums(index).is_some();
                keep.push(LayerTrace { sums: makes_sums.then_some(sums), output: output.to_vec() });
            }
        }
        Ok(())
    }

    fn check_input(&self, input: &[i32]) -> Result<(), EvaluateError> {
        let Some(tensor) = self.network.tensors().first() else { return Ok(()) };
        let (expected, found) = (tensor.shape.elements(), input.len() as u64);
        if expected != found {
            return Err(EvaluateError::InputLength { expected, found });
        }
        let range = tensor.encoding.integers();
        // Codes have at most 16 bits, so the ends fit.
        let (min, max) = (range.min() as i32, range.max() as i32);
        let (least, most) = input.iter().fold((max, min), |(least, most), &code| (least.min(code), most.max(code)));
        if min <= least && most <= max {
            return Ok(());
        }
        let stray = input.iter().position(|&code| code < min || code > max).unwrap_or(0);
        Err(EvaluateError::InputCode { element: stray, code: input.get(stray).copied().unwrap_or(0).into(), range })
    }

    fn check_flips(&self, flips: &[Flip]) -> Result<(), EvaluateError> {
        for &Flip { layer, element, to, .. } in flips {
            let tensor = self.network.tensors().get(layer.saturating_add(1));
            let fits = tensor.is_some_and(|tensor| {
                (element as u64) < tensor.shape.elements() && tensor.encoding.integers().contains(to)
            });
            if !fits {
                return Err(EvaluateError::Flip { layer, element, code: to });
            }
        }
        Ok(())
    }
}

fn check_memory(network: &Network) -> Result<(), EvaluateError> {
    let mut elements = 0u64;
    for (index, tensor) in network.tensors().iter().enumerate() {
        elements = elements.saturating_add(tensor.shape.elements());
        if elements > MAX_ELEMENTS {
            let layer = index.checked_sub(1).and_then(|index| network.layers().get(index));
            let layer = layer.map_or("input".to_owned(), |layer| layer.name.clone());
            return Err(EvaluateError::TooLarge { layer, elements });
        }
    }
    Ok(())
}

impl Scratch {
    fn prepare(&mut self, evaluator: &Evaluator, layers: &[PreparedLayer]) {
        if self.identity.as_ref().is_some_and(|identity| Arc::ptr_eq(identity, &evaluator.identity)) {
            return;
        }
        let tensors = evaluator.network.tensors().iter();
        self.tensors =
            tensors.map(|tensor| Integers::new(tensor.encoding.integers(), tensor.shape.elements() as usize)).collect();
        self.spaces = layers.iter().map(PreparedLayer::space).collect();
        self.identity = Some(evaluator.identity.clone());
    }
}
