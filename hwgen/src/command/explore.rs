//! `hwgen explore`: what rates cost, as a front.

mod picture;

use super::fold::usage_json;
use crate::cli::ExploreOptions;
use crate::failure::Outcome;
use crate::fold::{Ground, Point};
use crate::interrupt::Interrupt;
use crate::output::{print, write_files};
use crate::plan_file;
use crate::progress;
use crate::table::align;
use hdl_gen::fold::Usage;
use serde_json::json;

/// One point of the front.
pub struct Rate {
    /// Frames a second.
    pub fps: f64,
    /// Cycles from frame to frame.
    pub interval_cycles: u64,
    /// What the design takes.
    pub usage: Usage,
    /// By what share the peak may miss the best.
    gap: f64,
    /// The slowest layer.
    layer: String,
}

/// Folds for several rates, and keeps those that nothing beats.
pub fn run(options: &ExploreOptions, as_json: bool) -> Outcome<()> {
    // The exact search asks nobody whether to stop.
    let interrupt = Interrupt::ending();
    let loaded = plan_file::load(&options.plan)?;
    let ground = Ground::of(&loaded, &options.ground)?;
    let (device, clock_mhz) = (&ground.device, ground.clock_mhz);
    let site = ground.site(true, &interrupt);
    let spinner = progress::spinner("folding", as_json);
    let points = site.front(options.points as usize);
    spinner.finish_and_clear();
    let rate = |point: &Point| Rate {
        fps: clock_mhz * 1e6 / point.interval_cycles() as f64,
        interval_cycles: point.interval_cycles(),
        usage: point.usage,
        gap: point.folding.as_ref().map_or(0.0, hdl_gen::fold::Folding::gap),
        layer: loaded.network.layers()[point.slowest.1].name.clone(),
    };
    let rates = front(points?.iter().map(rate).collect());
    interrupt.check()?;
    let capacity = crate::fold::usage(&device.capacity);
    if let Some(path) = &options.svg {
        let title = format!("{} on {} at {clock_mhz} MHz", loaded.network.name(), device.name);
        let svg = picture::draw(&title, &rates, &capacity)?;
        interrupt.writing(|| write_files(&[(path, svg.as_bytes())]))?;
    }
    if as_json {
        let points = rates.iter().map(|rate| {
            json!({
                "frames_per_second": rate.fps,
                "initiation_interval_cycles": rate.interval_cycles,
                "usage": usage_json(&rate.usage),
                "gap": rate.gap,
                "slowest_layer": rate.layer,
            })
        });
        let report = json!({
            "plan": options.plan.display().to_string(),
            "device": device.name,
            "clock_mhz": clock_mhz,
            "capacity": usage_json(&capacity),
            "points": points.collect::<Vec<_>>(),
            "svg": options.svg.as_ref().map(|path| path.display().to_string()),
        });
        return Ok(print(&format!("{report:#}\n"))?);
    }
    let mut lines = vec![
        ["frames/s", "cycles", "LUT", "FF", "DSP", "BRAM36", "largest share", "gap", "slowest layer"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for rate in &rates {
        let [lut, ff, dsp, bram] = rate.usage.0;
        let share = rate.usage.0.iter().zip(capacity.0).filter(|(_, all)| *all > 0.0).map(|(used, all)| used / all);
        lines.push(vec![
            format!("{:.1}", rate.fps),
            rate.interval_cycles.to_string(),
            format!("{lut:.0}"),
            format!("{ff:.0}"),
            format!("{dsp:.0}"),
            format!("{bram:.1}"),
            format!("{:.1} %", 100.0 * share.fold(0.0, f64::max)),
            format!("{:.0e}", rate.gap),
            rate.layer.clone(),
        ]);
    }
    let drawn = options.svg.as_ref().map_or(String::new(), |path| format!("wrote {}\n", path.display()));
    Ok(print(&format!("{}{drawn}", align(&lines, &[0, 1, 2, 3, 4, 5, 6, 7])))?)
}

/// The points that no other one beats in rate, LUT, DSP and block RAM at once, slowest first.
fn front(mut rates: Vec<Rate>) -> Vec<Rate> {
    let beats = |a: &Rate, b: &Rate| {
        let measures = |rate: &Rate| [-rate.fps, rate.usage.0[0], rate.usage.0[2], rate.usage.0[3]];
        let pairs = || measures(a).into_iter().zip(measures(b));
        pairs().all(|(a, b)| a <= b) && pairs().any(|(a, b)| a < b)
    };
    let beaten: Vec<bool> = rates.iter().map(|rate| rates.iter().any(|other| beats(other, rate))).collect();
    let mut beaten = beaten.into_iter();
    rates.retain(|_| !beaten.next().unwrap_or(false));
    rates.sort_by(|a, b| a.fps.total_cmp(&b.fps));
    rates.dedup_by(|a, b| a.interval_cycles == b.interval_cycles && a.usage == b.usage);
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_points_that_nothing_beats_stay() {
        let rate = |fps: f64, lut: f64, dsp: f64| Rate {
            fps,
            interval_cycles: 1,
            usage: Usage([lut, 0.0, dsp, 0.0]),
            gap: 0.0,
            layer: String::new(),
        };
        let kept =
            front(vec![rate(10.0, 100.0, 0.0), rate(9.0, 100.0, 0.0), rate(5.0, 50.0, 0.0), rate(10.0, 80.0, 4.0)]);
        let found: Vec<(f64, f64)> = kept.iter().map(|rate| (rate.fps, rate.usage.0[0])).collect();
        assert_eq!(found, [(5.0, 50.0), (10.0, 100.0), (10.0, 80.0)]);
    }
}
