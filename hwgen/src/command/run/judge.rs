//! Golden results against labels and against recorded outputs.

use crate::arrays::{ArrayStream, Elements};
use crate::failure::{Outcome, cannot_evaluate};
use crate::interrupt::Interrupt;
use golden_model::{Evaluator, Explanation, Tolerance};
use network::op::Op;
use network::{Code, Diagnostic, Network, Place};
use rayon::prelude::*;
use serde::Serialize;
use std::fmt;

/// Classes of the frames, one after the other.
pub struct Labels<'a> {
    stream: ArrayStream<'a>,
    /// The network sends the class itself.
    is_argmax: bool,
    frames: u64,
    /// Frames whose class is the label.
    pub correct: u64,
    /// Frames in which several classes are equally great; the lowest counts.
    pub ties: u64,
}

impl<'a> Labels<'a> {
    /// Checks that `stream` holds one label for each of `frames` frames.
    pub fn new(stream: ArrayStream<'a>, network: &Network, frames: u64) -> Result<Labels<'a>, Diagnostic> {
        let fault = |message: String, help: &str| {
            Err(Diagnostic::new(Code::FramesShape, Place::file(stream.label()), message, help))
        };
        if stream.frame_elements() != 1 || stream.shape().is_empty() {
            return fault(
                format!("shape {}: a label is one class for each frame", stream.shape_text()),
                "give an array (frames,)",
            );
        }
        if stream.frames() < frames {
            return fault(
                format!("holds {} labels for {frames} frames", stream.frames()),
                "give as many labels as frames, or use --frames",
            );
        }
        let shape = match network.outputs() {
            [output] => network.output_tensor(output).shape,
            outputs => {
                return fault(
                    format!("the network has {} outputs, not one list of classes", outputs.len()),
                    "compare with --reference instead",
                );
            }
        };
        if shape.positions() != 1 {
            return fault(
                format!("the network's output {shape} is no list of classes"),
                "compare with --reference instead",
            );
        }
        let last = network.outputs().first().and_then(|output| network.maker(output.tensor));
        let layer = last.and_then(|index| network.layers().get(index));
        let is_argmax = layer.is_some_and(|layer| matches!(layer.op, Op::Argmax { .. }));
        Ok(Labels { stream, is_argmax, frames: 0, correct: 0, ties: 0 })
    }

    /// Takes the next frames' results: integers and reals.
    pub fn compare(&mut self, outputs: &[Vec<i64>], reals: &[Vec<f64>]) -> Result<(), Diagnostic> {
        for (integers, reals) in outputs.iter().zip(reals) {
            let label = match self.stream.next_frame()? {
                Some(Elements::Integers(values)) => values.first().map(|&value| value as f64),
                Some(Elements::Floats(values)) => values.first().copied(),
                None => None,
            };
            let class = if self.is_argmax {
                integers.first().map(|&class| class as f64)
            } else {
                let (class, is_tie) = greatest(reals);
                self.ties += u64::from(is_tie);
                class.map(|class| class as f64)
            };
            self.frames += 1;
            self.correct += u64::from(class.is_some() && class == label);
        }
        Ok(())
    }

    /// Share of frames whose class is the label.
    pub fn accuracy(&self) -> f64 {
        if self.frames == 0 { 0.0 } else { self.correct as f64 / self.frames as f64 }
    }
}

/// The lowest index of the greatest number, and whether another one is equal.
fn greatest(reals: &[f64]) -> (Option<usize>, bool) {
    let Some(greatest) = reals.iter().copied().reduce(f64::max) else { return (None, false) };
    let mut places = reals.iter().enumerate().filter(|(_, real)| **real == greatest);
    (places.next().map(|(index, _)| index), places.next().is_some())
}

/// Recorded outputs, one frame after the other.
pub struct Reference<'a> {
    /// One array for each output of the network.
    streams: Vec<ArrayStream<'a>>,
    tolerance: Tolerance,
    /// What was found so far.
    pub report: ReferenceReport,
}

/// How the golden model's results stand to recorded ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReferenceReport {
    /// Frames compared.
    pub frames: u64,
    /// Outputs compared.
    pub outputs: u64,
    /// Frames with an output that differs by more than the tolerance.
    pub frames_differ: u64,
    /// Outputs that differ by more than the tolerance.
    pub outputs_differ: u64,
    /// The largest difference; absent where a recorded output is no number.
    pub max_abs_diff: Option<f64>,
    /// Differing frames that are equal once codes next to a rounding boundary are turned.
    pub explained: u64,
    /// Differing frames that are not.
    pub unexplained: u64,
    /// Codes next to a rounding boundary that explain differences.
    pub near_boundary_codes: u64,
    /// Frames with another greatest output.
    pub classes_differ: u64,
    /// The first frames that are not explained.
    pub first_unexplained: Vec<u64>,
    /// What counts as equal.
    pub tolerance: String,
}

