//! What the options say about the study of a float network, and who watches it.

use crate::arrays::{ArrayFile, ArraySpec, ElementKind, Elements};
use crate::cli::AllocationOptions;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::progress;
use indicatif::ProgressBar;
use network::{Code, Diagnostic, Place};
use quantizer::allocate::{Ended, StudyOptions, Targets, Watch};
use quantizer::{Calibration, PostTraining, Reading};
use std::sync::Mutex;

/// Why a study ended, as the command line tells it.
pub fn ended(ended: Ended) -> Failure {
    match ended {
        Ended::Stopped => Failure::Interrupted,
        Ended::Faults(faults) => Failure::Faults(faults),
    }
}

/// The same the other way round.
pub fn faults(failure: Failure) -> Ended {
    match failure {
        Failure::Faults(faults) => Ended::Faults(faults),
        Failure::Check | Failure::Interrupted => Ended::Stopped,
    }
}

/// What the options say about the study, with the labels read.
pub fn study_options(
    options: &AllocationOptions,
    post_training: &PostTraining,
    reading: Reading,
) -> Outcome<StudyOptions> {
    let sorted = |widths: &[u32]| {
        let mut widths = widths.to_vec();
        widths.sort_unstable();
        widths.dedup();
        widths
    };
    let frames = match &post_training.calibration {
        Calibration::Frames { shape, .. } => shape.first().copied().unwrap_or(0),
        Calibration::Random { frames, .. } => *frames as u64,
        Calibration::Several(entering) => match entering.first() {
            Some((Calibration::Frames { shape, .. }, _)) => shape.first().copied().unwrap_or(0),
            _ => 0,
        },
    };
    Ok(StudyOptions {
        weight_bits: sorted(&options.weight_widths),
        activation_bits: sorted(&options.activation_widths),
        loss: options.loss,
        labels: options.labels.as_deref().map(|spec| labels(spec, frames)).transpose()?,
        frames: options.study_frames as usize,
        seed: options.seed,
        reading,
    })
}

fn labels(text: &str, frames: u64) -> Outcome<Targets> {
    let spec = ArraySpec::parse(text);
    let mut file = ArrayFile::open(&spec.path)?;
    let mut stream = file.open_array(&spec, Some("y"))?;
    let is_classes = stream.frame_elements() == 1 && stream.element().kind != ElementKind::Float;
    if stream.shape().is_empty() || stream.frames().saturating_mul(stream.frame_elements()) > 1 << 28 {
        return Err(Diagnostic::new(
            Code::FramesShape,
            Place::file(stream.label()),
            format!("shape {} holds no labels of some hundred frames", stream.shape_text()),
            "give classes (frames,), or an array of the outputs' shape",
        )
        .into());
    }
    let (mut classes, mut outputs) = (Vec::new(), Vec::new());
    for _ in 0..frames.min(stream.frames()) {
        match stream.next_frame()? {
            Some(Elements::Integers(frame)) if is_classes => {
                let class = frame.first().and_then(|&class| u32::try_from(class).ok());
                classes.push(class.unwrap_or(u32::MAX));
            }
            Some(Elements::Integers(frame)) => outputs.push(frame.iter().map(|&value| value as f32).collect()),
            Some(Elements::Floats(frame)) => outputs.push(frame.iter().map(|&value| value as f32).collect()),
            None => break,
        }
    }
    Ok(if is_classes { Targets::Classes(classes) } else { Targets::Outputs(outputs) })
}

/// A bar for each phase, and the interrupt.
pub struct Progress<'a> {
    /// Whether the user asked to stop.
    pub interrupt: &'a Interrupt,
    /// The bar of the phase.
    pub bar: Mutex<ProgressBar>,
    /// No bars.
    pub is_quiet: bool,
}

impl<'a> Progress<'a> {
    /// No bar yet.
    pub fn new(interrupt: &'a Interrupt, is_quiet: bool) -> Self {
        Progress { interrupt, bar: Mutex::new(ProgressBar::hidden()), is_quiet }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Ok(bar) = self.bar.lock() {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Progress<'_> {
    fn begin(&self, what: &str, steps: u64) {
        if let Ok(mut bar) = self.bar.lock() {
            bar.finish_and_clear();
            *bar = progress::bar(steps, what, self.is_quiet);
        }
    }

    fn step(&self) {
        if let Ok(bar) = self.bar.lock() {
            bar.inc(1);
        }
    }

    fn is_stopped(&self) -> bool {
        self.interrupt.check().is_err()
    }
}
