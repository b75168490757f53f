//! Synthesis scripts and constraints of an emitted design.

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
    vec![
        (
            "synth/yosys_xc7.ys".to_owned(),
            format!(
                "# Area on Xilinx 7-series: yosys -s synth/yosys_xc7.ys, run in the design's folder.\n\
                 # LUTs are the sum of LUT1 to LUT6.\n\
                 {}hierarchy -check -top {top}\n\
                 synth_xilinx -family xc7 -flatten -noiopad -abc9 -top {top}\n\
                 check -assert\n\
                 stat\n",
                read("read_verilog -DSYNTHESIS"),
            ),
        ),
        (
            "synth/yosys_ecp5.ys".to_owned(),
            format!(
                "# Area on Lattice ECP5: yosys -s synth/yosys_ecp5.ys, run in the design's folder.\n\
                 {}synth_ecp5 -top {top} -json synth/{top}_ecp5.json\n\
                 stat\n",
                read("read_verilog -DSYNTHESIS"),
            ),
        ),
        (
            "synth/vivado.tcl".to_owned(),
            format!(
                "# Out-of-context synthesis: vivado -mode batch -source synth/vivado.tcl -tclargs PART, run in the design's folder.\n\
                 set part [lindex $argv 0]\n\
                 read_verilog [glob rtl/*.v]\n\
                 read_xdc constraints/{top}.xdc\n\
                 synth_design -top {top} -part $part -mode out_of_context -verilog_define SYNTHESIS\n\
                 opt_design\nplace_design\nroute_design\n\
                 report_utilization -file synth/utilization.rpt\n\
                 report_timing_summary -file synth/timing.rpt\n",
            ),
        ),
        (
            "synth/quartus.tcl".to_owned(),
            format!(
                "# quartus_sh -t synth/quartus.tcl FAMILY DEVICE, run in the design's folder.\n\
                 package require ::quartus::project\n\
                 package require ::quartus::flow\n\
                 project_new {top} -overwrite\n\
                 set_global_assignment -name FAMILY [lindex $quartus(args) 0]\n\
                 set_global_assignment -name DEVICE [lindex $quartus(args) 1]\n\
                 set_global_assignment -name TOP_LEVEL_ENTITY {top}\n\
                 set_global_assignment -name VERILOG_MACRO SYNTHESIS\n\
                 set_global_assignment -name SDC_FILE constraints/{top}.sdc\n\
                 foreach file [glob rtl/*.v] {{ set_global_assignment -name VERILOG_FILE $file }}\n\
                 execute_flow -compile\n\
                 project_close\n",
            ),
        ),
        (format!("constraints/{top}.xdc"), clock(include_str!("../../../constraints/out-of-context/clock.xdc"))),
        (format!("constraints/{top}.sdc"), clock(include_str!("../../../constraints/out-of-context/clock.sdc"))),
        (format!("constraints/{top}.lpf"), clock(include_str!("../../../constraints/out-of-context/clock.lpf"))),
    ]
}
