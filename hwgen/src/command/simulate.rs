//! `hwgen simulate`: the Verilog in Verilator, every edge against the golden model, every cycle against the prediction.

mod model;
mod report;
mod source;

use crate::arrays::{ArrayFile, ArraySpec};
use crate::cli::SimulateOptions;
use crate::command::run::check_mode;
use crate::failure::{Failure, Outcome, cannot_evaluate};
use crate::frames::Frames;
use crate::hardware::{self, Hardware, cannot_predict, internal};
use crate::interrupt::Interrupt;
use crate::output::{cannot_write, folder_of, print, write_folder};
use crate::plan_file::{self, LoadedPlan};
use crate::progress;
use hdl_gen::{Bound, Design};
use network::{Code, Diagnostic, Place};
use simulator::{
    BuildOptions, CacheDir, CacheUse, Cancel, DesignFolder, Model, SimulatorError, Tools, Trace, TraceFormat, TraceFrom,
};
use source::FrameSource;
use std::path::Path;
use testbench::cosimulate::{CosimulateError, Cosimulation, Settings, cosimulate};

/// Frames that are simulated where neither a file nor a number is given.
const DEFAULT_RANDOM_FRAMES: u64 = 8;

/// Simulates and reports; fails the check where anything differs.
pub fn run(options: &SimulateOptions, as_json: bool) -> Outcome<()> {
    if options.model {
        return model::run(options, as_json);
    }
    let cancel = Cancel::new();
    let on_signal = cancel.clone();
    let interrupt = Interrupt::listen(move || on_signal.cancel());
    let trace_format = options.trace.as_deref().map(check_trace).transpose()?;
    let loaded = plan_file::load(&options.plan)?;
    check_modes(&loaded, options)?;
    let spec = options.input.as_deref().map(ArraySpec::parse);
    open_source(options, &loaded, spec.as_ref(), &mut Vec::new())?;
    let hardware = hardware::of_plan(&loaded, &interrupt)?;
    interrupt.check()?;

    let folder = tempfile::tempdir().map_err(|error| cannot_write(&std::env::temp_dir(), &error))?;
    let design = folder.path().join("design");
    let artifact = hardware.emit(&loaded)?;
    write_folder(&design, &artifact.files, false)?;
    let tools = Tools::locate().map_err(failure)?;
    let cache = CacheDir::from_environment().map_err(failure)?;
    let build = BuildOptions { trace: trace_format, cancel: cancel.clone(), ..BuildOptions::default() };
    let spinner = progress::spinner("building the Verilator model", as_json);
    let designs = vec![DesignFolder::new(&design, artifact.manifest.clone()).map_err(failure)?];
    let model = Model::build(&tools, designs, &cache, &build).map_err(failure)?;
    spinner.finish_and_clear();

    let simulate = |settings: &Settings| -> Outcome<Cosimulation> {
        let mut files = Vec::new();
        let source = open_source(options, &loaded, spec.as_ref(), &mut files)?;
        simulate_once(&loaded, &hardware, &model, settings, source, as_json)
    };
    let mut settings = Settings::new().with_stalls(options.stall, options.seed);
    settings.modes = options.modes.clone();
    settings.cancel = cancel;
    let result = simulate(&settings)?;
    if let Some(path) = &options.trace {
        let failing = first_failing_frame(&result);
        settings.trace = Some(Trace {
            path: path.clone(),
            from: failing.map_or(TraceFrom::Reset, TraceFrom::Frame),
            cycles: failing.map(|_| artifact.manifest.timing.first_frame_cycles.saturating_mul(4).max(4096)),
        });
        simulate(&settings)?;
    }
    interrupt.check()?;
    let report = report::Report {
        options,
        network: &loaded.network,
        ports: &artifact.manifest.outputs,
        result: &result,
        modes: mode_figures(&hardware.bound, &hardware.design)?,
        is_cached: model.cache_use() == CacheUse::Hit,
        traced_from: options.trace.as_ref().map(|_| first_failing_frame(&result).unwrap_or(0)),
    };
    print(&if as_json { format!("{:#}\n", report.json()) } else { report.to_string() })?;
    if result.is_good() { Ok(()) } else { Err(Failure::Check) }
}

/// What a frame costs in one mode.
pub struct ModeFigures {
    /// Predicted timing of frames that all have the mode.
    pub timing: network::manifest::Timing,
    /// Products of single bits of a frame.
    pub bit_products: u64,
}

