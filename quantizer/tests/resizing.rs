//! Linear resizing by whole factors as exact sums, against its evaluation in float.

use crate::builder::{Net, Value};
use crate::evaluator::evaluate;
use network::Network;
use quantizer::{Calibration, FloatModel, ImportOptions, InputCodes, InputGrid, PostTraining, import};

/// Linear resizing of codes of 8 bits by `scales`; exact sums against float results.
#[track_caller]
fn check(coordinate: &str, size: [usize; 2], scales: [f32; 2]) {
    let attributes = [("mode", Value::Text("linear")), ("coordinate_transformation_mode", Value::Text(coordinate))];
    check_node(&["x", "", "scales"], &attributes, size, scales);
}

/// The same of a node with these inputs and attributes.
#[track_caller]
fn check_node(inputs: &[&str], attributes: &[(&str, Value<'_>)], [rows, columns]: [usize; 2], scales: [f32; 2]) {
    let channels = 2;
    let bytes = Net::new(&[1, channels, rows as i64, columns as i64])
        .floats("scales", &[4], &[1.0, 1.0, scales[0], scales[1]])
        .node("Resize", inputs, "y", attributes)
        .bytes();
    let codes: Vec<i64> =
        (0..(channels as usize * rows * columns) as i64).map(|k| (k * 37 + k * k * 11) % 256).collect();
    let values: Vec<f32> = codes.iter().map(|&code| code as f32).collect();
    let shape = vec![1, channels as u64, rows as u64, columns as u64];
    let post_training = Some(PostTraining {
        calibration: Calibration::Frames { values: values.clone(), shape, integers: true },
        input: Some(InputCodes { format: "u8".parse().ok(), scales: vec![0.5], offsets: vec![0.0] }),
        ..PostTraining::default()
    });
    let options = ImportOptions { post_training, ..ImportOptions::default() };
    let what = format!("{inputs:?} {rows}x{columns} by {scales:?}");
    let imported = import(&bytes, "net.onnx", &options).unwrap_or_else(|faults| panic!("{what}: {faults}"));
    let made = evaluate(&Network::build(imported.parts).unwrap(), &codes).outputs.concat();
    let reals: Vec<f32> = values.iter().map(|value| value * 0.5).collect();
    let float = FloatModel::read(&bytes, "net.onnx").unwrap().run(&reals).unwrap().concat();
    assert_eq!(made.len(), float.len(), "{what}");
    for (place, (a, b)) in made.iter().zip(&float).enumerate() {
        assert!((a - f64::from(*b)).abs() < 1e-4, "{what}: {a} instead of {b} at {place}");
    }
}

#[test]
fn linear_resizing_is_exact() {
    for coordinate in ["half_pixel", "pytorch_half_pixel", "asymmetric"] {
        for scales in [[2.0, 2.0], [3.0, 4.0], [1.0, 5.0], [2.0, 1.0], [0.5, 2.0], [0.25, 0.5]] {
            check(coordinate, [4, 8], scales);
        }
        check(coordinate, [9, 3], [1.0 / 3.0, 6.0]);
        check(coordinate, [2, 2], [4.0, 3.0]);
    }
    check("half_pixel", [1, 3], [4.0, 2.0]);
}

/// Lengths that no tensor has, in a model whose input is stated to be codes.
#[test]
fn lengths_of_nothing_are_refused() {
    for lengths in [[1, 1, 0, 4], [1, 1, 4, 0], [1, 1, -2, 4], [1, 1, i64::MAX, 4]] {
        let bytes = Net::new(&[1, 1, 4, 4])
            .ints("sizes", &[4], &lengths)
            .node("Resize", &["x", "", "", "sizes"], "y", &[])
            .bytes();
        let input = Some(InputGrid { format: "u4".parse().unwrap(), scale: 1.0, zero_point: 0 });
        let faults = import(&bytes, "net.onnx", &ImportOptions { input, ..ImportOptions::default() }).unwrap_err();
        assert!(faults.0[0].place.layer.as_deref() == Some("y"), "{lengths:?}: {faults}");
    }
}

/// Up to version 10 places are asymmetric and rounded down, whatever newer versions take without attributes.
#[test]
fn old_versions_have_their_own_rule() {
    for scales in [[2.0, 3.0], [0.5, 1.0 / 3.0], [1.0 / 3.0, 2.0]] {
        check_node(&["x", "scales"], &[], [6, 9], scales);
        check_node(&["x", "scales"], &[("mode", Value::Text("linear"))], [6, 9], scales);
    }
}

#[test]
fn other_factors_are_refused() {
    let resized = |scale: f32, mode: &str, coordinate: &str| {
        let bytes = Net::new(&[1, 1, 4, 4])
            .floats("scales", &[4], &[1.0, 1.0, scale, scale])
            .node(
                "Resize",
                &["x", "", "scales"],
                "y",
                &[("mode", Value::Text(mode)), ("coordinate_transformation_mode", Value::Text(coordinate))],
            )
            .bytes();
        let calibration = Calibration::Random { seed: 1, frames: 2 };
        let post_training = Some(PostTraining { calibration, ..PostTraining::default() });
        import(&bytes, "net.onnx", &ImportOptions { post_training, ..ImportOptions::default() })
    };
    for (scale, mode, coordinate) in
        [(1.5, "linear", "half_pixel"), (2.0, "linear", "align_corners"), (2.0, "cubic", "half_pixel")]
    {
        let faults = resized(scale, mode, coordinate).unwrap_err();
        assert_eq!(faults.0[0].code, network::Code::ModelOperator, "{faults}");
    }
}
