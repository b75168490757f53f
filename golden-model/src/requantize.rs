//! Requantization of whole rows: the same codes as [`network::requantization`] defines, many at a time.

use crate::kernel::Instructions;
use crate::kernel::instructions::for_each_instruction_set;
use network::Range;
use network::requantization::{Form, Requantization, Shift, per_channel};

/// Sums that one pass of an inner loop takes, so that a few channels still fill the vectors.
const TILE: usize = 64;
/// Up to this many thresholds are counted one by one; more are searched.
const MOST_COUNTED: usize = 31;

/// A layer's requantization, laid out for rows of positions with all channels.
pub(crate) struct Requantizer {
    requantization: Requantization,
    channels: usize,
    fast: Fast,
}

/// Forms for sums that fit 32 bits.
enum Fast {
    /// Multipliers and offsets of a tile of channels, repeated.
    Shift { multipliers: Vec<i32>, offsets: Vec<i64> },
    /// Signs of a tile, and for each threshold its values over the tile, for sums times signs.
    Counted { signs: Vec<i32>, thresholds: Vec<Vec<i32>> },
    /// Search in the channel's thresholds.
    Searched(Vec<Search>),
    /// Sums or constants need 64 bits: channel by channel.
    None,
}

/// Thresholds of one channel with the first count of each of some buckets of sums.
struct Search {
    thresholds: Vec<i64>,
    falling: bool,
    least: i64,
    bucket_bits: u32,
    /// Thresholds reached at the start of each bucket, and at the end of the last.
    reached: Vec<u32>,
}

impl Requantizer {
    /// Prepares the requantization of sums in `sums` with so many channels.
    pub(crate) fn new(requantization: &Requantization, channels: usize, sums: Range) -> Self {
        let tile = channels * TILE.div_ceil(channels);
        let narrow = |value: i64| i32::try_from(value).ok();
        let fits =
            narrow(sums.min()).is_some_and(|v| v > i32::MIN + 1) && narrow(sums.max()).is_some_and(|v| v < i32::MAX);
        let fast = if !fits {
            Fast::None
        } else {
            match &requantization.form {
                Form::Shift(form) => tiled(form, channels, tile),
                Form::Thresholds(form) if form.count <= MOST_COUNTED => {
                    let falls = |place: usize| per_channel(&form.falling, place % channels).unwrap_or(false);
                    let threshold = |step: usize, place: usize| {
                        let row = form.row(place % channels);
                        // Beyond the reachable sums all thresholds are alike: always or never reached.
                        if falls(place) {
                            -row[form.count - 1 - step].clamp(sums.min() - 1, sums.max()) as i32
                        } else {
                            row[step].clamp(sums.min(), sums.max() + 1) as i32
                        }
                    };
                    Fast::Counted {
                        signs: (0..tile).map(|place| if falls(place) { -1 } else { 1 }).collect(),
                        thresholds: (0..form.count)
                            .map(|step| (0..tile).map(|place| threshold(step, place)).collect())
                            .collect(),
                    }
                }
                Form::Thresholds(form) => {
                    let search = |channel| {
                        Search::new(form.row(channel), per_channel(&form.falling, channel).unwrap_or(false), sums)
                    };
                    Fast::Searched((0..channels).map(search).collect())
                }
                Form::Table(_) => Fast::None,
            }
        };
        Requantizer { requantization: requantization.clone(), channels, fast }
    }

    /// Replaces sums by codes; `sums` starts at channel 0.
    pub(crate) fn narrow(&self, instructions: Instructions, sums: &mut [i32]) {
        let codes = self.requantization.codes;
        let least = codes.min() as i32;
        match &self.fast {
            Fast::Shift { multipliers, offsets } => {
                if let Form::Shift(Shift { shift, half_even, .. }) = self.requantization.form {
                    let (min, max) = (codes.min(), codes.max());
                    if half_even && shift > 0 {
                        shift_half_even(instructions, sums, multipliers, offsets, shift, min, max);
                    } else {
                        shift_floor(instructions, sums, multipliers, offsets, shift, min, max);
                    }
                }
            }
            Fast::Counted { signs, thresholds } => count(instructions, sums, signs, thresholds, least),
            Fast::Searched(search) => {
                for sums in sums.chunks_exact_mut(self.channels) {
                    for (sum, search) in sums.iter_mut().zip(search) {
                        *sum = least + search.reached(i64::from(*sum)) as i32;
                    }
                }
            }
            Fast::None => {
                for sums in sums.chunks_exact_mut(self.channels) {
                    for (channel, sum) in sums.iter_mut().enumerate() {
                        *sum = self.code(channel, i64::from(*sum)) as i32;
                    }
                }
            }
        }
    }

    /// The codes of sums of any size; `sums` starts at channel 0.
    pub(crate) fn wide(&self, sums: &[i64], codes: &mut [i32]) {
        for (index, (&sum, code)) in sums.iter().zip(codes).enumerate() {
            *code = self.code(index % self.channels, sum) as i32;
        }
    }

