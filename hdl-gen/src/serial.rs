//! What a bit-serial layer does in each mode: which pairs of bit planes it multiplies in which order, and what its raw
//! sums mean.
//!
//! An activation's wires read as u, the code above the format's least one (of two's complement the top bit is turned),
//! and u = g + sum over kept planes j of 2^j' u_j. The planes of u that no code of the tensor ever changes are not
//! multiplied: they are the constant g. With weights W that means
//!
//! ```text
//!     sum W x  = G·(sum W u) - B·(sum W)        G = 2, B = 2^a - 1 bipolar; G = 1, B = 2^(a-1) signed, 0 unsigned
//!     sum W u  = S + k + g·(sum W)
//!     S        = sum over passes of ± 2^(i'+j') count(w_i op u_j)
//! ```
//!
//! where op is xnor for bipolar weights, k = K·(sum W - N(2^w - 1))/2 with K the sum of 2^j' over kept planes, and AND
//! for integers, k = 0, the top plane of signed weights counting negatively. Everything but S is a constant of the mode
//! and the channel. A raw sum is S without the zeros below the least pair. (Encoding decomposition: arXiv 1905.13389;
//! planes in time with a shift between them: BISMO, arXiv 1806.08862.)

use crate::requantize::RawMap;
use network::Range;
use network::format::{Format, Kind};
use network::modes::{Planes, truncated_weights};
use network::op::Weights;

/// How one bit of a weight and one of an activation are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Of bipolar weights.
    Xnor,
    /// Of integers.
    And,
}

/// One run through the dot product with one plane of each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Index among the stored weight planes.
    pub weight: usize,
    /// Bit of the activation's code.
    pub activation: u32,
    /// By how much the sum so far moves up first.
    pub shift: u32,
    /// Whether the counts are subtracted.
    pub negate: bool,
}

/// One mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModeSchedule {
    /// At least one.
    pub passes: Vec<Pass>,
    /// For each output channel what a raw sum means.
    pub maps: Vec<RawMap>,
}

/// All modes of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// The array's gate.
    pub gate: Gate,
    /// Stored weight planes as bits of a code, most significant first; those that no mode reads are not stored.
    pub stored: Vec<u32>,
    /// The modes.
    pub modes: Vec<ModeSchedule>,
    /// The value that a padded tap's code has in the array, for each mode; meaningful for bipolar activations.
    pub padded: Vec<i64>,
}

impl Schedule {
    /// The schedule of a layer with these `modes`, at least one. `codes` holds every code that can enter, padding's
    /// included; `keep_gain` keeps the least pair of planes even where its weights are zero, so that all modes have one
    /// gain.
    pub fn new(weights: &Weights, activation: Format, codes: Range, modes: &[Planes], keep_gain: bool) -> Self {
        let gate = if weights.format.kind() == Kind::Bipolar { Gate::Xnor } else { Gate::And };
        let changing = changing_planes(activation, codes);
        let used: Vec<bool> = (0..weights.format.bits()).map(|plane| plane_is_used(weights, plane, gate)).collect();
        let plans: Vec<Kept> = modes
            .iter()
            .map(|&planes| Kept::new(weights.format, activation, planes, changing, &used, keep_gain))
            .collect();
        let stored: Vec<u32> = (0..weights.format.bits())
            .rev()
            .filter(|plane| plans.iter().any(|kept| kept.weight.contains(plane)))
            .collect();
        let fixed = least_wires(activation, codes) >> changing << changing;
        let mut padded = Vec::new();
        let modes = modes
            .iter()
            .zip(plans)
            .map(|(&planes, kept)| {
                let dropped = activation.bits() - planes.activation;
                let kept_sum: i64 = kept.activation.iter().map(|plane| 1i64 << (plane - dropped)).sum();
                // A lowest plane that is kept although it never changes is counted, not a part of g.
                let ghost = (fixed >> dropped) & !kept_sum;
                padded.push(2 * ghost - ((1 << planes.activation) - 1));
                kept.schedule(weights, activation, planes, gate, ghost, &stored)
            })
            .collect();
        Schedule { gate, stored, modes, padded }
    }

    /// Most passes of a mode.
    pub fn most_passes(&self) -> usize {
        self.modes.iter().map(|mode| mode.passes.len()).max().unwrap_or(1)
    }

    /// Whether a pass of any mode subtracts.
    pub fn negates(&self) -> bool {
        self.modes.iter().flat_map(|mode| &mode.passes).any(|pass| pass.negate)
    }

    /// The largest shift.
    pub fn most_shift(&self) -> u32 {
        self.modes.iter().flat_map(|mode| &mode.passes).map(|pass| pass.shift).max().unwrap_or(0)
    }
}

