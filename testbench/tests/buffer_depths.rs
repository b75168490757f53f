//! The depths of FIFOs in front of joins: no frame ends later than with FIFOs that never fill, and no FIFO can lose a word
//! without slowing the design or bringing it to a standstill: for networks made for it, and random ones.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a plan that cannot be built has failed")]

use hdl_gen::{BindOptions, Design, PredictError, bind, lower};
use network::diagnostic::At;
use network::plan::Plan;
use network::{Network, Place};
use testbench::campaign::Sketch;

/// A block of residual networks, and one inside another.
const RESIDUAL: &str = "
hwgen: 1
name: residual
random: { seed: 5 }
input: { name: x, shape: [9, 8, 4], format: u4 }
layers:
  - { name: c1, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, output: u4, hw: { pe: 2, simd: 4 } }
  - { name: c2, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, output: u4, hw: { pe: 1, simd: 4 } }
  - { name: inner, op: add, inputs: [c1, c2], output: u4 }
  - { name: c3, op: conv2d, outputs: 4, kernel: [1, 1], weight: s4, output: u4, hw: { pe: 4, simd: 1 } }
  - { name: outer, op: add, inputs: [c3, input], output: u4 }
";

/// Down, up and across.
const U_SHAPE: &str = "
hwgen: 1
name: u-shape
random: { seed: 6 }
input: { name: x, shape: [8, 8, 2], format: u4 }
layers:
  - { name: e1, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, output: u4, hw: { pe: 2, simd: 2 } }
  - { name: p1, op: max_pool, kernel: [2, 2] }
  - { name: e2, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, output: u4, hw: { pe: 1, simd: 4 } }
  - { name: up, op: rearrange, shape: [8, 8, 4], loops: [[4, 16], [2, 0], [4, 4], [2, 0], [4, 1]] }
  - { name: both, op: concat, inputs: [up, e1] }
  - { name: d1, op: conv2d, outputs: 2, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, hw: { pe: 1, simd: 8 } }
";

/// Three branches of different lengths, two outputs.
const THREE: &str = "
hwgen: 1
name: three
random: { seed: 7 }
input: { name: x, shape: [7, 7, 3], format: u4 }
layers:
  - { name: a, op: conv2d, outputs: 3, kernel: [1, 1], weight: s4, output: u4, input: input }
  - { name: b, op: conv2d, outputs: 3, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, output: u4, input: input }
  - { name: c, op: conv2d, outputs: 3, kernel: [5, 5], padding: [2, 2, 2, 2], weight: s4, output: u4, input: b }
  - { name: all, op: concat, inputs: [a, b, c] }
  - { name: best, op: conv2d, outputs: 2, kernel: [1, 1], weight: s4 }
outputs:
  - { layer: b, name: early }
  - { layer: best, name: late }
";

fn network(text: &str) -> Network {
    Plan::parse(text, "plan.yaml").unwrap().build(None).unwrap()
}

/// Depths of the FIFOs of each layer that joins.
type Depths = Vec<(String, Vec<u64>)>;

/// More words than any FIFO of these networks holds.
const DEEP: u64 = 4000;

/// The design with given depths for every join, and without a wish where there are none.
fn design(network: &Network, depths: &Depths) -> Design {
    let mut parts = network.clone().into_parts();
    for (name, depths) in depths {
        let layer = parts.layers.iter_mut().find(|layer| layer.name == *name).unwrap();
        layer.hardware.fifo = Some(At::new(depths.clone(), Place::default()));
    }
    lower(&bind(&Network::build(parts).unwrap(), &BindOptions::default()).unwrap()).unwrap()
}

fn depths_of(network: &Network, design: &Design) -> Depths {
    let joins = network.layers().iter();
    joins.filter_map(|layer| Some((layer.name.clone(), design.fifo_depths(&layer.name)?))).collect()
}

fn found(network: &Network) -> Depths {
    depths_of(network, &design(network, &Vec::new()))
}

/// All FIFOs with the same depth.
fn all(depths: &Depths, depth: u64) -> Depths {
    depths.iter().map(|(name, depths)| (name.clone(), vec![depth; depths.len()])).collect()
}

/// The last cycle of each frame at each output; none where the design stands still.
fn ends(network: &Network, depths: &Depths) -> Option<Vec<Vec<u64>>> {
    match design(network, depths).predict(6, None) {
        Ok(report) => Some(report.frame_end_cycles),
        Err(PredictError::Run(_)) => None,
        Err(fault) => panic!("{fault}"),
    }
}

/// The least depths, looked for in a design whose plan gives others or none.
fn least(network: &Network, depths: &Depths) -> Depths {
    let design = design(network, depths).with_least_buffers(&mut |_, _| true).unwrap().unwrap();
    depths_of(network, &design)
}

#[track_caller]
fn check(text: &str) {
    let network = network(text);
    let found = found(&network);
    let mut tried = vec![found.clone()];
    tried.extend([1, 700].map(|depth| least(&network, &all(&found, depth))));
    for depths in tried {
        let deepest = check_depths(&network, &depths).into_iter().max();
        assert!(deepest > Some(4), "{depths:?} needs no FIFO at all");
    }
}

