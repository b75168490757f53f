//! Piecewise quantization of a matrix of float weights: HMPTQ's regions of different widths (Remote Sensing 2024,
//! 16(21), 4042, section 3.3) and PWLQ's breakpoint (Fang et al., "Post-training Piecewise Linear Quantization for Deep
//! Neural Networks", ECCV 2020).
//!
//! Every row (output channel) is divided by its largest magnitude first, so that thresholds and multipliers are those of
//! the whole layer while scales are those of channels: a weight is row scale times an integer of [`Piecewise`]. Bits are
//! always told with their tags. [`hmptq`] and [`pwlq`] give nothing where no split beats plain codes of the same width.

mod activations;
mod density;
mod hmptq;
mod magnitudes;
mod pwlq;

pub use activations::{Histogram, Regions};
pub use density::{Density, normal_cdf, silverman_bandwidth};
pub use hmptq::{HmptqOptions, Split, hmptq};
pub use pwlq::{BreakpointRule, gaussian_breakpoint, laplace_breakpoint, pwlq, relative_error};

use network::coding::{Piecewise, StoredBits, Tagged};

/// Weights in floats, one row for each output channel, in the order in which dot products take them.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Values, row after row.
    pub values: &'a [f64],
    /// Values in a row.
    pub length: usize,
}

impl<'a> Matrix<'a> {
    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = &'a [f64]> {
        self.values.chunks(self.length.max(1))
    }
}

/// How a row's scale becomes one that is used: rounded to few significant bits, say.
pub type RoundScale<'a> = &'a dyn Fn(f64) -> f64;

/// A quantized matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct CodedWeights<F> {
    /// The coding.
    pub format: F,
    /// Integers, row after row.
    pub values: Vec<i32>,
    /// Real step of the integer 1 in each row.
    pub scales: Vec<f64>,
    /// Bits that codes and tags take.
    pub bits: StoredBits,
    /// Thresholds of the regions as parts of a row's largest magnitude, ascending; none where there are no regions.
    pub thresholds: Vec<f64>,
}

impl<F> CodedWeights<F> {
    /// The weights as reals.
    pub fn reals(&self) -> Vec<f64> {
        let length = self.values.len() / self.scales.len().max(1);
        let rows = self.values.chunks(length.max(1)).zip(&self.scales);
        rows.flat_map(|(row, scale)| row.iter().map(move |&value| f64::from(value) * scale)).collect()
    }

    /// Mean of the squared changes.
    pub fn mean_squared_error(&self, matrix: Matrix<'_>) -> f64 {
        let changes = self.reals().into_iter().zip(matrix.values).map(|(made, value)| (made - value).powi(2));
        changes.sum::<f64>() / matrix.values.len().max(1) as f64
    }
}

/// Quantizes with regions that are fixed: a group's region is that of its largest magnitude, the first threshold that
/// is not below it; a code is the nearest one of the region whose mirror image is a code, too.
///
/// `full` is the integer that a row's largest magnitude becomes.
pub fn quantize(
    matrix: Matrix<'_>,
    format: &Piecewise,
    thresholds: &[f64],
    full: i64,
    round_scale: RoundScale<'_>,
) -> CodedWeights<Piecewise> {
    let (mut values, mut scales, mut tags) = (Vec::with_capacity(matrix.values.len()), Vec::new(), Vec::new());
    for row in matrix.rows() {
        let most = row.iter().fold(0f64, |most, value| most.max(value.abs()));
        let scale = if most > 0.0 { round_scale(most / full as f64) } else { 1.0 };
        scales.push(scale);
        for group in row.chunks(format.group() as usize) {
            let reach = group.iter().fold(0f64, |reach, value| reach.max(value.abs()));
            let part = if most > 0.0 { reach / most } else { 0.0 };
            let region = thresholds.iter().position(|&threshold| part <= threshold).unwrap_or(thresholds.len());
            let region = region.min(format.regions() - 1);
            tags.push(region as u8);
            values.extend(group.iter().map(|value| nearest(format, region, value / scale) as i32));
        }
    }
    let rows = scales.len();
    let tagged = Tagged { regions: format.clone(), tags };
    let bits = tagged.stored_bits(rows, matrix.length);
    CodedWeights { format: format.clone(), values, scales, bits, thresholds: thresholds.to_vec() }
}

