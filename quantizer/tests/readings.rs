//! What the user says about a model file: where it begins and ends, and the lengths that it leaves open.

use crate::builder::{Net, Value};
use crate::post_training::reals;
use network::Code::{ModelGraph, ModelShape};
use network::plan::{WriteOptions, write};
use quantizer::{Calibration, ImportOptions, InputShape, PostTraining, Reading, import};

/// An input whose axes are open becomes static by what the user states.
#[test]
fn a_stated_shape_closes_open_axes() {
    let open = || {
        Net::new(&[1, 1, -1, -1])
            .floats("w", &[2, 1, 3, 3], &[0.25; 18])
            .node("Conv", &["x", "w"], "y", &[("pads", Value::Ints(&[1, 1, 1, 1]))])
            .bytes()
    };
    let with = |shape: &[u64]| ImportOptions {
        post_training: Some(PostTraining {
            calibration: Calibration::Random { seed: 1, frames: 2 },
            ..reals(&[], &[])
        }),
        reading: Reading { input_shapes: vec![InputShape { name: None, dims: shape.to_vec() }], ..Reading::default() },
        ..ImportOptions::default()
    };
    let imported = import(&open(), "net.onnx", &with(&[1, 1, 5, 7])).unwrap();
    assert_eq!(imported.parts.inputs[0].shape.to_string(), "5x7x1");
    for wrong in [&[1, 2, 5, 7][..], &[1, 1, 5], &[1, 1, 0, 7]] {
        let faults = import(&open(), "net.onnx", &with(wrong)).unwrap_err();
        assert_eq!(faults.0[0].code, ModelShape, "{faults}");
        assert!(faults.0[0].message.contains("(1, 1, ?, ?)"), "{faults}");
    }
}

/// A network ends where the user says, by a tensor or a node; what follows need not be known.
#[test]
fn a_model_is_cut_at_stated_outputs() {
    let bytes = Net::new(&[1, 2])
        .floats("w", &[2, 2], &[0.5, -0.5, 0.25, 1.0])
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Relu", &["a"], "bent", &[])
        .node("Det", &["bent"], "y", &[])
        .bytes();
    let cut = |outputs: &[&str]| {
        let reading = Reading { outputs: outputs.iter().map(|&name| name.to_owned()).collect(), ..Reading::default() };
        let post_training = Some(reals(&[1, 2], &[1.0, -1.0]));
        import(&bytes, "net.onnx", &ImportOptions { reading, post_training, ..ImportOptions::default() })
    };
    assert_eq!(cut(&["bent"]).unwrap().parts.outputs.len(), 1);
    assert_eq!(cut(&["a", "bent"]).unwrap().parts.outputs.len(), 2);
    assert!(cut(&[]).unwrap_err().0[0].message.contains("Det"));
    for (wrong, text) in [(&["bnet"][..], "`bnet`"), (&["x"], "`x`"), (&["bent", "bent"], "twice")] {
        let faults = cut(wrong).unwrap_err();
        assert_eq!(faults.0[0].code, ModelGraph, "{faults}");
        assert!(faults.0[0].message.contains(text), "{faults}");
    }
    assert!(cut(&["bnet"]).unwrap_err().0[0].help.contains("did you mean"));
}

/// A network begins where the user says; what is in front need not be known, and frames are those of the tensor.
#[test]
fn a_model_is_cut_at_stated_inputs() {
    let bytes = Net::new(&[1, 3])
        .floats("w", &[2, 2], &[0.5, -0.5, 0.25, 1.0])
        .node("Det", &["x"], "a", &[])
        .node("MatMul", &["a", "w"], "b", &[])
        .node("Relu", &["b"], "y", &[])
        .bytes();
    let cut = |inputs: &[&str], outputs: &[&str], dims: &[u64]| {
        let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let input_shapes = vec![InputShape { name: Some("a".into()), dims: dims.to_vec() }];
        let reading = Reading { inputs: all(inputs), outputs: all(outputs), input_shapes };
        let post_training = Some(reals(&[1, 2], &[1.0, -1.0]));
        import(&bytes, "net.onnx", &ImportOptions { reading, post_training, ..ImportOptions::default() })
    };
    let parts = cut(&["a"], &[], &[1, 2]).unwrap().parts;
    assert_eq!((parts.inputs.len(), parts.inputs[0].shape.to_string()), (1, "1x1x2".to_owned()));
    assert_eq!((parts.inputs[0].name.as_str(), parts.layers.len()), ("a", 1));
    for (inputs, outputs, text) in [
        (&["x"][..], &[][..], "`x`"),
        (&["a", "a"], &[], "twice"),
        (&["a"], &["a"], "an input and an output"),
        (&["y"], &[], "an input and an output"),
    ] {
        let faults = cut(inputs, outputs, &[1, 2]).unwrap_err();
        assert_eq!(faults.0[0].code, ModelGraph, "{faults}");
        assert!(faults.0[0].message.contains(text), "{faults}");
    }
}

/// Some exporters join the names of all that was fused; a plan has names of 256 characters at most.
#[test]
fn inputs_and_outputs_with_long_names_fit_into_a_plan() {
    let (begin, end) = ("model/fused;".repeat(40), "model/activated;".repeat(40));
    let bytes = Net::new(&[1, 3])
        .floats("w", &[2, 2], &[0.5, -0.5, 0.25, 1.0])
        .node("Det", &["x"], &begin, &[])
        .node("MatMul", &[&begin, "w"], "b", &[])
        .node("Relu", &["b"], &end, &[])
        .node("Det", &[&end], "y", &[])
        .bytes();
    let input_shapes = vec![InputShape { name: Some(begin.clone()), dims: vec![1, 2] }];
    let reading = Reading { inputs: vec![begin.clone()], outputs: vec![end.clone()], input_shapes };
    let post_training = Some(reals(&[1, 2], &[1.0, -1.0]));
    let options = ImportOptions { reading, post_training, ..ImportOptions::default() };
    let parts = import(&bytes, "net.onnx", &options).unwrap().parts;
    for (name, whole) in [(&parts.inputs[0].name, &begin), (&parts.outputs[0].name, &end)] {
        assert!(name.chars().count() == 256 && whole.starts_with(&name[..100]), "{name}");
    }
    let options = WriteOptions { arrays_file: "net.arrays.safetensors".into(), ..WriteOptions::default() };
    let written = write(&parts, &options);
    assert!(written.is_ok(), "{:?}", written.err());
}
