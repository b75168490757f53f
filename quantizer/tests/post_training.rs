//! Float models quantized after training: grids worked out by hand, what stays equal, and wrong input.

use crate::builder::{Net, Value};
use crate::evaluator::evaluate;
use network::Code::{self, *};
use network::requantization::Form;
use network::{Format, Network};
use quantizer::{
    Calibration, FloatModel, ImportOptions, Imported, InputCodes, LayerBits, PostTraining, RangeRule, WeightRange,
    import,
};

/// Frames of real numbers.
pub fn reals(shape: &[u64], values: &[f32]) -> PostTraining {
    let calibration = Calibration::Frames { values: values.to_vec(), shape: shape.to_vec(), integers: false };
    let (range, weight_range) = (RangeRule::MinMax, WeightRange::MinMax);
    PostTraining { calibration, range, weight_range, ..PostTraining::default() }
}

/// Frames of codes with a scale and an offset.
fn codes(shape: &[u64], values: &[f32], format: &str, scale: f32, offset: f32) -> PostTraining {
    let calibration = Calibration::Frames { values: values.to_vec(), shape: shape.to_vec(), integers: true };
    let input = InputCodes { format: format.parse().ok(), scales: vec![scale], offsets: vec![offset] };
    PostTraining { calibration, input: Some(input), ..reals(&[], &[]) }
}

fn imported(bytes: &[u8], options: PostTraining) -> Imported {
    let options = ImportOptions { post_training: Some(options), ..ImportOptions::default() };
    import(bytes, "net.onnx", &options).unwrap_or_else(|faults| panic!("{faults}"))
}

fn outputs(bytes: &[u8], options: PostTraining, frame: &[i64]) -> Vec<f64> {
    let network = Network::build(imported(bytes, options).parts).unwrap();
    evaluate(&network, frame).outputs.concat()
}

/// The scale of the quantizer behind a tensor, with its sign and bits.
fn grid(nodes: &[String], tensor: &str) -> String {
    let start = format!("{tensor} quantized (");
    let line = nodes.iter().find(|line| line.starts_with(&start) && line.contains(" = Quant("));
    line.unwrap_or_else(|| panic!("no quantizer of {tensor}: {nodes:#?}")).split(") ").last().unwrap().to_owned()
}

/// Scales have 16 significant bits.
#[track_caller]
fn near(grid: &str, expected: &str) {
    let parts =
        |text: &str| text.split_once(' ').map(|(format, scale)| (format.to_owned(), scale.parse::<f64>().unwrap()));
    let ((format, scale), (expected_format, expected_scale)) = (parts(grid).unwrap(), parts(expected).unwrap());
    assert_eq!(format, expected_format);
    assert!((scale / expected_scale - 1.0).abs() < 2f64.powi(-16), "{grid} instead of {expected}");
}

fn quantized(bytes: &[u8], options: &PostTraining) -> FloatModel {
    FloatModel::read(bytes, "net.onnx").unwrap().quantized(options).unwrap_or_else(|faults| panic!("{faults}"))
}

fn dense() -> Vec<u8> {
    Net::new(&[1, 3])
        .floats("w", &[2, 3], &[7.0 / 8.0, -3.0 / 8.0, 1.0 / 8.0, 2.0 / 16.0, 0.0, -7.0 / 16.0])
        .floats("b", &[2], &[0.5, -1.0])
        .node("Gemm", &["x", "w", "b"], "y", &[("transB", Value::Int(1))])
        .bytes()
}

#[test]
fn weights_on_a_grid_stay_exact() {
    let options = PostTraining { weight_bits: 4, ..codes(&[1, 3], &[1.0, 2.0, 3.0], "u4", 0.25, 0.0) };
    // (7 - 6 + 3) / 32 + 1/2 and (2 - 21) / 64 - 1.
    assert_eq!(outputs(&dense(), options.clone(), &[1, 2, 3]), [0.625, -1.296875]);
    let imported = imported(&dense(), options);
    assert_eq!(imported.origins, ["y: float, weights 4 bits per channel (min-max), activations exact sums"]);
    assert_eq!(imported.parts.layers[0].op.weights().unwrap().format.to_string(), "s4");
}

