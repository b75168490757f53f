//! Models of several inputs in every dialect, against onnxruntime and QONNX's executor; weights that lie beside a model.

use crate::evaluator::{codes_of, evaluate};
use crate::frames::read;
use network::{Code, Network};
use quantizer::{
    Calibration, ExternalPart, ImportOptions, PostTraining, Reading, import, inline_external, input_names,
};
use std::path::{Path, PathBuf};

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/inputs.npz")
}

fn bytes(name: &str) -> Vec<u8> {
    read::<u8>(&path(), name).unwrap().0
}

fn floats(name: &str) -> Vec<f32> {
    read::<f32>(&path(), name).unwrap().0
}

const FRAMES: usize = 6;

/// Both inputs' frames in the order of the model's inputs.
fn calibration() -> Calibration {
    let one = |name: &str, dims: &[u64]| {
        let shape = [&[FRAMES as u64], dims].concat();
        (Calibration::Frames { values: floats(name), shape, integers: false }, None)
    };
    Calibration::Several(vec![one("z", &[5]), one("x", &[3, 4, 6])])
}

/// Largest difference to the recorded results, in parts of the largest.
fn difference(model: &[u8], name: &str, options: &ImportOptions) -> f64 {
    let imported = import(model, name, options).unwrap_or_else(|faults| panic!("{faults}"));
    let network = Network::build(imported.parts).unwrap();
    assert_eq!(network.inputs().iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["z", "x"]);
    let (x, z, expected) = (floats("x"), floats("z"), floats(&format!("{name}.y")));
    let largest = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
    let mut difference = 0f64;
    for (frame, expected) in expected.chunks(3).enumerate() {
        let both = [&z[frame * 5..][..5], &x[frame * 72..][..72]].concat();
        let outcome = evaluate(&network, &codes_of(&network, &both));
        let errors =
            outcome.outputs[0].iter().zip(expected).map(|(made, &expected)| (made - f64::from(expected)).abs());
        difference = errors.fold(difference, f64::max);
    }
    difference / f64::from(largest)
}

#[test]
fn every_dialect_takes_several_inputs() {
    assert_eq!(input_names(&bytes("float.model"), "m.onnx", &Reading::default()).unwrap(), ["z", "x"]);
    assert!(difference(&bytes("qonnx.model"), "qonnx", &ImportOptions::default()) < 1e-5);
    assert!(difference(&bytes("qdq.model"), "qdq", &ImportOptions::default()) < 1e-5);
    let post_training = Some(PostTraining {
        calibration: calibration(),
        weight_bits: 12,
        activation_bits: 12,
        ..PostTraining::default()
    });
    let options = ImportOptions { post_training, ..ImportOptions::default() };
    assert!(difference(&bytes("float.model"), "float", &options) < 5e-3);
}

#[test]
fn calibration_is_for_each_input() {
    let refused = |calibration: Calibration| {
        let post_training = Some(PostTraining { calibration, ..PostTraining::default() });
        let options = ImportOptions { post_training, ..ImportOptions::default() };
        import(&bytes("float.model"), "m.onnx", &options).unwrap_err()
    };
    let Calibration::Several(entering) = calibration() else { unreachable!() };
    let alone = refused(entering[0].0.clone());
    assert!(alone.0[0].code == Code::FramesShape && alone.to_string().contains("z, x"), "{alone}");
    let crossed = refused(Calibration::Several(entering.iter().rev().cloned().collect()));
    let nodes: Vec<_> = crossed.0.iter().map(|fault| (fault.code, fault.place.layer.as_deref().unwrap())).collect();
    assert_eq!(nodes, [(Code::FramesShape, "z"), (Code::FramesShape, "x")], "{crossed}");
    let mut fewer = entering;
    if let Calibration::Frames { values, shape, .. } = &mut fewer[0].0 {
        values.truncate(10);
        shape[0] = 2;
    }
    let fewer = refused(Calibration::Several(fewer));
    assert!(fewer.to_string().contains("[2, 6] calibration frames"), "{fewer}");
}

#[test]
fn weights_beside_the_model_are_read() {
    let weights = bytes("external.weights");
    let mut asked = Vec::new();
    let whole = inline_external(bytes("external.model"), "m.onnx", &mut |part: &ExternalPart| {
        asked.push(part.location.clone());
        Ok(weights[part.offset as usize..][..part.length.unwrap() as usize].to_vec())
    });
    assert_eq!(asked, ["weights.bin"; 4]);
    let post_training = Some(PostTraining { calibration: calibration(), ..PostTraining::default() });
    let options = ImportOptions { post_training, ..ImportOptions::default() };
    let (made, plain) =
        (import(&whole.unwrap(), "m.onnx", &options), import(&bytes("float.model"), "m.onnx", &options));
    assert_eq!(made.unwrap().parts, plain.unwrap().parts);
    // Without the file every tensor is named.
    let missing = inline_external(bytes("external.model"), "m.onnx", &mut |_| Err("no such file".to_owned()));
    let missing = missing.unwrap_err();
    let nodes: Vec<&str> = missing.0.iter().map(|fault| fault.place.layer.as_deref().unwrap()).collect();
    assert_eq!(nodes, ["w", "v", "u", "one"]);
    assert!(missing.0.iter().all(|fault| fault.code == Code::ModelConstant && fault.message.contains("no such file")));
    // A path that leads elsewhere is never asked for.
    let mut away = bytes("external.model");
    let place = away.windows(11).position(|text| text == b"weights.bin").unwrap();
    away[place..place + 11].copy_from_slice(b"../ghts.bin");
    let away = inline_external(away, "m.onnx", &mut |part| {
        assert_eq!(part.location, "weights.bin");
        Ok(Vec::new())
    });
    assert!(away.unwrap_err().to_string().contains("no path inside the model's folder"));
}
