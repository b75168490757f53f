//! Float networks whose end stays on the host: what decodes boxes is cut off without being asked for.

use crate::builder::{Net, Value};
use quantizer::{Calibration, ImportOptions, Imported, PostTraining, import};

fn imported(net: Net) -> Result<Imported, network::Diagnostics> {
    let calibration = Calibration::Random { seed: 1, frames: 2 };
    let post_training = Some(PostTraining { calibration, ..PostTraining::default() });
    import(&net.bytes(), "net.onnx", &ImportOptions { post_training, ..ImportOptions::default() })
}

/// Two scales of a detector side by side, four bins of a distribution and a class for each position.
fn head() -> Net {
    let weights: Vec<f32> = (0..90).map(|k| ((k * 7) % 11) as f32 / 10.0 - 0.5).collect();
    Net::new(&[1, 2, 4, 4])
        .floats("w", &[5, 2, 3, 3], &weights)
        .floats("bins", &[1, 4, 1], &[0.0, 1.0, 2.0, 3.0])
        .ints("long", &[3], &[1, 5, 16])
        .ints("short", &[3], &[1, 5, 4])
        .ints("zero", &[1], &[0])
        .ints("one", &[1], &[1])
        .ints("four", &[1], &[4])
        .ints("five", &[1], &[5])
        .node("Conv", &["x", "w"], "fine", &[("pads", Value::Ints(&[1, 1, 1, 1]))])
        .node("Conv", &["x", "w"], "coarse", &[("pads", Value::Ints(&[1, 1, 1, 1])), ("strides", Value::Ints(&[2, 2]))])
        .node("Reshape", &["fine", "long"], "a", &[])
        .node("Reshape", &["coarse", "short"], "b", &[])
        .node("Concat", &["a", "b"], "all", &[("axis", Value::Int(2))])
        .node("Slice", &["all", "zero", "four", "one"], "logits", &[])
        .node("Softmax", &["logits"], "parts", &[("axis", Value::Int(1))])
        .node("Conv", &["parts", "bins"], "distance", &[])
        .node("Slice", &["all", "four", "five", "one"], "class", &[])
        .node("Sigmoid", &["class"], "score", &[])
}

#[test]
fn box_decoding_stays_on_the_host() {
    let imported = imported(head().node("Concat", &["distance", "score"], "y", &[("axis", Value::Int(1))])).unwrap();
    let names: Vec<&str> = imported.parts.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let kinds: Vec<&str> = imported.parts.layers.iter().map(|layer| layer.op.name()).collect();
    assert_eq!(kinds, ["conv2d", "conv2d"]);
    assert!(imported.notes.iter().any(|note| note.contains("`all` (Concat)")), "{:?}", imported.notes);
}

/// A layer behind it shows that the network goes on; then all is told.
#[test]
fn a_network_that_goes_on_is_refused() {
    let goes_on = head()
        .floats("more", &[3, 2, 1], &[0.5; 6])
        .node("Concat", &["distance", "score"], "both", &[("axis", Value::Int(1))])
        .node("Conv", &["both", "more"], "y", &[]);
    let faults = imported(goes_on).unwrap_err();
    assert!(faults.0.iter().any(|fault| fault.place.layer.as_deref() == Some("all")), "{faults}");
}
