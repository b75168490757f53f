//! One run of both sides: golden model and Verilog on the same frames, every word judged.
//!
//! Input: a network, its lowered design, the built model of its emission, and frames of input codes. Output: the
//! [`Verdict`], the simulator's report and the predicted cycles. Frames stream: while the simulation runs, the golden
//! model computes the next ones.

use crate::judge::{Judge, JudgeError, Verdict};
use golden_model::{EvaluateError, ModeEvaluator, Trace};
use hdl_gen::{Design, PredictError, timing};
use network::{Diagnostics, Network};
use simulator::{Cancel, Event, Model, RunRequest, SimReport, SimulatorError, words};
use std::ops::ControlFlow;
use std::sync::mpsc;

/// What to run, beside the frames.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Index of the design in the model.
    pub design: usize,
    /// Probability that an end stalls in a cycle; below 1.
    pub stall: f64,
    /// Seed of the stalls.
    pub seed: u64,
    /// Modes of the frames, over and over; empty: mode 0.
    pub modes: Vec<u8>,
    /// Where to write waves.
    pub trace: Option<simulator::Trace>,
    /// Ends the run.
    pub cancel: Cancel,
}

impl Settings {
    /// The first design of a model, without stalls and waves.
    pub fn new() -> Settings {
        Settings { design: 0, stall: 0.0, seed: 1, modes: Vec::new(), trace: None, cancel: Cancel::new() }
    }

    /// The same with stalls at all ends.
    pub fn with_stalls(mut self, probability: f64, seed: u64) -> Settings {
        (self.stall, self.seed) = (probability, seed);
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings::new()
    }
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Cosimulation {
    /// Words and frame ends against golden model and prediction.
    pub verdict: Verdict,
    /// The simulator's own report.
    pub report: SimReport,
    /// Predicted cycles of the run.
    pub predicted: timing::Report,
}

impl Cosimulation {
    /// Whether everything is equal, all frames passed and no rule of the stream contract was broken.
    pub fn is_good(&self) -> bool {
        self.verdict.is_good() && self.report.is_clean() && self.predicted.cycles() == self.report.cycles
    }
}

/// Why a run gave no verdict.
#[derive(Debug, thiserror::Error)]
pub enum CosimulateError {
    /// Simulator or tools.
    #[error(transparent)]
    Simulator(#[from] SimulatorError),
    /// Manifest and network do not belong together.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// The timing model does not finish.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The network of a mode cannot be built.
    #[error(transparent)]
    Mode(#[from] Diagnostics),
    /// A frame that the network cannot take.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
}

/// Runs `frames` frames of input codes (hardware order, one input after the other); `finished` is told how many have left the design.
///
/// # Errors
/// See [`CosimulateError`]; a design that differs or misbehaves is no error but a bad [`Cosimulation`].
pub fn cosimulate(
    network: &Network,
    design: &Design,
    model: &Model,
    settings: &Settings,
    frames: impl ExactSizeIterator<Item = Vec<i32>> + Send,
    finished: &mut dyn FnMut(u64),
) -> Result<Cosimulation, CosimulateError> {
    let Some(folder) = model.designs().get(settings.design) else {
        return Err(SimulatorError::Request(format!("the model holds no design {}", settings.design)).into());
    };
    let manifest = folder.manifest();
    let count = frames.len() as u64;
    let stalls = (settings.stall > 0.0).then(|| timing::Stalls::uniform(settings.seed, settings.stall));
    // The prediction runs beside the simulation; a run that is cancelled does not wait for it.
    let prediction = std::thread::spawn({
        let (design, modes) = (design.clone(), settings.modes.clone());
        move || design.predict_modes(count, stalls, &modes)
    });

    let mut request = RunRequest::new(settings.design);
    request.stalls = simulator::Stalls { probability: settings.stall, seed: settings.seed };
    request.modes = settings.modes.clone();
    request.trace = settings.trace.clone();
    request.cancel = settings.cancel.clone();

    let (send_trace, traces) = mpsc::channel::<Trace>();
    let (send_fault, faults) = mpsc::channel::<CosimulateError>();
    let evaluator = ModeEvaluator::new(network)?;
    let modes = settings.modes.clone();
    let mut frame = 0;
    let inputs = &manifest.inputs;
    let mut prepare = move |codes: &[i32]| -> Result<Vec<u8>, CosimulateError> {
        let mode = if modes.is_empty() { 0 } else { usize::from(modes[frame % modes.len()]) };
        frame += 1;
        let trace = evaluator.evaluate(codes, mode)?;
        let mut words = Vec::new();
        for (input, codes) in inputs.iter().zip(&trace.inputs) {
            words.extend(words::pack_frame(&input.port, codes)?);
        }
        // A judge that has ended needs no more traces.
        let _ = send_trace.send(trace);
        Ok(words)
    };
    let words_of = move |codes: Vec<i32>| prepare(&codes).map_err(|fault| send_fault.send(fault)).ok();
    let mut judge = Judge::new(manifest, network, || traces.recv().ok())?;
    let mut left = vec![0; manifest.outputs.len()];
    let report = model.run(&request, frames.map_while(words_of), &mut |event| {
        match event {
            Event::Word { edge, index, cycle, data } => judge.word(edge, index, cycle, data),
            Event::Output { output, index, cycle, data, .. } => judge.output(output, index, cycle, data),
            Event::FrameEnd { output, frame, .. } => {
                if let Some(left) = left.get_mut(output) {
                    *left = frame + 1;
                }
                finished(left.iter().copied().min().unwrap_or(0));
            }
            Event::Violation(_) | Event::Progress { .. } => {}
        }
        ControlFlow::Continue(())
    });
    if let Ok(fault) = faults.try_recv() {
        return Err(fault);
    }
    let report = report?;
    let broken = || SimulatorError::Request("the prediction broke off".to_owned());
    let predicted = prediction.join().map_err(|_| broken())??;
    let mut verdict = judge.finish(count);
    for (index, output) in manifest.outputs.iter().enumerate() {
        let ends = |of: &[Vec<u64>]| of.get(index).cloned().unwrap_or_default();
        verdict.compare_cycles(&output.prefix, &ends(&predicted.frame_end_cycles), &ends(&report.frame_end_cycles));
    }
    Ok(Cosimulation { verdict, report, predicted })
}
