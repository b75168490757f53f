//! Folding: how many lanes each layer gets.
//!
//! A matrix layer with P PEs and SIMD Q takes positions * outputs/P * length/Q cycles a frame. The default target is
//! what the slowest layer needs however wide it is made, and not less than [`DEFAULT_CYCLES`]; every layer then gets
//! the cheapest lanes that meet the target, by a rough count of look-up tables.

use super::{MatrixLayer, needs_window};
use network::op::{Op, Weights};
use network::requantization::Shift;
use network::shape::Shape;
use network::{Format, Network};

/// Cycles a frame below which a default folding does not go.
pub(crate) const DEFAULT_CYCLES: u64 = 4096;

/// All that a matrix layer's folding depends on.
pub(crate) struct MatrixChoice<'a> {
    pub op: &'a Op,
    pub weights: &'a Weights,
    pub activation: Format,
    pub input: Shape,
    pub output: Shape,
    pub sum_bits: u32,
    pub code_bits: u32,
    pub target: u64,
}

/// How a folding compares: whether it misses the target, then cost and cycles (or cycles and cost, where it misses).
type Rank = (bool, u64, u64);

/// Divisors in ascending order.
pub(crate) fn divisors(number: u64) -> Vec<u64> {
    let (mut small, mut large) = (Vec::new(), Vec::new());
    let mut candidate = 1;
    while candidate * candidate <= number {
        if number.is_multiple_of(candidate) {
            small.push(candidate);
            if candidate * candidate != number {
                large.push(number / candidate);
            }
        }
        candidate += 1;
    }
    small.extend(large.into_iter().rev());
    small
}

/// The cycles that the slowest layer takes at its widest, and not less than [`DEFAULT_CYCLES`].
pub(crate) fn default_target(network: &Network) -> u64 {
    let slowest = network.layers().iter().enumerate().map(|(index, layer)| {
        let input = network.layer_input(layer).shape;
        let output = network.layer_output(index).shape;
        match &layer.op {
            op @ Op::Conv2d { .. } if needs_window(op) => window_cycles(op, input, output, input.channels),
            op @ Op::MaxPool { .. } => pool_cycles(op, input, output, input.channels),
            _ => output.positions(),
        }
    });
    slowest.max().unwrap_or(0).max(DEFAULT_CYCLES)
}

/// Cycles a frame of a bound matrix layer.
pub(crate) fn matrix_cycles(op: &Op, input: Shape, output: Shape, matrix: &MatrixLayer) -> u64 {
    let length = op.weights().map_or(1, |weights| weights.length as u64);
    let array = output.positions() * (output.channels / matrix.pe) * (length / matrix.simd);
    match matrix.window_lanes {
        Some(lanes) => array.max(window_cycles(op, input, output, lanes)),
        None => array,
    }
}

/// Cycles a frame of a sliding window that reads `lanes` channels of a tap at once.
fn window_cycles(op: &Op, input: Shape, output: Shape, lanes: u64) -> u64 {
    let Op::Conv2d { window, .. } = op else { return 0 };
    let words = input.channels / lanes;
    let rows = input.rows + window.padding_before[0] + window.padding_after[0];
    let columns = input.columns + window.padding_before[1] + window.padding_after[1];
    (output.positions() * window.taps() * words).max(rows * columns * words)
}

/// Cycles a frame of a pooling unit.
pub(crate) fn pool_cycles(op: &Op, input: Shape, output: Shape, lanes: u64) -> u64 {
    let Op::MaxPool { window } = op else { return 0 };
    let words = input.channels / lanes;
    if pools_in_place(op) {
        return input.positions() * words;
    }
    let rows = input.rows + window.padding_before[0] + window.padding_after[0];
    let columns = input.columns + window.padding_before[1] + window.padding_after[1];
    (output.positions() * window.taps() * words).max(rows * columns * words)
}

/// Whether windows neither overlap nor leave gaps nor touch padding, so that each input word is used once.
pub(crate) fn pools_in_place(op: &Op) -> bool {
    match op {
        Op::MaxPool { window } => window.kernel == window.stride && window.dilation == [1, 1] && !window.is_padded(),
        _ => false,
    }
}

