//! HMPTQ's search for the regions of a layer: 2 bits for the middle, 4 bits around it, 8 bits for the rest.
//!
//! Parts p1, p2, p3 of the kernel density cut the weights at magnitudes b1 and b2; the search takes the split of least
//! error whose error is below that of plain codes of k bits, with p(k), the part of the region whose width is k, between
//! 0.7 and 0.9 (equation 21). Left open by the paper and fixed here: rows are divided by their largest magnitude, so
//! that thresholds are the layer's and scales the channels'; codes are symmetric over the hull of their region; steps
//! are integer multiples of the 8-bit region's, chosen by least error; and a limit of average bits, tags included, may
//! be set, since without one the best split always has p(k) = 0.7 and the rest in the widest region.

use super::density::Density;
use super::magnitudes::Magnitudes;
use super::{CodedWeights, Matrix, RoundScale, quantize};
use network::coding::Piecewise;

/// Widths of the three regions.
pub(super) const WIDTHS: [u32; 3] = [2, 4, 8];
/// The integer of a row's largest magnitude.
const FULL: i64 = 127;
/// Parts of the region of the layer's own width that are tried, in percent.
const OWN_PERCENT: std::ops::RangeInclusive<u32> = 70..=90;
/// Steps of the parts in percent.
const STEP_PERCENT: usize = 2;

/// What the search is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HmptqOptions {
    /// The layer's own width k: 2, 4 or 8.
    pub width: u32,
    /// Weights in a row that share a tag.
    pub group: u64,
    /// Most bits for each weight on average, tags included; none: as many as the error asks for.
    pub most_bits: Option<f64>,
}

/// A split that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Parts of the three regions.
    pub parts: [f64; 3],
    /// Thresholds as parts of a row's largest magnitude.
    pub thresholds: [f64; 2],
    /// Multipliers of the three regions.
    pub multipliers: [i64; 3],
    /// Squared error relative to that of plain codes of the layer's own width.
    pub relative_error: f64,
}

/// Quantizes a layer; `None` where no split is below plain codes of `width` bits, or inside the limit of bits.
pub fn hmptq(
    matrix: Matrix<'_>,
    options: HmptqOptions,
    round_scale: RoundScale<'_>,
) -> Option<(CodedWeights<Piecewise>, Split)> {
    let mut splits = splits(matrix, options);
    splits.sort_by(|a, b| a.relative_error.total_cmp(&b.relative_error));
    for split in splits {
        let format = Piecewise::new(WIDTHS.to_vec(), split.multipliers.to_vec(), vec![0; 3], options.group).ok()?;
        let coded = quantize(matrix, &format, &split.thresholds, FULL, round_scale);
        let average = coded.bits.total() as f64 / matrix.values.len().max(1) as f64;
        if options.most_bits.is_none_or(|most| average <= most) {
            return Some((coded, split));
        }
    }
    None
}

/// All splits of the grid whose error is below that of plain codes.
fn splits(matrix: Matrix<'_>, options: HmptqOptions) -> Vec<Split> {
    let Some(own) = WIDTHS.iter().position(|&width| width == options.width) else { return Vec::new() };
    let normalized: Vec<f64> = matrix
        .rows()
        .flat_map(|row| {
            let most = row.iter().fold(0f64, |most, value| most.max(value.abs()));
            row.iter().map(move |value| if most > 0.0 { value / most } else { 0.0 })
        })
        .collect();
    let Some(density) = Density::new(&normalized) else { return Vec::new() };
    let magnitudes = Magnitudes::of(matrix);
    let plain = magnitudes.plain_error(options.width);
    // Thresholds and the errors of regions are shared by many splits: one for each percent of the mass.
    let quantiles: Vec<f64> = (0..=100 / STEP_PERCENT)
        .map(|step| density.symmetric_quantile((step * STEP_PERCENT) as f64 / 100.0).min(1.0))
        .collect();
    let quantile = |percent: usize| quantiles[percent / STEP_PERCENT];
    let mut found = Vec::new();
    for share in OWN_PERCENT.step_by(STEP_PERCENT) {
        for other in (STEP_PERCENT..(100 - share as usize)).step_by(STEP_PERCENT) {
            let mut percents = [0usize; 3];
            let others: Vec<usize> = (0..3).filter(|&region| region != own).collect();
            percents[own] = share as usize;
            percents[others[0]] = other;
            percents[others[1]] = 100 - share as usize - other;
            let thresholds = [quantile(percents[0]), quantile(percents[0] + percents[1])];
            if thresholds[0] <= 0.0 || thresholds[1] <= thresholds[0] || thresholds[1] >= 1.0 {
                continue;
            }
            let (inner, inner_error) = best_multiplier(&magnitudes, (0.0, thresholds[0]), WIDTHS[0]);
            let (middle, middle_error) = best_multiplier(&magnitudes, (thresholds[0], thresholds[1]), WIDTHS[1]);
            let outer_error = magnitudes.error((thresholds[1], f64::INFINITY), 0.0, 1.0 / FULL as f64, FULL as f64);
            let relative_error = (inner_error + middle_error + outer_error) / plain;
            if relative_error < 1.0 {
                found.push(Split {
                    parts: percents.map(|percent| percent as f64 / 100.0),
                    thresholds,
                    multipliers: [inner, middle, 1],
                    relative_error,
                });
            }
        }
    }
    found
}