#[test]
fn an_input_offset_becomes_a_zero_point() {
    let options = PostTraining { weight_bits: 4, ..codes(&[1, 3], &[1.0, 2.0, 3.0], "u4", 0.25, -0.5) };
    // Codes 1, 2, 3 mean -1/4, 0, 1/4.
    assert_eq!(outputs(&dense(), options, &[1, 2, 3]), [0.3125, -1.0 - 9.0 / 64.0]);
}

#[test]
fn widths_follow_the_layer() {
    let bytes = two_layers("Relu");
    let mut options = codes(&[1, 2], &[3.0, 15.0], "u4", 1.0, 0.0);
    options.layer_bits = vec![LayerBits { layer: "fc1".to_owned(), weights: 3, activations: 5 }];
    let imported = imported(&bytes, options);
    assert_eq!(imported.parts.layers[0].op.weights().unwrap().format.to_string(), "s3");
    assert_eq!(imported.parts.layers[0].requantization.as_ref().unwrap().output.to_string(), "u5");
    assert_eq!(imported.parts.layers[1].op.weights().unwrap().format.to_string(), "s8");
    assert!(imported.origins[0].contains("weights 3 bits per channel (min-max), activations 5 bits min-max"));
}

/// Sums (x0, -x1 + 8), an element-wise operator, and another layer.
fn two_layers(op: &str) -> Vec<u8> {
    Net::new(&[1, 2])
        .floats("w", &[2, 2], &[1.0, 0.0, 0.0, -1.0])
        .floats("b", &[2], &[0.0, 8.0])
        .floats("v", &[2, 1], &[1.0, 1.0])
        .node("Gemm", &["x", "w", "b"], "h", &[])
        .node(op, &["h"], "a", &[])
        .node("MatMul", &["a", "v"], "y", &[])
        .bytes()
}

#[test]
fn ranges_of_activations() {
    let check = |op: &str, bits: u32, expected: &str| {
        let options = PostTraining { activation_bits: bits, ..codes(&[2, 2], &[3.0, 15.0, 12.0, 1.0], "u4", 1.0, 0.0) };
        let nodes = quantized(&two_layers(op), &options).nodes();
        near(&grid(&nodes, if op == "Identity" { "h" } else { "a" }), expected);
    };
    // h is (3, -7) and (12, 7).
    check("Relu", 4, "u4 0.8");
    check("Relu", 2, "u2 4");
    // The larger of 12 / 7 and 7 / 8.
    check("Identity", 4, "s4 1.7142857");
    let power = PostTraining { power_of_two_scales: true, ..codes(&[2, 2], &[3.0, 15.0, 12.0, 1.0], "u4", 1.0, 0.0) };
    let nodes = quantized(&two_layers("Relu"), &PostTraining { activation_bits: 4, ..power }).nodes();
    assert_eq!(grid(&nodes, "a"), "u4 1");
}

