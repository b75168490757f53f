//! Foldings chosen by the solver against every folding that there is, under a price of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use hdl_gen::fold::{Aim, Folded, Folder, LayerOption, Usage};
use hdl_gen::{BindOptions, BoundLayer, bind};
use network::Network;
use network::diagnostic::{At, Place};
use network::format::Kind;
use network::graph::{Encoding, HardwareRequest, Memory, Multiplier, PeKind};
use network::plan::Plan;

const PLAN: &str = "\
hwgen: 1
name: small
random: { seed: 5 }
input: { shape: [6, 6, 2], format: FORMAT }
layers:
  - { name: conv1, op: conv2d, outputs: 6, kernel: [3, 3], weight: WEIGHT, output: bipolar2 }
  - { name: fc1, op: dense, outputs: 8, weight: bipolar1, output: u3 }
  - { name: fc2, op: dense, outputs: 4, weight: s4 }
";

/// A price without any meaning but that wider arrays cost more.
fn price(hardware: &BoundLayer, outputs: u64, length: u64) -> Usage {
    let BoundLayer::Matrix(matrix) = hardware else { return Usage::default() };
    let lanes = (matrix.pe * matrix.simd) as f64;
    let words = outputs as f64 * length as f64 / lanes;
    let (xnor, serial) = (matrix.kind == PeKind::Xnor, matrix.kind == PeKind::Serial);
    let dsp = matrix.multiplier == Multiplier::Dsp;
    let lane = if dsp {
        1.0
    } else if xnor {
        4.0
    } else if serial {
        0.5
    } else {
        9.0
    };
    let in_luts = if matrix.memory == Memory::Lut { words / 4.0 } else { 3.0 };
    Usage([
        lanes * lane + 17.0 * matrix.pe as f64 + 5.0 * matrix.simd as f64 + in_luts,
        2.0 * lanes + 11.0 * matrix.pe as f64,
        if dsp { lanes } else { 0.0 },
        if matrix.memory == Memory::Block { (lanes / 8.0).ceil() } else { 0.0 },
    ])
}

fn sizes(network: &Network, index: usize) -> (u64, u64) {
    let weights = network.layers()[index].op.weights().unwrap();
    (weights.outputs as u64, weights.length as u64)
}

/// Integers of more than four pairs of planes: the fold does not price the xnor array for them, since it is never smaller.
fn is_wide(network: &Network, index: usize) -> bool {
    let layer = &network.layers()[index];
    let Encoding::Codes { format, .. } = network.layer_input(layer).encoding else { return false };
    let weights = layer.op.weights().unwrap().format;
    weights.kind() != Kind::Bipolar && weights.bits() * format.bits() > 4
}

/// Every build of a layer that meets the target.
fn all(network: &Network, index: usize, target: u64) -> Vec<Usage> {
    let (outputs, length) = sizes(network, index);
    let mut found = Vec::new();
    let divisors = |number: u64| (1..=number).filter(move |d| number.is_multiple_of(*d));
    for pe in divisors(outputs) {
        for simd in divisors(length) {
            for kind in [PeKind::Mac, PeKind::Xnor, PeKind::Serial] {
                if kind == PeKind::Xnor && is_wide(network, index) {
                    continue;
                }
                for (multiplier, memory) in
                    [Multiplier::Lut, Multiplier::Dsp].into_iter().flat_map(|m| [(m, Memory::Lut), (m, Memory::Block)])
                {
                    // Bit planes are words of their own.
                    let bits = u64::from(network.layers()[index].op.weights().unwrap().format.bits());
                    let planes = if kind == PeKind::Serial { bits } else { 1 };
                    if memory == Memory::Block && outputs * length / (pe * simd) * planes < 32 {
                        continue;
                    }
                    let mut parts = network.clone().into_parts();
                    parts.layers[index].hardware = HardwareRequest {
                        kind: Some(At::new(kind, Place::default())),
                        pe: Some(At::new(pe, Place::default())),
                        simd: Some(At::new(simd, Place::default())),
                        multiplier: Some(At::new(multiplier, Place::default())),
                        memory: Some(At::new(memory, Place::default())),
                        ..HardwareRequest::default()
                    };
                    let wished = Network::build(parts).unwrap();
                    let Ok(bound) = bind(&wished, &BindOptions { target_cycles: Some(target) }) else { continue };
                    if bound.layer_cycles(index) <= target {
                        found.push(price(&bound.layers()[index], outputs, length));
                    }
                }
            }
        }
    }
    found
}