    fn code(&self, channel: usize, sum: i64) -> i64 {
        let codes = self.requantization.codes;
        match &self.requantization.form {
            Form::Shift(form) => form.unclamped(channel, sum).clamp(codes.min(), codes.max()),
            Form::Thresholds(form) => {
                let row = form.row(channel);
                let reached = if per_channel(&form.falling, channel).unwrap_or(false) {
                    row.len() - row.partition_point(|&threshold| threshold < sum)
                } else {
                    row.partition_point(|&threshold| threshold <= sum)
                };
                codes.min() + reached as i64
            }
            Form::Table(form) => form.code(channel, sum),
        }
    }
}

fn tiled(form: &Shift, channels: usize, tile: usize) -> Fast {
    let multipliers: Option<Vec<i32>> = (0..tile)
        .map(|place| per_channel(&form.multipliers, place % channels).and_then(|m| i32::try_from(m).ok()))
        .collect();
    let offsets: Option<Vec<i64>> = (0..tile).map(|place| per_channel(&form.offsets, place % channels)).collect();
    match (multipliers, offsets) {
        (Some(multipliers), Some(offsets)) => Fast::Shift { multipliers, offsets },
        _ => Fast::None,
    }
}

for_each_instruction_set! {
    fn shift_floor(sums: &mut [i32], multipliers: &[i32], offsets: &[i64], shift: u32, min: i64, max: i64) {
        for sums in sums.chunks_mut(multipliers.len()) {
            for ((sum, &multiplier), &offset) in sums.iter_mut().zip(multipliers).zip(offsets) {
                let value = i64::from(*sum) * i64::from(multiplier) + offset;
                *sum = (value >> shift).clamp(min, max) as i32;
            }
        }
    }
}

for_each_instruction_set! {
    fn shift_half_even(sums: &mut [i32], multipliers: &[i32], offsets: &[i64], shift: u32, min: i64, max: i64) {
        let half = 1i64 << (shift - 1);
        let fraction = 2 * half - 1;
        for sums in sums.chunks_mut(multipliers.len()) {
            for ((sum, &multiplier), &offset) in sums.iter_mut().zip(multipliers).zip(offsets) {
                let value = i64::from(*sum) * i64::from(multiplier) + offset;
                let rounded = (value + half) >> shift;
                let is_tie = i64::from(value & fraction == half);
                *sum = (rounded - (is_tie & rounded)).clamp(min, max) as i32;
            }
        }
    }
}

for_each_instruction_set! {
    fn count(sums: &mut [i32], signs: &[i32], thresholds: &[Vec<i32>], least: i32) {
        for sums in sums.chunks_mut(signs.len()) {
            let mut codes = [least; 2 * TILE];
            // A tile longer than the array is cut; the array only keeps the counts in registers.
            for start in (0..sums.len()).step_by(2 * TILE) {
                let end = sums.len().min(start + 2 * TILE);
                let (sums, signs) = (&mut sums[start..end], &signs[start..end]);
                for (sum, sign) in sums.iter_mut().zip(signs) {
                    *sum *= sign;
                }
                let codes = &mut codes[..sums.len()];
                codes.fill(least);
                for thresholds in thresholds {
                    for ((code, sum), threshold) in codes.iter_mut().zip(sums.iter()).zip(&thresholds[start..end]) {
                        *code += i32::from(sum >= threshold);
                    }
                }
                sums.copy_from_slice(codes);
            }
        }
    }
}

impl Search {
    const BUCKETS_LOG2: u32 = 8;

    fn new(thresholds: &[i64], falling: bool, sums: Range) -> Self {
        let span = sums.max().abs_diff(sums.min());
        let bucket_bits = (64 - span.leading_zeros()).saturating_sub(Self::BUCKETS_LOG2);
        let buckets = span >> bucket_bits;
        // A falling channel is searched with the comparison turned: thresholds below the sum are not reached.
        let below = |sum: i64| thresholds.partition_point(|&t| if falling { t < sum } else { t <= sum }) as u32;
        let mut reached: Vec<u32> =
            (0..=buckets).map(|bucket| below(sums.min() + ((bucket << bucket_bits) as i64))).collect();
        reached.push(below(sums.max()));
        Search { thresholds: thresholds.to_vec(), falling, least: sums.min(), bucket_bits, reached }
    }

    fn reached(&self, sum: i64) -> usize {
        let bucket = (sum.wrapping_sub(self.least) >> self.bucket_bits) as usize;
        let (first, last) = (self.reached[bucket] as usize, self.reached[bucket + 1] as usize);
        let run = &self.thresholds[first..last];
        if self.falling {
            self.thresholds.len() - first - run.partition_point(|&threshold| threshold < sum)
        } else {
            first + run.partition_point(|&threshold| threshold <= sum)
        }
    }
}
