//! `hwgen estimate`: figures against recorded synthesis, parts, and wrong requests.

use crate::place::{Folder, PLAN, repository};
use serde_json::Value;

/// Imports an example and estimates it as the command line does.
#[track_caller]
fn estimate(example: &str, device: &str) -> Value {
    let folder = Folder::new();
    let model = repository().join(format!("examples/{example}/{example}.qonnx.onnx"));
    let done = folder.run_all(&["plan", model.to_str().unwrap(), "-o", "plan.yaml"]);
    assert_eq!(done.exit_code, 0, "{}", done.stderr);
    let (exit_code, report) = folder.json(&format!("estimate plan.yaml --device {device}"));
    assert_eq!(exit_code, 0);
    report
}

/// The estimate lies within so many percent of what Yosys 0.23 mapped the example to.
#[track_caller]
fn check(example: &str, device: &str, percent: f64, truth: &[(&str, f64)]) {
    let report = estimate(example, device);
    for (figure, found) in truth {
        let estimated = report["total"][figure].as_f64().unwrap();
        let difference = 100.0 * (estimated - found).abs() / found;
        assert!(difference <= percent, "{example}: {figure} {estimated}, synthesis {found}, {difference:.1} %");
    }
    assert_eq!(report["not_modelled"], Value::Array(Vec::new()));
}

/// Recorded with `hwgen estimate plan.yaml --synth`; no coefficient was fitted to these designs.
#[test]
fn examples_come_near_recorded_synthesis() {
    check(
        "mnist-cnn",
        "xc7z020",
        10.0,
        &[("lut", 3629.0), ("ff", 3655.0), ("carry", 562.0), ("lut_memory", 641.0), ("bram36", 2.0)],
    );
    check("digits-mlp", "xc7z020", 10.0, &[("lut", 1534.0), ("carry", 116.0), ("bram36", 0.5)]);
    // Registers of its thresholds are counted too few.
    check("digits-mlp", "xc7z020", 11.0, &[("ff", 864.0)]);
    check("mnist-mbn", "xc7z020", 10.0, &[("lut", 3502.0), ("ff", 3827.0), ("carry", 438.0), ("bram36", 1.0)]);
}

/// The same with Yosys 0.23 `synth_ecp5` and inverters merged, look-up tables of four inputs.
#[test]
fn an_example_comes_near_recorded_synthesis_on_ecp5() {
    check(
        "mnist-cnn",
        "lfe5u-85f",
        10.0,
        &[("lut", 5586.0), ("ff", 4108.0), ("carry", 993.0), ("lut_memory", 944.0), ("bram36", 2.0)],
    );
    check("digits-mlp", "lfe5u-85f", 10.0, &[("lut", 2152.0), ("ff", 1019.0), ("lut_memory", 112.0), ("bram36", 0.5)]);
    check("mnist-mbn", "lfe5u-85f", 10.0, &[("lut", 6000.0), ("ff", 4021.0), ("lut_memory", 672.0), ("bram36", 1.0)]);
}

#[test]
fn layers_add_up_to_the_total() {
    let folder = Folder::with_plan(PLAN);
    let (_, report) = folder.json("estimate plan.yaml");
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    for figure in ["lut", "ff", "carry", "lut_memory", "dsp", "bram36"] {
        let sum: f64 = layers.iter().map(|layer| layer[figure].as_f64().unwrap()).sum();
        let total = report["total"][figure].as_f64().unwrap();
        assert!((sum - total).abs() <= 1.0 + layers.len() as f64 / 2.0, "{figure}: {sum} and {total}");
    }
    // 16 positions, 4 outputs of 18 products of 3 by 4 bits; 10 outputs of 64 products of 4 by 3 bits.
    assert_eq!(report["total"]["bit_operations"], 16 * 4 * 18 * 12 + 10 * 64 * 12);
    assert_eq!(report["total"]["weight_bits"], 4 * 18 * 3 + 10 * 64 * 4);
    assert_eq!(report["fmax_mhz"], Value::Null);
    assert!(report["timing_evidence"].as_str().unwrap().starts_with("synthesis only"));
    assert!(report["errors"].as_array().unwrap().iter().any(|error| error["figure"] == "lut"));
}

