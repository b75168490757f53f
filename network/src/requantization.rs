//! Requantization: how an exact sum becomes the code that a layer sends on.
//!
//! The rule a model states is code = clamp(round(A*sum + C)) with A and C exact rationals of the model's constants.
//! At import it is turned into one of two integer forms that are proved equal to the rule over every reachable sum;
//! from here on only the integer form counts.

use crate::format::Format;
use crate::range::Range;

/// Bits that a sum, a product with its multiplier and an offset may take together in the shift form.
pub const MAX_SHIFT_FORM_BITS: u32 = 62;

/// An integer requantization. Vectors have one entry for each channel, or a single one for all channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Requantization {
    /// Format of the codes that leave.
    pub output: Format,
    /// Codes are clamped to this range; it lies inside the format's.
    pub codes: Range,
    /// The integer rule.
    pub form: Form,
    /// The model's own rule, rounded to double precision; only for telling how near a sum is to a code boundary.
    pub rule: Option<RealRule>,
}

/// The integer rule of a requantization.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Multiply, add, shift.
    Shift(Shift),
    /// Count thresholds.
    Thresholds(Thresholds),
    /// Count thresholds and look the code up.
    Table(Table),
}

/// code = clamp((sum * multiplier + offset) >> shift), with an arithmetic shift (floor), or rounding half to even.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Multipliers, of either sign.
    pub multipliers: Vec<i64>,
    /// Offsets added before the shift.
    pub offsets: Vec<i64>,
    /// Bits shifted out, 0 to 62.
    pub shift: u32,
    /// Rounds half to even instead of down.
    pub half_even: bool,
}

/// code = least code + number of thresholds that the sum has reached.
///
/// A rising channel reaches threshold T where sum >= T, a falling one where sum <= T.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// For each channel `count` thresholds in ascending order (equal ones are allowed).
    pub values: Vec<i64>,
    /// Thresholds of one channel: most code less least code.
    pub count: usize,
    /// Whether the channel falls.
    pub falling: Vec<bool>,
}

/// code = codes\[number of thresholds that the sum has reached (sum >= threshold)\]: any function with so few steps,
/// also one that rises and falls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// For each channel `count` thresholds in ascending order (equal ones are allowed); one row may stand for all.
    pub values: Vec<i64>,
    /// Thresholds of one channel.
    pub count: usize,
    /// For each channel `count + 1` codes.
    pub codes: Vec<i64>,
}

/// real = gain * sum + offset, in code steps, before rounding.
#[derive(Clone, Debug, PartialEq)]
pub struct RealRule {
    /// Gains in code steps per unit of the sum.
    pub gains: Vec<f64>,
    /// Offsets in code steps, the quantizer's zero point included.
    pub offsets: Vec<f64>,
}

/// The entry of a vector with one entry for each channel or one for all; `channel` is taken modulo nothing.
pub fn per_channel<T: Copy>(entries: &[T], channel: usize) -> Option<T> {
    if entries.len() == 1 { entries.first().copied() } else { entries.get(channel).copied() }
}

impl Requantization {
    /// Number of channels that the vectors are written for: 1 stands for any number.
    pub fn channels(&self) -> usize {
        match &self.form {
            Form::Shift(form) => form.multipliers.len().max(form.offsets.len()),
            Form::Thresholds(form) => form.falling.len(),
            Form::Table(form) => form.channels(),
        }
    }

    /// Short name of the form for tables.
    pub fn form_name(&self) -> &'static str {
        match &self.form {
            Form::Shift(Shift { half_even: true, .. }) => "half-even shift",
            Form::Shift(_) => "shift",
            Form::Thresholds(_) => "thresholds",
            Form::Table(_) => "table",
        }
    }
}

impl Shift {
    /// The rule before clamping, for one channel. Exact: checked networks keep products inside 63 bits.
    pub fn unclamped(&self, channel: usize, sum: i64) -> i64 {
        let multiplier = per_channel(&self.multipliers, channel).unwrap_or(0);
        let offset = per_channel(&self.offsets, channel).unwrap_or(0);
        let value = sum * multiplier + offset;
        if !self.half_even || self.shift == 0 {
            return value >> self.shift;
        }
        let half = 1i64 << (self.shift - 1);
        let rounded = (value + half) >> self.shift;
        let is_tie = value & ((half << 1) - 1) == half;
        rounded - i64::from(is_tie && rounded & 1 == 1)
    }
}

impl Thresholds {
    /// The thresholds of one channel.
    pub fn row(&self, channel: usize) -> &[i64] {
        let channel = if self.falling.len() == 1 { 0 } else { channel };
        let start = channel * self.count;
        self.values.get(start..start + self.count).unwrap_or(&[])
    }
}

impl Table {
    /// Rows of thresholds and codes.
    pub fn channels(&self) -> usize {
        self.codes.len() / (self.count + 1)
    }

    /// Thresholds and codes of one channel.
    pub fn row(&self, channel: usize) -> (&[i64], &[i64]) {
        let channel = if self.channels() == 1 { 0 } else { channel };
        let (first, codes) = (channel * self.count, channel * (self.count + 1));
        (
            self.values.get(first..first + self.count).unwrap_or(&[]),
            self.codes.get(codes..codes + self.count + 1).unwrap_or(&[]),
        )
    }

    /// The code of a sum in one channel.
    pub fn code(&self, channel: usize, sum: i64) -> i64 {
        let (thresholds, codes) = self.row(channel);
        codes.get(thresholds.partition_point(|&threshold| threshold <= sum)).copied().unwrap_or(0)
    }
}