/// No frame ends later than with deep FIFOs, and with a word less in any FIFO of several one does; the depths of those.
#[track_caller]
fn check_depths(network: &Network, found: &Depths) -> Vec<u64> {
    assert!(!found.is_empty());
    let best = ends(network, &all(found, DEEP)).unwrap();
    assert_eq!(ends(network, found), Some(best.clone()), "{}: {found:?}", network.name());
    let mut tried = Vec::new();
    for (join, (name, depths)) in found.iter().enumerate() {
        for input in (0..depths.len()).filter(|&input| depths[input] > 1) {
            let mut less = found.clone();
            less[join].1[input] -= 1;
            let slower = match ends(network, &less) {
                None => true,
                Some(ends) => ends.iter().flatten().zip(best.iter().flatten()).any(|(end, best)| end > best),
            };
            assert!(slower, "{}: input {input} of {name} can hold a word less than {depths:?}", network.name());
            tried.push(depths[input]);
        }
    }
    tried
}

#[test]
fn no_fifo_of_a_residual_network_can_lose_a_word() {
    check(RESIDUAL);
}

#[test]
fn no_fifo_of_a_u_shape_can_lose_a_word() {
    check(U_SHAPE);
}

#[test]
fn no_fifo_of_three_branches_can_lose_a_word() {
    check(THREE);
}

/// The first seed is `HWGEN_SEED`, or 1; `HWGEN_GRAPHS` networks.
#[test]
fn no_fifo_of_a_random_network_can_lose_a_word() {
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (first, count) = (number("HWGEN_SEED", 1), number("HWGEN_GRAPHS", 100));
    let (mut networks, mut fifos) = (0, 0);
    for seed in first..first + count {
        let Ok(network) = Sketch::random(seed).network() else { continue };
        let as_emitted = design(&network, &Vec::new());
        // Where several inputs come, an output that needs one of them alone may run ahead as far as FIFOs go: there is no
        // depth beyond which nothing gets earlier.
        let is_open = as_emitted.input_ports().len() > 1;
        if is_open || as_emitted.modes() > 1 || depths_of(&network, &as_emitted).is_empty() {
            continue;
        }
        networks += 1;
        fifos += check_depths(&network, &least(&network, &Vec::new())).len();
    }
    assert!(count < 100 || (networks > 15 && fifos > 20), "{networks} networks, {fifos} FIFOs of several words");
}

#[test]
fn a_search_that_is_stopped_finds_nothing() {
    let mut heard = Vec::new();
    let stopped = design(&network(THREE), &Vec::new()).with_least_buffers(&mut |done, of| {
        heard.push((done, of));
        done < 2
    });
    assert!(stopped.unwrap().is_none());
    assert_eq!(heard, [(1, 6), (2, 6)]);
}

/// Runs of the whole that look for a depth are steps that take long in large designs.
#[test]
fn a_search_can_be_stopped_between_runs_of_the_whole() {
    let stops = |text: &str| {
        let mut last = 0;
        let found = design(&network(text), &Vec::new()).with_least_buffers(&mut |done, _| {
            let is_new = done != last;
            last = done;
            is_new
        });
        found.unwrap().is_none()
    };
    assert!([RESIDUAL, U_SHAPE, THREE].iter().any(|text| stops(text)));
}

#[test]
fn a_standstill_is_seen_untimed_and_the_depths_that_do_are_named() {
    for text in [RESIDUAL, U_SHAPE, THREE] {
        let network = network(text);
        let good = design(&network, &Vec::new());
        let untimed = good.check_untimed().unwrap();
        assert_eq!(untimed.period_frames, Some(1), "{untimed:?}");
        let depths = all(&found(&network), 1);
        let shallow = design(&network, &depths);
        assert_eq!(shallow.check_untimed().is_err(), shallow.predict(2, None).is_err());
        assert!(shallow.check_untimed().is_err(), "one word is enough everywhere");
        let mut enough = depths.clone();
        let named = shallow.shallow_buffers();
        for buffer in &named {
            let rows = shallow.join_buffers();
            let row = rows.iter().find(|row| row.name == buffer.name).unwrap();
            let (_, depths) = enough.iter_mut().find(|(name, _)| *name == buffer.join).unwrap();
            depths[row.input] = u64::from(buffer.enough);
        }
        assert!(ends(&network, &enough).is_some(), "{named:?}");
    }
}

#[test]
fn the_cause_of_a_skew_names_branches_and_collector() {
    let design = design(&network(RESIDUAL), &Vec::new());
    let rows = design.join_buffers();
    let row = rows.iter().filter(|row| row.join == "inner").max_by_key(|row| row.depth).unwrap();
    let cause = row.cause.clone().unwrap();
    assert_eq!((cause.waiting.as_str(), cause.late.as_str()), ("c1", "c2"));
    assert_eq!((cause.parted.as_deref(), cause.collector.as_deref()), (Some("c1"), Some("c2_window")));
}

/// Three convolutions of 5184 cycles each with a pool and an upsampling between them: what comes in bursts finds room, so
/// that the design is slower than its layers only by the padding between frames.
#[test]
fn bursts_do_not_hold_up_the_slowest_layer() {
    let text = "
hwgen: 1
name: bursts
random: { seed: 8 }
input: { name: x, shape: [24, 24, 4], format: u4 }
layers:
  - { name: e1, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, output: u4, hw: { pe: 4, simd: 4, window: 4 } }
  - { name: p1, op: max_pool, kernel: [2, 2] }
  - { name: e2, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, output: u4, hw: { pe: 1, simd: 4, window: 1 } }
  - { name: up, op: rearrange, shape: [24, 24, 4], loops: [[12, 48], [2, 0], [12, 4], [2, 0], [4, 1]] }
  - { name: d1, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s4, hw: { pe: 4, simd: 4, window: 4 } }
";
    let design = lower(&bind(&network(text), &BindOptions::default()).unwrap()).unwrap();
    let interval = design.timing().unwrap().initiation_interval_cycles;
    assert!((5184..5184 * 110 / 100).contains(&interval), "{interval}");
}
