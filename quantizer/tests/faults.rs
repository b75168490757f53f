//! Wrong models: each a diagnostic with its code and place, never a panic, never much memory.

use crate::builder::{Net, Value};
use crate::frames::{names, read};
use network::Code::{self, *};
use network::{Diagnostics, Format};
use quantizer::{Calibration, ImportOptions, InputGrid, PostTraining, import};
use std::path::{Path, PathBuf};

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/faults.npz")
}

fn model(name: &str) -> Vec<u8> {
    read::<u8>(&path(), &format!("{name}.model")).unwrap_or_else(|| panic!("no model {name}")).0
}

fn qdq_model(name: &str) -> Vec<u8> {
    let path = path().with_file_name("qdq_faults.npz");
    read::<u8>(&path, &format!("{name}.model")).unwrap_or_else(|| panic!("no model {name}")).0
}

/// As [`check`], for a wrong QDQ model.
#[track_caller]
fn check_qdq(name: &str, code: Code, node: &str, text: &str) {
    check_one(name, &qdq_model(name), code, node, text);
}

#[test]
fn qdq_parameters() {
    for (name, value) in
        [("zero", "scale 0 "), ("negative", "scale -0.5"), ("nan", "scale NaN"), ("infinite", "scale inf")]
    {
        check_qdq(&format!("{name}_scale"), ModelQuantizer, "QuantizeLinear_0", value);
        check_qdq(&format!("{name}_weight_scale"), ModelQuantizer, "DequantizeLinear_2", value);
    }
    check_qdq("axis_out_of_range", ModelShape, "DequantizeLinear_2", "axis 2");
    check_qdq("negative_axis_out_of_range", ModelShape, "DequantizeLinear_2", "axis -3");
    check_qdq("scales_for_another_axis", ModelShape, "DequantizeLinear_2", "5 scales for an axis of length 12");
    check_qdq("data_axis_out_of_range", ModelShape, "QuantizeLinear_0", "axis 4");
    check_qdq("fewer_zero_points", ModelQuantizer, "DequantizeLinear_2", "4 zero points");
    check_qdq("mixed_types", ModelQuantizer, "DequantizeLinear_2", "int8 with a zero point of type uint8");
    check_qdq("zero_point_outside", ModelQuantizer, "QuantizeLinear_0", "zero point of 300");
    check_qdq("wide_codes", ModelQuantizer, "QuantizeLinear_0", "int32");
    check_qdq("blocks_of_data", ModelQuantizer, "QuantizeLinear_0", "blocks");
}

#[test]
fn qdq_graphs() {
    check_qdq("dequantized_input", ModelQuantizer, "DequantizeLinear_0", "reads real numbers");
    check_qdq("dequantized_sums", ModelQuantizer, "DequantizeLinear_4", "reads real numbers");
    check_qdq("sums_into_dense", ModelQuantizer, "MatMul_5", "no quantizer stands between");
    check_qdq("dynamic", ModelOperator, "Dynamic_0", "DynamicQuantizeLinear");
    check_qdq("short_qlinear_conv", ModelOperator, "QLinearConv", "no input 4");
}

#[test]
fn qdq_constants() {
    check_qdq("packed_codes", ModelConstant, "c", "5 bytes for 13 codes of 4 bits");
    check_qdq("external", ModelConstant, "c3", "external");
    check_qdq("missing", ModelConstant, "DequantizeLinear_2", "which nothing makes");
    check_qdq("float8", ModelConstant, "c", "element type 17");
}

/// Several faults are reported at once, a shared parameter only at the first node that reads it.
#[test]
fn qdq_faults_stand_together() {
    let faults = faults(&qdq_model("two_unknown_and_a_scale"));
    let nodes: Vec<&str> = faults.0.iter().filter_map(|fault| fault.place.layer.as_deref()).collect();
    assert_eq!(nodes, ["QuantizeLinear_0", "Fancy_2", "Cosh_5"], "{faults}");
}

