//! Wrong plans: each class of fault has its code and its place, and all faults of a text come at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use network::{Code, Diagnostics, Network, Plan};

/// A plan that is right.
const RIGHT: &str = "\
hwgen: 1
name: tiny-net
random: { seed: 7 }
input: { shape: [6, 6, 2], format: u4, scale: 0.125 }
layers:
  - { name: conv1, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s3, output: u3 }
  - { name: pool1, op: max_pool, kernel: [2, 2] }
  - { name: fc1, op: dense, outputs: 5, weight: s4, hw: { kind: mac, pe: 5, simd: 4 } }
output: { name: logits, scale: 0.5 }
";

fn build(text: &str) -> Result<Network, Diagnostics> {
    Plan::parse(text, "plan.yaml")?.build(None)
}

fn faults(text: &str) -> Vec<String> {
    let faults = build(text).expect_err("the plan must be wrong");
    faults.0.iter().map(|fault| format!("{} {}", fault.code, fault.place)).collect()
}

/// Replaces `old` in the right plan and wants exactly one fault of `code` at the first `mark` of the new text; the
/// place is counted here from the text itself.
#[track_caller]
fn check_in(layer: Option<&str>, old: &str, new: &str, code: Code, mark: &str) {
    assert_eq!(RIGHT.matches(old).count(), 1, "`{old}` must stand once");
    let text = RIGHT.replace(old, new);
    let start = RIGHT.find(old).unwrap();
    let at = start + new.find(mark).unwrap();
    let line = text[..at].matches('\n').count() + 1;
    let column = text[..at].rsplit('\n').next().unwrap().chars().count() + 1;
    let layer = layer.map_or(String::new(), |name| format!(", layer {name}"));
    assert_eq!(faults(&text), [format!("{} plan.yaml:{line}:{column}{layer}", code)], "{text}");
}

#[track_caller]
fn check(old: &str, new: &str, code: Code, mark: &str) {
    check_in(None, old, new, code, mark);
}

#[test]
fn the_right_plan_builds() {
    let network = build(RIGHT).unwrap();
    assert_eq!(network.layers().len(), 3);
    assert_eq!(network.output_tensor(&network.outputs()[0]).shape.elements(), 5);
}

#[test]
fn unknown_keys() {
    check("random:", "colour: 3\nrandom:", Code::PlanUnknownKey, "colour");
    check("seed: 7", "seed: 7, sed: 8", Code::PlanUnknownKey, "sed: 8");
    check("scale: 0.125", "scala: 0.125", Code::PlanUnknownKey, "scala");
    check_in(Some("pool1"), "kernel: [2, 2]", "kernel: [2, 2], stide: [2, 2]", Code::PlanUnknownKey, "stide");
    check_in(Some("fc1"), "pe: 5", "pes: 5", Code::PlanUnknownKey, "pes");
    check("name: logits", "3: 4, name: logits", Code::PlanUnknownKey, "3: 4");
    check("random:", "<<: { a: 1 }\nrandom:", Code::PlanUnknownKey, "<<");
}

#[test]
fn unknown_keys_come_with_a_suggestion() {
    let fault = build(&RIGHT.replace("kernel: [2, 2]", "kernel: [2, 2], stide: [2, 2]")).unwrap_err();
    assert_eq!(fault.0[0].help, "did you mean `stride`?");
    let fault = build(&RIGHT.replace("op: dense", "op: dens")).unwrap_err();
    assert!(fault.0[0].help.starts_with("did you mean `dense`?"), "{fault}");
}

/// The example of the page of diagnostics.
#[test]
fn a_fault_as_users_see_it() {
    let fault = build(&RIGHT.replace("kernel: [2, 2]", "kernel: [2, 2], stide: [2, 2]")).unwrap_err();
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/diagnostics.md");
    let indented = fault.to_string().replace('\n', "\n    ");
    assert!(std::fs::read_to_string(page).unwrap().contains(&indented), "{fault}");
}

