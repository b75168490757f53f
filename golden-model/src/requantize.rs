//! Requantization of whole rows: the same codes as [`network::requantization`] defines, many at a time.

mod lookup;

use crate::kernel::Instructions;
use crate::kernel::instructions::for_each_instruction_set;
use lookup::Lookup;
use network::Range;
use network::requantization::{Form, Requantization, Shift, Thresholds, per_channel};

/// Sums that one pass of an inner loop takes, so that a few channels still fill the vectors.
const TILE: usize = 64;
/// Up to this many thresholds are counted one by one; more are searched.
const MOST_COUNTED: usize = 31;

/// A layer's requantization, laid out for rows of positions with all channels.
pub(crate) struct Requantizer {
    codes: Range,
    form: Laid,
}

/// The forms as the inner loops take them.
enum Laid {
    /// Multipliers and offsets of a tile of channels, repeated; sums and multipliers fit 32 bits.
    Shift { multipliers: Vec<i32>, offsets: Vec<i64>, shift: u32, half_even: bool },
    /// The same beyond 32 bits.
    WideShift { multipliers: Vec<i64>, offsets: Vec<i64>, shift: u32, half_even: bool },
    /// Signs of a tile, and for each threshold its values over the tile, for sums times signs.
    Counted { signs: Vec<i32>, thresholds: Vec<Vec<i32>> },
    /// Search among the channel's thresholds; sums fit 32 bits.
    Lookup(Lookup<i32>),
    /// The same beyond 32 bits.
    WideLookup(Lookup<i64>),
}

impl Requantizer {
    /// Prepares the requantization of sums in `sums` with so many channels. `None` where its arrays do not fit the
    /// channels, which a checked network excludes.
    pub(crate) fn new(requantization: &Requantization, channels: usize, sums: Range) -> Option<Self> {
        let is_narrow = sums.min() > i64::from(i32::MIN) + 1 && sums.max() < i64::from(i32::MAX);
        let least = requantization.codes.min();
        let form = match &requantization.form {
            Form::Shift(form) => shifts(form, channels, is_narrow)?,
            Form::Thresholds(form) if form.count <= MOST_COUNTED && is_narrow => counted(form, channels, sums),
            Form::Thresholds(form) => {
                let rows: Vec<_> = (0..form.falling.len())
                    .map(|channel| {
                        let (row, count) = (form.row(channel), form.count as i64);
                        if form.falling[channel] {
                            // One more than a falling threshold is the first sum that does not reach it.
                            (
                                row.iter().map(|t| t.saturating_add(1)).collect(),
                                (0..=count).rev().map(|n| least + n).collect(),
                            )
                        } else {
                            (row.to_vec(), (0..=count).map(|n| least + n).collect())
                        }
                    })
                    .collect();
                lookup(&rows, channels, sums, is_narrow)?
            }
            Form::Table(form) => {
                let row = |channel| {
                    let (thresholds, codes) = form.row(channel);
                    let clamped = codes.iter().map(|code| (*code).clamp(least, requantization.codes.max()));
                    (thresholds.to_vec(), clamped.collect())
                };
                lookup(&(0..form.channels()).map(row).collect::<Vec<_>>(), channels, sums, is_narrow)?
            }
        };
        Some(Requantizer { codes: requantization.codes, form })
    }

    /// Replaces sums by codes; `sums` starts at channel 0.
    pub(crate) fn narrow(&self, instructions: Instructions, sums: &mut [i32]) {
        let (min, max) = (self.codes.min(), self.codes.max());
        match &self.form {
            Laid::Shift { multipliers, offsets, shift, half_even: true } if *shift > 0 => {
                shift_half_even(instructions, sums, multipliers, offsets, *shift, min, max);
            }
            Laid::Shift { multipliers, offsets, shift, .. } => {
                shift_floor(instructions, sums, multipliers, offsets, *shift, min, max);
            }
            Laid::Counted { signs, thresholds } => count(instructions, sums, signs, thresholds, min as i32),
            Laid::Lookup(lookup) => lookup.replace(sums),
            Laid::WideShift { .. } | Laid::WideLookup(_) => {
                let wide: Vec<i64> = sums.iter().copied().map(i64::from).collect();
                self.wide(instructions, &wide, sums);
            }
        }
    }

