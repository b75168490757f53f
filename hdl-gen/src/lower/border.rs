//! Initial sums for padded bipolar activations.
//!
//! A padded tap contributes zero, but bipolar codes have no zero. Padded taps carry code 0, that is the value
//! -(2^M - 1), so that every sum misses (2^M - 1) * (sum of the weights on padded taps). That constant depends only on
//! the output channel and on which taps are padded: positions with the same padded kernel rows and columns form a
//! *border zone*. The array adds the constant of the zone to each sum.

use super::Lowering;
use super::chain::number;
use super::wiring::instance;
use crate::live_wires::LiveWires;
use crate::verilog::{Expr, Item};
use network::Format;
use network::average::border_places;
use network::format::Kind;
use network::op::{Op, Weights};
use network::shape::{Shape, Window};

/// Positions along one axis, by how their windows reach padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AxisZones {
    /// Output positions.
    pub positions: u64,
    /// Positions at the start whose windows reach padding; each is a zone of its own.
    pub before: u64,
    /// Positions at the end whose windows reach padding; each is a zone of its own.
    pub after: u64,
}

/// The initial sums of one layer.
pub(super) struct Borders {
    /// Zones of rows and of columns.
    pub axes: [AxisZones; 2],
    /// For each zone (rows, then columns) and channel the constant in raw sums.
    initial: Vec<i64>,
    /// What the gain of the raw sums is divided by so that every constant is whole: 1, or the whole gain.
    pub gain_division: i64,
    channels: usize,
}

impl AxisZones {
    pub fn of(window: &Window, axis: usize, positions: u64, length: u64) -> Self {
        let [before, after] = window.border(axis, positions, length);
        AxisZones { positions, before, after }
    }

    /// Number of zones.
    pub fn count(self) -> u64 {
        self.before + u64::from(self.before + self.after < self.positions) + self.after
    }

    /// A position of each zone, in the order of zones.
    pub fn representatives(self) -> impl Iterator<Item = u64> {
        border_places(self.positions, self.before, self.after)
    }
}

impl Borders {
    /// The initial sums of a layer, or `None` where it needs none. `gain` is the datapath's.
    pub fn of(op: &Op, input: Shape, output: Shape, weights: &Weights, live: LiveWires, gain: i64) -> Option<Self> {
        Self::in_modes(op, input, output, live.format, &[(weights, live.of_zeros())], gain)?.pop()
    }

    /// The same in each mode, with its weights and the value that a padded tap has in the array. The gain is divided in
    /// all modes or in none.
    pub fn in_modes(
        op: &Op,
        input: Shape,
        output: Shape,
        activation: Format,
        modes: &[(&Weights, i64)],
        gain: i64,
    ) -> Option<Vec<Self>> {
        let Op::Conv2d { window, groups, .. } = op else { return None };
        if activation.kind() != Kind::Bipolar || !window.is_padded() {
            return None;
        }
        let axes = [
            AxisZones::of(window, 0, output.rows, input.rows),
            AxisZones::of(window, 1, output.columns, input.columns),
        ];
        let per_tap = (input.channels / groups) as usize;
        let missing_of = |weights: &Weights, padded_value: i64| {
            let mut missing = Vec::new();
            for row in axes[0].representatives() {
                for column in axes[1].representatives() {
                    let padded = |tap: usize| {
                        let (kernel_row, kernel_column) =
                            (tap as u64 / window.kernel[1], tap as u64 % window.kernel[1]);
                        window.source(0, row, kernel_row, input.rows).is_none()
                            || window.source(1, column, kernel_column, input.columns).is_none()
                    };
                    for channel in 0..weights.outputs {
                        let taps = weights.row(channel).chunks(per_tap).enumerate().filter(|(tap, _)| padded(*tap));
                        let sum: i64 = taps.flat_map(|(_, taps)| taps).map(|&weight| i64::from(weight)).sum();
                        missing.push(-padded_value * sum);
                    }
                }
            }
            missing
        };
        let missing: Vec<Vec<i64>> = modes.iter().map(|&(weights, value)| missing_of(weights, value)).collect();
        let gain_division = if missing.iter().flatten().all(|constant| constant % gain == 0) { 1 } else { gain };
        let borders = missing.into_iter().zip(modes).map(|(missing, (weights, _))| Borders {
            axes,
            initial: missing.into_iter().map(|constant| constant / (gain / gain_division)).collect(),
            gain_division,
            channels: weights.outputs,
        });
        Some(borders.collect())
    }

    /// For each zone the constants of all channels.
    pub fn zones(&self) -> impl Iterator<Item = &[i64]> {
        self.initial.chunks(self.channels)
    }

