//! `fold` and `explore`: goals that are reached, goals that cannot be, and plans that ask for a rate themselves.

use crate::place::Folder;

/// Two arrays and a pool; nothing is folded.
const OPEN: &str = "\
hwgen: 1
name: open
random: { seed: 3 }
input: { shape: [12, 12, 3], format: u4 }
layers:
  - { name: conv1, op: conv2d, outputs: 8, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, output: u4 }
  - { name: pool1, op: max_pool, kernel: [2, 2] }
  - { name: fc1, op: dense, outputs: 12, weight: s3, output: u3 }
  - { name: fc2, op: dense, outputs: 10, weight: s4 }
";

#[test]
fn a_rate_is_reached_and_written_down() {
    let folder = Folder::with_plan(OPEN);
    let (exit_code, report) = folder.json("fold plan.yaml --fps 100000 --clock-mhz 100 -o folded.yaml");
    assert_eq!(exit_code, 0, "{report:#}");
    let interval = report["point"]["initiation_interval_cycles"].as_u64().unwrap();
    assert!(interval <= 1000, "{report:#}");
    assert!(report["gap"].as_f64().unwrap() <= 1e-3 && report["proved"] == true, "{report:#}");
    assert!(report["greedy"]["usage"]["lut"].as_f64().is_some(), "{report:#}");
    // The plan that was written gives the design that was reported.
    let (_, checked) = folder.json("check folded.yaml");
    assert_eq!(checked["timing"]["initiation_interval_cycles"].as_u64(), Some(interval));
    assert_eq!(checked["layers"], report["layers"]);
    let (_, estimate) = folder.json("estimate folded.yaml");
    let folded = report["point"]["usage"]["ff"].as_f64().map(f64::round);
    assert_eq!(estimate["total"]["ff"].as_f64(), folded, "{estimate:#}");
    assert!(folder.read("folded.yaml").contains("random: { seed: 3 }"));
    assert!(!folder.join("folded.arrays.safetensors").exists());
}

/// What a plan was for before does not stand in the plan that is folded for something else.
#[test]
fn the_written_plan_says_what_it_was_folded_for() {
    let folder = Folder::with_plan(&OPEN.replace("input:", "target: { fps: 10, budget: { dsp: 3 } }\ninput:"));
    let (exit_code, report) = folder.json("fold plan.yaml --fps 100000 --clock-mhz 100 -o folded.yaml");
    assert_eq!(exit_code, 0, "{report:#}");
    let written = folder.read("folded.yaml");
    assert!(written.contains("fps: 100000") && !written.contains("budget"), "{written}");
    let (exit_code, _) = folder.json("fold plan.yaml --budget lut=9000,dsp=2 -o small.yaml");
    assert_eq!(exit_code, 0);
    let written = folder.read("small.yaml");
    assert!(written.contains("lut: 9000") && written.contains("dsp: 2") && !written.contains("fps"), "{written}");
}

/// Neither the greedy baseline nor the solver's choice, which does not see adapters between layers, is better than the answer.
#[test]
fn the_whole_design_is_better_than_its_parts_chosen_alone() {
    let folder = Folder::with_plan(OPEN);
    let capacity = [("lut", 53_200.0), ("ff", 106_400.0), ("dsp", 220.0), ("bram36", 140.0)];
    let share = |usage: &serde_json::Value| {
        capacity.iter().map(|(name, all)| usage[name].as_f64().unwrap() / all).fold(0.0, f64::max)
    };
    let mut bettered = 0;
    for fps in [500, 20_000, 100_000, 300_000, 500_000] {
        let (exit_code, report) = folder.json(&format!("fold plan.yaml --fps {fps}"));
        assert_eq!(exit_code, 0, "{report:#}");
        let (point, greedy) = (&report["point"], &report["greedy"]);
        assert!(point["frames_per_second"].as_f64().unwrap() >= f64::from(fps), "{report:#}");
        let is_quick = greedy["frames_per_second"].as_f64().unwrap() >= f64::from(fps);
        assert!(!is_quick || share(&point["usage"]) <= share(&greedy["usage"]) + 1e-9, "{report:#}");
        if !point["solver_usage"].is_null() {
            bettered += 1;
            assert!(share(&point["usage"]) < share(&point["solver_usage"]) + 1e-9, "{report:#}");
        }
    }
    assert!(bettered > 0);
}

