//! `hwgen simulate --model`: the timing model alone, without Verilog and its tools.
//!
//! Words carry no data here, so frames are counted and nothing else; cycles are those that Verilator must show.

use super::DEFAULT_RANDOM_FRAMES;
use super::report::{modes_json, modes_text, outputs_json, outputs_text};
use crate::cli::SimulateOptions;
use crate::failure::{Failure, Outcome};
use crate::hardware::{self, cannot_predict, shallow_text, standstill_text};
use crate::interrupt::Interrupt;
use crate::output::print;
use crate::plan_file;
use crate::table::align;
use hdl_gen::timing::{Report, RunError, Stalls, Wait, WaitReason};
use hdl_gen::{Design, PredictError, ShallowBuffer};
use network::Code;
use serde_json::{Value, json};

/// Predicts and reports; fails the check where nothing moves any more.
pub fn run(options: &SimulateOptions, as_json: bool) -> Outcome<()> {
    let loaded = plan_file::load(&options.plan)?;
    super::check_modes(&loaded, options)?;
    let hardware = hardware::figures_of_plan(&loaded, &Interrupt::listen(|| {}))?;
    let design = hardware.design.design();
    let frames = options.frames.frames.unwrap_or(DEFAULT_RANDOM_FRAMES);
    let stalls = (options.stall > 0.0).then(|| Stalls::uniform(options.seed, options.stall));
    let modes = super::mode_figures(&hardware.bound, design)?;
    let request = Request { name: loaded.network.name(), options, frames, modes };
    match design.predict_modes(frames, stalls, &options.modes) {
        Ok(report) => {
            let document = request.good_json(design, &report);
            Ok(print(&if as_json { format!("{document:#}\n") } else { request.good_text(design, &report) })?)
        }
        Err(PredictError::Run(RunError::Deadlock { last_move, waits })) => {
            let shallow = design.shallow_buffers();
            let document = request.standstill_json(last_move, &waits, &shallow);
            let (code, why) = (Code::SimulationHang, shallow_text(&shallow));
            let text = format!("error[{code}]: {why}{}\n", standstill_text(last_move, &waits));
            print(&if as_json { format!("{document:#}\n") } else { text })?;
            Err(Failure::Check)
        }
        Err(fault) => Err(cannot_predict(&fault).into()),
    }
}

/// What was asked for.
struct Request<'a> {
    name: &'a str,
    options: &'a SimulateOptions,
    frames: u64,
    modes: Vec<super::ModeFigures>,
}

impl Request<'_> {
    fn good_json(&self, design: &Design, report: &Report) -> Value {
        let modules = design.stage_rows().into_iter().zip(&report.occupancy_max).map(|(row, held)| {
            json!({
                "name": row.name,
                "layer": row.layer,
                "module": row.module,
                "words_per_frame": row.words_per_frame,
                "most_words_held": held,
                "depth_words": row.depth,
            })
        });
        json!({
            "name": self.name,
            "ok": true,
            "frames": self.frames,
            "predicted_cycles": report.cycles(),
            "predicted_initiation_interval": report.complete_interval(),
            "outputs": outputs_json(&design.output_ports(), &report.frame_end_cycles),
            "frame_modes": self.options.modes,
            "modes": modes_json(&self.modes),
            "modules": modules.collect::<Vec<Value>>(),
            "stall": self.options.stall,
            "seed": self.options.seed,
            "deadlock": null,
        })
    }

    fn standstill_json(&self, last_move: Option<u64>, waits: &[Wait], shallow: &[ShallowBuffer]) -> Value {
        let wait = |wait: &Wait| json!({ "from": wait.from, "to": wait.to, "waits_for": waits_for(wait.reason) });
        let fifo = |buffer: &ShallowBuffer| {
            let ShallowBuffer { name, join, depth, enough } = buffer;
            json!({ "name": name, "join": join, "depth_words": depth, "enough_words": enough })
        };
        json!({
            "name": self.name,
            "ok": false,
            "frames": self.frames,
            "stall": self.options.stall,
            "seed": self.options.seed,
            "deadlock": {
                "last_move_cycle": last_move,
                "streams": waits.iter().map(wait).collect::<Vec<Value>>(),
                "shallow_fifos": shallow.iter().map(fifo).collect::<Vec<Value>>(),
            },
        })
    }

    fn good_text(&self, design: &Design, report: &Report) -> String {
        let header = ["layer", "module", "of", "words a frame", "most held", "depth"];
        let mut lines = vec![header.map(str::to_owned).to_vec()];
        for (row, held) in design.stage_rows().into_iter().zip(&report.occupancy_max) {
            let depth = row.depth.map_or("-".to_owned(), |depth| depth.to_string());
            lines.push(vec![row.layer, row.name, row.module, row.words_per_frame.to_string(), held.to_string(), depth]);
        }
        let interval = match report.complete_interval() {
            Some(interval) if self.options.stall == 0.0 => format!("; one frame every {interval}"),
            _ => String::new(),
        };
        format!(
            "{}{} frames, stall {}, seed {}, by the timing model alone\n{} cycles predicted{interval}\n{}{}",
            align(&lines, &[3, 4, 5]),
            self.frames,
            self.options.stall,
            self.options.seed,
            report.cycles(),
            modes_text(&self.modes),
            outputs_text(&design.output_ports(), &report.frame_end_cycles),
        )
    }
}

/// What a stream waits for, as programs read it.
fn waits_for(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::Room => "room",
        WaitReason::Word => "word",
        WaitReason::Both => "word_and_room",
    }
}
