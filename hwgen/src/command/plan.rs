//! `hwgen plan`: a trained model becomes a plan with its arrays.

pub mod allocation;
mod modes;
pub mod quantize;
mod sizes;

use crate::arrays::ArraySpec;
use crate::cli::{ModelOptions, PlanOptions};
use crate::failure::Outcome;
use crate::frames::Frames;
use crate::hardware;
use crate::interrupt::Interrupt;
use crate::output::{cannot_write, print, write_files};
use crate::plan_file::{self, read_model};
use crate::progress;
use crate::table::layer_table;
use allocation::Goal;
use network::diagnostic::At;
use network::graph::HardwareRequest;
use network::plan::{Provenance, WriteOptions, Written, write};
use network::{Code, Diagnostic, Format, Network, Place};
use quantizer::{ImportOptions, InputGrid, import};
use serde_json::json;
use std::io;
use std::path::Path;

/// Frames that modes are measured on at most.
const MODE_FRAMES: u64 = 128;

/// Imports, chooses hardware, and writes both files.
pub fn run(options: &PlanOptions, as_json: bool) -> Outcome<()> {
    // Reconstruction and exact searches ask nobody whether to stop.
    let interrupt = Interrupt::ending();
    let source = &options.source;
    let model_name = source.model.display().to_string();
    let Some(stem) = options.output.file_stem() else {
        return Err(cannot_write(&options.output, &io::Error::other("is not the name of a file")).into());
    };
    let arrays_name = format!("{}.arrays.safetensors", stem.to_string_lossy());
    let (bytes, model_sha256) = read_model(&source.model)?;
    let post_training = quantize::post_training(source, &bytes)?;
    let input = match (&post_training, source.input_format) {
        (None, Some(format)) => Some(input_grid(source, format)?),
        (None, None) => stated_without_format(source).map_or(Ok(None), Err)?,
        (Some(_), _) => None,
    };
    let mut import_options = ImportOptions {
        name: options.name.clone(),
        input,
        qdq_rule: options.qdq_rule.into(),
        reading: source.reading.reading(),
        post_training,
        ..ImportOptions::default()
    };
    let mut allocated = None;
    if source.allocation.is_wanted() {
        let Some(post_training) = &import_options.post_training else {
            return Err(allocation::without_frames(&model_name).into());
        };
        let common = ImportOptions { post_training: None, ..import_options.clone() };
        let job = allocation::Job {
            bytes: &bytes,
            file: &model_name,
            import: &common,
            post_training,
            options: &source.allocation,
        };
        let chosen = allocation::choose(&job, &interrupt, as_json)?;
        import_options.post_training = Some(chosen.post_training.clone());
        allocated = Some(chosen);
    }
    let spinner = progress::spinner("importing", as_json);
    let imported = import(&bytes, &model_name, &import_options)?;
    interrupt.check()?;
    let mut network = Network::build(imported.parts).map_err(|faults| faults.in_file(&model_name))?;
    if !options.modes.is_empty() {
        network = with_modes(options, &network)?;
    }
    if let Some(goal) = allocated.as_ref().and_then(|chosen| chosen.goal.as_ref()) {
        let point = goal.fold(&network, &interrupt)?.map_err(|miss| allocation::missed(&model_name, &miss))?;
        network = with_foldings(network, point.bound.requests())?;
    }
    let hardware = hardware::figures(&network)?;
    interrupt.check()?;
    let sizes = import_options.post_training.as_ref().map(|_| sizes::Sizes::of(&network));
    let mut parts = network.into_parts();
    for (layer, request) in parts.layers.iter_mut().zip(hardware.bound.requests()) {
        layer.hardware = request;
        let depths = hardware.design.design().fifo_depths(&layer.name);
        layer.hardware.fifo = depths.map(|depths| At::new(depths, layer.place.clone()));
    }
    let provenance = Provenance { file: file_name(&source.model).unwrap_or_default(), sha256: Some(model_sha256) };
    let goal = allocated.as_ref().and_then(|chosen| chosen.goal.as_ref());
    let write_options = WriteOptions {
        target: goal.map(Goal::target).unwrap_or_default(),
        arrays_file: arrays_name.clone(),
        model: Some(provenance),
        origins: imported.origins,
        ..WriteOptions::default()
    };
    let written = write(&parts, &write_options)?;
    // A long run is predicted where it is asked for, with `simulate --model`.
    let timing = if hardware.design.is_long() { None } else { Some(hardware.timing()?) };
    spinner.finish_and_clear();
    interrupt.check()?;
    if let Some(chosen) = &mut allocated {
        confirm(chosen, &written, &options.output.display().to_string(), &interrupt)?;
    }
    let arrays_path = options.output.with_file_name(&arrays_name);
    let files: [(&Path, &[u8]); 2] = [(&arrays_path, &written.arrays), (&options.output, written.plan.as_bytes())];
    interrupt.writing(|| write_files(&files))?;
    if as_json {
        let report = json!({
            "plan": options.output.display().to_string(),
            "arrays": arrays_path.display().to_string(),
            "arrays_sha256": written.arrays_sha256,
            "notes": imported.notes,
            "timing": timing,
            "layers": hardware.rows(),
            "bytes": sizes.map(|sizes| sizes.json()),
            "allocation": allocated.as_ref().map(allocation::Chosen::json),
        });
        return Ok(print(&format!("{report:#}\n"))?);
    }
    let notes: String = imported.notes.iter().map(|note| format!("note: {note}\n")).collect();
    Ok(print(&format!(
        "{}{notes}{}{}{}wrote {} and {}\n",
        allocated.map_or(String::new(), |chosen| chosen.text()),
        layer_table(hardware.rows()),
        sizes.map_or(String::new(), |sizes| sizes.text()),
        timing.map_or(String::new(), |timing| format!(
            "{} predicted cycles for a frame, then one every {}\n",
            timing.first_frame_cycles, timing.initiation_interval_cycles
        )),
        options.output.display(),
        arrays_path.display()
    ))?)
}