#[test]
fn long_lists_end() {
    let layers = "  - { name: a, op: argmax }\n".repeat(5000);
    assert_eq!(
        faults(&format!(
            "hwgen: 1\nname: a\nrandom: {{ seed: 1 }}\ninput: {{ shape: [1], format: u1 }}\nlayers:\n{layers}"
        )),
        ["E0106 plan.yaml:6:3"]
    );
    let wrong: String = (0..5000).map(|index| format!("key{index}: 1\n")).collect();
    assert_eq!(faults(&format!("hwgen: 1\n{wrong}")).len(), 1000);
}

#[test]
fn duplicate_keys() {
    check("name: tiny-net\n", "name: tiny-net\nname: other\n", Code::PlanDuplicateKey, "name: other");
    check_in(Some("fc1"), "pe: 5", "pe: 5, pe: 1", Code::PlanDuplicateKey, "pe: 1");
    check(
        "layers:\n",
        "layers:\n  - { name: a, op: max_pool, kernel: [1, 1] }\nlayers :\n",
        Code::PlanDuplicateKey,
        "layers :",
    );
}

/// The same with the place written down, for faults of what is not there.
#[track_caller]
fn check_at(old: &str, new: &str, code: Code, place: &str) {
    assert_eq!(RIGHT.matches(old).count(), 1, "`{old}` must stand once");
    let text = RIGHT.replace(old, new);
    assert_eq!(faults(&text), [format!("{code} plan.yaml:{place}")], "{text}");
}

#[test]
fn missing_keys() {
    check_at("hwgen: 1\n", "", Code::PlanMissingKey, "1:1");
    check_at("name: tiny-net\n", "", Code::PlanMissingKey, "1:1");
    check_at("random: { seed: 7 }\n", "", Code::PlanMissingKey, "1:1");
    check_at("{ seed: 7 }", "{}", Code::PlanMissingKey, "3:9");
    check_at("shape: [6, 6, 2], ", "", Code::PlanMissingKey, "4:8");
    check_at("format: u4, ", "", Code::PlanMissingKey, "4:8");
    check_at("{ name: pool1, op", "{ op", Code::PlanMissingKey, "7:5");
    check_at(" op: max_pool,", "", Code::PlanMissingKey, "7:5, layer pool1");
    check_at(" op: max_pool, kernel: [2, 2]", " op: max_pool", Code::PlanMissingKey, "7:5, layer pool1");
    check_at("outputs: 5, ", "", Code::PlanMissingKey, "8:5, layer fc1");
    check_at("weight: s4, ", "", Code::PlanMissingKey, "8:5, layer fc1");
    check_at("random: { seed: 7 }", "arrays: { file: a }", Code::PlanMissingKey, "3:9");
    check_at("op: max_pool, kernel: [2, 2]", "op: requantize", Code::PlanMissingKey, "7:5, layer pool1");
    assert_eq!(faults(""), ["E0104 plan.yaml:1:1"]);
}

