//! Requantization as hardware constants: thresholds or multipliers over the *raw* sums that a PE array delivers.
//!
//! A PE array delivers R with sum = gain * R + offset, where gain is a power of two and the offset belongs to the
//! channel. Both units take R, so the map is folded into their constants here, exactly.

mod modes;

pub use modes::merged;

use network::Range;
use network::requantization::{Form, Requantization, Shift, per_channel};

/// How a raw sum maps to the exact sum: sum = gain * raw + offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawMap {
    /// A power of two.
    pub gain: i64,
    /// The channel's constant.
    pub offset: i64,
}

impl RawMap {
    /// The map under which raw and exact sums are the same.
    pub const IDENTITY: RawMap = RawMap { gain: 1, offset: 0 };

    /// Raw sums of a range of exact sums.
    pub fn raw_range(self, sums: Range) -> Range {
        Range::new((sums.min() - self.offset).div_euclid(self.gain), (sums.max() - self.offset).div_euclid(self.gain))
    }

    /// The least raw sum whose exact sum is at least `sum`.
    fn raw_at_least(self, sum: i64) -> i64 {
        -(self.offset - sum).div_euclid(self.gain)
    }
}

/// Thresholds of one channel over its raw sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelThresholds {
    /// Ascending; rising channels count `raw >= t`, falling ones `raw <= t`.
    pub values: Vec<i64>,
    /// Whether codes fall while sums rise.
    pub falling: bool,
}

/// The thresholds that equal a requantization on one channel over all sums in `sums`.
///
/// Thresholds that no sum reaches become one more than the greatest raw sum (one less than the least, where falling),
/// so they never need more range than that.
pub fn channel_thresholds(
    requantization: &Requantization,
    channel: usize,
    sums: Range,
    map: RawMap,
) -> ChannelThresholds {
    let steps = requantization.codes.min() + 1..=requantization.codes.max();
    let (falling, exact): (bool, Vec<i64>) = match &requantization.form {
        Form::Thresholds(form) => (per_channel(&form.falling, channel).unwrap_or(false), form.row(channel).to_vec()),
        Form::Table(form) => (false, form.row(channel).0.to_vec()),
        Form::Shift(shift) => {
            let falling = per_channel(&shift.multipliers, channel).unwrap_or(0) < 0;
            (falling, shift_thresholds(shift, channel, sums, falling, steps))
        }
    };
    let raw = map.raw_range(sums);
    let values = exact
        .into_iter()
        .map(|threshold| {
            if falling {
                (threshold.clamp(sums.min() - 1, sums.max()) - map.offset)
                    .div_euclid(map.gain)
                    .clamp(raw.min() - 1, raw.max())
            } else {
                map.raw_at_least(threshold.clamp(sums.min(), sums.max() + 1)).clamp(raw.min(), raw.max() + 1)
            }
        })
        .collect();
    ChannelThresholds { values, falling }
}

/// The sums at which a shift form reaches each code, by bisection of its monotone rule.
fn shift_thresholds(
    shift: &Shift,
    channel: usize,
    sums: Range,
    falling: bool,
    codes: std::ops::RangeInclusive<i64>,
) -> Vec<i64> {
    let mut thresholds: Vec<i64> = codes
        .map(|code| {
            // Invariant: below `low` the code is not reached, from `high` on it is (mirrored where falling).
            let reached = |step: i64| {
                let sum = if falling { sums.max() - step } else { sums.min() + step };
                shift.unclamped(channel, sum) >= code
            };
            let (mut low, mut high) = (0, sums.max() - sums.min() + 1);
            while low < high {
                let middle = low + (high - low) / 2;
                if reached(middle) { high = middle } else { low = middle + 1 }
            }
            if falling { sums.max() - low } else { sums.min() + low }
        })
        .collect();
    thresholds.sort_unstable();
    thresholds
}

/// Constants of the rescale unit for one channel: code = clamp((raw * multiplier + offset) >> shift).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelRescale {
    /// Multiplier of the raw sum.
    pub multiplier: i64,
    /// Offset before the shift.
    pub offset: i64,
}

