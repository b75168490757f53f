//! Widths of layers whose weights are coded as regions: where that is kept, and what it takes of a budget.

use crate::builder::Net;
use crate::random::Random;
use network::coding::Coding;
use network::{Network, WeightFormat};
use quantizer::allocate::{
    Allocation, Budget, Ended, LossKind, Method, Sensitivities, StudyOptions, Tables, Unwatched, allocate, study,
};
use quantizer::{Calibration, ImportOptions, PostTraining, WeightQuantizer, import};

/// Two dense layers of 64 x 24 and 24 x 6 weights, every `rare`-th of the first 25 times as large as the others.
fn net(rare: usize) -> (Vec<u8>, PostTraining) {
    let mut random = Random(91);
    let mut number = |scale: f64| ((random.next() + random.next() + random.next() - 1.5) * scale) as f32;
    let scale = |index: usize| if index.is_multiple_of(rare) { 2.5 } else { 0.1 };
    let first: Vec<f32> = (0..64 * 24).map(|index| number(scale(index))).collect();
    let second: Vec<f32> = (0..24 * 6).map(|_| number(0.5)).collect();
    let frames: Vec<f32> = (0..24 * 64).map(|_| number(1.0)).collect();
    let net = Net::new(&[1, 64]).floats("a", &[64, 24], &first).floats("b", &[24, 6], &second);
    let net = net.node("MatMul", &["x", "a"], "s", &[]).node("Relu", &["s"], "r", &[]);
    let calibration = Calibration::Frames { values: frames, shape: vec![24, 64], integers: false };
    let given = PostTraining { calibration, weight_quantizer: WeightQuantizer::Piecewise, ..PostTraining::default() };
    (net.node("MatMul", &["r", "b"], "y", &[]).bytes(), given)
}

fn allocated(bytes: &[u8], given: &PostTraining, budget: &str) -> (Tables, Allocation, Network, String) {
    let options = StudyOptions {
        weight_bits: vec![2, 4, 8],
        activation_bits: vec![8],
        loss: Some(LossKind::Squares),
        labels: None,
        frames: 12,
        seed: 3,
        reading: quantizer::Reading::default(),
    };
    let mut layer_bits = Vec::new();
    let made = study(bytes, "net.onnx", given, &options, &Unwatched, &mut |study| {
        let budget = Budget::parse(budget).map_err(Ended::from)?;
        let tables = study.tables("net");
        let found = allocate(study, Method::Hmptq, &budget, &tables, &Sensitivities::default())?;
        layer_bits = study.layer_bits(&found.widths);
        Ok((tables, found))
    });
    let (tables, found) = made.unwrap_or_else(|ended| panic!("{ended:?}"));
    let given = PostTraining { layer_bits, ..given.clone() };
    let options = ImportOptions { post_training: Some(given), ..ImportOptions::default() };
    let imported = import(bytes, "net.onnx", &options).unwrap_or_else(|faults| panic!("{faults}"));
    (tables, found, Network::build(imported.parts).unwrap(), imported.notes.join("\n"))
}

/// Bits of a layer's codes, each as wide as the region that its tag names.
fn payload(network: &Network, layer: usize) -> u64 {
    let weights = network.layers()[layer].op.weights().unwrap();
    match &weights.coding {
        Coding::Piecewise(tagged) => tagged.tags.iter().map(|&tag| [2u64, 4, 8][usize::from(tag)]).sum(),
        _ => weights.values.len() as u64 * u64::from(weights.format.bits()),
    }
}

/// A few large weights among many small ones: regions are nearer than plain codes of as many bits with their tags, and
/// kept without being asked to forget them. The size that the budget limits is that of the codes.
#[test]
fn regions_are_kept_where_few_weights_are_large() {
    let (bytes, given) = net(31);
    let (tables, found, network, notes) = allocated(&bytes, &given, "size=1100");
    assert!(tables.layers[0].payload_bits.contains_key(&4), "{:?}\n{notes}", tables.layers[0].payload_bits);
    assert!(tables.layers[1].payload_bits.is_empty(), "{:?}", tables.layers[1].payload_bits);
    assert_eq!(found.widths.weights[0], Some(4));
    let weights = network.layers()[0].op.weights().unwrap();
    let WeightFormat::Piecewise(regions) = weights.weight_format() else { panic!("{:?}", weights.weight_format()) };
    assert_eq!(regions.widths(), [2, 4, 8]);
    let stored = payload(&network, 0) + payload(&network, 1);
    let size = found.costs.iter().find(|(name, _)| name == "size").unwrap().1;
    assert_eq!(size * 8.0, stored as f64, "{notes}");
    // 4 bits a weight would be 840 bytes: what is stored is more, and within what was asked for.
    assert!(size > 840.0 && size <= 1100.0, "{size}");
}

/// Weights of one spread: with tags plain codes are nearer; by payload alone, as HMPTQ's tables count, regions are.
#[test]
fn without_their_tags_regions_are_kept() {
    let (bytes, given) = net(1_000_000);
    let (tables, _, network, notes) = allocated(&bytes, &given, "size=1100");
    assert!(tables.layers.iter().all(|layer| layer.payload_bits.is_empty()), "{notes}");
    assert!(notes.contains("piecewise"), "{notes}");
    assert!(
        network
            .layers()
            .iter()
            .filter_map(|layer| layer.op.weights())
            .all(|weights| matches!(weights.coding, Coding::Plain))
    );
    let given = PostTraining { free_tags: true, ..given };
    let (tables, found, network, notes) = allocated(&bytes, &given, "size=1100");
    assert!(!tables.layers[0].payload_bits.is_empty(), "{notes}");
    let stored: u64 = (0..network.layers().len())
        .filter(|&layer| network.layers()[layer].op.weights().is_some())
        .map(|layer| payload(&network, layer))
        .sum();
    let size = found.costs.iter().find(|(name, _)| name == "size").unwrap().1;
    assert!(size * 8.0 == stored as f64 && size <= 1100.0, "{size} {stored}");
    // Tables that are written keep what weights take.
    let read = Tables::parse(&tables.write(), "t.yaml").unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(read.layers[0].payload_bits, tables.layers[0].payload_bits);
}