/// The nearest integer of a region, symmetric about zero.
fn nearest(format: &Piecewise, region: usize, scaled: f64) -> i64 {
    let (multiplier, offset) = (format.multipliers()[region], format.offsets()[region]);
    let half = 1i64 << (format.widths()[region] - 1);
    if offset == 0 {
        let most = (half - 1) as f64;
        return multiplier * (scaled / multiplier as f64).clamp(-most, most).round_ties_even() as i64;
    }
    let steps = ((scaled.abs() - offset as f64) / multiplier as f64).round_ties_even().clamp(0.0, (half - 1) as f64);
    let magnitude = offset + multiplier * steps as i64;
    if scaled < 0.0 { -magnitude } else { magnitude }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Normal numbers by the inverse of their distribution, in a scrambled order: the same on every machine.
    pub(crate) fn normal_numbers(count: usize) -> Vec<f64> {
        let quantile = |p: f64| {
            let (mut low, mut high) = (-9.0, 9.0);
            for _ in 0..60 {
                let middle = (low + high) / 2.0;
                if normal_cdf(middle) < p { low = middle } else { high = middle }
            }
            low
        };
        (0..count).map(|index| quantile(((index * 7919 % count) as f64 + 0.5) / count as f64)).collect()
    }

    #[test]
    fn regions_cover_every_value_once_and_keep_its_error_within_half_a_step() {
        let format = Piecewise::new(vec![2, 4, 8], vec![20, 9, 1], vec![0; 3], 1).unwrap();
        // Thresholds at the reach of each region: 20 * 1 and 9 * 7 of 127.
        let thresholds = [20.0 / 127.0, 63.0 / 127.0];
        let values: Vec<f64> = (-1270..=1270).map(|tenth| f64::from(tenth) / 10.0).collect();
        let coded =
            quantize(Matrix { values: &values, length: values.len() }, &format, &thresholds, 127, &|scale| scale);
        assert_eq!(coded.scales, [1.0]);
        for (value, made) in values.iter().zip(&coded.values) {
            let step = if value.abs() <= 20.0 {
                20.0
            } else if value.abs() <= 63.0 {
                9.0
            } else {
                1.0
            };
            assert!((value - f64::from(*made)).abs() <= step / 2.0, "{value} {made}");
        }
        let tagged = Tagged::fewest_bits(format, values.len(), &coded.values).unwrap();
        assert!(tagged.stored_bits(1, values.len()).payload <= coded.bits.payload);
    }

    /// Parts of a Gaussian cut at its quantiles: 2 p1 + 4 p2 + 8 p3 bits, and two more for a tag of each weight.
    #[test]
    fn sizes_are_payload_and_tags() {
        let values = tests::normal_numbers(20_000);
        let most = values.iter().fold(0f64, |most, value| most.max(value.abs()));
        for (b1, b2, payload) in [(1.4395, 1.9600, 2.5), (0.1891, 1.9600, 3.9), (0.0627, 0.1891, 7.3)] {
            let format = Piecewise::new(vec![2, 4, 8], vec![9, 5, 1], vec![0; 3], 1).unwrap();
            let matrix = Matrix { values: &values, length: values.len() };
            let coded = quantize(matrix, &format, &[b1 / most, b2 / most], 127, &|scale| scale);
            let average = coded.bits.payload as f64 / 20_000.0;
            assert!((average - payload).abs() < 0.01, "{average} instead of {payload}");
            assert_eq!(coded.bits.tags, 2 * 20_000);
        }
    }

    #[test]
    fn tails_mirror_each_other() {
        let format = Piecewise::new(vec![4, 4], vec![1, 5], vec![0, 7], 1).unwrap();
        let values = [-42.0, -9.6, -7.0, -3.4, 0.0, 3.4, 7.0, 9.6, 42.0];
        let coded = quantize(Matrix { values: &values, length: 9 }, &format, &[7.0 / 42.0], 42, &|scale| scale);
        assert_eq!(coded.values, [-42, -12, -7, -3, 0, 3, 7, 12, 42]);
        assert_eq!((coded.bits.payload, coded.bits.tags), (36, 9));
    }
}
