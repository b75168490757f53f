//! Synthesis scripts and constraints of an emitted design.

use crate::cost::Family;
use network::manifest::Manifest;

/// Paths and texts.
pub(super) fn files(manifest: &Manifest, clock_mhz: f64) -> Vec<(String, String)> {
    let top = &manifest.top;
    let clock = |template: &str| {
        let filled = template.replace("{top}", top).replace("{mhz}", &format!("{clock_mhz}"));
        filled.replace("{period_ns}", &format!("{:.3}", 1000.0 / clock_mhz))
    };
    let read =
        |command: &str| -> String { manifest.sources.iter().map(|path| format!("{command} {path}\n")).collect() };
    let mut files = vec![
        (
            "synth/yosys_xc7.ys".to_owned(),
            format!(
                "# Area on Xilinx 7-series: yosys -s synth/yosys_xc7.ys, run in the design's folder.\n\
                 # LUTs are the sum of LUT1 to LUT6.\n\
                 {}hierarchy -check -top {top}\n\
                 {}\n\
                 check -assert\n\
                 stat\n",
                read("read_verilog -DSYNTHESIS"),
                Family::Xc7.mapping().unwrap_or_default().join("\n"),
            ),
        ),
        (
            "synth/yosys_ecp5.ys".to_owned(),
            format!(
                "# Area on Lattice ECP5: yosys -s synth/yosys_ecp5.ys, run in the design's folder.\n\
                 {}hierarchy -check -top {top}\n\
                 {}\n\
                 write_json synth/{top}_ecp5.json\n\
                 stat\n",
                read("read_verilog -DSYNTHESIS"),
                Family::Ecp5.mapping().unwrap_or_default().join("\n"),
            ),
        ),
        super::harness::file(manifest),
        ("synth/flow.sh".to_owned(), clock(include_str!("flow/flow.sh"))),
        ("synth/vivado.tcl".to_owned(), clock(include_str!("flow/vivado.tcl"))),
        ("synth/quartus.tcl".to_owned(), clock(include_str!("flow/quartus.tcl"))),
        (format!("constraints/{top}.xdc"), clock(include_str!("../../../constraints/out-of-context/clock.xdc"))),
        (format!("constraints/{top}.sdc"), clock(include_str!("../../../constraints/out-of-context/clock.sdc"))),
        (format!("constraints/{top}.lpf"), clock(include_str!("../../../constraints/out-of-context/clock.lpf"))),
        ("synth/ice40_carry.v".to_owned(), include_str!("flow/ice40_carry.v").to_owned()),
    ];
    let mapped = Family::ALL.into_iter().filter_map(|family| Some((family.name(), family.mapping()?)));
    files.extend(mapped.map(|(family, commands)| {
        let title = "# Maps a design behind `hierarchy -top`; run in the design's folder.";
        (format!("synth/map_{family}.ys"), format!("{title}\n{}\n", commands.join("\n")))
    }));
    files
}
