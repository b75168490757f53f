//! The shipped networks: all their test images through the golden model, against the framework's recorded outputs.

use crate::place::{Folder, repository};
use std::path::Path;

/// Accuracy and differences as the framework recorded them.
#[track_caller]
fn check(example: &str, options: &str, frames: u64, correct: u64) {
    let folder = Folder::new();
    let files = repository().join("examples").join(example);
    let model = files.join(format!("{example}.qonnx.onnx"));
    let (exit_code, plan) = folder.json(&format!("plan {} -o plan.yaml", model.display()));
    assert_eq!(exit_code, 0, "{plan}");
    assert!(Path::new(&folder.join("plan.arrays.safetensors")).exists());
    let data = files.join("test.npz").display().to_string();
    let (exit_code, report) = folder
        .json(&format!("run plan.yaml --input {data}:x_u8 {options} --labels {data}:y --reference {data}:qonnx_out"));
    assert_eq!(exit_code, 0, "{report}");
    assert_eq!(report["frames"].as_u64(), Some(frames));
    assert_eq!(report["correct"].as_u64(), Some(correct), "{report}");
    assert_eq!(report["reference"]["unexplained"].as_u64(), Some(0));
    assert_eq!(report["reference"]["outputs"].as_u64(), Some(frames * 10));
    let (exit_code, emitted) = folder.json("emit plan.yaml -o design");
    assert_eq!(exit_code, 0, "{emitted}");
    let interval = emitted["timing"]["initiation_interval_cycles"].as_u64().unwrap();
    assert!(interval < 20_000, "a small network takes some thousands of cycles a frame, not {interval}");
}

#[test]
fn digits_mlp() {
    check("digits-mlp", "--input-scale 0.0625", 450, 435);
}

#[test]
fn mnist_cnn() {
    check("mnist-cnn", "", 1000, 986);
}

/// Every output code is that of onnxruntime's integer kernels; the exact rule turns two of them by one step.
#[test]
fn mnist_cnn_qdq() {
    let folder = Folder::new();
    let files = repository().join("examples/mnist-cnn");
    let model = files.join("mnist-cnn.qdq-int8.onnx").display().to_string();
    let data = files.join("test.npz").display().to_string();
    let run = format!("run plan.yaml --input {data}:x_u8 --labels {data}:y --reference {data}:qdq_out");
    for (rule, differ) in [("float32", 0), ("exact", 2)] {
        let (exit_code, plan) = folder.json(&format!("plan {model} -o plan.yaml --qdq-rule {rule}"));
        assert_eq!(exit_code, 0, "{plan}");
        assert!(plan["notes"][0].as_str().unwrap().contains(&format!("{rule} rule")), "{plan}");
        let (exit_code, report) = folder.json(&run);
        assert_eq!(exit_code, 0, "{report}");
        assert_eq!(report["correct"].as_u64(), Some(986));
        assert_eq!(report["reference"]["outputs"].as_u64(), Some(10_000));
        assert_eq!(report["reference"]["outputs_differ"].as_u64(), Some(differ), "{report}");
    }
}

#[test]
fn mnist_mbn() {
    check("mnist-mbn", "", 500, 490);
}

#[test]
fn the_same_model_gives_the_same_plan() {
    let model = repository().join("examples/digits-mlp/digits-mlp.qonnx.onnx");
    let (a, b) = (Folder::new(), Folder::new());
    for folder in [&a, &b] {
        assert_eq!(folder.run(&format!("plan {} -o plan.yaml", model.display())).exit_code, 0);
    }
    assert_eq!(a.read("plan.yaml"), b.read("plan.yaml"));
    assert_eq!(
        std::fs::read(a.join("plan.arrays.safetensors")).unwrap(),
        std::fs::read(b.join("plan.arrays.safetensors")).unwrap()
    );
}

/// Float networks quantized after training; the float accuracies are 98.6 % and 97.33 %.
#[track_caller]
fn check_float(example: &str, options: &str, least: u64) {
    let folder = Folder::new();
    let files = repository().join("examples").join(example).display().to_string();
    let plan = format!("plan {files}/{example}.float.onnx -o plan.yaml --calibration {files}/calib.npz:x_u8 {options}");
    let (exit_code, report) = folder.json(&plan);
    assert_eq!(exit_code, 0, "{report}");
    let (exit_code, report) =
        folder.json(&format!("run plan.yaml --input {files}/test.npz:x_u8 --labels {files}/test.npz:y"));
    assert_eq!(exit_code, 0, "{report}");
    assert!(report["correct"].as_u64().unwrap() >= least, "{options}: {report}");
    let text = folder.read("plan.yaml");
    let origins = text.lines().filter(|line| line.starts_with('#') && line.contains(": float, weights ")).count();
    assert!(origins >= 4, "{text}");
    assert_eq!(folder.run("check plan.yaml").exit_code, 0);
}

#[test]
fn float_mnist_cnn() {
    check_float("mnist-cnn", "--input-scale 1/256", 982);
    check_float("mnist-cnn", "--input-scale 1/256 --range min-max --weight-range min-max", 981);
    check_float("mnist-cnn", "--input-scale 1/256 --weight-bits 4 --activation-bits 4", 970);
    check_float(
        "mnist-cnn",
        "--input-scale 1/256 --range percentile=99.99 --layer-bits fc1=4,6 --bias-correction",
        975,
    );
}