/// The planes that a mode multiplies, as bits of the stored codes, most significant first.
struct Kept {
    weight: Vec<u32>,
    activation: Vec<u32>,
}

impl Kept {
    fn new(weight: Format, activation: Format, planes: Planes, changing: u32, used: &[bool], keep_gain: bool) -> Self {
        let lowest = weight.bits() - planes.weight;
        let is_used =
            |plane: &u32| used.get(*plane as usize).copied().unwrap_or(false) || keep_gain && *plane == lowest;
        let mut of_weight: Vec<u32> = (lowest..weight.bits()).rev().filter(is_used).collect();
        if of_weight.is_empty() {
            of_weight.push(lowest);
        }
        let lowest = activation.bits() - planes.activation;
        // A tensor whose planes are all constant keeps its lowest, so that there is something to count.
        let end = changing.max(lowest + 1);
        Kept { weight: of_weight, activation: (lowest..end).rev().collect() }
    }

    fn schedule(
        &self,
        weights: &Weights,
        activation: Format,
        planes: Planes,
        gate: Gate,
        ghost: i64,
        stored: &[u32],
    ) -> ModeSchedule {
        let dropped = [weights.format.bits() - planes.weight, activation.bits() - planes.activation];
        let mut pairs: Vec<(u32, u32, u32)> = Vec::new();
        for &weight in &self.weight {
            for &plane in &self.activation {
                pairs.push((weight - dropped[0] + plane - dropped[1], weight, plane));
            }
        }
        pairs.sort_by(|a, b| b.cmp(a));
        let mut before = pairs.first().map_or(0, |pair| pair.0);
        let signed = weights.format.kind() == Kind::Signed;
        let passes = pairs
            .iter()
            .map(|&(position, weight, activation)| {
                let shift = before - position;
                before = position;
                Pass {
                    weight: stored.iter().position(|&plane| plane == weight).unwrap_or(0),
                    activation,
                    shift,
                    negate: signed && weight + 1 == weights.format.bits(),
                }
            })
            .collect();
        let cut = truncated_weights(weights, planes.weight);
        let kept_sum: i64 = self.activation.iter().map(|plane| 1i64 << (plane - dropped[1])).sum();
        let (gain, base) = match activation.kind() {
            Kind::Bipolar => (2, (1i64 << planes.activation) - 1),
            Kind::Signed => (1, 1 << (planes.activation - 1)),
            Kind::Unsigned => (1, 0),
        };
        let all_ones = (1i64 << planes.weight) - 1;
        let maps = (0..weights.outputs)
            .map(|channel| {
                let sum: i64 = cut.row(channel).iter().map(|&weight| i64::from(weight)).sum();
                let counted = match gate {
                    Gate::Xnor => kept_sum * ((sum - weights.length as i64 * all_ones) / 2),
                    Gate::And => 0,
                };
                RawMap { gain: gain << before, offset: gain * (counted + ghost * sum) - base * sum }
            })
            .collect();
        ModeSchedule { passes, maps }
    }
}

/// A code as the array's wires carry it, with the top bit of two's complement turned.
fn wires(format: Format, code: i64) -> i64 {
    code - format.code_range().min()
}

fn least_wires(format: Format, codes: Range) -> i64 {
    wires(format, codes.min())
}

/// Planes from the lowest up to the highest that differs between two codes of the range.
fn changing_planes(format: Format, codes: Range) -> u32 {
    let differing = wires(format, codes.min()) ^ wires(format, codes.max());
    64 - differing.leading_zeros()
}