/// One input of 0, 0.001, ..., 0.999 and one value of 10: what each rule makes of it.
#[test]
fn outliers_are_cut_by_rule() {
    let bytes = Net::new(&[1, 1]).floats("w", &[1, 1], &[1.0]).node("Gemm", &["x", "w"], "y", &[]).bytes();
    let values: Vec<f32> = (0..1000).map(|value| value as f32 / 1000.0).chain([10.0]).collect();
    let reach = |range: RangeRule, bits: u32| {
        let options = PostTraining { range, activation_bits: bits, ..reals(&[1001, 1], &values) };
        let text = grid(&quantized(&bytes, &options).nodes(), "x");
        let scale: f32 = text.split(' ').nth(1).unwrap().parse().unwrap();
        scale * ((1u32 << bits) - 1) as f32
    };
    assert!((reach(RangeRule::MinMax, 8) - 10.0).abs() < 1e-3);
    let bin = 10.0 / 4096.0;
    assert!((reach(RangeRule::Percentile(99.0), 8) - 0.99).abs() < 2.0 * bin);
    assert!((reach(RangeRule::Percentile(50.0), 8) - 0.5).abs() < 2.0 * bin);
    assert!(reach(RangeRule::Mse, 2) < 10.0);
    // Left to the width: all that occurred from 8 bits on, the least error below.
    assert_eq!(reach(RangeRule::Auto, 8), reach(RangeRule::MinMax, 8));
    assert_eq!(reach(RangeRule::Auto, 2), reach(RangeRule::Mse, 2));
    // Divergence looks at the shape: an exponential with mean 0.1, and the outlier.
    let falling: Vec<f32> = (0..20000).map(|k| -0.1 * (1.0 - k as f32 / 20000.0).ln()).chain([10.0]).collect();
    let options = PostTraining { range: RangeRule::Entropy, activation_bits: 6, ..reals(&[20001, 1], &falling) };
    let text = grid(&quantized(&bytes, &options).nodes(), "x");
    let reach = text.split(' ').nth(1).unwrap().parse::<f32>().unwrap() * 63.0;
    assert!((0.3..3.0).contains(&reach), "{reach}");
}

/// The step of least mean square error on a fine list of steps, for two values of which one is rare.
#[test]
fn least_square_error_is_the_least() {
    let bytes = Net::new(&[1, 1]).floats("w", &[1, 1], &[1.0]).node("Gemm", &["x", "w"], "y", &[]).bytes();
    let values: Vec<f32> = (0..500).map(|value| value as f32 / 500.0).chain([3.0]).collect();
    let options = PostTraining { range: RangeRule::Mse, activation_bits: 3, ..reals(&[501, 1], &values) };
    let text = grid(&quantized(&bytes, &options).nodes(), "x");
    let scale: f64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    let error = |step: f64| -> f64 {
        values.iter().map(|&x| ((f64::from(x) / step).round().clamp(0.0, 7.0) * step - f64::from(x)).powi(2)).sum()
    };
    let best = (1..2000).map(|index| error(3.0 / 7.0 * f64::from(index) / 2000.0)).fold(f64::INFINITY, f64::min);
    assert!(error(scale) <= 1.02 * best, "{} instead of {best}", error(scale));
}

/// conv - SiLU - (conv - SiLU) + itself, and a concatenation of the sum with the first.
fn branches() -> Vec<u8> {
    let kernel = |seed: f32| (0..36).map(|k| ((k as f32 * 0.7 + seed).sin()) * 0.5).collect::<Vec<f32>>();
    let pads = [("pads", Value::Ints(&[1, 1, 1, 1]))];
    Net::new(&[1, 2, 4, 4])
        .floats("w1", &[2, 2, 3, 3], &kernel(0.0))
        .floats("w2", &[2, 2, 3, 3], &kernel(1.0))
        .floats("w3", &[1, 4, 3, 3], &kernel(2.0))
        .node("Conv", &["x", "w1"], "c1", &pads)
        .node("Sigmoid", &["c1"], "s1", &[])
        .node("Mul", &["c1", "s1"], "a1", &[])
        .node("Conv", &["a1", "w2"], "c2", &[("pads", Value::Ints(&[1, 1, 1, 1]))])
        .node("Sigmoid", &["c2"], "s2", &[])
        .node("Mul", &["c2", "s2"], "a2", &[])
        .node("Add", &["a1", "a2"], "sum", &[])
        .node("MaxPool", &["a1"], "p", &[("kernel_shape", Value::Ints(&[1, 1]))])
        .node("Concat", &["sum", "p"], "both", &[("axis", Value::Int(1))])
        .node("Conv", &["both", "w3"], "y", &[])
        .bytes()
}

