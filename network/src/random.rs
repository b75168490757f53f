//! Constants for a network that is not trained yet: weights and requantization from a stated seed.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
//! Every layer has its own stream, started at seed + FNV-1a(name of the layer), so that a change of one layer leaves
//! the weights of the others alone. The numbers are the same on every platform.

use crate::coding::{Coding, Piecewise, Tagged, Wavelet, WeightFormat};
use crate::format::Format;
use crate::graph::Encoding;
use crate::op::{Drawn, Values, Weights};
use crate::range::Range;
use crate::requantization::{Form, MAX_SHIFT_FORM_BITS, Requantization, Shift};

/// What the state grows by from word to word.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of pseudo-random words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    state: u64,
}

impl Stream {
    /// The stream of one layer.
    pub fn for_layer(seed: u64, layer: &str) -> Self {
        let hash = layer
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Stream { state: seed.wrapping_add(hash) }
    }

    /// The stream after so many more words.
    pub fn skipped(&self, words: u64) -> Self {
        Stream { state: self.state.wrapping_add(words.wrapping_mul(STEP)) }
    }

    /// The next word, each value equally likely.
    pub fn next_word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// The next code of a format, each equally likely: the top bits of a word above the least code.
    pub fn next_code(&mut self, format: Format) -> i64 {
        let offset = (self.next_word() >> (64 - format.bits())).cast_signed();
        format.code_range().min() + offset
    }
}

/// Weights over the whole range of their format: any code of a plain format, any code of any region, any four sub-band
/// codes. The first of a plain format is its least value and the second its greatest.
pub fn weights(stream: &mut Stream, format: &WeightFormat, outputs: usize, length: usize) -> Weights {
    match format {
        WeightFormat::Plain(format) => plain_weights(stream, *format, outputs, length),
        WeightFormat::Piecewise(regions) => piecewise_weights(stream, regions, outputs, length),
        WeightFormat::Wavelet(wavelet) => wavelet_weights(stream, wavelet, outputs, length),
    }
}

/// The same where plain weights are the least, the greatest or the one nearest to zero alone.
pub fn extreme_weights(stream: &mut Stream, format: &WeightFormat, outputs: usize, length: usize) -> Weights {
    let WeightFormat::Plain(plain) = format else { return weights(stream, format, outputs, length) };
    let range = plain.value_range();
    let none = if range.contains(0) && plain.code(0).is_some() { 0 } else { range.max().min(1) };
    let choices = [range.min(), range.max(), none];
    let value = |_| choices[(stream.next_word() >> 32) as usize % choices.len()] as i32;
    let values: Vec<i32> = (0..outputs.saturating_mul(length)).map(value).collect();
    Weights::plain(*plain, outputs, length, values)
}

/// A random region for each group, a random code for each weight.
fn piecewise_weights(stream: &mut Stream, regions: &Piecewise, outputs: usize, length: usize) -> Weights {
    let group = regions.group() as usize;
    let (mut tags, mut values) = (Vec::new(), Vec::with_capacity(outputs.saturating_mul(length)));
    for place in (0..outputs).flat_map(|_| 0..length) {
        if place % group == 0 {
            tags.push((stream.next_word() >> 32) as usize % regions.regions());
        }
        let region = tags.last().copied().unwrap_or(0);
        let code = next_signed(stream, regions.widths()[region]);
        values.push(regions.value(region, code).unwrap_or(0) as i32);
    }
    let tags = tags.into_iter().map(|tag| tag as u8).collect();
    let coding = Coding::Piecewise(Tagged { regions: regions.clone(), tags });
    Weights { format: regions.plain(), coding, outputs, length, values: values.into() }
}

/// Random sub-band codes; at an odd edge those of differences with a missing partner are zero.
fn wavelet_weights(stream: &mut Stream, wavelet: &Wavelet, outputs: usize, length: usize) -> Weights {
    let mut values = vec![0i32; outputs.saturating_mul(length)];
    for row in (0..outputs).step_by(2) {
        for column in (0..length).step_by(2) {
            let is_kept = [true, column + 1 < length, row + 1 < outputs, column + 1 < length && row + 1 < outputs];
            let mut codes = wavelet.widths().map(|width| if width == 0 { 0 } else { next_signed(stream, width) });
            codes.iter_mut().zip(is_kept).filter(|(_, is_kept)| !is_kept).for_each(|(code, _)| *code = 0);
            let block = wavelet.weights(codes);
            for (value, (down, right)) in block.into_iter().zip([(0, 0), (0, 1), (1, 0), (1, 1)]) {
                if row + down < outputs && column + right < length {
                    values[(row + down) * length + column + right] = value as i32;
                }
            }
        }
    }
    let coding = Coding::Wavelet(wavelet.clone());
    Weights { format: wavelet.plain(), coding, outputs, length, values: values.into() }
}

/// A two's complement code of so many bits, each equally likely.
fn next_signed(stream: &mut Stream, bits: u32) -> i64 {
    stream.next_word().cast_signed() >> (64 - bits)
}

