//! Wrong plans: each fault has its code, line and column; nothing is written.

use crate::place::{Folder, PLAN};

/// The plan with one text replaced is refused by `check` and by `emit`; the place is where `at` stands for the last time.
#[track_caller]
fn refused(from: &str, to: &str, code: &str, at: &str) {
    assert_eq!(PLAN.matches(from).count(), 1, "`{from}` must stand once in the plan");
    let text = PLAN.replace(from, to);
    let before = &text[..text.rfind(at).unwrap()];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1) + 1;
    let folder = Folder::with_plan(&text);
    for command in ["check plan.yaml", "emit plan.yaml -o out"] {
        folder.refuses(command, 2, code, &format!("plan.yaml:{line}:{column}"));
    }
}

/// The same for a fault that belongs to a whole layer or document.
#[track_caller]
fn refused_somewhere(from: &str, to: &str, code: &str, part: &str) {
    let folder = Folder::with_plan(&PLAN.replace(from, to));
    folder.refuses("check plan.yaml", 2, code, part);
    folder.refuses("emit plan.yaml -o out", 2, code, part);
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
    refused("name: tiny", "name2: tiny", "E0102", "name2");
    refused("weight: s4 }", "weight: s4, wieght: s4 }", "E0102", "wieght");
    refused("weight: s4 }", "weight: s4, hw: { kind: mac, pee: 2 } }", "E0102", "pee");
}

#[test]
fn duplicate_keys_and_layers() {
    refused("name: tiny", "name: tiny\nformat: u4\nname: tiny", "E0103", "name: tiny");
    refused("name: fc", "name: conv1", "E0107", "conv1");
}

#[test]
fn missing_keys() {
    refused_somewhere(", weight: s4 }", " }", "E0104", "layer fc");
    refused_somewhere("name: tiny\n", "", "E0104", "`name`");
}

#[test]
fn foldings_that_do_not_divide() {
    refused("weight: s4 }", "weight: s4, hw: { pe: 3 } }", "E0601", "3 }");
    refused("weight: s4 }", "weight: s4, hw: { pe: 2, simd: 7 } }", "E0601", "7 }");
    refused("weight: s4 }", "weight: s4, hw: { pe: 0 } }", "E0106", "0 }");
    refused("weight: s4 }", "weight: s9, hw: { kind: xnor } }", "E0602", "xnor");
    refused("weight: s4 }", "weight: s4, hw: { kind: depthwise } }", "E0602", "depthwise");
}

#[test]
fn foldings_that_do_not_fit_groups_or_orders() {
    let plan = |layer: &str| {
        format!(
            "hwgen: 1\nname: tiny\nrandom: {{ seed: 1 }}\ninput: {{ shape: [2, 2, 6], format: u4 }}\nlayers:\n  - {{ name: a, {layer} }}\n"
        )
    };
    for (layer, code, said) in [
        ("op: conv2d, outputs: 12, groups: 3, kernel: [1, 1], weight: s2, hw: { pe: 6 }", "E0601", "whole groups"),
        ("op: conv2d, outputs: 12, groups: 6, kernel: [2, 1], weight: s2, hw: { pe: 4, simd: 2 }", "E0601", "simd: 1"),
        ("op: rearrange, shape: [1, 1, 12], loops: [[4, 6], [3, 1]], hw: { pe: 2 }", "E0601", "stay side by side"),
    ] {
        Folder::with_plan(&plan(layer)).refuses("check plan.yaml", 2, code, said);
    }
}

#[test]
fn widths_out_of_range() {
    refused("format: u4", "format: u17", "E0106", "u17");
    refused("weight: s4", "weight: s0", "E0106", "s0");
    refused("output: u3", "output: bipolar9", "E0106", "bipolar9");
    refused("weight: s4", "weight: -4", "E0105", "-4");
}

#[test]
fn numbers_and_shapes_out_of_range() {
    refused("kernel: [3, 3]", "kernel: [0, 3]", "E0106", "0, 3");
    refused_somewhere("kernel: [3, 3]", "kernel: [9, 9]", "E0201", "layer conv1");
    refused("outputs: 10", "outputs: 1e30", "E0106", "1e30");
    refused("outputs: 10", "outputs: 99999999999999999999999", "E0106", "99999999999999999999999");
    refused_somewhere("shape: [4, 4, 2]", "shape: [4294967295, 4294967295, 4294967295]", "E0106", "plan.yaml:4");
    refused("hwgen: 1", "hwgen: 2", "E0108", "2\nname");
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
    folder.refuses("check plan.yaml", 2, "E0101", "plan.yaml");
}

#[test]
fn all_faults_are_reported_at_once_with_their_lines() {
    let text = PLAN
        .replace("format: u4", "format: u99")
        .replace("weight: s4", "weight: s99")
        .replace("name: fc", "name: conv1");
    let done = Folder::with_plan(&text).run("check plan.yaml");
    assert!(done.stderr.contains("plan.yaml:4:") && done.stderr.contains("plan.yaml:7:"), "{}", done.stderr);
    assert!(done.stderr.contains("7 |   - { name: conv1, op: dense"), "no snippet: {}", done.stderr);
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
    let text =
        |hash: &str| PLAN.replace("random: { seed: 7 }", &format!("arrays: {{ file: a.safetensors, sha256: {hash} }}"));
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
