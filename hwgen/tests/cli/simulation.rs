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
