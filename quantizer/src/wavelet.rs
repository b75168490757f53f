//! Wavelet quantization of a matrix of float weights: Haar sub-bands with a width and a step of their own (after MWQ,
//! multi-scale wavelet quantization; widths, steps and the search are ours, since no full text was at hand).
//!
//! Rows are divided by their largest magnitude; a missing partner at an odd edge is a copy, so that its differences are
//! zero. A weight is row scale times an integer of [`Wavelet`].

use crate::piecewise::{CodedWeights, Matrix, RoundScale};
use network::coding::{StoredBits, Transform, Wavelet};

/// Reaches of a sub-band's grid that are tried, in parts of its largest magnitude.
const REACHES: u32 = 24;
/// Base steps in the largest weight, so that weights stay inside 16 bits.
const MOST_BASE_STEPS: f64 = 4096.0;
/// Base steps in the finest sub-band's step.
const FINE: f64 = 2.0;

/// Quantizes with the sub-band widths of least error whose mean is at most `bits`; each sub-band has at most two bits
/// more than `bits` and at most 10. `None` where `bits` is outside 1 to 8 or all weights are zero.
pub fn wavelet(matrix: Matrix<'_>, bits: u32, round_scale: RoundScale<'_>) -> Option<CodedWeights<Wavelet>> {
    if !(1..=8).contains(&bits) {
        return None;
    }
    let bands = sub_bands(matrix);
    let widest = (bits + 2) as usize;
    let choices: Vec<Vec<(f64, f64)>> =
        (0..4).map(|band| (0..=widest as u32).map(|width| best_step(&bands, band, width)).collect()).collect();
    let mut best: Option<(f64, [u32; 4])> = None;
    let total = 4 * bits as usize;
    for a in 1..=widest.min(total) {
        for h in 0..=widest.min(total - a) {
            for v in 0..=widest.min(total - a - h) {
                let d = widest.min(total - a - h - v);
                let widths = [a, h, v, d];
                let error: f64 = widths.iter().zip(&choices).map(|(&width, choice)| choice[width].1).sum();
                if best.is_none_or(|(least, _)| error < least) {
                    best = Some((error, widths.map(|width| width as u32)));
                }
            }
        }
    }
    let (_, widths) = best?;
    with_widths(matrix, &bands, widths, round_scale)
}

/// Quantizes with given widths.
fn with_widths(
    matrix: Matrix<'_>,
    bands: &[[f64; 4]],
    widths: [u32; 4],
    round_scale: RoundScale<'_>,
) -> Option<CodedWeights<Wavelet>> {
    let reaches = [0, 1, 2, 3].map(|band| bands.iter().fold(0f64, |most, block| most.max(block[band].abs())));
    // What rounding leaves of a sub-band that is zero is no energy.
    let noise = reaches.iter().fold(0f64, |most, &reach| most.max(reach)) * 1e-12;
    let reaches = reaches.map(|reach| if reach > noise { reach } else { 0.0 });
    // A sub-band without any energy needs no bits; the first one always has some.
    let widths = [0, 1, 2, 3].map(|band| if band > 0 && reaches[band] == 0.0 { 0 } else { widths[band] });
    let steps = [0, 1, 2, 3].map(|band| best_step(bands, band, widths[band]).0);
    let is_used = |band: usize| widths[band] > 0 && reaches[band] > 0.0;
    let finest = (0..4).filter(|&band| is_used(band)).map(|band| steps[band]).fold(f64::INFINITY, f64::min);
    if !finest.is_finite() {
        return None;
    }
    let base = (finest / FINE).max(reaches.iter().sum::<f64>() / MOST_BASE_STEPS);
    // Of the two whole steps beside the best one the nearer in error: below it the greatest values are cut off.
    let multiplier = |band: usize| {
        let near = steps[band] / base;
        let whole = [near.floor(), near.ceil()].map(|step| step.clamp(1.0, 4096.0));
        let error = |step: f64| error_at(bands, band, widths[band], base * step);
        let best = if error(whole[0]) <= error(whole[1]) { whole[0] } else { whole[1] };
        if is_used(band) { best as i64 } else { 1 }
    };
    let multipliers = [0, 1, 2, 3].map(multiplier);
    let format = Wavelet::new(widths, multipliers, Transform::Haar).ok()?;
    let rows = matrix.values.len() / matrix.length.max(1);
    let mut values = vec![0i32; matrix.values.len()];
    let columns = matrix.length.div_ceil(2);
    for (index, block) in bands.iter().enumerate() {
        let (row, column) = (2 * (index / columns), 2 * (index % columns));
        let codes = [0, 1, 2, 3].map(|band| {
            let (low, high) = ends(widths[band]);
            (block[band] / (base * multipliers[band] as f64)).round_ties_even().clamp(low, high) as i64
        });
        for (value, (down, right)) in format.weights(codes).into_iter().zip([(0, 0), (0, 1), (1, 0), (1, 1)]) {
            if row + down < rows && column + right < matrix.length {
                values[(row + down) * matrix.length + column + right] = value as i32;
            }
        }
    }
    let scales = matrix.rows().map(|row| {
        let most = row.iter().fold(0f64, |most, value| most.max(value.abs()));
        if most > 0.0 { round_scale(most * base) } else { 1.0 }
    });
    let scales = scales.collect();
    let bits = StoredBits { payload: format.stored_bits(rows, matrix.length), tags: 0 };
    Some(CodedWeights { format, values, scales, bits, thresholds: Vec::new() })
}

