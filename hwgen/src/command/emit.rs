//! `hwgen emit`: a plan becomes a folder of Verilog.

use crate::cli::EmitOptions;
use crate::failure::Outcome;
use crate::hardware;
use crate::interrupt::Interrupt;
use crate::output::{check_folder, print, write_folder};
use crate::plan_file;
use crate::table::{buffer_table, buffers_json, layer_table};
use serde_json::json;

/// Emits whole or not at all.
pub fn run(options: &EmitOptions, as_json: bool) -> Outcome<()> {
    let interrupt = Interrupt::listen(|| {});
    check_folder(&options.output, options.force)?;
    let loaded = plan_file::load(&options.plan)?;
    interrupt.check()?;
    let hardware = hardware::of_plan(&loaded, &interrupt)?;
    interrupt.check()?;
    let artifact = hardware.emit(&loaded)?;
    interrupt.check()?;
    write_folder(&options.output, &artifact.files, options.force)?;
    let buffers = hardware.design.join_buffers();
    let (manifest, timing) = (&artifact.manifest, artifact.manifest.timing);
    if as_json {
        let report = json!({
            "folder": options.output.display().to_string(),
            "files": artifact.files.keys().collect::<Vec<_>>(),
            "top": manifest.top,
            "plan_sha256": manifest.plan_sha256,
            "timing": timing,
            "layers": manifest.layers,
            "join_buffers": buffers_json(&buffers),
            "outputs": manifest.outputs,
        });
        return Ok(print(&format!("{report:#}\n"))?);
    }
    Ok(print(&format!(
        "{}{}{} predicted cycles for a frame, then one every {}\nwrote {} files to {}; the top is {}\n",
        layer_table(&manifest.layers),
        buffer_table(&buffers),
        timing.first_frame_cycles,
        timing.initiation_interval_cycles,
        artifact.files.len(),
        options.output.display(),
        manifest.top
    ))?)
}
