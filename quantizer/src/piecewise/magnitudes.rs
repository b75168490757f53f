//! Magnitudes of a layer's weights as parts of their row's largest, gathered in bins: errors of many candidate grids
//! are found over the bins.

use super::Matrix;

/// Bins.
const BINS: usize = 2048;

/// How many weights lie at each magnitude, and how much each counts.
pub(super) struct Magnitudes {
    /// Magnitude from 0 to 1 and weight (the squares of the rows' largest magnitudes, summed), ascending.
    bins: Vec<(f64, f64)>,
}

impl Magnitudes {
    pub fn of(matrix: Matrix<'_>) -> Self {
        let (mut sums, mut weights, mut counts) = (vec![0.0; BINS], vec![0.0; BINS], vec![0.0; BINS]);
        for row in matrix.rows() {
            let most = row.iter().fold(0f64, |most, value| most.max(value.abs()));
            for value in row {
                let part = if most > 0.0 { value.abs() / most } else { 0.0 };
                let bin = ((part * BINS as f64) as usize).min(BINS - 1);
                sums[bin] += part;
                weights[bin] += most * most;
                counts[bin] += 1.0;
            }
        }
        let kept: Vec<usize> = (0..BINS).filter(|&bin| counts[bin] > 0.0).collect();
        Magnitudes { bins: kept.iter().map(|&bin| (sums[bin] / counts[bin], weights[bin])).collect() }
    }

    /// Squared error of magnitudes above `from` and up to `to` (those of 0 included where `from` is 0) on a grid of
    /// `levels` steps of `step` above `offset`.
    pub fn error(&self, (from, to): (f64, f64), offset: f64, step: f64, levels: f64) -> f64 {
        let inside = self.inside(from, to);
        inside
            .map(|index| {
                let (at, weight) = self.bins[index];
                let nearest = ((at - offset) / step).round().clamp(0.0, levels);
                weight * (at - offset - nearest * step).powi(2)
            })
            .sum()
    }

    fn inside(&self, from: f64, to: f64) -> std::ops::Range<usize> {
        let start = if from > 0.0 { self.bins.partition_point(|bin| bin.0 <= from) } else { 0 };
        start..self.bins.partition_point(|bin| bin.0 <= to).max(start)
    }

    /// Least squared error of a plain symmetric grid of so many bits, over reaches of the grid.
    pub fn plain_error(&self, bits: u32) -> f64 {
        let levels = ((1u64 << (bits - 1)) as f64 - 1.0).max(1.0);
        let errors =
            (20..=100).map(|reach| self.error((0.0, f64::INFINITY), 0.0, f64::from(reach) / 100.0 / levels, levels));
        errors.fold(f64::INFINITY, f64::min)
    }
}