/// Codes of a plain format; the first is its least value and the second its greatest. Drawn when they are read.
fn plain_weights(stream: &mut Stream, format: Format, outputs: usize, length: usize) -> Weights {
    let drawn = Drawn { stream: stream.clone(), format, outputs, length };
    *stream = stream.skipped((outputs.saturating_mul(length) as u64).saturating_sub(2));
    Weights { format, coding: Coding::Plain, outputs, length, values: Values::drawn(drawn) }
}

/// Mean and standard deviation of a tensor's values, for each channel or one for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// Mean and standard deviation.
    pub channels: Vec<(f64, f64)>,
}

impl Spread {
    /// The spread of values that a power of two divides, as dropping planes does to a code.
    pub(crate) fn halved(&self, times: u32) -> Self {
        let factor = 0.5f64.powi(times as i32);
        Spread { channels: self.channels.iter().map(|(mean, deviation)| (mean * factor, deviation * factor)).collect() }
    }

    /// The spread of values whose integers are equally likely.
    pub fn uniform(encoding: Encoding) -> Self {
        let (integers, values) = (encoding.integers(), encoding.values());
        let count = (integers.max() - integers.min()) as f64 + 1.0;
        let step = if count > 1.0 { (values.max() - values.min()) as f64 / (count - 1.0) } else { 1.0 };
        let variance = step * step * (count * count - 1.0) / 12.0;
        Spread { channels: vec![((values.min() as f64 + values.max() as f64) / 2.0, variance.sqrt())] }
    }

    /// The spread of dot products of independent values; a row of weights runs over the channels again and again.
    pub fn of_sums(&self, weights: &Weights) -> Self {
        let inputs = self.channels.iter().cycle();
        let row = |output| {
            let (mut mean, mut variance) = (0.0, 0.0);
            let mut add = |weight: f64, (input, deviation): (f64, f64), count: f64| {
                mean += weight * input * count;
                variance += weight * weight * deviation * deviation * count;
            };
            match (self.channels.as_slice(), weights.values.counted(output)) {
                (&[all], Some(counted)) => counted.for_each(|(weight, count)| add(weight as f64, all, count as f64)),
                _ => {
                    let row = weights.row(output).iter().zip(inputs.clone());
                    row.for_each(|(&weight, &input)| add(f64::from(weight), input, 1.0));
                }
            }
            (mean, f64::sqrt(variance))
        };
        Spread { channels: (0..weights.outputs).map(row).collect() }
    }
}

/// A shift form that sends mean - 2 deviations to the least code and mean + 2 deviations to the greatest.
///
/// `sums` bounds the sums; multipliers have up to 8 bits beside a shared shift, fewer where 62 bits would not do.
pub fn requantization(spread: &Spread, sums: Range, output: Format, codes: Range) -> Requantization {
    let steps = (codes.max() - codes.min()) as f64;
    let middle = (codes.max() + codes.min()) as f64 / 2.0;
    let gains: Vec<f64> =
        spread.channels.iter().map(|&(_, deviation)| steps.max(1.0) / (4.0 * deviation.max(0.25))).collect();
    let largest = gains.iter().copied().fold(0.0, f64::max);
    let form = |multiplier_bits: i32| {
        let shift = (multiplier_bits - exponent(largest)).clamp(0, 60);
        let unit = (1u64 << shift) as f64;
        let multipliers: Vec<i64> = gains.iter().map(|gain| (gain * unit).round().max(1.0) as i64).collect();
        let offsets = spread.channels.iter().zip(&multipliers);
        let offsets =
            offsets.map(|(&(mean, _), &multiplier)| ((middle + 0.5) * unit - mean * multiplier as f64).round() as i64);
        Shift { offsets: offsets.collect(), multipliers, shift: shift.unsigned_abs(), half_even: false }
    };
    let fits = |form: &Shift| {
        let greatest = |values: &[i64]| values.iter().map(|value| i128::from(*value).abs()).max().unwrap_or(0);
        let sum = i128::from(sums.min()).abs().max(i128::from(sums.max()).abs());
        let value = sum * greatest(&form.multipliers) + greatest(&form.offsets) + (1i128 << form.shift);
        value < 1i128 << (MAX_SHIFT_FORM_BITS - 1)
    };
    let form = (0..=8).rev().map(form).find(fits);
    let form = form.unwrap_or(Shift { multipliers: vec![1], offsets: vec![0], shift: 0, half_even: false });
    Requantization { output, codes, form: Form::Shift(form), rule: None }
}