#[track_caller]
fn faults(bytes: &[u8]) -> Diagnostics {
    import(bytes, "wrong.onnx", &ImportOptions::default()).expect_err("the model is wrong")
}

/// A wrong model gives exactly one diagnostic, with this code, at a node whose name holds `node`, and this text.
#[track_caller]
fn check(name: &str, code: Code, node: &str, text: &str) {
    check_one(name, &model(name), code, node, text);
}

#[track_caller]
fn check_one(name: &str, bytes: &[u8], code: Code, node: &str, text: &str) {
    let faults = faults(bytes);
    let [fault] = faults.0.as_slice() else { panic!("{name}: {faults}") };
    assert_eq!(fault.code, code, "{fault}");
    assert!(fault.place.layer.as_deref().unwrap_or("").contains(node), "{fault}");
    assert!(fault.message.contains(text), "{fault}");
    assert_eq!(fault.place.file.as_deref(), Some("wrong.onnx"));
}

#[test]
fn quantizer_parameters() {
    check("nan_scale", ModelQuantizer, "Quant_", "NaN");
    check("infinite_scale", ModelQuantizer, "Quant_", "inf");
    check("zero_scale", ModelQuantizer, "Quant_", "scale 0");
    check("negative_scale", ModelQuantizer, "Quant_", "scale -0.5");
    check("nan_zero_point", ModelQuantizer, "Quant_", "NaN");
    check("fractional_bits", ModelQuantizer, "Quant_", "3.5");
    check("seventeen_bits", ModelQuantizer, "Quant_", "17");
    check("unknown_rounding", ModelQuantizer, "Quant_", "NEAREST");
    check("single_value", ModelQuantizer, "Quant_", "single value");
    check("wide_scale", ModelShape, "Quant_", "[4, 1, 5]");
    check("widening_trunc", ModelQuantizer, "Trunc_", "adds bits");
    check("input_scale_for_each_channel", ModelQuantizer, "Quant_", "one uniform quantizer");
    check("input_not_quantized", ModelQuantizer, "MatMul_", "input");
    check("weights_not_quantized", ModelQuantizer, "MatMul_", "not quantized");
    check("sums_into_dense", ModelQuantizer, "MatMul_", "no quantizer stands between");
    check("padding_without_zero", ModelOperator, "Conv_", "zero padding");
}

#[test]
fn constants() {
    check("missing_initialiser", ModelConstant, "Add_", "nowhere");
    check("external", ModelConstant, "c3", "external");
    check("truncated", ModelConstant, "c3", "elements");
    check("huge", ModelShape, "c3", "too large");
    check("negative", ModelShape, "c3", "negative dimension");
    check("nan_weights", ModelConstant, "Quant_", "NaN");
    check("negative_variance", ModelConstant, "BatchNormalization_", "channel 2");
    check("divided_by_zero", ModelConstant, "Div_", "0");
    check("constant_bomb", ModelShape, "ConstantOfShape_", "too large");
    check("constant_chain", ModelConstant, "Concat_", "memory");
}

#[test]
fn graphs() {
    check("cyclic", ModelGraph, "_", "its own output");
    check("twice", ModelGraph, "MatMul_", "made by two nodes");
    check("no_nodes", ModelSyntax, "", "empty");
    check("other_output", ModelGraph, "", "elsewhere");
}

#[test]
fn shapes() {
    check("open_width", ModelShape, "x", "not static");
    check("no_shape", ModelShape, "x", "no shape");
    check("wide", ModelShape, "x", "too large");
    check("dense_lengths", ModelShape, "MatMul_", "9 inputs");
    check("conv_channels", ModelShape, "Conv_", "2 channels");
    check("conv_too_large", ModelShape, "Conv_", "does not fit");
    check("conv_stride", ModelShape, "Conv_", "strides");
    check("conv_pads", ModelShape, "Conv_", "pads");
    check("conv_huge_pads", ModelShape, "Conv_", "pads");
    check("conv_kernel_shape", ModelShape, "Conv_", "kernel_shape");
    check("conv_three_axes", ModelOperator, "Conv_", "weights of shape");
    check("reshape_to_other_count", ModelShape, "Reshape_", "cannot be reshaped");
}