/// The multiplier of least error for magnitudes of a region with symmetric codes over its hull.
fn best_multiplier(magnitudes: &Magnitudes, region: (f64, f64), bits: u32) -> (i64, f64) {
    let levels = (1i64 << (bits - 1)) - 1;
    let most = (region.1 * FULL as f64 / levels as f64).ceil().max(1.0) as i64;
    let candidates = (1.max(most / 3)..=most)
        .map(|multiplier| (multiplier, magnitudes.error(region, 0.0, multiplier as f64 / FULL as f64, levels as f64)));
    candidates.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((1, f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::super::tests::normal_numbers;
    use super::*;

    fn found(width: u32, most_bits: Option<f64>) -> Option<(CodedWeights<Piecewise>, Split, f64)> {
        let values = normal_numbers(6000);
        let matrix = Matrix { values: &values, length: 600 };
        let options = HmptqOptions { width, group: 1, most_bits };
        hmptq(matrix, options, &|scale| scale).map(|(coded, split)| {
            let error = coded.mean_squared_error(matrix);
            (coded, split, error)
        })
    }

    #[test]
    fn splits_keep_the_constraints() {
        for width in [2, 4] {
            let (coded, split, error) = found(width, None).unwrap();
            let own = WIDTHS.iter().position(|&own| own == width).unwrap();
            assert!((0.7..=0.9).contains(&split.parts[own]), "{split:?}");
            assert!(split.parts.iter().all(|&part| part > 0.0) && (split.parts.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            assert!(split.thresholds[0] < split.thresholds[1] && split.relative_error < 1.0);
            // The rule without a limit: p(k) at its least, the rest as wide as it can be.
            assert!((split.parts[own] - 0.7).abs() < 1e-9, "{split:?}");
            let plain = plain_error(width);
            assert!(error < plain, "{error} {plain}");
            assert_eq!(coded.bits.tags, 2 * 6000);
        }
    }

    /// Mean squared error of plain symmetric codes with the best reach of each row, by trying.
    fn plain_error(bits: u32) -> f64 {
        let values = normal_numbers(6000);
        let levels = f64::from((1 << (bits - 1)) - 1);
        let errors = (1..=200).map(|reach| {
            let step = f64::from(reach) * 0.025 / levels;
            values.iter().map(|v| (v - (v / step).round().clamp(-levels, levels) * step).powi(2)).sum::<f64>() / 6000.0
        });
        errors.fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn a_limit_of_bits_is_kept_with_tags() {
        let (free, ..) = found(4, None).unwrap();
        let (tight, _, _) = found(4, Some(6.0)).unwrap();
        assert!(free.bits.total() > tight.bits.total() && tight.bits.total() <= 6 * 6000);
        assert!(found(4, Some(3.0)).is_none());
        assert!(found(3, None).is_none());
    }

    #[test]
    fn payload_is_that_of_the_parts() {
        let (coded, split, _) = found(4, None).unwrap();
        let expected: f64 = split.parts.iter().zip(WIDTHS).map(|(part, width)| part * f64::from(width)).sum();
        let average = coded.bits.payload as f64 / 6000.0;
        // The density is wider than the samples, so that a little more of them lies inside.
        assert!((average - expected).abs() < 0.25, "{average} {expected}");
    }
}
