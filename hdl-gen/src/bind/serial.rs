//! What binding and lowering know of a bit-serial layer.

use super::{Bound, BoundLayer};
use crate::serial::Schedule;
use network::format::Kind;
use network::graph::{Encoding, Layer, PeKind};
use network::modes::Planes;
use network::op::{Op, Weights};
use network::{Format, Network, Range};

/// The planes that a layer reads in each mode; all of them, in one mode, where the plan has none.
pub(crate) fn mode_planes(layer: &Layer, weights: &Weights, activation: Format) -> Vec<Planes> {
    if layer.modes.is_empty() {
        let all = Planes { weight: weights.format.bits(), activation: activation.bits() };
        return vec![all];
    }
    layer.modes.iter().map(|mode| mode.planes).collect()
}

/// The passes of a layer in each mode; a layer that does the same in every mode has one.
pub(crate) fn serial_schedule(
    network: &Network,
    index: usize,
    op: &Op,
    weights: &Weights,
    activation: Format,
) -> Schedule {
    let layer = &network.layers()[index];
    let modes = mode_planes(layer, weights, activation);
    let codes = match network.layer_input(layer).encoding {
        Encoding::Codes { range, .. } => range,
        Encoding::Sums { .. } => activation.code_range(),
    };
    let mut keep_gain = false;
    let codes = match op {
        Op::Conv2d { window, padding_value, .. } if window.is_padded() => {
            if activation.kind() == Kind::Bipolar {
                keep_gain = true;
                codes
            } else {
                let code = activation.code(*padding_value).unwrap_or(0);
                codes.union(Range::new(code, code))
            }
        }
        _ => codes,
    };
    Schedule::new(weights, activation, codes, &modes, keep_gain)
}

/// Exact sums of each channel in each mode of a layer; one entry where it does the same in every mode.
pub(crate) fn mode_sums(network: &Network, index: usize) -> Vec<Vec<Range>> {
    let modes = network.layers()[index].modes.len().max(1);
    let sums = |mode| network.mode_sums(index, mode).map_or_else(Vec::new, |sums| sums.channels);
    (0..modes).map(sums).collect()
}

impl Bound {
    /// Products of one bit of a weight and one bit of an activation that a frame in a mode takes: what is left of the
    /// multiply-accumulates' widths, multiplied, when planes that the mode drops and planes that cost no pass are not
    /// counted. A proxy for the energy of a frame.
    pub fn bit_products(&self, mode: usize) -> u64 {
        let network = self.network();
        let of_layer = |(index, layer): (usize, &Layer)| {
            let (Some(weights), Encoding::Codes { format, .. }) =
                (layer.op.weights(), network.layer_input(layer).encoding)
            else {
                return 0;
            };
            let products = network.layer_output(index).shape.elements() * weights.length as u64;
            let is_serial =
                |bound: &BoundLayer| matches!(bound, BoundLayer::Matrix(matrix) if matrix.kind == PeKind::Serial);
            let pairs = if self.layers().get(index).is_some_and(is_serial) {
                let schedule = serial_schedule(network, index, &layer.op, weights, format);
                schedule.modes.get(mode).or(schedule.modes.first()).map_or(1, |mode| mode.passes.len() as u64)
            } else {
                u64::from(weights.format.bits()) * u64::from(format.bits())
            };
            products * pairs
        };
        network.layers().iter().enumerate().map(of_layer).sum()
    }
}