/// Whether a plane of the weights takes part: of bipolar ones always, of integers where it is not zero throughout.
fn plane_is_used(weights: &Weights, plane: u32, gate: Gate) -> bool {
    gate == Gate::Xnor || weights.values.iter().any(|value| value >> plane & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::coding::{Coding, WeightFormat};
    use network::random::{self, Stream};

    /// Brute force: the raw sum that the array makes of `codes`, by the passes.
    fn raw(schedule: &Schedule, mode: usize, weights: &Weights, channel: usize, codes: &[i64], format: Format) -> i64 {
        schedule.modes[mode].passes.iter().fold(0, |sum, pass| {
            let plane = schedule.stored[pass.weight];
            let bits = weights.row(channel).iter().zip(codes).filter(|(weight, code)| {
                let weight = weights.format.code(i64::from(**weight)).unwrap() >> plane & 1;
                let mut activation = *code >> pass.activation & 1;
                if format.code_is_signed() && pass.activation + 1 == format.bits() {
                    activation ^= 1;
                }
                if schedule.gate == Gate::Xnor { weight == activation } else { weight & activation == 1 }
            });
            let count = bits.count() as i64;
            (sum << pass.shift) + if pass.negate { -count } else { count }
        })
    }

    #[track_caller]
    fn check(weight: &str, activation: &str, codes: Range, modes: &[(u32, u32)], passes: &[usize]) {
        let (weight, format): (Format, Format) = (weight.parse().unwrap(), activation.parse().unwrap());
        let mut stream = Stream::for_layer(7, "serial");
        let weights = random::weights(&mut stream, &WeightFormat::Plain(weight), 3, 11);
        check_weights(&weights, format, codes, modes, passes);
    }

    #[track_caller]
    fn check_weights(weights: &Weights, format: Format, codes: Range, modes: &[(u32, u32)], passes: &[usize]) {
        let mut stream = Stream::for_layer(8, "codes");
        let planes: Vec<Planes> = modes.iter().map(|&(weight, activation)| Planes { weight, activation }).collect();
        let schedule = Schedule::new(weights, format, codes, &planes, false);
        assert_eq!(schedule.modes.iter().map(|mode| mode.passes.len()).collect::<Vec<_>>(), passes);
        for (mode, planes) in planes.iter().enumerate() {
            let [w, a] = [weights.format.bits() - planes.weight, format.bits() - planes.activation];
            let narrow =
                [weights.format.truncated(planes.weight).unwrap(), format.truncated(planes.activation).unwrap()];
            for round in 0..20 {
                let span = codes.max() - codes.min() + 1;
                let input: Vec<i64> = (0..weights.length as i64)
                    .map(|n| match round {
                        0 => codes.min(),
                        1 => codes.max(),
                        _ => codes.min() + ((stream.next_word() >> 8) as i64 + n) % span,
                    })
                    .collect();
                for channel in 0..weights.outputs {
                    let expected: i64 = weights
                        .row(channel)
                        .iter()
                        .zip(&input)
                        .map(|(&weight, &code)| {
                            let weight = weights.format.code(i64::from(weight)).unwrap() >> w;
                            narrow[0].value(weight) * narrow[1].value(code >> a)
                        })
                        .sum();
                    let map = schedule.modes[mode].maps[channel];
                    let raw = raw(&schedule, mode, weights, channel, &input, format);
                    assert_eq!(map.gain * raw + map.offset, expected, "mode {mode}, channel {channel}");
                }
            }
        }
    }

    #[test]
    fn passes_and_constants_give_the_dot_product() {
        let formats = ["u1", "u3", "u8", "s1", "s2", "s5", "bipolar1", "bipolar2", "bipolar8", "s16", "u16"];
        for weight in formats {
            for activation in formats {
                let (w, a): (Format, Format) = (weight.parse().unwrap(), activation.parse().unwrap());
                let modes = [(w.bits(), a.bits()), (w.bits().div_ceil(2), a.bits().div_ceil(2)), (1, 1)];
                let passes = modes.map(|(w, a)| (w * a) as usize);
                check(weight, activation, a.code_range(), &modes, &passes);
            }
        }
    }

    #[test]
    fn planes_that_no_code_changes_cost_nothing() {
        // Half-range codes: the top plane is always set.
        check("bipolar4", "bipolar4", Range::new(8, 15), &[(4, 4), (2, 2), (1, 1)], &[12, 2, 1]);
        check("bipolar2", "bipolar8", Range::new(0, 100), &[(2, 8), (2, 2)], &[14, 2]);
        check("s4", "u8", Range::new(0, 31), &[(4, 8), (4, 4), (4, 3)], &[20, 4, 4]);
        check("s4", "s8", Range::new(0, 127), &[(4, 8), (2, 4)], &[28, 6]);
        check("s4", "s8", Range::new(64, 127), &[(4, 8), (1, 1)], &[24, 1]);
        check("s4", "u4", Range::new(9, 9), &[(4, 4), (4, 2)], &[4, 4]);
        check("bipolar3", "u4", Range::new(9, 9), &[(3, 4), (3, 2)], &[3, 3]);
    }

    #[test]
    fn zero_weight_planes_cost_nothing() {
        let format = Format::signed(8).unwrap();
        let cells = [16, 32, -128, 48, 80, 0, -64, -16, 96, 112, 16, 1 << 4];
        let weights = |values: &[i32]| Weights {
            format,
            outputs: 2,
            length: 6,
            values: values.to_vec().into(),
            coding: Coding::Plain,
        };
        let all = Format::unsigned(4).unwrap();
        check_weights(&weights(&cells), all, all.code_range(), &[(8, 4), (4, 4), (2, 1)], &[16, 16, 2]);
        check_weights(&weights(&[0; 12]), all, all.code_range(), &[(8, 4), (1, 1)], &[4, 1]);
        // A hole: bits 0 and 6 alone, so that pairs lie further apart than one.
        check_weights(&weights(&[65, 1, 64, 0, 65, 65, 1, 0, 64, 1, 65, 64]), all, Range::new(0, 1), &[(8, 4)], &[2]);
    }
}
