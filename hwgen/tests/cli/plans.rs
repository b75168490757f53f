//! Wrong plans: each fault has its code, line and column; nothing is written.

use crate::place::{Folder, PLAN};

/// The plan with one text replaced is refused by `check` and by `emit`, at `place`.
#[track_caller]
fn refused(from: &str, to: &str, code: &str, place: &str) {
    assert_eq!(PLAN.matches(from).count(), 1, "`{from}` must stand once in the plan");
    let folder = Folder::with_plan(&PLAN.replace(from, to));
    folder.refuses("check plan.yaml", 2, code, place);
    folder.refuses("emit plan.yaml -o out", 2, code, place);
}

#[test]
fn the_plan_itself_is_good() {
    let folder = Folder::with_plan(PLAN);
    let done = folder.run("check plan.yaml");
    assert_eq!((done.exit_code, done.stderr.as_str()), (0, ""));
    assert!(done.stdout.contains("conv1") && done.stdout.contains("predicted cycles"), "{}", done.stdout);
    let (exit_code, report) = folder.json("check plan.yaml");
    assert_eq!((exit_code, report["layers"][1]["name"].as_str()), (0, Some("fc")));
}

#[test]
fn unknown_keys() {
    refused("hwgen: 1", "hwgen: 1\nname2: x", "E0102", "plan.yaml:2:1");
    refused("weight: s4 }", "weight: s4, wieght: s4 }", "E0102", "plan.yaml:7:58");
    refused("weight: s4 }", "weight: s4, hw: { kind: mac, pee: 2 } }", "E0102", "plan.yaml:7:75");
}

#[test]
fn duplicate_keys_and_layers() {
    refused("name: tiny", "name: tiny\nname: tiny", "E0103", "plan.yaml:3");
    refused("name: fc", "name: conv1", "E0107", "plan.yaml:7");
}

#[test]
fn missing_keys() {
    refused(", weight: s4 }", " }", "E0104", "layer fc");
    refused("name: tiny\n", "", "E0104", "name");
}

#[test]
fn foldings_that_do_not_divide() {
    refused("weight: s4 }", "weight: s4, hw: { pe: 3 } }", "E0601", "plan.yaml:7:68");
    refused("weight: s4 }", "weight: s4, hw: { simd: 7 } }", "E0601", "divisor");
    refused("weight: s4 }", "weight: s4, hw: { pe: 0 } }", "E0106", "plan.yaml:7");
    refused("weight: s4 }", "weight: s4, hw: { kind: xnor } }", "E0602", "layer fc");
}

#[test]
fn widths_out_of_range() {
    refused("format: u4", "format: u17", "E0106", "plan.yaml:4");
    refused("weight: s4", "weight: s0", "E0106", "plan.yaml:7");
    refused("output: u3", "output: bipolar9", "E0106", "plan.yaml:6");
    refused("weight: s4", "weight: -4", "E010", "plan.yaml:7");
}

#[test]
fn numbers_and_shapes_out_of_range() {
    refused("kernel: [3, 3]", "kernel: [0, 3]", "E0106", "plan.yaml:6");
    refused("kernel: [3, 3]", "kernel: [9, 9]", "E0201", "layer conv1");
    refused("outputs: 10", "outputs: 1e30", "E010", "plan.yaml:7");
    refused("outputs: 10", "outputs: 99999999999999999999999", "E010", "plan.yaml:7");
    refused("shape: [4, 4, 2]", "shape: [4294967295, 4294967295, 4294967295]", "E010", "plan.yaml:4");
    refused("hwgen: 1", "hwgen: 2", "E0108", "plan.yaml:1");
}

#[test]
fn texts_that_are_no_plan() {
    for (text, code) in [
        ("", "E0104"),
        ("- 1\n- 2\n", "E0105"),
        ("a: [1, 2", "E0101"),
        ("hwgen: &a [*a]\n", "E0101"),
        ("\u{0}\u{1}", "E0101"),
    ] {
        Folder::with_plan(text).refuses("check plan.yaml", 2, code, "plan.yaml");
    }
    let folder = Folder::new();
    folder.write("plan.yaml", b"hwgen: 1\nname: \xff\xfe\n");
    folder.refuses("check plan.yaml", 2, "E0101", "plan.yaml:2");
    folder.write("plan.yaml", "[".repeat(100_000).as_bytes());
    folder.refuses("check plan.yaml", 2, "E0101", "plan.yaml");
    let bomb: String = std::iter::once("a0: &a0 [x, x]\n".to_owned())
        .chain((1..40).map(|i| format!("a{i}: &a{i} [*a{}, *a{}]\n", i - 1, i - 1)))
        .collect();
    folder.write("plan.yaml", bomb.as_bytes());
    folder.refuses("check plan.yaml", 2, "E010", "plan.yaml");
}

#[test]
fn all_faults_are_reported_at_once_with_their_lines() {
    let text = PLAN.replace("format: u4", "format: u99").replace("weight: s4", "weight: s99").replace("name: fc", "name: conv1");
    let done = Folder::with_plan(&text).run("check plan.yaml");
    assert!(done.stderr.contains("plan.yaml:4:") && done.stderr.contains("plan.yaml:7:"), "{}", done.stderr);
    assert!(done.stderr.contains("7 |   - { name: conv1, op: dense"), "no snippet: {}", done.stderr);
    assert!(done.stderr.lines().any(|line| line.trim_end().ends_with("|                                           ^") || line.trim_start().starts_with("| ")), "{}", done.stderr);
}

#[test]
fn unreadable_plans() {
    let folder = Folder::new();
    folder.refuses("check plan.yaml", 2, "E0703", "plan.yaml");
    std::fs::create_dir(folder.join("dir")).unwrap();
    folder.refuses("check dir", 2, "E0703", "dir");
}

#[test]
fn sidecars() {
    let text = |hash: &str| {
        PLAN.replace("random: { seed: 7 }", &format!("arrays: {{ file: a.safetensors, sha256: {hash} }}"))
    };
    let folder = Folder::with_plan(&text(&"0".repeat(64)));
    folder.refuses("check plan.yaml", 2, "E0301", "plan.yaml:3");
    let empty = b"\x02\0\0\0\0\0\0\0{}";
    folder.write("a.safetensors", empty);
    folder.refuses("check plan.yaml", 2, "E0303", "plan.yaml:3");
    for bytes in [&b""[..], b"\x02\0\0\0\0\0\0\0{", b"\xff\xff\xff\xff\xff\xff\xff\xff{}", b"\x02\0\0\0\0\0\0\0[]"] {
        folder.write("a.safetensors", bytes);
        folder.refuses("check plan.yaml", 2, "E0304", "a.safetensors");
    }
}