#[test]
fn wrong_types() {
    check("name: tiny-net", "name: 12", Code::PlanValue, "12");
    check("name: tiny-net", "name: ~", Code::PlanValue, "~");
    check("name: tiny-net", "name: ../up", Code::PlanValue, "../up");
    check("{ seed: 7 }", "7", Code::PlanValue, "7");
    check("seed: 7", "seed: 1.5", Code::PlanValue, "1.5");
    check("seed: 7", "seed: 007", Code::PlanValue, "007");
    check("[6, 6, 2]", "36", Code::PlanValue, "36");
    check("[6, 6, 2]", "[6, 6]", Code::PlanValue, "[6, 6]");
    check("[6, 6, 2]", "[6, six, 2]", Code::PlanValue, "six");
    check("format: u4", "format: 4", Code::PlanValue, "4");
    check("format: u4", "format: i4", Code::PlanValue, "i4");
    check("scale: 0.125", "scale: small", Code::PlanValue, "small");
    check("scale: 0.5", "scale: [0.5]", Code::PlanValue, "[0.5]");
    check_in(Some("fc1"), "op: dense", "op: Dense", Code::PlanValue, "Dense");
    check_in(Some("fc1"), "kind: mac", "kind: fast", Code::PlanValue, "fast");
    check_in(Some("fc1"), "kind: mac", "kind: true", Code::PlanValue, "true");
    check_in(Some("fc1"), "hw: { kind: mac, pe: 5, simd: 4 }", "hw: mac", Code::PlanValue, "mac");
    check_in(Some("pool1"), "kernel: [2, 2]", "kernel: [2, 2, 2]", Code::PlanValue, "[2, 2, 2]");
    check_in(Some("conv1"), "padding: [1, 1, 1, 1]", "padding: [1, 1]", Code::PlanValue, "[1, 1]");
    check("name: pool1", "name: pool/1", Code::PlanValue, "pool/1");
    check_in(Some("input"), "name: pool1", "name: input", Code::PlanValue, "input");
    check("output: { name: logits, scale: 0.5 }", "output: { host: tanh }", Code::PlanValue, "tanh");
    check_at(
        &RIGHT[RIGHT.find("layers:").unwrap()..RIGHT.find("output: {").unwrap()],
        "layers: []\n",
        Code::PlanValue,
        "5:9",
    );
}

#[test]
fn numbers_out_of_range() {
    check("seed: 7", "seed: -1", Code::PlanRange, "-1");
    check("seed: 7", "seed: 1e30", Code::PlanRange, "1e30");
    check("[6, 6, 2]", "[6, 0, 2]", Code::PlanRange, "0");
    check("[6, 6, 2]", "[1048576, 1048576, 2]", Code::PlanRange, "[1048576");
    check("format: u4", "format: u17", Code::PlanRange, "u17");
    check("format: u4", "format: bipolar9", Code::PlanRange, "bipolar9");
    check("format: u4", "format: s0", Code::PlanRange, "s0");
    check("scale: 0.125", "scale: .nan", Code::PlanRange, ".nan");
    check("scale: 0.125", "scale: .inf", Code::PlanRange, ".inf");
    check("scale: 0.125", "scale: 0", Code::PlanRange, "0");
    check("scale: 0.125", "scale: 1e-60", Code::PlanRange, "1e-60");
    check("scale: 0.125", "scale: 0.125, zero_point: 1e60", Code::PlanRange, "1e60");
    check("scale: 0.125", "scale: 0.125, codes: [0, 16]", Code::PlanRange, "[0, 16]");
    check("scale: 0.125", "scale: 0.125, codes: [9, 8]", Code::PlanRange, "[9, 8]");
    check("scale: 0.5", "scale: .nan", Code::PlanRange, ".nan");
    check("scale: 0.5", "offset: 1e999", Code::PlanRange, "1e999");
    check("random:", "target: { clock_mhz: -5 }\nrandom:", Code::PlanRange, "-5");
    check("random:", "target: { budget: { lut: -1 } }\nrandom:", Code::PlanRange, "-1");
    check_in(Some("conv1"), "outputs: 4", "outputs: 0", Code::PlanRange, "0");
    check_in(Some("conv1"), "outputs: 4", "outputs: 99999999999999999999", Code::PlanRange, "9999");
    check_in(Some("conv1"), "kernel: [3, 3]", "kernel: [3, 0]", Code::PlanRange, "0");
    check_in(Some("conv1"), "padding: [1, 1, 1, 1]", "padding: [1, 1, -1, 1]", Code::PlanRange, "-1");
    check_in(Some("conv1"), "weight: s3", "weight: s17", Code::PlanRange, "s17");
    check_in(Some("conv1"), "output: u3", "output: u3, codes: [0, 8]", Code::PlanRange, "[0, 8]");
    check_in(Some("fc1"), "pe: 5", "pe: 0", Code::PlanRange, "0");
}