#[test]
fn float_digits_mlp() {
    check_float("digits-mlp", "--input-scale 1/16", 436);
    check_float("digits-mlp", "--input-scale 1/16 --range entropy --equalize", 430);
    check_float("digits-mlp", "--input-scale 1/16 --weight-bits 4 --activation-bits 4 --adaround", 430);
    check_float("digits-mlp", "--input-scale 0.0625 --weight-bits 5 --activation-bits 5 --planes", 425);
}

/// One weight set in three modes: each has its own accuracy, cycles and products of bits; what is no mode is refused.
#[test]
fn modes_of_digits_mlp() {
    let folder = Folder::new();
    let files = repository().join("examples/digits-mlp").display().to_string();
    let plan = format!(
        "plan {files}/digits-mlp.float.onnx -o plan.yaml --calibration {files}/calib.npz:x_u8 --input-format u5 --input-scale 1/16 --planes --modes"
    );
    let (exit_code, report) = folder.json(&format!("{plan} 8x8,4x4,1x5"));
    assert_eq!(exit_code, 0, "{report}");
    let run = format!("run plan.yaml --input {files}/test.npz:x_u8 --labels {files}/test.npz:y --mode");
    for (mode, least) in [(0, 434), (1, 430), (2, 385)] {
        let (exit_code, report) = folder.json(&format!("{run} {mode}"));
        assert_eq!((exit_code, &report["mode"]), (0, &serde_json::json!(mode)), "{report}");
        assert!(report["correct"].as_u64().unwrap() >= least, "mode {mode}: {report}");
    }
    folder.refuses(&format!("{run} 3"), 2, "E0206", "none is 3");
    folder.refuses(&format!("{plan} 8x8,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1"), 2, "E0206", "9 modes");
    folder.refuses(&format!("{plan} 8x8,9x8"), 2, "E0206", "9x8");
    folder.refuses(&format!("{plan} 8x9"), 2, "E0206", "8x9");
    let (exit_code, report) = folder.json("check plan.yaml");
    assert_eq!(exit_code, 0, "{report}");
    // The timing of arrays with modes is clocked, which proves nothing about frames beyond its end.
    assert_eq!(report["no_stall_pattern_stops_it"], serde_json::json!(false));
    assert_eq!(folder.run("emit plan.yaml -o design").exit_code, 0);
    let (top, harness) =
        (folder.read("design/rtl/digits_mlp_float.v"), folder.read("design/synth/digits_mlp_float_harness.v"));
    for text in [&top, &folder.read("design/README.md")] {
        assert!(text.contains("in mode 2 element x of channel c is the integer 2 * x + offset[c]"), "{text}");
    }
    let ports: Vec<&str> = top
        .lines()
        .filter(|line| line.starts_with("  input ") || line.starts_with("  output "))
        .map(|line| line.trim_end_matches(',').rsplit(' ').next().unwrap())
        .collect();
    assert!(ports.contains(&"s_axil_rready"), "{ports:?}");
    for port in ports {
        assert!(harness.contains(&format!(".{port}(")), "the harness leaves {port} open");
    }
    let (exit_code, report) = folder.json("simulate plan.yaml --model --frames 6 --modes 2,0,1");
    assert_eq!(exit_code, 0, "{report}");
    let figures = |name: &str| -> Vec<u64> {
        report["modes"].as_array().unwrap().iter().map(|mode| mode[name].as_u64().unwrap()).collect()
    };
    // The first layer's 64 x 64 products of 8 x 5 bits, the others' of 8 x 7 where the top plane never changes.
    let products =
        |weight: u64, pixel: u64, code: u64| 64 * 64 * weight * pixel + (64 * 48 + 48 * 48 + 48 * 10) * weight * code;
    assert_eq!(figures("bit_products"), [products(8, 5, 7), products(4, 4, 3), products(1, 5, 4)]);
    let interval = figures("initiation_interval");
    assert!(interval[0] > 2 * interval[1] && interval[1] > interval[2], "{report}");
}

#[test]
fn a_float_model_without_frames_says_what_it_needs() {
    let folder = Folder::new();
    let files = repository().join("examples/mnist-cnn").display().to_string();
    let model = format!("plan {files}/mnist-cnn.float.onnx -o plan.yaml");
    folder.refuses(&model, 2, "E0405", "--calibration");
    folder.refuses(&format!("{model} --calibration {files}/test.npz:y"), 2, "E0502", "does not fit");
    folder.refuses(&format!("{model} --calibration {files}/none.npz:x"), 2, "E0703", "none.npz");
    folder.refuses(&format!("{model} --input-scale 1/256"), 2, "E0405", "input-format");
    let quantized = format!("plan {files}/mnist-cnn.qonnx.onnx -o plan.yaml --calibration {files}/calib.npz:x_u8");
    folder.refuses(&quantized, 2, "E0405", "quantized already");
    assert_eq!(folder.run(&format!("{model} --random-calibration 1")).exit_code, 0);
    // Real zero is no code, so that a layer of its own rescales the input.
    let offset = format!("{model} --calibration {files}/calib.npz:x_u8 --input-scale 1/256 --input-offset -0.11");
    assert_eq!(folder.run(&offset).exit_code, 0);
    assert_eq!(folder.run("check plan.yaml").exit_code, 0);
    assert_eq!(folder.run(&format!("{model} --random-weights 1 --input-format u8 --input-scale 1/256")).exit_code, 0);
}
