//! Trained networks of the examples: every recorded test frame.

use crate::evaluator::{codes_of, evaluate, labels};
use crate::frames::read;
use network::Network;
use network::op::Op;
use network::requantization::Form;
use quantizer::{ImportOptions, Imported, import};
use std::path::{Path, PathBuf};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

fn imported(name: &str) -> Imported {
    let path = example(name).join(format!("{name}.qonnx.onnx"));
    let bytes = std::fs::read(path).unwrap();
    import(&bytes, &format!("{name}.qonnx.onnx"), &ImportOptions::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

/// One line for each layer: name, shape, encoding, and the integer form with its shift and multiplier bits.
fn table(network: &Network) -> Vec<String> {
    let lines = network.layers().iter().enumerate().map(|(index, layer)| {
        let tensor = network.layer_output(index);
        let form = layer.requantization.as_ref().map_or("-".to_owned(), |requantization| match &requantization.form {
            Form::Shift(shift) => {
                let bits = shift.multipliers.iter().map(|m| 64 - m.unsigned_abs().leading_zeros()).max().unwrap();
                format!("{} {} x{bits}", requantization.form_name(), shift.shift)
            }
            Form::Thresholds(thresholds) => format!("{} thresholds", thresholds.count),
            Form::Table(table) => format!("a table of {}", table.count),
        });
        let weights = layer.op.weights().map_or("-".to_owned(), |weights| weights.format.to_string());
        format!("{} {} {} {} {form}", layer.name, weights, tensor.shape, tensor.encoding.label())
    });
    lines.collect()
}

/// Runs all frames; outputs must agree to 1e-5 of the largest except in frames with a sum next to a boundary.
#[track_caller]
fn check(name: &str, divisor: f32, explained: usize) {
    let network = Network::build(imported(name).parts).unwrap_or_else(|faults| panic!("{faults}"));
    let path = example(name).join("test.npz");
    let (images, frames) = read::<u8>(&path, "x_u8").unwrap();
    let (expected, _) = read::<f32>(&path, "qonnx_out").unwrap();
    let (pixels, classes) = (images.len() / frames, expected.len() / frames);
    let largest = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
    let mut differ = 0;
    for frame in 0..frames {
        let reals: Vec<f32> =
            images[frame * pixels..(frame + 1) * pixels].iter().map(|&x| f32::from(x) / divisor).collect();
        let outcome = evaluate(&network, &codes_of(&network, &reals));
        let expected = &expected[frame * classes..(frame + 1) * classes];
        let error = outcome.outputs[0].iter().zip(expected).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
        if error > 1e-5 * f64::from(largest) {
            assert!(outcome.near > 0, "frame {frame} differs by {error} without a sum near a boundary");
            differ += 1;
        }
    }
    assert!(differ <= explained, "{differ} of {frames} frames differ");
    assert_eq!(labels(&network).len(), network.layers().len() + 1);
}

#[test]
fn digits_mlp_equals_the_executor() {
    check("digits-mlp", 16.0, 0);
}

#[test]
fn mnist_cnn_equals_the_executor() {
    check("mnist-cnn", 256.0, 6);
}

#[test]
fn mnist_mbn_equals_the_executor() {
    check("mnist-mbn", 256.0, 0);
}

/// The least shifts, and the widths of multipliers with a shift for each channel alone, that an independent prototype
/// measured for these networks; a common shift costs up to two bits of multiplier.
#[test]
fn integer_forms_are_the_cheapest() {
    let check = |name: &str, expected: &[(u32, u32)]| {
        let network = Network::build(imported(name).parts).unwrap();
        println!("{name}\n  {}", table(&network).join("\n  "));
        let forms = network.layers().iter().filter_map(|layer| layer.requantization.as_ref());
        for (requantization, (shift, bits)) in forms.zip(expected) {
            let Form::Shift(form) = &requantization.form else { panic!("{name}: thresholds") };
            let widest = form.multipliers.iter().map(|m| 64 - m.unsigned_abs().leading_zeros()).max().unwrap();
            assert_eq!(form.shift, *shift, "{name}");
            assert!((*bits..=bits + 2).contains(&widest), "{name}: {widest} bits instead of {bits}");
        }
    };
    check("digits-mlp", &[(23, 14), (9, 5), (0, 1)]);
    check("mnist-cnn", &[(29, 21), (24, 15), (12, 7)]);
    check("mnist-mbn", &[]);
}

#[test]
fn layers_have_short_names_and_origins() {
    let imported = imported("mnist-cnn");
    let names: Vec<&str> = imported.parts.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["conv1", "pool1", "conv2", "pool2", "fc1", "fc2"]);
    assert_eq!(imported.origins[0], "/1/Conv");
    assert!(matches!(imported.parts.layers[0].op, Op::Conv2d { .. }));
}

/// The zoo's network is not part of the repository; its path is given by `HWGEN_KWSMLP`.
#[test]
fn keyword_spotting_equals_the_executor() {
    let Some(path) = std::env::var_os("HWGEN_KWSMLP").map(PathBuf::from) else { return };
    let bytes = std::fs::read(path.join("kwsmlp_w3a3.onnx")).unwrap();
    let imported =
        import(&bytes, "kwsmlp_w3a3.onnx", &ImportOptions::default()).unwrap_or_else(|faults| panic!("{faults}"));
    let network = Network::build(imported.parts).unwrap();
    println!("{}", table(&network).join("\n"));
    let npz = path.join("kwsmlp_w3a3.npz");
    let (inputs, frames) = read::<i8>(&npz, "x").unwrap();
    let (expected, _) = read::<f32>(&npz, "out").unwrap();
    let (elements, classes) = (inputs.len() / frames, expected.len() / frames);
    for frame in 0..frames {
        let reals: Vec<f32> = inputs[frame * elements..(frame + 1) * elements].iter().map(|&x| f32::from(x)).collect();
        let outcome = evaluate(&network, &codes_of(&network, &reals));
        for (got, expected) in outcome.outputs[0].iter().zip(&expected[frame * classes..(frame + 1) * classes]) {
            assert!((got - f64::from(*expected)).abs() < 1e-5, "frame {frame}: {got} {expected}");
        }
    }
}