#[test]
fn names_and_conflicts() {
    check("hwgen: 1", "hwgen: 2", Code::PlanVersion, "2");
    check("hwgen: 1", "hwgen: one", Code::PlanVersion, "one");
    check_in(Some("conv1"), "name: pool1", "name: conv1", Code::PlanDuplicateLayer, "conv1");
    check_in(Some("fc1"), "op: dense", "op: dense, input: conv2", Code::PlanReference, "conv2");
    check_in(Some("conv1"), "op: conv2d", "op: conv2d, input: fc1", Code::PlanReference, "fc1");
    check_in(Some("conv1"), "op: conv2d", "op: conv2d, input: conv1", Code::PlanReference, "conv1");
    check("random: { seed: 7 }", "arrays: { file: a, sha256: b }\nrandom: { seed: 7 }", Code::PlanConflict, "{ seed");
    check("scale: 0.125", "rounding: floor", Code::PlanConflict, "floor");
    check_in(Some("fc1"), "outputs: 5", "outputs: 5, kernel: [1, 1]", Code::PlanConflict, "[1, 1]");
    check_in(Some("pool1"), "kernel: [2, 2]", "kernel: [2, 2], output: u3", Code::PlanConflict, "u3");
    check_in(Some("pool1"), "kernel: [2, 2]", "kernel: [2, 2], hw: { kind: mac }", Code::PlanConflict, "mac");
    check_in(Some("fc1"), "outputs: 5", "outputs: 5, codes: [0, 1]", Code::PlanConflict, "[0, 1]");
    check_in(Some("fc1"), "simd: 4", "requantize: rescale", Code::PlanConflict, "rescale");
}

#[test]
fn faults_of_the_network_stand_at_their_layers() {
    check_at("kernel: [3, 3]", "kernel: [9, 9]", Code::LayerShape, "6:5, layer conv1");
    check_at("kernel: [2, 2]", "kernel: [7, 2]", Code::LayerShape, "7:5, layer pool1");
    check_at(", output: u3", "", Code::LayerFormat, "8:5, layer fc1");
    check_at(
        "padding: [1, 1, 1, 1]",
        "padding: [1, 1, 1, 1], padding_value: -3",
        Code::LayerFormat,
        "6:5, layer conv1",
    );
}

#[test]
fn weights_from_a_seed_are_limited() {
    check_at("[6, 6, 2]", "[60000, 60000, 2]", Code::PlanRange, "8:5, layer fc1");
}

#[test]
fn all_faults_come_at_once() {
    let text = "\
hwgen: 1
name: many faults
random: { seed: x }
input: { shape: [6, 6, 2], format: u99 }
layers:
  - { name: conv1, op: conv2d, outputs: 4, kernel: [3, 3], weight: s3, output: u3, coulour: red }
  - { name: conv1, op: conv2e }
  - { name: fc1, op: dense, weight: s40, hw: { pe: 0, kind: macs } }
output: { scale: .nan }
";
    assert_eq!(
        faults(text),
        [
            "E0105 plan.yaml:2:7",
            "E0105 plan.yaml:3:17",
            "E0106 plan.yaml:4:36",
            "E0102 plan.yaml:6:84, layer conv1",
            "E0107 plan.yaml:7:13, layer conv1",
            "E0105 plan.yaml:7:24, layer conv1",
            "E0104 plan.yaml:8:5, layer fc1",
            "E0106 plan.yaml:8:37, layer fc1",
            "E0106 plan.yaml:8:52, layer fc1",
            "E0105 plan.yaml:8:61, layer fc1",
            "E0106 plan.yaml:9:18",
        ]
    );
}

#[test]
fn text_that_is_no_yaml() {
    check("[6, 6, 2]", "[6, 6, 2", Code::PlanSyntax, "[6, 6, 2");
    check("name: tiny-net", "name: 'tiny", Code::PlanSyntax, "'tiny");
    check("{ seed: 7 }", "*seed", Code::PlanSyntax, "*seed");
}