#[test]
fn operators() {
    check("training_mode", ModelOperator, "BatchNormalization_", "training");
    check("softmax_inside", ModelOperator, "Quant_", "Softmax");
    check("pool_indices", ModelOperator, "MaxPool_", "further output `places`");
    check("cast_of_fractions", ModelOperator, "Cast_", "not whole");
    check("endless_products", ModelOperator, "Mul_", "bits");
}

#[test]
fn all_unknown_operators_are_listed_at_once() {
    let faults = faults(&model("unknown_operators"));
    let mut places: Vec<&str> = faults.0.iter().map(|fault| fault.place.layer.as_deref().unwrap()).collect();
    places.sort();
    let stems: Vec<&str> = places.iter().map(|place| place.split('_').next().unwrap()).collect();
    assert_eq!(stems, ["Conv", "Fancy", "Quant"], "{faults}");
    assert!(faults.0.iter().all(|fault| !fault.help.is_empty()));
}

#[test]
fn every_case_is_checked() {
    let listed = include_str!("faults.rs");
    for name in names(&path()) {
        let name = name.trim_end_matches(".npy").trim_end_matches(".model").to_owned();
        assert!(listed.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn a_transposed_image_is_rearranged() {
    let imported = import(&model("reorder_buffer"), "turned.onnx", &ImportOptions::default()).unwrap();
    let names: Vec<&str> = imported.parts.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["conv1", "move1", "conv2"]);
}

#[test]
fn an_argmax_at_every_position_is_built() {
    let imported = import(&model("argmax_of_image"), "argmax.onnx", &ImportOptions::default()).unwrap();
    let names: Vec<&str> = imported.parts.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["conv1", "argmax1"]);
}

#[test]
fn an_input_that_leaves_passes_a_layer_that_moves_nothing() {
    let imported = import(&model("two_outputs"), "two.onnx", &ImportOptions::default()).unwrap();
    let names: Vec<&str> = imported.parts.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["fc1", "move1"]);
}

#[test]
fn a_residual_addition_is_built() {
    let imported = import(&model("residual"), "residual.onnx", &ImportOptions::default()).unwrap();
    let names: Vec<&str> = imported.parts.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["fc1", "fc2", "add1"]);
}

#[test]
fn a_symbolic_batch_is_one_frame() {
    let imported = import(&model("symbolic_batch"), "batch.onnx", &ImportOptions::default()).unwrap();
    assert_eq!(imported.parts.inputs[0].shape.elements(), 8);
}

#[test]
fn a_stated_input_replaces_a_missing_quantizer() {
    let grid = InputGrid { format: Format::signed(5).unwrap(), scale: 0.5, zero_point: 0 };
    let options = ImportOptions { input: Some(grid), ..ImportOptions::default() };
    let imported = import(&model("input_not_quantized"), "raw.onnx", &options).unwrap();
    assert_eq!(imported.parts.inputs[0].format, Format::signed(5).unwrap());
    let quantizer = imported.parts.inputs[0].quantizer.unwrap();
    assert_eq!((quantizer.scale, quantizer.code_min, quantizer.code_max), (0.5, -16, 15));
    // Weights step by 0.125, codes by 0.5.
    assert_eq!(imported.parts.outputs[0].scales, [0.0625]);
    let wrong = ImportOptions { input: Some(InputGrid { scale: f32::NAN, ..grid }), ..ImportOptions::default() };
    assert_eq!(import(&model("input_not_quantized"), "raw.onnx", &wrong).unwrap_err().0[0].code, ModelQuantizer);
}