/// Compares with the best of all builds; gives the layers that were chosen to take planes in time.
#[track_caller]
fn check(formats: [&str; 2], target: u64, limits: [Option<f64>; 4], capacity: Option<[f64; 4]>) -> usize {
    let text = PLAN.replace("FORMAT", formats[0]).replace("WEIGHT", formats[1]);
    let network = Plan::parse(&text, "plan.yaml").unwrap().build(None).unwrap();
    let own = |index: usize, hardware: &BoundLayer| {
        let (outputs, length) = sizes(&network, index);
        Ok(price(hardware, outputs, length))
    };
    let mut folder = Folder::new(&network, &own).unwrap();
    let rest = Usage([40.0, 10.0, 0.0, 1.0]);
    let aim = Aim { limits, capacity, rest, gap: 0.0 };
    let folded = folder.fold(target, &aim).unwrap();

    let tables: Vec<Vec<Usage>> = (0..3).map(|index| all(&network, index, target)).collect();
    let mut best: Option<(f64, f64)> = None;
    for a in &tables[0] {
        for b in &tables[1] {
            for c in &tables[2] {
                let sum = rest.plus(*a).plus(*b).plus(*c).0;
                if sum.iter().zip(limits).any(|(used, limit)| limit.is_some_and(|limit| *used > limit)) {
                    continue;
                }
                let peak = capacity.map_or(0.0, |all| sum.iter().zip(all).map(|(u, a)| u / a).fold(0.0, f64::max));
                let this = (peak, sum[0]);
                if best.is_none_or(|best| this.0 < best.0 - 1e-9 || (this.0 < best.0 + 1e-9 && this.1 < best.1)) {
                    best = Some(this);
                }
            }
        }
    }
    let mut serials = 0;
    match (folded, best) {
        (Folded::Found(folding), Some((peak, lut))) => {
            let serial = |option: &LayerOption| matches!(&option.hardware, BoundLayer::Matrix(matrix) if matrix.kind == PeKind::Serial);
            serials = folding.options.iter().filter(|option| serial(option)).count();
            assert!((folding.usage.0[0] - lut).abs() < 1e-6, "{} LUT, not {lut}", folding.usage.0[0]);
            assert!(folding.proved && (folding.lut.1 - lut).abs() < 1e-6, "bound {:?}", folding.lut);
            if let Some(found) = folding.peak {
                assert!((found.value - peak).abs() < 1e-9, "{found:?}, not {peak}");
            }
            assert!(folding.options.iter().all(|option| option.cycles <= target));
        }
        (Folded::Impossible(_), None) => {}
        (Folded::TooSlow { .. }, None) => assert!(tables.iter().any(Vec::is_empty)),
        (folded, best) => panic!("{folded:?}, not {best:?}"),
    }
    serials
}

#[test]
fn equals_exhaustive_search() {
    let part = Some([4000.0, 4000.0, 30.0, 12.0]);
    let mut serials = 0;
    for formats in [["u4", "s3"], ["bipolar1", "bipolar2"], ["u2", "s2"], ["bipolar4", "u1"]] {
        for target in [16, 40, 100, 300, 900, 5000] {
            serials += check(formats, target, [None; 4], part);
            serials += check(formats, target, [None, None, Some(6.0), Some(4.0)], None);
            serials += check(formats, target, [Some(420.0), None, None, Some(2.0)], None);
        }
    }
    assert!(serials > 5, "{serials} layers with planes in time");
}

#[test]
fn limits_that_nothing_keeps_and_targets_that_nothing_meets() {
    check(["u4", "s3"], 200, [Some(30.0), None, None, None], None);
    check(["u4", "s3"], 2, [None; 4], None);
}
