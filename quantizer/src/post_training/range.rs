//! From a histogram to the range that a grid covers.

use super::RangeRule;
use super::grid::Grid;
use super::statistics::{BINS, Measured};

/// Parts of the full range that are tried.
const STEPS: usize = 128;

/// The part of `full` (which holds 0) that the grid shall cover.
pub(super) fn choose(
    measured: &Measured,
    full: (f64, f64),
    rule: RangeRule,
    bits: u32,
    make: &dyn Fn(f64, f64) -> Grid,
) -> (f64, f64) {
    match rule.of(bits) {
        RangeRule::MinMax => full,
        RangeRule::Percentile(part) => percentile(measured, full, part),
        RangeRule::Mse | RangeRule::Auto => shrunk(full, &|range| error(measured, &make(range.0, range.1))),
        RangeRule::Entropy => entropy(measured, full, bits),
    }
}

/// The shrunk range of least cost; the wider one among equals.
fn shrunk(full: (f64, f64), cost: &dyn Fn((f64, f64)) -> f64) -> (f64, f64) {
    let mut best = (f64::INFINITY, full);
    for step in (1..=STEPS).rev() {
        let part = step as f64 / STEPS as f64;
        let range = (full.0 * part, full.1 * part);
        let found = cost(range);
        if found < best.0 {
            best = (found, range);
        }
    }
    best.1
}

/// Sum of square errors of a grid.
fn error(measured: &Measured, grid: &Grid) -> f64 {
    let bins = measured.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let errors = bins.map(|(bin, &count)| {
        let value = measured.middle(bin);
        (grid.nearest(value) - value).powi(2) * count as f64
    });
    errors.sum()
}

/// Cuts half of what `part` percent leave at each end that is not zero; all of it where only one end is open.
fn percentile(measured: &Measured, full: (f64, f64), part: f64) -> (f64, f64) {
    let total: u64 = measured.counts.iter().sum();
    let ends = if full.0 < 0.0 && full.1 > 0.0 { 2.0 } else { 1.0 };
    let spare = (total as f64 * (100.0 - part) / 100.0 / ends).floor() as u64;
    let edge = |bin: usize| {
        let width = (f64::from(measured.high) - f64::from(measured.low)) / BINS as f64;
        f64::from(measured.low) + width * bin as f64
    };
    let cut = |counts: &mut dyn Iterator<Item = &u64>| {
        let mut sum = 0;
        counts
            .take_while(|count| {
                sum += **count;
                sum <= spare
            })
            .count()
            .min(BINS - 1)
    };
    let low = edge(cut(&mut measured.counts.iter())).min(0.0).max(full.0);
    let high = edge(BINS - cut(&mut measured.counts.iter().rev())).max(0.0).min(full.1);
    if low < high { (if full.0 < 0.0 { low } else { 0.0 }, high) } else { full }
}

/// Least Kullback-Leibler divergence between magnitudes clipped to a range and the same in as many steps as the grid
/// has on one side (as TensorRT's calibration does).
fn entropy(measured: &Measured, full: (f64, f64), bits: u32) -> (f64, f64) {
    let two_sided = full.0 < 0.0;
    let most = full.0.abs().max(full.1);
    let mut counts = vec![0f64; BINS];
    for (bin, &count) in measured.counts.iter().enumerate() {
        let place = measured.middle(bin).abs() / most * BINS as f64;
        counts[(place as usize).min(BINS - 1)] += count as f64;
    }
    let counts = without_spikes(&counts);
    let steps = (1usize << (bits - u32::from(two_sided && bits > 1))).max(2);
    if steps >= BINS {
        return full;
    }
    let mut best = (f64::INFINITY, BINS);
    let stride = (BINS / 256).max(1);
    for end in (steps.max(stride)..=BINS).rev().step_by(stride) {
        let found = divergence(&counts, end, steps);
        if found < best.0 {
            best = (found, end);
        }
    }
    let limit = most * best.1 as f64 / BINS as f64;
    (full.0.max(-limit), full.1.min(limit))
}

/// Counts with lone peaks cut to three times their surroundings: what a Relu sends to zero, or a constant background to
/// one value, would else outweigh the shape of all the rest.
fn without_spikes(counts: &[f64]) -> Vec<f64> {
    const REACH: usize = 8;
    let around = |bin: usize| {
        let window = &counts[bin.saturating_sub(REACH)..(bin + REACH + 1).min(counts.len())];
        let mut others: Vec<f64> = window.to_vec();
        others.sort_by(f64::total_cmp);
        others[others.len() / 2]
    };
    counts.iter().enumerate().map(|(bin, &count)| count.min(3.0 * around(bin).max(1.0))).collect()
}

/// Divergence of the first `end` bins, with all further ones added to the last, from their version in `steps` steps.
fn divergence(counts: &[f64], end: usize, steps: usize) -> f64 {
    let outside: f64 = counts[end..].iter().sum();
    let total: f64 = counts.iter().sum();
    let inside: f64 = counts[..end].iter().sum();
    if inside == 0.0 {
        return f64::INFINITY;
    }
    let mut sum = 0.0;
    for step in 0..steps {
        let (from, to) = (step * end / steps, (step + 1) * end / steps);
        let bins = &counts[from..to];
        let filled = bins.iter().filter(|count| **count > 0.0).count();
        let share = bins.iter().sum::<f64>() / filled.max(1) as f64;
        for (index, &count) in bins.iter().enumerate() {
            let clipped = count + if from + index == end - 1 { outside } else { 0.0 };
            if clipped > 0.0 {
                // Bins that only clipped values fill are as good as empty after quantization.
                let after = if count > 0.0 { share } else { 1e-9 * inside };
                sum += clipped / total * ((clipped / total) / (after / inside)).ln();
            }
        }
    }
    sum
}
