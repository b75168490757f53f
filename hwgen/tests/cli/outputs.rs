//! Outputs appear whole or not at all, and nothing that is not hwgen's is ever replaced.

use crate::place::{Folder, PLAN, npy};

#[test]
fn emit_writes_a_folder_once_and_replaces_only_its_own() {
    let folder = Folder::with_plan(PLAN);
    assert_eq!(folder.run("emit plan.yaml -o out").exit_code, 0);
    let first = folder.contents();
    assert!(folder.read("out/manifest.json").contains("\"top\""));
    folder.refuses("emit plan.yaml -o out", 2, "E0701", "exists");
    assert_eq!(folder.run("emit plan.yaml -o out --force").exit_code, 0);
    assert!(folder.contents() == first, "the same plan gives the same bytes");
}

#[test]
fn emit_never_touches_foreign_folders() {
    let folder = Folder::with_plan(PLAN);
    std::fs::create_dir(folder.join("mine")).unwrap();
    folder.write("mine/letter.txt", b"dear reader");
    folder.write("file", b"");
    for arguments in ["emit plan.yaml -o mine", "emit plan.yaml -o mine --force", "emit plan.yaml -o . --force"] {
        folder.refuses(arguments, 2, "E0701", "not made by hwgen");
    }
    folder.refuses("emit plan.yaml -o file --force", 2, "E0701", "not a folder");
}

#[test]
fn places_that_cannot_be_written() {
    let folder = Folder::with_plan(PLAN);
    folder.write("file", b"");
    folder.write("x.npy", &npy("|u1", "(1, 32)", &[0; 32]));
    for target in ["file/out", "no/such/out", "/proc/out", "/dev/null/out"] {
        folder.refuses(&format!("emit plan.yaml -o {target}"), 3, "E0702", "cannot be written");
        folder.refuses(&format!("run plan.yaml --input x.npy --output {target}"), 3, "E0702", "cannot be written");
    }
}

#[test]
fn an_input_fault_leaves_an_existing_output_alone() {
    let folder = Folder::with_plan(PLAN);
    folder.write("x.npy", &npy("|u1", "(2, 32)", &[0; 63]));
    folder.write("out.npz", b"older results");
    folder.refuses("run plan.yaml --input x.npy --output out.npz", 2, "E0501", "frame 1");
}

#[test]
fn usage_faults() {
    let folder = Folder::with_plan(PLAN);
    for arguments in [
        "",
        "fly",
        "emit plan.yaml",
        "run plan.yaml",
        "run plan.yaml --input a --tolerance nan --reference b",
        "run plan.yaml --input a --tolerance 1",
        "simulate plan.yaml --stall 1.5",
        "simulate plan.yaml --frames 0",
        "simulate plan.yaml --seed x",
    ] {
        assert_eq!(folder.run(arguments).exit_code, 2, "{arguments}");
    }
    assert_eq!(folder.run("--version").exit_code, 0);
}

/// A number below zero is a wrong value of its option, not an option that nobody knows.
#[test]
fn numbers_below_zero_are_wrong_values() {
    let folder = Folder::with_plan(PLAN);
    for (arguments, option) in [
        ("fold plan.yaml --fps -3", "'-3' for '--fps <N>': not a finite number above 0"),
        ("fold plan.yaml --latency -0.5", "'-0.5' for '--latency <US>': not a finite number above 0"),
        ("fold plan.yaml --fps 3 --gap -1", "'-1' for '--gap <SHARE>': not a number between 0 and 0.95"),
        ("estimate plan.yaml --clock-mhz -200", "'-200' for '--clock-mhz <MHZ>': not a finite number above 0"),
        ("estimate plan.yaml --timeout -1", "'-1' for '--timeout <SECONDS>'"),
        ("explore plan.yaml --points -2", "'-2' for '--points <N>'"),
        ("run plan.yaml --input a --frames -1", "'-1' for '--frames <N>'"),
        ("simulate plan.yaml --stall -0.1", "'-0.1' for '--stall <P>': not a number between 0 and 0.95"),
        ("plan a.onnx -o b.yaml --weight-bits -4", "'-4' for '--weight-bits <W>'"),
    ] {
        let done = folder.run(arguments);
        assert_eq!(done.exit_code, 2, "{arguments}");
        assert!(done.stderr.contains(&format!("invalid value {option}")), "{arguments}: {}", done.stderr);
    }
}

#[test]
fn every_code_is_explained() {
    let folder = Folder::new();
    let (exit_code, report) = folder.json("explain all");
    assert_eq!(exit_code, 0);
    assert!(report.as_array().unwrap().len() > 30);
    assert!(folder.run("explain e0107").stdout.contains("Two layers"));
    folder.refuses("explain E9999", 2, "E0109", "E9999");
}

#[test]
fn reports_that_nobody_reads_are_no_panic() {
    let folder = Folder::new();
    let hwgen = assert_cmd::cargo::cargo_bin("hwgen").display().to_string();
    let shell = |line: &str| {
        let output = std::process::Command::new("sh").args(["-c", line]).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (exit_code, stderr) = shell(&format!("{hwgen} explain all > /dev/full"));
    assert_eq!(exit_code, Some(3), "{stderr}");
    assert!(stderr.contains("error[E0702]") && stderr.contains("standard output"), "{stderr}");
    let (_, stderr) = shell(&format!("({hwgen} explain all; echo $? >&2) | true"));
    assert_eq!(stderr, "0\n");
    let (exit_code, _) = shell(&format!("{hwgen} check none.yaml 2> /dev/full"));
    assert_eq!(exit_code, Some(2));
}