impl ChannelRescale {
    /// raw * multiplier + offset over a range of raw sums.
    pub fn range(self, raw: Range) -> Range {
        let value = |raw: i64| raw * self.multiplier + self.offset;
        Range::new(value(raw.min()), value(raw.max()))
    }
}

/// What the channels' multiply and add reaches, before the shift: `maps` and exact `sums`, both by channel.
pub fn rescaled_range(constants: &[ChannelRescale], maps: &[RawMap], sums: impl Fn(usize) -> Range) -> Range {
    let ranges = constants.iter().zip(maps).enumerate();
    let ranges = ranges.map(|(channel, (constant, map))| constant.range(map.raw_range(sums(channel))));
    ranges.reduce(Range::union).unwrap_or(Range::new(0, 0))
}

/// The shift form over raw sums: one shift for the layer, constants for each channel.
///
/// sum = gain * raw + offset gives (gain * M) * raw + (M * offset + B); for the floor form the common power of two is
/// divided out, which keeps floor((2x + c) / 2^n) = floor((x + floor(c / 2)) / 2^(n-1)).
pub fn rescale(shift: &Shift, channels: usize, maps: &[RawMap]) -> (u32, Vec<ChannelRescale>) {
    let gain_bits = maps.iter().map(|map| map.gain.trailing_zeros()).min().unwrap_or(0);
    let divided = if shift.half_even { 0 } else { gain_bits.min(shift.shift) };
    let constants = (0..channels)
        .map(|channel| {
            let map = per_channel(maps, channel).unwrap_or(RawMap::IDENTITY);
            let multiplier = per_channel(&shift.multipliers, channel).unwrap_or(0);
            let offset = per_channel(&shift.offsets, channel).unwrap_or(0);
            ChannelRescale {
                multiplier: (multiplier * map.gain) >> divided,
                offset: (multiplier * map.offset + offset) >> divided,
            }
        })
        .collect();
    (shift.shift - divided, constants)
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::Format;

    fn requantization(shift: Shift, bits: u32) -> Requantization {
        let output = Format::unsigned(bits).unwrap();
        Requantization { output, codes: output.code_range(), form: Form::Shift(shift), rule: None }
    }

    #[track_caller]
    fn check(multiplier: i64, offset: i64, shift: u32, half_even: bool, map: RawMap) {
        let form = Shift { multipliers: vec![multiplier], offsets: vec![offset], shift, half_even };
        let requantization = requantization(form.clone(), 3);
        let raw = Range::new(-50, 60);
        let sums = Range::new(map.gain * raw.min() + map.offset, map.gain * raw.max() + map.offset);
        let thresholds = channel_thresholds(&requantization, 0, sums, map);
        let (raw_shift, constants) = rescale(&form, 1, &[map]);
        let raw_form = Shift {
            multipliers: vec![constants[0].multiplier],
            offsets: vec![constants[0].offset],
            shift: raw_shift,
            half_even,
        };
        for r in raw.min()..=raw.max() {
            let expected = form.unclamped(0, map.gain * r + map.offset).clamp(0, 7);
            let reached = |t: &&i64| if thresholds.falling { r <= **t } else { r >= **t };
            assert_eq!(thresholds.values.iter().filter(reached).count() as i64, expected, "thresholds at {r}");
            assert_eq!(raw_form.unclamped(0, r).clamp(0, 7), expected, "rescale at {r}");
        }
    }

    #[test]
    fn thresholds_and_rescale_equal_the_shift_form() {
        for map in [RawMap::IDENTITY, RawMap { gain: 2, offset: -37 }, RawMap { gain: 4, offset: 11 }] {
            for half_even in [false, true] {
                check(3, 5, 4, half_even, map);
                check(-3, 40, 4, half_even, map);
                check(1, 0, 2, half_even, map);
                check(0, 33, 4, half_even, map);
                check(7, -100, 6, half_even, map);
            }
        }
    }
}