#[test]
fn wishes_are_dropped_or_kept() {
    let folder =
        Folder::with_plan(&OPEN.replace("weight: s3, output: u3", "weight: s3, output: u3, hw: { pe: 12, simd: 288 }"));
    let pe = |report: &serde_json::Value| report["layers"][2]["pe"].as_u64().unwrap();
    let (_, free) = folder.json("fold plan.yaml --fps 50000");
    let (_, kept) = folder.json("fold plan.yaml --fps 50000 --keep");
    assert_eq!(pe(&kept), 12, "{kept:#}");
    assert!(pe(&free) < 12, "{free:#}");
}

#[test]
fn a_budget_is_kept_and_a_larger_one_is_quicker() {
    let folder = Folder::with_plan(OPEN);
    let mut last = 0.0;
    for lut in [1200, 1800, 3500] {
        let (exit_code, report) = folder.json(&format!("fold plan.yaml --budget lut={lut},dsp=2"));
        assert_eq!(exit_code, 0, "{report:#}");
        let usage = &report["point"]["usage"];
        assert!(
            usage["lut"].as_f64().unwrap() <= f64::from(lut) && usage["dsp"].as_f64().unwrap() <= 2.0,
            "{report:#}"
        );
        let fps = report["point"]["frames_per_second"].as_f64().unwrap();
        assert!(fps >= last, "{lut}: {report:#}");
        last = fps;
    }
}

#[test]
fn a_latency_is_reached() {
    let folder = Folder::with_plan(OPEN);
    let (exit_code, report) = folder.json("fold plan.yaml --latency 20 --clock-mhz 100");
    assert_eq!(exit_code, 0, "{report:#}");
    assert!(report["point"]["latency_us"].as_f64().unwrap() <= 20.0, "{report:#}");
    folder.refuses("fold plan.yaml --latency 0.1", 2, "E0605", "allow");
}

#[test]
fn impossible_goals_say_what_is_in_the_way() {
    let folder = Folder::with_plan(OPEN);
    folder.refuses("fold plan.yaml --fps 100000000", 2, "E0605", "layer");
    folder.refuses("fold plan.yaml --budget lut=20", 2, "E0605", "keeps lut");
    folder.refuses("fold plan.yaml --fps 10 --device ice99", 2, "E0604", "there is no part `ice99`");
    folder.refuses("fold plan.yaml --fps 10 --device xc7z02", 2, "E0604", "did you mean `xc7z020`");
    folder.refuses("fold plan.yaml", 2, "E0605", "--fps, --budget or --latency");
    assert_eq!(folder.run("fold plan.yaml --budget lut=x").exit_code, 2);
    assert_eq!(folder.run("fold plan.yaml --fps 5 --latency 5").exit_code, 2);
}

#[test]
fn a_plan_that_asks_for_a_rate_is_folded_for_it() {
    let slow = Folder::with_plan(&OPEN.replace("input: {", "target: { fps: 1000, clock_mhz: 100 }\ninput: {"));
    let quick = Folder::with_plan(&OPEN.replace("input: {", "target: { fps: 200000, clock_mhz: 100 }\ninput: {"));
    let interval = |folder: &Folder| {
        let (exit_code, report) = folder.json("emit plan.yaml -o out");
        assert_eq!(exit_code, 0, "{report:#}");
        report["timing"]["initiation_interval_cycles"].as_u64().unwrap()
    };
    assert!(interval(&quick) <= 500);
    assert!((501..=100_000).contains(&interval(&slow)));
    let never = Folder::with_plan(&OPEN.replace("input: {", "target: { fps: 1e9, clock_mhz: 100 }\ninput: {"));
    never.refuses("emit plan.yaml -o out", 2, "E0605", "leave 0 cycles");
    assert!(!never.join("out").exists());
}

#[test]
fn the_front_rises_and_is_drawn() {
    let folder = Folder::with_plan(OPEN);
    let (exit_code, report) = folder.json("explore plan.yaml --points 5 --svg front.svg");
    assert_eq!(exit_code, 0, "{report:#}");
    let points = report["points"].as_array().unwrap();
    let fps: Vec<f64> = points.iter().map(|point| point["frames_per_second"].as_f64().unwrap()).collect();
    assert!(fps.len() >= 3 && fps.is_sorted(), "{fps:?}");
    let svg = folder.read("front.svg");
    assert!(svg.starts_with("<svg") && svg.contains("frames/s") && svg.trim_end().ends_with("</svg>"));
}
