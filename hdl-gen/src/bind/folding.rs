//! Folding: how many lanes each layer gets.
//!
//! A matrix layer with P PEs and SIMD Q takes positions * outputs/P * length/Q cycles a frame. The default target is
//! what the slowest layer needs however wide it is made, and not less than [`DEFAULT_CYCLES`]; every layer then gets
//! the cheapest lanes that meet the target, by a rough count of look-up tables.

use super::coded::takes_blocks;
use super::groups::Groups;
use super::{MAX_THRESHOLD_SUM_BITS, MAX_THRESHOLDS, MatrixLayer, needs_window};
use network::graph::{RequantizeUnit, WindowForm};
use network::op::{Op, Weights};
use network::requantization::{Form, Requantization, Shift};
use network::shape::Shape;
use network::{Format, Network};

/// Cycles a frame below which a default folding does not go.
pub(crate) const DEFAULT_CYCLES: u64 = 4096;

/// All that a matrix layer's folding depends on.
pub(crate) struct MatrixChoice<'a> {
    pub op: &'a Op,
    /// Whether steps must take whole blocks of a wavelet.
    pub blocks: bool,
    pub weights: &'a Weights,
    pub groups: Groups,
    pub activation: Format,
    pub input: Shape,
    pub output: Shape,
    pub sum_bits: u32,
    pub requantization: Option<&'a Requantization>,
    /// The plan's wish for the unit that requantizes.
    pub unit: Option<RequantizeUnit>,
    /// Whether the plan gives the folding.
    pub folded: bool,
    pub target: u64,
    /// How often a bit-serial array passes a vector, in mode 0; nothing for other kinds.
    pub passes: Option<u64>,
    /// Whether other modes pass it less often.
    pub in_modes: bool,
}

impl MatrixChoice<'_> {
    /// Cycles a frame that the array takes.
    pub(crate) fn array_cycles(&self, pe: u64, simd: u64) -> u64 {
        self.steps(pe, simd).saturating_mul(self.passes.unwrap_or(1))
    }

    /// Steps of a frame that pass each vector once.
    fn steps(&self, pe: u64, simd: u64) -> u64 {
        let steps = (self.weights.outputs as u64 / pe) * (self.weights.length as u64 / simd);
        self.output.positions().saturating_mul(steps)
    }
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
            op if pools_in_place(op) => input.positions(),
            Op::Rearrange(rearrangement) => {
                let elements = input.elements();
                let lanes = match crate::rearrange::is_identity(rearrangement, elements) {
                    true => elements,
                    false => crate::rearrange::most_lanes(rearrangement, elements),
                };
                elements.max(output.elements()) / lanes
            }
            op @ (Op::Conv2d { .. } | Op::SumPool { .. }) if needs_window(op) => {
                window_cycles(op, input, output, input.channels)
            }
            op @ Op::MaxPool { .. } => pool_cycles(op, input, output, input.channels),
            Op::TopK { .. } => input.elements(),
            _ => output.positions(),
        }
    });
    slowest.max().unwrap_or(0).max(DEFAULT_CYCLES)
}

/// Cycles a frame of a bound matrix layer.
pub(crate) fn matrix_cycles(op: &Op, input: Shape, output: Shape, matrix: &MatrixLayer) -> u64 {
    let length = match op {
        Op::SumPool { window, .. } => window.taps(),
        _ => op.weights().map_or(1, |weights| weights.length as u64),
    };
    let array = output.positions() * (output.channels / matrix.pe) * (length / matrix.simd) * matrix.passes;
    match matrix.window {
        Some(WindowForm::Serial(lanes)) => array.max(window_cycles(op, input, output, lanes)),
        Some(WindowForm::Parallel) => array.max(padded_places(op, input)),
        None => array,
    }
}

/// Cycles a frame of an array and the window in front of it.
pub(crate) fn folded_cycles(choice: &MatrixChoice, pe: u64, simd: u64, window: Option<WindowForm>) -> u64 {
    let array = choice.array_cycles(pe, simd);
    match window {
        Some(WindowForm::Serial(lanes)) if lanes > 0 => {
            array.max(window_cycles(choice.op, choice.input, choice.output, lanes))
        }
        Some(WindowForm::Serial(_)) | None => array,
        Some(WindowForm::Parallel) => array.max(padded_places(choice.op, choice.input)),
    }
}

