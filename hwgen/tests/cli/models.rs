//! Models that cannot be imported: malformed, truncated, hostile.

use crate::place::{Folder, repository};

fn digits() -> Vec<u8> {
    std::fs::read(repository().join("examples/digits-mlp/digits-mlp.qonnx.onnx")).unwrap()
}

#[track_caller]
fn refused(bytes: &[u8], code: &str) {
    let folder = Folder::new();
    folder.write("m.onnx", bytes);
    folder.refuses("plan m.onnx -o plan.yaml", 2, code, "m.onnx");
}

#[test]
fn files_that_are_no_models() {
    refused(b"", "E04");
    refused(b"hello", "E0401");
    refused(&[0xff; 64], "E0401");
    let folder = Folder::new();
    folder.refuses("plan none.onnx -o plan.yaml", 2, "E0703", "none.onnx");
    folder.refuses("plan . -o plan.yaml", 2, "E0703", "directory");
}

#[test]
fn a_model_is_cut_where_the_user_says() {
    let folder = Folder::new();
    let model = repository().join("examples/digits-mlp/digits-mlp.float.onnx");
    folder.write("m.onnx", &std::fs::read(model).unwrap());
    let plan = "plan m.onnx -o plan.yaml --random-calibration 1";
    let cut = folder.run(&format!("{plan} --outputs /2/Gemm,/1/Relu_output_0 --input-shape input=1,64"));
    assert_eq!(cut.exit_code, 0, "{}", cut.stderr);
    assert!(cut.stdout.contains("fc2") && !cut.stdout.contains("fc3"), "{}", cut.stdout);
    let text = folder.read("plan.yaml");
    assert!(text.contains("/2/Gemm_output_0") && text.contains("/1/Relu_output_0"), "{text}");
    folder.refuses(&format!("{plan} --outputs /2/Gem"), 2, "E0406", "/2/Gem");
    let behind = folder.run(&format!("{plan} --inputs /1/Relu --input-shape 1,64"));
    assert_eq!(behind.exit_code, 0, "{}", behind.stderr);
    assert!(behind.stdout.contains("fc3") && !behind.stdout.contains("fc4"), "{}", behind.stdout);
    let text = folder.read("plan.yaml");
    assert!(text.contains("/1/Relu_output_0") && !text.contains("/0/Gemm"), "{text}");
    folder.refuses(&format!("{plan} --inputs /1/Rel"), 2, "E0406", "/1/Rel");
    folder.refuses(&format!("{plan} --inputs /1/Relu,/1/Relu_output_0"), 2, "E0406", "twice");
    folder.refuses(&format!("{plan} --inputs /1/Relu --outputs /1/Relu"), 2, "E0406", "an input and an output");
    folder.refuses(&format!("{plan} --input-shape other=1,64"), 2, "E0403", "other");
    folder.refuses(&format!("{plan} --input-shape 1,65"), 2, "E0403", "64");
    assert_eq!(folder.run(&format!("{plan} --input-shape input=1,x")).exit_code, 2);
    assert_eq!(folder.run(&format!("{plan} --input-shape input=1,0")).exit_code, 2);
}

#[test]
fn truncated_models() {
    let whole = digits();
    for part in 1..16 {
        refused(&whole[..whole.len() * part / 16], "E04");
    }
}

#[test]
fn protobuf_bombs() {
    // A graph inside an attribute inside a node inside a graph, and so on.
    let mut nested: Vec<u8> = Vec::new();
    for _ in 0..20_000 {
        for tag in [0x32, 0x2a, 0x0a] {
            let mut outer = vec![tag];
            let mut length = nested.len();
            while length >= 0x80 {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(&nested);
            nested = outer;
        }
        if nested.len() > 60_000 {
            break;
        }
    }
    let mut model = vec![0x3a];
    let mut length = nested.len();
    while length >= 0x80 {
        model.push(length as u8 | 0x80);
        length >>= 7;
    }
    model.push(length as u8);
    model.extend(nested);
    refused(&model, "E04");
    // A length that claims far more than the file holds.
    refused(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f], "E0401");
    // Millions of empty nodes.
    let mut nodes = Vec::new();
    for _ in 0..2_000_000 {
        nodes.extend([0x0a, 0x00]);
    }
    let mut model = vec![0x3a, 0x80, 0x92, 0xf4, 0x01];
    assert_eq!(nodes.len(), 4_000_000);
    model.extend(nodes);
    refused(&model, "E04");
}

#[test]
fn flipped_bytes_never_panic() {
    let whole = digits();
    let folder = Folder::new();
    for step in 0..60 {
        let mut damaged = whole.clone();
        let at = (step * 7919) % damaged.len();
        damaged[at] ^= 1 << (step % 8);
        folder.write("m.onnx", &damaged);
        let done = folder.run("plan m.onnx -o plan.yaml");
        assert!([0, 2].contains(&done.exit_code), "byte {at}: {} {}", done.exit_code, done.stderr);
        if done.exit_code == 2 {
            assert!(!folder.join("plan.yaml").exists(), "byte {at}");
        }
        let _ = std::fs::remove_file(folder.join("plan.yaml"));
    }
}

#[test]
fn scales_that_are_no_numbers() {
    // Every stored float32 scale 0.0625 or 2^-8 becomes NaN, infinite, or negative.
    let whole = digits();
    for pattern in [f32::NAN, f32::INFINITY, -1.0f32] {
        let mut damaged = whole.clone();
        let wanted = 0.00390625f32.to_le_bytes();
        let places: Vec<usize> = (0..damaged.len() - 4).filter(|&at| damaged[at..at + 4] == wanted).collect();
        for at in &places {
            damaged[*at..at + 4].copy_from_slice(&pattern.to_le_bytes());
        }
        assert!(!places.is_empty(), "the model holds its input scale");
        refused(&damaged, "E040");
    }
}

#[test]
fn outputs_that_cannot_be_written() {
    let folder = Folder::new();
    folder.write("m.onnx", &digits());
    folder.write("file", b"");
    std::fs::create_dir(folder.join("dir")).unwrap();
    for target in ["file/plan.yaml", "none/plan.yaml", "dir", "..", "/proc/plan.yaml"] {
        folder.refuses(&format!("plan m.onnx -o {target}"), 3, "E0702", "cannot be written");
    }
}