/// The network with these wishes, as a plan states them.
fn with_foldings(network: Network, requests: Vec<HardwareRequest>) -> Outcome<Network> {
    let mut parts = network.into_parts();
    parts.layers.iter_mut().zip(requests).for_each(|(layer, request)| layer.hardware = request);
    Ok(Network::build(parts)?)
}

/// Prices what is about to be written and predicts its rate again, as `estimate` would.
fn confirm(chosen: &mut allocation::Chosen, written: &Written, name: &str, interrupt: &Interrupt) -> Outcome<()> {
    let Some(goal) = &chosen.goal else { return Ok(()) };
    let figures = hardware::figures_of_plan(&plan_file::read_back(written, name)?, interrupt)?;
    chosen.hardware = goal.confirmed(&figures, name)?;
    Ok(())
}

/// The network with the modes that were asked for.
fn with_modes(options: &PlanOptions, network: &Network) -> Outcome<Network> {
    let Some(text) = options.mode_frames.as_ref().or(options.source.quantize.calibration.first()) else {
        return Err(Diagnostic::new(
            Code::Modes,
            Place::default(),
            "modes are measured on frames, and there are none",
            "give --mode-frames FILE:ARRAY",
        )
        .into());
    };
    let spec = ArraySpec::parse(text);
    let mut files = Vec::new();
    let scale = if options.mode_frames.is_some() { options.mode_frame_scale } else { None };
    let mut frames = Frames::open(&spec, &mut files, network, Some(MODE_FRAMES), scale)?;
    let frames = frames.next_batch(MODE_FRAMES as usize)?;
    Ok(Network::build(modes::add_modes(network, &options.modes, &frames)?)?)
}

/// The input's grid, for a model that is quantized.
fn input_grid(options: &ModelOptions, format: Format) -> Result<InputGrid, Diagnostic> {
    let one = |list: &[f32], default: f32| match list {
        [] => Ok(default),
        [one] => Ok(*one),
        _ => Err(input_fault("a quantized model has one input scale", "give --input-scale a single number")),
    };
    let scale = one(&options.input_scale, 1.0)?;
    let zero_point = match options.input_offset.as_slice() {
        [] => options.input_zero_point,
        offsets => {
            let zero = -one(offsets, 0.0)? / scale;
            if (zero - zero.round()).abs() > 1e-4 || zero.abs() > 65535.0 {
                let message = format!("real zero would be input code {zero}");
                return Err(input_fault(&message, "give an offset that is a multiple of the scale"));
            }
            zero.round() as i64
        }
    };
    Ok(InputGrid { format, scale, zero_point })
}

/// The fault of scales and offsets whose codes have no format.
fn stated_without_format(options: &ModelOptions) -> Option<Diagnostic> {
    let stated = !options.input_scale.is_empty() || !options.input_offset.is_empty() || options.input_zero_point != 0;
    stated.then(|| input_fault("an input scale without the codes' format", "give --input-format, such as u8"))
}

fn input_fault(message: &str, help: &str) -> Diagnostic {
    Diagnostic::new(Code::ModelQuantizer, Place::default(), message, help)
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}
