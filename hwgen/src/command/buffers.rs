//! `hwgen buffers`: the least depths of the FIFOs in front of joins.
//!
//! A plan gives every depth. Where trials are cheap `plan` has found the least ones itself; of a large network it writes
//! what one run showed to be enough, and this command makes the trials.

use crate::cli::BuffersOptions;
use crate::failure::{Failure, Outcome};
use crate::hardware;
use crate::interrupt::Interrupt;
use crate::output::print;
use crate::plan_file;
use crate::progress;
use crate::table::{buffer_table, buffers_json};
use hdl_gen::JoinBuffer;
use network::diagnostic::At;
use serde_json::json;

/// Searches, reports, and writes the plan where asked.
pub fn run(options: &BuffersOptions, as_json: bool) -> Outcome<()> {
    let interrupt = Interrupt::listen(|| {});
    let loaded = plan_file::load(&options.plan)?;
    let hardware = hardware::of_plan(&loaded, &interrupt)?;
    let before = bits(&hardware.design.join_buffers());
    let bar = progress::bar(0, "searching depths", as_json);
    let found = hardware.design.with_least_buffers(&mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
        interrupt.check().is_ok()
    });
    bar.finish_and_clear();
    interrupt.check()?;
    let design = found.map_err(|error| hardware.cannot_predict(&error))?.ok_or(Failure::Interrupted)?;
    let buffers = design.join_buffers();
    if let Some(path) = &options.output {
        let mut parts = loaded.network.clone().into_parts();
        for layer in &mut parts.layers {
            let depths = design.fifo_depths(&layer.name);
            layer.hardware.fifo = depths.map(|depths| At::new(depths, layer.place.clone()));
        }
        plan_file::write_again(path, &loaded, &parts, loaded.plan.target.clone())?;
    }
    if as_json {
        let report = json!({
            "plan": options.plan.display().to_string(),
            "bits_before": before,
            "bits": bits(&buffers),
            "join_buffers": buffers_json(&buffers),
        });
        return Ok(print(&format!("{report:#}\n"))?);
    }
    let wrote = options.output.as_ref().map_or(String::new(), |path| format!("wrote {}\n", path.display()));
    Ok(print(&format!(
        "{}{} bits in front of joins, {before} before; no FIFO can lose a word without a frame ending later\n{wrote}",
        buffer_table(&buffers),
        bits(&buffers),
    ))?)
}

/// Bits of all FIFOs together.
fn bits(buffers: &[JoinBuffer]) -> u64 {
    buffers.iter().map(JoinBuffer::bits).sum()
}
