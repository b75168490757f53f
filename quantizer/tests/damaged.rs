//! Damaged files: a diagnostic, never a panic.

use crate::frames::{names, read};
use proptest::prelude::*;
use quantizer::{Calibration, ImportOptions, PostTraining, import};
use std::path::Path;
use std::sync::OnceLock;

fn model(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).join(format!("{name}.qonnx.onnx"));
    std::fs::read(path).unwrap()
}

/// All models of the records.
fn small_models() -> &'static [Vec<u8>] {
    static MODELS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records");
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let models_of = |path: &std::path::PathBuf| {
            let arrays: Vec<String> = names(path).iter().map(|name| name.trim_end_matches(".npy").to_owned()).collect();
            arrays
                .iter()
                .filter(|name| name.ends_with(".model"))
                .map(|name| read::<u8>(path, name).unwrap().0)
                .collect::<Vec<_>>()
        };
        paths.iter().flat_map(models_of).collect()
    })
}

/// Import must end; what it says does not matter here.
fn survives(bytes: &[u8]) {
    if let Ok(imported) = import(bytes, "damaged.onnx", &ImportOptions::default()) {
        let _ = network::Network::build(imported.parts);
    }
}

/// The same for a model that is quantized on the way.
fn survives_calibration(bytes: &[u8]) {
    let calibration = Calibration::Random { seed: 1, frames: 1 };
    let post_training = Some(PostTraining { calibration, ..PostTraining::default() });
    let options = ImportOptions { post_training, ..ImportOptions::default() };
    if let Ok(imported) = import(bytes, "damaged.onnx", &options) {
        let _ = network::Network::build(imported.parts);
    }
}

/// A Gather of indices that fall once overflowed.
#[test]
fn every_recorded_model_is_quantized_or_refused() {
    small_models().iter().for_each(|model| survives_calibration(model));
}

#[test]
fn every_short_prefix_is_refused() {
    let bytes = model("digits-mlp");
    for length in (0..2000).chain((2000..bytes.len()).step_by(997)) {
        assert!(import(&bytes[..length], "short.onnx", &ImportOptions::default()).is_err(), "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_do_not_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = model("digits-mlp");
        for (index, value) in changes {
            let place = index.index(bytes.len());
            bytes[place] = value;
        }
        survives(&bytes);
    }

    /// Small models have few bytes that do not matter.
    #[test]
    fn changed_bytes_of_small_models_do_not_panic(
        choice in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let models = small_models();
        let mut bytes = models[choice.index(models.len())].clone();
        for (index, value) in changes {
            let place = index.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survives(&bytes);
    }

    #[test]
    fn changed_bytes_do_not_panic_under_calibration(
        choice in any::<prop::sample::Index>(),
        (place, value) in (any::<prop::sample::Index>(), any::<u8>()),
    ) {
        let models = small_models();
        let mut bytes = models[choice.index(models.len())].clone();
        let place = place.index(bytes.len());
        bytes[place] = value;
        survives_calibration(&bytes);
    }

    #[test]
    fn noise_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }
}
