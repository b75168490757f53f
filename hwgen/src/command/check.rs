//! `hwgen check`: everything that emitting would check, without writing anything.

use crate::cli::CheckOptions;
use crate::failure::Outcome;
use crate::hardware;
use crate::interrupt::Interrupt;
use crate::output::print;
use crate::plan_file;
use crate::table::{buffer_table, buffers_json, layer_table};
use serde_json::json;

/// Reads, builds, binds and lowers a plan and shows the layer table.
pub fn run(options: &CheckOptions, as_json: bool) -> Outcome<()> {
    let loaded = plan_file::load(&options.plan)?;
    let hardware = hardware::of_plan(&loaded, &Interrupt::listen(|| {}))?;
    let untimed = hardware.design.check_untimed().map_err(|error| hardware.cannot_predict(&error))?;
    let timing = hardware.timing()?;
    let buffers = hardware.design.join_buffers();
    if as_json {
        let report = json!({
            "plan": options.plan.display().to_string(),
            "name": loaded.network.name(),
            "plan_sha256": loaded.sha256,
            "timing": timing,
            "no_stall_pattern_stops_it": untimed.period_frames.is_some(),
            "layers": hardware.rows(),
            "join_buffers": buffers_json(&buffers),
            "outputs": hardware.design.output_ports(),
        });
        return Ok(print(&format!("{report:#}\n"))?);
    }
    Ok(print(&format!(
        "{}{}{} is good: {} predicted cycles for a frame, then one every {}{}\n",
        layer_table(hardware.rows()),
        buffer_table(&buffers),
        options.plan.display(),
        timing.first_frame_cycles,
        timing.initiation_interval_cycles,
        if untimed.period_frames.is_some() { "; no stall pattern can stop it" } else { "" }
    ))?)
}
