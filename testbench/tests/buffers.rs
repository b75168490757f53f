//! Depths of FIFOs in front of joins, found for random networks: no frame ends later than with deep ones, and with a word less
//! in any of them one does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use hdl_gen::{BindOptions, Design, bind, lower};
use network::Network;
use network::diagnostic::{At, Place};
use testbench::campaign::Sketch;

const FRAMES: u64 = 6;
/// More words than any FIFO of these networks holds.
const DEEP: u64 = 4000;

/// Depths of the FIFOs of each layer that joins.
type Depths = Vec<(String, Vec<u64>)>;

fn design(network: &Network, depths: &Depths) -> Design {
    let mut parts = network.clone().into_parts();
    for (name, depths) in depths {
        let layer = parts.layers.iter_mut().find(|layer| layer.name == *name).unwrap();
        layer.hardware.fifo = Some(At::new(depths.clone(), Place::default()));
    }
    lower(&bind(&Network::build(parts).unwrap(), &BindOptions::default()).unwrap()).unwrap()
}

fn depths(network: &Network, design: &Design) -> Depths {
    let joins = network.layers().iter();
    joins.filter_map(|layer| Some((layer.name.clone(), design.fifo_depths(&layer.name)?))).collect()
}

/// The last cycle of each frame at each output; none where the design stands still.
fn ends(network: &Network, depths: &Depths) -> Option<Vec<Vec<u64>>> {
    Some(design(network, depths).predict(FRAMES, None).ok()?.frame_end_cycles)
}

#[test]
fn no_fifo_of_a_random_network_can_lose_a_word() {
    let first = std::env::var("HWGEN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    let count = std::env::var("HWGEN_GRAPHS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_u64);
    let (mut networks, mut fifos) = (0, 0);
    for seed in first..first + count {
        let Ok(network) = Sketch::random(seed).network() else { continue };
        let as_emitted = design(&network, &Vec::new());
        // Where several inputs come, an output that needs one of them alone may run ahead as far as FIFOs go: there is no
        // depth beyond which nothing gets earlier.
        let is_open = as_emitted.input_ports().len() > 1;
        if is_open || as_emitted.modes() > 1 || depths(&network, &as_emitted).is_empty() {
            continue;
        }
        networks += 1;
        let least = as_emitted.with_least_buffers(&mut |_, _| true).unwrap().unwrap();
        let found = depths(&network, &least);
        let deep: Depths = found.iter().map(|(name, depths)| (name.clone(), vec![DEEP; depths.len()])).collect();
        let best = ends(&network, &deep).unwrap();
        assert_eq!(ends(&network, &found).as_ref(), Some(&best), "seed {seed}: {found:?}");
        for (join, (name, depths)) in found.iter().enumerate() {
            for input in (0..depths.len()).filter(|&input| depths[input] > 1) {
                let mut less = found.clone();
                less[join].1[input] -= 1;
                let ends = ends(&network, &less);
                let is_late = ends
                    .is_none_or(|ends| ends.iter().flatten().zip(best.iter().flatten()).any(|(end, best)| end > best));
                assert!(is_late, "seed {seed}: input {input} of {name} can hold a word less than {depths:?}");
                fifos += 1;
            }
        }
    }
    assert!(count < 100 || (networks > 15 && fifos > 20), "{networks} networks, {fifos} FIFOs of several words");
}
