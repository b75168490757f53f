//! The baseline: foldings as dataflow compilers without a cost model raise them.
//!
//! All layers start with one PE and one input; while the slowest takes more than the target, it gets the next larger
//! SIMD that divides its inputs, and once it has them all, the next larger PE. Products stay in look-up tables, weights
//! lie where binding puts them.

use crate::bind::{self, BindOptions, Bound, bind as bind_network};
use network::Network;
use network::diagnostic::{At, Diagnostics};

/// The network bound with greedy foldings for a target; layers that cannot meet it are as wide as they can be.
///
/// # Errors
/// The plan's wishes cannot be bound.
pub fn greedy(network: &Network, target_cycles: u64) -> Result<Bound, Diagnostics> {
    let mut parts = network.clone().into_parts();
    for (index, layer) in parts.layers.iter_mut().enumerate() {
        let Some((pe, simd)) = bind::raised(network, index, target_cycles) else { continue };
        let place = layer.place.clone();
        layer.hardware.pe.get_or_insert(At::new(pe, place.clone()));
        layer.hardware.simd.get_or_insert(At::new(simd, place));
    }
    let wished = Network::build(parts)?;
    bind_network(&wished, &BindOptions { target_cycles: Some(target_cycles) })
}
