//! Activations on levels of three regions: what import makes of them, against the definition.

use crate::builder::{Net, Value};
use network::Network;
use network::requantization::Form;
use quantizer::{
    ActivationQuantizer, Calibration, ImportOptions, Imported, InputCodes, PostTraining, RangeRule, WeightRange, import,
};

/// Sums (x, offset - x), an element-wise operator, and another layer; frames of many small and few large codes.
fn imported(op: &str, offset: f32, bits: u32) -> Imported {
    let bytes = Net::new(&[1, 1])
        .floats("w", &[1, 2], &[1.0, -1.0])
        .floats("b", &[2], &[0.0, offset])
        .floats("v", &[2, 1], &[1.0, 1.0])
        .node("Gemm", &["x", "w", "b"], "h", &[("transB", Value::Int(0))])
        .node(op, &["h"], "a", &[])
        .node("MatMul", &["a", "v"], "y", &[])
        .bytes();
    let values: Vec<f32> = (0..400).map(|index| (255.0 * (index as f32 / 399.0).powi(4)).round()).collect();
    let options = PostTraining {
        calibration: Calibration::Frames { values, shape: vec![400, 1], integers: true },
        input: Some(InputCodes { format: "u8".parse().ok(), scales: vec![1.0], offsets: vec![0.0] }),
        activation_bits: bits,
        activation_quantizer: ActivationQuantizer::Piecewise,
        range: RangeRule::MinMax,
        weight_range: WeightRange::MinMax,
        ..PostTraining::default()
    };
    import(&bytes, "net.onnx", &ImportOptions { post_training: Some(options), ..ImportOptions::default() })
        .unwrap_or_else(|faults| panic!("{faults}"))
}

#[track_caller]
fn check(op: &str, offset: f32, bits: u32, most: f64) {
    let imported = imported(op, offset, bits);
    assert!(imported.notes.iter().any(|note| note.contains("activation levels") && note.ends_with("kept")));
    let network = Network::build(imported.parts).unwrap();
    let layer = &network.layers()[0];
    let made = layer.requantization.as_ref().unwrap();
    let Form::Table(table) = &made.form else { panic!("{} instead of a table", made.form_name()) };
    let mut levels = table.codes.clone();
    levels.sort_unstable();
    levels.dedup();
    assert!(levels.len() <= 1 << bits && levels.len() > 1 << (bits - 1), "{levels:?}");
    // Three regions: the step between neighbours changes at most twice.
    let steps: Vec<i64> = levels.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.windows(2).filter(|pair| pair[0] != pair[1]).count() <= 2, "{levels:?}");
    assert!(steps.first() < steps.last(), "small values have small steps: {levels:?}");
    // Every sum becomes the nearest level; the range is that of the frames.
    let scale = most / (made.output.code_range().max() as f64);
    let weights = layer.op.weights().unwrap();
    for x in 0..=255i64 {
        for channel in 0..2 {
            let weight = i64::from(weights.row(channel)[0]);
            let real = if channel == 0 { x as f64 } else { (f64::from(offset) - x as f64).max(0.0) };
            let code = table.code(channel, x * weight);
            let distance = |level: i64| (real.max(0.0) - level as f64 * scale).abs();
            let nearest = levels.iter().map(|&level| distance(level)).fold(f64::INFINITY, f64::min);
            assert!(distance(code) <= nearest + 1e-3, "{x} {channel}: {code} of {levels:?}");
        }
    }
}

#[test]
fn sums_become_the_nearest_level() {
    check("Relu", 30.0, 4, 255.0);
    check("Relu", 0.0, 5, 255.0);
}

#[test]
fn widths_without_room_stay_uniform() {
    for bits in [2, 8] {
        assert!(!imported("Relu", 30.0, bits).notes.iter().any(|note| note.contains("activation levels")));
    }
}
