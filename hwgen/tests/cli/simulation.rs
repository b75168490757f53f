//! `hwgen simulate`: its report, its faults, its waves.

use crate::place::{Folder, PLAN, npy};

#[test]
fn report_and_cache() {
    let folder = Folder::with_plan(PLAN);
    let (exit_code, first) = folder.json("simulate plan.yaml --frames 5");
    assert_eq!(exit_code, 0, "{first}");
    for field in ["frames", "mismatches", "cycles", "predicted_cycles", "initiation_interval", "edges", "stall"] {
        assert!(!first[field].is_null(), "{field}: {first}");
    }
    assert_eq!((first["frames"].as_u64(), first["mismatches"].as_u64()), (Some(5), Some(0)));
    assert_eq!(first["cycles"], first["predicted_cycles"]);
    let (exit_code, second) = folder.json("simulate plan.yaml --frames 5 --stall 0.4 --seed 3");
    assert_eq!((exit_code, second["model_was_cached"].as_bool()), (0, Some(true)), "{second}");
    assert_eq!(second["cycles"], second["predicted_cycles"]);
    assert!(second["cycles"].as_u64() > first["cycles"].as_u64());
    let third = folder
        .command()
        .args(["simulate", "plan.yaml", "--frames", "5", "--stall", "0.4", "--json"])
        .env("HWGEN_SEED", "3")
        .output()
        .unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&third.stdout).unwrap(), second, "HWGEN_SEED is the seed");
    let codes: Vec<u8> = (0..96).map(|index| index % 16).collect();
    folder.write("x.npy", &npy("|u1", "(3, 32)", &codes));
    let (exit_code, report) = folder.json("simulate plan.yaml --input x.npy");
    assert_eq!((exit_code, report["frames"].as_u64()), (0, Some(3)));
}

#[test]
fn waves() {
    let folder = Folder::with_plan(PLAN);
    let done = folder.run("simulate plan.yaml --frames 1 --trace run.vcd");
    assert_eq!(done.exit_code, 0, "{}{}", done.stdout, done.stderr);
    assert!(folder.read("run.vcd").contains("$enddefinitions"));
    folder.refuses("simulate plan.yaml --trace run.txt", 3, "E0702", ".vcd or .fst");
    folder.refuses("simulate plan.yaml --trace none/run.vcd", 3, "E0702", "none/run.vcd");
}

#[test]
fn missing_verilator() {
    let folder = Folder::with_plan(PLAN);
    let empty = folder.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let output = folder.command().args(["simulate", "plan.yaml"]).env("PATH", &empty).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("error[E0801]") && text.contains("verilator") && text.contains("help: "), "{text}");
}

#[test]
fn frames_that_do_not_fit() {
    let folder = Folder::with_plan(PLAN);
    folder.write("x.npy", &npy("|u1", "(3, 31)", &[0; 93]));
    folder.refuses("simulate plan.yaml --input x.npy", 2, "E0502", "takes 32");
    folder.write("x.npy", &npy("|u1", "(3, 32)", &[0; 95]));
    folder.refuses("simulate plan.yaml --input x.npy", 2, "E0501", "frame 2");
}

/// A tensor that leaves and is joined later: two outputs of different widths and a FIFO in front of the join.
const BRANCHES: &str = "\
hwgen: 1
name: branches
random: { seed: 7 }
input: { name: x, shape: [6, 6, 2], format: u4 }
layers:
  - { name: stem, op: conv2d, outputs: 4, kernel: [1, 1], weight: s3, output: u3 }
  - { name: deep, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s3, output: u3 }
  - { name: sum, op: add, inputs: [stem, deep], output: u5 }
outputs:
  - { layer: stem, name: features }
  - { layer: sum, name: y }
";

#[test]
fn several_outputs_are_simulated_to_their_ends() {
    let folder = Folder::with_plan(BRANCHES);
    let (exit_code, report) = folder.json("simulate plan.yaml --frames 4 --stall 0.3 --seed 5");
    assert_eq!((exit_code, report["mismatches"].as_u64()), (0, Some(0)), "{report}");
    assert_eq!(report["cycles"], report["predicted_cycles"]);
    let outputs = report["outputs"].as_array().unwrap();
    let ports: Vec<_> = outputs.iter().map(|output| (output["name"].as_str(), output["port"].as_str())).collect();
    assert_eq!(ports, [(Some("features"), Some("m0_axis")), (Some("y"), Some("m1_axis"))]);
    assert!(outputs.iter().all(|output| output["frame_end_cycles"].as_array().unwrap().len() == 4), "{report}");
    let (exit_code, model) = folder.json("simulate plan.yaml --model --frames 4 --stall 0.3 --seed 5");
    assert_eq!(exit_code, 0, "{model}");
    assert_eq!((&model["predicted_cycles"], &model["outputs"]), (&report["cycles"], &report["outputs"]));
}

