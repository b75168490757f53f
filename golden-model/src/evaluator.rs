//! Evaluation of frames through kernels that were chosen and packed once.

use crate::explain::Flip;
use crate::kernel::Instructions;
use crate::layer::PreparedLayer;
use crate::product::Planes;
use crate::tasks::{Spaces, Tasks};
use crate::tensor::{Buffer, Places, Target};
use crate::trace::{EvaluateError, LayerTrace, MAX_ELEMENTS, Trace};
use network::Network;
use rayon::prelude::*;
use std::sync::Arc;

/// Elements of all tensors from which on frames are evaluated one after the other, each on all cores.
const LARGE_ELEMENTS: u64 = 1 << 22;

/// A network made ready for evaluation. All tensors are in hardware order (rows, columns, channels).
pub struct Evaluator {
    network: Network,
    instructions: Instructions,
    layers: Result<Vec<PreparedLayer>, EvaluateError>,
    places: Places,
    /// Tells whether a [`Scratch`] was made for this evaluator.
    identity: Arc<()>,
}

/// Working space of one thread; made on first use and kept from frame to frame.
#[derive(Default)]
pub struct Scratch {
    identity: Option<Arc<()>>,
    buffers: Vec<Buffer>,
    planes: Vec<Option<Planes>>,
    spaces: Spaces,
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
            let layers = network.layers().par_iter().enumerate();
            layers.map(|(index, layer)| PreparedLayer::new(network, index, layer, instructions)).collect()
        });
        let places = Places::new(network);
        Evaluator { network: network.clone(), instructions, layers, places, identity: Arc::new(()) }
    }

    /// The network that is evaluated.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Evaluates one frame of codes, one input after the other, and keeps every layer's sums and integers.
    pub fn evaluate(&self, input: &[i32]) -> Result<Trace, EvaluateError> {
        self.evaluate_with_flips(input, &[])
    }

    /// The same with some codes replaced as soon as their layer has made them; layers behind them see the replacement.
    /// The kept sums stay the layer's own.
    pub fn evaluate_with_flips(&self, input: &[i32], flips: &[Flip]) -> Result<Trace, EvaluateError> {
        let mut scratch = Scratch::default();
        let mut trace = Trace::default();
        self.run(input, &mut scratch, flips, true, Some(&mut trace.layers))?;
        let mut rest = input;
        for tensor in self.network.input_tensors() {
            let (own, others) = rest.split_at((tensor.shape.elements() as usize).min(rest.len()));
            trace.inputs.push(own.iter().copied().map(i64::from).collect());
            rest = others;
        }
        Ok(trace)
    }

    /// Evaluates one frame of codes and gives the outputs only, one tensor after the other.
    pub fn output<'s>(&self, input: &[i32], scratch: &'s mut Scratch) -> Result<&'s [i64], EvaluateError> {
        self.last(input, scratch, &[], false)
    }

    /// The same with some codes replaced.
    pub(crate) fn output_with_flips<'s>(
        &self,
        input: &[i32],
        scratch: &'s mut Scratch,
        flips: &[Flip],
    ) -> Result<&'s [i64], EvaluateError> {
        self.last(input, scratch, flips, true)
    }

    /// Evaluates a frame without a trace; its layers may use all cores where no other frames wait for them.
    fn last<'s>(
        &self,
        input: &[i32],
        scratch: &'s mut Scratch,
        flips: &[Flip],
        is_alone: bool,
    ) -> Result<&'s [i64], EvaluateError> {
        self.run(input, scratch, flips, is_alone, None)?;
        scratch.output.clear();
        for output in self.network.outputs() {
            self.places.source(&scratch.buffers, output.tensor.0).append_to(&mut scratch.output);
        }
        Ok(&scratch.output)
    }

    /// Evaluates many frames on all cores and gives the outputs of each, one tensor after the other. Frames are spread
    /// over the cores, or where they are few or large the layers of each.
    pub fn outputs<F: AsRef<[i32]> + Sync>(&self, frames: &[F]) -> Result<Vec<Vec<i64>>, FrameError> {
        let elements: u64 = self.network.tensors().iter().map(|tensor| tensor.shape.elements()).sum();
        let is_alone = frames.len() < 2 * rayon::current_num_threads() || elements > LARGE_ELEMENTS;
        let evaluate = |scratch: &mut Scratch, (frame, input): (usize, &F)| {
            let output = self.last(input.as_ref(), scratch, &[], is_alone);
            output.map(<[i64]>::to_vec).map_err(|source| FrameError { frame, source })
        };
        if is_alone {
            let mut scratch = Scratch::default();
            return frames.iter().enumerate().map(|frame| evaluate(&mut scratch, frame)).collect();
        }
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
        is_alone: bool,
        mut keep: Option<&mut Vec<LayerTrace>>,
    ) -> Result<(), EvaluateError> {
        let layers = self.layers()?;
        self.check_input(input)?;
        self.check_flips(flips)?;
        scratch.prepare(self, layers);
        let Scratch { buffers, planes, spaces, .. } = scratch;
        let tasks = Tasks { instructions: self.instructions, spaces, is_parallel: is_alone };
        let (mut rest, inputs) = (input, self.network.inputs().len());
        for number in 0..inputs {
            let mut buffer = self.places.take(buffers, number);
            if let Target::Narrow(tensor) = self.places.target(&mut buffer, number) {
                let (own, others) = rest.split_at(tensor.len().min(rest.len()));
                tensor.copy_from_slice(own);
                rest = others;
            }
            self.places.put(buffers, number, buffer);
        }
        for (index, (layer, planes)) in layers.iter().zip(planes).enumerate() {
            let mut buffer = self.places.take(buffers, inputs + index);
            let mut target = self.places.target(&mut buffer, inputs + index);
            let sources: Vec<_> = layer.sources.iter().map(|&source| self.places.source(buffers, source)).collect();
            let makes_sums = keep.is_some() && self.network.sums(index).is_some();
            let mut sums = makes_sums.then(|| vec![0; target.len()]);
            layer.run(tasks, &sources, planes.as_mut(), target.reborrow(), sums.as_deref_mut());
            for flip in flips.iter().filter(|flip| flip.layer == index) {
                target.set(flip.element, flip.to);
            }
            if let Some(keep) = &mut keep {
                keep.push(LayerTrace { sums, output: target.to_vec() });
            }
            self.places.put(buffers, inputs + index, buffer);
        }
        Ok(())
    }

    fn check_input(&self, input: &[i32]) -> Result<(), EvaluateError> {
        let (expected, found) = (self.network.frame_elements(), input.len() as u64);
        if expected != found {
            return Err(EvaluateError::InputLength { expected, found });
        }
        let mut first = 0;
        for tensor in self.network.input_tensors() {
            let codes = input.get(first..first + tensor.shape.elements() as usize).unwrap_or(&[]);
            let range = tensor.encoding.integers();
            // Codes have at most 16 bits, so the ends fit.
            let (min, max) = (range.min() as i32, range.max() as i32);
            let (least, most) = codes.iter().fold((max, min), |(least, most), &code| (least.min(code), most.max(code)));
            if least < min || max < most {
                let stray = codes.iter().position(|&code| code < min || code > max).unwrap_or(0);
                let code = codes.get(stray).copied().unwrap_or(0).into();
                return Err(EvaluateError::InputCode { element: first + stray, code, range });
            }
            first += codes.len();
        }
        Ok(())
    }

    fn check_flips(&self, flips: &[Flip]) -> Result<(), EvaluateError> {
        for &Flip { layer, element, to, .. } in flips {
            let tensor = self.network.tensors().get(layer.saturating_add(self.network.inputs().len()));
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
            let layer = index.checked_sub(network.inputs().len()).and_then(|index| network.layers().get(index));
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
        self.buffers = evaluator.places.buffers();
        self.planes = layers.iter().map(PreparedLayer::planes).collect();
        self.identity = Some(evaluator.identity.clone());
    }
}
