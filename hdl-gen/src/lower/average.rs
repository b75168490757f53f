//! Sums of averages whose windows at the border count fewer taps: each is brought to one scale behind the array.
//!
//! The array adds up all taps of a window, padding included. Positions whose windows meet the same padding form a border
//! zone; a small product with the zone's factor L / n, and a constant that takes back what uncounted taps added, make it
//! the layer's sum.

use super::border::AxisZones;
use super::matrix::Parts;
use super::requantize::Results;
use super::requantize::rescale::Rescaling;
use super::wiring::{address_bits, delay, wire};
use super::{Fault, Lowering};
use crate::requantize::{ChannelRescale, RawMap};
use crate::verilog::{BinaryOp, Expr, Item};
use network::Range;
use network::graph::{Encoding, Tensor};
use network::op::Op;

/// What brings the raw sums of a layer to one scale.
pub(super) struct Averaging {
    axes: [AxisZones; 2],
    /// For each zone (rows, then columns) multiplier and offset of the raw sum.
    constants: Vec<ChannelRescale>,
}

/// The sums that leave [`Lowering::averaged_sums`].
pub(super) struct AveragedSums {
    pub sum_bits: u32,
    pub signed: bool,
    pub latency_cycles: u32,
}

/// The value that a padded tap adds to the sums of the array: bipolar codes have no zero, their padding is code 0.
fn padding_on_wires(padding_value: i64, encoding: Encoding) -> i64 {
    match encoding {
        Encoding::Codes { format, .. } if format.kind() == network::format::Kind::Bipolar => format.value(0),
        Encoding::Codes { .. } | Encoding::Sums { .. } => padding_value,
    }
}

/// Sums that the array makes of a layer's taps, where these count differently; `None` for all other layers.
pub(super) fn plain_sums(op: &Op, input: &Tensor) -> Option<Range> {
    let Op::SumPool { window, padding_value, counted: Some(_) } = op else { return None };
    let padding = padding_on_wires(*padding_value, input.encoding);
    let values = input.encoding.values().union(Range::new(padding, padding));
    let taps = window.taps() as i64;
    Some(Range::new(values.min() * taps, values.max() * taps))
}

impl Averaging {
    /// Where taps count differently; `map` says what the raw sums of all channels mean.
    pub fn of(op: &Op, input: &Tensor, output: [u64; 2], map: RawMap) -> Option<Self> {
        let Op::SumPool { window, padding_value, counted: Some(counted) } = op else { return None };
        let factors = counted.factors(window, input.shape)?;
        let lengths = [input.shape.rows, input.shape.columns];
        let axes = [0, 1].map(|axis| AxisZones::of(window, axis, output[axis], lengths[axis]));
        let inside = |axis: usize, position: u64| {
            (0..window.kernel[axis]).filter(|&tap| window.source(axis, position, tap, lengths[axis]).is_some()).count()
                as i64
        };
        let mut constants = Vec::new();
        for row in axes[0].representatives() {
            for column in axes[1].representatives() {
                let (factor, count) = (factors.factor([row, column]), factors.count([row, column]));
                let inside = inside(0, row) * inside(1, column);
                let added = (window.taps() as i64 - inside) * padding_on_wires(*padding_value, input.encoding);
                let offset = factor * (map.offset - added + (count - inside) * padding_value);
                constants.push(ChannelRescale { multiplier: factor * map.gain, offset });
            }
        }
        Some(Averaging { axes, constants })
    }

    /// Border zones of a frame.
    pub fn zones(&self) -> u64 {
        self.axes[0].count() * self.axes[1].count()
    }
}

impl Lowering<'_> {
    /// Adds the products behind the raw sums of `results`, from net `sum` to net `average_code`, with `average_valid`,
    /// `average_last` and, where `step_is_read`, `average_step` beside it.
    pub(super) fn averaged_sums(
        &mut self,
        parts: &Parts<'_>,
        averaging: &Averaging,
        results: &Results<'_>,
        step_is_read: bool,
        items: &mut Vec<Item>,
    ) -> Result<AveragedSums, Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[parts.index].name;
        let values = network.sums(parts.index).map_or(Range::new(0, 0), |sums| sums.all);
        let zones = averaging.zones();
        let zone_bits = address_bits(zones);
        items.push(Item::Blank);
        if zones > 1 {
            let advance = match results.steps {
                1 => Expr::name(results.valid),
                steps => {
                    let last = Expr::constant(address_bits(steps), u128::from(steps - 1));
                    Expr::name(results.valid)
                        .binary(BinaryOp::And, Expr::name(results.step).binary(BinaryOp::Equal, last))
                }
            };
            items.push(wire("average_zone", zone_bits));
            items.push(self.zone_counter("average_zone", averaging.axes, zone_bits, advance));
        } else {
            items.push(Item::wire("average_zone", 1, Expr::zero(1)));
        }
        let lanes = results.lanes as usize;
        let rescaling = Rescaling {
            prefix: "average_",
            ..Rescaling::exact(
                averaging.constants.iter().flat_map(|&zone| std::iter::repeat_n(zone, lanes)).collect(),
                values,
            )
        };
        let by_zone = Results { step: "average_zone", steps: zones, ..*results };
        items.push(wire("average_code", results.lanes * rescaling.code_bits));
        let name = format!("{}_average", parts.name);
        let latency_cycles = self.rescale_lanes(layer, &name, &rescaling, &by_zone, items)?;
        items.extend([
            wire("average_valid", 1),
            wire("average_last", 1),
            delay("average_valid", 1, latency_cycles, true, Expr::name(results.valid), "average_valid"),
            delay("average_last", 1, latency_cycles, true, Expr::name(results.last), "average_last"),
        ]);
        if step_is_read {
            let bits = address_bits(results.steps);
            items.push(wire("average_step", bits));
            items.push(delay("average_step", bits, latency_cycles, false, Expr::name(results.step), "average_step"));
        }
        Ok(AveragedSums { sum_bits: rescaling.code_bits, signed: values.is_signed(), latency_cycles })
    }
}
