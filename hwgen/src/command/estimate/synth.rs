//! `hwgen estimate --synth`: the real synthesis, to stand beside the estimate.

use crate::failure::Outcome;
use crate::hardware::Hardware;
use crate::interrupt::Interrupt;
use crate::output::cannot_write;
use crate::plan_file::LoadedPlan;
use hdl_gen::cost::{Family, Resources};
use network::{Code, Diagnostic, Place};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Look-up tables that a memory cell takes.
const MEMORY_CELLS: &[(&str, f64)] = &[
    ("SRL16E", 1.0),
    ("SRLC32E", 1.0),
    ("RAM32X1S", 1.0),
    ("RAM64X1S", 1.0),
    ("RAM32X1D", 2.0),
    ("RAM64X1D", 2.0),
    ("RAM128X1S", 2.0),
    ("RAM32M", 4.0),
    ("RAM64M", 4.0),
    ("RAM128X1D", 4.0),
    ("RAM256X1S", 4.0),
    ("RAM32M16", 8.0),
    ("RAM64M8", 8.0),
    ("TRELLIS_DPR16X4", 4.0),
    ("RAM16SDP4", 4.0),
];

/// Emits the design into a temporary folder, runs Yosys on it and counts the cells.
pub fn synthesise(
    loaded: &LoadedPlan,
    hardware: &Hardware,
    family: Family,
    limit: Duration,
    interrupt: &Interrupt,
) -> Outcome<Resources> {
    let artifact = hardware.emit(loaded)?;
    let top = &artifact.manifest.top;
    let Some(flow) = family.synthesis(top) else {
        return Err(failed(format!("there is no synthesis for family {}", family.name())).into());
    };
    let folder = tempfile::tempdir().map_err(|error| cannot_write(&std::env::temp_dir(), &error))?;
    for (path, bytes) in &artifact.files {
        let path = folder.path().join(path);
        let parent = path.parent().unwrap_or(folder.path());
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(|error| cannot_write(&path, &error))?;
    }
    let read: String =
        artifact.manifest.sources.iter().map(|source| format!("read_verilog -DSYNTHESIS {source}; ")).collect();
    let prepare = family.preparation();
    let script = format!("{read}hierarchy -check -top {top}; {prepare}{}; tee -q -o cells.txt stat", flow.join("; "));
    run(folder.path(), &script, limit, interrupt)?;
    let report = std::fs::read_to_string(folder.path().join("cells.txt"))
        .map_err(|_| failed("yosys ended without a fault, but wrote no statistics".to_owned()))?;
    Ok(count(&report))
}

fn run(folder: &Path, script: &str, limit: Duration, interrupt: &Interrupt) -> Outcome<()> {
    let log_path = folder.join("yosys.log");
    let open = || File::create(&log_path).map_err(|error| cannot_write(&log_path, &error));
    let (log, errors) = (open()?, open()?);
    let program = std::env::var_os("YOSYS").filter(|name| !name.is_empty()).unwrap_or_else(|| "yosys".into());
    let mut child = Command::new(&program)
        .args(["-q", "-p", script])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|error| {
            let help = "install it (Debian: apt-get install yosys) or set YOSYS to its path";
            let message = format!("{} does not run: {error}", program.to_string_lossy());
            Diagnostic::new(Code::ToolMissing, Place::default(), message, help)
        })?;
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                let log = std::fs::read_to_string(&log_path).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(3).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                return Err(failed(format!("yosys fails ({status}): {}", last.join(" / "))).into());
            }
            Ok(None) => {}
            Err(error) => return Err(failed(format!("yosys cannot be waited for: {error}")).into()),
        }
        let stopped = interrupt.check();
        if stopped.is_err() || start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            stopped?;
            return Err(failed(format!("yosys took longer than {} s", limit.as_secs())).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn failed(message: String) -> Diagnostic {
    let help = "run `hwgen emit`, and the script in the design's folder `synth` by hand; --timeout gives it more time";
    Diagnostic::new(Code::ToolFailed, Place::default(), message, help)
}

/// Cells of the last section of Yosys's statistics: the whole design.
fn count(report: &str) -> Resources {
    let mut used = Resources::default();
    for line in report.lines() {
        if line.starts_with("===") || line.contains("Number of cells:") {
            used = Resources::default();
        }
        let mut words = line.split_whitespace();
        let (Some(kind), Some(number), None) = (words.next(), words.next(), words.next()) else { continue };
        let Ok(number) = number.parse::<f64>() else { continue };
        if let Some((_, tables)) = MEMORY_CELLS.iter().find(|(name, _)| *name == kind) {
            used.lut_memory += number * tables;
        }
        match kind {
            "LUT1" | "LUT2" | "LUT3" | "LUT4" | "LUT5" | "LUT6" | "SB_LUT4" => used.lut += number,
            "CARRY4" | "CARRY8" | "CCU2C" | "SB_CARRY" | "ALU" => used.carry += number,
            "DSP48E1" | "DSP48E2" | "MULT18X18D" | "SB_MAC16" => used.dsp += number,
            "RAMB18E1" | "RAMB18E2" | "DP16KD" | "PDPW16KD" | "SB_RAM40_4K" => used.bram18 += number,
            "DP" | "DPX9" | "SDP" | "SDPX9" | "SP" | "SPX9" => used.bram18 += number,
            "RAMB36E1" | "RAMB36E2" => used.bram18 += 2.0 * number,
            "URAM288" => used.uram += number,
            kind if kind.starts_with("FD") || kind.starts_with("SB_DFF") || kind.starts_with("DFF") => {
                used.ff += number
            }
            "TRELLIS_FF" => used.ff += number,
            _ => {}
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn the_last_section_counts() {
        let report = "=== part ===\n   Number of cells:  2\n     LUT6   2\n\n=== top ===\n   Number of cells:  9\n     CARRY4   1\n     FDRE   5\n     FDSE   1\n     LUT2   3\n     LUT6   4\n     RAM32M   2\n     RAMB18E1  1\n     RAMB36E1  1\n     SRL16E   3\n     DSP48E1   2\n";
        let used = count(report);
        assert_eq!([used.lut, used.lut_memory, used.ff, used.carry], [7.0, 11.0, 6.0, 1.0]);
        assert_eq!([used.dsp, used.bram36()], [2.0, 1.5]);
    }
}
