//! `hwgen run`: frames through the golden model, against labels and recorded outputs.

mod judge;

use crate::arrays::{ArchiveWriter, ArrayFile, ArraySpec};
use crate::cli::RunOptions;
use crate::failure::{Failure, Outcome, cannot_evaluate};
use crate::frames::{Frames, user_axes};
use crate::interrupt::Interrupt;
use crate::output::print;
use crate::plan_file;
use crate::progress;
use golden_model::frames::{reals, to_model_order};
use golden_model::{Evaluator, Tolerance};
use judge::{Labels, Reference};
use network::{Code, Diagnostic, Network, Place};
use serde_json::json;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Frames that are evaluated between two looks at the interrupt flag.
const BATCH_FRAMES: usize = 256;

/// Runs and reports; fails the check where a difference to the reference is not explained.
pub fn run(options: &RunOptions, as_json: bool) -> Outcome<()> {
    let interrupt = Interrupt::listen(|| {});
    let loaded = plan_file::load(&options.plan)?;
    let mode = check_mode(&loaded.network, options.mode)?;
    let network = &loaded.network.in_mode(mode)?.network;
    let spec = ArraySpec::parse(&options.input);
    let mut input_files = Vec::new();
    let (limit, scale) = (options.frames.frames, options.frames.input_scale);
    let mut frames = Frames::open(&spec, &mut input_files, network, limit, scale)?;

    let label_spec = options.labels.as_deref().map(ArraySpec::parse);
    let mut label_file = label_spec.as_ref().map(|spec| ArrayFile::open(&spec.path)).transpose()?;
    let mut labels = match (&mut label_file, &label_spec) {
        (Some(file), Some(spec)) => Some(Labels::new(file.open_array(spec, Some("y"))?, network, frames.count())?),
        _ => None,
    };
    let reference_spec = options.reference.as_deref().map(ArraySpec::parse);
    let mut reference_files = match &reference_spec {
        Some(spec) => {
            check_reference(spec, network)?;
            network.outputs().iter().map(|_| ArrayFile::open(&spec.path)).collect::<Result<Vec<_>, _>>()?
        }
        None => Vec::new(),
    };
    let tolerance = options.tolerance.map_or_else(Tolerance::default, Tolerance::Absolute);
    let mut reference = match &reference_spec {
        Some(spec) => {
            let ends = reference_files.iter_mut().zip(network.outputs());
            let streams: Vec<_> =
                ends.map(|(file, output)| file.open_array(spec, Some(&output.name))).collect::<Result<_, _>>()?;
            Some(Reference::new(streams, network, frames.count(), tolerance)?)
        }
        None => None,
    };
    let mut writer = options.output.as_deref().map(|path| OutputWriter::new(path, network)).transpose()?;

    let evaluator = Evaluator::new(network);
    let bar = progress::bar(frames.count(), "golden model", as_json);
    let (mut done, mut time) = (0u64, Duration::ZERO);
    loop {
        interrupt.check()?;
        let batch = frames.next_batch(BATCH_FRAMES)?;
        if batch.is_empty() {
            break;
        }
        let start = Instant::now();
        let outputs = evaluator.outputs(&batch).map_err(|error| cannot_evaluate(&error.source))?;
        time += start.elapsed();
        let is_read = labels.is_some() || reference.is_some() || writer.is_some();
        let reals = |output: &Vec<i64>| self::reals(network, output);
        let reals: Vec<Vec<f64>> = if is_read { outputs.iter().map(reals).collect() } else { Vec::new() };
        if let Some(labels) = &mut labels {
            labels.compare(&outputs, &reals)?;
        }
        if let Some(reference) = &mut reference {
            reference.compare(&evaluator, &batch, &reals, &interrupt)?;
        }
        if let Some(writer) = &mut writer {
            writer.push(network, &outputs, &reals)?;
        }
        done += batch.len() as u64;
        bar.set_position(done);
    }
    bar.finish_and_clear();
    interrupt.check()?;
    if let Some(writer) = writer {
        writer.archive.finish()?;
    }

    let rate = if time.is_zero() { None } else { Some((done as f64 / time.as_secs_f64()).round()) };
    let accuracy = labels.as_ref().map(|labels| labels.accuracy());
    let ok = reference.as_ref().is_none_or(|reference| reference.report.unexplained == 0);
    if as_json {
        let report = json!({
            "frames": done,
            "mode": mode,
            "accuracy": accuracy,
            "correct": labels.as_ref().map(|labels| labels.correct),
            "ties": labels.as_ref().map(|labels| labels.ties),
            "reference": reference.as_ref().map(|reference| &reference.report),
            "output": options.output.as_ref().map(|path| path.display().to_string()),
            "frames_per_second": rate,
            "ok": ok,
        });
        print(&format!("{report:#}\n"))?;
    } else {
        let in_mode = if loaded.network.mode_count() > 1 { format!(" in mode {mode}") } else { String::new() };
        let mut text = format!("{done} frames of {}{in_mode}\n", network.name());
        if let (Some(labels), Some(accuracy)) = (&labels, accuracy) {
            let Labels { correct, ties, .. } = labels;
            let _ = writeln!(text, "accuracy {:.2} %: {correct} of {done} right, {ties} ties", accuracy * 100.0);
        }
        if let Some(reference) = &reference {
            let _ = write!(text, "{}", reference.report);
        }
        if let Some(path) = &options.output {
            let _ = writeln!(text, "wrote {}", path.display());
        }
        if let Some(rate) = rate {
            let _ = writeln!(text, "{rate} frames/s");
        }
        print(&text)?;
    }
    if ok { Ok(()) } else { Err(Failure::Check) }
}