fn image(frames: usize) -> Vec<f32> {
    (0..frames * 32).map(|index| (index as f32 * 1.3).sin() * 2.0).collect()
}

#[test]
fn joins_share_grids_and_activation_functions_stay_whole() {
    let options = reals(&[4, 2, 4, 4], &image(4));
    let nodes = quantized(&branches(), &options).nodes();
    let quantizers: Vec<&str> = nodes
        .iter()
        .filter(|line| line.contains("= Quant("))
        .filter_map(|line| line.split(" quantized (").next())
        .collect();
    assert_eq!(quantizers, ["x", "c1 weights", "a1", "c2 weights", "a2", "sum", "y weights"]);
    assert_eq!(grid(&nodes, "a1"), grid(&nodes, "a2"));
    assert_eq!(grid(&nodes, "a1"), grid(&nodes, "sum"));
    assert!(grid(&nodes, "a1").starts_with("s8 "));
    // Every reader sees the codes.
    for line in ["MaxPool(a1 quantized", "Add(a1 quantized", "Conv(a1 quantized", "Concat(sum quantized"] {
        assert!(nodes.iter().any(|node| node.contains(line)), "{line}: {nodes:#?}");
    }
}

/// Every step with many bits leaves the function as it was.
#[test]
fn wide_grids_keep_the_function() {
    let norm = |net: Net| {
        net.floats("g", &[2], &[1.5, -0.5]).floats("o", &[2], &[0.25, 1.0]).floats("m", &[2], &[0.5, -0.5]).floats(
            "v",
            &[2],
            &[2.0, 0.25],
        )
    };
    let kernel: Vec<f32> = (0..36).map(|k| (k as f32 * 0.7).sin() * (1.0 + (k / 18) as f32 * 9.0)).collect();
    let dense: Vec<f32> = (0..64).map(|k| (k as f32 * 0.3).cos()).collect();
    let bytes = norm(Net::new(&[1, 2, 4, 4]))
        .floats("w1", &[2, 2, 3, 3], &kernel)
        .floats("b1", &[2], &[0.3, -2.0])
        .floats("w2", &[32, 2], &dense)
        .node("Conv", &["x", "w1", "b1"], "c", &[("pads", Value::Ints(&[1, 1, 1, 1]))])
        .node("BatchNormalization", &["c", "g", "o", "m", "v"], "n", &[("epsilon", Value::Float(0.5))])
        .node("Relu", &["n"], "r", &[])
        .node("Flatten", &["r"], "f", &[])
        .node("MatMul", &["f", "w2"], "y", &[])
        .bytes();
    let float = FloatModel::read(&bytes, "net.onnx").unwrap().run(&image(4)).unwrap().concat();
    let largest = float.iter().fold(0f32, |most, value| most.max(value.abs()));
    let base = PostTraining { weight_bits: 16, activation_bits: 16, ..reals(&[4, 2, 4, 4], &image(4)) };
    for options in [
        base.clone(),
        PostTraining { equalize: true, ..base.clone() },
        PostTraining { bias_correction: true, ..base.clone() },
        PostTraining { adaround: true, bias_correction: true, equalize: true, ..base.clone() },
        PostTraining { zero_points: true, range: RangeRule::Mse, weight_range: WeightRange::Mse, ..base.clone() },
        PostTraining { power_of_two_scales: true, ..base },
    ] {
        let model = quantized(&bytes, &options);
        assert!(!model.nodes().iter().any(|node| node.contains("BatchNormalization")), "{:?}", model.nodes());
        let got = model.run(&image(4)).unwrap().concat();
        let error = got.iter().zip(&float).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(error < 2e-3 * largest, "{error} of {largest}: {options:?}");
    }
}