/// Every family that can be placed has a clock with its error; the slower iCE40 is less than half as quick.
#[test]
fn clocks_of_families_that_are_placed() {
    let folder = Folder::with_plan(PLAN);
    let mhz = ["lfe5u-85f", "ice40hx8k", "ice40up5k", "gw2a-18"].map(|device| {
        let (_, report) = folder.json(&format!("estimate plan.yaml --device {device}"));
        let fmax = report["errors"].as_array().unwrap().iter().find(|error| error["figure"] == "fmax").unwrap();
        assert!(fmax["designs"].as_u64().unwrap() > 0 && fmax["mean_percent"].as_f64().unwrap() > 0.0, "{fmax}");
        report["fmax_mhz"].as_f64().unwrap()
    });
    let [ecp5, quick, slow, gowin] = mhz;
    assert!((2.0..3.5).contains(&(quick / slow)) && ecp5 > slow && gowin > slow, "{mhz:?}");
    let done = folder.run("estimate plan.yaml --device ice40up5k");
    assert!(done.stdout.contains(&format!("fmax {slow:.0} MHz, below the clock")), "{}", done.stdout);
}

#[test]
fn a_table_and_values_for_spreadsheets() {
    let folder = Folder::with_plan(PLAN);
    let done = folder.run("estimate plan.yaml --device xc7a100t --clock-mhz 100");
    assert_eq!(done.exit_code, 0, "{}", done.stderr);
    for part in ["FINN LUT", "of the part", "frames/s at 100 MHz", "synthesis only", "never used for fitting"] {
        assert!(done.stdout.contains(part), "no `{part}`: {}", done.stdout);
    }
    let done = folder.run("estimate plan.yaml --csv");
    let columns = done.stdout.lines().next().unwrap().split(',').count();
    assert_eq!(done.stdout.lines().count(), 4);
    assert!(done.stdout.lines().all(|line| line.split(',').count() == columns), "{}", done.stdout);
}

#[test]
fn parts_of_ones_own() {
    let folder = Folder::with_plan(PLAN);
    let part = "name: mine\nfamily: xc7\nsource: a data sheet\nlut: 1000\nff: 2000\ndsp: 3\nbram18: 5\n";
    folder.write("mine.yaml", part.as_bytes());
    let (exit_code, report) = folder.json("estimate plan.yaml --device ./mine.yaml");
    assert_eq!((exit_code, report["device"]["name"].as_str()), (0, Some("mine")));
    folder.write("wrong.yaml", part.replace("family: xc7", "family: xc8").as_bytes());
    folder.refuses("estimate plan.yaml --device wrong.yaml", 2, "E0604", "wrong.yaml");
    folder.refuses("estimate plan.yaml --device ./none.yaml", 2, "E0703", "none.yaml");
}