/// A mode that the network has.
pub fn check_mode(network: &Network, mode: usize) -> Result<usize, Diagnostic> {
    let count = network.mode_count();
    if mode < count {
        return Ok(mode);
    }
    let message = format!("`{}` has {count} modes, none is {mode}", network.name());
    Err(Diagnostic::new(Code::Modes, Place::default(), message, "modes count from 0"))
}

/// One array cannot be the reference of several outputs.
fn check_reference(spec: &ArraySpec, network: &Network) -> Result<(), Diagnostic> {
    match (&spec.array, network.outputs()) {
        (Some(array), [_, _, ..]) => Err(Diagnostic::new(
            Code::FramesShape,
            Place::file(spec.path.display().to_string()),
            format!("`{array}` cannot be the reference of {} outputs", network.outputs().len()),
            "leave the array out; each output is compared with the array of its name",
        )),
        _ => Ok(()),
    }
}

/// The results on their way to an archive.
struct OutputWriter {
    archive: ArchiveWriter,
    /// For each output its arrays of reals and of integers.
    arrays: Vec<[usize; 2]>,
}

impl OutputWriter {
    fn new(path: &Path, network: &Network) -> Result<OutputWriter, Diagnostic> {
        let mut archive = ArchiveWriter::new(path)?;
        let mut arrays = Vec::with_capacity(network.outputs().len());
        for output in network.outputs() {
            let shape = network.output_tensor(output).shape;
            let axes =
                if shape.positions() == 1 { vec![shape.channels] } else { user_axes(output.axes, shape).to_vec() };
            let name = if output.name.is_empty() || output.name == "integers" { "output" } else { &output.name };
            let integers = match network.outputs() {
                [_] => "integers".to_owned(),
                _ => format!("{name}.integers"),
            };
            arrays.push([archive.add_array(name, true, axes.clone())?, archive.add_array(&integers, false, axes)?]);
        }
        Ok(OutputWriter { archive, arrays })
    }

    fn push(&mut self, network: &Network, outputs: &[Vec<i64>], reals: &[Vec<f64>]) -> Result<(), Diagnostic> {
        for (integers, reals) in outputs.iter().zip(reals) {
            let mut start = 0;
            for (output, [real_array, integer_array]) in network.outputs().iter().zip(&self.arrays) {
                let shape = network.output_tensor(output).shape;
                let end = start + shape.elements() as usize;
                self.archive.push_floats(*real_array, reals.get(start..end).unwrap_or(&[]))?;
                let integers = to_model_order(output.axes, shape, integers.get(start..end).unwrap_or(&[]));
                self.archive.push_integers(*integer_array, &integers)?;
                start = end;
            }
        }
        Ok(())
    }
}
