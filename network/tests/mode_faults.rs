//! Modes of run-time precision that cannot be: each ends in its code, and says what disagrees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use network::{Code, Diagnostics, Network, Plan};

const RIGHT: &str = "\
hwgen: 1
name: modes
random: { seed: 7 }
input: { shape: [6, 6, 2], format: u4 }
layers:
  - { name: conv1, op: conv2d, outputs: 4, kernel: [3, 3], weight: s3, output: bipolar3, modes: [[3, 4], [1, 2]] }
  - { name: pool1, op: max_pool, kernel: [2, 2] }
  - { name: fc1, op: dense, outputs: 5, weight: bipolar2, modes: [[2, 3], [2, 1]] }
";

fn build(text: &str) -> Result<Network, Diagnostics> {
    Plan::parse(text, "plan.yaml")?.build(None)
}

/// One fault of the code alone, whose text has the words.
#[track_caller]
fn check(old: &str, new: &str, code: Code, words: &str) {
    assert_eq!(RIGHT.matches(old).count(), 1, "`{old}` must stand once");
    let faults = build(&RIGHT.replace(old, new)).expect_err("the plan must be wrong");
    let [fault] = faults.0.as_slice() else { panic!("{faults}") };
    assert!(fault.code == code && fault.message.contains(words) && !fault.help.is_empty(), "{faults}");
}

#[test]
fn planes_beyond_the_stored_ones() {
    assert_eq!(build(RIGHT).unwrap().layers()[0].modes.len(), 2);
    check("[[3, 4], [1, 2]]", "[[3, 4], [4, 2]]", Code::Modes, "mode 1 reads 4 weight planes, but s3 has 3");
    check("[[3, 4], [1, 2]]", "[[3, 5], [1, 2]]", Code::Modes, "mode 0 reads 5 activation planes, but u4 has 4");
    check("[[2, 3], [2, 1]]", "[[2, 3], [3, 1]]", Code::Modes, "mode 1 reads 3 weight planes, but bipolar2 has 2");
    check("[[2, 3], [2, 1]]", "[[2, 4], [2, 1]]", Code::Modes, "mode 0 reads 4 activation planes, but bipolar3 has 3");
}

#[test]
fn numbers_of_planes_and_modes() {
    let entry = "an entry that is no [weight planes, activation planes]";
    for wrong in ["[0, 2]", "[1, 17]", "[1]", "[1, 2, 3]", "1", "[1, x]"] {
        check("[[3, 4], [1, 2]]", &format!("[[3, 4], {wrong}]"), Code::PlanValue, entry);
    }
    check("[[3, 4], [1, 2]]", "8x8", Code::PlanValue, "is no list");
    check("[[3, 4], [1, 2]]", "[]", Code::PlanRange, "0 entries");
    let nine = format!("[{}]", ["[1, 1]"; 9].join(", "));
    check("[[3, 4], [1, 2]]", &nine, Code::PlanRange, "9 entries");
    check("[[2, 3], [2, 1]]", "[[2, 3], [2, 1], [1, 1]]", Code::Modes, "`fc1` has 3 modes, `conv1` has 2");
}

#[test]
fn layers_that_have_no_modes() {
    check("kernel: [2, 2] }", "kernel: [2, 2], modes: [[1, 1], [1, 1]] }", Code::PlanConflict, "modes");
    let coded = "weight: { piecewise: [2, 4], multipliers: [5, 1] }, modes: [[2, 3], [2, 1]]";
    check("weight: bipolar2, modes: [[2, 3], [2, 1]]", coded, Code::Modes, "coded otherwise than plane by plane");
    let sums = "{ name: codes, op: requantize, input: fc1, output: u4 }";
    let faults = build(&format!("{RIGHT}  - {sums}\n")).expect_err("sums of a mode are read");
    assert!(faults.0.len() == 1 && faults.0[0].code == Code::Modes && faults.0[0].message.contains("sums of `fc1`"));
}
