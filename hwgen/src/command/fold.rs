//! `hwgen fold`: foldings of all layers together, for a goal.

use crate::cli::FoldOptions;
use crate::failure::Outcome;
use crate::fold::{Answer, Goal, Ground, Next, Point, plan_goal};
use crate::interrupt::Interrupt;
use crate::output::print;
use crate::plan_file::{self, LoadedPlan};
use crate::progress;
use crate::table::{align, layer_table};
use hdl_gen::cost::Device;
use hdl_gen::fold::{RESOURCES, Usage};
use network::diagnostic::At;
use network::plan::{Budget, Target};
use network::{Code, Diagnostic, Network, Place};
use serde_json::{Value, json};
use std::path::Path;

/// Chooses foldings, reports them, and writes the plan where asked.
pub fn run(options: &FoldOptions, as_json: bool) -> Outcome<()> {
    // The exact search asks nobody whether to stop.
    let interrupt = Interrupt::ending();
    let loaded = plan_file::load(&options.plan)?;
    let target = &loaded.plan.target;
    let goal = goal(options, target)?;
    let ground = Ground::of(&loaded, &options.ground)?;
    let site = ground.site(ground.part_named, &interrupt);
    let Ground { network, device, clock_mhz, .. } = &ground;
    let spinner = progress::spinner("folding", as_json);
    let answer = site.answer(goal);
    spinner.finish_and_clear();
    let answer = answer?;
    interrupt.check()?;
    if let Some(output) = &options.output {
        interrupt.writing(|| write_plan(output, &loaded, &answer.point, &ground, goal))?;
    }
    let view = View { options, network, device, clock_mhz: *clock_mhz, answer: &answer, goal };
    let text = if as_json { format!("{:#}\n", view.json()) } else { view.text() };
    Ok(print(&text)?)
}

/// What is asked for: on the command line, or by the plan.
fn goal(options: &FoldOptions, target: &Target) -> Result<Goal, Diagnostic> {
    if let Some(fps) = options.fps {
        return Ok(Goal::Rate(fps));
    }
    if let Some(limits) = options.budget {
        return Ok(Goal::Budget(limits));
    }
    if let Some(us) = options.latency {
        return Ok(Goal::Latency(us));
    }
    plan_goal(target).ok_or_else(|| {
        let help = "give --fps, --budget or --latency, or `fps` or `budget` under `target` in the plan";
        Diagnostic::new(Code::Budget, Place::default(), "nothing says what the foldings are for", help)
    })
}

/// Writes the plan with the chosen hardware, and its arrays beside it.
fn write_plan(path: &Path, loaded: &LoadedPlan, point: &Point, ground: &Ground, goal: Goal) -> Outcome<()> {
    let mut parts = point.bound.network().clone().into_parts();
    for (layer, request) in parts.layers.iter_mut().zip(point.bound.requests()) {
        layer.hardware = request;
    }
    plan_file::write_again(path, loaded, &parts, target_of(ground, goal))
}

/// What the written plan says it is for: the goal that it was folded for, not the one it had before.
fn target_of(ground: &Ground, goal: Goal) -> Target {
    fn at<T>(value: T) -> Option<At<T>> {
        Some(At::new(value, Place::default()))
    }
    let mut target =
        Target { device: at(ground.device.name.clone()), clock_mhz: at(ground.clock_mhz), ..Target::default() };
    match goal {
        Goal::Rate(fps) => target.fps = at(fps),
        Goal::Budget(limits) => {
            let [lut, ff, dsp, bram36] = limits.map(|limit| limit.and_then(|limit| at(limit.ceil() as u64)));
            target.budget = Budget { lut, ff, dsp, bram36 };
        }
        Goal::Latency(_) => {}
    }
    target
}

/// Everything a report shows.
struct View<'a> {
    options: &'a FoldOptions,
    network: &'a Network,
    device: &'a Device,
    clock_mhz: f64,
    answer: &'a Answer,
    goal: Goal,
}