/// Rounding to few bits moves the mean of a channel; the correction takes exactly that back.
#[test]
fn bias_correction_keeps_means() {
    let weights: Vec<f32> = (0..24).map(|k| 0.11 + 0.13 * (k % 5) as f32).collect();
    let bytes = Net::new(&[1, 12]).floats("w", &[12, 2], &weights).node("MatMul", &["x", "w"], "y", &[]).bytes();
    let frames: Vec<f32> = (0..120).map(|k| ((k * 7) % 16) as f32).collect();
    let options = PostTraining { weight_bits: 2, ..codes(&[10, 12], &frames, "u4", 1.0, 0.0) };
    let mean = |model: &FloatModel| {
        let rows = model.run(&frames).unwrap();
        [0, 1].map(|channel| rows.iter().map(|row| f64::from(row[channel])).sum::<f64>() / rows.len() as f64)
    };
    let float = mean(&FloatModel::read(&bytes, "net.onnx").unwrap());
    let plain = mean(&quantized(&bytes, &options));
    let corrected = mean(&quantized(&bytes, &PostTraining { bias_correction: true, ..options }));
    for channel in 0..2 {
        assert!((plain[channel] - float[channel]).abs() > 0.1, "{plain:?} {float:?}");
        assert!((corrected[channel] - float[channel]).abs() < 1e-3, "{corrected:?} {float:?}");
    }
}

#[test]
fn planes_are_odd_integers() {
    let options = PostTraining {
        planes: true,
        weight_bits: 3,
        activation_bits: 2,
        ..codes(&[2, 2], &[3.0, 15.0, 12.0, 1.0], "u4", 1.0, 0.0)
    };
    let imported = imported(&two_layers("Identity"), options);
    assert_eq!(imported.parts.layers[0].op.weights().unwrap().format.to_string(), "bipolar3");
    assert_eq!(imported.parts.layers[0].requantization.as_ref().unwrap().output.to_string(), "bipolar2");
    let one =
        PostTraining { weight_bits: 1, activation_bits: 1, ..codes(&[2, 2], &[3.0, 15.0, 12.0, 1.0], "u4", 1.0, 0.0) };
    let imported = self::imported(&two_layers("Identity"), one);
    assert_eq!(imported.parts.layers[0].op.weights().unwrap().format.to_string(), "bipolar1");
}

/// Every pair of widths gives a network whose requantizations are multiplications and shifts, or few thresholds.
#[test]
fn all_widths_can_be_built() {
    let weights: Vec<f32> = (0..600).map(|k| ((k * 37 % 101) as f32 / 50.0 - 1.0) * 0.173).collect();
    let bytes = Net::new(&[1, 60])
        .floats("w", &[60, 10], &weights)
        .floats("b", &[10], &weights[..10])
        .floats("v", &[10, 3], &weights[..30])
        .node("Gemm", &["x", "w", "b"], "h", &[])
        .node("Relu", &["h"], "a", &[])
        .node("Gemm", &["a", "v"], "y", &[])
        .bytes();
    let frames: Vec<f32> = (0..600).map(|k| (k * 97 % 256) as f32).collect();
    for (weight_bits, activation_bits) in [(1, 1), (2, 16), (8, 12), (8, 16), (12, 10), (16, 8), (16, 9), (16, 16)] {
        let options = PostTraining {
            weight_bits,
            activation_bits,
            random_weights: Some(1),
            ..codes(&[10, 60], &frames, "u8", 1.0 / 255.0, 0.0)
        };
        let imported = imported(&bytes, options);
        let form = &imported.parts.layers[0].requantization.as_ref().unwrap().form;
        let few = match form {
            Form::Shift(_) => true,
            Form::Thresholds(thresholds) => thresholds.count <= 255,
            Form::Table(_) => false,
        };
        assert!(few, "{weight_bits} {activation_bits}");
    }
}

#[test]
fn random_weights_and_frames_need_no_data() {
    let options = PostTraining {
        random_weights: Some(3),
        calibration: Calibration::Random { seed: 3, frames: 8 },
        ..reals(&[], &[])
    };
    let first = imported(&two_layers("Relu"), options.clone());
    assert_eq!(first, imported(&two_layers("Relu"), options.clone()));
    assert_ne!(first, imported(&two_layers("Relu"), PostTraining { random_weights: Some(4), ..options }));
    assert!(first.origins[0].starts_with("h: random"), "{:?}", first.origins);
}