/// An exponent e with 2^(e-1) <= value < 2^e, for a positive normal number.
fn exponent(value: f64) -> i32 {
    ((value.to_bits() >> 52) & 0x7ff) as i32 - 1022
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the SplitMix64 reference implementation for the seed 1234567.
    #[test]
    fn words_are_those_of_splitmix64() {
        let mut stream = Stream { state: 1_234_567 };
        let expected =
            [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821];
        assert_eq!(expected.map(|_| stream.next_word()), expected);
    }

    /// Vectors of the FNV reference page for the 64-bit FNV-1a.
    #[test]
    fn streams_start_at_the_hash_of_the_name() {
        assert_eq!(Stream::for_layer(0, "").state, 0xcbf2_9ce4_8422_2325);
        assert_eq!(Stream::for_layer(0, "a").state, 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Stream::for_layer(1, "foobar").state, 0x8594_4171_f739_67e9);
    }

    #[track_caller]
    fn check_weights(format: &str, least: i32, most: i32, distinct: usize) {
        let format: Format = format.parse().unwrap();
        let weights = plain_weights(&mut Stream::for_layer(1, "fc"), format, 40, 100);
        assert_eq!(weights.values[..2], [least, most]);
        assert_eq!((*weights.values.iter().min().unwrap(), *weights.values.iter().max().unwrap()), (least, most));
        assert!(weights.values.iter().all(|&value| format.code(i64::from(value)).is_some()));
        let seen: std::collections::BTreeSet<i32> = weights.values.iter().copied().collect();
        assert_eq!(seen.len(), distinct, "{format}");
        let mean = weights.values.iter().map(|&value| f64::from(value)).sum::<f64>() / 4000.0;
        let (centre, width) = (f64::from(least + most) / 2.0, f64::from(most - least));
        assert!((mean - centre).abs() < 0.02 * width, "{format}: {mean}");
    }

    #[test]
    fn weights_fill_their_format() {
        check_weights("s1", -1, 0, 2);
        check_weights("s2", -2, 1, 4);
        check_weights("u3", 0, 7, 8);
        check_weights("s5", -16, 15, 32);
        check_weights("bipolar1", -1, 1, 2);
        check_weights("bipolar4", -15, 15, 16);
    }

    #[test]
    fn exponents() {
        for (value, expected) in [(1.0, 1), (0.9, 0), (0.5, 0), (0.49, -1), (255.0, 8), (256.0, 9)] {
            assert_eq!(exponent(value), expected, "{value}");
        }
    }

    #[test]
    fn spread_of_codes_is_that_of_the_listed_values() {
        for (format, min, max) in [("u4", 0, 15), ("s3", -3, 2), ("bipolar3", 1, 6), ("bipolar1", 0, 1), ("u2", 2, 2)] {
            let format: Format = format.parse().unwrap();
            let encoding = Encoding::Codes { format, range: Range::new(min, max) };
            let values: Vec<f64> = (min..=max).map(|code| format.value(code) as f64).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
            let (found_mean, found_deviation) = Spread::uniform(encoding).channels[0];
            assert!((found_mean - mean).abs() < 1e-9 && (found_deviation - variance.sqrt()).abs() < 1e-9, "{format}");
        }
    }

    /// Draws inputs, computes the sums by definition and counts the codes that leave.
    #[track_caller]
    fn check_spread(input: &str, weight: &str, output: &str, length: usize) {
        let (input, weight, output): (Format, Format, Format) =
            (input.parse().unwrap(), weight.parse().unwrap(), output.parse().unwrap());
        let mut stream = Stream::for_layer(3, input.to_string().as_str());
        let weights = plain_weights(&mut stream, weight, 8, length);
        let spread = Spread::uniform(Encoding::Codes { format: input, range: input.code_range() }).of_sums(&weights);
        let sums = (0..8).map(|row| weights.sum_range(row, input.value_range()).unwrap()).reduce(Range::union).unwrap();
        let codes = output.code_range();
        let made = requantization(&spread, sums, output, codes);
        let Form::Shift(form) = made.form else { panic!("a shift form") };
        let mut counts = vec![0u32; (codes.max() - codes.min() + 1) as usize];
        for _ in 0..400 {
            let values: Vec<i64> = (0..length).map(|_| input.value(stream.next_code(input))).collect();
            for row in 0..8 {
                let sum: i64 = weights.row(row).iter().zip(&values).map(|(&w, &x)| i64::from(w) * x).sum();
                let code = form.unclamped(row, sum).clamp(codes.min(), codes.max());
                counts[(code - codes.min()) as usize] += 1;
            }
        }
        let used = counts.iter().filter(|&&count| count > 0).count();
        assert!(used * 4 >= counts.len() * 3, "{used} of {} codes are used", counts.len());
        assert!(counts.iter().all(|&count| count < 400 * 8 * 2 / 3), "{counts:?}");
    }

    #[test]
    fn codes_are_well_spread() {
        check_spread("u8", "s8", "u8", 9);
        check_spread("u4", "s4", "u4", 144);
        check_spread("u2", "s2", "u2", 60);
        check_spread("bipolar1", "bipolar1", "bipolar1", 64);
        check_spread("bipolar3", "bipolar2", "bipolar3", 33);
        check_spread("s16", "s16", "s8", 500);
        check_spread("u1", "s1", "u3", 70);
    }
}