impl<'a> Reference<'a> {
    /// Checks that `streams`, one for each output, hold the outputs of each of `frames` frames.
    pub fn new(
        streams: Vec<ArrayStream<'a>>,
        network: &Network,
        frames: u64,
        tolerance: Tolerance,
    ) -> Result<Reference<'a>, Diagnostic> {
        for (stream, output) in streams.iter().zip(network.outputs()) {
            let fault = |message: String, help: String| {
                Err(Diagnostic::new(Code::FramesShape, Place::file(stream.label()), message, help))
            };
            let elements = network.output_tensor(output).shape.elements();
            if stream.shape().is_empty() || stream.frame_elements() != elements {
                return fault(
                    format!("shape {}: the network has {elements} outputs for each frame", stream.shape_text()),
                    format!("give an array (frames, {elements})"),
                );
            }
            if stream.frames() < frames {
                return fault(
                    format!("holds the outputs of {} frames, the input has {frames}", stream.frames()),
                    "give as many outputs as frames, or use --frames".to_owned(),
                );
            }
        }
        let text = match tolerance {
            Tolerance::Absolute(bound) => format!("{bound} absolute"),
            Tolerance::Relative(part) => format!("{part:e} of the frame's largest output, or of 1"),
        };
        let report = ReferenceReport { tolerance: text, max_abs_diff: Some(0.0), ..ReferenceReport::default() };
        Ok(Reference { streams, tolerance, report })
    }

    /// Takes the next frames: their codes in hardware order and the golden results.
    pub fn compare(
        &mut self,
        evaluator: &Evaluator,
        frames: &[Vec<i32>],
        reals: &[Vec<f64>],
        interrupt: &Interrupt,
    ) -> Outcome<()> {
        let mut different = Vec::new();
        for (frame, reals) in frames.iter().zip(reals) {
            let mut recorded = Vec::with_capacity(reals.len());
            for stream in &mut self.streams {
                match stream.next_frame()? {
                    Some(Elements::Integers(values)) => recorded.extend(values.into_iter().map(|value| value as f64)),
                    Some(Elements::Floats(values)) => recorded.extend(values),
                    None => {}
                }
            }
            if self.count(reals, &recorded) > 0 {
                different.push((self.report.frames - 1, frame, recorded));
            }
        }
        let explain = |(number, frame, recorded): &(u64, &Vec<i32>, Vec<f64>)| {
            interrupt.check()?;
            let explanation = evaluator.explain(frame, recorded, self.tolerance);
            Ok((*number, explanation.map_err(|error| cannot_evaluate(&error))?))
        };
        let explanations: Vec<(u64, Explanation)> = different.par_iter().map(explain).collect::<Outcome<_>>()?;
        for (number, explanation) in explanations {
            match explanation {
                Explanation::Equal { .. } => self.report.explained += 1,
                Explanation::ByFlips(flips) => {
                    self.report.explained += 1;
                    self.report.near_boundary_codes += flips.len() as u64;
                }
                Explanation::Unexplained { .. } => {
                    self.report.unexplained += 1;
                    if self.report.first_unexplained.len() < 8 {
                        self.report.first_unexplained.push(number);
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts one frame; returns how many of its outputs differ.
    fn count(&mut self, reals: &[f64], recorded: &[f64]) -> u64 {
        let report = &mut self.report;
        let bound = self.tolerance.bound(recorded);
        let mut differ = 0;
        for (real, recorded) in reals.iter().zip(recorded) {
            let difference = if real == recorded { 0.0 } else { (real - recorded).abs() };
            if difference.is_nan() || difference > bound {
                differ += 1;
            }
            report.max_abs_diff = match report.max_abs_diff {
                Some(most) if difference.is_finite() => Some(most.max(difference)),
                _ => None,
            };
        }
        report.frames += 1;
        report.outputs += reals.len() as u64;
        report.outputs_differ += differ;
        report.frames_differ += u64::from(differ > 0);
        report.classes_differ += u64::from(greatest(reals).0 != greatest(recorded).0);
        differ
    }
}

impl fmt::Display for ReferenceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = self.max_abs_diff.map_or("not a number".to_owned(), |most| format!("{most:.3e}"));
        writeln!(
            f,
            "reference: {} of {} outputs differ in {} of {} frames, largest difference {largest} (equal: {}); {} frames with another greatest output",
            self.outputs_differ, self.outputs, self.frames_differ, self.frames, self.tolerance, self.classes_differ
        )?;
        writeln!(
            f,
            "  {} frames explained by {} codes next to a rounding boundary, {} not explained{}",
            self.explained,
            self.near_boundary_codes,
            self.unexplained,
            if self.first_unexplained.is_empty() {
                String::new()
            } else {
                format!(": frames {:?} ...", self.first_unexplained)
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::greatest;

    #[test]
    fn lowest_index_wins_and_ties_are_seen() {
        assert_eq!(greatest(&[1.0, 3.0, 2.0]), (Some(1), false));
        assert_eq!(greatest(&[3.0, 1.0, 3.0]), (Some(0), true));
        assert_eq!(greatest(&[]), (None, false));
    }
}
