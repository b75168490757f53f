//! Float models of several inputs, calibrated by name or one array after the other; weights in a file beside the model.

use crate::place::{Folder, npy_floats, npz, repository};
use ndarray_npy::{NpzReader, ReadableElement};
use std::fs::File;

fn recorded<T: ReadableElement + Clone>(name: &str) -> Vec<T> {
    let file = File::open(repository().join("quantizer/tests/records/inputs.npz")).unwrap();
    let array: ndarray::ArrayD<T> = NpzReader::new(file).unwrap().by_name(name).unwrap();
    array.iter().cloned().collect()
}

/// A folder with the model and frames of both inputs.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("m.onnx", &recorded::<u8>("float.model"));
    let (x, z) = (recorded::<f32>("x"), recorded::<f32>("z"));
    let arrays = [("x", npy_floats("(6, 3, 4, 6)", &x)), ("z", npy_floats("(6, 5)", &z))];
    folder.write("frames.npz", &npz(&arrays));
    folder
}

#[test]
fn calibration_by_name_or_in_order() {
    let folder = folder();
    let plan = |arguments: &str| {
        let done = folder.run(&format!("plan m.onnx -o plan.yaml {arguments}"));
        assert_eq!(done.exit_code, 0, "{}", done.stderr);
        folder.read("plan.yaml")
    };
    let by_name = plan("--calibration frames.npz");
    assert_eq!(by_name, plan("--calibration frames.npz:z --calibration frames.npz:x"));
    let done = folder.run("run plan.yaml --input frames.npz");
    assert_eq!(done.exit_code, 0, "{}", done.stderr);
    folder.refuses("plan m.onnx -o other.yaml --calibration frames.npz:x", 2, "E0502", "inputs z, x");
    folder.refuses(
        "plan m.onnx -o other.yaml --calibration frames.npz:x --calibration frames.npz:z",
        2,
        "E0502",
        "does not fit",
    );
}

#[test]
fn weights_beside_the_model() {
    let folder = folder();
    folder.write("beside.onnx", &recorded::<u8>("external.model"));
    folder.refuses("plan beside.onnx -o plan.yaml --calibration frames.npz", 2, "E0404", "weights.bin");
    folder.write("weights.bin", &recorded::<u8>("external.weights")[..100]);
    folder.refuses("plan beside.onnx -o plan.yaml --calibration frames.npz", 2, "E0404", "bytes");
    folder.write("weights.bin", &recorded::<u8>("external.weights"));
    let done = folder.run("plan beside.onnx -o plan.yaml --calibration frames.npz");
    assert_eq!(done.exit_code, 0, "{}", done.stderr);
}
