//! Whole float networks, quantized after training, as their float simulation shows them.
//!
//! The larger networks are not part of the repository; the folder that holds them is given by `HWGEN_MODELS`.

use crate::frames::read;
use quantizer::{Calibration, FloatModel, ImportOptions, InputCodes, PostTraining, import};
use std::path::PathBuf;
use std::time::Instant;

/// The folder of a network, where it is there.
fn folder(name: &str) -> Option<PathBuf> {
    std::env::var_os("HWGEN_MODELS").map(|root| PathBuf::from(root).join(name))
}

fn reals(codes: &[u8], scale: f32) -> Vec<f32> {
    codes.iter().map(|&code| f32::from(code) * scale).collect()
}

/// Compares with the recorded float outputs, then quantizes with 8 and 4 bits and shows how far outputs move.
fn check(name: &str, frame_shape: &[u64], tolerance: f32, frames: usize) {
    let Some(folder) = folder(name) else { return };
    let bytes = std::fs::read(folder.join(format!("{name}.float.onnx"))).unwrap();
    let (codes, count) = read::<u8>(&folder.join("val.npz"), "x_u8").unwrap();
    let elements = codes.len() / count;
    let inputs = reals(&codes[..elements * frames], 1.0 / 256.0);
    let recorded = read::<f32>(&folder.join("val.npz"), "float_out").map(|(values, _)| values);
    let model = FloatModel::read(&bytes, name).unwrap();
    let expected = model.run(&inputs).unwrap().concat();
    if let Some(recorded) = recorded {
        let error = expected.iter().zip(&recorded).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        println!("{name}: largest difference to onnxruntime {error}");
        assert!(error <= tolerance);
    }
    let (calibration, count) = read::<u8>(&folder.join("calib.npz"), "x_u8").unwrap();
    let shape: Vec<u64> = [count as u64].into_iter().chain(frame_shape.iter().copied()).collect();
    for (bits, extras) in [(8, ""), (4, ""), (4, "bias")] {
        let options = PostTraining {
            calibration: Calibration::Frames {
                values: calibration.iter().map(|&code| f32::from(code)).collect(),
                shape: shape.clone(),
                integers: true,
            },
            input: Some(InputCodes {
                format: network::Format::unsigned(8),
                scales: vec![1.0 / 256.0],
                offsets: vec![0.0],
            }),
            weight_bits: bits,
            activation_bits: bits,
            equalize: extras.contains("equalize"),
            bias_correction: extras.contains("bias"),
            adaround: extras.contains("adaround"),
            zero_points: extras.contains("zero"),
            ..PostTraining::default()
        };
        if extras.is_empty() {
            let options = ImportOptions { post_training: Some(options.clone()), ..ImportOptions::default() };
            match import(&bytes, name, &options) {
                Ok(imported) => println!("{name}: {} layers", imported.parts.layers.len()),
                Err(faults) => panic!("{name}: {faults}"),
            }
        }
        let start = Instant::now();
        let quantized = FloatModel::read(&bytes, name).unwrap().quantized(&options).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        let got = quantized.run(&inputs).unwrap().concat();
        let square = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
        let noise = square(&mut got.iter().zip(&expected).map(|(a, b)| a - b));
        let signal = square(&mut expected.iter().copied());
        println!(
            "{name} with {bits} bits {extras}: {:.1} dB, quantized in {seconds:.2} s",
            10.0 * (signal / noise).log10()
        );
    }
}

#[test]
fn ship_yolo_tiny() {
    check("ship-yolo-tiny", &[96, 96], 1e-4, 20);
}

#[test]
fn irst_unet() {
    check("irst-unet", &[64, 64], 1e-3, 20);
}