/// Cycles a frame of a sliding window that reads `lanes` channels of a tap at once.
fn window_cycles(op: &Op, input: Shape, output: Shape, lanes: u64) -> u64 {
    let (Op::Conv2d { window, .. } | Op::SumPool { window, .. }) = op else { return 0 };
    let words = input.channels / lanes;
    (output.positions() * window.taps() * words).max(padded_places(op, input) * words)
}

/// Places of a frame with its padding: the cycles a frame of a window that gives out all its taps at once.
fn padded_places(op: &Op, input: Shape) -> u64 {
    let (Op::Conv2d { window, .. } | Op::SumPool { window, .. } | Op::MaxPool { window }) = op else { return 0 };
    let rows = input.rows + window.padding_before[0] + window.padding_after[0];
    let columns = input.columns + window.padding_before[1] + window.padding_after[1];
    rows * columns
}

/// Cycles a frame of a pooling unit.
pub(crate) fn pool_cycles(op: &Op, input: Shape, output: Shape, lanes: u64) -> u64 {
    let (Op::MaxPool { window } | Op::SumPool { window, .. }) = op else { return 0 };
    let words = input.channels / lanes;
    if pools_in_place(op) {
        return input.positions() * words;
    }
    (output.positions() * window.taps() * words).max(padded_places(op, input) * words)
}

/// Whether windows neither overlap nor leave gaps nor touch padding, so that each input word is used once.
pub(crate) fn pools_in_place(op: &Op) -> bool {
    match op {
        Op::MaxPool { window } | Op::SumPool { window, .. } => {
            window.kernel == window.stride && window.dilation == [1, 1] && !window.is_padded()
        }
        _ => false,
    }
}