#[test]
fn wrong_codings_of_weights() {
    let weight =
        |text: &str, code, mark: &str| check_in(Some("fc1"), "weight: s4", &format!("weight: {text}"), code, mark);
    let right = RIGHT.replace("weight: s4", "weight: { piecewise: [2, 4], multipliers: [5, 1], group: 3 }");
    build(&right).unwrap();
    weight("{ piecewise: [2, 4], pieces: 3 }", Code::PlanUnknownKey, "pieces");
    weight("{ group: 3 }", Code::PlanConflict, "{ group");
    weight("{ piecewise: [2, 4], wavelet: [1, 1, 1, 1] }", Code::PlanConflict, "{ piecewise");
    weight("{ piecewise: [2, 4], transform: haar }", Code::PlanConflict, "{ piecewise");
    weight("{ wavelet: [2, 2, 2, 2], group: 2 }", Code::PlanConflict, "{ wavelet");
    weight("{ piecewise: [4] }", Code::PlanValue, "[4]");
    weight("{ piecewise: [2, 9] }", Code::PlanRange, "9");
    weight("{ piecewise: [2, 4], multipliers: [1] }", Code::PlanValue, "[1]");
    weight("{ piecewise: [2, 4], multipliers: [0, 1] }", Code::PlanRange, "0, 1");
    weight("{ piecewise: [2, 4], multipliers: [1.5, 1] }", Code::PlanValue, "1.5");
    weight("{ piecewise: [2, 4], offsets: [-1, 1] }", Code::PlanRange, "-1");
    weight("{ piecewise: [2, 4], group: 0 }", Code::PlanRange, "0 }");
    weight("{ piecewise: [2, 8], multipliers: [1, 4096] }", Code::PlanRange, "{ piecewise");
    weight("{ wavelet: [0, 1, 1, 1] }", Code::PlanRange, "{ wavelet");
    weight("{ wavelet: [4, 11, 1, 1] }", Code::PlanRange, "11");
    weight("{ wavelet: [4, 1, 1] }", Code::PlanValue, "[4, 1, 1]");
    weight("{ wavelet: [4, 1, 1, 1], transform: daubechies }", Code::PlanValue, "daubechies");
}

/// Two inputs, and layers that read them by name.
fn two_inputs(inputs: &str, layers: &str) -> Result<Network, Diagnostics> {
    let text =
        format!("hwgen: 1\nname: a\nrandom: {{ seed: 1, weights: extreme }}\ninputs:\n{inputs}layers:\n{layers}");
    Plan::parse(&text, "plan.yaml")?.build(None)
}

#[test]
fn several_inputs_are_read_by_name_or_refused() {
    let ends = "  - { name: left, shape: [2, 2, 3], format: u4 }\n  - { name: a b, shape: [3], format: s5 }\n";
    let sum = "  - { name: sum, op: add, inputs: [left, a b], output: u4 }\n";
    let network = two_inputs(ends, sum).unwrap();
    assert_eq!((network.inputs().len(), network.frame_elements()), (2, 15));
    assert_eq!(network.layers()[0].inputs, [network::graph::TensorId(0), network::graph::TensorId(1)]);
    let refused = |inputs: &str, layers: &str, code: Code, word: &str| {
        let faults = two_inputs(inputs, layers).unwrap_err();
        assert!(
            faults
                .0
                .iter()
                .any(|fault| fault.code == code && format!("{} {}", fault.message, fault.help).contains(word)),
            "{faults}"
        );
    };
    let pool = "  - { name: pool, op: max_pool, kernel: [1, 1]";
    refused(ends, &format!("{pool} }}\n"), Code::PlanMissingKey, "input");
    refused(ends, &format!("{pool}, input: input }}\n"), Code::PlanReference, "one of the inputs");
    refused(ends, &format!("{pool}, input: left }}\n"), Code::PlanConflict, "a b");
    refused(&ends.replace("a b", "left"), sum, Code::PlanDuplicateLayer, "left");
    refused(ends, &sum.replace("name: sum", "name: left"), Code::PlanDuplicateLayer, "left");
    refused("  []\n", sum, Code::PlanValue, "0 entries");
}