#[track_caller]
fn check(bytes: &[u8], options: Option<PostTraining>, code: Code, place: &str, text: &str) {
    let options = ImportOptions { post_training: options, ..ImportOptions::default() };
    let faults = import(bytes, "net.onnx", &options).expect_err("the input is wrong");
    let [fault] = faults.0.as_slice() else { panic!("{faults}") };
    assert_eq!(fault.code, code, "{fault}");
    assert!(fault.place.layer.as_deref().unwrap_or("").contains(place), "{fault}");
    assert!(fault.message.contains(text), "{fault}");
    assert_eq!(fault.place.file.as_deref(), Some("net.onnx"));
}

/// Nodes behind an unknown operator are never reached, but reported all the same.
#[test]
fn all_operators_that_cannot_be_built_are_listed() {
    let bytes = Net::new(&[1, 3])
        .floats("w", &[3, 3], &[0.5; 9])
        .node("Det", &["x"], "a", &[])
        .node("MatMul", &["a", "w"], "b", &[])
        .node("Hardmax", &["b"], "c", &[])
        .node("Sinh", &["c"], "y", &[])
        .bytes();
    let options = ImportOptions { post_training: Some(reals(&[1, 3], &[1.0; 3])), ..ImportOptions::default() };
    let faults = import(&bytes, "net.onnx", &options).unwrap_err();
    let places: Vec<&str> = faults.0.iter().filter_map(|fault| fault.place.layer.as_deref()).collect();
    assert_eq!(places, ["a", "c", "y"], "{faults}");
}

#[test]
fn control_flow_is_named_where_a_model_seems_to_have_no_weights() {
    let bytes = Net::new(&[1, 3]).node("Relu", &["x"], "a", &[]).node("If", &["a"], "y", &[]).bytes();
    check(&bytes, Some(reals(&[1, 3], &[1.0; 3])), ModelOperator, "y", "`If`");
}

#[test]
fn wrong_frames() {
    let good = codes(&[1, 3], &[1.0, 2.0, 3.0], "u4", 0.25, 0.0);
    check(&dense(), None, ModelQuantizer, "", "the model is float");
    check(&dense(), Some(reals(&[1, 4], &[0.0; 4])), FramesShape, "", "[1, 4]");
    check(&dense(), Some(reals(&[0, 3], &[])), FramesShape, "", "no frames");
    check(&dense(), Some(reals(&[2, 3], &[0.0; 5])), FramesShape, "", "[2, 3]");
    check(&dense(), Some(reals(&[1, 3], &[0.0, f32::NAN, 1.0])), FramesValue, "", "NaN");
    check(&dense(), Some(reals(&[1, 3], &[0.0, f32::INFINITY, 1.0])), FramesValue, "", "inf");
    check(&dense(), Some(codes(&[1, 3], &[1.0, 2.0, 16.0], "u4", 0.25, 0.0)), FramesValue, "", "16");
    check(&dense(), Some(reals(&[1, 3], &[0.0; 3])), ModelQuantizer, "x", "0 for every calibration frame");
    let turned = reals(&[1, 4, 4, 2], &image(1));
    check(&branches(), Some(turned), FramesShape, "", "another order");
    for (scale, offset) in [(0.0, 0.0), (-1.0, 0.0), (f32::NAN, 0.0), (1.0, f32::INFINITY)] {
        check(&dense(), Some(codes(&[1, 3], &[1.0, 2.0, 3.0], "u4", scale, offset)), ModelQuantizer, "", "input");
    }
    let mut wrong = good.clone();
    wrong.input = Some(InputCodes { format: Format::unsigned(4), scales: vec![1.0, 2.0], offsets: vec![0.0] });
    check(&dense(), Some(wrong), ModelQuantizer, "", "2 input scales");
    for bits in [0, 17] {
        check(&dense(), Some(PostTraining { weight_bits: bits, ..good.clone() }), ModelQuantizer, "", "bits");
        check(&dense(), Some(PostTraining { activation_bits: bits, ..good.clone() }), ModelQuantizer, "", "bits");
    }
    let layer_bits = vec![LayerBits { layer: "fc9".to_owned(), weights: 4, activations: 4 }];
    check(&dense(), Some(PostTraining { layer_bits, ..good }), ModelQuantizer, "", "fc9");
}