/// The cheapest PE and SIMD that meet the target; where none does, the quickest.
pub(crate) fn choose(choice: &MatrixChoice, pe: Option<u64>, simd: Option<u64>) -> (u64, u64) {
    let pes = pe.map_or_else(|| divisors(choice.weights.outputs as u64), |pe| vec![pe]);
    let simds = simd.map_or_else(|| divisors(choice.weights.length as u64), |simd| vec![simd]);
    let mut best: Option<(Rank, (u64, u64))> = None;
    for &pe in &pes {
        for &simd in &simds {
            let cuts = choice.blocks && !takes_blocks(choice.weights, choice.groups, pe, simd);
            if cuts || !choice.groups.takes_pe(pe) || !choice.groups.takes_simd(pe, simd) {
                continue;
            }
            let cycles = choice.array_cycles(pe, simd);
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

/// The sliding window that keeps up with the array: serial with the fewest lanes, or parallel where no serial one does.
/// Of a folding that the plan gives, a window may take half as long again as the array before it becomes parallel. In front
/// of an array with modes it is quick enough for a single pass, so that modes of few planes do not wait for it.
pub(crate) fn window_form(choice: &MatrixChoice, pe: u64, simd: u64) -> WindowForm {
    let groups = choice.groups;
    if groups.count > 1 {
        return WindowForm::Serial(groups.side(pe) * groups.inputs);
    }
    let (array, target) = match choice.passes {
        Some(passes) if choice.in_modes => (choice.steps(pe, simd), choice.target / passes),
        _ => (choice.array_cycles(pe, simd), choice.target),
    };
    let goal = target.max(array);
    let channels = choice.input.channels;
    let cycles = |lanes| window_cycles(choice.op, choice.input, choice.output, lanes);
    let slowest = if choice.folded { array.saturating_add(array / 2) } else { goal };
    if cycles(channels) > slowest && padded_places(choice.op, choice.input) < cycles(channels) {
        return WindowForm::Parallel;
    }
    WindowForm::Serial(divisors(channels).into_iter().find(|&lanes| cycles(lanes) <= goal).unwrap_or(channels))
}

/// Whether there is a folding as wished whose steps take whole blocks.
pub(crate) fn any_blocks(weights: &Weights, groups: Groups, (pe, simd): (Option<u64>, Option<u64>)) -> bool {
    let pes = pe.map_or_else(|| divisors(weights.outputs as u64), |pe| vec![pe]);
    let simds = simd.map_or_else(|| divisors(weights.length as u64), |simd| vec![simd]);
    pes.iter().any(|&pe| {
        pe > 0
            && groups.takes_pe(pe)
            && simds.iter().any(|&simd| groups.takes_simd(pe, simd) && takes_blocks(weights, groups, pe, simd))
    })
}

/// A rough count of look-up tables, only for comparing foldings of one layer (in tenths of a LUT).
pub(crate) fn cost(choice: &MatrixChoice, pe: u64, simd: u64) -> u64 {
    let (weight_bits, activation_bits) = (u64::from(choice.weights.format.bits()), u64::from(choice.activation.bits()));
    let lane = if choice.passes.is_some() { 14 } else { 14 * weight_bits * activation_bits };
    let sum_bits = u64::from(choice.sum_bits);
    let groups = choice.weights.outputs as u64 / pe;
    let unit = choice.requantization.and_then(|r| cheapest_unit(r, choice.unit, groups, choice.sum_bits));
    let per_pe = 10 * sum_bits + unit.map_or(0, |(_, luts)| 10 * luts);
    let channels = choice.input.channels;
    let ragged = if simd.is_multiple_of(channels) || channels.is_multiple_of(simd) { 0 } else { 2 };
    let per_input = activation_bits * (if groups > 1 { 30 } else { 10 } + 10 * ragged);
    pe * simd * lane + pe * per_pe + simd * per_input
}

/// The unit with fewer look-up tables among those that can do a requantization (and are as wished), and its tables for
/// one lane; `None` where no unit can.
pub(crate) fn cheapest_unit(
    requantization: &Requantization,
    wished: Option<RequantizeUnit>,
    channel_groups: u64,
    sum_bits: u32,
) -> Option<(RequantizeUnit, u64)> {
    let codes = thresholds(requantization) + 1;
    let thresholds = fits_thresholds(requantization, sum_bits)
        .then(|| (RequantizeUnit::Thresholds, threshold_luts(codes, channel_groups, sum_bits)));
    let rescale = match &requantization.form {
        Form::Shift(shift) => Some((RequantizeUnit::Rescale, rescale_luts(shift, channel_groups, sum_bits))),
        Form::Thresholds(_) | Form::Table(_) => None,
    };
    let able = [thresholds, rescale].into_iter().flatten();
    able.filter(|&(unit, _)| wished.is_none_or(|wished| wished == unit)).min_by_key(|&(_, luts)| luts)
}

/// Whether the threshold unit takes these codes and sums.
pub(crate) fn fits_thresholds(requantization: &Requantization, sum_bits: u32) -> bool {
    thresholds(requantization) <= MAX_THRESHOLDS && sum_bits <= MAX_THRESHOLD_SUM_BITS
}

/// Thresholds of a channel that a search is among.
pub(crate) fn thresholds(requantization: &Requantization) -> i64 {
    match &requantization.form {
        Form::Table(table) => table.count as i64,
        Form::Shift(_) | Form::Thresholds(_) => requantization.codes.max() - requantization.codes.min(),
    }
}

/// Look-up tables of one lane of the threshold unit: one comparison and one table read for each bit of the code.
fn threshold_luts(codes: i64, channel_groups: u64, sum_bits: u32) -> u64 {
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
fn rescale_luts(shift: &Shift, channel_groups: u64, sum_bits: u32) -> u64 {
    let bits =
        |values: &[i64]| u64::from(values.iter().map(|v| 64 - v.unsigned_abs().leading_zeros()).max().unwrap_or(0));
    let (multiplier_bits, offset_bits) = (bits(&shift.multipliers), bits(&shift.offsets));
    let product = if multiplier_bits <= 1 { 0 } else { u64::from(sum_bits) * multiplier_bits * 8 / 10 };
    let tables = channel_groups.div_ceil(64) * (multiplier_bits + offset_bits) * u64::from(channel_groups > 1);
    product + tables + offset_bits + 8
}