impl View<'_> {
    fn fps(&self, cycles: u64) -> f64 {
        self.clock_mhz * 1e6 / cycles.max(1) as f64
    }

    fn layer(&self, index: usize) -> &str {
        &self.network.layers()[index].name
    }

    fn json(&self) -> Value {
        let Answer { point, stop, next, baseline } = self.answer;
        let folding = point.folding.as_ref();
        let next = next.as_ref().map(|next| match next {
            Next::Point(cycles, usage) => {
                json!({ "layer_cycles": cycles, "frames_per_second": self.fps(*cycles), "usage": usage_json(usage) })
            }
            Next::Impossible(cycles, why) => json!({
                "layer_cycles": cycles,
                "frames_per_second": self.fps(*cycles),
                "breaks": why.broken.iter().map(|&resource| RESOURCES[resource]).collect::<Vec<_>>(),
                "usage": usage_json(&why.nearest),
                "layer": why.layer.map(|layer| self.layer(layer)),
            }),
            Next::TooSlow(layer, cycles) => json!({ "layer": self.layer(*layer), "least_cycles": cycles }),
        });
        json!({
            "plan": self.options.plan.display().to_string(),
            "device": self.device.name,
            "clock_mhz": self.clock_mhz,
            "goal": match self.goal {
                Goal::Rate(fps) => json!({ "fps": fps }),
                Goal::Budget(limits) => json!({ "budget": RESOURCES.iter().zip(limits).collect::<std::collections::BTreeMap<_, _>>() }),
                Goal::Latency(us) => json!({ "latency_us": us }),
            },
            "point": self.point_json(point),
            "lut": folding.map(|f| json!({ "value": f.lut.0, "bound": f.lut.1 })),
            "peak": folding.and_then(|f| f.peak).map(|p| json!({ "value": p.value, "bound": p.bound })),
            "gap": folding.map(|f| f.gap()),
            "proved": folding.map(|f| f.proved),
            "limit": {
                "resource": RESOURCES[stop.resource],
                "share": stop.share,
                "layer": self.layer(stop.slowest),
                "layer_cycles": point.slowest.0,
            },
            "next": next,
            "greedy": baseline.as_ref().map(|point| self.point_json(point)),
            "layers": point.design.rows(),
            "output": self.options.output.as_ref().map(|path| path.display().to_string()),
        })
    }

    fn point_json(&self, point: &Point) -> Value {
        json!({
            "frames_per_second": self.fps(point.interval_cycles()),
            "initiation_interval_cycles": point.interval_cycles(),
            "predicted": point.timing.is_some(),
            "latency_us": point.timing.map(|timing| timing.first_frame_cycles as f64 / self.clock_mhz),
            "usage": usage_json(&point.usage),
            "solver_usage": point.solver.as_ref().map(usage_json),
        })
    }

    fn text(&self) -> String {
        let Answer { point, stop, next, baseline } = self.answer;
        let mut text = layer_table(point.design.rows());
        text.push('\n');
        let mut rows = vec![["", "frames/s", "LUT", "FF", "DSP", "BRAM36"].map(str::to_owned).to_vec()];
        let row = |name: &str, fps: f64, usage: &Usage| {
            let mut row = vec![name.to_owned(), format!("{fps:.1}")];
            row.extend(usage.0.iter().zip([0, 0, 0, 1]).map(|(amount, digits)| format!("{amount:.digits$}")));
            row
        };
        rows.push(row("chosen", self.fps(point.interval_cycles()), &point.usage));
        if let Some(usage) = &point.solver {
            rows.push(row("solver's choice", self.fps(point.interval_cycles()), usage));
        }
        if let Some(point) = baseline {
            rows.push(row("greedy", self.fps(point.interval_cycles()), &point.usage));
        }
        if let Some(Next::Point(cycles, usage)) = next {
            rows.push(row("next quicker", self.fps(*cycles), usage));
        }
        text.push_str(&align(&rows, &[1, 2, 3, 4, 5]));
        text.push('\n');
        if let Some(folding) = &point.folding {
            let what = match folding.peak {
                Some(peak) => format!(
                    "largest share of {} {:.3} %, at least {:.3} %",
                    self.device.name,
                    100.0 * peak.value,
                    100.0 * peak.bound
                ),
                None => format!("{:.0} LUT, at least {:.0}", folding.lut.0, folding.lut.1),
            };
            let proved = if folding.proved { "proved" } else { "not proved" };
            text.push_str(&format!(
                "{what} with no layer above {} cycles: gap {:.1e}, {proved}\n",
                folding.target_cycles,
                folding.gap()
            ));
            if point.solver.is_some() {
                text.push_str(
                    "the whole design was then bettered layer by layer, since adapters between layers count too\n",
                );
            }
        }
        text.push_str(&format!(
            "stopped by {} ({:.1} % of what there is) and by layer {} ({} cycles a frame)\n",
            RESOURCES[stop.resource],
            100.0 * stop.share,
            self.layer(stop.slowest),
            point.slowest.0
        ));
        match next {
            Some(Next::Point(cycles, usage)) => {
                let more = usage.beyond(point.usage).0[0];
                text.push_str(&format!("layers of {cycles} cycles would cost {more:+.0} LUT\n"));
            }
            Some(Next::Impossible(cycles, why)) => {
                let broken: Vec<String> =
                    why.broken.iter().map(|&r| format!("{}={:.0}", RESOURCES[r], why.nearest.0[r].ceil())).collect();
                text.push_str(&format!("layers of {cycles} cycles would need {}\n", broken.join(", ")));
            }
            Some(Next::TooSlow(layer, cycles)) => {
                text.push_str(&format!("layer {} cannot take fewer than {cycles} cycles\n", self.layer(*layer)));
            }
            None => {}
        }
        match point.timing {
            Some(timing) => text.push_str(&format!(
                "{} predicted cycles for a frame ({:.2} us at {} MHz), then one every {}\n",
                timing.first_frame_cycles,
                timing.first_frame_cycles as f64 / self.clock_mhz,
                self.clock_mhz,
                timing.initiation_interval_cycles
            )),
            None => {
                text.push_str("the rate is that of the slowest layer; `hwgen simulate --model` predicts the design\n")
            }
        }
        if let Some(output) = &self.options.output {
            text.push_str(&format!("wrote {}\n", output.display()));
        }
        text
    }
}

/// A usage by names.
pub fn usage_json(usage: &Usage) -> Value {
    RESOURCES
        .iter()
        .zip(usage.0)
        .map(|(name, amount)| ((*name).to_owned(), json!(amount)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