/// Each broken file is refused at its place in one line of the file's own words, with what was perhaps meant.
#[test]
fn broken_files_of_parts() {
    let folder = Folder::with_plan(PLAN);
    let part = "name: mine\nfamily: xc7\nsource: a data sheet\nlut: 100\nff: 200\ndsp: 2\nbram36: 4\n";
    let check = |from: &str, to: &str, parts: &[&str]| {
        folder.write("part.yaml", part.replace(from, to).as_bytes());
        let done = folder.run("estimate plan.yaml --device ./part.yaml");
        assert_eq!(done.exit_code, 2, "{}", done.stderr);
        for part in parts.iter().chain(&["error[E0604]"]) {
            assert!(done.stderr.contains(part), "no `{part}`: {}", done.stderr);
        }
        for part in ["<input>", "Options", "u64"] {
            assert!(!done.stderr.contains(part), "`{part}`: {}", done.stderr);
        }
        assert!(done.stdout.is_empty());
    };
    check("xc7", "xc8", &["part.yaml:2:9", "unknown variant `xc8`", "did you mean `xc7`?"]);
    check("dsp: 2", "dps: 2", &["part.yaml:6:1", "unknown field `dps`", "did you mean `dsp`?"]);
    check("lut: 100", "lut: -1", &["part.yaml:4:6", "no whole number from 0"]);
    check("lut: 100", "lut: 99999999999999999999", &["part.yaml:4:6", "no whole number from 0"]);
    check("ff: 200", "lut: 200", &["part.yaml:5:1", "duplicate", "lut"]);
    check("source: a data sheet\n", "", &["missing field `source`"]);
    check("bram36: 4", "bram36: -4", &["`bram36` is -4"]);
    check("bram36: 4", "bram36: 4\nbram18: 8", &["one of them"]);
    check("name: mine", "name: [", &["part.yaml:"]);
    check(part, "", &["part.yaml"]);
    folder.write("part.yaml", b"name: \xff\n");
    folder.refuses("estimate plan.yaml --device ./part.yaml", 2, "E0703", "UTF-8");
}

#[test]
fn wrong_requests() {
    let folder = Folder::with_plan(PLAN);
    folder.refuses("estimate plan.yaml --device xc7z02", 2, "E0604", "xc7z02");
    assert!(folder.run("estimate plan.yaml --device xc7z02").stderr.contains("did you mean `xc7z020`?"));
    let part = "name: cells\nfamily: asic\nsource: a library\nlut: 1\nff: 1\nbram18: 0\n";
    folder.write("cells.yaml", part.as_bytes());
    folder.refuses("estimate plan.yaml --device ./cells.yaml", 2, "E0604", "nand2_um2");
    let folder = Folder::with_plan(&PLAN.replace("random:", "target: { device: nothing }\nrandom:"));
    folder.refuses("estimate plan.yaml", 2, "E0604", "plan.yaml:3");
}

#[test]
fn tools_that_are_absent_fail_or_say_nothing() {
    let folder = Folder::with_plan(PLAN);
    let run = |tool: &str| {
        let output = folder.command().args(["estimate", "plan.yaml", "--synth"]).env("YOSYS", tool).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (exit_code, stderr) = run("/nowhere/yosys");
    assert_eq!(exit_code, Some(3));
    assert!(stderr.contains("E0801"), "{stderr}");
    let (exit_code, stderr) = run("/bin/false");
    assert_eq!(exit_code, Some(3));
    assert!(stderr.contains("E0802"), "{stderr}");
    let (exit_code, stderr) = run("/bin/true");
    assert_eq!(exit_code, Some(3));
    assert!(stderr.contains("wrote no statistics"), "{stderr}");
}

/// A network whose frames are too many words to run in passing: its rate is that of the slowest layer unless asked.
#[test]
fn cycles_of_a_large_network_are_predicted_where_asked() {
    let plan = "hwgen: 1\nname: wide\nrandom: { seed: 1 }\ninput: { shape: [1100, 1100, 1], format: u2 }\nlayers:\n  \
        - { name: a, op: conv2d, outputs: 4, kernel: [1, 1], weight: s2, output: u2, hw: { pe: 1, simd: 1 } }\n  \
        - { name: b, op: requantize, output: u1, hw: { pe: 4 } }\n";
    let folder = Folder::with_plan(plan);
    let (_, quick) = folder.json("estimate plan.yaml");
    assert_eq!(quick["timing"]["predicted"], false);
    assert_eq!(quick["timing"]["initiation_interval_cycles"], 4 * 1100 * 1100);
    assert_eq!(quick["latency_us"], Value::Null);
    let (_, slow) = folder.json("estimate plan.yaml --predict");
    assert_eq!(slow["timing"]["predicted"], true);
    assert_eq!(slow["timing"]["initiation_interval_cycles"], 4 * 1100 * 1100);
    assert_eq!(slow["total"], quick["total"]);
    assert!(slow["latency_us"].as_f64().unwrap() > 4.0 * 1100.0 * 1100.0 / 200.0);
}