    /// Bits of a constant in two's complement, without the bits that the gain's division appends below the sum.
    pub fn initial_bits(&self) -> u32 {
        let inner = self.initial.iter().map(|constant| constant.div_euclid(self.gain_division));
        inner.map(|constant| network::Range::new(constant, -1).bits()).max().unwrap_or(1)
    }

    /// Whether the channels that `pe` PEs compute side by side always miss the same low bits. Planes times planes do,
    /// since each padded tap adds an odd number of units; weights that are integers may be even.
    pub fn shares_low_bits(&self, pe: usize) -> bool {
        let low = |constant: &i64| constant.rem_euclid(self.gain_division);
        let alike = |channels: &[i64]| channels.windows(2).all(|pair| low(&pair[0]) == low(&pair[1]));
        self.zones().all(|zone| zone.chunks(pe).all(alike))
    }

    /// Bits that the gain's division appends below the sum.
    pub fn low_bits(&self) -> u32 {
        self.gain_division.trailing_zeros()
    }
}

impl Lowering<'_> {
    /// Counts positions and gives the border zone of the current one.
    pub(super) fn zone_counter(
        &mut self,
        net: &str,
        [rows, columns]: [AxisZones; 2],
        zone_bits: u32,
        advance: Expr,
    ) -> Item {
        self.uses(&["hwgen_zone"]);
        instance(
            "hwgen_zone",
            net,
            vec![
                ("ROWS", number(rows.positions)),
                ("COLUMNS", number(columns.positions)),
                ("ROWS_BEFORE", number(rows.before)),
                ("ROWS_AFTER", number(rows.after)),
                ("COLUMNS_BEFORE", number(columns.before)),
                ("COLUMNS_AFTER", number(columns.after)),
                ("ZONE_BITS", number(zone_bits)),
            ],
            true,
            vec![("advance_i", advance), ("zone_o", Expr::name(net))],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kernel: u64, padding: u64) -> Window {
        Window {
            kernel: [kernel; 2],
            stride: [1, 1],
            dilation: [1, 1],
            padding_before: [padding; 2],
            padding_after: [padding; 2],
        }
    }

    #[test]
    fn a_padded_row_of_ones_is_taken_back() {
        // One channel in, 2 planes (values -3..3), 3x3 kernel of ones: a corner misses 5 taps of value -3.
        let format = Format::bipolar(1).unwrap();
        let weights = Weights::plain(format, 1, 9, vec![1; 9]);
        let op = Op::Conv2d { weights: weights.clone(), window: window(3, 1), padding_value: 0, groups: 1 };
        let shape = Shape::new(4, 4, 1).unwrap();
        let borders = Borders::of(&op, shape, shape, &weights, LiveWires::all(Format::bipolar(2).unwrap()), 2).unwrap();
        assert_eq!(borders.axes[0], AxisZones { positions: 4, before: 1, after: 1 });
        assert_eq!(borders.gain_division, 2);
        assert_eq!(borders.zones().collect::<Vec<_>>(), [[15], [9], [15], [9], [0], [9], [15], [9], [15]]);
    }

    #[test]
    fn integer_weights_miss_low_bits_of_their_own() {
        let format = Format::unsigned(2).unwrap();
        let weights = Weights {
            format,
            outputs: 2,
            length: 3,
            values: vec![1, 2, 3, 2, 2, 2].into(),
            coding: Default::default(),
        };
        let mut window = window(3, 1);
        (window.kernel[0], window.padding_before[0], window.padding_after[0]) = (1, 0, 0);
        let op = Op::Conv2d { weights: weights.clone(), window, padding_value: 0, groups: 1 };
        let shape = Shape::new(1, 4, 1).unwrap();
        let borders = Borders::of(&op, shape, shape, &weights, LiveWires::all(Format::bipolar(2).unwrap()), 2).unwrap();
        // Values of -3 on the left tap, on none, on the right tap.
        assert_eq!(borders.zones().collect::<Vec<_>>(), [[3, 6], [0, 0], [9, 6]]);
        assert!(!borders.shares_low_bits(2) && borders.shares_low_bits(1));
    }

    #[test]
    fn even_channels_keep_the_gain() {
        let format = Format::bipolar(1).unwrap();
        let weights = Weights::plain(format, 1, 18, vec![-1; 18]);
        let op = Op::Conv2d { weights: weights.clone(), window: window(3, 1), padding_value: 0, groups: 1 };
        let shape = Shape::new(4, 4, 2).unwrap();
        let borders = Borders::of(&op, shape, shape, &weights, LiveWires::all(Format::bipolar(1).unwrap()), 2).unwrap();
        assert_eq!((borders.gain_division, borders.zones().next()), (1, Some(&[-5][..])));
        assert_eq!(borders.initial_bits(), 4);
    }
}