/// A, H, V, D of each block, in parts of rows' largest magnitudes and without the transform's factor 1/2:
/// A is the mean of a block.
fn sub_bands(matrix: Matrix<'_>) -> Vec<[f64; 4]> {
    let rows: Vec<Vec<f64>> = matrix
        .rows()
        .map(|row| {
            let most = row.iter().fold(0f64, |most, value| most.max(value.abs()));
            row.iter().map(|value| if most > 0.0 { value / most } else { 0.0 }).collect()
        })
        .collect();
    let mut bands = Vec::new();
    for pair in rows.chunks(2) {
        let (upper, lower) = (&pair[0], pair.last().unwrap_or(&pair[0]));
        for (x, y) in upper.chunks(2).zip(lower.chunks(2)) {
            let (a, b, c, d) = (x[0], x[x.len() - 1], y[0], y[y.len() - 1]);
            bands.push([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d].map(|sum| sum / 4.0));
        }
    }
    bands
}

/// Least and greatest code that is used: symmetric, but for a single bit, which is -1 or 0.
fn ends(width: u32) -> (f64, f64) {
    match width {
        0 => (0.0, 0.0),
        1 => (-1.0, 0.0),
        _ => (1.0 - (1u64 << (width - 1)) as f64, (1u64 << (width - 1)) as f64 - 1.0),
    }
}

/// The step of least squared error for a sub-band, and that error.
fn best_step(bands: &[[f64; 4]], band: usize, width: u32) -> (f64, f64) {
    let energy = bands.iter().map(|block| block[band].powi(2)).sum::<f64>();
    let most = bands.iter().fold(0f64, |most, block| most.max(block[band].abs()));
    if width == 0 || most == 0.0 {
        return (most.max(1e-9), energy);
    }
    let levels = ends(width).1.max(1.0);
    let candidates = (1..=REACHES).map(|part| {
        let step = most * f64::from(part) / f64::from(REACHES) / levels;
        (step, error_at(bands, band, width, step))
    });
    candidates.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((most, energy))
}

/// The squared error of a sub-band coded with this step.
fn error_at(bands: &[[f64; 4]], band: usize, width: u32, step: f64) -> f64 {
    let (low, high) = ends(width);
    let error = bands.iter().map(|block| {
        let code = (block[band] / step).round_ties_even().clamp(low, high);
        (block[band] - code * step).powi(2)
    });
    error.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piecewise::tests::normal_numbers;

    fn smooth(rows: usize, length: usize) -> Vec<f64> {
        let noise = normal_numbers(rows * length);
        let wave = |row: usize, column: usize| (row as f64 / 5.0).sin() + (column as f64 / 7.0).cos();
        (0..rows * length).map(|place| wave(place / length, place % length) + 0.05 * noise[place]).collect()
    }

    #[test]
    fn more_bits_give_less_error_and_bits_are_kept() {
        for (rows, length) in [(8, 18), (7, 9), (1, 5), (5, 1)] {
            let values = smooth(rows, length);
            let matrix = Matrix { values: &values, length };
            let mut last = f64::INFINITY;
            for bits in [2, 4, 6, 8] {
                let coded = wavelet(matrix, bits, &|scale| scale).unwrap();
                let blocks = (rows.div_ceil(2) * length.div_ceil(2)) as u64;
                assert!(coded.bits.total() <= 4 * u64::from(bits) * blocks);
                let error = coded.mean_squared_error(matrix);
                // A single row or column has two sub-bands, whose widths end at 8 bits; a row of one value is exact.
                let is_full = rows.min(length) == 1 && (bits == 8 || error == 0.0);
                assert!(error < last || is_full && error <= last, "{rows}x{length} {bits}: {error} {last}");
                last = error;
                // Every block has codes: what is stored is what was meant.
                let weights = network::op::Weights::plain(coded.format.plain(), rows, length, coded.values.clone());
                for row in 0..rows.div_ceil(2) {
                    for column in 0..length.div_ceil(2) {
                        assert!(coded.format.codes(Wavelet::block(&weights, row, column)).is_some());
                    }
                }
            }
            let most = values.iter().fold(0f64, |most, value| most.max(value.abs()));
            assert!(last < (most / 100.0).powi(2), "{last}");
        }
    }

    #[test]
    fn smooth_weights_gain_and_zero_weights_have_none() {
        let values = smooth(16, 32);
        let matrix = Matrix { values: &values, length: 32 };
        let coded = wavelet(matrix, 4, &|scale| scale).unwrap();
        // The mean of a block holds most of a smooth matrix, so it gets the most bits.
        let widths = coded.format.widths();
        assert!(widths[0] > widths[3], "{widths:?}");
        assert!(wavelet(Matrix { values: &[0.0; 8], length: 4 }, 4, &|scale| scale).is_none());
    }
}