/// The cheapest PE and SIMD that meet the target; where none does, the quickest.
pub(crate) fn choose(choice: &MatrixChoice, pe: Option<u64>, simd: Option<u64>) -> (u64, u64) {
    let pes = pe.map_or_else(|| divisors(choice.weights.outputs as u64), |pe| vec![pe]);
    let simds = simd.map_or_else(|| divisors(choice.weights.length as u64), |simd| vec![simd]);
    let positions = super::positions(choice.output);
    let mut best: Option<(Rank, (u64, u64))> = None;
    for &pe in &pes {
        for &simd in &simds {
            let steps = (choice.weights.outputs as u64 / pe) * (choice.weights.length as u64 / simd);
            let cycles = positions.saturating_mul(steps);
            let late = cycles > choice.target;
            let rank =
                if late { (true, cycles, cost(choice, pe, simd)) } else { (false, cost(choice, pe, simd), cycles) };
            if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                best = Some((rank, (pe, simd)));
            }
        }
    }
    best.map_or((1, 1), |(_, folding)| folding)
}

/// The fewest window lanes that keep up with the array, or all channels where none does.
pub(crate) fn window_lanes(choice: &MatrixChoice, pe: u64, simd: u64) -> u64 {
    let steps = (choice.weights.outputs as u64 / pe) * (choice.weights.length as u64 / simd);
    let goal = choice.target.max(choice.output.positions().saturating_mul(steps));
    let channels = choice.input.channels;
    divisors(channels)
        .into_iter()
        .find(|&lanes| window_cycles(choice.op, choice.input, choice.output, lanes) <= goal)
        .unwrap_or(channels)
}

/// A rough count of look-up tables, only for comparing foldings of one layer (in tenths of a LUT).
fn cost(choice: &MatrixChoice, pe: u64, simd: u64) -> u64 {
    let (weight_bits, activation_bits) = (u64::from(choice.weights.format.bits()), u64::from(choice.activation.bits()));
    let lane = 14 * weight_bits * activation_bits;
    let sum_bits = u64::from(choice.sum_bits);
    let groups = choice.weights.outputs as u64 / pe;
    let codes = 1i64 << choice.code_bits.min(10);
    let per_pe = 10 * sum_bits
        + if choice.code_bits > 0 {
            10 * threshold_luts(codes, groups, choice.sum_bits).min(10 * sum_bits * 20)
        } else {
            0
        };
    let channels = choice.input.channels;
    let ragged = if simd.is_multiple_of(channels) || channels.is_multiple_of(simd) { 0 } else { 2 };
    let per_input = activation_bits * (if groups > 1 { 30 } else { 10 } + 10 * ragged);
    pe * simd * lane + pe * per_pe + simd * per_input
}

/// Look-up tables of one lane of the threshold unit: one comparison and one table read for each bit of the code.
pub(crate) fn threshold_luts(codes: i64, channel_groups: u64, sum_bits: u32) -> u64 {
    let stages = 64 - (codes.max(2) - 1).leading_zeros();
    let sum_bits = u64::from(sum_bits);
    (0..stages)
        .map(|stage| {
            let words = channel_groups << stage;
            sum_bits + words.div_ceil(64) * sum_bits * u64::from(words > 1)
        })
        .sum()
}

/// Look-up tables of one lane of the rescale unit: a multiplier and two tables.
pub(crate) fn rescale_luts(shift: &Shift, channel_groups: u64, sum_bits: u32) -> u64 {
    let bits =
        |values: &[i64]| u64::from(values.iter().map(|v| 64 - v.unsigned_abs().leading_zeros()).max().unwrap_or(0));
    let (multiplier_bits, offset_bits) = (bits(&shift.multipliers), bits(&shift.offsets));
    let product = if multiplier_bits <= 1 { 0 } else { u64::from(sum_bits) * multiplier_bits * 8 / 10 };
    let tables = channel_groups.div_ceil(64) * (multiplier_bits + offset_bits) * u64::from(channel_groups > 1);
    product + tables + offset_bits + 8
}
