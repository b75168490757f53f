//! Small networks and random contents for the other tests.

use network::diagnostic::Place;
use network::format::Kind;
use network::graph::{HostStep, Input, InputQuantizer, Layer, NetworkParts, Output, TensorId};
use network::op::{Op, Weights};
use network::requantization::{Form, Requantization, Shift, Table, Thresholds};
use network::rounding::Rounding;
use network::shape::{AxisOrder, Window};
use network::{Format, Network, Range, Shape};
use proptest::test_runner::{Config, RngSeed};

/// A proptest configuration whose seed is printed and can be set by `HWGEN_SEED`.
pub fn config(cases: u32) -> Config {
    use std::hash::{BuildHasher, RandomState};
    let seed = std::env::var("HWGEN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("HWGEN_SEED={seed}");
    Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() }
}

/// A small generator of numbers (splitmix64), so that a seed stands for all contents of a case.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `min` to `max`; the ends come up more often than by chance.
    pub fn between(&mut self, min: i64, max: i64) -> i64 {
        match self.next() % 8 {
            0 => min,
            1 => max,
            _ => min + (self.next() % ((max - min) as u64 + 1)) as i64,
        }
    }

    pub fn codes(&mut self, range: Range, count: usize) -> Vec<i32> {
        (0..count).map(|_| self.between(range.min(), range.max()) as i32).collect()
    }

    pub fn weights(&mut self, format: Format, outputs: usize, length: usize) -> Weights {
        let codes = self.codes(format.code_range(), outputs * length);
        let values = codes.iter().map(|&code| format.value(code.into()) as i32).collect();
        Weights::plain(format, outputs, length, values)
    }

    /// A requantization of sums in `sums` of kind 0 (floor shift), 1 (half-even shift), 2 (thresholds), 3 (table).
    pub fn requantization(&mut self, kind: u8, output: Format, channels: usize, sums: Range) -> Requantization {
        let codes = output.code_range();
        let span = sums.max().abs_diff(sums.min()).max(1) as i64;
        let form = if kind < 2 {
            let shift = self.between(0, 20) as u32;
            // Spreads the sums over somewhat more than the codes.
            let step = ((codes.max() - codes.min() + 1) << shift) / span + 1;
            let largest = sums.min().abs().max(sums.max().abs()).max(1);
            let most = (2 * step).min((1i64 << 59) / largest);
            Form::Shift(Shift {
                multipliers: (0..channels).map(|_| self.between(-most, most)).collect(),
                offsets: (0..channels)
                    .map(|_| self.between(-(codes.max() + 1) << shift, (codes.max() + 1) << shift))
                    .collect(),
                shift,
                half_even: kind == 1,
            })
        } else if kind == 3 {
            // Half of the tables have one row for all channels.
            let rows = if self.next().is_multiple_of(2) { 1 } else { channels };
            let count = self.between(0, 300) as usize;
            let values = (0..rows).flat_map(|_| {
                let mut row: Vec<i64> = (0..count).map(|_| self.between(sums.min() - 2, sums.max() + 2)).collect();
                row.sort();
                row
            });
            let values = values.collect();
            let codes = (0..rows * (count + 1)).map(|_| self.between(codes.min(), codes.max())).collect();
            Form::Table(Table { values, count, codes })
        } else {
            let count = (codes.max() - codes.min()) as usize;
            let values = (0..channels).flat_map(|_| {
                let mut row: Vec<i64> = (0..count).map(|_| self.between(sums.min() - 2, sums.max() + 2)).collect();
                row.sort();
                row
            });
            let values = values.collect();
            Form::Thresholds(Thresholds {
                values,
                count,
                falling: (0..channels).map(|_| self.next().is_multiple_of(2)).collect(),
            })
        };
        Requantization { output, codes, form, rule: None }
    }
}

pub fn format(text: &str) -> Format {
    text.parse().unwrap()
}

pub fn shape(rows: u64, columns: u64, channels: u64) -> Shape {
    Shape::new(rows, columns, channels).unwrap()
}

/// An input quantizer that leaves only the codes of `range`.
pub fn only(range: Range) -> InputQuantizer {
    InputQuantizer {
        scale: 0.5,
        zero_point: 0.0,
        rounding: Rounding::HalfEven,
        code_min: range.min(),
        code_max: range.max(),
        rounds_first: false,
    }
}

/// A 1x1 window.
pub const POINT: Window =
    Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding_before: [0, 0], padding_after: [0, 0] };

/// A chain of layers over an input whose codes lie in `codes`.
pub fn parts(shape: Shape, format: Format, codes: Range, layers: Vec<(Op, Option<Requantization>)>) -> NetworkParts {
    let last = TensorId(layers.len());
    let layers = layers.into_iter().enumerate().map(|(index, (op, requantization))| Layer {
        name: format!("layer{index}"),
        place: Place::default(),
        inputs: vec![TensorId(index)],
        op,
        requantization,
        modes: Vec::new(),
        hardware: Default::default(),
    });
    NetworkParts {
        name: "test".to_owned(),
        inputs: vec![Input {
            name: "input".to_owned(),
            shape,
            format,
            axes: AxisOrder::ChannelsFirst,
            quantizer: Some(only(codes)),
        }],
        layers: layers.collect(),
        outputs: vec![Output {
            tensor: last,
            name: "output".to_owned(),
            axes: AxisOrder::ChannelsFirst,
            scales: vec![1.0],
            offsets: vec![0.0],
            modes: Vec::new(),
            host: HostStep::None,
        }],
    }
}

pub fn network(shape: Shape, format: Format, codes: Range, layers: Vec<(Op, Option<Requantization>)>) -> Network {
    Network::build(parts(shape, format, codes, layers)).unwrap()
}

/// A dense layer with these weights over inputs of a format, all codes allowed.
pub fn dense(input: &str, weight: &str, rows: &[&[i32]], requantization: Option<Requantization>) -> Network {
    let weights = Weights::plain(format(weight), rows.len(), rows[0].len(), rows.concat());
    let input = format(input);
    let channels = weights.length as u64;
    network(shape(1, 1, channels), input, input.code_range(), vec![(Op::Dense { weights }, requantization)])
}

/// The upper half of a bipolar format's codes, or all codes of another.
pub fn upper_half(format: Format) -> Range {
    let codes = format.code_range();
    if format.kind() == Kind::Bipolar { Range::new((codes.max() + 1) / 2, codes.max()) } else { codes }
}

/// Exact sums of a layer that is not there yet: the range that its network would state.
pub fn sum_range(shape: Shape, format: Format, codes: Range, op: &Op) -> Range {
    let network = network(shape, format, codes, vec![(op.clone(), None)]);
    network.sums(0).unwrap().all
}