    /// The codes of sums of any size; `sums` starts at channel 0.
    pub(crate) fn wide(&self, instructions: Instructions, sums: &[i64], codes: &mut [i32]) {
        let (min, max) = (self.codes.min(), self.codes.max());
        match &self.form {
            Laid::WideShift { multipliers, offsets, shift, half_even: true } if *shift > 0 => {
                wide_half_even(instructions, sums, codes, multipliers, offsets, *shift, min, max);
            }
            Laid::WideShift { multipliers, offsets, shift, .. } => {
                wide_floor(instructions, sums, codes, multipliers, offsets, *shift, min, max);
            }
            Laid::WideLookup(lookup) => lookup.codes(sums, codes),
            Laid::Shift { .. } | Laid::Counted { .. } | Laid::Lookup(_) => {
                for (code, &sum) in codes.iter_mut().zip(sums) {
                    *code = sum as i32;
                }
                self.narrow(instructions, codes);
            }
        }
    }
}

/// Constants of a tile of channels.
fn shifts(form: &Shift, channels: usize, is_narrow: bool) -> Option<Laid> {
    let tile = channels * TILE.div_ceil(channels);
    let spread = |entries: &[i64]| -> Option<Vec<i64>> {
        (0..tile).map(|place| per_channel(entries, place % channels)).collect()
    };
    let (multipliers, offsets) = (spread(&form.multipliers)?, spread(&form.offsets)?);
    let (shift, half_even) = (form.shift, form.half_even);
    let narrow: Option<Vec<i32>> = multipliers.iter().map(|&multiplier| i32::try_from(multiplier).ok()).collect();
    Some(match narrow.filter(|_| is_narrow) {
        Some(multipliers) => Laid::Shift { multipliers, offsets, shift, half_even },
        None => Laid::WideShift { multipliers, offsets, shift, half_even },
    })
}

/// A few thresholds of a tile of channels.
fn counted(form: &Thresholds, channels: usize, sums: Range) -> Laid {
    let tile = channels * TILE.div_ceil(channels);
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
    Laid::Counted {
        signs: (0..tile).map(|place| if falls(place) { -1 } else { 1 }).collect(),
        thresholds: (0..form.count).map(|step| (0..tile).map(|place| threshold(step, place)).collect()).collect(),
    }
}

/// Rows of thresholds and codes, laid out for a search.
fn lookup(rows: &[(Vec<i64>, Vec<i64>)], channels: usize, sums: Range, is_narrow: bool) -> Option<Laid> {
    // The distance of two sums must fit too.
    if is_narrow && sums.max().abs_diff(sums.min()) <= i32::MAX.unsigned_abs().into() {
        Lookup::<i32>::new(rows, channels, sums).map(Laid::Lookup)
    } else {
        Lookup::<i64>::new(rows, channels, sums).map(Laid::WideLookup)
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
    fn wide_floor(
        sums: &[i64],
        codes: &mut [i32],
        multipliers: &[i64],
        offsets: &[i64],
        shift: u32,
        min: i64,
        max: i64,
    ) {
        for (sums, codes) in sums.chunks(multipliers.len()).zip(codes.chunks_mut(multipliers.len())) {
            for (((sum, code), &multiplier), &offset) in sums.iter().zip(codes).zip(multipliers).zip(offsets) {
                *code = ((sum * multiplier + offset) >> shift).clamp(min, max) as i32;
            }
        }
    }
}

for_each_instruction_set! {
    fn wide_half_even(
        sums: &[i64],
        codes: &mut [i32],
        multipliers: &[i64],
        offsets: &[i64],
        shift: u32,
        min: i64,
        max: i64,
    ) {
        let half = 1i64 << (shift - 1);
        let fraction = 2 * half - 1;
        for (sums, codes) in sums.chunks(multipliers.len()).zip(codes.chunks_mut(multipliers.len())) {
            for (((sum, code), &multiplier), &offset) in sums.iter().zip(codes).zip(multipliers).zip(offsets) {
                let value = sum * multiplier + offset;
                let rounded = (value + half) >> shift;
                let is_tie = i64::from(value & fraction == half);
                *code = (rounded - (is_tie & rounded)).clamp(min, max) as i32;
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
