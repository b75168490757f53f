//! Damaged files: a diagnostic, never a panic.

use proptest::prelude::*;
use quantizer::{ImportOptions, import};
use std::path::Path;

fn model(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).join(format!("{name}.qonnx.onnx"));
    std::fs::read(path).unwrap()
}

/// Import must end; what it says does not matter here.
fn survives(bytes: &[u8]) {
    if let Ok(imported) = import(bytes, "damaged.onnx", &ImportOptions::default()) {
        let _ = network::Network::build(imported.parts);
    }
}

#[test]
fn every_short_prefix_is_refused() {
    let bytes = model("digits-mlp");
    for length in (0..2000).chain((2000..bytes.len()).step_by(997)) {
        assert!(import(&bytes[..length], "short.onnx", &ImportOptions::default()).is_err(), "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_do_not_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = model("digits-mlp");
        for (index, value) in changes {
            let place = index.index(bytes.len());
            bytes[place] = value;
        }
        survives(&bytes);
    }

    #[test]
    fn noise_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }
}