#[test]
fn wrong_models() {
    let good = || Some(reals(&[1, 2], &[1.0, 2.0]));
    let weights = |value: f32| {
        Net::new(&[1, 2]).floats("w", &[2, 1], &[value, 1.0]).node("MatMul", &["x", "w"], "y", &[]).bytes()
    };
    check(&weights(f32::NAN), good(), ModelConstant, "y", "NaN");
    check(&weights(f32::INFINITY), good(), ModelConstant, "y", "inf");
    let unknown = Net::new(&[1, 2])
        .floats("w", &[2, 1], &[1.0, 1.0])
        .node("MatMul", &["x", "w"], "h", &[])
        .node("Wonder", &["h"], "y", &[])
        .bytes();
    check(&unknown, good(), ModelOperator, "y", "Wonder");
    let overflow = Net::new(&[1, 2])
        .floats("w", &[2, 1], &[1.0, 1.0])
        .node("MatMul", &["x", "w"], "h", &[])
        .node("Exp", &["h"], "e", &[])
        .node("MatMul", &["e", "v"], "y", &[])
        .floats("v", &[1, 1], &[1.0])
        .bytes();
    check(&overflow, Some(reals(&[1, 2], &[100.0, 100.0])), ModelConstant, "e", "inf");
    let misfit = Net::new(&[1, 2]).floats("w", &[3, 1], &[1.0; 3]).node("MatMul", &["x", "w"], "y", &[]).bytes();
    check(&misfit, good(), ModelShape, "y", "");
    let huge = Net::new(&[1, 1 << 40]).floats("w", &[3, 1], &[1.0; 3]).node("MatMul", &["x", "w"], "y", &[]).bytes();
    check(&huge, good(), ModelShape, "x", "too large");
}

/// A channel whose weights are all zero has no scale of its own.
#[test]
fn dead_channels_are_zero() {
    let bytes =
        Net::new(&[1, 2]).floats("w", &[2, 2], &[1.0, 0.0, 0.5, 0.0]).node("MatMul", &["x", "w"], "y", &[]).bytes();
    assert_eq!(outputs(&bytes, codes(&[1, 2], &[1.0, 3.0], "u2", 1.0, 0.0), &[2, 3])[1], 0.0);
}

/// A scale and an offset for each channel: the codes are rescaled before the first layer.
#[test]
fn input_scales_for_each_channel() {
    let bytes = Net::new(&[1, 2, 1, 2])
        .floats("w", &[1, 2, 1, 2], &[1.0, 1.0, 1.0, 1.0])
        .node("Conv", &["x", "w"], "y", &[])
        .bytes();
    let mut options = codes(&[1, 2, 1, 2], &[0.0, 255.0, 0.0, 255.0], "u8", 1.0, 0.0);
    options.input =
        Some(InputCodes { format: Format::unsigned(8), scales: vec![0.5, 0.25], offsets: vec![0.0, -16.0] });
    options.activation_bits = 16;
    let model = quantized(&bytes, &options);
    // 100/2 + 20/2 + (200/4 - 16) + (40/4 - 16)
    let got = model.run(&[100.0, 20.0, 200.0, 40.0]).unwrap()[0][0];
    assert!((got - 88.0).abs() < 0.02, "{got}");
    let got = outputs(&bytes, options, &[100, 20, 200, 40])[0];
    assert!((got - 88.0).abs() < 0.02, "{got}");
}
