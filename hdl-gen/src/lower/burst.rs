//! How unevenly a tensor's rows leave the layer that makes them.

use network::Network;
use network::op::Op;

/// For each tensor of the network how many rows of the layers in front pass until one of its rows leaves: a pool or a
/// convolution with a stride of 2 gives nothing for a row and then a row in half the time. What comes in bursts must be
/// buffered behind, or the layer that makes it stands still in between.
pub(super) fn rows_at_once(network: &Network) -> Vec<u64> {
    let mut rows = vec![1u64; network.inputs().len()];
    for layer in network.layers() {
        let before = layer.inputs.iter().filter_map(|id| rows.get(id.0)).copied().max().unwrap_or(1);
        rows.push(match &layer.op {
            Op::MaxPool { window } | Op::SumPool { window, .. } => before.saturating_mul(window.stride[0]),
            // Its own window holds the burst.
            Op::Conv2d { window, .. } => window.stride[0],
            Op::Identity | Op::Add { .. } | Op::Multiply | Op::Concat => before,
            Op::Argmax { .. } | Op::TopK { .. } => before,
            // Both write ahead, or end a frame.
            Op::Rearrange(_) | Op::Dense { .. } => 1,
        });
    }
    rows
}

/// The part of a row of `words` that must find room for a layer that makes its rows in bursts of such rows.
pub(super) fn words_ahead(words: u64, rows_at_once: u64) -> u64 {
    (words * (rows_at_once - 1)).div_ceil(rows_at_once)
}