/// The figures of each mode; nothing where there are no modes.
pub fn mode_figures(bound: &Bound, design: &Design) -> Result<Vec<ModeFigures>, Diagnostic> {
    let count = if design.modes() > 1 && !design.is_long() { design.modes() as u8 } else { 0 };
    let figures = |mode| {
        let timing = design.mode_timing(mode).map_err(|fault| cannot_predict(&fault))?;
        Ok(ModeFigures { timing, bit_products: bound.bit_products(usize::from(mode)) })
    };
    (0..count).map(figures).collect()
}

/// Every mode that was asked for is one of the network's.
pub fn check_modes(loaded: &LoadedPlan, options: &SimulateOptions) -> Result<(), Diagnostic> {
    let modes = options.modes.iter();
    modes.map(|&mode| check_mode(&loaded.network, usize::from(mode))).try_for_each(|mode| mode.map(drop))
}

fn simulate_once(
    loaded: &LoadedPlan,
    hardware: &Hardware,
    model: &Model,
    settings: &Settings,
    source: FrameSource<'_>,
    as_json: bool,
) -> Outcome<Cosimulation> {
    let bar = progress::bar(source.len() as u64, "simulating", as_json);
    let fault = source.fault();
    let result = cosimulate(&loaded.network, &hardware.design, model, settings, source, &mut |frames| {
        bar.set_position(frames);
    });
    bar.finish_and_clear();
    if let Some(fault) = fault.take() {
        return Err(fault.into());
    }
    result.map_err(|error| match error {
        CosimulateError::Simulator(error) => failure(error),
        CosimulateError::Mode(faults) => faults.into(),
        CosimulateError::Evaluate(error) => cannot_evaluate(&error).into(),
        CosimulateError::Judge(error) => internal(&error).into(),
        CosimulateError::Predict(error) => hardware.cannot_predict(&error).into(),
    })
}

/// The frames that were asked for; `files` keep the archive open.
fn open_source<'a>(
    options: &SimulateOptions,
    loaded: &'a LoadedPlan,
    spec: Option<&ArraySpec>,
    files: &'a mut Vec<ArrayFile>,
) -> Outcome<FrameSource<'a>> {
    let network = &loaded.network;
    let Some(spec) = spec else {
        let frames = options.frames.frames.unwrap_or(DEFAULT_RANDOM_FRAMES);
        return Ok(FrameSource::random(network, options.seed, frames));
    };
    let (limit, scale) = (options.frames.frames, options.frames.input_scale);
    Ok(FrameSource::file(Frames::open(spec, files, network, limit, scale)?))
}

/// The earliest frame with anything wrong.
fn first_failing_frame(result: &Cosimulation) -> Option<u64> {
    if result.is_good() {
        return None;
    }
    let mismatch = result.verdict.first().map(|(_, mismatch)| mismatch.frame);
    let cycle = result.verdict.cycle_differences.first().map(|difference| difference.frame);
    let earliest = mismatch.into_iter().chain(cycle).min();
    Some(earliest.unwrap_or(result.report.frames).min(result.verdict.frames.saturating_sub(1)))
}

/// Refuses a trace that could not be written, before anything is built.
fn check_trace(path: &Path) -> Result<TraceFormat, Diagnostic> {
    let format = TraceFormat::of(path).map_err(|_| {
        Diagnostic::new(
            Code::OutputWrite,
            Place::file(path.display().to_string()),
            "is the name of no known trace format",
            "let the name end in .vcd or .fst",
        )
    })?;
    tempfile::tempfile_in(folder_of(path)).map_err(|error| cannot_write(path, &error))?;
    Ok(format)
}

/// Faults of the simulator as users see them.
fn failure(error: SimulatorError) -> Failure {
    let fault = |code, help: &str| Diagnostic::new(code, Place::default(), error.to_string(), help).into();
    match &error {
        SimulatorError::Cancelled => Failure::Interrupted,
        SimulatorError::Tool { program, problem, help } => {
            Diagnostic::new(Code::ToolMissing, Place::default(), format!("{program} {problem}"), help.clone()).into()
        }
        SimulatorError::Io { path, source } => cannot_write(path, source).into(),
        SimulatorError::Refused { .. } | SimulatorError::Broken { .. } => {
            fault(Code::ToolFailed, "the text above is the tool's own; report it with the plan")
        }
        SimulatorError::Design { .. } | SimulatorError::Request(_) => {
            fault(Code::ToolFailed, "this is a bug; please report the plan that shows it")
        }
    }
}