/// A length-delimited field.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2];
    let mut length = content.len();
    while length >= 128 {
        bytes.push(length as u8 | 128);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn bombs_are_refused_before_they_take_memory() {
    let syntax = |bytes: &[u8]| assert_eq!(faults(bytes).0[0].code, ModelSyntax);
    // Three million empty nodes, three million empty attributes of one node.
    syntax(&field(7, &[0x0a, 0].repeat(3_000_000)));
    syntax(&field(7, &field(1, &[0x2a, 0].repeat(3_000_000))));
    // Fields inside fields, a hundred thousand deep.
    let mut nested = Vec::new();
    for _ in 0..1000 {
        nested = field(7, &nested);
    }
    syntax(&nested);
    syntax(&[0x3b].repeat(100_000));
    // A field longer than the file, an overlong number, nothing at all, another kind of file.
    syntax(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    syntax(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    syntax(&[]);
    syntax(b"PK\x03\x04 not a model");
}

/// Numbers beyond all bounds: a diagnostic that names the node, whatever the number overflows.
#[test]
fn numbers_beyond_all_bounds_are_refused() {
    const HUGE: i64 = 1 << 62;
    let (ints, int) = (Value::Ints, Value::Int);
    let cases: &[(&str, &[(&str, Value<'_>)])] = &[
        ("MaxPool", &[("kernel_shape", ints(&[HUGE, HUGE]))]),
        ("MaxPool", &[("kernel_shape", ints(&[3, 3])), ("pads", ints(&[HUGE; 4]))]),
        ("MaxPool", &[("kernel_shape", ints(&[3, 3])), ("strides", ints(&[0, 0]))]),
        ("AveragePool", &[("kernel_shape", ints(&[0, 3]))]),
        ("AveragePool", &[("kernel_shape", ints(&[3, 3])), ("pads", ints(&[i64::MAX; 4]))]),
        ("AveragePool", &[("kernel_shape", ints(&[3, 3])), ("dilations", ints(&[HUGE, 1]))]),
        ("ReduceMean", &[("axes", ints(&[HUGE]))]),
        ("ReduceMean", &[("axes", ints(&[-9]))]),
        ("DepthToSpace", &[("blocksize", int(HUGE))]),
        ("SpaceToDepth", &[("blocksize", int(0))]),
        ("SpaceToDepth", &[("blocksize", int(i64::MIN))]),
        ("Transpose", &[("perm", ints(&[0, 1, 1, 9]))]),
        ("Flatten", &[("axis", int(i64::MIN))]),
    ];
    for (op, attributes) in cases {
        let model = Net::new(&[1, 3, 8, 8]).node(op, &["x"], "y", attributes).bytes();
        let calibration = Calibration::Random { seed: 1, frames: 1 };
        let post_training = Some(PostTraining { calibration, ..PostTraining::default() });
        let options = ImportOptions { post_training, ..ImportOptions::default() };
        let faults = import(&model, "huge.onnx", &options).expect_err(op);
        assert_eq!(faults.0[0].place.layer.as_deref(), Some("y"), "{op}: {faults}");
    }
}

#[test]
fn a_batch_norm_of_infinite_variance_is_refused() {
    let model = Net::new(&[1, 2, 3, 3])
        .floats("w", &[2, 2, 1, 1], &[1.0; 4])
        .floats("one", &[2], &[1.0, 1.0])
        .floats("v", &[2], &[1.0, f32::INFINITY])
        .node("Conv", &["x", "w"], "a", &[])
        .node("BatchNormalization", &["a", "one", "one", "one", "v"], "y", &[])
        .bytes();
    let post_training = Some(PostTraining::default());
    let options = ImportOptions { post_training, ..ImportOptions::default() };
    let faults = import(&model, "infinite.onnx", &options).unwrap_err();
    assert_eq!((faults.0[0].code, faults.0[0].place.layer.as_deref()), (ModelConstant, Some("y")), "{faults}");
}
