//! `hwgen estimate`: what a plan takes of a part, and how fast it is, before any synthesis.

mod compare;
pub mod device;
mod pnr;
mod report;
mod synth;
mod tool;

use crate::cli::EstimateOptions;
use crate::failure::Outcome;
use crate::hardware::{self, Hardware};
use crate::interrupt::Interrupt;
use crate::output::print;
use crate::plan_file;
use hdl_gen::cost::{ClockModel, Counts, Model, PATH_PARTS, Path, TERMS};
use report::Report;
use std::time::Duration;

/// Words that move in a frame up to which its cycles are predicted without being asked for: a fraction of a second.
const MOST_PREDICTED: u64 = 4_000_000;

/// Reads, binds, lowers and prices a plan.
pub fn run(options: &EstimateOptions, as_json: bool) -> Outcome<()> {
    let loaded = plan_file::load(&options.plan)?;
    let device = device::choose(options.device.as_deref(), &loaded.plan.target)?;
    let interrupt = Interrupt::listen(|| {});
    let figures = hardware::figures_of_plan(&loaded, &interrupt)?;
    if options.terms {
        return Ok(print(&terms(&figures.design, device.family))?);
    }
    let cells = device::cells(&device, options.liberty.as_deref())?;
    if options.pnr {
        pnr::check(&device)?;
    }
    let model = Model::of(device.family).map_err(|fault| device::no_model(&fault))?;
    let estimate = figures.design.estimate(&model);
    if options.paths {
        return Ok(print(&paths(&estimate.paths.0))?);
    }
    let clock_mhz = options.clock_mhz.or(loaded.plan.target.clock_mhz.as_ref().map(|at| at.value));
    let timing =
        if options.predict || figures.design.frame_words() <= MOST_PREDICTED { Some(figures.timing()?) } else { None };
    let clock = ClockModel::of(device.family).map_err(|fault| device::no_model(&fault))?;
    let models = (&model, clock.as_ref());
    let mut report = Report::new(&loaded, &figures, &device, models, &estimate, timing, clock_mhz);
    report.area = cells.map(|cells| report::Area::of(&estimate.total, cells));
    if options.synth || options.pnr {
        let limit = Duration::from_secs(options.timeout);
        let artifact = Hardware::of(figures.bound)?.emit(&loaded)?;
        report.synthesised = Some(match cells {
            Some(_) => synth::standard_cells(&artifact, options.liberty.as_deref(), limit, &interrupt)?,
            None => synth::synthesise(&artifact, device.family, limit, &interrupt)?,
        });
        if options.pnr {
            report.routed = Some(pnr::place_and_route(&artifact, &device, limit, &interrupt)?);
        }
    }
    let text = match (as_json, options.csv) {
        (true, _) => format!("{:#}\n", report.json()),
        (false, true) => report.csv(),
        (false, false) => report.table(),
    };
    Ok(print(&text)?)
}

/// What the longest paths are made of, one line each.
fn paths(paths: &[Path]) -> String {
    let line = |path: &Path| path.map(|depth| depth.to_string()).join(",");
    let lines: Vec<String> = paths.iter().map(line).collect();
    format!("{}\n{}\n", PATH_PARTS.join(","), lines.join("\n"))
}

/// What the model's figures are counted from, one line for each module of the top by itself, and one behind `flat` for the same
/// as part of the design.
fn terms(design: &hdl_gen::CountedDesign, family: hdl_gen::cost::Family) -> String {
    let mut text = format!("stage,ff,lut_memory,dsp,bram18,{}\n", TERMS.join(","));
    let line = |name: &str, counts: &Counts| {
        let exact = counts.exact;
        let figures = [exact.ff, exact.lut_memory, exact.dsp, exact.bram18];
        let figures: Vec<String> = figures.iter().chain(&counts.terms).map(f64::to_string).collect();
        format!("{name},{}\n", figures.join(","))
    };
    for stage in design.inventory() {
        text.push_str(&line(&stage.name, &Counts::alone(&stage.inventory, family)));
        text.push_str(&line(&format!("flat {}", stage.name), &Counts::of_stage(&stage, family)));
    }
    text
}