#[test]
fn the_model_answers_without_tools() {
    let folder = Folder::with_plan(BRANCHES);
    let empty = folder.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let arguments = ["simulate", "plan.yaml", "--model", "--frames", "3"];
    let output = folder.command().args(arguments).env("PATH", &empty).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("one frame every") && text.contains("output y at m1_axis: 3 frames"), "{text}");
    let (_, model) = folder.json("simulate plan.yaml --model --frames 3");
    let modules = model["modules"].as_array().unwrap();
    for module in modules.iter().filter(|module| !module["depth_words"].is_null()) {
        let (held, depth) = (module["most_words_held"].as_u64().unwrap(), module["depth_words"].as_u64().unwrap());
        assert!(held <= depth, "{module}");
    }
    for option in ["--input x.npy", "--trace run.vcd"] {
        assert_eq!(folder.run(&format!("simulate plan.yaml --model {option}")).exit_code, 2, "{option}");
    }
}

#[test]
fn buffers_in_front_of_joins_are_reported_with_their_cost() {
    let folder = Folder::with_plan(BRANCHES);
    let (_, checked) = folder.json("check plan.yaml");
    let buffers = checked["join_buffers"].as_array().unwrap();
    assert!(!buffers.is_empty(), "{checked}");
    for buffer in buffers {
        assert_eq!(buffer["join"].as_str(), Some("sum"), "{buffer}");
        let bits = buffer["depth_words"].as_u64().unwrap() * buffer["word_bits"].as_u64().unwrap();
        assert_eq!(buffer["bits"].as_u64(), Some(bits), "{buffer}");
    }
    // The branch around a 3x3 window waits for a row and more: 6 pixels of 4 x 3 bits at the least.
    assert!(buffers.iter().any(|buffer| buffer["bits"].as_u64() >= Some(72)), "{checked}");
    let (_, emitted) = folder.json("emit plan.yaml -o design");
    assert_eq!(emitted["join_buffers"], checked["join_buffers"]);
    let text = folder.run("check plan.yaml").stdout;
    assert!(text.contains("FIFO in front") && text.contains(" in front of joins, "), "{text}");
}

#[test]
fn fifos_that_the_plan_makes_too_shallow_are_named_with_what_is_enough() {
    let shallow =
        BRANCHES.replace("inputs: [stem, deep], output: u5", "inputs: [stem, deep], output: u5, hw: { fifo: [1, 1] }");
    let folder = Folder::with_plan(&shallow);
    for command in ["check plan.yaml", "emit plan.yaml -o design", "simulate plan.yaml --frames 1"] {
        let run = folder.run(command);
        assert_eq!(run.exit_code, 1, "{command}: {}", run.stderr);
        let named =
            run.stderr.contains("E0803") && run.stderr.contains("FIFO sum_skew in front of sum holds 1 words; ");
        assert!(named && run.stderr.contains("a word waits for room"), "{command}: {}", run.stderr);
    }
    let run = folder.run("simulate plan.yaml --model");
    assert_eq!(run.exit_code, 1, "{}", run.stdout);
    assert!(run.stdout.contains("sum_skew in front of sum holds 1 words; "), "{}", run.stdout);
    let (_, model) = folder.json("simulate plan.yaml --model");
    let enough = model["deadlock"]["shallow_fifos"][0]["enough_words"].as_u64().unwrap();
    // What is said to be enough is.
    let folder = Folder::with_plan(&shallow.replace("fifo: [1, 1]", &format!("fifo: [{enough}, {enough}]")));
    let (_, checked) = folder.json("check plan.yaml");
    assert_eq!(checked["no_stall_pattern_stops_it"].as_bool(), Some(true), "{checked}");
    assert_eq!(checked["join_buffers"][0]["depth_words"].as_u64(), Some(enough), "{checked}");
}

#[test]
fn least_depths_are_found_and_written_whatever_the_plan_gives() {
    let join = "inputs: [stem, deep], output: u5";
    let (_, found) = Folder::with_plan(BRANCHES).json("check plan.yaml");
    for depths in ["[1, 1]", "[900, 901]"] {
        let folder = Folder::with_plan(&BRANCHES.replace(join, &format!("{join}, hw: {{ fifo: {depths} }}")));
        let (exit_code, report) = folder.json("buffers plan.yaml -o least.yaml");
        assert_eq!((exit_code, &report["join_buffers"]), (0, &found["join_buffers"]), "{report}");
        let (exit_code, checked) = folder.json("check least.yaml");
        assert_eq!((exit_code, &checked["join_buffers"]), (0, &found["join_buffers"]), "{checked}");
        assert_eq!(checked["timing"], found["timing"]);
    }
    // Without -o nothing is written.
    let folder = Folder::with_plan(BRANCHES);
    let run = folder.run("buffers plan.yaml");
    assert!(run.exit_code == 0 && run.stdout.contains("no FIFO can lose a word"), "{}", run.stdout);
    assert_eq!(std::fs::read_to_string(folder.join("plan.yaml")).unwrap(), BRANCHES);
}
